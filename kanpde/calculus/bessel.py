r"""Bessel functions of the first kind of fields, whose derivatives torch does not have.

$J_0' = -J_1$ and $J_1' = J_0 - J_1 / x$ (NIST DLMF 10.6.2, 10.6.3).
"""

from collections.abc import Callable
from math import factorial
from typing import Any

import torch
from torch import Tensor


class _J0(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return -grads[0] * j1(x)


class _J1(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.special.bessel_j1(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] * (j0(x) - _ratio(x))


def _ratio(x: Tensor) -> Tensor:
    """Return J_1(x) / x, near 0 by its power series (NIST DLMF 10.2.2), because differences would cancel."""
    near, square, series = x.abs() < 0.5, 0.25 * x * x, torch.zeros_like(x)
    for m in range(7, -1, -1):
        series = series * square + (-1) ** m / (2 * factorial(m) * factorial(m + 1))
    return torch.where(near, series, j1(x) / torch.where(near, 1.0, x))


def j0(x: Tensor) -> Tensor:
    """Return J_0 at any points; it can be differentiated as often as wanted."""
    return _J0.apply(x)  # pyright: ignore[reportReturnType]


def j1(x: Tensor) -> Tensor:
    """Return J_1 at any points; it can be differentiated as often as wanted."""
    return _J1.apply(x)  # pyright: ignore[reportReturnType]


# by the names of torch's functions
BY_NAME: dict[str, Callable[..., Tensor]] = {"special_bessel_j0": j0, "special_bessel_j1": j1}
