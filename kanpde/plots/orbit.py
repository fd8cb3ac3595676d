"""The picture of a system's orbit: two or three unknowns against each other, without time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kanpde.plots.axes import COLOURS
from kanpde.solution import Solution

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 6001


def has_orbit(solution: Solution) -> bool:
    """Return whether the solution is a curve in the plane or in space, of unknowns that depend on time alone."""
    return not solution.problem.domain.space and len(solution.problem.unknowns) in (2, 3)


def orbit_figure(solution: Solution) -> Figure:
    """Draw the orbit from its beginning, which is marked."""
    from matplotlib.figure import Figure

    problem = solution.problem
    (limits,) = problem.domain.ranges
    values = np.stack(solution(np.linspace(*limits, POINTS)))
    figure = Figure(figsize=(6, 5.5), layout="constrained")
    axes = figure.add_subplot(projection="3d" if len(values) == 3 else None)
    axes.plot(*values, color=COLOURS[0], linewidth=0.9)
    axes.plot(*values[:, :1], "o", color=COLOURS[1], label=f"{problem.domain.names[0]} = {limits[0]:g}")
    axes.set(**{f"{axis}label": name for axis, name in zip("xyz", problem.unknowns, strict=False)})
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
