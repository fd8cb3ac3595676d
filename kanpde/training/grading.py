"""Points that follow the cells of a separable network, so that narrow cells have as many of them as wide ones.

Uniform points in the unit cube are mapped coordinate by coordinate. Half of the points are shared equally by the cells,
half by length, and the weights are those of the change of variables: sums over the points remain means over the region.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.domains import Domain, Points, Region
from kanpde.domains.box import Box
from kanpde.models.network import Network

ROUNDING = 1e-12  # of the range; points so near to an end lie on it
EQUAL = 0.5  # part of the points that the cells share equally


def graded(points: Points, region: Region, domain: Domain, network: nn.Module) -> Points:
    """Return points that follow the cells of the network's first layer, or the same ones if its cells are equal.

    Args:
        points: of the region, uniform or Gauss points.
        region: only the interior, faces and end slices of a box have graded points.
        domain: of the problem.
        network: whose cells are followed.
    """
    ends = network.ends if isinstance(network, Network) else []
    if not ends or region.is_measured or not isinstance(domain, Box) or not domain.has_part(region):
        return points
    held = [(i, value) for piece in region.fixed for i, value in piece.items()]
    if any(domain.ranges[i][0] < value < domain.ranges[i][1] for i, value in held):
        return points  # a slice inside the box would be moved
    return mapped(points, ends[: points.x.shape[1]])  # those of functions of the coordinates come last


def mapped(points: Points, ends: Sequence[Float[Tensor, " ends"]]) -> Points:
    """Return the points mapped along every coordinate; coordinates at the ends of the range are fixed there.

    Args:
        points: with uniform density.
        ends: of the cells, by coordinate.
    """
    x, weight = points.x.clone(), points.weight.clone()
    for i, places in enumerate(ends):
        lower, upper = places[0], places[-1]
        slack = ROUNDING * (upper - lower)
        inside = (x[:, i] > lower + slack) & (x[:, i] < upper - slack)
        widths = places.diff() / (upper - lower)
        masses = EQUAL / len(widths) + (1 - EQUAL) * widths
        sums = torch.cat([masses.new_zeros(1), masses.cumsum(0)])
        share = (x[inside, i] - lower) / (upper - lower)
        cell = torch.searchsorted(sums[1:-1].contiguous(), share)
        slope = widths[cell] / masses[cell]
        x[inside, i] = places[cell] + (upper - lower) * slope * (share - sums[cell])
        weight[inside] *= slope
    return replace(points, x=x, weight=weight / weight.sum())
