"""Values built into the solution: exact on the faces for any network, taken from the faces alone."""

import json
from dataclasses import replace
from math import pi

import h5py
import pytest
import torch
from conftest import load_problem
from disk import OwnDisk

from kanpde import (
    KAN,
    LM,
    Adam,
    Ansatz,
    Box,
    Condition,
    InputError,
    Phase,
    Problem,
    Sampling,
    dirichlet,
    initial,
    laplacian,
    neumann,
    solve,
)
from kanpde.calculus.context import Context
from kanpde.calculus.field import coordinate
from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.calculus.operators import diff
from kanpde.errors import ResultWarning
from kanpde.hard_constraints import hardened
from kanpde.hard_constraints.box import on_face
from kanpde.hard_constraints.interpolant import Interpolant
from kanpde.residuals.engines import jets
from kanpde.residuals.site import fields_of
from kanpde.storage.output import Output
from kanpde.storage.store import load, save
from kanpde.training.constraints import constrained

pytestmark = pytest.mark.usefixtures("unchecked")
SPACE_TIME = Box(x=(0.0, 2.0), t=(0.0, 1.5))
CUBE = Box(x=(-1.0, 1.0), y=(0.0, 1.0), z=(0.0, 2.0))


def smooth(*x):
    return torch.exp(0.3 * x[0]) * torch.cos(x[-1]) + x[0] ** 2


def flow(u):
    return diff(u, "t") - laplacian(u)


PROBLEMS = {
    "square": load_problem("poisson")(solution="mixed"),
    "sines": load_problem("poisson")(),
    "interval": load_problem("poisson")(dim=1, solution="cosines"),
    "cube": Problem(CUBE, {"pde": Condition(CUBE.interior, laplacian), "b": dirichlet(CUBE.boundary, smooth)}),
    "heat": load_problem("heat")(),
    "space-time": Problem(
        SPACE_TIME,
        {
            "pde": Condition(SPACE_TIME.interior, flow),
            "left": dirichlet(SPACE_TIME.face("x", 0), smooth),
            "right": neumann(SPACE_TIME.face("x", 1)),
            "start": initial(SPACE_TIME.at(t=0.0), smooth),
        },
    ),
    "system": Problem(
        SPACE_TIME,
        {
            "pde": Condition(SPACE_TIME.interior, lambda u, v: (flow(u), flow(v) - u)),
            "u": dirichlet(SPACE_TIME.boundary, smooth),
            "v": initial(SPACE_TIME.at(t=0.0), 2.0, unknown="v"),
        },
        unknowns=("u", "v"),
    ),
}


def by_value(network, x, space):
    """The network's values alone, which autograd can differentiate with respect to the points."""
    assert space.keys == ((),)
    return [network(x)]


def built(problem, x, derivatives=jets):
    """The unknowns at points x, through an untrained network, and how to read its components."""
    network = KAN([3], degree=5, grid=2)(
        problem.domain.ranges, len(problem.unknowns), generator=torch.Generator().manual_seed(0)
    )
    context = Context(problem.domain.names, problem.domain.space, x)

    def read(i):
        return lambda key: derivatives(network, x, space := JetSpace.spanned([key], problem.domain.space))[
            space.row[key]
        ][:, i]

    return fields_of(problem, context, read)


@pytest.mark.parametrize("name", PROBLEMS)
def test_values_hold_exactly_on_their_faces_for_any_network(name):
    problem = hardened(PROBLEMS[name])
    assert problem.ansatz is not None and problem.ansatz.satisfies
    assert set(problem.trained) | set(problem.ansatz.satisfies) == set(problem.conditions)
    for condition_name in problem.ansatz.satisfies:
        condition = problem.conditions[condition_name]
        x = condition.region.sample("sobol", 40).x
        residual = condition.residual(*built(problem, x)).value.detach()
        assert float(residual.abs().max()) < 1e-12, condition_name


@pytest.mark.parametrize("name", ["square", "cube", "space-time"])
def test_derivatives_are_those_of_the_built_solution(name):
    """Through jets and Leibniz' rule, against autograd of the values alone."""
    problem = hardened(PROBLEMS[name])
    x = problem.domain.interior.sample("sobol", 9).x.requires_grad_()
    (u,) = built(problem, x, by_value)
    slopes = torch.autograd.grad(u.value.sum(), x, create_graph=True)[0]
    (quick,) = built(problem, x.detach())
    for i in range(x.shape[1]):
        bend = torch.autograd.grad(slopes[:, i].sum(), x, retain_graph=True)[0][:, i]
        for key, wanted in (((i,), slopes[:, i]), ((i, i), bend)):
            assert torch.allclose(quick.component(key).detach(), wanted.detach(), rtol=1e-9, atol=1e-9)


def test_only_values_on_the_faces_enter():
    def faces_only(x, y):
        inside = (abs(x.value) < 1 - 1e-12) & (abs(y.value) < 1 - 1e-12)
        assert not bool(inside.any()), "the given function was asked for values inside"
        return x * y

    domain = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))
    problem = hardened(
        Problem(domain, {"pde": Condition(domain.interior, laplacian), "b": dirichlet(domain.boundary, faces_only)})
    )
    x = domain.interior.sample("sobol", 50).x
    (n,) = built(PROBLEMS["sines"], x)
    (u,) = problem.ansatz.function(n.coords, n * 0.0)
    assert torch.allclose(u.value.detach(), x[:, 0] * x[:, 1], atol=1e-13), "bilinear values are interpolated exactly"


@pytest.mark.long
def test_trained_by_the_same_recipe_and_more_accurate_than_soft_ones():
    errors = {}
    for constraints in ("soft", "hard"):
        solution = solve(
            load_problem("poisson")(),
            KAN([3], degree=7, grid=4),
            [Phase(LM(), steps=40)],
            seed=1,
            constraints=constraints,
        )
        errors[constraints] = solution.errors["u"]["l2"]
        assert solution.settings["constraints"] == constraints
    assert list(solution.settings["weights"]) == ["pde"]
    assert errors["hard"] < errors["soft"] < 1e-2


def test_what_cannot_be_built_in_is_refused():
    domain = Box(x=(0.0, 1.0), y=(0.0, 1.0))
    pde = Condition(domain.interior, laplacian)
    with pytest.raises(InputError, match=r'Hard constraints need .*Write constraints="soft"\.'):
        hardened(Problem(domain, {"pde": pde, "b": neumann(domain.boundary)}))
    with pytest.raises(InputError, match="ansatz of its own"):
        hardened(Problem(domain, {"pde": pde, "b": dirichlet(domain.boundary)}, ansatz=Ansatz(lambda c, n: n, ())))
    with pytest.raises(InputError, match="at most 3"):
        hardened(load_problem("poisson")(dim=5, solution="cosines"))
    with pytest.raises(InputError, match=r'got "firm"\. Write constraints="soft"\.'):
        solve(load_problem("poisson")(), constraints="firm")
    with pytest.raises(InputError, match=r"one number per point, shape \(1024,\), got \(1024, 1\)"):
        hardened(Problem(domain, {"b": dirichlet(domain.boundary, lambda x, y: x.value[:, None])}))
    slice_inside = Problem(domain, {"pde": pde, "b": dirichlet(domain.at(x=0.5))})
    with pytest.raises(InputError, match="whole faces"):
        hardened(slice_inside)
    assert hardened(Problem(CUBE, {"b": dirichlet(CUBE.boundary, 0.0)})).ansatz.satisfies == ("b",)


def test_values_that_disagree_where_faces_meet_are_found():
    domain = Box(x=(0.0, 1.0), t=(0.0, 1.0))
    conditions = {
        "pde": Condition(domain.interior, flow),
        "b": dirichlet(domain.boundary, 0.0),
        "start": initial(domain.at(t=0.0), lambda x, t: torch.cos(pi * x)),
    }
    with pytest.raises(InputError, match=r'"b"|"start"'):
        solve(Problem(domain, conditions), KAN([2]), [Phase(LM(), steps=1)], constraints="hard")


STORED = {
    "square": (PROBLEMS["square"], {}),
    "cube": (PROBLEMS["cube"], {}),
    "heat": (PROBLEMS["heat"], {}),
    "system": (PROBLEMS["system"], {}),
    "periodic": (load_problem("advection")(), {}),
    "autograd": (PROBLEMS["square"], {"derivatives": "autograd"}),
    "single precision": (PROBLEMS["square"], {"dtype": "float32"}),
}


@pytest.mark.parametrize("case", STORED)
def test_a_stored_run_needs_no_problem(case, tmp_path):
    """A loaded solution has the same values and derivatives to the last bit."""
    problem, options = STORED[case]
    phases = [Phase(Adam(), steps=1)] if options else [Phase(LM(), steps=1)]
    sampling = Sampling("sobol", 20, 10)
    solution = solve(problem, KAN([2], degree=4, grid=2), phases, sampling=sampling, constraints="hard", **options)
    save(solution, tmp_path, Output(cells=2, times=2))
    names = problem.domain.names
    lower, upper = torch.tensor(problem.domain.ranges, dtype=torch.float64).T
    x = (lower + (upper - lower) * torch.rand(20, len(names), dtype=torch.float64)).unbind(1)
    alone, with_problem = load(tmp_path), load(tmp_path, problem)
    assert alone.settings["constraints"] == "hard"
    for ask in (lambda s: s, lambda s: s.diff(names[0], names[0])):
        wanted = listed(ask(solution)(*x))
        for got in (listed(ask(alone)(*x)), listed(ask(with_problem)(*x))):
            assert all(a.dtype == solution.like.dtype and torch.equal(a, b) for a, b in zip(got, wanted, strict=True))
    copy = save(alone, tmp_path / "copy", Output(cells=2, times=2))
    assert torch.equal(listed(load(copy.parent)(*x))[0], listed(solution(*x))[0])


def listed(values):
    return values if isinstance(values, tuple) else (values,)


def test_values_without_an_interpolant_need_the_problem(tmp_path):
    domain = Box(x=(-1.0, 1.0), y=(0.0, 1.0))
    pde = Condition(domain.interior, laplacian)
    problem = Problem(domain, {"pde": pde, "b": dirichlet(domain.boundary, lambda x, y: abs(x))})
    lines = []
    options = {"sampling": Sampling("gauss", 40, 20), "log": lines.append}
    with pytest.warns(ResultWarning, match=r'The values of "b" at y=0 are not smooth.* Write constraints="soft"\.'):
        solution = solve(problem, KAN([2], degree=4, grid=2), [Phase(LM(), steps=1)], constraints="hard", **options)
    assert '"b" at y=0 are not smooth, so that loading the result will need the problem' in lines[0]
    save(solution, tmp_path, Output(cells=4))
    x, y = torch.rand(2, 20, dtype=torch.float64)
    assert torch.equal(load(tmp_path, problem)(x, y), solution(x, y))
    with pytest.raises(InputError, match="Give the problem"):
        load(tmp_path)


def test_a_file_without_the_built_in_values_needs_the_problem(tmp_path):
    """As earlier versions wrote it."""
    problem = PROBLEMS["heat"]
    solution = solve(problem, KAN([2], degree=4, grid=2), [Phase(LM(), steps=1)], constraints="hard")
    with h5py.File(save(solution, tmp_path, Output(cells=4, times=3)), "r+") as file:
        assert "lift" in file["kanpde/built_in"].attrs["description"]
        del file["kanpde/built_in"]
    assert load(tmp_path, problem)(0.3, 0.4) == solution(0.3, 0.4)
    with pytest.raises(InputError, match="Give the problem"):
        load(tmp_path)


# interpolants --------------------------------------------------------------------------------------------------------
FUNCTIONS = {
    "nothing": (lambda x, t: 3.0 + 0.0 * x, 0),
    "polynomial": (lambda x, t: x**5 - x, 5),
    "wave": (lambda x, t: torch.sin(3 * x), 30),
    "pulse": (lambda x, t: torch.exp(-100 * (x - 1.0) ** 2), 140),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_interpolants_have_the_derivatives_of_the_values(name):
    function, most = FUNCTIONS[name]
    found = on_face(function, SPACE_TIME, (1, 0))
    assert isinstance(found, Interpolant) and found.degree <= most
    found = Interpolant.from_description(json.loads(json.dumps(found.describe())))
    x = SPACE_TIME.interior.sample("sobol", 50).x
    coords = [coordinate(Context(("x", "t"), (0,), x), i) for i in range(2)]
    got, wanted = found(*coords), function(*coords) + 0.0 * coords[0]
    for key, bound in (((), 1e-12), ((0,), 1e-10), ((0, 0), 1e-8), ((1,), 0.0), ((0, 1), 0.0), (LAPLACIAN, 1e-8)):
        a, b = (torch.as_tensor(f.component(key), dtype=x.dtype) for f in (got, wanted))
        assert float((a - b).abs().max()) <= bound * (1 + float(b.abs().max())), key


def test_an_interpolant_in_a_periodic_coordinate_is_periodic():
    domain = Box(x=(0.0, 2.0), t=(0.0, 1.5), periodic=["x"])
    found = on_face(lambda x, t: torch.exp(torch.sin(pi * x)), domain, (1, 0))
    x = torch.rand(20, dtype=torch.float64)
    near, far = (found.derivative([x + shift], [0]) for shift in (0.0, 4.0))
    assert torch.allclose(near, pi * torch.cos(pi * x) * torch.exp(torch.sin(pi * x)), atol=1e-11)
    assert torch.allclose(near, far, atol=1e-12)
    assert not isinstance(on_face(lambda x, t: x, domain, (1, 0)), Interpolant), "x jumps from one period to the next"


# the choice ----------------------------------------------------------------------------------------------------------
def on_interval(left, start):
    domain = Box(x=(-1.0, 1.0), t=(0.0, 1.0))
    given = {"boundary": dirichlet(domain.boundary, left), "initial": initial(domain.at(t=0.0), start)}
    return Problem(domain, {"pde": Condition(domain.interior, flow), **given})


DISK = OwnDisk()
ON_DISK = Problem(DISK, {"pde": Condition(DISK.interior, laplacian), "b": dirichlet(DISK.boundary, 0.0)})
NONE = replace(PROBLEMS["cube"], conditions={"pde": PROBLEMS["cube"].conditions["pde"]})
UNSMOOTH = 'soft, because the values of "initial" at t=0 are not smooth'
CHOICES = {
    "smooth": (PROBLEMS["heat"], "hard on x=0, x=1, t=0 (values are smooth and agree at the edges)"),
    "interval": (PROBLEMS["interval"], "hard on x=-1, x=1 (values are smooth)"),
    "system": (PROBLEMS["system"], "hard on x=0, x=2 for u; t=0 for v (values are smooth)"),
    "corner": (
        on_interval(0.0, lambda x, t: 0.3 * x**2),
        'soft, because the values of "boundary" and "initial" differ by 0.3 at x=-1, t=0',
    ),
    "kink": (on_interval(0.0, lambda x, t: 1 - abs(x)), UNSMOOTH),
    "narrow": (load_problem("wave")(), UNSMOOTH),
    "undefined": (on_interval(0.0, lambda x, t: torch.log(x)), UNSMOOTH),
    "disk": (ON_DISK, "soft. A hard constraint needs a Box"),
    "none": (NONE, "soft. Hard constraints need a condition"),
    "ansatz": (replace(PROBLEMS["heat"], ansatz=Ansatz(lambda c, n: n, ())), "soft. The problem has an ansatz"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_auto_says_what_it_chooses(case):
    problem, line = CHOICES[case]
    found = constrained(problem, "auto")
    assert found.line.startswith(f"constraints: {line}")
    assert found.constraints == line[:4] and (found.problem is problem) == (found.constraints == "soft")


def test_auto_trains_as_hard_constraints_do():
    def run(constraints, lines):
        options = {"sampling": Sampling("gauss", 40, 20), "device": "cpu", "log": lines.append}
        model, phases = KAN([2], degree=4, grid=2), [Phase(LM(), steps=2)]
        return solve(PROBLEMS["heat"], model, phases, constraints=constraints, **options)

    lines, others = [], []
    auto, hard = run("auto", lines), run("hard", others)
    assert auto.settings["constraints"] == hard.settings["constraints"] == "hard"
    assert auto.history[-1]["loss"] == hard.history[-1]["loss"]
    assert [line.startswith("constraints: hard on") for line in lines] == [True] + [False] * len(others)


def test_with_a_tolerance_auto_is_soft():
    assert constrained(PROBLEMS["heat"], "auto", 1e-6).line == "constraints: soft, because a tolerance is given"
