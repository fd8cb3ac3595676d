"""Runs as processes: each in exactly one state, whatever was killed; none lost, none done twice."""

import csv
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from kanpde import InputError
from kanpde.ends import End
from kanpde.paths import CONFIG, FAILED, JOURNAL, LOG, RESULT
from kanpde.runs.journal import hold
from kanpde.runs.ledger import Ledger, Run, conduct
from kanpde.runs.status import status
from kanpde.storage.record import FORMAT

# in place of `python -m kanpde`: the first option says how it goes
FAKE = """
import os, shutil, signal, sys, time
how, folder = sys.argv[1], sys.argv[-1].partition("=")[2]
open(folder + "/run.log", "x").close()
open(os.path.join(os.environ["LEDGER_TEST"], "begun"), "a").write(folder + "\\n")
def save(name="whole"):
    part = folder + "/.solution.vtkhdf.1"
    shutil.copy(os.environ["LEDGER_TEST"] + "/" + name + ".vtkhdf", part)
    os.replace(part, folder + "/solution.vtkhdf")
if how == "error": sys.exit("Warning: hm\\nError: Grid must be positive.\\nWrite grid=4.")
if how == "bug": raise RuntimeError("ours")
if how == "crash": os.abort()
if how == "nothing": sys.exit(0)
if how == "ctrl-c": save("interrupted"); sys.exit(130)
if how == "half": open(folder + "/.solution.vtkhdf.7", "w").close(); os.kill(os.getpid(), signal.SIGKILL)
if how == "pictures": save(); os.kill(os.getpid(), signal.SIGKILL)
if how == "once" and not os.path.exists(os.environ["LEDGER_TEST"] + "/again"): os.kill(os.getpid(), signal.SIGKILL)
if how == "hang": time.sleep(60)
if how == "slow": time.sleep(0.4)
save()
"""
COMMAND = (sys.executable, "-S", "-c", FAKE)


@pytest.fixture(autouse=True)
def templates(tmp_path, monkeypatch):
    """Results for the fake runs to copy."""
    place = tmp_path / "templates"
    place.mkdir()
    for name, end in (("whole", End.STEPS_DONE), ("interrupted", End.INTERRUPTED)):
        with h5py.File(place / f"{name}.vtkhdf", "w") as file:
            file["kanpde/end"] = np.array([end.name.encode(), b""])
            file["kanpde"].attrs["format"] = FORMAT
    monkeypatch.setenv("LEDGER_TEST", str(place))
    return place


def ledger(root, *how, **named):
    runs = [Run(f"arm/{i}", (each,)) for i, each in enumerate(how)]
    return Ledger(root / "study", [*runs, *(Run(name, (each,)) for name, each in named.items())])


def quiet(line):
    pass


def do(which, **options):
    return conduct(which, say=quiet, command=COMMAND, **options)


def states(found):
    return [each.state for each in found.values()]


def begun(templates):
    return (templates / "begun").read_text().splitlines() if (templates / "begun").exists() else []


def table(which):
    with open(which.root / "ledger.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# states --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("how", "state", "reason"),
    [
        ("ok", "finished", "steps done"),
        ("error", "failed", "Grid must be positive. Write grid=4."),
        ("bug", "failed", "RuntimeError: ours"),
        ("crash", "failed", "The process crashed (SIGABRT)."),
        ("nothing", "failed", "The process ended without an error and without a result."),
        ("ctrl-c", "interrupted", "interrupted"),
        ("half", "interrupted", "ended by SIGKILL"),
        ("pictures", "finished", "steps done"),
    ],
)
def test_what_a_process_leaves_says_what_became_of_it(tmp_path, how, state, reason):
    one = ledger(tmp_path, how)
    (found,) = do(one).values()
    assert (found.state, found.reason, found.attempts) == (state, reason, 1)
    assert 0 < found.seconds < 30
    assert (one.root / "runs" / "arm" / "0" / FAILED).exists() == (state == "failed")
    (row,) = table(one)
    assert (row["run"], row["state"], row["reason"], row["attempts"]) == ("arm/0", state, reason, "1")
    assert float(row["seconds"]) == found.seconds and row["command"] == f"python -m kanpde {how}"


def test_runs_of_which_nothing_or_only_leftovers_are_there(tmp_path):
    one = ledger(tmp_path, "ok", "ok", "ok")
    for name in ("1", "2"):
        one.folder(Run(f"arm/{name}", ())).mkdir(parents=True)
    (one.root / "runs/arm/1" / RESULT).write_bytes(b"not a result")
    (one.root / "runs/arm/2" / JOURNAL).write_text('{"overrides": ["ok"]}\n{"ended": "2026-')
    assert states(one.statuses()) == ["not begun", "interrupted", "interrupted"]
    assert one.counts() == {"interrupted": 2, "not begun": 1}
    found = do(one)
    assert states(found) == ["finished"] * 3 and [each.attempts for each in found.values()] == [1, 1, 2]


def test_a_result_cut_in_the_middle_is_not_finished(tmp_path, templates):
    one = ledger(tmp_path, "ok")
    do(one)
    result = one.folder(one.runs[0]) / RESULT
    result.write_bytes(result.read_bytes()[:-100])
    assert states(one.statuses()) == ["interrupted"]
    assert states(do(one)) == ["finished"] and len(begun(templates)) == 2


def test_the_next_call_does_what_is_missing_and_clears_what_was_left(tmp_path, templates):
    one = ledger(tmp_path, "ok", "once", "error", "half")
    assert states(do(one, workers=2)) == ["finished", "interrupted", "failed", "interrupted"]
    (templates / "again").touch()
    folder = one.folder(one.runs[1])
    for name in (CONFIG, "loss.png", "note.txt", ".solution.vtkhdf.99"):
        (folder / name).touch()
    assert states(do(one, workers=2)) == ["finished", "finished", "failed", "interrupted"]
    assert sorted(p.name for p in folder.iterdir()) == sorted([JOURNAL, LOG, RESULT, "note.txt"])
    names = [Path(line).name for line in begun(templates)]
    assert sorted(names) == ["0", "1", "1", "2", "3", "3"]
    assert [row["attempts"] for row in table(one)] == ["1", "2", "1", "2"]


def test_failed_runs_are_tried_again_on_demand_only(tmp_path, templates):
    one = ledger(tmp_path, "error", "ok")
    do(one), do(one)
    assert len(begun(templates)) == 2
    found = do(one, retry_failed=True)
    assert states(found) == ["failed", "finished"] and found["arm/0"].attempts == 2 and len(begun(templates)) == 3


def test_a_run_that_takes_too_long_fails(tmp_path):
    one = ledger(tmp_path, "hang", "ok")
    found = do(one, timeout=0.5)
    assert states(found) == ["failed", "finished"]
    assert found["arm/0"].reason == "It took more than 0.5 s and was ended." and found["arm/0"].seconds < 10


@pytest.mark.slow
def test_the_real_command_fails_with_its_message(tmp_path):
    """That options are handed on, and that messages are found in what it prints."""
    one = Ledger(tmp_path / "study", [Run("a/0", ("problem=poison",))])
    (found,) = conduct(one, say=quiet).values()
    assert (found.state, found.reason) == ("failed", 'Unknown problem "poison". Did you mean "poisson"?')


# several at once -----------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_never_more_processes_than_workers(tmp_path):
    one = ledger(tmp_path, *["slow"] * 6)
    most = []

    def watch():
        while not over.wait(0.02):
            most.append(states(one.statuses()).count("running"))

    over = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    do(one, workers=3)
    over.set()
    watcher.join()
    assert max(most) == 3


@pytest.mark.long
def test_two_calls_on_one_folder_do_every_run_once(tmp_path, templates):
    one = ledger(tmp_path, *["slow"] * 5, *["ok"] * 10, *["error"] * 3)
    calls = [threading.Thread(target=do, args=(one,), kwargs={"workers": 2, "retry_failed": True}) for _ in range(2)]
    for each in calls:
        each.start()
    for each in calls:
        each.join()
    assert sorted(begun(templates)) == sorted(str(one.folder(run)) for run in one.runs)
    assert one.counts() == {"finished": 15, "failed": 3}
    assert [row["state"] for row in table(one)] == ["finished"] * 15 + ["failed"] * 3


def conductor(one):
    """A process that conducts."""
    process = multiprocessing.get_context("fork").Process(target=do, args=(one,))
    process.start()
    return process


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def pid(templates, one, run):
    """Of the process that does a run: the only one that has the journal open besides the conductor."""
    path = str((one.folder(run) / JOURNAL).resolve())
    holders = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if path in [os.readlink(each) for each in (place / "fd").iterdir()]:
                holders.append(int(place.name))
        except OSError:
            continue
    return holders


def test_a_killed_run_is_interrupted_and_a_killed_call_loses_nothing(tmp_path, templates):
    one = ledger(tmp_path, "hang", "ok")
    process = conductor(one)
    wait_until(lambda: begun(templates))
    assert states(one.statuses()) == ["running", "not begun"]
    child = next(each for each in pid(templates, one, one.runs[0]) if each != process.pid)
    process.kill()
    process.join()
    assert states(one.statuses()) == ["running", "not begun"]  # the run goes on, and nobody else may begin it
    assert hold(one.folder(one.runs[0])) is None
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: states(one.statuses()) == ["interrupted", "not begun"])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_processes_and_leaves_the_right_states(tmp_path, templates, capfd, how):
    one = ledger(tmp_path, "hang", "ok")
    process = conductor(one)
    wait_until(lambda: begun(templates))
    os.kill(process.pid, how)
    process.join(20)
    assert "KeyboardInterrupt" in capfd.readouterr().err
    assert states(one.statuses()) == ["interrupted", "not begun"] == [row["state"] for row in table(one)]
    assert not pid(templates, one, one.runs[0])


def test_a_call_waits_for_what_another_has_under_way_and_takes_over(tmp_path, templates):
    one = ledger(tmp_path, "ok")
    folder = one.folder(one.runs[0])
    journal = hold(folder)
    assert status(folder).state == "running" and status(folder, mine=True).state == "not begun"
    said = []
    call = threading.Thread(target=conduct, args=(one,), kwargs={"say": said.append, "command": COMMAND})
    call.start()
    wait_until(lambda: any("waiting for another process" in line.lower() for line in said))
    assert not begun(templates)
    journal.close()
    call.join(20)
    assert states(one.statuses()) == ["finished"]


# refused -------------------------------------------------------------------------------------------------------------
def test_other_options_in_the_same_folder_are_refused(tmp_path, templates):
    do(ledger(tmp_path, "ok"))
    with pytest.raises(InputError, match=r"other options: ok there, error now"):
        do(ledger(tmp_path, "error"))
    assert len(begun(templates)) == 1


@pytest.mark.parametrize("names", [["a", "a"], ["../a"], ["/a"], [""]])
def test_names_that_cannot_be(tmp_path, names):
    with pytest.raises(InputError, match=r"Give every run|Write for example kan/3"):
        Ledger(tmp_path, [Run(name, ()) for name in names])


def test_no_workers(tmp_path):
    with pytest.raises(InputError, match="Write workers=1"):
        do(ledger(tmp_path, "ok"), workers=0)


def test_every_process_has_one_thread(tmp_path):
    show = (sys.executable, "-c", "import os, sys; sys.exit('threads ' + os.environ['OMP_NUM_THREADS'])")
    (found,) = conduct(ledger(tmp_path, "ok"), say=quiet, command=show).values()
    assert found.reason == "threads 1"


def test_the_journal_says_when_and_how(tmp_path):
    one = ledger(tmp_path, "bug")
    do(one)
    lines = (one.folder(one.runs[0]) / JOURNAL).read_text().split("\n")
    begin, process, end = (json.loads(line) for line in lines if line)
    assert begin["overrides"] == ["bug"] and "hydra.run.dir=" in begin["command"]
    assert process["pid"] > 1 and end["code"] == 1
