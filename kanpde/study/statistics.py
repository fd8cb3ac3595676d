"""Which of two arms has the smaller errors: medians, an interval for their ratio, and whether there is a winner.

An arm is a method with its settings, run once for each seed. Errors are positive; a failed run has the error +inf and
so counts as worse than every run that ended. Everything works on log10 errors, in which a factor is a shift.

The shift of arm a against arm b is the median of all differences log10 b_j - log10 a_i (Hodges & Lehmann 1963,
doi:10.1214/aoms/1177704172): positive where a is better. It is robust against outliers and infinities. Its interval
is the hull of two, so that it excludes a tie only where both do:

- the percentile bootstrap, which draws seeds with both their runs (Efron & Tibshirani 1993, ch. 13). Alone it is too
  narrow for ten seeds: 7 to 9 % of studies of equal arms would have a winner;
- all shifts that a test by exchange does not refuse. Where two arms are equal, the names within a seed mean nothing;
  the test compares the sum of ranks with those after every exchange of names (Lehmann & Romano 2005, ch. 15.2).
  Whatever the distribution of errors, it refuses equal arms with a probability of at most 5 %.

With five seeds or fewer no winner can be named: the smallest p-value is 2 / 2^seeds.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

ALL_EXCHANGES = 12  # seeds up to which all 2^n exchanges are counted; beyond, as many as 4095 drawn at random
CELLS = 400  # shifts tried for an interval


@dataclass(frozen=True)
class Summary:
    """The errors of one arm; infinite where a failed run is at that rank."""

    runs: int
    failed: int
    median: float
    lower: float  # quartiles
    upper: float
    best: float
    worst: float


@dataclass(frozen=True)
class Comparison:
    """Arm a against arm b.

    Attributes:
        factor: by which a's errors are smaller than b's; below 1 where they are larger.
        low, high: 95 % interval of the factor.
        p_value: of equal arms, the larger of the two tests'.
        seeds: that both arms have.
    """

    factor: float
    low: float
    high: float
    p_value: float
    seeds: int

    @property
    def excludes_tie(self) -> bool:
        return self.low > 1 or self.high < 1


@dataclass(frozen=True)
class Verdict:
    """A comparison within a study of several; ``winner`` is None where none is named."""

    first: str
    other: str
    comparison: Comparison
    adjusted_p: float
    winner: str | None


def verdicts(errors: Mapping[str, Mapping[Hashable, float]], level: float = 0.95) -> list[Verdict]:
    """The first arm against every other one.

    Every interval is that of its pair alone. A winner is named where the interval excludes a tie and the p-value does
    so after Holm's correction: the probability of any false winner in the study is then at most 1 - level. With two
    arms the correction changes nothing.

    Args:
        errors: by arm and seed; only seeds that both arms of a pair have are compared.
        level: of the intervals and of the whole study.
    """
    first, *others = errors
    pairs = []
    for other in others:
        seeds = [seed for seed in errors[first] if seed in errors[other]]
        pairs.append(compare([errors[first][s] for s in seeds], [errors[other][s] for s in seeds], level))
    found = []
    for other, pair, adjusted in zip(others, pairs, holm([pair.p_value for pair in pairs]), strict=True):
        is_named = pair.excludes_tie and adjusted <= 1 - level + 1e-12
        winner = (first if pair.factor > 1 else other) if is_named else None
        found.append(Verdict(first, other, pair, adjusted, winner))
    return found


def summarise_errors(errors: ArrayLike) -> Summary:
    """Median, quartiles and extremes of an arm's errors; what is not finite is a failed run and counts as +inf."""
    values = np.sort(_counted(errors))
    if not len(values):
        return Summary(0, 0, nan, nan, nan, nan, nan)
    median, lower, upper = (_quantile(values, share) for share in (0.5, 0.25, 0.75))
    failed = int(np.isinf(values).sum())
    return Summary(len(values), failed, median, lower, upper, float(values[0]), float(values[-1]))


def compare(a: ArrayLike, b: ArrayLike, level: float = 0.95, resamples: int | None = None) -> Comparison:
    """The factor by which the errors of arm a are smaller than those of b, with its interval.

    Args:
        a, b: errors of both arms for the same seeds in the same order, shape (seeds,); not finite: failed.
        level: of the interval.
        resamples: of the bootstrap; by itself 4000, with more than 31 seeds fewer, but 1000 at least.

    Raises:
        ValueError: the arms have different numbers of errors.
    """
    log_a, log_b = (np.log10(np.maximum(_counted(values), 1e-300)) for values in (a, b))
    if log_a.shape != log_b.shape or log_a.ndim != 1:
        raise ValueError(f"errors of the same seeds have one shape (seeds,), got {log_a.shape} and {log_b.shape}")
    if not len(log_a):
        return Comparison(nan, 0.0, inf, 1.0, 0)
    resamples = resamples or max(1000, min(4000, 4_000_000 // len(log_a) ** 2))
    shift = float(np.median(_differences(log_a, log_b)))
    ends = np.array([exchange_interval(log_a, log_b, level), bootstrap_interval(log_a, log_b, level, resamples)])
    low, high = min(ends[:, 0].min(), shift), max(ends[:, 1].max(), shift)
    p_value = max(float(exchange_p(log_a, log_b)), float(bootstrap_p(log_a, log_b, resamples)))
    with np.errstate(over="ignore"):
        factor, low, high = (float(np.power(10.0, x)) for x in (shift, low, high))
    return Comparison(factor, low, high, p_value, len(log_a))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several comparisons of one study, made larger so that 5 % holds for the whole study (Holm 1979)."""
    adjusted = [nan] * len(p_values)
    largest = 0.0
    for rank, k in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = largest
    return adjusted


# exchange of names within seeds -------------------------------------------------------------------------------------
def exchange_p(log_a: NDArray, log_b: NDArray) -> NDArray:
    """Probability of a rank sum at least as far from the middle as the observed, were the arms equal.

    T(s) = |sum_i s_i (rank b_i - rank a_i)| over signs s; p is the share of signs with T(s) >= T(1).

    Args:
        log_a, log_b: shape (..., seeds); several studies or shifts at once.

    Returns:
        shape (...).
    """
    n = log_a.shape[-1]
    ranks = rankdata(np.concatenate([log_a, log_b], axis=-1), axis=-1)
    differences = ranks[..., n:] - ranks[..., :n]
    sums = np.abs(differences @ _signs(n).T)
    return (sums >= sums[..., :1] - 1e-9).mean(axis=-1)


def exchange_interval(log_a: NDArray, log_b: NDArray, level: float = 0.95) -> tuple[float, float]:
    """The hull of all shifts with which the test by exchange would not refuse that the arms are equal.

    Ranks change only where the shift passes a difference, so one shift between any two neighbours is tried.
    """
    differences = _differences(log_a, log_b)
    edges = np.unique(differences[np.isfinite(differences)])
    edges = edges[:: -(-len(edges) // CELLS) or 1]
    edges = np.concatenate([[-inf], edges, [inf]])
    inner = (edges[1:-2] + edges[2:-1]) / 2
    outer = [edges[1] - 1, edges[-2] + 1] if len(edges) > 2 else [0.0]
    tried = np.concatenate([outer[:1], inner, outer[1:]])
    shifted = log_a + tried[:, None]
    kept = np.flatnonzero(exchange_p(shifted, np.broadcast_to(log_b, shifted.shape)) > 1 - level)
    if not len(kept):  # one arm has no finite error
        end = float(np.median(differences))
        return end, end
    return float(edges[kept[0]]), float(edges[kept[-1] + 1])


def _signs(n: int) -> NDArray:
    """Exchanges as signs, the observed names first: all of them, or for many seeds a fixed random part."""
    if n <= ALL_EXCHANGES:
        return 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    drawn = np.random.default_rng(0).choice([-1.0, 1.0], (2**ALL_EXCHANGES - 1, n))
    return np.concatenate([np.ones((1, n)), drawn])  # counting the observed keeps the level (Phipson & Smyth 2010)


# bootstrap over seeds -----------------------------------------------------------------------------------------------
def bootstrap_interval(
    log_a: NDArray, log_b: NDArray, level: float = 0.95, resamples: int = 4000
) -> tuple[float, float]:
    """Percentile interval of the shift when seeds are drawn anew, each with its runs in both arms."""
    drawn = _draws(len(log_a), resamples)
    a, b = log_a[drawn], log_b[drawn]
    shifts = np.concatenate(
        [
            np.median(_differences(a[k : k + 500], b[k : k + 500]).reshape(len(a[k : k + 500]), -1), axis=-1)
            for k in range(0, resamples, 500)
        ]
    )
    shifts.sort()
    outside = int((1 - level) / 2 * resamples)
    return float(shifts[outside]), float(shifts[-1 - outside])


def bootstrap_p(log_a: NDArray, log_b: NDArray, resamples: int = 4000) -> NDArray:
    """Twice the share of resamples whose shift is on the other side of a tie; shapes as for `exchange_p`.

    The shift of a resample is on a side if most of its differences are: with w_i how often seed i was drawn, the sign
    of sum_ij w_i w_j sign(log_b_j - log_a_i).
    """
    n = log_a.shape[-1]
    drawn = _draws(n, resamples)
    weights = np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(float)
    sides = np.sign(_differences(log_a, log_b))
    pairs = (weights[:, :, None] * weights[:, None, :]).reshape(resamples, -1)
    total = sides.reshape(*sides.shape[:-2], -1) @ pairs.T
    share = np.minimum((total <= 0).mean(axis=-1), (total >= 0).mean(axis=-1))
    return np.minimum(1.0, 2 * share)


def _draws(n: int, resamples: int) -> NDArray:
    return np.random.default_rng(0).integers(n, size=(resamples, n))


# numbers ------------------------------------------------------------------------------------------------------------
def _differences(log_a: NDArray, log_b: NDArray) -> NDArray:
    """log_b_j - log_a_i, shape (..., seeds, seeds); two failed runs are equal."""
    with np.errstate(invalid="ignore"):
        differences = log_b[..., None, :] - log_a[..., :, None]
    return np.where(np.isnan(differences), 0.0, differences)


def _counted(errors: ArrayLike) -> NDArray:
    values = np.asarray(errors, dtype=float)
    return np.where(np.isfinite(values), values, inf)


def _quantile(ordered: NDArray, share: float) -> float:
    """Linear between neighbours, as in numpy, but right beside infinite values."""
    place = share * (len(ordered) - 1)
    below, above = float(ordered[int(place)]), float(ordered[int(np.ceil(place))])
    return below if below == above or not isfinite(below) else below + (place - int(place)) * (above - below)
