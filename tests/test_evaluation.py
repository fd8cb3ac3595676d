"""Residuals and fields of networks, formulas and classical solutions, without training."""

import pytest
import torch

from kanpde import KAN, Ansatz, Box, Condition, InputError, Problem, diff, dirichlet, laplacian, periodic
from kanpde.calculus.context import Context
from kanpde.classical.collocation import collocate
from kanpde.residuals.evaluation import (
    asked_of,
    components_of,
    exact_fields,
    formula_fields,
    from_components,
    residuals_of,
)
from kanpde.residuals.objective import Objective

pytestmark = pytest.mark.usefixtures("unchecked")
BOX = Box(x=(-1.0, 1.0), y=(0.0, 1.0))


def from_formula(problem, formula):
    """The unknowns of a function."""
    return lambda context, space: formula_fields(problem, formula, context)


def exact(x, y):
    return torch.sin(torch.pi * x) * y, 2.0


PROBLEM = Problem(
    BOX,
    {
        "pde": Condition(BOX.interior, lambda u, v, p: (laplacian(u) + p["k"] * u, diff(v, "x") * u)),
        "wall": dirichlet(BOX.boundary, lambda x, y: torch.sin(torch.pi * x) * y),
        "second": dirichlet(BOX.boundary, 2.0, unknown="v"),
        "around": periodic(BOX, "x"),
    },
    unknowns=("u", "v"),
    parameters={"k": float(torch.pi) ** 2},
    exact=exact,
)


@pytest.mark.parametrize("derivatives", ["jets", "autograd"])
@pytest.mark.parametrize("name", PROBLEM.conditions)
def test_residuals_of_a_network_are_those_of_training(name, derivatives):
    network = KAN([3], degree=4)(BOX.ranges, 2, generator=torch.Generator().manual_seed(0))
    points = {label: c.region.sample("uniform", 3000, torch.Generator()) for label, c in PROBLEM.conditions.items()}
    coefficients = torch.nn.Parameter(torch.tensor([0.3], dtype=torch.float64))
    objective = Objective(PROBLEM, network, points, coefficients=coefficients, derivatives=derivatives)
    unknowns = from_components(PROBLEM, components_of(network, derivatives))
    found = residuals_of(PROBLEM, name, unknowns, points[name], {"k": 0.3})
    losses = sum(float((points[name].weight * r.square()).sum()) for r in found)
    assert all(r.shape == points[name].weight.shape and not r.requires_grad for r in found)
    assert losses == pytest.approx(float(objective.losses()[name].detach()), rel=1e-10)


@pytest.mark.parametrize("name", PROBLEM.conditions)
def test_residuals_of_the_exact_solution_vanish_and_of_another_do_not(name):
    points = PROBLEM.conditions[name].region.sample("sobol", 64)
    for r in residuals_of(PROBLEM, name, from_formula(PROBLEM, exact), points):
        assert float(r.abs().max()) < 1e-12
    wrong = from_formula(PROBLEM, lambda x, y: (x * x * x + y, 2.0 + x))
    assert max(float(r.abs().max()) for r in residuals_of(PROBLEM, name, wrong, points)) > 0.1


def test_a_formula_is_not_put_through_the_ansatz_and_components_are():
    ansatz = Ansatz(lambda c, n: (1 - c[0] ** 2) * n, ("wall",))
    problem = Problem(BOX, {"wall": Condition(BOX.face("x", 0), lambda u: u - 0.0)}, ansatz=ansatz)
    points = problem.conditions["wall"].region.sample("gauss", 9)
    (formula,) = residuals_of(problem, "wall", from_formula(problem, lambda x, y: y + 1), points)
    network = KAN([2])(BOX.ranges)
    (built,) = residuals_of(problem, "wall", from_components(problem, components_of(network, "jets")), points)
    assert torch.allclose(formula, points.x[:, 1] + 1) and float(built.abs().max()) < 1e-14


def test_classical_solutions_have_residuals_too():
    problem = Problem(BOX, {"pde": Condition(BOX.interior, lambda u: laplacian(u) - 1), "b": dirichlet(BOX.boundary)})
    solution = collocate(problem, 12)
    x = BOX.interior.sample("sobol", 50).x
    (residual,) = solution.residual("pde", x)
    again = residuals_of(
        problem, "pde", from_components(problem, solution.components), BOX.interior.sample("sobol", 50)
    )
    assert torch.equal(residual, again[0]) and float(residual.abs().median()) < 1e-2


def test_a_function_is_evaluated_with_the_components_that_are_asked_for():
    spaces = []

    def components(x, space):
        spaces.append(space.keys)
        return [x.new_ones(len(x), 2) for _ in space.keys]

    x = torch.rand(5, 2, dtype=torch.float64)
    value = asked_of(PROBLEM, components, x, lambda u, v: diff(u, "x", "y").value + v.value)
    assert value.tolist() == [2.0] * 5 and spaces == [((), (0,), (1,), (0, 1))]


def test_what_does_not_fit_is_refused():
    points = BOX.interior.sample("gauss", 9)
    with pytest.raises(InputError, match='Did you mean "wall"'):
        residuals_of(PROBLEM, "wal", from_formula(PROBLEM, exact), points)
    with pytest.raises(InputError, match=r"one value per unknown .*got 1"):
        residuals_of(PROBLEM, "pde", from_formula(PROBLEM, lambda x, y: x), points)


def test_there_are_no_exact_fields_where_the_solution_is_not_known():
    context = Context(BOX.names, BOX.space, BOX.interior.sample("gauss", 9).x)
    assert exact_fields(Problem(BOX, {}), context) == []
    u, v = exact_fields(PROBLEM, context)
    assert v.value.tolist() == [2.0] * len(context.x) and float(diff(u, "y", "y").value.abs().max()) == 0.0
