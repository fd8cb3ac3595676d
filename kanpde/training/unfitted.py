"""Measured values beside an equation that the solution does not fit.

Problems with coefficients and known standard errors have a chi-square (`kanpde.training.uncertainty`). Without
coefficients, as for an unknown field, the degrees of freedom of the network are not known, so only a mean square well
above 1 is doubted. Whatever the standard errors are, neighbouring residuals that are alike are not errors of
measurement (`kanpde.residuals.neighbours`): a coefficient has ended in a local minimum, or the equation is wrong. The
same is doubted where most of the measured values remains, or where the equation is not fulfilled.
"""

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any

from torch import Tensor

from kanpde.domains import Points
from kanpde.errors import ResultWarning
from kanpde.residuals.evaluation import components_of, from_components, residuals_of
from kanpde.residuals.neighbours import likeness
from kanpde.training.settings import Settings
from kanpde.training.state import State

MOST_ROWS = 20_000
LARGE, DEVIATIONS = 1.5, 5  # mean square, and standard deviations above 1, from which it is doubted
ALIKE = 4.0  # standard deviations of `Likeness`, which independent errors exceed with probability 3e-5
SMALL = 1e-3  # residuals relative to the spread of the values, below which their likeness does not matter
LITTLE = 0.7  # the same, from which half of the variance is left
BROKEN = 0.3  # residual of an equation relative to its largest term
STARTS = 5


def unfitted(settings: Settings, state: State, level: Mapping[str, Any]) -> list[ResultWarning]:
    """Return warnings on measured values that the solution does not fit, and on an equation that it breaks for them.

    Args:
        settings: of the run.
        state: at its end.
        level: the row of the final network in the table of levels.
    """
    problem, found = settings.problem, []
    if problem.is_fit:
        return []
    for name, condition in problem.trained.items():
        rows = min(condition.region.rows or 0, MOST_ROWS)
        if not rows:
            continue
        points = condition.region.sample("auto", rows, None, settings.device, settings.dtype)
        residuals = _residuals(settings, state, name, points)
        if points.data is None or points.data.shape[1] < len(residuals):
            continue  # a region of the user, whose values are not known
        square = sum(float(r.square().mean()) for r in residuals)
        ratio = square / condition.noise if condition.noise else 0.0
        is_large = ratio > max(LARGE, 1 + DEVIATIONS * sqrt(2 / rows))
        alike = next(_alike(points, residuals), None) if is_large or not condition.noise else None
        if alike is not None:
            found.append(_structured(settings, name, *alike))
        elif is_large and not problem.parameters:
            found.append(_too_large(name, ratio))
        elif not condition.noise and (most := max(_relative(points, residuals))) > LITTLE:
            found.append(_hardly_explained(settings, name, most))
    return found or _broken(settings, level)


def _residuals(settings: Settings, state: State, name: str, points: Points) -> list[Tensor]:
    """Return the residuals of a condition, each (points,)."""
    components = components_of(state.network, settings.derivatives)
    known = state.named_coefficients(settings.problem)
    return residuals_of(settings.problem, name, from_components(settings.problem, components), points, known)


def _relative(points: Points, residuals: list[Tensor]) -> list[float]:
    """Return the root mean square of every quantity's residuals, divided by the standard deviation of its values."""
    assert points.data is not None
    spreads = points.data[:, : len(residuals)].std(dim=0, correction=0)
    return [float(r.square().mean().sqrt() / spread) for r, spread in zip(residuals, spreads, strict=True)]


def _alike(points: Points, residuals: list[Tensor]) -> Iterator[tuple[float, float]]:
    """Yield the correlation and the relative size of residuals that are correlated at neighbouring rows."""
    x = points.x.double().cpu().numpy()
    for r, relative in zip(residuals, _relative(points, residuals), strict=True):
        found = likeness(x, r.double().cpu().numpy())
        if found.deviations > ALIKE and relative > SMALL:
            yield found.correlation, relative


def _structured(settings: Settings, name: str, correlation: float, relative: float) -> ResultWarning:
    return ResultWarning(
        f'The residuals of "{name}" are alike at neighbouring rows, with a correlation of {correlation:.2f} where '
        "independent errors have none: the solution misses something of the measured values"
        f"{', and the coefficients and their standard errors are probably wrong' * bool(settings.problem.parameters)}.",
        **_help(settings),
    )


def _too_large(name: str, ratio: float) -> ResultWarning:
    return ResultWarning(
        f'The mean square of the residuals of "{name}" in standard errors is {ratio:.3g}, where about 1 is expected: '
        "the solution does not fit the measured values.",
        advice="Are the standard errors too small, is the equation wrong, or the network or the number of steps too "
        "small?",
    )


def _hardly_explained(settings: Settings, name: str, relative: float) -> ResultWarning:
    return ResultWarning(
        f'The solution explains little of "{name}": {min(relative**2, 9.99):.0%} of the variance of the measured '
        "values are left. If their errors are not that large, it is probably wrong.",
        **_help(settings),
    )


def _broken(settings: Settings, level: Mapping[str, Any]) -> list[ResultWarning]:
    """Return a warning if an equation with coefficients is not fulfilled beside data without standard errors."""
    problem = settings.problem
    is_open = any(c.region.rows and not c.noise for c in problem.trained.values())
    if not problem.parameters or not is_open:
        return []
    inside = [name for name, c in problem.trained.items() if c.region.is_interior]
    size, name = max(((level.get(f"relative_{name}", 0.0), name) for name in inside), default=(0.0, ""))
    if size <= BROKEN:
        return []
    message = f'The residual of "{name}" is {size:.2g} times its largest term: the equation is not fulfilled, and the '
    return [ResultWarning(f"{message}coefficients are probably wrong.", **_help(settings))]


def _help(settings: Settings) -> dict[str, Any]:
    """Return fixes and advice of a warning."""
    many = [("", {"starts": STARTS})] if settings.problem.parameters and settings.starts == 1 else []
    own = "Several starts try other first values of the coefficients, within their bounds; or give nearer ones. "
    rest = "The equation may not describe what was measured, or the network or the number of steps is too small."
    return {"fixes": many, "advice": (own if settings.problem.parameters else "") + rest}
