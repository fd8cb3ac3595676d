"""A study's figures: errors by arm, curves of training, error against time. Scaling laws are in `law_figures`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kanpde.plots.axes import COLOURS, DPI
from kanpde.runs.status import RunState
from kanpde.study.csv_rows import as_number
from kanpde.study.outcomes import Outcome, Study
from kanpde.study.scaling import best_so_far, median_curve, pareto_front
from kanpde.study.statistics import summarise_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS, LINES = "osD^vPX", ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 3)))
NAMES = {"l2": "relative L2 error", "h1": "relative H1 error", "max": "relative max error", "loss": "√loss"}
MANY = 12  # largest number of runs of an arm that are drawn individually


@dataclass(frozen=True)
class Picture:
    """A figure in the report."""

    name: str
    title: str
    caption: str
    figure: Figure


def looks(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and line style of every arm, the same in all figures; each distinguishes up to seven."""
    kinds = len(COLOURS)
    return {
        name: {"color": COLOURS[k % kinds], "marker": MARKERS[k % kinds], "linestyle": LINES[(k + k // kinds) % kinds]}
        for k, name in enumerate(names)
    }


def blank(rows: int = 1, columns: int = 1, width: float = 7.5, height: float = 4.6, **options: Any) -> tuple[Any, Any]:
    """A figure with its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def log_axes(axes: Axes, *names: str) -> None:
    """Logarithmic axes with plain numbers at their ticks, as in the tables; at 1, 2 and 5 where one is short."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for name in names:
        axes.set(**{f"{name}scale": "log"})
        axes.autoscale_view()
        axis = axes.xaxis if name == "x" else axes.yaxis
        low, high = sorted(axis.get_view_interval())
        is_short = low > 0 and high / low < 30
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if is_short else (1.0,), numticks=9))
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}" if 1e-2 <= v < 1e4 else f"{v:.0e}"))
        axis.set_minor_formatter(NullFormatter())


def save(pictures: Sequence[Picture], folder: Path) -> None:
    """Write every figure as PNG and PDF, and remove the figures of an earlier report."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.p[nd][gf]"):
        old.unlink()
    for picture in pictures:
        picture.figure.savefig(folder / f"{picture.name}.png", dpi=DPI)
        picture.figure.set_layout_engine("none")  # it has been laid out
        picture.figure.savefig(folder / f"{picture.name}.pdf", metadata={"CreationDate": None})


def pictures(study: Study) -> list[Picture]:
    """Every figure for which the runs have numbers."""
    if not any(run.state is RunState.FINISHED for run in study.runs):
        return []
    over_time = [error_over_time(study)] if study.kind == "l2" else []
    return [errors_by_arm(study), *over_time, curves(study)]


# errors by arm ------------------------------------------------------------------------------------------------------
def errors_by_arm(study: Study) -> Picture:
    """Plot every seed as a dot, median and quartiles, and failed runs as crosses above the end of the axis."""
    errors = study.final_errors()
    style = looks(study.arms)
    figure, axes = blank(height=1.3 + 0.62 * len(errors))
    for row, (arm, by_seed) in enumerate(errors.items()):
        values = np.array(list(by_seed.values()))
        ended = values[np.isfinite(values)]
        look = {"color": style[arm]["color"], "marker": style[arm]["marker"]}
        offset = row + _spread(len(ended), 0.12)
        axes.scatter(np.sort(ended), offset, **look, s=26, alpha=0.75, linewidths=0, zorder=3)
        _draw_median(axes, row, values)
        failed = int(np.isinf(values).sum())
        if failed:
            axes.annotate(
                f"✗ {failed} failed",
                (1, row),
                (6, 0),
                xycoords=("axes fraction", "data"),
                va="center",
                textcoords="offset points",
                color="#A00000",
                fontsize="small",
            )
    finite = [e for by_seed in errors.values() for e in by_seed.values() if isfinite(e) and e > 0]
    if finite:
        log_axes(axes, "x")
    axes.set_yticks(range(len(errors)), list(errors))
    axes.set_ylim(len(errors) - 0.5, -0.5)
    axes.set_xlabel(NAMES[study.kind])
    axes.grid(axis="x", alpha=0.3)
    caption = (
        "Every dot is a run with another seed. The black bar is the median, the grey band reaches from the lower to "
        "the upper quartile; failed runs count as infinitely large errors in both."
    )
    return Picture("errors", "Errors by arm", caption, figure)


def _spread(n: int, step: float) -> NDArray:
    """Return n offsets for neighbouring dots, alternately above and below."""
    return np.array([(2 * k % 5 - 2) * step for k in range(n)])


def _draw_median(axes: Axes, row: int, values: NDArray) -> None:
    summary = summarise_errors(values)
    right = summary.upper if isfinite(summary.upper) else None
    if isfinite(summary.lower):
        end = right or max(v for v in values if isfinite(v))
        axes.fill_between([summary.lower, end], row - 0.33, row + 0.33, color="0.82", linewidth=0, zorder=1)
    if isfinite(summary.median):
        axes.plot([summary.median] * 2, [row - 0.36, row + 0.36], color="black", linewidth=2, zorder=4)


# training -----------------------------------------------------------------------------------------------------------
def some(runs: Sequence[Any]) -> Sequence[Any]:
    """At most `MANY` of the runs."""
    return runs[:: -(-len(runs) // MANY) or 1]


def curves(study: Study) -> Picture:
    """The training loss over the steps of the start that was kept."""
    style = looks(study.arms)
    figure, axes = blank()
    for arm in study.arms:
        runs = [run for run in study.of(arm) if len(run.curve.get("loss", ()))]
        for run in some(runs):
            draw_loss(axes, run, style[arm])
        if runs:
            axes.plot([], [], color=style[arm]["color"], linestyle=style[arm]["linestyle"], label=arm)
    axes.set(xlabel="step of the kept start", ylabel="training loss |r|²")
    log_axes(axes, "y")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=4)
    caption = (
        "Training loss of every run (of many, a part). It jumps where a phase begins with new points, weights or a "
        "finer grid: losses of different phases and arms are not on one scale."
    )
    return Picture("loss", "Training", caption, figure)


def draw_loss(axes: Axes, run: Outcome, look: dict[str, Any], key: str = "loss", power: int = 1) -> None:
    """A column of the history, where it was measured, over the steps of the start that was kept."""
    values = run.curve[key][kept_start(run)].astype(float)
    known = np.flatnonzero(values > 0)
    axes.plot(
        known + 1, values[known] ** power, color=look["color"], linestyle=look["linestyle"], linewidth=0.9, alpha=0.6
    )


def kept_start(run: Outcome) -> NDArray:
    """Select the rows of the history that led to the result: the kept start of the first phase, and later phases.

    The kept start is the one whose last loss is the loss of the first level.
    """
    first, start = run.curve["phase"] == 0, run.curve["start"]
    aim = as_number((run.levels or [{}])[0].get("loss"))
    ends = {s: float(run.curve["loss"][first & (start == s)][-1]) for s in np.unique(start[first])}
    if len(ends) < 2 or not aim > 0:
        return np.ones(len(start), dtype=bool)
    kept = min(ends, key=lambda s: abs(np.log(max(ends[s], 1e-300) / aim)))
    return ~first | (start == kept)


# time ---------------------------------------------------------------------------------------------------------------
def error_over_time(study: Study) -> Picture:
    """The least error so far against seconds: runs, medians, the front over all, classical solvers."""
    style = looks(study.arms)
    figure, axes = blank(height=5.2)
    everything: list[tuple[NDArray, NDArray]] = []
    for arm in study.arms:
        runs = [run for run in study.of(arm) if run.is_final]
        found = [_curve(run) for run in runs]
        everything += found
        for seconds, errors in some(found):
            axes.step(seconds, errors, where="post", color=style[arm]["color"], linewidth=0.6, alpha=0.35)
        if not any(len(seconds) for seconds, _ in found):
            continue
        times = np.unique(np.concatenate([seconds for seconds, _ in found]))
        medians = median_curve(found, times)
        axes.step(
            times,
            np.where(np.isfinite(medians), medians, np.nan),
            where="post",
            linewidth=2.2,
            label=arm,
            color=style[arm]["color"],
            linestyle=style[arm]["linestyle"],
        )
    if any(len(seconds) for seconds, _ in everything):
        front = pareto_front(*(np.concatenate(part) for part in zip(*everything, strict=True)))
        axes.step(*front, where="post", color="black", linewidth=1, linestyle=(0, (1, 1.2)), label="best of all runs")
    _draw_classical(axes, study)
    axes.set(xlabel="seconds of solving", ylabel=NAMES["l2"])
    log_axes(axes, "x", "y")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=3)
    caption = (
        "The least error that a run has reached by a time. Thin: runs (of many, a part); thick: the median over all "
        "seeds, failed runs counted as never having an error; dotted: the Pareto front, which no run of a network "
        "beats in both time and error."
    )
    caption += " Symbols: classical solvers on the same problem." * bool(study.classical)
    return Picture("time", "Error against time", caption, figure)


def _curve(run: Outcome) -> tuple[NDArray, NDArray]:
    none = np.array([])
    if run.state is not RunState.FINISHED:
        return none, none
    seconds = np.append(run.curve["seconds"], run.seconds).astype(float)
    return best_so_far(seconds, np.append(run.curve["error"], run.errors.get("l2", np.nan)).astype(float))


def _draw_classical(axes: Axes, study: Study) -> None:
    named = [
        (str(row.get("method")), *(as_number(row.get(key)) for key in ("seconds", "l2"))) for row in study.classical
    ]
    for k, method in enumerate(dict.fromkeys(name for name, _, _ in named)):
        own = np.array([(s, e) for name, s, e in named if name == method and s > 0 and e > 0])
        if len(own):
            axes.plot(
                *own[np.argsort(own[:, 0])].T,
                marker="*pHhd8<>"[k % 8],
                markersize=9,
                color="0.45",
                linestyle=":",
                markeredgecolor="black",
                linewidth=0.8,
                label=method,
            )
