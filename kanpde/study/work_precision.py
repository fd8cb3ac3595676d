"""Work-precision diagrams of runs with a tolerance: the reached and the requested error against the run time.

Such diagrams are usual for solvers of ordinary differential equations (E. Hairer, S. P. Nørsett, G. Wanner, *Solving
Ordinary Differential Equations I*, 1993, section II.10).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kanpde.ends import End
from kanpde.plots.axes import DPI
from kanpde.study.csv_rows import Row, as_number
from kanpde.study.figures import NAMES, blank, log_axes, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Every symbol is a run. A bar joins it to the short horizontal line at the tolerance that was asked for: where the "
    "symbol lies above the line, the error is larger than asked. Full symbols: the run ended because its estimated "
    "error was below the tolerance; open symbols: it ended for another reason, such as the time limit. A cross in the "
    "symbol: the error is not known, and its place is taken by the estimate. Lines join the full symbols of a seed."
)
EDGE = 1.2  # width of the lines of a symbol


@dataclass(frozen=True)
class Effort:
    """A run with a tolerance: what was asked, what was reached, and in which time.

    Attributes:
        seed: of the run.
        tolerance: the relative L2 error that was asked for.
        error: the largest relative L2 error of all unknowns; nan if it is not known.
        estimate: the error that the run estimated itself; nan if it has none.
        seconds: of the run.
        reached: whether the run ended because its estimate was below the tolerance.
    """

    seed: Any
    tolerance: float
    error: float
    estimate: float
    seconds: float
    reached: bool

    @property
    def is_estimated(self) -> bool:
        return not isfinite(self.error)

    @property
    def height(self) -> float:
        """The error or, where it is not known, the estimate."""
        return self.estimate if self.is_estimated else self.error

    @property
    def is_drawn(self) -> bool:
        return 0 < self.height < float("inf") and self.seconds > 0


def save_work_precision(curves: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw the runs of a sweep; without any remove the picture.

    Args:
        curves: rows of `kanpde.study.table.summarise` with a tolerance, by the name of their curve.
        path: of the picture.
    """
    if not curves:
        path.unlink(missing_ok=True)
        return
    work_precision({name: [_effort(row) for row in own] for name, own in curves.items()}).savefig(path, dpi=DPI)


def _effort(row: Row) -> Effort:
    error, estimate, seconds = (as_number(row.get(key)) for key in ("error", "estimate", "seconds"))
    return Effort(row["seed"], row["tolerance"], error, estimate, seconds, row.get("end") is End.TOLERANCE_REACHED)


def work_precision(curves: Mapping[str, Sequence[Effort]]) -> Figure:
    """Draw the error against the seconds of runs with a tolerance, as `CAPTION` describes.

    Args:
        curves: runs by the name of their curve.
    """
    figure, axes = blank(height=5.2)
    for name, look in looks(curves).items():
        drawn = [effort for effort in curves[name] if effort.is_drawn]
        for effort in drawn:
            _draw(axes, effort, look)
        for _, own in groupby(sorted(drawn, key=lambda e: str(e.seed)), key=lambda e: e.seed):
            joined = sorted((e for e in own if e.reached), key=lambda e: -e.tolerance)
            axes.plot([e.seconds for e in joined], [e.height for e in joined], color=look["color"], linewidth=0.9)
        missing = len(curves[name]) - len(drawn)
        without = f" ({missing} run{'s' * (missing > 1)} without an error)" if missing else ""
        axes.plot([], [], color=look["color"], marker=look["marker"], linewidth=0.9, label=name + without)
    everything = [effort for own in curves.values() for effort in own if effort.is_drawn]
    _explain(axes, everything)
    axes.set(xlabel="seconds", ylabel=NAMES["l2"])
    if everything:
        log_axes(axes, "x", "y")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _draw(axes: Axes, effort: Effort, look: Mapping[str, Any]) -> None:
    x, colour = effort.seconds, look["color"]
    axes.plot([x, x], [effort.tolerance, effort.height], color=colour, linewidth=0.8, alpha=0.5, zorder=1)
    axes.plot(x, effort.tolerance, marker="_", color=colour, markersize=10, markeredgewidth=EDGE, zorder=2)
    inside = colour if effort.reached else "white"
    axes.plot(x, effort.height, marker=look["marker"], color=colour, mfc=inside, markeredgewidth=EDGE, zorder=3)
    if effort.is_estimated:
        cross = "white" if effort.reached else colour
        axes.plot(x, effort.height, marker="x", color=cross, markersize=4, markeredgewidth=EDGE, zorder=4)


def _explain(axes: Axes, efforts: Iterable[Effort]) -> None:
    """Add the meaning of the symbols that occur to the legend."""
    found = list(efforts)
    symbol: dict[str, Any] = {"color": "0.35", "linestyle": "none", "markeredgewidth": EDGE}
    if any(not effort.reached for effort in found):
        axes.plot([], [], marker="o", mfc="white", label="tolerance not reached", **symbol)
    if any(effort.is_estimated for effort in found):
        axes.plot([], [], marker="x", markersize=4, label="estimate; the error is not known", **symbol)
    axes.plot([], [], marker="_", markersize=10, label="asked tolerance", **symbol)
