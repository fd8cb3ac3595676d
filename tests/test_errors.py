"""Messages of errors: facts in the numerics, Python or options in what is printed."""

import ast
import pickle
import re
from dataclasses import replace
from math import inf

import pytest
import torch
from conftest import load_problem
from test_structure import FILES, PACKAGE, tree

import kanpde
from kanpde import KAN, LBFGS, LM, MLP, Adam, InputError, Output, Phase, Sampling, SSBroyden, solve
from kanpde.bases.bspline import BSpline
from kanpde.command import main
from kanpde.command.composing import config_from
from kanpde.configure.job import make_job
from kanpde.configure.typed import CHOICES, on_command_line
from kanpde.models.shiftrelu import ShiftReLU
from kanpde.models.spikan import SPIKAN
from kanpde.models.splinemlp import SplineMLP

pytestmark = pytest.mark.usefixtures("unchecked")


# rooms that do not know the command line
ROOMS = (
    *("bases", "calculus", "classical", "device", "domains", "factories", "hard_constraints", "models"),
    *("optimizers", "plots", "problem", "residuals", "solution", "storage", "thinning", "training"),
)
FIX = re.compile(r"Write (.+?)(?: in `(.+?)`)?(?:, or (.+?))?\.(?: |$)")
FEW = Sampling("uniform", 64, 64)
poisson = load_problem("poisson")
SMALL = {
    "problem": poisson(),
    "model": KAN([2], degree=4, grid=2),
    "phases": [Phase()],
    "sampling": FEW,
    "device": "cpu",
}


# what sources say ----------------------------------------------------------------------------------------------------
def messages():
    """(place, text) of all strings in the calls that make errors in these rooms; "{}" stands for what is filled in."""
    for path in FILES.values():
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in ROOMS:
            continue
        for call in ast.walk(tree(path)):
            if not isinstance(call, ast.Call) or ast.unparse(call.func) not in ("InputError", "require_box"):
                continue
            for node in ast.walk(call):
                if isinstance(node, ast.JoinedStr):
                    yield (
                        f"{path}:{node.lineno}",
                        "".join(
                            getattr(v, "value", "{}") if isinstance(v, ast.Constant) else "{}" for v in node.values
                        ),
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield f"{path}:{node.lineno}", node.value


@pytest.mark.long
def test_numerics_do_not_speak_command_line():
    """Options such as model.degree=11, constraints=soft or hydra.run.dir; calls such as load(model=module) may."""
    found = list(messages())
    assert len(found) > 100
    option = re.compile(
        r"Write \w+=|\b(model|sampling|output|problem)\.\w+=|\b(hydra|study|schedule)[.=]|\b\w+=[a-z]|python -m"
    )
    spoken = [
        (place, said) for place, said in found if option.search(re.sub(r"\w+\([^()]*(\(\)[^()]*)*\)", "call", said))
    ]
    assert not spoken


def test_phases_in_advice_are_known_to_the_command_line():
    codes = {said for _, said in messages() if said.startswith("[Phase(")}
    assert codes and codes <= set(CHOICES)


# both forms ----------------------------------------------------------------------------------------------------------
class Began(Exception):
    """Training has begun, so nothing was refused."""


def begin(**arguments):
    """`solve` until its first step."""

    def stop(progress):
        raise Began

    with pytest.raises(Began):
        solve(**{**SMALL, **arguments}, observe=stop)


def begin_as_typed(options):
    """The same for options."""
    small = [] if "model=spikan" in options else ["model.hidden=[2]"]
    job = make_job(config_from([*small, "sampling.interior=64", "device=cpu", *options]))
    begin(
        problem=job.problem,
        model=job.model,
        phases=job.schedule.phases,
        starts=job.schedule.starts,
        sampling=job.sampling,
        **job.settings,
    )


def with_arguments(item, path, arguments):
    """The object with other arguments of what is at the path in it."""
    if not path:
        return {**item, **arguments} if isinstance(item, dict) else replace(item, **arguments)
    first, *others = path
    if isinstance(item, dict):
        return {**item, first: with_arguments(item[first], others, arguments)}
    if isinstance(item, list):
        return [with_arguments(x, others, arguments) if i == int(first) else x for i, x in enumerate(item)]
    return replace(item, **{first: with_arguments(getattr(item, first), others, arguments)})


CASES = [
    (KAN, {"grid": 0}, ["model.grid=0"], "model.grid=5"),
    (KAN, {"degree": 60}, ["model.degree=60"], "model.degree=9"),
    (KAN, {"gain": 0.0}, ["model.gain=0"], "model.gain=1.0"),
    (KAN, {"hidden": [0]}, ["model.hidden=[0]"], "model.hidden=[8]"),
    (KAN, {"hidden": [[1, 2, 3]]}, ["model.hidden=[[1,2,3]]"], "model.hidden=[8]"),
    (MLP, {"fourier": -1}, ["model=mlp", "model.fourier=-1"], "model.fourier=32"),
    (SplineMLP, {"hidden": [2, 2]}, ["model=splinemlp", "model.hidden=[2,2]"], "model.hidden=[16]"),
    (SPIKAN, {"products": 0}, ["model=spikan", "model.products=0"], "model.products=2"),
    (SPIKAN, {"degree": 60}, ["model=spikan", "model.degree=60"], "model.degree=9"),
    (ShiftReLU, {"copies": 1}, ["model=shiftrelu", "model.power=4", "model.copies=1"], "model.copies=8"),
    (ShiftReLU, {"power": 0}, ["model=shiftrelu", "model.power=0"], "model.power=4"),
    (Phase, {"steps": 0}, ["schedule.phases.1.steps=0"], "schedule.phases.1.steps=10"),
    (Phase, {"penalty": -1.0}, ["schedule.phases.1.penalty=-1"], "schedule.phases.1.penalty=0.001"),
    (Phase, {"prune": 0.5}, ["schedule.phases.1.prune=0.5"], "schedule.phases.1.prune=2.0"),
    (begin, {"phases": [Phase(prune=2.0)]}, ["schedule.phases.0.prune=2"], "schedule.phases.0.prune=null"),
    (
        begin,
        {"model": MLP([3]), "phases": [Phase(), Phase(prune=2.0)]},
        ["model=mlp", "schedule=sparse"],
        "model=kan",
    ),
    (Phase, {"grid": 8, "refine": 2}, ["schedule.phases.2.grid=8"], "schedule.phases.2.refine=null"),
    (LM, {"damping": -1.0}, ["schedule.phases.0.optimizer.damping=-1"], "schedule.phases.0.optimizer.damping=0.001"),
    (Adam, {"lr": 0.0}, ["schedule=adam", "schedule.phases.0.optimizer.lr=0"], "schedule.phases.0.optimizer.lr=0.01"),
    (
        LBFGS,
        {"memory": 0},
        ["schedule=lbfgs", "schedule.phases.0.optimizer.memory=0"],
        "schedule.phases.0.optimizer.iterations=20",
    ),
    (
        SSBroyden,
        {"iterations": 0},
        ["schedule=ssbroyden", "schedule.phases.0.optimizer.iterations=0"],
        "schedule.phases.0.optimizer.iterations=20",
    ),
    (Sampling, {"interior": 0}, ["sampling.interior=0"], "sampling.interior=400"),
    (Output, {"cells": 0}, ["output.cells=0"], "output.cells=100"),
    (begin, {"threads": 0}, ["threads=0"], "threads=1"),
    (begin, {"starts": 0}, ["schedule.starts=0"], "schedule.starts=1"),
    (begin, {"time_limit": -1.0}, ["time_limit=-1"], "time_limit=60"),
    (begin, {"constraints": "firm"}, ["constraints=firm"], "constraints=soft"),
    (begin, {"weights": {"boundary": inf}}, ["weights.boundary=inf"], "weights.boundary=1.0"),
    (begin, {"derivatives": "autograd"}, ["derivatives=autograd"], "derivatives=jets"),
    (begin, {"model": KAN([2], degree=1)}, ["model.degree=1"], "model.degree=4"),
    (begin, {"model": ShiftReLU([2])}, ["model=shiftrelu"], "model.power=4"),
    (begin, {"model": MLP([2], activation="relu")}, ["model=mlp", "model.activation=relu"], "model.activation=tanh"),
    (
        begin,
        {"phases": [Phase(), Phase(LM(memory=1e-9))]},
        ["schedule.phases.1.optimizer.memory=1e-9"],
        "schedule.phases.1.optimizer.memory=1",
    ),
    (begin, {"phases": [Phase(grid=1)]}, ["schedule.phases.0.grid=1"], "model.grid=1"),
    (
        begin,
        {"phases": [Phase(LM(solver="dual", memory=5.6e-5))]},
        [
            "model.degree=4",
            "model.grid=2",
            "schedule.phases.0.optimizer.memory=5.6e-5",
            "schedule.phases.0.optimizer.solver=dual",
        ],
        "schedule.phases.0.optimizer.solver=cholesky",
    ),
    (begin, {"device": "cuda"}, ["device=cuda"], "device=cpu"),
]


@pytest.mark.long
@pytest.mark.parametrize(("make", "arguments", "options", "typed"), CASES, ids=[case[-1] for case in CASES])
def test_both_forms_of_the_fix_work(make, arguments, options, typed):
    if "device" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    arguments = {**SMALL, **arguments} if make is begin else arguments
    with pytest.raises(InputError) as in_python:
        make(**arguments)
    for fix, place in python_fixes(str(in_python.value)):
        mended = with_arguments(arguments, place, eval(f"dict({fix})", vars(kanpde)))
        make(**mended)
    with pytest.raises(InputError) as refused:
        begin_as_typed(options)
    fixes = option_fixes(on_command_line(refused.value))
    assert fixes[0].split()[0] == typed
    for fix in fixes:
        keys = {option.partition("=")[0] for option in fix.split()}
        kept = [
            o for o in options if o.partition("=")[0] not in keys and not (keys == {"schedule"} and "schedule" in o)
        ]
        begin_as_typed([*kept, *fix.split()])


def python_fixes(message):
    """(arguments, the path of what they are for) of every fix in a message."""
    write, place, instead = FIX.search(message).groups()
    path = re.findall(r"\w+", place or "")
    return [(write, path), *([(instead, [])] if instead else [])]


def option_fixes(message):
    """The options of every fix in a message."""
    write, _, instead = FIX.search(message).groups()
    return [write, *filter(None, [instead])]


def test_facts_survive_pickling():
    error = InputError(
        "Bad.", write={"memory": 9}, of="phases.0.optimizer", instead={"threads": 1}, advice="See there."
    )
    for same in (error, pickle.loads(pickle.dumps(error)), error.inside("").inside("")):
        assert vars(same) == vars(error)
        assert str(same) == "Bad. Write memory=9 in `phases[0].optimizer`, or threads=1. See there."
        assert on_command_line(same) == "Bad. Write schedule.phases.0.optimizer.memory=9, or threads=1. See there."
    assert on_command_line(InputError("Bad.").inside("model")) == "model: Bad." and str(InputError("Bad.")) == "Bad."
    assert str(InputError("Bad.", write={"rule": "gauss", "n": None})) == 'Bad. Write rule="gauss", n=None.'


@pytest.mark.parametrize("unwritable", ["file/run"])
def test_a_folder_is_an_option(tmp_path, unwritable, capsys):
    (tmp_path / "file").write_text("")
    folder = tmp_path / unwritable
    with pytest.raises(InputError, match=r'Write folder="outputs/mine"\.'):
        begin(folder=folder)
    assert main(["problem=poisson", f"hydra.run.dir={folder}"]) == 2
    assert (
        "Write hydra.run.dir=outputs/mine, or hydra.sweep.dir=outputs/mine for several runs." in capsys.readouterr().err
    )


OWN = """
from kanpde import Box, InputError, Problem, dirichlet
def own(length: float = 1.0):
    if length > 2:
        raise InputError("length is too large.", write={"length": 1.0})
    domain = Box(x=(0.0, length))
    return Problem(domain, {"b": dirichlet(domain.boundary)})
"""


def test_errors_in_a_problem_file_speak_python_and_those_of_its_arguments_do_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "conf" / "problem").mkdir(parents=True)
    (tmp_path / "conf" / "problem" / "own.yaml").write_text("name: own\nlength: 1.0\n")
    assert main(["problem=own", "problem.length=-1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: own.py, line 6: The range") and said.endswith("Write x=(0.0, 1.0).\n")
    assert main(["problem=own", "problem.length=3"]) == 2
    assert capsys.readouterr().err == "Error: length is too large. Write problem.length=1.0.\n"


def test_a_run_stores_its_error_as_options(tmp_path, capsys):
    folder = tmp_path / "sweep"
    options = ["model.hidden=[2]", "model.degree=1,60", "sampling.interior=64", f"hydra.sweep.dir={folder}"]
    assert main(["-m", "problem=poisson", *options]) == 1
    for run, fix in (("0", "Write model.degree=4."), ("1", "Write model.degree=9.")):
        assert fix in (folder / run / "failed.txt").read_text() and fix in (folder / run / "run.log").read_text()
    assert "model.degree=9" in capsys.readouterr().err


# the limit of degrees ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cells", [4, 16])
def test_splines_are_accurate_up_to_their_highest_degree(cells):
    """Refinement, the least accurate part, keeps values and derivatives to 1e-9; at twice the degree it does not."""
    within, beyond = (halving_error(cells, degree) for degree in (BSpline.most_degree, 2 * BSpline.most_degree))
    assert within < 1e-9 < beyond


def halving_error(cells, degree):
    """The largest relative change of values and two derivatives when every cell of a random spline is halved."""
    end = torch.ones(1, dtype=torch.float64)
    old = BSpline.over(-end, end, cells, degree)
    new, (matrix,) = old.refined(2 * cells)
    coefficients = 2 * torch.rand(old.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    x = torch.linspace(-1, 1, 401, dtype=torch.float64)[:, None]

    def derivatives(basis, coefficients):
        table, first = basis.table(x, 2)
        local = coefficients[first + torch.arange(degree + 1)]
        return [(values[:, 0] * local).sum(dim=1) for values in table]

    pairs = zip(derivatives(old, coefficients), derivatives(new, torch.as_tensor(matrix) @ coefficients), strict=True)
    return max(float((before - after).abs().max() / before.abs().max()) for before, after in pairs)


def test_only_splines_limit_their_degree():
    with pytest.raises(InputError, match="at most 30 with the basis bspline, got 31"):
        KAN(degree=31)
    KAN(degree=30), KAN(basis="chebyshev", degree=60)
