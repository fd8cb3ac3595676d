"""Validation within a phase: of all its steps, the one with the least loss on measured values kept back remains.

Rows are noisy, so the loss on the training rows may fall while the network becomes worse. The loss on the rows for
validation is computed after every step of a method that assembles the Jacobian, which costs far more, and after every
`BETWEEN` steps of others.
"""

from dataclasses import replace
from math import isfinite

from kanpde.ends import End, Ending
from kanpde.problem import Problem
from kanpde.residuals.objective import Objective
from kanpde.training.fresh import fresh_points, losses
from kanpde.training.settings import Settings
from kanpde.training.state import Leg, State
from kanpde.training.surroundings import Work
from kanpde.training.watch import kept

BETWEEN = 10


def validation_of(settings: Settings, state: State, leg: Leg) -> Objective | None:
    """Return the objective on the rows for validation and fresh points of the equations; None without such rows.

    A phase with a penalty has none either, since its sparsest network is its last one.
    """
    if not _holds_back(settings.problem) or state.plan[state.phase].penalty > 0:
        return None
    points = fresh_points(settings, state, state.phase, settings.seed)
    return Objective(settings.problem, state.network, points, leg.weights, state.coefficients, settings.derivatives)


def _holds_back(problem: Problem) -> bool:
    """Return whether measured points are kept back from training."""
    return any(condition.region.draw_fresh is not None for condition in problem.trained.values())


def validated(state: State, leg: Leg, work: Work, at_once: bool = False) -> Leg:
    """Return the leg with its best step so far.

    Args:
        state, leg, work: after a step.
        at_once: validate the present step even if it is not its turn.
    """
    between = 1 if getattr(state.plan[state.phase].optimizer, "needs_jacobian", False) else BETWEEN
    if work.validation is None or not leg.step or not (at_once or leg.step % between == 0):
        return leg
    if leg.valid is not None and leg.valid[0] == leg.step:
        return leg
    loss = sum(losses(work.validation).values())
    if not isfinite(loss) or (leg.valid is not None and leg.valid[2] <= loss):
        return leg
    return replace(leg, valid=(leg.step, work.objective.vector(), loss))


def best_step(state: State, leg: Leg, work: Work) -> int:
    """Give the network its parameters after the best step of the leg, and return the number of that step."""
    leg = validated(state, leg, work, at_once=True)
    if leg.valid is None:
        return leg.step
    number, vector, _ = leg.valid
    if number != leg.step:
        work.objective.assign(vector)
    return number


def noise_reached(settings: Settings, leg: Leg, loss: float) -> Ending | None:
    r"""Return the end by the discrepancy principle, or None if the loss is not yet that of the noise.

    With standard errors σ the true function has $\chi^2 / N = \frac{1}{N} \sum_n (u(x_n) - y_n)^2 / \sigma_n^2 = 1$ on
    average over the noise, with the standard deviation $\sqrt{2 / N}$. A smaller loss fits the noise (V. Morozov, On
    the solution of functional equations by the method of regularization, 1966). N rows without a wrong class determine
    a cross-entropy of 1 / N only, and a smaller one makes the probabilities too certain.
    """
    noise = settings.problem.noise(leg.weights)
    if not noise or loss > noise:
        return None
    return Ending(End.NOISE_REACHED, f"the rows determine a loss of {noise:.3g}, and it is {loss:.3g}")


def chi_squares(settings: Settings, state: State) -> dict[str, float]:
    """Return the mean squares of a fit's residuals in standard errors, if these are known, of the final network.

    ``chi_square`` on the training rows, ``chi_square_validation`` on the rows for validation, and
    ``chi_square_margin``, the standard deviation of the latter for the true function.
    """
    level, weights = kept(state.levels), state.used.get("weights")
    is_other = bool(settings.problem.measures) or not settings.problem.is_fit
    if is_other or weights is None or "fresh" not in level or not (noise := settings.problem.noise(weights)):
        return {}
    points = fresh_points(settings, state, state.phase - 1, settings.seed)
    counts = {name: settings.problem.conditions[name].noise * len(each.x) for name, each in points.items()}
    return {
        "chi_square": level["loss"] / noise,
        "chi_square_validation": level["fresh"] / noise,
        "chi_square_margin": (2 / sum(counts.values())) ** 0.5,
    }
