"""The points at which the error of solutions on shapes is estimated."""

import numpy as np
import pytest

from kanpde import KAN, Condition, Disk, Phase, Problem, Sampling, dirichlet, laplacian, robin, solve
from kanpde.training import assessment

pytestmark = pytest.mark.usefixtures("unchecked")


def test_estimates_on_shapes_use_points_of_quadrature_other_than_those_of_training(monkeypatch):
    seen = {}

    def spy(network, coefficients, make, points, *rest):
        seen.update(points)

    monkeypatch.setattr(assessment, "tangent_change", spy)
    disk = Disk()
    conditions = {"pde": Condition(disk.interior, lambda u: laplacian(u) - 4), "b": dirichlet(disk.boundary, 1.0)}
    sampling = Sampling(interior=200, boundary=40)
    found = solve(Problem(disk, conditions), KAN([2], degree=4, grid=2), [Phase(steps=1)], sampling=sampling)
    x = seen["pde"].x[:, 0]
    assert float(seen["pde"].weight @ x**2) == pytest.approx(0.25, abs=1e-12), "the mean over the unit disk"
    assert float(seen["b"].weight @ seen["b"].x[:, 0] ** 2) == pytest.approx(0.5, abs=1e-12)
    assert all(len(seen[name].x) > 1.1 * count for name, count in found.settings["points"].items())


def robin_family() -> Problem:
    """-Δu = 1 + x on the unit disk with u_n + h u = 0 on its edge, h from 0.5 to 10."""
    domain = Disk().over(h=(0.5, 10.0), family=["h"])

    def exact(x, y, h):
        return (1 - x**2 - y**2) / 4 + 1 / (2 * h) + x * ((3 / 8 + h / 8) / (1 + h) - (x**2 + y**2) / 8)

    pde = Condition(domain.interior, lambda u: laplacian(u) + 1 + u.coords[0])
    return Problem(domain, {"pde": pde, "edge": robin(domain.boundary, lambda x, y, h: h, 1.0, 0.0)}, exact=exact)


def test_families_on_shapes_are_trained_at_as_many_values_as_points():
    found = solve(robin_family(), KAN([1], grid=1), [Phase(steps=1)], sampling=Sampling(interior=64, boundary=32))
    assert found.settings["rule"] == "sobol"


@pytest.mark.long
def test_the_estimate_of_a_family_on_a_shape_sees_errors_between_and_beyond_its_values():
    """Trained at ten values of h, the network is wrong between them and below the first."""
    problem = robin_family()
    found = solve(problem, KAN([4]), [Phase(steps=30)], sampling=Sampling("gauss", interior=900))
    x, y, h = problem.domain.interior.sample("sobol", 8000).x.T.numpy()
    assert problem.exact is not None
    exact = problem.exact(x, y, h)
    error = np.linalg.norm(found(x, y, h) - exact) / np.linalg.norm(exact)
    assert 5e-4 < error < 5e-3 and found.settings["estimate"] == pytest.approx(error, rel=0.5)
