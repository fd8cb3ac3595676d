"""Measured values beside an equation that the solution does not fit within their standard errors.

Problems with coefficients have a chi-square of their own (`kanpde.training.uncertainty`). Without coefficients, as for
an unknown field, the degrees of freedom of the network are not known, so only a mean square well above 1 is doubted.
"""

from math import sqrt

from kanpde.errors import ResultWarning
from kanpde.residuals.evaluation import components_of
from kanpde.residuals.misfit import misfit_of
from kanpde.training.settings import Settings
from kanpde.training.state import State

MOST_ROWS = 20_000
LARGE, DEVIATIONS = 1.5, 5  # mean square, and standard deviations above 1, from which it is doubted


def unfitted(settings: Settings, state: State) -> list[ResultWarning]:
    """Return a warning for every condition on measured values whose residuals are larger than the standard errors."""
    problem = settings.problem
    if problem.is_fit or problem.parameters:
        return []
    found = []
    for name, condition in problem.trained.items():
        rows = min(condition.region.rows or 0, MOST_ROWS)
        if not rows or not condition.noise:
            continue
        points = condition.region.sample("auto", rows, None, settings.device, settings.dtype)
        components = components_of(state.network, settings.derivatives)
        ratio = misfit_of(problem, name, components, points, {}).square / condition.noise
        if ratio > max(LARGE, 1 + DEVIATIONS * sqrt(2 / rows)):
            message = (
                f'The mean square of the residuals of "{name}" in standard errors is {ratio:.3g}, where about 1 is '
                "expected: the solution does not fit the measured values."
            )
            advice = "Are the standard errors too small, is the equation wrong, or the network or the number of steps "
            found.append(ResultWarning(message, advice=f"{advice}too small?"))
    return found
