"""Ranges of coordinates, and points spread over them."""

from collections.abc import Sequence
from math import isfinite
from numbers import Real

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.domains.rules import unit_cube
from kanpde.errors import InputError


def check_range(name: str, limits: object) -> None:
    """Refuse a range that is not (lower, upper), finite, with lower < upper."""
    example = {name: (0.0, 1.0)}
    if not isinstance(limits, Sequence) or len(limits) != 2 or not all(isinstance(v, Real) for v in limits):
        raise InputError(f'The range of "{name}" must be two numbers (lower, upper), got {limits!r}.', write=example)
    lo, hi = limits
    if not (isfinite(lo) and isfinite(hi) and lo < hi):
        raise InputError(
            f'The range of "{name}" needs lower < upper, both finite, got ({lo:g}, {hi:g}).', write=example
        )


def label_at(name: str, value: float) -> str:
    """Return ``x=0.5``, with as many digits as the value needs."""
    return f"{name}={value:g}" if float(f"{value:g}") == value else f"{name}={value!r}"


def spread(
    ranges: Sequence[tuple[float, float]], device: torch.device | str, dtype: torch.dtype, per_axis: int, most: int
) -> Float[Tensor, "points dim"]:
    """Return an equidistant grid with the ends of the ranges, or Sobol points of more than three ranges.

    Args:
        ranges: (lower, upper) of every coordinate.
        device: of the points.
        dtype: of the points.
        per_axis: number of points along each of two or three coordinates; one coordinate has 1001.
        most: about the largest number of points of a grid.
    """
    dim = len(ranges)
    lower = torch.tensor([lo for lo, _ in ranges], device=device, dtype=dtype)
    upper = torch.tensor([hi for _, hi in ranges], device=device, dtype=dtype)
    if dim > 3:
        generator = torch.Generator().manual_seed(20_011)
        unit, _ = unit_cube("sobol", 16_384, dim, generator, torch.device(device), dtype)
    else:
        count = min(per_axis if dim > 1 else 1001, int(most ** (1 / dim)) if dim > 1 else 1001)
        axis = torch.linspace(0, 1, count, device=device, dtype=dtype)
        unit = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
    return lower + unit * (upper - lower)
