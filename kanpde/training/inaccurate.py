"""Results of a schedule whose estimated error is large, or that leave large residuals and have no estimate."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan
from typing import Any

from kanpde.domains.families import family_of
from kanpde.errors import Fix, ResultWarning
from kanpde.training.settings import Settings
from kanpde.training.state import State

LARGE, LEFT = 0.1, 0.02  # estimated relative error; without an estimate, residual relative to the largest term


def inaccurate(
    settings: Settings,
    state: State,
    level: Mapping[str, Any],
    cures: Callable[[], Sequence[Fix]],
    held: Sequence[str] = (),
) -> list[ResultWarning]:
    """Return a warning if the estimated error is large, or residuals are and there is no estimate.

    With a tolerance the end of the run says so, and measured values have errors (`kanpde.training.unfitted`).

    Args:
        settings: of the run.
        state: at its end.
        level: the row of the final network in the table of levels.
        cures: what may help a network that is too small.
        held: the coefficients that have reached a bound, beyond which the conditions may hold.
    """
    estimate, problem = state.used.get("estimate"), settings.problem
    if settings.tolerance is not None or estimate is None:
        return []
    is_above_1 = "estimate_above_1" in state.used
    if is_above_1 or (isfinite(estimate) and estimate > LARGE):
        size = "larger than 1" if is_above_1 else f"{estimate:.2g}"
        message = f"The estimated relative L2 error is {size}; a solution should have one far below {LARGE:g}. "
        return _with_cause(message, "the problem is nearly singular", problem.domain, cures, held)
    if isfinite(estimate) or any(condition.region.is_measured for condition in problem.trained.values()):
        return []
    sizes = {name: level.get(f"relative_{name}", nan) for name in problem.trained}
    large = [f'"{name}" ({size:.2g} of its largest term)' for name, size in sizes.items() if size > LEFT]
    if not large:
        return []
    message = f"There is no estimate of the error, and large residuals are left in {', '.join(large)}. "
    other = "the conditions contradict each other, as two values at one place"
    return _with_cause(message, other, problem.domain, cures, held)


def _with_cause(
    message: str, other: str, domain: Any, cures: Callable[[], Sequence[Fix]], held: Sequence[str]
) -> list[ResultWarning]:
    """Return the warning with its probable cause: a bound that was reached, or else the network, or another one."""
    if held:
        bounds = " and ".join(f'"{name}"' for name in held)
        return [ResultWarning(f"{message}The probable cause is that {bounds} may not go beyond the bound reached.")]
    message += f"The steps or the network do not suffice, or {other}."
    return [ResultWarning(message, cures(), _singular(domain))]


def _singular(domain: Any) -> str:
    """Return advice on a family, of which some members may have no solution."""
    names = [domain.names[i] for i in family_of(domain)]
    if not names:
        return ""
    ranges = ", ".join(f"{name}={domain.ranges[domain.names.index(name)]}" for name in names)
    return f"If no solution exists for some values of {ranges}, as at a resonance, choose a range without them."
