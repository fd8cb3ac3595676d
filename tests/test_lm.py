"""Levenberg-Marquardt on small systems whose answers are known."""

from itertools import pairwise

import pytest
import torch

from kanpde import KAN, LM, Box, Condition, InputError, Problem, dirichlet, laplacian
from kanpde.ends import End
from kanpde.optimizers.variableprojection import VariableProjection, departure_from_linearity, solve_last_layer
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import PIECE

pytestmark = pytest.mark.usefixtures("unchecked")


class System:
    """r(x) = (s (y - x²), 1 - x), Rosenbrock's function as least squares; ``sign`` -1 gives a false Jacobian."""

    def __init__(self, start, sign=1.0, steepness=10.0):
        self.x, self.sign, self.steepness = torch.tensor(start, dtype=torch.float64), sign, steepness

    def residual(self):
        x, y = self.x
        return torch.stack([self.steepness * (y - x**2), 1 - x])

    def loss(self):
        return self.residual().square().sum()

    def linearize(self):
        x, _ = self.x
        jacobian = torch.tensor([[-2 * self.steepness * x, self.steepness], [-1.0, 0.0]], dtype=torch.float64)
        return self.residual(), self.sign * jacobian

    @property
    def parameters(self):
        return [self.x]

    @property
    def size(self):
        return 2, 2

    def parts_of_jacobian(self):
        return [(slice(0, 2), slice(0, 2))]

    def values(self):
        return self.residual()

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
    assert step.end is not None and step.end.end is End.STAGNATED
    assert torch.equal(system.x, before) and step.loss == float(system.loss())


def test_it_converges_to_rounding():
    system = System([1.0, 1.0])
    system.x += 1e-3
    optimizer = LM()(system)
    ends = [optimizer.step().end for _ in range(60)]
    assert any(end is not None and end.end is End.CONVERGED for end in ends)


def test_acceleration_shortens_the_way_along_the_valley():
    """Rosenbrock's valley, steep, from its far end."""

    def steps(acceleration):
        system = System([-1.2, 1.0], steepness=1000.0)
        optimizer = LM(acceleration=acceleration)(system)
        return next(n for n in range(1, 1000) if optimizer.step().loss < 1e-12)

    assert steps(0.75) < 0.5 * steps(0.0)


BOX = Box(x=(-1.0, 1.0), y=(0.0, 1.0))
LINEAR = {"pde": Condition(BOX.interior, lambda u: laplacian(u) - 1.0), "wall": dirichlet(BOX.boundary)}
NONLINEAR = {"pde": Condition(BOX.interior, lambda u: laplacian(u) - u**3 - 1.0), "wall": dirichlet(BOX.boundary)}


def objective(conditions=LINEAR, n=120, dtype=torch.float64):
    problem = Problem(BOX, conditions)
    network = KAN([2], degree=4, grid=2)(BOX.ranges, generator=torch.Generator().manual_seed(3), dtype=dtype)
    points = {name: c.region.sample("gauss", n, dtype=dtype) for name, c in conditions.items()}
    return Objective(problem, network, points)


def losses(factory, steps, **kwargs):
    optimizer = factory(objective(**kwargs))
    found = [optimizer.step() for _ in range(steps)]
    return [step.loss for step in found], found[-1].method


def test_qr_and_cholesky_take_the_same_steps():
    dense, method = losses(LM(solver="cholesky"), 8)
    orthogonal, other = losses(LM(solver="qr"), 8)
    assert (method, other) == ("cholesky", "qr")
    assert orthogonal == pytest.approx(dense, rel=1e-4)


def test_fewer_residuals_than_parameters_take_the_dual_form():
    dual, method = losses(LM(), 4, n=8)
    cholesky, _ = losses(LM(solver="cholesky"), 4, n=8)
    assert method == "dual"
    assert dual == pytest.approx(cholesky, rel=1e-6)


def test_pieces_take_the_same_steps_as_the_whole():
    """Without J, and with conditions in several pieces of points."""
    whole, _ = losses(LM(), 4, n=2 * PIECE["cpu"] + 100)
    assert len(objective(n=2 * PIECE["cpu"] + 100).sites) >= 4
    tiny = LM(memory=3e-4)
    tiny.check(objective(), 40)
    pieces, method = losses(tiny, 4, n=2 * PIECE["cpu"] + 100)
    assert method == "cholesky in pieces"
    assert pieces == pytest.approx(whole, rel=1e-3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        InputError,
        match=r"LM needs 894\.1 GiB for 200000 parameters.*Write memory=895, or phases=\[Phase\(LBFGS\(\)\)\]\.",
    ):
        LM().check(objective(), 200_000)


def test_variable_projection_solves_for_the_last_layer():
    """After a step no change of the last layer lowers the loss."""
    o = objective()
    VariableProjection()(o).step()
    assert departure_from_linearity(o) < 1e-8
    loss, gradient = o.gradient()
    last = o.model.layers[-1].weight.numel()
    scale = float(loss) ** 0.5 * float(o.linearize()[1].norm())
    assert float(gradient[-last:].abs().max()) < 1e-5 * scale
    assert float(gradient[:-last].abs().max()) > 1e-4 * float(loss)


@pytest.mark.parametrize(("dtype", "factor"), [(torch.float64, 1.05), (torch.float32, 1.3)])
def test_projection_is_the_least_squares_solution(dtype, factor):
    """Against a solver of minimal norm, in double precision."""
    o = objective(dtype=dtype)
    before, last = float(o.loss().detach()), o.model.layers[-1].weight.numel()
    r, jacobian = (t.double() for t in o.linearize())
    jacobian = jacobian[:, -last:]
    best = r + jacobian @ torch.linalg.lstsq(jacobian, -r[:, None], driver="gelsd").solution[:, 0]
    solve_last_layer(o, 1e-12)
    assert float(o.loss().detach()) < factor * float(best @ best) < 0.9 * before


def test_an_explicit_solver_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match='Write solver="cholesky"'):
        LM(solver="qr", memory=1e-4)(objective()).step()


def test_variable_projection_refuses_what_is_not_linear():
    VariableProjection().check(objective(), 100)
    with pytest.raises(InputError, match="linear in the solution"):
        VariableProjection().check(objective(NONLINEAR), 100)
