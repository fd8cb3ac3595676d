"""The damped linear problem in its three forms, against a dense least squares solver."""

import pytest
import torch

from kanpde.optimizers.damped import QR, Cholesky, CholeskyInPieces, Dual, column_scale, gram


def problem(rows, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    jacobian = torch.randn(rows, size, generator=generator, dtype=torch.float64)
    jacobian *= 10.0 ** torch.linspace(-3, 3, size, dtype=torch.float64)  # columns of very different size
    return jacobian, torch.randn(rows, generator=generator, dtype=torch.float64)


def system(method, jacobian):
    scale = column_scale(jacobian.square().sum(dim=0), 1e-12)
    if method == "cholesky":
        return Cholesky(jacobian, gram(jacobian), scale)
    if method == "pieces":
        return CholeskyInPieces(gram(jacobian), scale, lambda v: jacobian @ v, lambda w: jacobian.T @ w)
    return {"qr": QR, "dual": Dual}[method](jacobian, scale)


@pytest.mark.parametrize("method", ["cholesky", "pieces", "qr", "dual"])
@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
@pytest.mark.parametrize("damping", [1e-6, 1e-2])
def test_every_form_solves_the_stacked_problem(method, shape, damping):
    """min |J δ + w|² + λ |D δ|², solved as one stacked least squares problem."""
    jacobian, w = problem(*shape)
    found = system(method, jacobian)
    y = found.solve(damping, w, found.transposed(w))
    stacked = torch.cat([jacobian, damping**0.5 * torch.diag(found.scale)])
    right = torch.cat([-w, torch.zeros(shape[1], dtype=w.dtype)])
    wanted = torch.linalg.lstsq(stacked, right[:, None], driver="gelsd").solution[:, 0]
    assert torch.allclose(y / found.scale, wanted, rtol=1e-6, atol=1e-7 * float(wanted.abs().max()))
    assert torch.allclose(found.forward(y), jacobian @ (y / found.scale))
    assert torch.allclose(found.transposed(w), jacobian.T @ w / found.scale)


def test_qr_keeps_the_accuracy_that_normal_equations_lose():
    """Two columns that differ by 1e-9: their sum is well determined, their difference only by QR."""
    jacobian, w = problem(30, 3)
    jacobian /= jacobian.norm(dim=0)
    jacobian[:, 1] = jacobian[:, 0] + 1e-9 * jacobian[:, 1]
    wanted = torch.linalg.lstsq(jacobian, -w[:, None], driver="gelsd").solution[:, 0]
    errors = {}
    for method in ("cholesky", "qr"):
        found = system(method, jacobian)
        y = found.solve(1e-24, w, found.transposed(w))
        errors[method] = float("inf") if y is None else float((y / found.scale - wanted).norm() / wanted.norm())
    assert errors["qr"] < 1e-4 < errors["cholesky"]


def test_gram_is_the_symmetric_product():
    jacobian, _ = problem(50, 13)
    assert torch.allclose(gram(jacobian), jacobian.T @ jacobian)


def test_zero_columns_do_not_move():
    jacobian, w = problem(30, 5)
    jacobian[:, 2] = 0.0
    for method in ("cholesky", "qr", "dual"):
        found = system(method, jacobian)
        y = found.solve(1e-3, w, found.transposed(w))
        assert abs(float(y[2])) <= 1e-12
