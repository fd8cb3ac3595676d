"""Levenberg-Marquardt on small systems whose answers are known."""

from itertools import pairwise

import pytest
import torch

from kanpde import LM


class System:
    """r(x) = (10 (y - x²), 1 - x), Rosenbrock's function as least squares; ``sign`` -1 gives a false Jacobian."""

    def __init__(self, start, sign=1.0):
        self.x, self.sign = torch.tensor(start, dtype=torch.float64), sign

    def residual(self):
        x, y = self.x
        return torch.stack([10 * (y - x**2), 1 - x])

    def loss(self):
        return self.residual().square().sum()

    def linearize(self):
        x, _ = self.x
        jacobian = torch.tensor([[-20 * x, 10.0], [-1.0, 0.0]], dtype=torch.float64)
        return self.residual(), self.sign * jacobian

    def vector(self):
        return self.x.clone()

    def assign(self, vector):
        self.x = vector.clone()


def test_rosenbrock():
    system = System([-1.2, 1.0])
    optimizer = LM()(system)
    losses = [optimizer.step().loss for _ in range(40)]
    assert all(b <= a for a, b in pairwise(losses))
    assert system.x.tolist() == pytest.approx([1.0, 1.0], abs=1e-10)


def test_what_no_damping_improves_is_left_as_it_was():
    system = System([-1.2, 1.0], sign=-1.0)
    before = system.vector()
    step = LM()(system).step()
    assert step.reason is not None and step.reason.startswith("stagnated")
    assert torch.equal(system.x, before) and step.loss == float(system.loss())


def test_it_converges_to_rounding():
    system = System([1.0, 1.0])
    system.x += 1e-3
    optimizer = LM()(system)
    reasons = [optimizer.step().reason for _ in range(60)]
    assert any(reason is not None and reason.startswith("converged") for reason in reasons)
