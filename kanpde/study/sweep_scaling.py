"""The picture scaling.png of a sweep: errors against parameters over the levels of all runs, with fitted slopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.plots.axes import COLOURS, DPI, log_scale, positive, tick_at
from kanpde.plots.run import level_errors
from kanpde.plots.slopes import Slope, fitted_slope, last_of_each_size
from kanpde.study.csv_rows import Row, grouped

MARKERS = "osD^vPX"


def save_scaling(rows: Sequence[Row], path: Path) -> None:
    """Plot the levels of every run, with a colour and a marker for each problem and model, if there are any levels."""
    from matplotlib.figure import Figure

    groups = grouped([row for row in rows if row["levels"]], ("problem", "model"))
    if not groups:
        path.unlink(missing_ok=True)
        return
    figure = Figure(figsize=(8.5, 5), layout="constrained")
    axes = figure.subplots()
    curves: list[_Curve] = []
    for k, (group, runs) in enumerate(groups.items()):
        look: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)]}
        own = [_Curve.of(run["levels"]) for run in runs]
        for curve in own:
            axes.plot(*curve.fitted, **look, linewidth=0.8, markersize=5, alpha=0.7)
            if curve.has_others:
                axes.plot(*curve.others, **look, linestyle="none", markersize=4, alpha=0.3, mfc="none")
        name = " ".join(filter(None, group)) + " (√loss)" * all(curve.measure == "√loss" for curve in own)
        axes.plot([], [], **look, label=name + _slope_of(own))
        curves += own
    axes.set(xlabel="parameters", ylabel=" or ".join(dict.fromkeys(curve.measure for curve in curves)))
    size, errors = (np.concatenate(part) for part in zip(*(curve.all for curve in curves), strict=True))
    log_scale(axes, x=size, y=errors)
    tick_at(axes, size)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    figure.savefig(path, dpi=DPI)


@dataclass(frozen=True)
class _Curve:
    """Parameters and errors over the levels of one run; a slope is fitted to those with the indices ``last``."""

    measure: str
    size: NDArray
    errors: NDArray
    last: NDArray

    @classmethod
    def of(cls, levels: Sequence[Mapping[str, Any]]) -> _Curve:
        measure, errors = level_errors(levels)
        size = positive(level.get("parameters") for level in levels)
        return cls(measure, size, errors, last_of_each_size(levels, "parameters"))

    @property
    def all(self) -> tuple[NDArray, NDArray]:
        return self.size, self.errors

    @property
    def fitted(self) -> tuple[NDArray, NDArray]:
        return self.size[self.last], self.errors[self.last]

    @property
    def others(self) -> tuple[NDArray, NDArray]:
        return np.delete(self.size, self.last), np.delete(self.errors, self.last)

    @property
    def has_others(self) -> bool:
        return bool(np.isfinite(np.multiply(*self.others)).any())


def _slope_of(curves: Sequence[_Curve]) -> str:
    """Return the median slope of the runs, or the slope over all runs if no run has several sizes."""
    slopes = [slope for slope in (fitted_slope(*curve.fitted) for curve in curves) if isfinite(slope.value)]
    if len(slopes) == 1:
        return f"\n  {Slope(slopes[0].value, nan, 0)}"
    if slopes:
        return f"\n  median {Slope(median(slope.value for slope in slopes), nan, 0)}"
    slope = fitted_slope(*(np.concatenate(part) for part in zip(*(curve.fitted for curve in curves), strict=True)))
    return f"\n  {slope} over the runs" if isfinite(slope.value) else ""
