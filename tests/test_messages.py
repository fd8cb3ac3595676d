"""Wrong input of every kind ends in one clear line: what was expected, what came, and what to write instead."""

import math
import os
import warnings

import numpy as np
import pytest
import torch
from conftest import load_problem

from kanpde import (
    KAN,
    LM,
    MLP,
    Box,
    Condition,
    InputError,
    Phase,
    Problem,
    Sampling,
    Separate,
    Solution,
    VariableProjection,
    Vector,
    curl,
    diff,
    dirichlet,
    divergence,
    gradient,
    initial,
    integral,
    laplacian,
    load,
    material_derivative,
    resume,
    save,
    solve,
)
from kanpde.command import main
from kanpde.device import choose_device
from kanpde.ends import End
from kanpde.errors import ResultWarning
from kanpde.models.separate import SeparateNetworks
from kanpde.residuals.evaluation import formula_fields, residuals_of

pytestmark = pytest.mark.usefixtures("unchecked")
BOX = Box(x=(0.0, 1.0), y=(0.0, 1.0))
FEW = Sampling("uniform", 64, 64)
poisson = load_problem("poisson")


class Began(Exception):
    """Training has begun, so nothing was refused."""


def begin(problem=None, **arguments):
    def stop(progress):
        raise Began

    small = {"model": KAN([2], degree=4, grid=2), "phases": [Phase()], "sampling": FEW, "device": "cpu"}
    return solve(poisson() if problem is None else problem, **{**small, "observe": stop, **arguments})


def of(residual, unknowns=("u",), **others):
    """Residuals of one condition for u = x, or for all unknowns x."""
    problem = Problem(BOX, {"pde": Condition(BOX.interior, residual)}, unknowns, **others)
    points = BOX.interior.sample("gauss", 16)
    exact = lambda x, y: (x,) * len(problem.unknowns)  # noqa: E731
    return residuals_of(problem, "pde", lambda c, space: formula_fields(problem, exact, c), points), points


def branching(u):
    return u if u > 0 else -u


ARGUMENTS = [
    ({"tolerance": "1e-4"}, "tolerance must be a number or None, got '1e-4'. Write tolerance=1e-06."),
    ({"time_limit": "3"}, "time_limit must be a number or None, got '3'. Write time_limit=60."),
    ({"seed": "a"}, "seed must be a whole number, got 'a'. Write seed=0."),
    ({"seed": 1.5}, "seed must be a whole number"),
    ({"seed": 2**64}, "63 bits"),
    ({"starts": 0.5}, "starts must be a whole number, got 0.5"),
    ({"threads": True}, "threads must be a whole number or None, got True"),
    ({"threads": 10**6}, "threads must be at least 1 and at most 1024"),
    ({"checkpoint": None}, "checkpoint must be a number, got None"),
    ({"model": "kan"}, "got 'kan'. Write model=KAN(hidden=[8])."),
    ({"model": KAN}, "got the class KAN, which was not called. Write model=KAN()."),
    ({"phases": 5}, "phases must be a list of phases, each with an optimizer and steps, got 5."),
    ({"phases": Phase()}, "got a Phase. Write phases=[Phase(LM())]."),
    ({"phases": [LM()]}, "got a LM. Write phases=[Phase(LM())]."),
    ({"sampling": 100}, "sampling must be a Sampling, got 100."),
    ({"weights": [1, 2]}, "weights must be a dictionary of numbers by condition, got a list."),
    ({"weights": {"pde": "a"}}, "positive and finite, got 'a' for \"pde\""),
    ({"dtype": 32}, 'Write dtype="float64".'),
    ({"device": 0}, 'Unknown device "0"'),
    ({"start": 5, "model": None}, "start must be the folder or the solution of an earlier run, got 5"),
    ({"folder": 5}, "folder must be the path of a folder, got 5"),
    ({"observe": None}, "observe must be a function, got None"),
    ({"log": "x"}, "log must be a function, got 'x'. Write log=print."),
    ({"problem": poisson}, "the function poisson, which was not called. Write problem=poisson()."),
    ({"problem": KAN()}, "solve takes a Problem first, got a KAN."),
]


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS, ids=[message for _, message in ARGUMENTS])
def test_arguments_of_solve_have_their_kinds(arguments, message):
    with pytest.raises(InputError) as caught:
        begin(**arguments)
    assert message in str(caught.value)


def test_numbers_and_devices_of_other_libraries_are_taken():
    with pytest.raises(Began):
        begin(seed=np.int64(3), time_limit=np.float32(60), device=torch.device("cpu"), phases=(Phase(),))
    assert choose_device(torch.device("cpu")) == torch.device("cpu")


PROBLEMS = [
    (lambda c: Problem(BOX, [c]), "conditions must be a dictionary of conditions by name, got a list."),
    (lambda c: Problem(BOX, c.residual), "conditions must be a dictionary of conditions by name, got a function."),
    (
        lambda c: Problem(BOX, {"pde": c.residual}),
        '"pde" must be a Condition on a region of the domain, got a func',
    ),
    (lambda c: Problem(BOX, {"pde": (c.region, 1)}), "got a tuple. Write conditions={"),
    (lambda c: Problem(Box, {"pde": c}), "first argument of a Problem is its domain"),
    (lambda c: Problem(((0, 1), (0, 1)), {"pde": c}), "Write domain=Box(x=(0.0, 1.0), y=(0.0, 1.0))"),
    (lambda c: Condition(c.residual, c.region), "about a region of the domain, got a function"),
    (lambda c: dirichlet(BOX, 0.0), "got a Box. Regions are `domain.interior`"),
    (lambda c: initial(BOX, 0.0), "got a Box. Regions are `domain.interior`"),
    (lambda c: Condition(c.region, 3), "function of the unknowns, got 3"),
    (lambda c: Problem(BOX, {"pde": c}, parameters=["k"]), "dictionary of first values by name, got ['k']"),
    (lambda c: Problem(BOX, {"pde": c}, parameters={"k": "1"}), "coefficient is a number, got '1'"),
    (lambda c: Problem(BOX, {"pde": c}, exact=1.0), "exact must be a function of the coordinates, got 1.0."),
    (lambda c: Problem(BOX, {"pde": c}, scale=2.0), "scale must have a positive size for each of u, got 2.0"),
    (lambda c: Problem(BOX, {"pde": c}, ansatz=c.residual), "ansatz must be an Ansatz"),
    (lambda c: dirichlet(BOX.boundary, "0"), "finite number, or a function of the coordinates"),
    (lambda c: dirichlet(BOX.boundary, math.nan), "Got nan. Write value=0.0."),
    (lambda c: dirichlet(BOX.boundary, None), "Got None"),
    (lambda c: Phase(LM), "Write optimizer=LM()."),
    (lambda c: Phase("lm"), "object such as LM() or Adam(lr=0.01), got 'lm'"),
]


@pytest.mark.parametrize(("build", "message"), PROBLEMS, ids=[message for _, message in PROBLEMS])
def test_arguments_of_problems_have_their_kinds(build, message):
    with pytest.raises(InputError) as caught:
        build(Condition(BOX.interior, laplacian))
    assert message in str(caught.value)


RESIDUALS = [
    (branching, ("u",), "`if`, `and`, `max` and `min` cannot decide by it. Write `torch.where(u > 0, a, b)`"),
    (lambda u: max(u, 0), ("u",), "torch.relu(u)"),
    (lambda u, v: u, ("u",), "The residual is a function of u, but this one takes (u, v). Write `lambda u: ...`."),
    (lambda u: u, ("u", "p"), "is a function of u, p, but this one takes (u)"),
    (lambda v: v[0], ("v:2", "p"), "is a function of v, p, but this one takes (v)"),
    (lambda u: u.x, ("u",), "A field has no attribute 'x'. Derivatives are `diff(u, \"x\")`"),
    (lambda u: u[0], ("u",), "A field is not subscriptable"),
    (lambda v: v.x, ("v:2",), "A vector has no attribute 'x'. Entries are `v[0]`"),
    (lambda u: divergence(u), ("u",), "divergence takes a vector of fields, got a scalar field."),
    (lambda u: laplacian(3.0), ("u",), "laplacian needs a field, got float"),
    (lambda u: curl(3.0), ("u",), "curl takes a vector or a field, got a float"),
    (lambda u: material_derivative(u, u), ("u",), "needs a vector as velocity, got a Field"),
    (lambda u: diff(u, "x", 2), ("u",), 'given by its name, got a int. Write `diff(u, "x")`'),
    (lambda u: diff(u, "xx"), ("u",), 'There is no coordinate "xx". Write `diff(u, "x", "x")`.'),
    (lambda u: torch.sum(u), ("u",), "must act point by point, and torch.sum does not"),
    (lambda v: torch.norm(v), ("v:2",), "must act point by point, and torch.norm does not"),
    (lambda v: torch.maximum(v, v), ("v:2",), "torch.maximum is not defined for these vectors"),
    (lambda v: v**2, ("v:2",), "Write `v.dot(v)` for its square"),
    (lambda v: v.dot(gradient(v)), ("v:2",), "`gradient(w).dot(v)` or `material_derivative(w, v)` for (v · ∇) w"),
    (lambda v: gradient(v) @ v, ("v:2",), "`sigma.dot(u.normal)`"),
    (lambda v: v[2], ("v:2",), "A vector of 2 entries has `v[0]`, `v[1]`, got 2 in brackets"),
    (lambda v: v["x"], ("v: 2",), "`v[1]`, got 'x' in brackets"),
    (lambda v: v > 0, ("v:2",), "not supported between instances of 'Vector' and 'int'. Entries are `v[0]`"),
    (lambda v: 1 / v, ("v:2",), "'int' and 'Vector'. Entries are `v[0]`"),
    (lambda u: math.sin(u), ("u",), "such as torch.sin, not math.sin"),
]


@pytest.mark.parametrize(("residual", "unknowns", "message"), RESIDUALS, ids=[message for *_, message in RESIDUALS])
def test_mistakes_in_residuals_name_the_condition(residual, unknowns, message):
    with pytest.raises(InputError) as caught:
        of(residual, unknowns)
    assert message in str(caught.value) and str(caught.value).startswith('Condition "pde": ')


def test_mistakes_beside_residuals_are_explained():
    with pytest.raises(InputError, match=r'write `p\["k"\]`'):
        of(lambda u, p: p.k * u, parameters={"k": 1.0})
    with pytest.raises(InputError, match=r'Condition "pde": A prescribed value is a function of x, y.*takes \(x\)'):
        of(dirichlet(BOX.boundary, lambda x: x).residual)
    with pytest.raises(InputError, match=r'has one value at a point, got 2. .*"u:2"'):
        of(dirichlet(BOX.boundary, (0.0, 1.0)).residual)
    with pytest.raises(InputError, match=r"exact is a function of x, y, but this one takes \(x\)"):
        begin(Problem(BOX, {"pde": Condition(BOX.interior, laplacian)}, exact=lambda x: x))
    with pytest.raises(TypeError, match="my own"):  # what is no mistake with fields is not hidden
        of(lambda u: (_ for _ in ()).throw(TypeError("my own")))


OTHERS = [
    (lambda s: Separate([KAN([2])]), "dictionary of networks by unknown, got a list"),
    (lambda s: Separate({"u": KAN}), 'The network for "u" must be a factory, got <class'),
    (lambda s: KAN(5), "hidden must be a list of widths, got 5. Write hidden=[8]."),
    (lambda s: MLP(5), "hidden widths must be positive whole numbers, got 5."),
    (lambda s: KAN([5.0]), "whole number, or two for sums and products such as [4, 2], got 5.0"),
    (lambda s: MLP([5], activation=torch.tanh), "Unknown activation"),
    (lambda s: Sampling(interior="a"), "interior must be a number of points or None, got 'a'"),
    (lambda s: integral(BOX, "u", 0.0), "region of the domain, got a Box. Write region=domain.interior."),
    (lambda s: s("a", 0.1), "coordinates x, y must be numbers, or arrays"),
    (lambda s: s(np.zeros(3), np.zeros(4)), "can be broadcast"),
    (lambda s: save("outputs/mine", s), "save takes a solution and then a folder, got a str first."),
    (lambda s: load("outputs/mine", poisson), "load takes a folder and then a Problem, got a function"),
]


@pytest.fixture(scope="module")
def solved():
    return solve(poisson(), KAN([2]), [Phase(steps=2)], sampling=FEW, device="cpu")


@pytest.mark.parametrize(("ask", "message"), OTHERS, ids=[message for _, message in OTHERS])
def test_other_mistakes_are_explained(ask, message, solved):
    with pytest.raises(InputError) as caught:
        ask(solved)
    assert message in str(caught.value)
    assert repr(BOX.boundary) == 'Region("boundary" of x, y)'
    assert repr(dirichlet(BOX.boundary, 0.0)) == 'Condition(Region("boundary" of x, y))'
    assert repr(integral(BOX.interior, "u", 2.0)).endswith("integral=Integral(measure=1.0, value=2.0))")


def test_initial_values_are_at_one_moment():
    tube = Box(x=(0.0, 1.0), t=(0.0, 1.0))
    for region in (tube.interior, tube.boundary, tube.at(x=0.5)):
        with pytest.raises(InputError, match=r"which is about a range of t\. Write region=domain\.at\(t=0\.0\)"):
            initial(region, 0.0)
    initial(tube.at(t=0.0), 0.0)
    with pytest.raises(InputError, match="of a derivative in time, 0 for the value, got '1'"):
        initial(tube.at(t=0.0), 0.0, order="1")
    with pytest.raises(InputError, match="name of an unknown, got 1"):
        of(dirichlet(BOX.boundary, 0.0, 1).residual)


def test_functions_act_on_the_entries_of_vectors():
    (one, two, three, four), points = of(lambda v: [torch.exp(v), abs(np.sin(v))], ("v:2",))
    x = points.x[:, 0]
    assert torch.equal(one, x.exp()) and torch.equal(two, x.exp()) and torch.equal(three, four)
    assert torch.allclose(three, x.sin().abs())
    (slope, _), _ = of(lambda v: diff(torch.sin(v), "x"), ("v:2",))
    assert torch.allclose(slope, x.cos())
    (one, two), _ = of(dirichlet(BOX.boundary, [lambda x, y: 2 * x, 0.5]).residual, ("v:2",))
    assert torch.allclose(one, -x) and torch.allclose(two, x - 0.5)
    assert isinstance(torch.exp(Vector((x, x))), Vector)
    one, two = np.sqrt(4.0) * Vector((x, 3 * x))
    assert torch.allclose(one, 2 * x) and torch.allclose(two, 6 * x)


@pytest.mark.parametrize("tolerance", [None, 1e-3])
def test_an_equation_in_place_of_a_residual(tolerance):
    pde = Condition(BOX.interior, lambda u: laplacian(u) == 1)
    with pytest.raises(InputError, match=r'"pde" returned a residual of torch\.bool.*not `laplacian'):
        begin(Problem(BOX, {"pde": pde, "walls": dirichlet(BOX.boundary)}), tolerance=tolerance)


@pytest.mark.parametrize("constraints", ["soft", "hard"])
def test_prescribed_values_that_are_not_finite_are_named_with_a_point(constraints):
    walls = dirichlet(BOX.boundary, lambda x, y: torch.sqrt(x - 0.02))  # so few of the training points show
    with pytest.raises(InputError, match=r'condition "walls" must be finite, got nan at x = 0(\.0\d+)?, y = '):
        begin(Problem(BOX, {"pde": Condition(BOX.interior, laplacian), "walls": walls}), constraints=constraints)
    flow = dirichlet(BOX.boundary, lambda x, y: (x, 1 / (x - x)), "v")
    with pytest.raises(InputError, match=r'condition "flow" must be finite, got inf at '):
        begin(Problem(BOX, {"flow": flow}, ("p", "v:2")))
    flow = dirichlet(BOX.boundary, (0.0, lambda x, y: torch.log(x - 0.5)), "v")
    with pytest.raises(InputError, match=r'condition "flow" must be finite, got nan at '):
        begin(Problem(BOX, {"flow": flow}, ("p", "v:2")))


@pytest.mark.parametrize(
    ("residual", "place"),
    [
        (lambda u: laplacian(u) + torch.log(u.coords[0] - 0.5), r"x = 0\.[0-4]\d*, y = "),
        (lambda u: laplacian(torch.sqrt(u)), "x = "),  # here the automatic weights are not finite either
    ],
)
def test_a_residual_that_is_undefined_at_the_start_is_said(residual, place):
    problem = Problem(BOX, {"pde": Condition(BOX.interior, residual), "walls": dirichlet(BOX.boundary)})
    with pytest.warns(ResultWarning, match=rf"Nothing was trained: .*not finite \(in pde at {place}"):
        solution = solve(problem, KAN([2]), [Phase(steps=2)], sampling=FEW, device="cpu")
    assert solution.ending.end is End.NON_FINITE and not solution.history


def test_a_solution_is_shown_in_a_few_lines(solved):
    solution = solved
    shown = repr(solution).splitlines()
    assert shown[0] == "Solution of u on Box(x=(-1, 1), y=(-1, 1))" and len(shown) <= 6 + len(solution.warnings)
    for part in ("KAN, ", "relative L2 error: u ", "ended after 2 steps, ", " s: steps done"):
        assert part in repr(solution)
    unknown = Solution(**{**vars(solution), "errors": {}, "coefficients": {"k": 0.25}, "settings": {}})
    assert "k = 0.25" in repr(unknown) and "not known, without an exact solution" in repr(unknown)
    assert len(repr(solution.problem)) < 120 and "[pde, boundary], unknowns=('u',)" in repr(solution.problem)


def test_folders_that_are_missing_are_said_to_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "file.txt").write_text("")
    for read in (
        load,
        resume,
        lambda folder: resume(folder, poisson()),
        lambda folder: begin(start=folder, model=None),
    ):
        with pytest.raises(
            InputError, match=r'There is no folder "output" in .*, and so no .*Write folder="outputs"\.'
        ):
            read("output")
        with pytest.raises(InputError, match=r'There is no folder "nowhere".*as printed at its end'):
            read("nowhere")
        with pytest.raises(InputError, match=r'"file.txt" is a file; a run is given by its folder'):
            read("file.txt")
    with pytest.raises(InputError, match="given by the path of its folder, got a NoneType"):
        load(None)
    assert os.listdir(tmp_path / "outputs") == []


def test_several_networks_are_checked_as_they_are():
    """A ready module, or the networks of an earlier run, as much as a factory."""
    residual = lambda v, p: (*laplacian(v), laplacian(p))  # noqa: E731
    problem = Problem(BOX, {"pde": Condition(BOX.interior, residual)}, ("v:2", "p"))
    model = Separate({"v": KAN([2], grid=2)}).for_unknowns(problem.unknowns, problem.vectors)
    ready = model(BOX.ranges, 3, generator=torch.Generator().manual_seed(0))
    assert isinstance(ready, SeparateNetworks) and ready.places == ((0, 1), (2,))
    with pytest.raises(InputError, match="A tolerance adds points and cells to one network"):
        begin(problem, model=ready, tolerance=1e-3)
    with pytest.raises(InputError, match="VariableProjection solves for the last layer of one network"):
        begin(problem, model=ready, phases=[Phase(VariableProjection())])
    with pytest.raises(Began):
        begin(problem, model=Separate({"v": KAN([2], grid=2)}))
    with pytest.raises(InputError, match='The unknown "v_x" has two networks'):
        begin(problem, model=Separate({"v": KAN([2]), "v_x": KAN([2])}))
    with pytest.raises(InputError, match=r'"w", which is no unknown\. Choices: p, v, v_x, v_y'):
        begin(problem, model=Separate({"w": KAN([2])}))
    featured = Problem(BOX, problem.conditions, problem.unknowns, features=(lambda x, y: x * y,))
    with pytest.raises(InputError, match="Separate makes several networks, and features are inputs of one"):
        begin(featured, model=Separate({"v": KAN([2])}))


OPTIONS = [
    ("problem=5", "A group override must be a string, the name of one"),
    ("problem=poisson weights=[1,2]", "Write weights.NAME=value"),
    ("problem=poisson schedule.phases.9.steps=5", "an entry that its list does not have"),
    ("problem=poisson +study=kan_vs_mlp +study.arms=5", "study.arms exists already. Leave the + out"),
    ("problem=poisson sampling.interior=1e3", "Write sampling.interior=1000."),
    ("problem=noname", "or the line `name: poisson` in its yaml file"),
    ("problem=fit problem.data=missing.csv", 'Error: fit: There is no file "missing.csv".'),
    ("problem=listed", "listed.py, line 5: conditions must be a dictionary"),
    ("problem=poisson threads=100000", "threads must be at least 1 and at most 1024"),
]


@pytest.mark.parametrize(("typed", "message"), OPTIONS, ids=[typed for typed, _ in OPTIONS])
def test_wrong_options_end_with_code_2(typed, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "problem").mkdir(parents=True)
    (tmp_path / "conf" / "problem" / "noname.yaml").write_text("k: 1.0\n")
    (tmp_path / "conf" / "problem" / "listed.yaml").write_text("name: listed\n")
    (tmp_path / "listed.py").write_text(
        "from kanpde import Box, Condition, Problem, laplacian\n\n\n"
        "def listed():\n    return Problem(d := Box(x=(0.0, 1.0)), [Condition(d.interior, laplacian)])\n"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main([*typed.split(), "device=cpu"]) == 2
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err and len(err.strip().splitlines()) == 1
