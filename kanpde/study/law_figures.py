"""Figures of scaling laws: errors against parameters and cells, the cost of a step, and the KAN paper's figure 3.3."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from kanpde.plots.axes import tick_at
from kanpde.study.figures import NAMES, Picture, blank, draw_loss, log_axes, looks, some
from kanpde.study.laws import Points, collect, costs, families, grids, several_sizes, theory
from kanpde.study.outcomes import Study
from kanpde.study.scaling import Law, law_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZES = {"parameters": "parameters", "grid": "cells of each input's grid"}
RULE = (
    "Small: single runs; large: medians over the runs that finished; dashed: the fitted law, with the 95 % interval "
    "of its slope over the seeds. Open symbols are on a plateau, where the error no longer falls, and are left out of"
    " the fit. Dotted grey: order degree + 1 (in H1: degree) in the width of the cells, which a KAN of splines has if"
    " the solution is such a network and training finds the best one."
)


def law_pictures(study: Study) -> list[Picture]:
    """The figures for which runs have levels of several sizes."""
    found = []
    for size in SIZES:
        collected = collect(study, size, study.kind)
        if several_sizes(collected):
            found.append(_error_against(study, size, collected))
    if costs(study):
        found.append(_step_cost(study))
    if study.kind == "l2" and several_sizes(collect(study, "parameters", "h1")):
        found.append(_paper(study))
    return found


def _error_against(study: Study, size: str, collected: dict[str, Points]) -> Picture:
    figure, axes = blank(height=5.0)
    _draw_laws(axes, study, collected, size, study.kind)
    axes.set_ylabel(NAMES[study.kind])
    figure.legend(loc="outside upper center", ncols=2)
    return Picture(f"error_{size}", f"Error against {SIZES[size]}", RULE, figure)


def _draw_laws(axes: Axes, study: Study, collected: dict[str, Points], size: str, kind: str, power: int = 1) -> None:
    """Points, medians and laws of all families; ``power`` 2 squares the errors."""
    runs = families(study)
    style = looks(runs)
    for family, found in collected.items():
        law, look = found.law(), style[family]
        axes.plot(
            found.sizes,
            np.power(found.errors, power),
            linestyle="none",
            marker=look["marker"],
            markersize=3,
            color=look["color"],
            alpha=0.35,
        )
        medians = law.medians**power
        axes.plot(
            law.sizes,
            medians,
            linestyle="none",
            marker=look["marker"],
            markersize=8,
            color=look["color"],
            markeredgecolor="black",
            markeredgewidth=0.6,
        )
        axes.plot(
            law.sizes[law.plateau],
            medians[law.plateau],
            linestyle="none",
            marker=look["marker"],
            markersize=8,
            color="white",
            markeredgecolor=look["color"],
            markeredgewidth=1.8,
        )
        axes.plot([], [], color=look["color"], marker=look["marker"], linestyle="--", label=_label(family, law))
        if isfinite(law.slope):
            ends, errors = law.line()
            axes.plot(ends, errors**power, linestyle="--", linewidth=1.6, color=look["color"])
            _draw_theory(axes, law, grids(runs[family], size), theory(runs[family], kind), power)
    axes.set_xlabel(SIZES[size])
    log_axes(axes, "x", "y")
    sizes = np.concatenate([found.sizes for found in collected.values()])
    tick_at(axes, sizes)
    axes.margins(x=0.08)
    axes.grid(alpha=0.3)


def _label(family: str, law: Law) -> str:
    return f"{family}: {law_text(law)}" if len(law.sizes) > 1 else family


def _draw_theory(axes: Axes, law: Law, cells: dict[float, float], order: float, power: int) -> None:
    """The errors that the theoretical order predicts from the first size on; a curve against parameters."""
    sizes, medians = law.sizes[~law.plateau], law.medians[~law.plateau]
    grid = np.array([next(g for s, g in cells.items() if np.isclose(s, size)) for size in sizes])
    if not isfinite(order) or not np.isfinite(grid).all():
        return
    expected = (medians[0] * (grid / grid[0]) ** -order) ** power
    axes.plot(sizes, expected, linestyle=":", linewidth=1.6, color="0.45", zorder=0)
    axes.annotate(
        f"order {order:.0f}",
        (sizes[-1], expected[-1]),
        (4, 0),
        textcoords="offset points",
        color="0.35",
        fontsize="small",
        va="center",
    )


def _step_cost(study: Study) -> Picture:
    figure, axes = blank()
    style = looks(families(study))
    for family, found in costs(study).items():
        look = style[family]
        sizes, seconds = np.array(found.sizes), np.array(found.errors)
        axes.plot(
            sizes, seconds, linestyle="none", marker=look["marker"], markersize=4, color=look["color"], alpha=0.35
        )
        distinct = np.unique(sizes)
        medians = [np.median(seconds[sizes == value]) for value in distinct]
        axes.plot(
            distinct,
            medians,
            marker=look["marker"],
            markersize=8,
            color=look["color"],
            label=family,
            linestyle=look["linestyle"],
            markeredgecolor="black",
            markeredgewidth=0.6,
        )
    axes.set(xlabel="parameters", ylabel="seconds a step")
    log_axes(axes, "x", "y")
    tick_at(axes, np.concatenate([found.sizes for found in costs(study).values()]))
    axes.grid(alpha=0.3, which="both")
    figure.legend(loc="outside upper center", ncols=4)
    caption = (
        "Seconds of a phase over its steps, watching the error included; small: runs, large: medians. Training points"
        " grow with parameters and grid, so this is the cost of a step as trained, not at a fixed number of points."
    )
    return Picture("step_cost", "Cost of a step", caption, figure)


def _paper(study: Study) -> Picture:
    """The four panels of figure 3.3 of Liu et al. 2024, with what a run records in place of H1 over the steps."""
    figure, panels = blank(2, 2, width=9, height=7.6)
    looked: dict[str, Any] = looks(study.arms)
    style = {arm: look for arm, look in looked.items() if any(len(r.curve.get("loss", ())) for r in study.of(arm))}
    for axes, key, power, label in (
        (panels[0, 0], "loss", 1, "training loss |r|²"),
        (panels[0, 1], "error", 2, "(relative L2 error)²"),
    ):
        for arm in style:
            for run in some([run for run in study.of(arm) if len(run.curve.get("loss", ()))]):
                draw_loss(axes, run, style[arm], key, power)
        axes.set(xlabel="step of the kept start", ylabel=label)
        log_axes(axes, "y")
        axes.grid(alpha=0.3)
    for axes, kind in zip(panels[1], ("l2", "h1"), strict=True):
        _draw_laws(axes, study, collect(study, "parameters", kind), "parameters", kind, power=2)
        axes.set_ylabel(f"({NAMES[kind]})²")
    for arm in style:
        panels[0, 0].plot([], [], color=style[arm]["color"], linestyle=style[arm]["linestyle"], label=arm)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    caption = (
        "The panels of figure 3.3 of Liu et al. 2024 (KAN: Kolmogorov-Arnold Networks), which shows squared L2 and H1"
        " errors over the steps and against parameters. Here errors are relative, and the training loss stands in "
        "place of the H1 error over the steps, which is not recorded."
    )
    return Picture("kan_paper", "As in figure 3.3 of the KAN paper", caption, figure)
