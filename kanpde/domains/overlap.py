"""Whether shapes have points in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from kanpde.domains.rules import along_line
from kanpde.errors import InputError

_LOOK = 24  # points of a grid along each axis


def check_operands(shape: Any) -> None:
    """Refuse a `Combination` in which an operand of ``&`` or ``-`` lies outside the other."""
    if not hasattr(shape, "operation"):
        return
    check_operands(shape.one)
    check_operands(shape.two)
    if shape.operation != "|" and not overlap(shape.one, shape.two):
        what = "there is nothing to cut out" if shape.operation == "-" else "they have no point in common"
        raise InputError(f"{shape.two!r} lies outside {shape.one!r}, so that {what}. Check places and sizes.")


def overlap(one: Any, two: Any) -> bool:
    """Return whether points lie in both of two `Shape`s: of a grid, or on the boundary of one and in the other."""
    low, high = (
        np.maximum(one.bounds[:, 0], two.bounds[:, 0]),
        np.minimum(one.bounds[:, 1], two.bounds[:, 1]),
    )
    if (low >= high).any():
        return False
    axes = [a + (b - a) * (np.arange(_LOOK) + 0.5) / _LOOK for a, b in zip(low, high, strict=True)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    if ((one.level(x) < 0) & (two.level(x) < 0)).any():
        return True
    small = -1e-9 * float(np.ptp(one.bounds, axis=1).max())
    return any(
        bool((other.level(shape.geometry.on_boundary(None, 400, along_line("gauss"))[0]) < small).any())
        for shape, other in ((one, two), (two, one))
    )
