"""Statistical comparison of the errors of two arms: medians, an interval for the ratio, and the winner.

An arm is a method with its settings, run once for each seed. Errors are positive; a failed run has the error +inf and
so is worse than every run that ended. All computations use log10 errors, in which a factor is a shift.

The shift of arm a against arm b is the median of all differences log10 b_j - log10 a_i (Hodges & Lehmann 1963,
doi:10.1214/aoms/1177704172): positive where a is better. It is robust against outliers and infinities. Its interval
is the hull of two, so that it excludes a tie only where both do:

- the percentile bootstrap, which draws seeds with both their runs (Efron & Tibshirani 1993, ch. 13). Alone it is too
  narrow for ten seeds: 7 to 9 % of studies of equal arms would have a winner;
- all shifts that an exchange test does not reject. If two arms are equal, their labels within a seed can be exchanged;
  the test compares the sum of ranks with the sums after every exchange of labels (Lehmann & Romano 2005, ch. 15.2).
  For any distribution of errors it rejects equal arms with a probability of at most 5 %.

With five seeds or fewer no winner can be named: the smallest p-value is 2 / 2^seeds.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

ALL_EXCHANGES = 12  # up to this number of seeds all 2^n exchanges are used, with more seeds 4095 random ones
CELLS = 400  # number of shifts tested for an interval


@dataclass(frozen=True)
class Summary:
    """Statistics of the errors of one arm; inf where the rank belongs to a failed run."""

    runs: int
    failed: int
    median: float
    lower: float  # quartiles
    upper: float
    best: float
    worst: float


@dataclass(frozen=True)
class Comparison:
    """The comparison of arm a with arm b.

    Attributes:
        factor: factor by which a's errors are smaller than b's; below 1 if they are larger.
        low, high: 95 % interval of the factor.
        p_value: p-value for equal arms, the larger one of the two tests.
        seeds: number of seeds that both arms have.
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
    """One comparison of a study; ``winner`` is None if there is none."""

    first: str
    other: str
    comparison: Comparison
    adjusted_p: float
    winner: str | None


def verdicts(errors: Mapping[str, Mapping[Hashable, float]], level: float = 0.95) -> list[Verdict]:
    """Compare the first arm with every other one.

    Every interval refers to its pair alone. A winner is named if the interval excludes a tie and the p-value does so
    after Holm's correction: the probability of any false winner in the study is then at most 1 - level. With two
    arms the correction changes nothing.

    Args:
        errors: by arm and seed; a comparison uses only seeds that both arms have.
        level: confidence level of the intervals and of the whole study.
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
    """Return median, quartiles and extremes of an arm's errors; errors that are not finite count as +inf (failed)."""
    values = np.sort(_counted(errors))
    if not len(values):
        return Summary(0, 0, nan, nan, nan, nan, nan)
    median, lower, upper = (_quantile(values, share) for share in (0.5, 0.25, 0.75))
    failed = int(np.isinf(values).sum())
    return Summary(len(values), failed, median, lower, upper, float(values[0]), float(values[-1]))


def compare(a: ArrayLike, b: ArrayLike, level: float = 0.95, resamples: int | None = None) -> Comparison:
    """Estimate the factor by which the errors of arm a are smaller than those of b, with its interval.

    Args:
        a, b: errors of both arms for the same seeds in the same order, shape (seeds,); not finite: failed.
        level: confidence level of the interval.
        resamples: of the bootstrap; by default 4000, with more than 31 seeds fewer, but at least 1000.

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
    """Adjust the p-values of several comparisons so that the 5 % level holds for the whole study (Holm 1979)."""
    adjusted = [nan] * len(p_values)
    largest = 0.0
    for rank, k in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = largest
    return adjusted


# exchange of names within seeds -------------------------------------------------------------------------------------
def exchange_p(log_a: NDArray, log_b: NDArray) -> NDArray:
    """Return the probability, for equal arms, of a rank sum at least as far from the centre as the observed one.

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
    """Return the hull of all shifts at which the exchange test does not reject that the arms are equal.

    Ranks change only where the shift passes a difference, so one shift between any two neighbours is tested.
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
    """Return exchanges as signs, the observed one first: all of them, or for many seeds a fixed random sample."""
    if n <= ALL_EXCHANGES:
        return 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    drawn = np.random.default_rng(0).choice([-1.0, 1.0], (2**ALL_EXCHANGES - 1, n))
    return np.concatenate([np.ones((1, n)), drawn])  # including the observed keeps the level (Phipson & Smyth 2010)


# bootstrap over seeds -----------------------------------------------------------------------------------------------
def bootstrap_interval(
    log_a: NDArray, log_b: NDArray, level: float = 0.95, resamples: int = 4000
) -> tuple[float, float]:
    """Return the percentile interval of the shift when seeds are resampled, each with its runs in both arms."""
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
    """Return twice the fraction of resamples whose shift is on the other side of a tie; shapes as for `exchange_p`.

    The side of a resample is that of most of its differences: with w_i the number of times that seed i was drawn, the
    sign of sum_ij w_i w_j sign(log_b_j - log_a_i).
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
    """Return log_b_j - log_a_i, shape (..., seeds, seeds); two failed runs are equal."""
    with np.errstate(invalid="ignore"):
        differences = log_b[..., None, :] - log_a[..., :, None]
    return np.where(np.isnan(differences), 0.0, differences)


def _counted(errors: ArrayLike) -> NDArray:
    values = np.asarray(errors, dtype=float)
    return np.where(np.isfinite(values), values, inf)


def _quantile(ordered: NDArray, share: float) -> float:
    """Interpolate linearly between neighbours as numpy does, but correctly next to infinite values."""
    place = share * (len(ordered) - 1)
    below, above = float(ordered[int(place)]), float(ordered[int(np.ceil(place))])
    return below if below == above or not isfinite(below) else below + (place - int(place)) * (above - below)
