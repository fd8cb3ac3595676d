"""Times of runs of which some did not reach their aim within a common limit: medians and paired comparisons.

A time is infinite where the aim was not reached; all that is used of it is that it is longer than the limit (it is
censored on the right, R. G. Miller, *Survival Analysis*, 1981). Means would be too short, and are not computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, log, nan

import numpy as np


@dataclass(frozen=True)
class MedianTime:
    """A median in seconds; if ``is_bound``, the median is larger than ``seconds`` and not known."""

    seconds: float
    is_bound: bool


def median_time(times: Sequence[float], limit: float) -> MedianTime:
    """Return the median of the times, or a lower bound if it depends on runs that did not reach their aim.

    Args:
        times: in seconds, infinite where the aim was not reached.
        limit: common limit of the times.
    """
    if not times:
        return MedianTime(nan, False)
    ordered = sorted(times)
    middle = ordered[(len(times) - 1) // 2], ordered[len(times) // 2]
    return MedianTime(sum(min(time, limit) for time in middle) / 2, not isfinite(middle[1]))


@dataclass(frozen=True)
class Contest:
    """The comparison of the times of two arms with the same seeds.

    Attributes:
        first_sooner, other_sooner: numbers of seeds with which the one arm reached its aim before the other.
        undecided: number of seeds with which neither did, or both in the same time.
        low, high: bounds of the median ratio of the times, other / first; equal if the median is known.
        p_value: for arms that are equally often sooner (sign test, two-sided, without the undecided seeds).
    """

    first_sooner: int
    other_sooner: int
    undecided: int
    low: float
    high: float
    p_value: float

    @property
    def seeds(self) -> int:
        return self.first_sooner + self.other_sooner + self.undecided


def contest(first: Sequence[float], other: Sequence[float], limit: float) -> Contest:
    """Compare the times of two arms, seed by seed.

    The ratio other / first of a seed is at least limit / first if only the other arm did not reach its aim, at most
    other / limit if only the first did not, and anything if neither did; ``low`` and ``high`` are the medians of the
    least and of the largest possible ratios.

    Args:
        first, other: seconds with the same seeds in the same order, at most ``limit`` or infinite.
        limit: common limit of the times.
    """
    from scipy.stats import binomtest

    pairs = list(zip(first, other, strict=True))
    sooner, later = sum(a < b for a, b in pairs), sum(b < a for a, b in pairs)
    lows, highs = zip(*(_ratios(a, b, limit) for a, b in pairs), strict=True) if pairs else ((0.0,), (inf,))
    p_value = float(binomtest(sooner, sooner + later).pvalue) if sooner + later else 1.0
    return Contest(sooner, later, len(pairs) - sooner - later, _median(lows), _median(highs), p_value)


def _ratios(first: float, other: float, limit: float) -> tuple[float, float]:
    """Return the least and the largest possible ratio other / first."""
    return min(other, limit) / first, other / min(first, limit)


def _median(ratios: Sequence[float]) -> float:
    """Return the median, for an even number the geometric mean of the two in the middle."""
    with np.errstate(over="ignore"):
        return float(np.exp(np.median([log(ratio) if ratio > 0 else -inf for ratio in ratios])))
