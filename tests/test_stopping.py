"""Signals: a flag, the exit codes, the handlers of launchers."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT, load_problem

import kanpde
from kanpde import KAN, LM, InputError, Phase, Sampling, solve
from kanpde.command import main
from kanpde.ends import End, Ending, Stopped
from kanpde.runs.status import RunState, status
from kanpde.storage.checkpoint import checkpoint_files
from kanpde.training.signals import StopRequest, signals_of_command, stop_on

pytestmark = pytest.mark.usefixtures("unchecked")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 138}
RUN = [
    "problem=poisson",
    "problem.dim=1",
    "model.hidden=[3]",
    "model.degree=4",
    "schedule.phases=[{steps:12}]",
    "plots=false",
    "schedule.starts=1",
]
RUN += ["sampling.interior=64", "sampling.boundary=32", "output.cells=4", "hydra.run.dir=run"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def weights(folder):
    state = kanpde.load(folder).model.state_dict()
    return {key: tensor.tolist() for key, tensor in state.items()}


def signalled_at(monkeypatch, step, number):
    """Sends this process a signal after a step of the next run."""
    original = kanpde.terminal.Display.observe

    def observe(self, progress):
        original(self, progress)
        if progress.step == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(kanpde.terminal.Display, "observe", observe)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The weights that the run reaches without a signal."""
    place = tmp_path_factory.mktemp("undisturbed") / "run"
    assert main([*RUN[:-1], f"hydra.run.dir={place}"]) == 0
    return weights(place)


@pytest.mark.long
@pytest.mark.parametrize("number", [*list(CODES)[:2], pytest.param(signal.SIGUSR1, marks=pytest.mark.slow)])
def test_a_signal_ends_the_step_and_the_run_goes_on_from_there(folder, monkeypatch, number, capsys, undisturbed):
    with monkeypatch.context() as patch:
        signalled_at(patch, 7, number)
        assert main(RUN) == CODES[number]
    assert status(folder / "run").state is RunState.INTERRUPTED
    assert (folder / "run" / "solution.vtkhdf").is_file() == (number == signal.SIGINT)
    assert "resume=run" in capsys.readouterr().out
    assert main(["resume=run"]) == 0
    assert "resumed in phase 1 of 1, after step 7" in (folder / "run" / "run.log").read_text()
    assert status(folder / "run").state is RunState.FINISHED
    assert weights(folder / "run") == undisturbed


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, *(pytest.param(n, marks=pytest.mark.slow) for n in list(CODES)[1:])])
def test_a_process_in_the_background_of_a_shell_is_stopped_too(folder, number):
    """Shells set SIGINT to "ignored" for what they start in the background."""
    long = [o.replace("{steps:12}", "{steps:1000000,optimizer:{name:adam}}") for o in RUN]
    process = subprocess.Popen(
        [sys.executable, "-m", "kanpde", *long],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    end = time.monotonic() + 60
    while not checkpoint_files(folder / "run") and time.monotonic() < end:
        time.sleep(0.05)
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(30) == CODES[number]
    assert time.monotonic() - began < 10
    assert status(folder / "run").state is RunState.INTERRUPTED


def test_a_second_ctrl_c_ends_at_once_and_keeps_the_checkpoint(tmp_path):
    def twice(progress):
        if progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    problem, few = load_problem("poisson")(), Sampling("gauss", 64, 32)
    model, phases = KAN([2], degree=4), [Phase(LM(), steps=50)]
    solution = solve(problem, model, phases, sampling=few, folder=tmp_path, observe=twice)
    assert solution.ending == Ending(End.INTERRUPTED) and len(solution.history) == 3
    assert checkpoint_files(tmp_path)


def test_handlers_are_restored():
    before = {number: signal.getsignal(number) for number in CODES}
    with stop_on(*CODES) as request:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
    assert request.end is End.TERMINATED
    assert {number: signal.getsignal(number) for number in CODES} == before


def test_other_threads_note_nothing():
    found = []

    def run():
        with stop_on(signal.SIGINT) as request:
            found.append(request.end)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [None]


# launchers -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def launcher():
    """Handlers of a launcher's own."""
    calls = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    yield lambda number, act: signal.signal(number, lambda n, frame: (calls.append(n), act())), calls
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.long
def test_a_launchers_handler_runs_when_the_state_is_saved(folder, monkeypatch, launcher):
    install, calls = launcher

    def requeue():
        calls.append(bool(checkpoint_files(folder / "run")))
        sys.exit(77)

    install(signal.SIGUSR2, requeue)
    assert signal.SIGUSR2 in signals_of_command()
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as exit:
        signalled_at(patch, 7, signal.SIGUSR2)
        main(RUN)
    assert exit.value.code == 77 and calls == [signal.SIGUSR2, True]
    assert main(["resume=run"]) == 0
    assert "after step 7" in (folder / "run" / "run.log").read_text()


@pytest.mark.long
def test_a_launcher_that_bypasses_a_signal_lets_the_run_go_on(folder, monkeypatch, launcher):
    install, calls = launcher
    install(signal.SIGTERM, lambda: None)
    with monkeypatch.context() as patch:
        signalled_at(patch, 7, signal.SIGTERM)
        assert main(RUN) == 0
    assert calls == [signal.SIGTERM] and status(folder / "run").state is RunState.FINISHED
    assert len(kanpde.load(folder / "run").history) == 12


def test_a_launcher_that_cannot_go_on_leaves_a_run_that_can(launcher):
    install, _ = launcher

    def fail():
        raise RuntimeError("timed out too many times")

    install(signal.SIGTERM, fail)
    with stop_on(signal.SIGTERM) as request:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            request.is_taken_over()


def test_nothing_is_taken_over_without_a_launcher():
    request = StopRequest()
    request.note(signal.SIGTERM, None, signal.SIG_DFL)
    assert not request.is_taken_over() and request.end is End.TERMINATED


@pytest.mark.long
def test_a_finished_run_that_is_extended_and_stopped_is_not_finished(folder, monkeypatch):
    assert main(RUN) == 0
    with monkeypatch.context() as patch:
        signalled_at(patch, 15, signal.SIGTERM)
        assert main(["resume=run", "schedule.phases.0.steps=20"]) == 143
    assert status(folder / "run").state is RunState.INTERRUPTED
    assert main(["resume=run"]) == 0
    assert status(folder / "run").state is RunState.FINISHED and len(kanpde.load(folder / "run").history) == 20


@pytest.mark.long
def test_a_finished_run_without_checkpoints_is_not_begun_anew(folder, capsys):
    assert main(RUN) == 0
    for path in checkpoint_files(folder / "run"):
        path.unlink()
    before = {path.name: path.read_bytes() for path in (folder / "run").iterdir()}
    assert main(["resume=run", "schedule.phases.0.steps=20"]) == 2
    assert "no checkpoint" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (folder / "run").iterdir()} == before


@pytest.mark.long
def test_a_finished_run_says_what_it_can_be_given(folder, capsys):
    assert main(RUN) == 0
    for wrong in ([], ["time_limit=60"], ["schedule.phases.7.steps=5"]):
        assert main(["resume=run", *wrong]) == 2
    assert capsys.readouterr().err.count("schedule.phases.0.steps=500") == 3
    with pytest.raises(InputError, match="run of the command line"):
        solve(load_problem("poisson")(), KAN([2]), [Phase(LM(), steps=1)], folder="run")
    assert checkpoint_files(folder / "run")
