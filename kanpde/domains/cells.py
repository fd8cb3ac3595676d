"""Adaptive quadrature: a box divided into cells with Gauss points, of which some are halved where more are needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kanpde.domains.region import Points
from kanpde.domains.rules import unit_cube


@dataclass(frozen=True)
class Cells:
    """Disjoint boxes that fill a box, each with ``along`` Gauss points along every coordinate.

    The weights of the points are those of the composite rule, divided by the measure of the whole box, so that sums
    over the points remain means over the box when cells are halved.
    """

    lower: Float[Tensor, "cells dim"]
    upper: Float[Tensor, "cells dim"]
    along: int

    @property
    def size(self) -> int:
        """The number of points."""
        return len(self.lower) * self.along ** self.lower.shape[1]

    def points(self, along: int | None = None) -> Points:
        """Return the Gauss points of all cells, one cell after the other; ``along`` replaces their number."""
        dim, width = self.lower.shape[1], self.upper - self.lower
        n = (along or self.along) ** dim
        unit, weight = unit_cube("gauss", n, dim, torch.Generator(), self.lower.device, self.lower.dtype)
        x = self.lower[:, None] + width[:, None] * unit
        share = width.prod(dim=1) / width.prod(dim=1).sum()
        return Points(x.flatten(0, 1), (share[:, None] * weight).flatten())

    def sums(self, terms: Float[Tensor, " points"]) -> Float[Tensor, " cells"]:
        """Return the sums of one number per point over the points of each cell."""
        return terms.view(len(self.lower), -1).sum(dim=1)

    def variations(self, values: Float[Tensor, " points"]) -> Float[Tensor, "cells dim"]:
        """Return for each cell and coordinate how much values at its points vary along that coordinate.

        This is the variance of their means over the other coordinates.
        """
        dim = self.lower.shape[1]
        along = round((len(values) / len(self.lower)) ** (1 / dim))
        block = values.view(-1, *[along] * dim)
        others = [[k for k in range(1, dim + 1) if k != axis] for axis in range(1, dim + 1)]
        means = [block.mean(dim=each) if each else block for each in others]
        return torch.stack([mean.flatten(1).var(dim=1) for mean in means], dim=1)

    def halved(self, chosen: Bool[Tensor, " cells"], axis: Int[Tensor, " cells"]) -> Cells:
        """Return the cells with the chosen ones cut in two halves along one coordinate each."""
        lower, upper, along = self.lower[chosen], self.upper[chosen], axis[chosen][:, None]
        middle = 0.5 * (lower + upper).gather(1, along)
        left, right = upper.scatter(1, along, middle), lower.scatter(1, along, middle)
        kept = ~chosen
        return Cells(
            torch.cat([self.lower[kept], lower, right]), torch.cat([self.upper[kept], left, upper]), self.along
        )


def equal_cells(ranges: Float[Tensor, "dim 2"], points: int, along: int) -> Cells:
    """Return equal cells with about ``points`` Gauss points in total, equally many cells along every coordinate.

    Args:
        ranges: lower and upper ends of the box.
        points: wanted number of points.
        along: Gauss points along each coordinate of a cell.
    """
    dim = len(ranges)
    count = max(1, round((points / along**dim) ** (1 / dim)))
    steps = torch.arange(count, dtype=ranges.dtype, device=ranges.device)
    index = torch.cartesian_prod(*[steps] * dim).reshape(-1, dim)
    lower, width = ranges[:, 0], (ranges[:, 1] - ranges[:, 0]) / count
    return Cells(lower + index * width, lower + (index + 1) * width, along)


def largest(shares: Float[Tensor, " cells"], part: float) -> Bool[Tensor, " cells"]:
    """Return the smallest set of cells that has ``part`` of the sum of the shares (all non-negative).

    W. Dörfler, A convergent adaptive algorithm for Poisson's equation, SIAM J. Numer. Anal. 33, 1996.
    """
    ordered, place = shares.sort(descending=True)
    count = int((ordered.cumsum(0) < part * ordered.sum()).sum()) + 1
    chosen = torch.zeros(len(shares), dtype=torch.bool, device=shares.device)
    chosen[place[:count]] = True
    return chosen
