"""A picture of the coefficients of an inverse problem: their course during training, with their 95 % intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kanpde.plots.axes import COLOURS
from kanpde.solution import Solution

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEFORE = "coefficient_"  # columns of the history


def coefficients_figure(solution: Solution) -> Figure | None:
    """Plot every coefficient of an inverse problem against the step; None if there is none, or no step."""
    from matplotlib.figure import Figure

    names = [name for name in solution.problem.parameters if any(BEFORE + name in row for row in solution.history)]
    if not names:
        return None
    figure = Figure(figsize=(9, 2.2 * len(names) + 0.8), layout="constrained")
    panels = figure.subplots(len(names), 2, squeeze=False, sharex="col", width_ratios=(4, 1))
    for (course, last), name in zip(panels, names, strict=True):
        rows = [row for row in solution.history if BEFORE + name in row]
        course.plot([row["step"] for row in rows], [row[BEFORE + name] for row in rows], color=COLOURS[0])
        found, label = solution.coefficients[name], f"{solution.coefficients[name]:.6g}"
        if name in solution.intervals:
            lower, upper = solution.intervals[name]
            last.errorbar([0], [found], [[found - lower], [upper - found]], fmt="o", capsize=6, color=COLOURS[1])
            label += f", with 95 % probability from {lower:.6g} to {upper:.6g}"
        course.axhline(found, color=COLOURS[1], linewidth=0.8)
        course.set_title(f"{name} = {label}", fontsize="medium", loc="left")
        course.set_ylabel(name)
        course.grid(alpha=0.3)
        last.grid(alpha=0.3)
        last.set_xticks([])
        last.yaxis.tick_right()
        last.ticklabel_format(useOffset=False)
        last.set_visible(name in solution.intervals)
    pairs = {frozenset((a, b)): (a, b, r) for a, of in solution.correlations.items() for b, r in of.items()}
    told = ", ".join(f"{a} and {b} {r:.3g}" for a, b, r in pairs.values())
    panels[-1, 0].set_xlabel(f"step\ncorrelations: {told}" if told else "step", wrap=True)
    return figure
