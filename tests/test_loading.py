"""The code that a run prints to load it works as printed."""

import sys

import pytest
from conftest import ROOT

from kanpde import KAN, LM, Ansatz, Phase, Sampling, save, solve
from kanpde.command import main
from kanpde.command.composing import config_from
from kanpde.configure.job import make_job
from kanpde.configure.loading import loading_code
from kanpde.storage.output import Output

OWN = """
from kanpde import Ansatz, Box, Condition, Problem, dirichlet, laplacian


def mine(strength: float = 1.0, ends=(0.0, 1.0)) -> Problem:
    domain = Box(x=tuple(ends))
    conditions = {"pde": Condition(domain.interior, lambda u: laplacian(u) - strength)}
    return Problem(domain, {**conditions, "boundary": dirichlet(domain.boundary, 0.0)}, ansatz=Ansatz(ends_held, ()))


def ends_held(coords, n):
    return coords[0] * n
"""


def stored(folder, *options):
    """Solve the problem of these options, store the run, and return it with the code that is printed."""
    job = make_job(config_from(list(options)))
    solution = solve(
        job.problem,
        KAN([2], degree=4, grid=2),
        [Phase(LM(), steps=1)],
        sampling=Sampling("gauss", 40, 10),
        constraints=job.settings["constraints"],
        device="cpu",
    )
    save(solution, folder, Output(cells=4, times=2))
    return solution, loading_code(job, folder, solution.problem.ansatz)


def run_as_printed(code, monkeypatch, folder):
    """Run the code as a Python started in the folder does."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("problems", "mine")]:
        monkeypatch.delitem(sys.modules, name)
    names = {}
    exec(code, names)
    return names["s"]


@pytest.mark.parametrize(
    "options",
    [
        ["problem=poisson"],
        ["problem=poisson", "constraints=hard"],
        ["problem=poisson", "problem.solution=mixed", "constraints=hard"],
        ["problem=heat", "problem.end=0.5", "constraints=hard"],
    ],
    ids=" ".join,
)
def test_packaged_problems(options, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    solution, code = stored(tmp_path / "run", *options)
    copy = run_as_printed(code, monkeypatch, ROOT)
    at = [0.3] * len(solution.problem.domain.names)
    assert copy(*at) == solution(*at)
    assert "from problems." not in code, "the file is the solution by itself"


def test_the_command_prints_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    small = ["constraints=hard", "model.hidden=[2]", "model.degree=4", "sampling=gauss", "sampling.interior=40"]
    short = ["schedule.starts=1", "schedule.phases=[{optimizer:{name:lm},steps:1}]", "output.cells=4", "plots=false"]
    assert main([*small, *short, "device=cpu", f"hydra.run.dir={tmp_path}/run"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "load:" in line)
    copy = run_as_printed(line.replace("load:", "").strip(), monkeypatch, ROOT)
    assert "from problems." not in line and abs(copy(1.0, 0.3)) < 1e-14


@pytest.mark.parametrize("place", [".", "problems"])
def test_a_problem_of_the_user(place, tmp_path, monkeypatch):
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "mine.py").write_text(OWN)
    (tmp_path / "conf" / "problem").mkdir(parents=True)
    (tmp_path / "conf" / "problem" / "mine.yaml").write_text("name: mine\n")
    monkeypatch.chdir(tmp_path)
    options = ["problem=mine", "+problem.strength=2.0", "+problem.ends=[0.0,0.5]"]
    solution, code = stored(tmp_path / "run", *options)
    copy = run_as_printed(code, monkeypatch, tmp_path)
    assert copy(0.3) == solution(0.3)
    assert repr(copy.problem.domain) == "Box(x=(0, 0.5))"


def test_a_checkout_used_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = make_job(config_from(["problem=poisson"]))
    code = loading_code(job, tmp_path / "run", Ansatz(lambda c, n: n, ()))
    assert "problems.poisson import poisson" in code
