"""What measured values say about coefficients of inverse problems: errors, intervals, correlations, chi-square."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, nan, sqrt

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.calculus.coefficients import Coefficient, as_coefficients
from kanpde.errors import ResultWarning
from kanpde.models.network import Network, trained_size
from kanpde.residuals.objective import Objective
from kanpde.training.covariance import Found, Group, covariance, triangle_of
from kanpde.training.fresh import fresh_points
from kanpde.training.settings import Settings
from kanpde.training.standard_errors import MOST_PARAMETERS
from kanpde.training.state import State

IMPROBABLE = 1e-3  # probability of the chi-square, below which the standard errors are doubted
ROWS = 4096  # of J that are treated at once
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
    """

    errors: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    correlations: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[ResultWarning] = ()


def uncertainty(settings: Settings, state: State) -> Uncertainty | None:
    """Return the uncertainty of the coefficients from measured values; None without both, or without a Jacobian."""
    problem, network = settings.problem, state.network
    has_data = any(condition.region.is_measured for condition in problem.trained.values())
    if not (problem.parameters and has_data and state.phase and settings.derivatives == "jets"):
        return None
    if not isinstance(network, Network) or not network.layers or trained_size(network) > MOST_PARAMETERS:
        return None
    found = _found(settings, state)
    if found is None or state.coefficients is None:
        return None
    own, trained = as_coefficients(problem.parameters), state.coefficients.tolist()
    slopes = np.array([c.slope(z) for c, z in zip(own.values(), trained, strict=True)])
    if stuck := [name for name, slope in zip(own, slopes, strict=True) if slope == 0]:
        return Uncertainty(warnings=[_at_bound(stuck[0], own[stuck[0]])])
    if found.loose is not None:
        return Uncertainty(warnings=[_not_told_apart(own, found.loose * slopes)])
    spread = found.covariance + np.outer(found.step, found.step)
    deviations = np.sqrt(np.diag(spread))
    quantile = _student(found.freedom) if isnan(found.chi_square) else 1.959964
    intervals = {
        name: _interval(c, z, quantile * deviation)
        for (name, c), z, deviation in zip(own.items(), trained, deviations, strict=True)
    }
    matrix = spread / np.maximum(np.outer(deviations, deviations), np.finfo(float).tiny)
    return Uncertainty(
        errors=dict(zip(own, (np.abs(slopes) * deviations).tolist(), strict=True)),
        intervals=intervals,
        correlations=_correlations(tuple(own), matrix * np.sign(np.outer(slopes, slopes))),
        facts=_facts(found),
        warnings=_doubts(found),
    )


def _found(settings: Settings, state: State) -> Found | None:
    """Linearize the residuals at all measured values, and at fresh points of the other conditions."""
    problem = settings.problem
    points = dict(fresh_points(settings, state, state.phase - 1, settings.seed + state.phase))
    for name, condition in problem.trained.items():
        if condition.region.rows:
            points[name] = condition.region.sample("auto", condition.region.rows, None, settings.device, settings.dtype)
    weights = state.used["weights"]
    objective = Objective(problem, state.network, points, weights, state.coefficients)
    columns = objective.size[1] + 1
    triangles = {name: triangle_of(_blocks(objective, name), columns) for name in points}
    measured = {name: c for name, c in problem.trained.items() if c.region.is_measured}
    groups = [
        Group(triangles[name], _rows(objective, name), weights[name] / len(points[name].x) if c.noise else nan)
        for name, c in measured.items()
    ]
    rest = [triangle for name, triangle in triangles.items() if name not in measured]
    return covariance(triangle_of(rest, columns), groups, len(problem.parameters))


def _rows(objective: Objective, name: str) -> int:
    return sum(site.rows for site in objective.sites if site.name == name)


def _blocks(objective: Objective, name: str) -> Iterator[NDArray[np.float64]]:
    """Yield blocks of rows of [J, r] of a condition."""
    size, block = objective.size[1], []
    for site in objective.sites:
        if site.name != name:
            continue
        jacobian = objective.parameters[0].new_empty(site.rows, size)
        r = objective.linearize_site(site, jacobian)
        block.append(np.concatenate([jacobian.double().cpu().numpy(), r.double().cpu().numpy()[:, None]], axis=1))
        if sum(map(len, block)) >= ROWS:
            yield np.concatenate(block)
            block = []
    if block:
        yield np.concatenate(block)


def _interval(coefficient: Coefficient, z: float, half: float) -> tuple[float, float]:
    """Return the values at both ends of an interval around z; they are within the bounds."""
    ends = coefficient.value(torch.tensor([z - half, z + half], device="cpu", dtype=torch.float64)).tolist()
    return min(ends), max(ends)


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


def _at_bound(name: str, coefficient: Coefficient) -> ResultWarning:
    """Return the warning on a coefficient that has reached one of its bounds to rounding."""
    return ResultWarning(
        f'"{name}" has reached a bound of ({coefficient.lower:g}, {coefficient.upper:g}), and has no standard error.',
        advice="The data ask for a value beyond it: widen the bounds, or check the equation.",
    )


def _not_told_apart(coefficients: Mapping[str, Coefficient], changes: NDArray[np.float64]) -> ResultWarning:
    """Return the warning on coefficients of which a combination has no effect."""
    return ResultWarning(
        f"The data do not determine {loose_in_words(coefficients, changes)}. The values found are arbitrary in this.",
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


def _student(freedom: float) -> float:
    """Return the quantile of Student's distribution for intervals, with at least one degree of freedom."""
    from scipy.stats import t  # here, because it takes a second to import

    return float(t(max(freedom, 1.0)).ppf(0.5 + 0.5 * CONFIDENCE))
