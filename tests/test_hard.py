"""Values built into the solution: exact on the faces for any network, taken from the faces alone."""

from math import pi

import pytest
import torch
from conftest import load_problem

from kanpde import (
    KAN,
    LM,
    Ansatz,
    Box,
    Condition,
    InputError,
    Phase,
    Problem,
    dirichlet,
    initial,
    laplacian,
    neumann,
    solve,
)
from kanpde.calculus.context import Context
from kanpde.calculus.jet import JetSpace
from kanpde.calculus.operators import diff
from kanpde.hard_constraints import hardened
from kanpde.residuals.engines import jets
from kanpde.residuals.site import fields_of
from kanpde.storage.output import Output
from kanpde.storage.store import load, save

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


def test_a_stored_run_comes_back_with_its_problem(tmp_path):
    problem = load_problem("heat")()
    solution = solve(problem, KAN([2], degree=4, grid=2), [Phase(LM(), steps=2)], constraints="hard")
    save(solution, tmp_path, Output(cells=4, times=3))
    x, t = torch.rand(2, 20, dtype=torch.float64)
    again = load(tmp_path, problem)
    assert torch.equal(again(x, t), solution(x, t)) and again.settings["constraints"] == "hard"
    with pytest.raises(InputError, match="Give the problem"):
        load(tmp_path)
