"""The command line as it is typed: results, messages, exit codes and what is left behind."""

import io
import os
import re
import signal
import subprocess
import sys
from functools import partial
from math import nan
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from conftest import PROBLEMS, ROOT
from rich.console import Console

import kanpde.configure.job
import kanpde.terminal
from kanpde import Box
from kanpde.command import main
from kanpde.errors import InputError
from kanpde.storage.folders import claim, discard, new_folder
from kanpde.terminal import Display, report
from kanpde.training.phases import Progress

pytestmark = pytest.mark.usefixtures("unchecked")
SOLVE = sys.modules["kanpde.training.solve"]  # kanpde.solve is the function
QUICK = [
    "schedule.phases=[{steps:2}]",
    "schedule.starts=1",
    "sampling.interior=64",
    "sampling.boundary=16",
    "output.cells=4",
]
QUICK += ["model.hidden=[2]", "model.degree=3", "plots=false", "device=cpu"]
OWN = """
from kanpde import Box, Condition, Problem, dirichlet, laplacian

def own(upper: float = 1.0):
    domain = Box(x=(0.0, upper), y=(0.0, 1.0))

    def residual(u):
        return laplacian(u) - 1

    return Problem(domain, {"pde": Condition(domain.interior, residual), "boundary": dirichlet(domain.boundary)})
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    return tmp_path


@pytest.fixture
def own(folder):
    """A problem of the user's own: one python file and one yaml."""
    (folder / "own.py").write_text(OWN)
    (folder / "conf" / "problem").mkdir(parents=True)
    (folder / "conf" / "problem" / "own.yaml").write_text("name: own\nupper: 2.0\n")
    return folder / "own.py"


def broken(*args):
    raise RuntimeError("ours")


def runs(folder):
    return sorted(folder.glob("outputs/*/*"))


# runs ----------------------------------------------------------------------------------------------------------------
def test_a_run_leaves_its_results(folder, capsys, monkeypatch):
    monkeypatch.setattr("kanpde.plots.run.DPI", 40)
    code = main(["problem=helmholtz", "model=kan", "weights.boundary=100", "schedule=refine", *QUICK, "plots=true"])
    assert code == 0
    (run,) = runs(folder)
    assert run.name.endswith("-helmholtz-kan")
    assert {"solution.vtkhdf", "solution.xdmf", "config.yaml", "run.log"} <= {p.name for p in run.iterdir()}
    assert list(run.glob("*.png"))
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["weights"] == {"boundary": 100} and "hydra" not in config and config["problem"]["a2"] == 4.0
    output, log = capsys.readouterr().out, (run / "run.log").read_text()
    assert "python -m kanpde problem=helmholtz model=kan weights.boundary=100" in log
    where = run.relative_to(folder)
    said = ["LM by cholesky, grid 4", "Ended: steps done.", "Relative error of u: L2", " parameters, 2 steps"]
    for line in (*said, f"paraview {where}/solution.xdmf", f'  load:        import kanpde; s = kanpde.load("{where}")'):
        assert line in output and line in log


def test_a_formula_that_is_refused_leaves_the_result(folder, capsys, monkeypatch):
    """The run has ended by then, so its pictures and the report are written all the same."""

    def refused(*args, **options):
        raise InputError("The solution is not accurate enough to decide.")

    monkeypatch.setattr("kanpde.formulas.formula", refused)
    monkeypatch.setattr("kanpde.plots.run.DPI", 40)
    assert main(["problem=helmholtz", "model=kan", "schedule=refine", *QUICK, "plots=true", "formula=true"]) == 0
    output = capsys.readouterr().out
    assert "Formula: The solution is not accurate enough to decide." in output and "Results: " in output
    (result,) = runs(folder)
    assert (result / "network.png").is_file() and not (result / "formula.json").exists()


def test_a_list_element_and_an_unlisted_weight_can_be_given(folder):
    assert (
        main([*QUICK, "schedule.phases.0.steps=1", "weights.pde=3", "problem=heat", "model=mlp", "~model.degree"]) == 0
    )
    (run,) = runs(folder)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["schedule"]["phases"] == [{"steps": 1}] and config["weights"] == {"pde": 3}


def test_the_users_own_problem_needs_no_edit_here(own, capsys):
    assert main(["problem=own", *QUICK]) == 0
    output = capsys.readouterr().out
    assert "own (own.py): u on Box(x=(0, 2), y=(0, 1))" in output
    assert "No exact solution" in output
    with pytest.raises(SystemExit):
        main(["--help"])
    assert f"problem: {', '.join(sorted([*PROBLEMS, 'own']))}" in " ".join(capsys.readouterr().out.split())


def test_runs_in_the_same_second_get_folders_of_their_own(folder):
    first, log = claim(folder / "a" / "run")
    second, other = claim(folder / "a" / "run")
    log.close(), other.close()
    assert (first.name, second.name) == ("run", "run-2")
    assert [new_folder(folder / "sweep").name for _ in range(3)] == ["sweep", "sweep-2", "sweep-3"]


def test_discarding_keeps_what_is_not_the_runs(folder):
    run, log = claim(folder / "outputs" / "day" / "run")
    log.close()
    (folder / "outputs" / "note.txt").touch()
    discard(run)
    assert [p.name for p in (folder / "outputs").iterdir()] == ["note.txt"]
    run, log = claim(folder / "outputs")
    log.close()
    (run / "solution.vtkhdf").touch()
    discard(run)
    assert (run / "run.log").exists()


def test_ctrl_c_keeps_what_was_reached(folder):
    steps = ["schedule.phases=[{steps:1000000,optimizer:{name:adam}}]"]
    command = [sys.executable, "-m", "kanpde", *QUICK, *steps]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell's children ignore it
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("phase 1/1"):
            process.send_signal(signal.SIGINT)
            break
    rest = process.stdout.read()
    assert process.wait(timeout=30) == 130
    assert "Ended: interrupted." in rest
    assert (runs(folder)[0] / "solution.vtkhdf").is_file()


# help ----------------------------------------------------------------------------------------------------------------
def test_help_lists_all_choices_and_options(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--help"])
    text = capsys.readouterr().out
    assert exit.value.code == 0
    words = " ".join(text.split())
    for group in (p for p in (ROOT / "conf").iterdir() if p.is_dir() and p.name != "hydra"):
        assert f"{group.name}: {', '.join(sorted(p.stem for p in group.glob('*.yaml')))}" in words
    for option in kanpde.configure.job.OPTIONS:
        assert f"{option}=" in text or f"{option}." in text
    assert len(text.splitlines()) < 40 and max(map(len, text.splitlines())) < 120


# bad input -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["problem=poison"], ['Unknown problem "poison"', '"poisson"']),
        (["model=kaan"], ['Unknown model "kaan"', '"kan"']),
        (["modle=kan"], ['Unknown option "modle"', '"model"']),
        (["sed=1"], ['Unknown option "sed"', '"seed"']),
        (["model.degre=5"], ['Unknown option "model.degre"', '"model.degree"']),
        (["schedule.phases.0.optimizer.name=lbfsg"], ['Unknown optimizer "lbfsg"', '"lbfgs"']),
        (["weights.bondary=3"], ["bondary", '"boundary"']),
        (["problem.dim=two"], ["whole number", "got two", "problem.dim=2."]),
        (["plots=maybe"], ["true or false", "got maybe", "plots=true."]),
        (["model.grid=0"], ["at least 1", "got 0", "model.grid="]),
        (["schedule.phases.0.grid=0"], ["positive", "got 0", "schedule.phases.0.grid=10."]),
        (["model.degree=1"], ["order 2", "order 1", "model.degree="]),
        (["problem=heat", "problem.end=-1"], ["end", "positive", "got -1"]),
        (["poisson"], ['"poisson"', "name=value", "problem=poisson."]),
        (["problem=poisson,heat"], ["several runs", "python -m kanpde -m problem=poisson,heat"]),
        (["--bogus"], ["--bogus", "`python -m kanpde --help`"]),
        (["threads=0"], ["at least 1", "got 0", "threads=1."]),
        (["~model"], ["no model", "~model"]),
        (["problem=null"], ["group override", "string"]),
        (["seed=${nowhere}"], ["'nowhere'", "not found"]),
        (["-m", "problem=poisson,heat", "sed=1"], ['Unknown option "sed"', '"seed"']),
        (["-m", "problem"], ['"problem"', "name=value"]),
    ],
)
def test_bad_input_gets_one_message_and_leaves_nothing(folder, capsys, arguments, facts):
    assert main(arguments) == 2
    output, error = capsys.readouterr()
    assert error.startswith("Error: ") and len(error.splitlines()) == 1
    assert [fact for fact in facts if fact not in error] == [], error
    assert output == "" and list(folder.iterdir()) == []


def test_cuda_that_is_not_there(folder, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["device=cuda"]) == 2
    assert "Write device=cpu, or device=auto." in capsys.readouterr().err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [["hydra.run.dir=file/run"], ["-m", "seed=0,1", "hydra.sweep.dir=file/sweep"]])
def test_a_folder_that_cannot_be_written(folder, capsys, arguments):
    (folder / "file").write_text("in the way")
    assert main([*QUICK, *arguments]) == 2
    assert re.search(
        r"cannot be written: Not a directory.*hydra\.run\.dir=.*hydra\.sweep\.dir=", capsys.readouterr().err
    )
    assert [p.name for p in folder.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return laplacian(u) - 1", "return u.coords[0].value[:, None]", 'Condition "pde" returned a residual of'),
        ("return laplacian(u) - 1", "laplacian(u) - 1", "returned a residual of type NoneType"),
        ("x=(0.0, upper)", "x=(upper, 0.0)", 'The range of "x" needs lower < upper'),
        ("laplacian(u) - 1", "laplacian(u) - lenght", "own.py, line 8: NameError: name 'lenght' is not defined"),
        ("def own(", "def own((", "own.py, line 4: invalid syntax"),
        ("upper: float", "width: float", 'Unknown option "problem.upper". Choices: width.'),
    ],
)
def test_bad_input_in_the_users_problem(folder, own, capsys, old, new, message):
    own.write_text(OWN.replace(old, new))
    assert main(["problem=own", *QUICK]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not (folder / "outputs").exists()


def test_a_python_file_without_yaml_is_pointed_at(own, capsys):
    (own.parent / "conf" / "problem" / "own.yaml").unlink()
    assert main(["problem=own"]) == 2
    assert "needs the line `name: own`" in capsys.readouterr().err


def test_a_traceback_can_be_had(capsys, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert main(["problem.dim=two"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_not_taken_for_bad_input(folder, monkeypatch):
    monkeypatch.setattr(kanpde.solution.Errors, "all", broken)
    with pytest.raises(RuntimeError, match="ours"):
        main(QUICK)
    (run,) = runs(folder)
    assert "RuntimeError: ours" in (run / "run.log").read_text()


# sweeps --------------------------------------------------------------------------------------------------------------
def test_a_failing_run_of_a_sweep_neither_stops_the_others_nor_vanishes(folder, capsys):
    assert main(["-m", "problem=poisson,poison,heat", "problem.dim=1,x", *QUICK]) == 1
    (sweep,) = runs(folder)
    assert sweep.name.endswith("-sweep")
    done = {p.parent.name for p in sweep.glob("*/solution.vtkhdf")}
    failed = {p.parent.name: p.read_text() for p in sweep.glob("*/failed.txt")}
    assert done == {"0", "4"} and set(failed) == {"1", "2", "3", "5"}
    assert failed["2"] == 'Unknown problem "poison". Did you mean "poisson"?\n'
    assert failed["5"].startswith("problem.dim must be a whole number, got x.")
    output, error = capsys.readouterr()
    assert "Run 3 of 6: problem=poison problem.dim=1" in output and "4 failed" in output
    assert error.count("Failed: ") == 4 and "Traceback" not in error
    assert (sweep / "summary.csv").is_file()


def test_a_bug_in_one_run_of_a_sweep_is_kept_with_its_traceback(folder, capsys, monkeypatch):
    monkeypatch.setattr(SOLVE, "choose_dtype", lambda name: broken() if name == "float32" else torch.float64)
    assert main([*QUICK, "-m", "dtype=float32,float64"]) == 1
    (sweep,) = runs(folder)
    assert "Traceback" in (sweep / "0" / "failed.txt").read_text()
    assert (sweep / "1" / "solution.vtkhdf").is_file()


# progress ------------------------------------------------------------------------------------------------------------
STEP = partial(Progress, phases=3, steps=100, parameters=10, grid=8)


def test_progress_is_said_line_by_line_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(kanpde.terminal, "SECONDS_BETWEEN_LINES", 0.0)
    log = io.StringIO()
    with Display(log, ["title", "more"]) as display:
        display.observe(STEP(phase=1, step=1, loss=1e-3, error=0.25, seconds=1.0))
        display.observe(STEP(phase=1, step=4, loss=1e-4, error=nan, seconds=2.0))
        display.say("phase over")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["title", "more"]
    assert lines[2] == "phase 2/3  step 1/100  grid 8  loss 1.0e-03  error 2.5e-01  1 steps/s"
    assert lines[3].endswith("grid 8  loss 1.0e-04  2 steps/s") and lines[4] == "phase over"
    assert [line[9:] for line in log.getvalue().splitlines()] == ["title", "more", "phase over"]


def test_progress_is_said_now_and_then_only(capsys):
    with Display(io.StringIO()) as display:
        for step in range(1, 50):
            display.observe(STEP(phase=0, step=step, loss=1.0, error=nan, seconds=0.1 * step))
    assert capsys.readouterr().out == ""


def test_a_terminal_shows_a_bar(monkeypatch):
    screen = io.StringIO()
    terminal = partial(Console, file=screen, force_terminal=True, force_interactive=True, width=80)
    monkeypatch.setattr(kanpde.terminal, "Console", terminal)
    with Display(io.StringIO()) as display:
        display.observe(STEP(phase=1, step=50, loss=1e-3, error=0.25, seconds=10.0))
        display.bar.refresh()
    shown = [line for line in screen.getvalue().splitlines() if "loss" in line]
    assert "50/100  grid 8  loss 1.0e-03  error 2.5e-01  5 steps/s" in shown[-1] and "━" in shown[-1]


def test_found_coefficients_are_reported():
    model = torch.nn.Module()
    problem = SimpleNamespace(parameters={"k": 1.0}, exact=None, test=None, measures=(), domain=Box(x=(0.0, 1.0)))
    solution = SimpleNamespace(
        reason="converged",
        coefficients={"k": 2.5},
        standard_errors={},
        intervals={},
        correlations={},
        errors={},
        history=[],
        model=model,
        problem=problem,
        settings={"seconds": 3.0},
        levels=[],
        warnings=[],
    )
    assert "Found k = 2.5 (started at 1)." in report(solution, Path("there"))
