"""Kill processes of a sweep: check that every run ends in one state, none is lost, and none is completed twice.

    python benchmarks/survive.py                         200 real runs, 20 killed, 10 made to fail, two at a time
    python benchmarks/survive.py --stand-in              the same with a process that copies a stored result

Processes receive SIGKILL at random times. The command is then repeated, and the runs are counted, both from the files
and from a list to which each process appends its run when it completes.
"""

import argparse
import random
import shutil
import signal
import sys
import threading
from collections import Counter
from contextlib import suppress
from csv import DictReader
from json import loads
from os import kill
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from time import monotonic, sleep

from kanpde.paths import JOURNAL
from kanpde.runs.ledger import Ledger, Run, conduct
from kanpde.storage.store import read_record

SMALL = (
    "problem=poisson",
    "model=mlp",
    "model.hidden=[2]",
    "schedule.phases=[{steps:1}]",
    "schedule.starts=1",
    "sampling.interior=16",
    "sampling.boundary=8",
    "output.cells=2",
    "plots=false",
    "device=cpu",
)
BAD = "model.width=3"  # an unknown option
REAL = """
import sys
from kanpde.command import main
code = main(sys.argv[2:])
if code == 0: open(sys.argv[1], "a").write(sys.argv[-1] + "\\n")
sys.exit(code)
"""
STAND_IN = """
import os, random, shutil, sys, time
folder = sys.argv[-1].partition("=")[2]
open(folder + "/run.log", "x").close()
if "BAD" in sys.argv: sys.exit("Error: on purpose")
time.sleep(random.uniform(0.05, 0.3))
part = folder + "/.solution.vtkhdf.part"
with open(os.path.dirname(sys.argv[1]) + "/template.vtkhdf", "rb") as whole, open(part, "wb") as file:
    data = whole.read()
    for i in range(10):
        file.write(data[i * len(data) // 10 : (i + 1) * len(data) // 10])
        file.flush()
        time.sleep(0.01)
os.replace(part, folder + "/solution.vtkhdf")
time.sleep(random.uniform(0, 0.1))
open(sys.argv[1], "a").write(sys.argv[-1] + "\\n")
""".replace("BAD", BAD)


class Killer(threading.Thread):
    """Sends SIGKILL to ``wanted`` processes of a ledger, each at a random time of its run."""

    def __init__(self, ledger: Ledger, victims: list[Run], wanted: int, seconds: float, chance: random.Random):
        super().__init__(daemon=True)
        self.ledger, self.victims, self.wanted, self.chance, self.seconds = ledger, victims, wanted, chance, seconds
        self.killed: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        due: dict[str, tuple[int, float]] = {}
        seen: set[str] = set()
        while not self.over.wait(0.01) and len(self.killed) < self.wanted:
            for run in self.victims:
                if run.name in seen or len(self.killed) + len(due) >= self.wanted:
                    continue
                if pid := _pid(self.ledger.folder(run)):
                    seen.add(run.name)
                    due[run.name] = pid, monotonic() + self.chance.uniform(0, self.seconds)
            for name, (pid, moment) in list(due.items()):
                if monotonic() >= moment:
                    del due[name]
                    with suppress(ProcessLookupError):  # it has already ended; another process is killed instead
                        kill(pid, signal.SIGKILL)
                        self.killed.append(name)


def _events(folder: Path) -> list[dict]:
    try:
        return [loads(line) for line in (folder / JOURNAL).read_text().splitlines() if line]
    except (OSError, ValueError):
        return []  # not begun, or incompletely written


def _pid(folder: Path) -> int | None:
    """Return the id of the process that is carrying out the run."""
    last = (_events(folder) or [{}])[-1]
    return last.get("pid")


def survive(root: Path, runs: int, wanted: int, failing: int, workers: int, stand_in: bool, seed: int = 0) -> str:
    """Carry out the test below ``root`` and return its result as text.

    Raises:
        AssertionError: a run was lost, completed twice, or is in a wrong state.
    """
    chance = random.Random(seed)
    bad = set(chance.sample(range(runs), failing))
    listed = [Run(f"tiny/{i}", (*SMALL, f"seed={i}", *([BAD] if i in bad else []))) for i in range(runs)]
    ledger = Ledger(root / "study", listed)
    witness = root / "ends.txt"
    witness.touch()
    command = (sys.executable, *(["-S"] if stand_in else []), "-c", STAND_IN if stand_in else REAL, str(witness))
    probe = Ledger(root / "probe", [Run(f"one/{i}", (*SMALL, f"seed={i}")) for i in range(2)])
    if stand_in:  # compute a real result to copy
        conduct(Ledger(root / "template", [Run("one", SMALL)]), say=_quiet)
        shutil.copy(root / "template/runs/one/solution.vtkhdf", root / "template.vtkhdf")
    typical = median(each.seconds for each in conduct(probe, workers, say=_quiet, command=command).values())
    good = [run for i, run in enumerate(listed) if i not in bad]
    killer = Killer(ledger, good, wanted, typical, chance)
    # the kills are distributed over the whole sweep, not over its first runs
    killer.victims = chance.sample(good, min(len(good), wanted * 2))
    killer.start()
    began = monotonic()
    first = conduct(ledger, workers, say=_quiet, command=command)
    killer.over.set()
    killer.join()
    middle = monotonic()
    counts = [ledger.counts()]
    before = {name: each.attempts for name, each in first.items()}
    second = conduct(ledger, workers, say=_quiet, command=command)
    counts.append(ledger.counts())
    assert len(killer.killed) == wanted, f"only {len(killer.killed)} processes were killed"
    _check(ledger, first, second, killer.killed, bad, witness, before)
    return (
        f"{runs} {'stand-in ' * stand_in}runs, {workers} at a time, {typical:.1f} s each; {wanted} killed, "
        f"{failing} made to fail\nfirst command:  {_text(counts[0])}; {middle - began:.0f} s\n"
        f"second command: {_text(counts[1])}; {monotonic() - middle:.0f} s\n"
        f"begun {sum(each.attempts for each in second.values())} times in all; none to the end twice"
    )


def _check(ledger: Ledger, first, second, killed, bad, witness, before) -> None:
    names = [run.name for run in ledger.runs]
    failed = {names[i] for i in bad}
    for name in names:
        done = first[name].state
        assert done == ("failed" if name in failed else done), (name, first[name])
        assert done in (("interrupted", "finished") if name in killed else ("failed", "finished")), (name, first[name])
        assert second[name].state == ("failed" if name in failed else "finished"), (name, second[name])
        again = second[name].attempts - before[name]
        assert again == (done == "interrupted"), f"{name} was begun {again} times by the second command"
    ends = Counter(line.rpartition("tiny/")[2] for line in witness.read_text().splitlines() if "tiny/" in line)
    assert not [name for name, times in ends.items() if times > 1], ends
    never = {name for name in names if name not in failed} - {f"tiny/{name}" for name in ends}
    assert never <= set(killed), f"no process came to its end: {never}"  # only processes killed between result and end
    for run in ledger.runs:
        if run.name not in failed:
            assert read_record(ledger.folder(run))["reason"], run.name
    with open(ledger.root / "ledger.csv", encoding="utf-8") as file:
        rows = [(row["run"], row["state"]) for row in DictReader(file)]
    assert rows == [(name, second[name].state) for name in names]


def _text(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {state}" for state, n in counts.items())


def _quiet(line: str) -> None:
    sleep(0)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 200), ("kill", 20), ("fail", 10), ("workers", 2), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--stand-in", action="store_true", help="processes that copy a stored result")
    given = parser.parse_args()
    root = Path(mkdtemp(prefix="survive-"))
    try:
        print(survive(root, given.runs, given.kill, given.fail, given.workers, given.stand_in, given.seed))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
