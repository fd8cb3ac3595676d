"""Scaling laws over many runs: how errors fall with parameters or cells, where they stop to fall, what time buys.

A law is error = C size^slope, a line in logarithms. All functions take logarithms to base 10 by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHALLOW = 0.15  # of the steepest fall: a size from which errors fall more slowly is on a plateau


@dataclass(frozen=True)
class Law:
    """A fitted law.

    Attributes:
        slope: of log error against log size.
        low, high: 95 % interval of the slope; nan with one point a seed more than parameters.
        sizes: all that occur, ascending.
        medians: of the errors at the sizes.
        plateau: of the sizes, which were left out of the fit.
    """

    slope: float
    low: float
    high: float
    sizes: NDArray
    medians: NDArray
    plateau: NDArray

    def line(self) -> tuple[NDArray, NDArray]:
        """Ends of the fitted line, through the middle of the medians that were fitted."""
        x, y = (np.log10(values[~self.plateau]) for values in (self.sizes, self.medians))
        ends = np.array([x.min(), x.max()])
        return 10**ends, 10 ** (y.mean() + self.slope * (ends - x.mean()))


def fit_law(sizes: ArrayLike, errors: ArrayLike, seeds: Sequence[int]) -> Law:
    """The slope over all seeds, with plateaus left out.

    Every seed has its own constant C. With x, y the logarithms less their means within the seed, the slope is
    sum x y / sum x². A seed's points are not independent, so the interval comes from the scatter between seeds,
    u_s = sum_(points of s) x (y - slope x): slope ± t √(n/(n-1) sum u_s²) / sum x² with Student's t of n - 1
    (Cameron & Miller 2015, doi:10.3368/jhr.50.2.317). With one seed it comes from the residuals.

    Args:
        sizes, errors: one number a level and run; pairs that are not finite and positive are left out.
        seeds: of the runs.
    """
    x, y, groups = _logarithms(sizes, errors, seeds)
    distinct = np.unique(x)
    medians = np.array([np.median(y[x == size]) for size in distinct])
    plateau = plateau_of(10**distinct, 10**medians)
    used = np.isin(x, distinct[~plateau])
    slope, low, high = _slope(x[used], y[used], groups[used])
    return Law(slope, low, high, 10**distinct, 10**medians, plateau)


def plateau_of(sizes: NDArray, errors: NDArray) -> NDArray:
    """Which of the ascending sizes are on a plateau: the last ones, whose errors no longer fall.

    A size is where the plateau begins if from the one before it the errors of all later sizes fall with less than
    `SHALLOW` of the steepest slope between neighbours. The size before it, at which the plateau is reached, is not part
    of it.
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


def _slope(x: NDArray, y: NDArray, groups: NDArray) -> tuple[float, float, float]:
    from scipy.stats import t

    found = np.unique(groups)
    x, y = x.copy(), y.copy()
    for group in found:
        own = groups == group
        x[own] -= x[own].mean()
        y[own] -= y[own].mean()
    spread = float(x @ x)
    if not spread > 0:
        return nan, nan, nan
    slope = float(x @ y) / spread
    rest = y - slope * x
    informative = [group for group in found if np.ptp(x[groups == group]) > 0]
    n = len(informative)
    if n > 1:
        scores = np.array([x[groups == group] @ rest[groups == group] for group in informative])
        freedom, error = n - 1, sqrt(n / (n - 1) * float(scores @ scores)) / spread
    else:
        freedom = int(np.isin(groups, informative).sum()) - 2
        error = sqrt(float(rest @ rest) / freedom / spread) if freedom > 0 else nan
    half = float(t.ppf(0.975, max(freedom, 1))) * error
    return slope, slope - half, slope + half


def law_text(law: Law) -> str:
    """The slope for a legend or a table."""
    if not isfinite(law.slope):
        return "no slope"
    interval = f" ({law.low:.1f} to {law.high:.1f})" if isfinite(law.low) else ""
    return f"slope {law.slope:.1f}{interval}"


# time ---------------------------------------------------------------------------------------------------------------
def best_so_far(seconds: NDArray, errors: NDArray) -> tuple[NDArray, NDArray]:
    """The moments at which a run's error was smaller than ever before, and those errors."""
    used = np.isfinite(seconds) & np.isfinite(errors) & (errors > 0)
    seconds, errors = seconds[used], errors[used]
    if not len(errors):
        return seconds, errors
    order = np.argsort(seconds, kind="stable")
    least = np.minimum.accumulate(errors[order])
    first = np.r_[True, least[1:] < least[:-1]]
    return seconds[order][first], least[first]


def pareto_front(seconds: ArrayLike, errors: ArrayLike) -> tuple[NDArray, NDArray]:
    """Of many pairs those that no other one beats in both time and error, by time."""
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
