"""The picture of a solution: the solution, the exact solution, the error and the residual side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.calculus.field import Field
from kanpde.domains.box import Box
from kanpde.domains.families import family_of, members_of
from kanpde.plots.measured import draw_places, draw_values
from kanpde.plots.shapes import Canvas, draw_arrows, shape_of
from kanpde.problem import Problem
from kanpde.residuals.evaluation import exact_fields
from kanpde.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PIXELS, LINE = 120, 500  # numbers of points along each axis of an image, and along a line
OVER_TIME = 3001  # along a line over time alone, as solutions of ordinary differential equations may be stiff
TIMES = 3
MOST_NAMED = 5  # coordinates that are held fixed
VALUES, SIGNED = "viridis", "RdBu_r"
FOUND, EXACT = "#0072B2", "#D55E00"

# by column, the values of every unknown (for the residual, of every equation) with their titles
Columns = dict[str, list[tuple[str, NDArray]]]


def solution_figure(solution: Solution) -> Figure:
    """Draw lines in one dimension, images over (x, t) or (x, y); one row per unknown and time."""
    from matplotlib.figure import Figure

    canvas, slices, fixed = _slices(solution)
    axes = canvas.axes
    columns = [_columns(solution, canvas, x) for _, x in slices]
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
            _draw_images(figure, part, solution.problem, canvas, slices, columns, block)
    facts = [f"relative L2 error of {u}: {e['l2']:.2e}" for u, e in solution.errors.items()]
    facts = [f"accuracy {solution.settings['accuracy']:.4g}"] if "accuracy" in solution.settings else facts
    estimate = solution.settings.get("estimate", nan)
    facts += [f"estimated relative L2 error: {estimate:.2e}"] if isfinite(estimate) else []
    facts += [f"{name} = {value:.6g}" for name, value in solution.coefficients.items()]
    facts += [f"slice at {fixed}"] if fixed else []
    figure.suptitle(";  ".join(facts), fontsize="medium", wrap=True)
    return figure


# values -------------------------------------------------------------------------------------------------------------
def _slices(solution: Solution) -> tuple[Canvas, list[tuple[str, Tensor]], str]:
    """Return where values are drawn, the points and caption of every slice, and the text on fixed coordinates."""
    domain = solution.problem.domain
    family = family_of(domain)
    axes: tuple[int, ...] = (*domain.space, *([] if domain.time is None else [domain.time]), *family)[:2]
    canvas = Canvas(axes, shape_of(domain, axes, PIXELS), None)
    if len(axes) == 1:
        return canvas, [("", _points(solution, canvas, {}))], ""
    others = [i for i in domain.space if i not in axes]
    # the middle, or another slice because odd solutions vanish in the middle
    options = [{i: lo + share * (hi - lo) for i in others for lo, hi in [domain.ranges[i]]} for share in (0.5, 0.75)]
    moments: list[tuple[str, dict[int, float]]] = [("", {})]
    if domain.time not in (None, *axes):
        begin, end = domain.ranges[domain.time]
        times = np.linspace(begin, end, TIMES)
        shown = [0.5 * (begin + end)] if set(family) - set(axes) else times
        moments = [(f", t = {t:.3g}", {domain.time: float(t)}) for t in shown]
    if set(family) - set(axes):
        moments = [(caption + word, at | held) for caption, at in moments for word, held in _members(domain, axes)]
    fixed = max(options, key=lambda at: _spread(solution, _points(solution, canvas, at | moments[0][1])))
    slices = [(caption, _points(solution, canvas, fixed | moment)) for caption, moment in moments]
    if canvas.shape is None and not isinstance(domain, Box):
        canvas = replace(canvas, inside=domain.contains(slices[0][1]).cpu().numpy().reshape(PIXELS, PIXELS))
    named = ", ".join(f"{domain.names[i]} = {value:.3g}" for i, value in list(fixed.items())[:MOST_NAMED])
    share = 50 if fixed is options[0] else 75
    more = len(fixed) - MOST_NAMED
    return canvas, slices, f"{named}, {more} more at {share} % of their ranges" if more > 0 else named


def _members(domain: Any, axes: Sequence[int]) -> list[tuple[str, dict[int, float]]]:
    """Return the captions of members of a family, with the values of the parameters that are no axes by position."""
    found = []
    for values in members_of(domain, {}):
        held = {domain.names.index(name): value for name, value in values.items()}
        others = {i: value for i, value in held.items() if i not in axes}
        found.append(("".join(f", {domain.names[i]} = {value:.3g}" for i, value in others.items()), others))
    return found


def _points(solution: Solution, canvas: Canvas, fixed: dict[int, float]) -> Tensor:
    """Return points (points, dim): on a line with its ends, at corners of triangles, or at the centres of pixels.

    Of pixels the first axis is the fastest.
    """
    limits = [solution.problem.domain.ranges[i] for i in canvas.axes]
    count = LINE if solution.problem.domain.space else OVER_TIME
    share = np.linspace(0, 1, count) if len(limits) == 1 else (np.arange(PIXELS) + 0.5) / PIXELS
    if canvas.shape is not None:
        places = list(canvas.shape.points.T)
    else:
        places = [part.ravel() for part in np.meshgrid(*[lo + (hi - lo) * share for lo, hi in limits])]
    x = np.empty((len(places[0]), len(solution.problem.domain.names)))
    for i, value in fixed.items():
        x[:, i] = value
    for i, part in zip(canvas.axes, places, strict=True):
        x[:, i] = part
    return torch.as_tensor(x).to(next(solution.model.parameters()))


def _spread(solution: Solution, x: Tensor) -> float:
    """Return the largest minus the smallest value of the first unknown at the points inside the domain."""
    values = solution.fields(x, lambda *unknowns: unknowns[0].value)[solution.problem.domain.contains(x)]
    return float(values.max() - values.min()) if len(values) else 0.0


def _columns(solution: Solution, canvas: Canvas, x: Tensor) -> Columns:
    """Return the values at the points; NaN at pixels outside the domain, which stay blank."""
    problem = solution.problem

    def ask(*unknowns: Field) -> tuple[list[Tensor], list[Tensor]]:
        return [u.value for u in unknowns], [e.value for e in exact_fields(problem, unknowns[0].context)]

    found, exact = solution.fields(x, ask)
    columns = {"solution": _with_lengths(problem, found)}
    if exact:
        columns["exact"] = _with_lengths(problem, exact)
        columns["error"] = _with_lengths(problem, [a - b for a, b in zip(found, exact, strict=True)])
    elif estimated := solution.estimated_errors(x):
        columns["estimated error"] = list(zip(problem.unknowns, estimated, strict=True))
    inside = [name for name, condition in problem.conditions.items() if condition.region.is_interior]
    if inside:
        columns["residual"] = [entry for name in inside for entry in _residuals(solution, name, x)]
    outside = _outside(solution, canvas, x)
    return {
        column: [
            (f"{column} {name}", values.double().masked_fill(outside, nan).cpu().numpy()) for name, values in entries
        ]
        for column, entries in columns.items()
    }


def _with_lengths(problem: Problem, values: list[Tensor]) -> list[tuple[str, Tensor]]:
    """Return the unknowns' values with their names, and then the lengths of the problem's vectors."""
    named = dict(zip(problem.unknowns, values, strict=True))
    lengths = [(f"|{k}|", torch.stack([named[m] for m in v]).norm(dim=0)) for k, v in problem.vectors.items()]
    return [*named.items(), *lengths]


def _outside(solution: Solution, canvas: Canvas, x: Tensor) -> Tensor:
    """Return which points of a picture lie outside the domain; no corner of its triangles does."""
    inside = solution.problem.domain.contains(x)
    return ~inside if canvas.shape is None else torch.zeros_like(inside)


def _residuals(solution: Solution, name: str, x: Tensor) -> list[tuple[str, Tensor]]:
    values = [r.detach() for r in solution.residual(name, x)]
    return [(f"{k} of {name}" if len(values) > 1 else f"of {name}", r) for k, r in enumerate(values, start=1)]


def first_slice(solution: Solution) -> tuple[Canvas, Tensor, str]:
    """Return where the first slice is drawn, its points, and where it lies as a text."""
    canvas, slices, fixed = _slices(solution)
    caption, x = slices[0]
    return canvas, x, f"{fixed}{caption}".strip(", ")


def draw_first_unknown(panel: Axes, solution: Solution, canvas: Canvas, x: Tensor, limits: tuple[float, float]) -> None:
    """Draw the first unknown on the slice of `first_slice`, with given limits of its values."""
    values, (low, high), domain = first_values(solution, canvas, x), limits, solution.problem.domain
    panel.set_xlabel(domain.names[canvas.axes[0]])
    if len(canvas.axes) == 1:
        panel.plot(x[:, canvas.axes[0]].cpu().numpy(), values, color=FOUND)
        panel.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
        panel.grid(alpha=0.3)
        return
    canvas.draw(panel, domain, values, aspect="auto", vmin=low, vmax=high, cmap=VALUES)
    panel.set_ylabel(domain.names[canvas.axes[1]])


def first_values(solution: Solution, canvas: Canvas, x: Tensor) -> NDArray:
    """Return the first unknown at points, NaN at pixels outside the domain."""
    values = solution.fields(x, lambda *unknowns: unknowns[0].value).double()
    return values.masked_fill(_outside(solution, canvas, x), nan).cpu().numpy()


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
        if column == "solution" and block < len(problem.unknowns):
            draw_values(axes, problem, problem.unknowns[block])
        if len(axes.lines) > 1:
            axes.legend()
        axes.set(title=title, xlabel=problem.domain.names[0])
        axes.ticklabel_format(axis="y", scilimits=(-2, 3))
        axes.grid(alpha=0.3)


def _draw_images(
    figure: Figure,
    panels: Any,
    problem: Problem,
    canvas: Canvas,
    slices: list[tuple[str, Tensor]],
    columns: list[Columns],
    block: int,
) -> None:
    """Draw one unknown: a row per slice, a column per quantity with one colour bar for all its slices."""
    (left, right), (bottom, top) = (problem.domain.ranges[i] for i in canvas.axes)
    names = [problem.domain.names[i] for i in canvas.axes]
    in_space = set(canvas.axes) <= set(problem.domain.space)
    is_alike = in_space and 0.2 < (top - bottom) / (right - left) < 5
    aspect = "equal" if is_alike else "auto"
    for k, column in enumerate(columns[0]):
        stack: list[Axes] = list(panels[:, k])
        if block >= len(columns[0][column]):
            for panel in stack:
                panel.set_axis_off()
            continue
        low, high = _limits(columns, column, block)
        colours = VALUES if column in ("solution", "exact") else SIGNED
        drawn: Any = None
        for panel, (caption, x), slice_ in zip(stack, slices, columns, strict=True):
            title, values = slice_[column][block]
            drawn = canvas.draw(panel, problem.domain, values, aspect=aspect, vmin=low, vmax=high, cmap=colours)
            if column != "residual" and block >= len(problem.unknowns) and in_space:
                members = list(problem.vectors.values())[block - len(problem.unknowns)][:2]
                parts = [slice_[column][problem.unknowns.index(name)][1] for name in members]
                draw_arrows(panel, x[:, canvas.axes].cpu().numpy(), *parts)
            if column == "solution":
                held = {i: float(x[0, i]) for i in range(x.shape[1]) if i not in canvas.axes}
                if draw_places(panel, problem, canvas.axes, held):
                    panel.set(xlim=(left, right), ylim=(bottom, top))
            panel.set(title=title + caption, xlabel=names[0], ylabel=names[1])
            panel.locator_params(nbins=4)
        bar = figure.colorbar(drawn, ax=stack)
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
