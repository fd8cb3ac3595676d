"""Measured points of a problem in the pictures of its solution: small open circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kanpde.domains import Points
from kanpde.domains.region import Region
from kanpde.problem import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 400  # circles
NEAR = 0.05  # distance from a slice, relative to the ranges, of points that are shown on it
CIRCLES = {"marker": "o", "linestyle": "none", "markersize": 4, "markerfacecolor": "none", "markeredgewidth": 0.8}


def draw_values(axes: Axes, problem: Problem, unknown: str) -> None:
    """Draw measured values of an unknown over the only coordinate."""
    for region, points in _measured(problem):
        if unknown in region.columns and points.data is not None:
            y = points.data[:, region.columns.index(unknown)].cpu().numpy()
            axes.plot(points.x[:, 0].cpu().numpy(), y, **CIRCLES, markeredgecolor="0.25", label="measured")


def draw_places(axes: Axes, problem: Problem, shown: tuple[int, ...], held: Mapping[int, float]) -> int:
    """Draw where something is measured in a slice, and return the number of circles.

    Args:
        axes: of a map.
        problem: with the measured points.
        shown: the two coordinates of the map.
        held: the others with their values.
    """
    count = 0
    for _, points in _measured(problem):
        x = points.x.cpu().numpy()
        near = x[_is_near(x, problem, held)]
        count += len(near)
        if len(near):
            axes.plot(near[:, shown[0]], near[:, shown[1]], **CIRCLES, markeredgecolor="black")
    return count


def _is_near(x: NDArray, problem: Problem, held: Mapping[int, float]) -> NDArray:
    near = np.ones(len(x), dtype=bool)
    for i, value in held.items():
        lower, upper = problem.domain.ranges[i]
        near &= np.abs(x[:, i] - value) <= NEAR * (upper - lower)
    return near


def _measured(problem: Problem) -> Iterator[tuple[Region, Points]]:
    """Yield the regions of measured points beside equations, each with at most `MOST` of its points."""
    for condition in () if problem.is_fit else problem.trained.values():
        if condition.region.rows:
            points = condition.region.sample("auto", condition.region.rows)
            step = -(-len(points.x) // MOST)
            data = None if points.data is None else points.data[::step]
            yield condition.region, Points(points.x[::step], points.weight[::step], data=data)
