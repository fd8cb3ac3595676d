r"""Cells of unequal widths that follow the size of a function's derivatives.

The local length $h(x) = \min(U / |u'|, \sqrt{U / |u''|})$ of a function with amplitude U is limited in its slope, so
that neighbouring cells have similar widths (P.-O. Persson, Mesh size functions for implicit geometries and PDE-based
gradient limiting, Engineering with Computers 22, 2006), and the cells share $\int dx / h$ equally (equidistribution:
C. de Boor, Good approximation by splines with variable knots II, 1974).
"""

from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor

SLOPE = 0.35  # largest |h'|
WIDEST = 0.25  # largest h, as a part of the range
LEAST_FACTOR = 0.3  # by which lengths shrink at once


def local_lengths(values: Float[Tensor, "functions points"], width: float, wraps: bool) -> Float[Tensor, " points"]:
    """Return the smallest h of several functions.

    Args:
        values: at equally spaced points from one end of the range to the other.
        width: of the range.
        wraps: whether the functions are periodic.
    """
    count = values.shape[1]
    step = width / (count - 1)
    if wraps:
        values = torch.cat([values[:, -2:-1], values, values[:, 1:2]], dim=1)
    else:  # a parabola through the last three
        first, last = values[:, :3], values[:, -3:].flip(1)
        before, after = (3 * (p[:, :1] - p[:, 1:2]) + p[:, 2:] for p in (first, last))
        values = torch.cat([before, values, after], dim=1)
    slope = (values[:, 2:] - values[:, :-2]) / (2 * step)
    bend = (values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]) / step**2
    size = 0.5 * (values.amax(dim=1) - values.amin(dim=1))[:, None]
    tiny = torch.finfo(values.dtype).tiny
    lengths = torch.minimum(size / slope.abs().clamp_min(tiny), (size / bend.abs().clamp_min(tiny)).sqrt())
    lengths = torch.where(size > 1e-9 * values.abs().amax(), lengths, WIDEST * width).amin(dim=0)
    return limited(lengths.clamp_max(WIDEST * width), step, wraps)


def limited(lengths: Float[Tensor, " points"], step: float, wraps: bool) -> Float[Tensor, " points"]:
    """Return the largest lengths below the given ones whose slope is at most `SLOPE`."""
    count = len(lengths)
    if wraps:
        lengths = torch.cat([lengths[:-1], lengths, lengths[1:]])
    ramp = SLOPE * step * torch.arange(len(lengths), device=lengths.device, dtype=lengths.dtype)
    forward = (lengths - ramp).cummin(dim=0).values + ramp
    backward = ((forward.flip(0) - ramp).cummin(dim=0).values + ramp).flip(0)
    return backward[count - 1 : 2 * count - 1] if wraps else backward


def number_of_cells(lengths: Float[Tensor, " points"], width: float, resolution: float) -> int:
    """Return ``resolution`` times the integral of 1/h, rounded up."""
    share = (1 / lengths[1:] + 1 / lengths[:-1]) / 2
    return ceil(resolution * float(share.mean()) * width)


def equidistributed(
    lengths: Float[Tensor, " points"], lower: float, upper: float, cells: int
) -> Float[Tensor, " ends"]:
    """Return the ends of cells on which the integrals of 1/h are equal."""
    share = torch.cat([lengths.new_zeros(1), ((1 / lengths[1:] + 1 / lengths[:-1]) / 2).cumsum(dim=0)])
    wanted = torch.linspace(0, 1, cells + 1, device=lengths.device, dtype=lengths.dtype) * share[-1]
    right = torch.searchsorted(share, wanted).clamp(1, len(share) - 1)
    part = (wanted - share[right - 1]) / (share[right] - share[right - 1])
    ends = lower + (upper - lower) * (right - 1 + part) / (len(lengths) - 1)
    ends[0], ends[-1] = lower, upper
    return ends


def shorter(
    errors: Float[Tensor, " points"], ends: Float[Tensor, " ends"], wanted: float, exponent: float
) -> Float[Tensor, " points"]:
    """Return factors by which the local lengths should shrink so that all cells have equal parts of a smaller error.

    Args:
        errors: squared, at equally spaced points from one end of the range to the other.
        ends: of the present cells.
        wanted: root of the mean squared error to be reached.
        exponent: a cell whose error is q times its part has the factor $q^{-exponent}$; 1 over the order of the error.
    """
    cells, points = len(ends) - 1, len(errors)
    x = torch.linspace(float(ends[0]), float(ends[-1]), points, device=ends.device, dtype=ends.dtype)
    cell = torch.searchsorted(ends[1:-1].contiguous(), x)
    sums = errors.new_zeros(cells).index_add_(0, cell, errors)
    part = (sums / points * cells).sqrt() / wanted
    return part.clamp_min(1.0).pow(-exponent).clamp_min(LEAST_FACTOR)[cell]
