"""Self-scaled Broyden: its update against BFGS, and what it reaches where BFGS is known."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, rosen

from kanpde import SSBroyden
from kanpde.ends import End
from kanpde.optimizers import ssbroyden
from kanpde.optimizers.ssbroyden import broyden_update


class Function:
    """A function of a vector in the place of an objective; it counts its evaluations."""

    def __init__(self, function, start):
        self.function, self.x, self.calls = function, torch.tensor(start, dtype=torch.float64), 0

    def gradient(self):
        self.calls += 1
        x = self.x.clone().requires_grad_()
        loss = self.function(x)
        return loss.detach(), torch.autograd.grad(loss, x)[0]

    def vector(self):
        return self.x.clone()

    def assign(self, vector):
        self.x = vector.clone()


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def stretched(n=40, condition=1e6):
    """A quadratic whose curvatures spread evenly in logarithm, turned away from the axes."""
    turn = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    hessian = turn @ torch.diag(torch.logspace(0, -np.log10(condition), n, dtype=torch.float64)) @ turn.T
    return lambda x: x @ hessian @ x / 2


def run(function, start, steps=60):
    system = Function(function, start)
    optimizer = SSBroyden()(system)
    made = []
    for _ in range(steps):
        made.append(optimizer.step())
        if made[-1].end is not None:
            break
    return system, made


def pair(n=7, seed=0):
    """A positive definite H, a step and a change of gradient with yᵀs > 0, and b = sᵀH⁻¹s / yᵀs."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(n, n, dtype=torch.float64, generator=generator)
    inverse = root @ root.T + 0.1 * torch.eye(n, dtype=torch.float64)
    s, y = torch.randn(2, n, dtype=torch.float64, generator=generator)
    y = y * torch.sign(s @ y)
    return inverse, s, y, float(s @ torch.linalg.solve(inverse, s) / (s @ y))


# the update ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(20))
def test_the_update_is_a_positive_definite_secant(seed):
    inverse, s, y, b = pair(seed=seed)
    for new in (broyden_update(inverse, s, y, b), broyden_update(None, s, y, float(s @ s / (s @ y)))):
        assert torch.allclose(new @ y, s, atol=1e-9 * float(new.abs().max()))
        assert torch.allclose(new, new.T) and float(torch.linalg.eigvalsh(new)[0]) > 0


def test_without_scaling_it_is_bfgs(monkeypatch):
    """θ = 0 and τ = 1: against the textbook formula (I - ρsyᵀ) H (I - ρysᵀ) + ρssᵀ."""
    inverse, s, y, b = pair()
    monkeypatch.setattr(ssbroyden, "_member", lambda a, b, h: 0.0)
    rho, one = 1 / (y @ s), torch.eye(len(s), dtype=s.dtype)
    unscaled = (one - rho * torch.outer(s, y)) @ inverse @ (one - rho * torch.outer(y, s))
    tau = min(1.0, 1 / b)  # θ = 0 leaves σ = 1
    assert torch.allclose(broyden_update(inverse, s, y, b), unscaled / tau + rho * torch.outer(s, s))
    assert torch.allclose(broyden_update(inverse, s, y, 0.9), unscaled + rho * torch.outer(s, s)), "b < 1: τ = 1"


@pytest.mark.parametrize("seed", range(20))
def test_the_member_stays_within_its_bounds(seed):
    inverse, s, y, b = pair(seed=seed)
    h = float(y @ inverse @ y / (y @ s))
    a = h * b - 1
    theta = ssbroyden._member(a, b, h)
    lower = min(1.0, h * (1 - np.sqrt(a / (1 + a))))
    assert a >= 0 and (lower - 1) / a <= theta + 1e-12 and theta <= (1 + 1e-9) / lower  # but for rounding
    assert 1 + a * theta > 0, "positive definite"


# the method ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [2, 10])
def test_rosenbrock(n):
    start = [-1.2, 1.0] * (n // 2)
    system, made = run(rosenbrock, start)
    losses = [step.loss for step in made]
    assert all(b <= a for a, b in pairwise(losses))
    assert np.allclose(system.x, 1.0, atol=1e-8)
    bfgs = minimize(rosen, start, jac=lambda x: Function(rosenbrock, x).gradient()[1].numpy(), method="BFGS")
    assert system.calls <= 3 * bfgs.nfev


def test_a_stretched_quadratic_takes_no_more_evaluations_than_bfgs():
    function, start = stretched(), np.ones(40).tolist()
    system, made = run(function, start)
    assert made[-1].loss < 1e-20

    def both(x):
        loss, gradient = Function(function, x).gradient()
        return float(loss), gradient.numpy()

    bfgs = minimize(both, np.array(start), jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 2000})
    print(system.calls, bfgs.nfev, bfgs.fun)
    assert bfgs.fun < 1e-15 and system.calls <= 1.5 * bfgs.nfev


def test_it_ends_with_a_reason():
    _, made = run(rosenbrock, [-1.2, 1.0])
    assert made[-1].end is not None and made[-1].end.end in (End.CONVERGED, End.STAGNATED)
    vanished = run(rosenbrock, [1.0, 1.0])[1][0].end
    assert vanished is not None and vanished.end is End.CONVERGED


def test_what_no_step_improves_is_left_as_it_was():
    class Wrong(Function):
        def gradient(self):
            loss, gradient = super().gradient()
            return loss, -gradient

    system = Wrong(rosenbrock, [-1.2, 1.0])
    step = SSBroyden()(system).step()
    assert step.end is not None and step.end.end is End.STAGNATED
    assert system.x.tolist() == [-1.2, 1.0] and step.loss == pytest.approx(24.2)


def test_trials_without_a_value_are_stepped_back_from():
    system, made = run(lambda x: (x - torch.log(x)).sum(), [1e-3, 3.0])  # undefined for x <= 0
    assert made[-1].loss == pytest.approx(2.0) and np.allclose(system.x, 1.0, atol=1e-6)
