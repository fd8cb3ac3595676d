"""Residuals relative to their largest term, against sizes computed by hand."""

from math import pi, sqrt

import pytest
import torch

from kanpde import Box, Condition, Problem, diff, dirichlet, laplacian, neumann
from kanpde.calculus.context import Context
from kanpde.calculus.field import coordinate
from kanpde.residuals.misfit import misfit_of, summands

BOX = Box(x=(0.0, 1.0), y=(0.0, 1.0))


def components_of(formula):
    """The components of a function of the coordinates, as those of a network."""

    def at(x, space):
        context = Context(("x", "y"), (0, 1), x)
        field = formula(*(coordinate(context, i) for i in range(2)))
        columns = [torch.as_tensor(field.component(key), dtype=x.dtype).expand(len(x)) for key in space.keys]
        return [column[:, None] for column in columns]

    return at


def found(residual, formula, region=None, **problem):
    """The misfit on a tensor grid of Gauss points, which integrates the functions here to rounding."""
    condition = residual if isinstance(residual, Condition) else Condition(region or BOX.interior, residual)
    points = condition.region.sample("gauss", 400 if condition.region.is_interior else 60)
    parameters = problem.get("parameters", {})
    return misfit_of(Problem(BOX, {"it": condition}, **problem), "it", components_of(formula), points, parameters)


def waves(x, y):
    return torch.sin(pi * x) * torch.sin(pi * y)  # RMS 1/2, RMS of u_xx and u_yy pi²/2, of the Laplacian pi²


def test_summands_of_an_expression():
    x = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)[:, None]
    (u,) = (coordinate(Context(("x",), (0,), x), 0),)
    data = torch.arange(5.0, dtype=torch.float64)
    expression = 3 * (u**2 - data) / 2 - torch.exp(u) + 1 - (-u) * u
    wanted = [1.5 * u.value**2, -1.5 * data, -u.value.exp(), torch.ones(5), u.value**2]
    for got, want in zip(list(summands(expression)), wanted, strict=True):
        torch.testing.assert_close(got, want.double())


SOURCE = 2 * pi**2  # -Δu = SOURCE u for the waves


@pytest.mark.parametrize(
    ("residual", "square", "size"),
    [
        (lambda u: laplacian(u) + SOURCE * waves(*u.coords), 0.0, pi**2),
        (lambda u: laplacian(u) + 1.5 * SOURCE * waves(*u.coords), pi**4 / 4, 1.5 * pi**2),
        (lambda u: laplacian(u).value + 1.5 * SOURCE * waves(*u.context.x.unbind(1)), pi**4 / 4, pi**2 / 2),
        (lambda u: 4.0 * (u - 3.0 * u), 64 / 4, 12 / 2),
        (lambda u: (u - 30.0, diff(u, "x", "x")), None, 30.0),
        (lambda u: (u - 0.25, diff(u, "x", "x")), None, pi**2 / 2),
        (lambda u: torch.as_tensor(7.0) * (laplacian(u) + SOURCE * u), 0.0, 7 * SOURCE / 2),
        (lambda u: 10.0 + 0.0 * u, 100.0, 10.0),
    ],
    ids=["sum", "wrong source", "tensor", "number", "tuple", "tuple of units", "product", "constant"],
)
def test_sizes_of_equations(residual, square, size):
    misfit = found(residual, waves)
    assert misfit.size == pytest.approx(size, rel=1e-10)
    if square is not None:
        assert misfit.square == pytest.approx(square, rel=1e-10, abs=1e-20)
        assert misfit.relative == pytest.approx(sqrt(square) / size, rel=1e-10, abs=1e-10)


def test_laplaces_equation_is_compared_with_the_second_derivatives():
    """Its only summand is the residual itself."""
    misfit = found(laplacian, lambda x, y: 1.001 * x**2 - y**2)
    assert misfit.relative == pytest.approx(0.002 / 2.002)


def test_a_nonlinear_equation_and_a_coefficient():
    misfit = found(lambda u, p: p["k"] * diff(u, "x") * u, lambda x, y: 2 * x, parameters={"k": 5.0})
    assert misfit.size == pytest.approx(20 / sqrt(3)) and misfit.relative == pytest.approx(1.0)  # RMS of k u_x u


@pytest.mark.parametrize("value", [0.0, 1e-6])
def test_a_vanishing_boundary_value_is_compared_with_the_solution(value):
    misfit = found(dirichlet(BOX.boundary, value), lambda x, y: waves(x, y) + 1e-3)
    assert misfit.relative == pytest.approx((1e-3 - value) * 2, rel=0.1)  # 1024 random points give the RMS


def test_a_boundary_value_is_compared_with_itself_if_it_is_larger():
    misfit = found(dirichlet(BOX.face("x", 1), 100.0), lambda x, y: 99.0 * x**50)
    assert misfit.relative == pytest.approx(0.01)


def test_a_small_flux_is_compared_with_the_derivative_inside():
    """u_x = 1e-3 on the face where the condition is k u_x = 0; inside u_x has the RMS pi / sqrt(2)."""
    condition = neumann(BOX.face("x", 1), 0.0)
    flux = Condition(condition.region, lambda u: 1e-6 * condition.residual(u))
    misfit = found(flux, lambda x, y: torch.cos(pi * x) + 1e-3 * x)
    assert misfit.relative == pytest.approx(1e-3 / (pi / sqrt(2)), rel=0.1)


def test_values_that_are_not_finite():
    assert found(lambda u: torch.log(u - 2.0), waves).relative == float("inf")
