"""The comparison with other libraries: its clock and its table; the libraries themselves are not run here."""

import json
import sys
from time import perf_counter, sleep

import numpy as np
import pytest
from conftest import ROOT


@pytest.fixture
def bench(monkeypatch):
    """Imports a file of benchmarks/, whose files import each other as scripts do."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    imported = set(sys.modules)
    yield lambda name: __import__(name)
    for name in set(sys.modules) - imported:
        if name.startswith("peer"):
            del sys.modules[name]


def made(peers, seconds, total=9.0):
    result = {"seconds": seconds, "best": 1e-3, "total": total, "parameters": 7, "versions": {"torch": "2"}}
    return peers.Run(process=1.0 + (seconds or total), result=result)


def test_the_clock_stops_while_it_checks(bench, capsys):
    peer_clock = bench("peer_clock")
    clock = peer_clock.Clock(perf_counter(), limit=60.0, target=1e-4)
    clock.start()

    def slow_and_wrong():
        sleep(0.2)
        return 1.5 * peer_clock.EXACT

    assert not clock.is_over(slow_and_wrong, always=True) and clock.best == pytest.approx(0.5)
    assert clock.seconds < 0.1 and clock.checking >= 0.2
    assert clock.is_over(lambda: peer_clock.EXACT, always=True)
    clock.report(3, "numpy")
    result = json.loads(capsys.readouterr().out)
    assert result["best"] == 0.0 and 0 <= result["seconds"] < 0.1 and result["processor"] < 0.15
    assert result["versions"] == {"numpy": np.__version__}


def test_the_clock_ends_at_the_limit_and_passes_over_what_is_not_finite(bench):
    peer_clock = bench("peer_clock")
    clock = peer_clock.Clock(perf_counter(), limit=0.0, target=1e-4)
    clock.start()
    assert clock.is_over(lambda: np.nan * peer_clock.EXACT, always=True)
    assert clock.reached is None and clock.best == np.inf


def test_runs_that_miss_the_target_are_the_slowest(bench):
    peers = bench("peers")
    runs = [made(peers, 3.0), made(peers, None, total=0.5), made(peers, 2.0)]
    solve = [r.solve for r in runs]
    assert peers.median(runs, solve) == (3.0, True)
    assert peers.cell(runs, solve) == "**3.0** (3.0, > 0.5, 2.0)"
    missed = [made(peers, None), made(peers, None), made(peers, 1.0)]
    assert peers.cell(missed, [r.solve for r in missed]).startswith("**> 9.0**")
    assert peers.ratio(missed, [r.solve for r in missed], (3.0, True)) == "> 3"
    assert peers.row("pykan", runs, missed[2:]).count("|") == 10


OTHERS = {
    "peer_clock.py",
    "peer_shapes_deepxde.py",
    "peer_inverse_deepxde.py",
    "peer_cavity_deepxde.py",
}  # not run by peers.py


def test_every_driver_is_there(bench):
    peers = bench("peers")
    assert {peer.driver for peer in peers.PEERS.values()} | OTHERS == {
        path.name for path in (ROOT / "benchmarks").glob("peer_*.py")
    }
    assert all(peer.weight is None or peer.weight in peers.WEIGHTS for peer in peers.PEERS.values())
