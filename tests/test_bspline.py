"""B-splines against SciPy; refinement, regridding, approximation order."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline as Reference

from kanpde import InputError
from kanpde.bases.bspline import BSpline, knots_from_breakpoints, refinement, uniform_knots

DEGREES = [1, 2, 3, 5, 7]


def basis(degree, grid, d_in=2, uniform=True):
    lower = torch.linspace(-1.0, -0.5, d_in, dtype=torch.float64)
    if uniform:
        return BSpline(uniform_knots(lower, lower + 2.0, grid, degree), degree)
    gaps = 0.5 + torch.rand(d_in, grid, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    points = torch.cat([torch.zeros(d_in, 1, dtype=torch.float64), gaps.cumsum(1)], 1)
    return BSpline(knots_from_breakpoints(lower[:, None] + 2 * points / points[:, -1:], degree), degree)


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("uniform", [True, False])
def test_equals_scipy(degree, uniform):
    b = basis(degree, 6, uniform=uniform)
    assert b.uniform == uniform
    x = torch.stack(
        [torch.linspace(float(p[0]), float(p[-1]) - 1e-9, 57, dtype=torch.float64) for p in b.breakpoints], 1
    )
    coefficients = torch.randn(2, b.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    table, first = b.table(x, degree)
    index = first[..., None] + torch.arange(degree + 1)
    for i in range(2):
        spline = Reference(b.knots[i].numpy(), coefficients[i].numpy(), degree)
        for order in range(degree + 1):
            got = (table[order][:, i] * coefficients[i][index[:, i]]).sum(-1).numpy()
            wanted = (spline.derivative(order) if order else spline)(x[:, i].numpy())
            assert np.abs(got - wanted).max() <= 1e-10 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("uniform", [True, False])
def test_one_polynomial_goes_on_outside(degree, uniform):
    b = basis(degree, 4, d_in=1, uniform=uniform)
    x = torch.linspace(-3.0, 4.0, 301, dtype=torch.float64)[:, None].requires_grad_()
    c = torch.randn(b.size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    value = b.dense(x)[:, 0] @ c
    slope = torch.autograd.grad(value.sum(), x)[0][:, 0]
    table, first = b.table(x.detach(), 1)
    got = (table[1][:, 0] * c[first[:, 0, None] + torch.arange(degree + 1)]).sum(-1)
    assert torch.allclose(got, slope, rtol=1e-9, atol=1e-9)
    outside = x.detach()[:, 0] > float(b.breakpoints[0, -1])
    xs, ys = x.detach()[outside, 0].numpy(), value.detach()[outside].numpy()
    fit = np.polynomial.Polynomial.fit(xs, ys, degree)
    assert np.abs(fit(xs) - ys).max() <= 1e-8 * np.abs(ys).max()


def test_sums_to_one_everywhere():
    b = basis(3, 5)
    x = torch.linspace(-2, 2, 50, dtype=torch.float64)[:, None].expand(-1, 2)
    assert torch.allclose(b.dense(x).sum(-1), torch.ones(50, 2, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("factor", [2, 3])
def test_nested_refinement_is_exact_inside_and_outside(degree, uniform, factor):
    old = basis(degree, 4, uniform=uniform)
    new, matrices = old.refined(4 * factor)
    coefficients = torch.randn(2, old.size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    fine = torch.einsum("ing,ig->in", torch.as_tensor(matrices), coefficients)
    inside = torch.linspace(-1.0, 1.5, 401, dtype=torch.float64)
    outside = torch.cat([torch.linspace(-2.0, -1.0, 50), torch.linspace(1.5, 2.5, 50)]).double()
    for x in (inside, outside):
        x = x[:, None].expand(-1, 2)
        before = torch.einsum("pig,ig->pi", old.dense(x), coefficients)
        after = torch.einsum("pin,in->pi", new.dense(x), fine)
        assert float((after - before).abs().max() / before.abs().max()) <= 1e-12


def test_refinement_matrix_rows_sum_to_one():
    old, new = basis(3, 4, d_in=1), basis(3, 8, d_in=1)
    matrix = refinement(old.knots[0].numpy(), new.knots[0].numpy(), 3)
    assert np.allclose(matrix.sum(1), 1.0, atol=1e-13)


def test_other_grids_are_least_squares():
    old = basis(3, 4, d_in=1)
    new, matrices = old.refined(7)
    x = torch.linspace(-1, 1, 200, dtype=torch.float64)[:, None]
    coefficients = torch.sin(torch.arange(old.size, dtype=torch.float64))
    before, after = old.dense(x)[:, 0] @ coefficients, new.dense(x)[:, 0] @ torch.as_tensor(matrices[0]) @ coefficients
    assert 1e-12 < float((after - before).abs().max()) < 0.05


def test_coarsening_is_refused():
    with pytest.raises(InputError, match="can only be refined; it has 8 cells, got 4"):
        basis(3, 8).refined(4)


@pytest.mark.parametrize("degree", [2, 3, 5])
def test_approximation_order(degree):
    """Degree + 1 for values, one less for each derivative; by regression over grids."""
    grids = np.array([16, 24, 32, 48])
    errors = np.zeros((3, len(grids)))
    for j, grid in enumerate(grids):
        b = basis(degree, int(grid), d_in=1)
        x = torch.linspace(-1, 1, 2001, dtype=torch.float64)[:, None]
        wanted = [torch.sin(3 * x), 3 * torch.cos(3 * x), -9 * torch.sin(3 * x)]
        c = torch.linalg.lstsq(b.dense(x)[:, 0], wanted[0], driver="gelsd").solution[:, 0]
        table, first = b.table(x, 2)
        for order in range(3):
            got = (table[order][:, 0] * c[first[:, 0, None] + torch.arange(degree + 1)]).sum(-1)
            errors[order, j] = float((got - wanted[order][:, 0]).norm() / wanted[order].norm())
    for order in range(3):
        slope = -np.polyfit(np.log(grids), np.log(errors[order]), 1)[0]
        assert abs(slope - (degree + 1 - order)) <= 0.2, (order, slope)


def test_single_precision_stays_single():
    b = BSpline(uniform_knots(torch.zeros(2), torch.ones(2), 3, 2), 2)
    assert b.dense(torch.rand(5, 2)).dtype == torch.float32


def test_knots_travel_with_the_weights():
    moved, fresh = basis(3, 5, uniform=False), basis(3, 9)
    fresh.load_state_dict(moved.state_dict())
    x = torch.linspace(-1, 1, 30, dtype=torch.float64)[:, None].expand(-1, 2)
    assert torch.equal(fresh.dense(x), moved.dense(x))
