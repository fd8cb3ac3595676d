"""Pictures of one solution: its fields, its history, its error against its size, and its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kanpde.plots.axes import COLOURS, DPI, log_scale, number, positive, tick_at
from kanpde.plots.coefficients import coefficients_figure
from kanpde.plots.edge_functions import Labels, has_edge_functions
from kanpde.plots.edges import edges_figures
from kanpde.plots.network import network_figure
from kanpde.plots.orbit import has_orbit, orbit_figure
from kanpde.plots.page import page
from kanpde.plots.slopes import Slope, fitted_slope, last_of_each_size
from kanpde.plots.solution import solution_figure
from kanpde.solution import Solution
from kanpde.training.watch import kept

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSS, ERROR, FRESH, FIT = COLOURS[0], COLOURS[1], COLOURS[2], "0.35"


def save_plots(
    solution: Solution,
    folder: str | Path,
    names: Labels = {},  # noqa: B006, neither is changed
    labels: Labels = {},  # noqa: B006
) -> list[Path]:
    """Write solution.png, history.png, scaling.png and, for a KAN, network.png, network.html and edges.png.

    For systems of two or three unknowns over time alone also orbit.png, and of an inverse problem coefficients.png.

    Args:
        solution: of a run.
        folder: for the files.
        names: short texts for the edges in network.png by (layer, input, output), such as "sin".
        labels: texts for the edges in edges.png and network.html, such as "sin(3.14*s)".

    Returns:
        their paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "solution": solution_figure(solution),
        "history": history_figure(solution),
        "scaling": scaling_figure(solution.levels),
    }
    if has_orbit(solution):
        figures["orbit"] = orbit_figure(solution)
    coefficients = coefficients_figure(solution)
    if coefficients is not None:
        figures["coefficients"] = coefficients
    if has_edge_functions(solution):
        figures["network"] = network_figure(solution, names)
        for number_of_page, figure in enumerate(edges_figures(solution, labels), start=1):
            figures["edges" if number_of_page == 1 else f"edges-{number_of_page}"] = figure
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=DPI)
    return [*paths, page(solution, folder / "network.html", labels)] if has_edge_functions(solution) else paths


# history ------------------------------------------------------------------------------------------------------------
def history_figure(solution: Solution) -> Figure:
    """Plot the loss and, where known, the largest relative L2 error of the unknowns and its estimates against the step.

    The loss on fresh points and the estimates are marked at the ends of phases; warnings are written above.
    """
    from matplotlib.figure import Figure

    stretches = _stretches(solution.history)
    drawn = [("loss", "loss |r|²", LOSS)]
    errors = [*(row.get("error") for row in solution.history), *_by_level(solution, "estimate")]
    if np.isfinite(positive(errors)).any():
        names = solution.problem.unknowns
        label = f"relative L2 error of {names[0]}" if len(names) == 1 else "largest relative L2 error of the unknowns"
        drawn.append(("error", label, ERROR))
    figure = Figure(figsize=(8, 2.6 * len(drawn) + 0.8), layout="constrained")
    panels = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (key, label, colour) in zip(panels, drawn, strict=True):
        last = nan
        for rows in stretches:  # drawn separately, since points and weights change in between
            new = [row for row, old in zip(rows, [{key: last}, *rows], strict=False) if row.get(key) != old.get(key)]
            last = rows[-1].get(key)  # the error is not measured at every step; the last value is repeated
            marker = "." if key == "error" or len(rows) < 3 else None
            axes.plot([r["step"] for r in new], positive(r.get(key) for r in new), color=colour, marker=marker)
        axes.set_ylabel(label)
        is_measured = np.isfinite(positive(row.get(key) for row in solution.history)).any()
        if key == "loss":
            ends = _draw_marks(axes, solution, stretches, "fresh", "D", color=FRESH, label="on fresh points")
        else:
            ends = _draw_marks(axes, solution, stretches, "estimate", "D", color=FRESH, label="estimated")
            if not is_measured:  # at steps, as in windows of time
                ends += _draw_marks(axes, solution, stretches, "l2", "o", color=colour, label="at the end of a phase")
        if ends:
            if is_measured:
                axes.lines[0].set_label("on the training points" if key == "loss" else "measured")
            axes.legend()
        log_scale(axes, y=positive([*ends, *(row.get(key) for row in solution.history)]))
        axes.grid(alpha=0.3)
        for rows in stretches[1:]:
            axes.axvline(rows[0]["step"] - 0.5, color="0.6", linewidth=0.8, linestyle="--")
    _name_stretches(panels[0], solution, stretches)
    panels[-1].set_xlim(0.5, max(len(solution.history), 1) + 0.5)
    panels[-1].set_xlabel(f"step\nended: {solution.reason}", wrap=True)
    if solution.warnings:
        text = "\n".join(fill(f"Warning: {warning.message}", 100) for warning in solution.warnings)
        figure.suptitle(text, color=ERROR, fontsize="medium")
    return figure


def _by_level(solution: Solution, column: str) -> list[Any]:
    """Return a column of the table of levels; a schedule estimates the error of the result only, at the end."""
    result, final = kept(solution.levels), {"estimate": solution.settings.get("estimate")}
    return [level.get(column, final.get(column) if level is result else None) for level in solution.levels]


def _draw_marks(
    axes: Axes, solution: Solution, stretches: list[list[Mapping[str, float]]], column: str, style: str, **options: Any
) -> list[Any]:
    """Mark the values of a column of the table of levels where their phases ended, and return them.

    Args:
        axes: that have the history.
        solution: with the levels.
        stretches: from `_stretches`.
        column: of the table of levels.
        style: format string of the marks.
        options: further ones of `Axes.plot`.
    """
    ends = {(rows[0].get("start", 0), rows[0]["phase"]): rows[-1]["step"] for rows in stretches}
    places = [ends.get((level.get("start", 0), level["phase"]), nan) for level in solution.levels]
    values = positive(_by_level(solution, column))
    if not (np.isfinite(values) & np.isfinite(places)).any():
        return []
    axes.plot(places, values, style, clip_on=False, **options)
    return list(values)


def _stretches(history: Sequence[Mapping[str, float]]) -> list[list[Mapping[str, float]]]:
    """Split the history where a phase or another start begins."""
    found: list[list[Mapping[str, float]]] = []
    for row in history:
        if not found or any(row.get(k) != found[-1][0].get(k) for k in ("start", "phase")):
            found.append([])
        found[-1].append(row)
    return found


def _name_stretches(axes: Axes, solution: Solution, stretches: list[list[Mapping[str, float]]]) -> None:
    """Write the name of every stretch above the axes, except names that would overlap the previous one."""
    total = len(solution.history)
    if not total:
        axes.text(0.5, 0.5, "no step was taken", transform=axes.transAxes, ha="center")
    for rows in stretches:
        first, phase = rows[0], int(rows[0]["phase"])
        parts = [solution.levels[phase]["optimizer"]] if phase < len(solution.levels) else []
        parts += [f"grid {first['grid']:g}"] if np.isfinite(number(first.get("grid"))) else []
        if first.get("start"):
            parts = [f"start {int(first['start']) + 1}"]
        if len(rows) > 0.05 * total or rows is stretches[-1]:
            axes.annotate(
                ", ".join(parts),
                (first["step"] - 0.5, 1),
                (3, 3),
                fontsize="small",
                rotation=20,
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
            )


# scaling ------------------------------------------------------------------------------------------------------------


def level_errors(levels: Sequence[Mapping[str, Any]]) -> tuple[str, NDArray]:
    """Return the relative L2 errors of a run's levels, or the roots of the losses if no exact solution is known."""
    errors = positive(level.get("l2") for level in levels)
    if np.isfinite(errors).any():
        return "relative L2 error", errors
    return "√loss", np.sqrt(positive(level.get("loss") for level in levels))


def scaling_figure(levels: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot the error against parameters and grid over the levels of a schedule, log-log, with fitted slopes.

    The slope is fitted to the last kept level of every size; the other levels are drawn in a pale colour.
    """
    from matplotlib.figure import Figure

    label, errors = level_errors(levels)
    sizes = {"parameters": positive(level.get("parameters") for level in levels)}
    grid = positive(level.get("grid") for level in levels)
    if np.isfinite(grid).any():
        sizes["grid (cells per input)"] = grid
    figure = Figure(figsize=(4.6 * len(sizes), 4), layout="constrained")
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for axes, (name, size) in zip(panels, sizes.items(), strict=True):
        last = last_of_each_size(levels, name.partition(" ")[0])
        others = np.setdiff1d(np.arange(len(levels)), last)
        axes.plot(size[last], errors[last], "o-", color=ERROR, label=label)
        slope = fitted_slope(size[last], errors[last])
        if np.isfinite(slope.value):
            _draw_fit(axes, size[last], errors[last], slope)
        if np.isfinite(size[others] * errors[others]).any():
            label_of_others = "earlier or discarded phases"
            axes.plot(size[others], errors[others], "o", color=ERROR, alpha=0.35, mfc="none", label=label_of_others)
        axes.set_xlabel(name)
        log_scale(axes, x=size, y=errors)
        tick_at(axes, size)
        axes.grid(alpha=0.3)
        axes.legend()
    panels[0].set_ylabel(label)
    return figure


def _draw_fit(axes: Axes, x: NDArray, y: NDArray, slope: Slope) -> None:
    used = np.isfinite(x) & np.isfinite(y)
    ends = np.array([x[used].min(), x[used].max()])
    centre = np.exp(np.log(x[used]).mean()), np.exp(np.log(y[used]).mean())
    axes.plot(ends, centre[1] * (ends / centre[0]) ** slope.value, "--", color=FIT, label=str(slope))
