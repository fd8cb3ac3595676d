"""Every tensor is born on the device it is used on.

Shown without a GPU by a trap: the device is given explicitly, and torch's default device is "meta", whose tensors
hold no numbers. A tensor made without its device is then unusable, as a stray CPU tensor is among CUDA ones.
"""

import pytest
import torch
from conftest import BASES, brief, load_problem, optimizer_cases, problem_cases

from kanpde import KAN, LBFGS, LM, MLP, Box, Condition, Phase, Problem, Sampling, dirichlet, laplacian, periodic, solve
from kanpde.bases import bspline
from kanpde.solution import Solution

pytestmark = pytest.mark.usefixtures("unchecked")


def trap():
    """Inside, tensors made without a device are on "meta".

    `torch.set_default_device` is not used: setting "cpu" back in place of nothing would send all later calls of torch
    in this process through a function in Python, and slow the other tests down.
    """
    return torch.device("meta")


def run(problem, model, optimizer=None, rule="gauss", steps=1, **rest) -> Solution:
    optimizer = optimizer or LM()
    phases = [Phase(optimizer, steps, grid=3), Phase(optimizer, steps, grid=6, move_knots=True)]
    with trap():
        return solve(problem, model, phases, sampling=Sampling(rule, 40, 16), device="cpu", **rest)


DEFAULTS = dict(reversed(problem_cases()))
CASES = [c if DEFAULTS[c[0]] == c[1] else pytest.param(*c, marks=pytest.mark.slow) for c in problem_cases()]


@pytest.mark.long
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_every_problem(name, arguments):
    solution = run(load_problem(name)(**arguments), KAN([3], degree=4, grid=3))
    assert all(error["l2"] > 0 for error in solution.errors.values())


@pytest.mark.parametrize("model", [KAN([2, 2], degree=4, grid=3), MLP([4], activation="sine"), MLP([3], "gelu")])
@pytest.mark.parametrize("rule", ["chebyshev", "sobol", "uniform"])
def test_models_and_rules(model, rule):
    run(load_problem("poisson")(), model, rule=rule, starts=2)


@pytest.mark.parametrize("basis", sorted(BASES))
def test_every_basis(basis):
    run(load_problem("poisson")(dim=1), KAN([2], basis, degree=4, grid=3))


@pytest.mark.parametrize("name", optimizer_cases())
def test_every_optimizer(name):
    run(load_problem("poisson")(), KAN([3], degree=4, grid=3), brief(name), steps=2)


def test_other_derivatives():
    run(load_problem("poisson")(), KAN([3], degree=4, grid=3), LBFGS(iterations=2), derivatives="autograd")


def test_conditions_and_coefficients():
    box = Box(x=(0.0, 1.0), y=(0.0, 1.0))
    problem = Problem(
        box,
        {
            "pde": Condition(box.interior, lambda u, p: p["k"] * laplacian(u) - torch.where(u.coords[0] > 0.5, 1.0, u)),
            "sides": periodic(box, "x"),
            "floor": dirichlet(box.face("y", 0), 1.0),
        },
        parameters={"k": 2.0},
    )
    run(problem, KAN([3], degree=4, grid=3))
    with trap():
        torus = Box(x=(0.0, 1.0), periodic=["x"])
    run(Problem(torus, {"pde": Condition(torus.interior, lambda u: laplacian(u) - u)}), MLP([3]))


def test_a_solution_answers_on_its_device():
    solution = run(load_problem("poisson")(), KAN([3], degree=4, grid=3))
    x = torch.linspace(-1, 1, 5, device="cpu")
    with trap():
        assert solution(x, 0.5).device.type == "cpu"
        assert solution.diff("x", "x")([0.1, 0.2], 0.3).shape == (2,)
        assert solution.residual("pde", torch.zeros(3, 2, dtype=torch.float64, device="cpu"))[0].device.type == "cpu"


def test_the_trap_catches_a_stray_tensor(monkeypatch):
    def stray(lower, upper, grid, degree):
        return lower[:, None] + (upper - lower)[:, None] * torch.arange(-degree, grid + degree + 1) / grid

    monkeypatch.setattr(bspline, "uniform_knots", stray)
    with pytest.raises((RuntimeError, NotImplementedError)):
        run(load_problem("poisson")(), KAN([3], degree=4, grid=3))
