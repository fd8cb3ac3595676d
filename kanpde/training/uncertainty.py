"""What is known about trained coefficients: standard errors, and with measured values also intervals and chi-square.

Coefficients are those of the problem and those of singular functions. The standard error is the root of the variance
(`kanpde.training.covariance`) plus the square of the Gauss-Newton step of the coefficient, which training has left
undone and which is small at a minimum. Points are fresh ones, which were not trained on, because training makes
residuals small at its points, and all measured ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isinf, isnan, sqrt

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.calculus.coefficients import Coefficient, as_coefficients
from kanpde.errors import ResultWarning
from kanpde.models.network import singular_coefficients
from kanpde.training.covariance import Found
from kanpde.training.fresh import fresh_points
from kanpde.training.linearized import all_rows, is_linearizable, linearized
from kanpde.training.settings import Settings
from kanpde.training.state import State

IMPROBABLE = 1e-3  # probability of the chi-square, below which the standard errors are doubted
CLOSE = 0.1  # share of the half range, or of the first distance, from which a coefficient may have reached a bound
NEAR = 2.0  # standard errors from a bound, from which linearized intervals are doubted
CONFIDENCE = 0.95
LEAST_SHARE = 0.01  # of a combination of coefficients that is named


@dataclass(frozen=True)
class Uncertainty:
    """What is known about the errors of the coefficients, by name.

    Attributes:
        errors: the standard errors.
        intervals: with 95 % probability the coefficients are within these bounds.
        correlations: of each with the others.
        facts: ``chi_square_data``, the mean square of the residuals in standard errors for each degree of freedom, and
            ``chi_square_data_margin``, its standard deviation if these are right; with known standard errors.
        warnings: why they may be wrong.
        held: the coefficients that have reached a bound, and so have no errors.
    """

    errors: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    correlations: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[ResultWarning] = ()
    held: Sequence[str] = ()


def uncertainty(settings: Settings, state: State) -> Uncertainty:
    """Return the uncertainty of all trained coefficients; nothing is known without any, or without a Jacobian."""
    estimates = _estimates(settings, state)
    if not estimates or not state.phase or not is_linearizable(settings, state.network):
        return Uncertainty()
    points = fresh_points(settings, state, state.phase - 1, settings.seed + state.phase) | all_rows(settings)
    system = linearized(settings, state, points)
    held = {name: each for name, each in estimates.items() if each.slope == 0}
    found = system.found(list(held))
    if found is not None and found.loose is None:
        free = [each for name, each in estimates.items() if name not in held]
        more = [each for k, each in enumerate(free) if each.asks_beyond(found, k)]
        held |= {each.name: each for each in more}
        found = system.found(list(held)) if more else found
    free = [each for name, each in estimates.items() if name not in held]
    known = Uncertainty(
        warnings=[_at_bound(each, bool(free)) for each in held.values()],
        held=list(held),
    )
    if found is None:
        return known
    if system.data:
        return told(free, found, known)
    is_known = found.loose is None
    return replace(known, errors={each.name: each.error(found, k) for k, each in enumerate(free) if is_known})


@dataclass(frozen=True)
class Estimated:
    """A coefficient that was found.

    Attributes:
        name: its name.
        coefficient: its first value, with its bounds.
        z: the number trained in its place.
    """

    name: str
    coefficient: Coefficient
    z: float

    @property
    def slope(self) -> float:
        return self.coefficient.slope(self.z)

    @property
    def value(self) -> float:
        return float(self.coefficient.value(torch.tensor(self.z, dtype=torch.float64, device="cpu")))

    @property
    def distance(self) -> float:
        """The distance to the nearer bound; inf without bounds."""
        return min(self.value - self.coefficient.lower, self.coefficient.upper - self.value)

    def error(self, found: Found, k: int) -> float:
        """Return the standard error; the coefficient is number ``k`` of the covariance."""
        return abs(self.slope) * sqrt(found.covariance[k, k] + found.step[k] ** 2)

    def asks_beyond(self, found: Found, k: int) -> bool:
        """Return whether the coefficient has come close to a bound, and the data ask for a value beyond it."""
        own = self.coefficient
        at_first = min(own - own.lower, own.upper - own)
        is_close = self.distance <= CLOSE * (
            at_first if isinf(own.upper - own.lower) else 0.5 * (own.upper - own.lower)
        )
        wanted = self.value + self.slope * float(found.step[k])
        is_beyond = not own.lower < wanted < own.upper
        return is_close and (is_beyond or self.distance < CLOSE * self.error(found, k))


def _estimates(settings: Settings, state: State) -> dict[str, Estimated]:
    """Return the coefficients in the order of their columns of J, which are the last ones."""
    factors = singular_coefficients(state.network)
    own = as_coefficients(settings.problem.parameters)
    trained = [] if state.coefficients is None else state.coefficients.tolist()
    return {name: Estimated(name, Coefficient(value), value) for name, value in factors.items()} | {
        name: Estimated(name, c, z) for (name, c), z in zip(own.items(), trained, strict=True)
    }


def told(free: Sequence[Estimated], found: Found, known: Uncertainty = Uncertainty()) -> Uncertainty:
    """Return what measured values say about the free coefficients, beside what is known of those at their bounds."""
    names, slopes = [each.name for each in free], np.array([each.slope for each in free])
    if found.loose is not None:
        return replace(known, warnings=[*known.warnings, _not_told_apart(names, found.loose * slopes)])
    spread = found.covariance + np.outer(found.step, found.step)
    deviations = np.sqrt(np.diag(spread))
    quantile = student(found.freedom) if isnan(found.chi_square) else 1.959964
    intervals = {
        each.name: each.coefficient.around(each.z, quantile * float(deviation))
        for each, deviation in zip(free, deviations, strict=True)
    }
    matrix = spread / np.maximum(np.outer(deviations, deviations), np.finfo(float).tiny)
    near = [each for k, each in enumerate(free) if each.distance < NEAR * each.error(found, k)]
    return replace(
        known,
        errors=dict(zip(names, (np.abs(slopes) * deviations).tolist(), strict=True)),
        intervals=intervals,
        correlations=_correlations(names, matrix * np.sign(np.outer(slopes, slopes))),
        facts=_facts(found),
        warnings=[*known.warnings, *map(_near_bound, near), *_doubts(found)],
    )


def _correlations(names: Sequence[str], matrix: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    rows = np.clip(matrix, -1.0, 1.0).tolist()
    return {
        one: {other: value for other, value in zip(names, row, strict=True) if other != one}
        for one, row in zip(names, rows, strict=True)
    }


def _facts(found: Found) -> dict[str, float]:
    if isnan(found.chi_square):
        return {}
    return {
        "chi_square_data": found.chi_square / found.expected,
        "chi_square_data_margin": sqrt(found.variance) / found.expected,
    }


def _doubts(found: Found) -> list[ResultWarning]:
    """Return a warning if the residuals are improbable with the given standard errors."""
    if isnan(found.chi_square) or found.probability >= IMPROBABLE:
        return []
    mean, margin = _facts(found).values()
    size, than = ("smaller", "large") if mean < 1 else ("larger", "small")
    advice = "" if mean < 1 else " Or the equation does not describe what was measured, or the network is too small."
    return [
        ResultWarning(
            f"The mean square of the data's residuals in standard errors is {mean:.3g}, and it should be 1 ± "
            f"{margin:.2g}: they are {size} than the given standard errors permit. These are probably too {than}, by "
            f"a factor of about {max(sqrt(mean), 1 / sqrt(mean)):.2g}.",
            advice=f"The standard errors of the coefficients follow the given ones.{advice}",
        )
    ]


def _at_bound(estimate: Estimated, has_others: bool) -> ResultWarning:
    """Return the warning on a coefficient that has reached one of its bounds."""
    own = estimate.coefficient
    others = " Those of other coefficients are for this value of it." if has_others else ""
    return ResultWarning(
        f'"{estimate.name}" has reached a bound of ({own.lower:g}, {own.upper:g}), and has no standard error.{others}',
        advice="The conditions ask for a value beyond it: widen the bounds, or check the equation. Or training has "
        "left the basin of the solution: several starts, or a nearer first value, may lead into it.",
    )


def _near_bound(estimate: Estimated) -> ResultWarning:
    """Return the warning on a coefficient whose errors are not small compared with the distance to a bound."""
    own = estimate.coefficient
    return ResultWarning(
        f'"{estimate.name}" = {estimate.value:.4g} is within {NEAR:g} standard errors of a bound of ({own.lower:g}, '
        f"{own.upper:g}). Its standard error and its interval are from a linearization that is not valid there.",
        advice="Take them as rough, or give more data.",
    )


def _not_told_apart(names: Sequence[str], changes: NDArray[np.float64]) -> ResultWarning:
    """Return the warning on coefficients of which a combination has no effect."""
    return ResultWarning(
        f"The data do not determine {loose_in_words(names, changes)}. The values found are arbitrary in this.",
        advice="Fix one of the coefficients, or measure something else.",
    )


def loose_in_words(names: Iterable[str], changes: NDArray[np.float64]) -> str:
    """Return a combination of coefficients without effect in words; ``changes`` is in their units."""
    shares = changes / changes[int(np.abs(changes).argmax())]
    named = {name: share for name, share in zip(names, shares.tolist(), strict=True) if abs(share) > LEAST_SHARE}
    if len(named) == 1:
        return f'"{next(iter(named))}": no residual depends on it, or the network makes up for every change of it'
    told = ", ".join(f"{name} by {share:+.3g}" for name, share in named.items())
    return f"{' and '.join(named)} one by one: a change of {told} at the same time leaves all residuals as they are"


def student(freedom: float) -> float:
    """Return the quantile of Student's distribution for intervals, with at least one degree of freedom."""
    from scipy.stats import t  # here, because it takes a second to import

    return float(t(max(freedom, 1.0)).ppf(0.5 + 0.5 * CONFIDENCE))
