"""Sweeps that go on where they stopped: the same command again, other options in the same folder, runs apart."""

import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

import kanpde
import kanpde.runs.execute
from kanpde.command import main
from kanpde.ends import End, Ending
from kanpde.paths import FAILED, JOURNAL, LOG, RESULT
from kanpde.runs.journal import hold
from kanpde.runs.status import RunState, status
from kanpde.storage.checkpoint import checkpoint_files

pytestmark = pytest.mark.usefixtures("unchecked")
QUICK = [
    "problem.dim=1",
    "model=mlp",
    "model.hidden=[2]",
    "schedule.phases=[{steps:1}]",
    "schedule.starts=1",
    "sampling.interior=16",
    "sampling.boundary=8",
    "output.cells=2",
    "plots=false",
    "device=cpu",
]
SWEEP = ["-m", *QUICK, "hydra.sweep.dir=sweep"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr("kanpde.study.table.save_scaling", lambda *args: None)  # takes its time
    return tmp_path / "sweep"


def has(package):
    try:
        return find_spec(f"hydra_plugins.{package}") is not None
    except ModuleNotFoundError:
        return False


def times(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob(f"*/{RESULT}")}


@pytest.mark.long
def test_the_same_command_again_does_what_is_missing_and_a_longer_one_adds(folder, capsys):
    assert main([*SWEEP, "seed=range(2)"]) == 0
    first = times(folder)
    (folder / "0" / RESULT).unlink()
    capsys.readouterr()
    assert main([*SWEEP, "seed=range(3)"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^Run 2 of 3: seed=1: finished .*\(steps done\)$", text, re.MULTILINE)
    assert len(re.findall(r"^Run .*: finished", text, re.MULTILINE)) == 1
    assert "\nRun 1 of 3: seed=0\n" in text and "\nRun 3 of 3: seed=2\n" in text
    second = times(folder)
    assert set(second) == {"0", "1", "2"} and first["1"] == second["1"] and first["0"] != second["0"]
    assert [status(folder / name).attempts for name in "012"] == [2, 1, 1]
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == ["0", "1", "2"]


@pytest.mark.long
def test_a_run_that_ctrl_c_cut_short_is_done_again(folder, monkeypatch, capsys):
    course = sys.modules["kanpde.training.course"]
    monkeypatch.setattr(course, "limit", lambda settings, around: Ending(End.INTERRUPTED))
    monkeypatch.setattr(sys.modules["kanpde.training.leaving"], "limit", course.limit)
    assert main([*SWEEP, "seed=0,1"]) == 130
    assert (folder / "0" / RESULT).is_file() and not (folder / "1").exists()
    assert "hydra.sweep.dir=sweep" in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.chdir(folder.parent)
    assert main([*SWEEP, "seed=0,1"]) == 0
    assert [status(folder / name).state for name in "01"] == ["finished", "finished"]


@pytest.mark.long
def test_failed_runs_stay_failed_unless_they_are_to_be_tried_again(folder, capsys):
    command = [*SWEEP, "threads=1,0"]
    assert main(command) == 1
    before = times(folder)
    capsys.readouterr()
    assert main(command) == 1
    text = capsys.readouterr().out
    assert re.search(r"^Run 2 of 2: threads=0: failed .*threads=1", text, re.MULTILINE) and "Ended" not in text
    assert main([*command, "retry_failed=true"]) == 1
    assert times(folder) == before and [status(folder / name).attempts for name in "01"] == [1, 2]


@pytest.mark.long
def test_other_options_in_the_same_folder_are_refused_before_anything_is_run(folder, capsys):
    assert main([*SWEEP, "seed=0,1"]) == 0
    before, there = times(folder), sorted(folder.rglob("*"))
    assert main([*SWEEP, "seed=7,0", "model.scale=2"]) == 2
    assert main([*SWEEP, "seed=0,2,1"]) == 2
    error = capsys.readouterr().err
    first, second = error.splitlines()
    assert "sweep/0 " in first and "seed=0 there, 7 now" in first and "model.scale=1.0 there, 2 now" in first
    assert "sweep/1 " in second and "seed=1 there, 2 now" in second and "hydra.sweep.dir=" in second
    assert times(folder) == before and sorted(folder.rglob("*")) == there


def test_a_run_that_another_process_does_is_left_to_it(folder, capsys):
    with hold(folder / "0"):
        assert main([*SWEEP, "seed=0,1"]) == 0
    assert re.search(r"^Run 1 of 2: seed=0: another process", capsys.readouterr().out, re.MULTILINE)
    assert set(times(folder)) == {"1"}


@pytest.mark.long
def test_options_of_sweeps_are_for_sweeps_and_not_part_of_a_run(folder, capsys):
    for name in ("isolate", "retry_failed"):
        assert main([*QUICK, f"{name}=true"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert name in line and "-m" in line
    assert main([*SWEEP, "seed=0,1", "isolate=maybe"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "maybe" in line and "isolate=true" in line
    assert not list(folder.parent.rglob(LOG))
    assert main([*SWEEP, "seed=0", "retry_failed=true"]) == 0
    assert not {"isolate", "retry_failed"} & set(yaml.safe_load((folder / "0" / "config.yaml").read_text()))


@pytest.mark.parametrize(
    ("option", "plugin", "extra"),
    [
        ("hydra/launcher=joblib", "hydra_joblib_launcher", "joblib"),
        ("hydra/launcher=ray", "hydra_ray_launcher", "ray"),
        ("hydra/launcher=slurm", "hydra_submitit_launcher", "slurm"),
        ("+study=tune", "hydra_optuna_sweeper", "tune"),
    ],
)
def test_what_is_not_installed_is_named(folder, capsys, monkeypatch, option, plugin, extra):
    real = find_spec
    monkeypatch.setattr("kanpde.command.sweeping.find_spec", lambda name: None if name.endswith(plugin) else real(name))
    assert main([*SWEEP, "seed=0,1", option]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert option in line and f"pip install 'kanpde[{extra}]'" in line
    assert not folder.exists()


@pytest.mark.parametrize("is_installed", [True, False])
def test_tuning_is_for_sweeps(folder, capsys, monkeypatch, is_installed):
    monkeypatch.setattr("kanpde.command.sweeping.find_spec", lambda name: object() if is_installed else None)
    assert main(["+study=tune", *QUICK]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "python -m kanpde -m +study=tune" in line and ("pip install 'kanpde[tune]'" in line) != is_installed
    assert not list(folder.parent.iterdir())


def test_a_missing_extra_is_named_where_the_config_is_only_shown(capsys, monkeypatch):
    monkeypatch.setattr("kanpde.command.sweeping.find_spec", lambda name: None)
    assert main(["+study=tune", "--cfg", "job"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'kanpde[tune]'" in line


# going on from checkpoints -------------------------------------------------------------------------------------------
LONG = [*(o.replace("steps:1", "steps:12") for o in SWEEP), "seed=0,1"]


def stopped_at(monkeypatch, step):
    """Stops the next run after a step, as SIGTERM would."""
    original = kanpde.terminal.Display.observe

    def observe(self, progress):
        original(self, progress)
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(kanpde.terminal.Display, "observe", observe)


def losses(folder):
    return [row["loss"] for row in kanpde.load(folder).history]


@pytest.mark.long
@pytest.mark.parametrize("apart", [[], pytest.param(["isolate=true"], marks=pytest.mark.slow)])
def test_an_interrupted_run_goes_on_from_its_checkpoint(folder, monkeypatch, apart):
    assert main([o.replace("=sweep", "=whole") for o in LONG]) == 0
    with monkeypatch.context() as patch:
        stopped_at(patch, 5)
        assert main(LONG) == 143
    assert [status(folder / name).state for name in "01"] == [RunState.INTERRUPTED, RunState.EMPTY]
    assert main([*LONG, *apart]) == 0
    assert "resumed in phase 1 of 1, after step 5" in (folder / "0" / LOG).read_text()
    assert [status(folder / name).state for name in "01"] == [RunState.FINISHED] * 2
    assert [losses(folder / name) for name in "01"] == [losses(folder.parent / "whole" / name) for name in "01"]


@pytest.mark.long
def test_a_checkpoint_of_another_version_is_kept_and_said(folder, monkeypatch):
    with monkeypatch.context() as patch:
        stopped_at(patch, 5)
        patch.setattr("kanpde.training.solve.__version__", "0.0")
        assert main(LONG) == 143
    kept = [path.read_bytes() for path in checkpoint_files(folder / "0")]
    assert main(LONG) == 1
    assert "kanpde 0.0" in (folder / "0" / FAILED).read_text()
    assert [path.read_bytes() for path in checkpoint_files(folder / "0")] == kept


@pytest.mark.long
def test_a_run_killed_after_its_time_was_up_is_completed(folder, monkeypatch):
    """The result was not saved yet; there is no time left, and none is needed."""

    def killed(*arguments):
        raise KeyboardInterrupt

    timed = [o.replace("steps:12", "steps:100000") for o in LONG[:-1]]
    with monkeypatch.context() as patch:
        patch.setattr("kanpde.runs.execute.save", killed)
        assert main([*timed, "seed=0", "time_limit=0.3"]) == 130
    assert main([*timed, "seed=0", "time_limit=0.3"]) == 0
    assert status(folder / "0").state is RunState.FINISHED


@pytest.mark.long
def test_a_signal_while_a_result_is_saved_ends_the_sweep(folder, monkeypatch):
    original = kanpde.runs.execute.save

    def save(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    monkeypatch.setattr("kanpde.runs.execute.save", save)
    assert main(LONG) == 143
    assert [status(folder / name).state for name in "01"] == [RunState.FINISHED, RunState.EMPTY]


@pytest.mark.slow
@pytest.mark.skipif(not has("hydra_submitit_launcher"), reason="needs hydra-submitit-launcher")
def test_a_preempted_job_of_submitit_is_put_into_the_queue_again_and_goes_on(folder):
    """submitit's local executor: SIGTERM is bypassed, SIGUSR2 requeues the job, and the run goes on."""
    phases = "schedule.phases=[{steps:4000,optimizer:{name:adam}}]"
    command = [*(o for o in SWEEP if not o.startswith("schedule.phases")), phases, "seed=0,1"]
    launcher = ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=30", "checkpoint=0.01"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "kanpde", *command, *launcher], env=environment)
    end = time.monotonic() + 90
    while not checkpoint_files(folder / "0") and time.monotonic() < end:
        time.sleep(0.1)
    job = next(pid for pid in holders(folder / "0" / JOURNAL))
    os.kill(job, signal.SIGTERM)
    time.sleep(1.0)
    os.kill(job, signal.SIGUSR2)
    assert process.wait(300) == 0
    assert [status(folder / name).state for name in "01"] == [RunState.FINISHED] * 2
    assert (folder / "0" / LOG).read_text().count("resumed in phase") == 1
    assert len(losses(folder / "0")) == 4000


def holders(path):
    """The processes that have a file open."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str(path.resolve()) in [os.readlink(each) for each in (place / "fd").iterdir()]:
                yield int(place.name)
        except OSError:
            continue


# processes -----------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_run_apart_can_be_killed_without_harm_to_the_others(folder, capsys):
    """A real sweep: its first run is killed, the others are done, and the same command does the first."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kanpde", *SWEEP, "seed=0,1", "threads=1,0", "isolate=true"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    while not (folder / "0" / JOURNAL).is_file() or '"pid"' not in (folder / "0" / JOURNAL).read_text():
        time.sleep(0.01)
    pid = int((folder / "0" / JOURNAL).read_text().partition('"pid": ')[2].partition("}")[0])
    os.kill(pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1 and "ended by SIGKILL" in output
    assert "1 unfinished" in output and "hydra.sweep.dir=sweep" in output
    assert [status(folder / str(i)).state for i in range(4)] == ["interrupted", "failed", "finished", "failed"]
    assert main([*SWEEP, "seed=0,1", "threads=1,0", "isolate=true"]) == 1
    assert [status(folder / str(i)).state for i in range(4)] == ["finished", "failed", "finished", "failed"]
    assert (folder / "1" / FAILED).read_text() == "threads must be at least 1, got 0. Write threads=1.\n"


@pytest.mark.slow
def test_the_benchmark_with_few_runs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    from survive import survive

    text = survive(Path(tmp_path), 12, 2, 1, 2, stand_in=False)
    assert "second command: 11 finished, 1 failed" in text


@pytest.mark.slow
@pytest.mark.skipif(not has("hydra_joblib_launcher"), reason="needs hydra-joblib-launcher")
def test_joblib_does_the_runs_in_other_processes(folder):
    command = [sys.executable, "-m", "kanpde", *SWEEP, "seed=range(3)", "threads=1,0", "hydra/launcher=joblib"]
    done = subprocess.run(
        [*command, "hydra.launcher.n_jobs=2"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stderr == ""
    lines = sorted(line for line in done.stdout.splitlines() if line.startswith("Run "))
    assert [line.split(" in ")[0] for line in lines[:2]] == [
        "Run 1 of 6: seed=0 threads=1: finished",
        "Run 2 of 6: seed=0 threads=0: failed",
    ]
    assert len(lines) == 6 and "Ended:" not in done.stdout and "3 failed" in done.stdout
    assert (folder / "summary.csv").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not has("hydra_optuna_sweeper"), reason="needs hydra-optuna-sweeper")
def test_tuning_says_what_did_best_and_goes_on_where_it_stopped(folder, capsys):
    quick = [o for o in SWEEP if not o.startswith("model.")]
    command = [*quick, "+study=tune", "hydra.sweeper.n_trials=3"]
    assert main(command) == 0
    rows = (folder / "trials.csv").read_text().splitlines()
    assert len(rows) == 4 and "Best of 3 trials" in capsys.readouterr().out
    (folder / "1" / RESULT).unlink()
    before = times(folder)
    assert main(command) == 0
    text = capsys.readouterr().out
    assert text.count("finished before") == 2 and "Run 2 of 3: model.hidden=" in text
    assert {name: before[name] for name in "02"} == {name: times(folder)[name] for name in "02"}
    best = min(rows[1:], key=lambda row: float(row.split(",")[2]))
    assert best.split(",")[0] in "012" and "model.activation=" in text.partition("python -m kanpde ")[2]
