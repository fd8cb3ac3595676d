"""The points at which the error of solutions on shapes is estimated."""

import pytest

from kanpde import KAN, Condition, Disk, Phase, Problem, Sampling, dirichlet, laplacian, solve
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
