"""Scaling laws over many runs: slopes of errors against sizes, plateaus, and the best error against time.

A law is error = C size^slope, a line in logarithms. The functions take sizes and errors themselves, not logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kanpde.plots.slopes import Slope, fitted_slope

SHALLOW = 0.15  # a plateau begins where the slope falls below this fraction of the steepest slope


@dataclass(frozen=True)
class Law:
    """A fitted law.

    Attributes:
        slope: slope of log error against log size.
        low, high: 95 % interval of the slope; nan if there are too few points.
        sizes: all sizes, ascending.
        medians: medians of the errors at the sizes.
        plateau: which of the sizes are on a plateau and were left out of the fit.
    """

    slope: float
    low: float
    high: float
    sizes: NDArray
    medians: NDArray
    plateau: NDArray

    def line(self) -> tuple[NDArray, NDArray]:
        """Return the ends of the fitted line, through the centre of the fitted medians."""
        x, y = (np.log10(values[~self.plateau]) for values in (self.sizes, self.medians))
        ends = np.array([x.min(), x.max()])
        return 10**ends, 10 ** (y.mean() + self.slope * (ends - x.mean()))


def fit_law(sizes: ArrayLike, errors: ArrayLike, seeds: Sequence[int]) -> Law:
    """Fit the slope over all seeds, without plateaus.

    Every seed has its own constant C (`fitted_slope` with the seeds as groups). The interval is the slope ± t times its
    standard error, where Student's t has the degrees of freedom of the standard error.

    Args:
        sizes, errors: one number for every level and run; pairs that are not finite and positive are left out.
        seeds: of the runs.
    """
    x, y, groups = _logarithms(sizes, errors, seeds)
    distinct = np.unique(x)
    medians = np.array([np.median(y[x == size]) for size in distinct])
    plateau = plateau_of(10**distinct, 10**medians)
    used = np.isin(x, distinct[~plateau])
    slope = fitted_slope(10 ** x[used], 10 ** y[used], groups[used])
    return Law(slope.value, *_interval(slope), 10**distinct, 10**medians, plateau)


def plateau_of(sizes: NDArray, errors: NDArray) -> NDArray:
    """Return which of the ascending sizes are on a plateau: the last ones, whose errors no longer fall.

    The plateau begins at a size if, from the size before it to all later ones, errors fall with less than `SHALLOW`
    times the steepest slope between neighbours. The size before it, at which the plateau is reached, does not belong to
    the plateau.
    """
    plateau = np.zeros(len(sizes), dtype=bool)
    if len(sizes) < 3:
        return plateau
    x, y = np.log(sizes), np.log(errors)
    steepest = (-np.diff(y) / np.diff(x)).max()
    for k in range(1, len(x)):
        falls = -(y[k:] - y[k - 1]) / (x[k:] - x[k - 1])
        if (falls < SHALLOW * steepest).all() or steepest <= 0:
            plateau[k:] = True
            break
    return plateau


def _logarithms(sizes: ArrayLike, errors: ArrayLike, seeds: Sequence[int]) -> tuple[NDArray, NDArray, NDArray]:
    x, y = np.asarray(sizes, dtype=float), np.asarray(errors, dtype=float)
    used = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    return np.log10(x[used]), np.log10(y[used]), np.asarray(seeds)[used]


def _interval(slope: Slope) -> tuple[float, float]:
    """Return the 95 % interval of a slope by Student's t; nan if its standard error is unknown."""
    from scipy.stats import t

    half = float(t.ppf(0.975, max(slope.freedom, 1))) * slope.error
    return slope.value - half, slope.value + half


def law_text(law: Law) -> str:
    """The slope for a legend or a table."""
    if not isfinite(law.slope):
        return "no slope"
    interval = f" ({law.low:.1f} to {law.high:.1f})" if isfinite(law.low) else ""
    return f"slope {law.slope:.1f}{interval}"


# time ---------------------------------------------------------------------------------------------------------------
def best_so_far(seconds: NDArray, errors: NDArray) -> tuple[NDArray, NDArray]:
    """Return the times at which a run's error reached a new minimum, and those errors."""
    used = np.isfinite(seconds) & np.isfinite(errors) & (errors > 0)
    seconds, errors = seconds[used], errors[used]
    if not len(errors):
        return seconds, errors
    order = np.argsort(seconds, kind="stable")
    least = np.minimum.accumulate(errors[order])
    first = np.r_[True, least[1:] < least[:-1]]
    return seconds[order][first], least[first]


def pareto_front(seconds: ArrayLike, errors: ArrayLike) -> tuple[NDArray, NDArray]:
    """Return the pairs that no other pair beats in both time and error, ordered by time."""
    pairs = np.stack([np.asarray(seconds, dtype=float), np.asarray(errors, dtype=float)])
    pairs = pairs[:, np.lexsort(pairs[::-1])]
    return best_so_far(*pairs)


def median_curve(curves: Sequence[tuple[NDArray, NDArray]], times: NDArray) -> NDArray:
    """The median over runs of the best error reached by each time; a run counts as +inf before its first error.

    Args:
        curves: of every run, from `best_so_far`; empty for a failed run.
        times: ascending.
    """
    rows = np.full((len(curves), len(times)), np.inf)
    for row, (seconds, errors) in zip(rows, curves, strict=True):
        place = np.searchsorted(seconds, times, side="right") - 1
        row[place >= 0] = errors[place[place >= 0]]
    return np.median(rows, axis=0) if len(rows) else np.full(len(times), np.inf)
