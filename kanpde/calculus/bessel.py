r"""Bessel functions of the first kind of fields, whose derivatives torch does not have.

$J_0' = -J_1$ and $J_1' = J_0 - J_1 / x$ (NIST DLMF 10.6.2, 10.6.3).
"""

from collections.abc import Callable
from math import factorial
from typing import Any

import torch
from torch import Tensor


class _Bessel(torch.autograd.Function):
    """J_0 or J_1."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, order: int) -> Tensor:
        return torch.special.bessel_j1(x) if order else torch.special.bessel_j0(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        x, ctx.order = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grads[0] * (j0(x) - _ratio(x) if ctx.order else -j1(x)), None


def _ratio(x: Tensor) -> Tensor:
    """Return J_1(x) / x, near 0 by its power series (NIST DLMF 10.2.2), because differences would cancel."""
    near, square, series = x.abs() < 0.5, 0.25 * x * x, torch.zeros_like(x)
    for m in range(7, -1, -1):
        series = series * square + (-1) ** m / (2 * factorial(m) * factorial(m + 1))
    return torch.where(near, series, j1(x) / torch.where(near, 1.0, x))


def j0(x: Tensor) -> Tensor:
    """Return J_0 at any points; it can be differentiated as often as wanted."""
    return _Bessel.apply(x, 0)  # pyright: ignore[reportReturnType]


def j1(x: Tensor) -> Tensor:
    """Return J_1 at any points; it can be differentiated as often as wanted."""
    return _Bessel.apply(x, 1)  # pyright: ignore[reportReturnType]


# by the names of torch's functions
BY_NAME: dict[str, Callable[..., Tensor]] = {"special_bessel_j0": j0, "special_bessel_j1": j1}
