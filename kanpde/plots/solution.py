"""The picture of a solution: the solution, the exact solution, the error and the residual side by side."""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.calculus.field import Field
from kanpde.problem import Problem
from kanpde.residuals.evaluation import exact_fields
from kanpde.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PIXELS, LINE = 120, 500  # numbers of points along each axis of an image, and along a line
TIMES = 3
MOST_NAMED = 5  # coordinates that are held fixed
VALUES, SIGNED = "viridis", "RdBu_r"
FOUND, EXACT = "#0072B2", "#D55E00"

# by column, the values of every unknown (for the residual, of every equation) with their titles
Columns = dict[str, list[tuple[str, NDArray]]]


def solution_figure(solution: Solution) -> Figure:
    """Draw lines in one dimension, images over (x, t) or (x, y); one row per unknown and time."""
    from matplotlib.figure import Figure

    axes, slices, fixed = _slices(solution)
    columns = [_columns(solution, x) for _, x in slices]
    blocks = max(len(entries) for entries in columns[0].values())
    rows, width = blocks * len(slices), len(columns[0]) - (len(axes) == 1 and "exact" in columns[0])
    size = (3.9 * max(width, 2), 2.9 * rows + 0.6)
    figure = Figure(figsize=size, layout="constrained" if len(axes) == 1 else "compressed")
    panels = figure.subplots(rows, width, squeeze=False)
    for block in range(blocks):
        part = panels[block * len(slices) : (block + 1) * len(slices)]
        if len(axes) == 1:
            _draw_lines(part[0], solution.problem, slices[0][1][:, 0].cpu().numpy(), columns[0], block)
        else:
            _draw_images(figure, part, solution.problem, axes, [c for c, _ in slices], columns, block)
    facts = [f"relative L2 error of {u}: {e['l2']:.2e}" for u, e in solution.errors.items()]
    facts = [f"accuracy {solution.settings['accuracy']:.4g}"] if "accuracy" in solution.settings else facts
    estimate = solution.settings.get("estimate", nan)
    facts += [f"estimated relative L2 error: {estimate:.2e}"] if isfinite(estimate) else []
    facts += [f"{name} = {value:.6g}" for name, value in solution.coefficients.items()]
    facts += [f"slice at {fixed}"] if fixed else []
    figure.suptitle(";  ".join(facts), fontsize="medium", wrap=True)
    return figure


# values -------------------------------------------------------------------------------------------------------------
def _slices(solution: Solution) -> tuple[tuple[int, ...], list[tuple[str, Tensor]], str]:
    """Return the coordinates on the axes, the points and caption of every slice, and the text on fixed coordinates."""
    domain = solution.problem.domain
    axes: tuple[int, ...] = (*domain.space, *([] if domain.time is None else [domain.time]))[:2]
    if len(axes) == 1:
        return axes, [("", _points(solution, axes, {}))], ""
    others = [i for i in domain.space if i not in axes]
    # the middle, or another slice because odd solutions vanish in the middle
    options = [{i: lo + share * (hi - lo) for i in others for lo, hi in [domain.ranges[i]]} for share in (0.5, 0.75)]
    moments: list[tuple[str, dict[int, float]]] = [("", {})]
    if domain.time not in (None, *axes):
        begin, end = domain.ranges[domain.time]
        moments = [(f", t = {t:.3g}", {domain.time: float(t)}) for t in np.linspace(begin, end, TIMES)]
    fixed = max(options, key=lambda at: _spread(solution, _points(solution, axes, at | moments[0][1])))
    slices = [(caption, _points(solution, axes, fixed | moment)) for caption, moment in moments]
    named = ", ".join(f"{domain.names[i]} = {value:.3g}" for i, value in list(fixed.items())[:MOST_NAMED])
    share = 50 if fixed is options[0] else 75
    more = len(fixed) - MOST_NAMED
    return axes, slices, f"{named}, {more} more at {share} % of their ranges" if more > 0 else named


def _points(solution: Solution, axes: tuple[int, ...], fixed: dict[int, float]) -> Tensor:
    """Return points (points, dim): on a line with its ends, or at the centres of pixels, the first axis fastest."""
    ranges = solution.problem.domain.ranges
    if len(axes) == 1:
        shares = [np.linspace(0, 1, LINE)]
    else:
        share = (np.arange(PIXELS) + 0.5) / PIXELS
        shares = [part.ravel() for part in np.meshgrid(share, share)]
    x = np.empty((len(shares[0]), len(ranges)))
    for i, value in fixed.items():
        x[:, i] = value
    for i, part in zip(axes, shares, strict=True):
        lo, hi = ranges[i]
        x[:, i] = lo + (hi - lo) * part
    return torch.as_tensor(x).to(next(solution.model.parameters()))


def _spread(solution: Solution, x: Tensor) -> float:
    """Return the largest minus the smallest value of the first unknown at the points inside the domain."""
    values = solution.fields(x, lambda *unknowns: unknowns[0].value)[solution.problem.domain.contains(x)]
    return float(values.max() - values.min()) if len(values) else 0.0


def _columns(solution: Solution, x: Tensor) -> Columns:
    """Return the values at the points; NaN outside the domain, where pictures stay blank."""
    problem = solution.problem

    def ask(*unknowns: Field) -> tuple[list[Tensor], list[Tensor]]:
        return [u.value for u in unknowns], [e.value for e in exact_fields(problem, unknowns[0].context)]

    found, exact = solution.fields(x, ask)
    columns = {"solution": list(zip(problem.unknowns, found, strict=True))}
    if exact:
        columns["exact"] = list(zip(problem.unknowns, exact, strict=True))
        columns["error"] = [(name, a - b) for name, a, b in zip(problem.unknowns, found, exact, strict=True)]
    elif estimated := solution.estimated_errors(x):
        columns["estimated error"] = list(zip(problem.unknowns, estimated, strict=True))
    inside = [name for name, condition in problem.conditions.items() if condition.region.is_interior]
    if inside:
        columns["residual"] = [entry for name in inside for entry in _residuals(solution, name, x)]
    outside = ~problem.domain.contains(x)
    return {
        column: [
            (f"{column} {name}", values.double().masked_fill(outside, nan).cpu().numpy()) for name, values in entries
        ]
        for column, entries in columns.items()
    }


def _residuals(solution: Solution, name: str, x: Tensor) -> list[tuple[str, Tensor]]:
    values = [r.detach() for r in solution.residual(name, x)]
    return [(f"{k} of {name}" if len(values) > 1 else f"of {name}", r) for k, r in enumerate(values, start=1)]


def first_slice(solution: Solution) -> tuple[tuple[int, ...], Tensor, str]:
    """Return the coordinates on the axes and the points of the first slice, and where it lies as a text."""
    axes, slices, fixed = _slices(solution)
    caption, x = slices[0]
    return axes, x, f"{fixed}{caption}".strip(", ")


def draw_first_unknown(
    panel: Axes, solution: Solution, axes: tuple[int, ...], x: Tensor, limits: tuple[float, float]
) -> None:
    """Draw the first unknown on the slice of `first_slice`, a line or an image, with given limits of its values."""
    values, (low, high), domain = first_values(solution, x), limits, solution.problem.domain
    panel.set_xlabel(domain.names[axes[0]])
    if len(axes) == 1:
        panel.plot(x[:, axes[0]].cpu().numpy(), values, color=FOUND)
        panel.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
        panel.grid(alpha=0.3)
        return
    (left, right), (bottom, top) = (domain.ranges[i] for i in axes)
    image, extent = values.reshape(PIXELS, PIXELS), (left, right, bottom, top)
    panel.imshow(image, origin="lower", extent=extent, vmin=low, vmax=high, cmap=VALUES, aspect="auto")
    panel.set_ylabel(domain.names[axes[1]])


def first_values(solution: Solution, x: Tensor) -> NDArray:
    """Return the first unknown at points, NaN outside the domain."""
    values = solution.fields(x, lambda *unknowns: unknowns[0].value).double()
    return values.masked_fill(~solution.problem.domain.contains(x), nan).cpu().numpy()


# drawing ------------------------------------------------------------------------------------------------------------
def _draw_lines(panels: Any, problem: Problem, x: NDArray, columns: Columns, block: int) -> None:
    for axes, column in zip(panels, [c for c in columns if c != "exact"], strict=True):
        if block >= len(columns[column]):
            axes.set_axis_off()
            continue
        title, values = columns[column][block]
        axes.plot(x, values, color=FOUND, label="found")
        if column == "solution" and "exact" in columns:
            axes.plot(x, columns["exact"][block][1], "--", color=EXACT, label="exact")
            axes.legend()
        axes.set(title=title, xlabel=problem.domain.names[0])
        axes.ticklabel_format(axis="y", scilimits=(-2, 3))
        axes.grid(alpha=0.3)


def _draw_images(
    figure: Figure,
    panels: Any,
    problem: Problem,
    axes: tuple[int, ...],
    captions: list[str],
    columns: list[Columns],
    block: int,
) -> None:
    """Draw one unknown: a row per slice, a column per quantity with one colour bar for all its slices."""
    (left, right), (bottom, top) = (problem.domain.ranges[i] for i in axes)
    names = [problem.domain.names[i] for i in axes]
    is_alike = "t" not in names and 0.2 < (top - bottom) / (right - left) < 5
    for k, column in enumerate(columns[0]):
        stack: list[Axes] = list(panels[:, k])
        if block >= len(columns[0][column]):
            for panel in stack:
                panel.set_axis_off()
            continue
        low, high = _limits(columns, column, block)
        for panel, caption, slice_ in zip(stack, captions, columns, strict=True):
            title, values = slice_[column][block]
            panel.imshow(
                values.reshape(PIXELS, PIXELS),
                origin="lower",
                extent=(left, right, bottom, top),
                vmin=low,
                vmax=high,
                cmap=VALUES if column in ("solution", "exact") else SIGNED,
                aspect="equal" if is_alike else "auto",
            )
            panel.set(title=title + caption, xlabel=names[0], ylabel=names[1])
            panel.locator_params(nbins=4)
        bar = figure.colorbar(stack[0].images[0], ax=stack)
        bar.ax.ticklabel_format(axis="y", scilimits=(-2, 3))


def _limits(columns: list[Columns], column: str, block: int) -> tuple[float, float]:
    """Return colour limits over all slices: equal for solution and exact, symmetric about 0 for error and residual."""
    is_value = column in ("solution", "exact")
    alike = [c for c in ("solution", "exact") if c in columns[0]] if is_value else [column]
    values = np.concatenate([slice_[name][block][1] for slice_ in columns for name in alike])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return -1.0, 1.0
    largest = max(float(np.abs(values).max()), np.finfo(float).tiny)
    return (float(values.min()), float(values.max())) if is_value else (-largest, largest)
