r"""Last steps on all measured values of an inverse problem, of which its phases use a part only.

A phase draws at most `kanpde.training.sampling.MOST_POINTS` rows of a table. Coefficients found from these are less
accurate than all rows permit. The last steps are damped Gauss-Newton steps $\delta$ on all rows, from the triangular
factor R of [J, r], which is computed in pieces:

$$\min_\delta |R\,(\delta, 1)|^2 + \lambda |D \delta|^2, \qquad D^2 = \mathrm{diag}(J^T J).$$

"All rows" are those for training. Rows that are kept back (``data(validation=...)``) stay out, because they judge the
result: as they choose the step of a phase, they end these steps. A step after which the loss on them is clearly larger
than before the first one is taken back, since the network then follows the errors of the rows. Clearly is more than
`CLEARLY` standard errors of the difference, point by point; a smaller one is chance, and all rows determine
coefficients better than a few.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf, isfinite

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.domains import Points
from kanpde.ends import End, Ending
from kanpde.models.network import trained_size
from kanpde.optimizers import Step
from kanpde.optimizers.lm import LM
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import sites_of
from kanpde.training.course import coefficient_columns, history_row, measured
from kanpde.training.fresh import draw
from kanpde.training.leaving import level_line, level_row
from kanpde.training.linearized import all_rows, is_linearizable, linearized
from kanpde.training.settings import Settings
from kanpde.training.state import Leg, State
from kanpde.training.surroundings import Surroundings, affordable, limit
from kanpde.training.validation import validation_of
from kanpde.training.watch import watched

DAMPINGS = (1e-10, 1e-7, 1e-4, 1e-2)  # tried in this order until the loss is less
STEPS = 10
LEAST = 0.01  # decrease over the loss of one row, which one standard error changes: below it no further step is taken
CLEARLY = 2.0  # standard errors of the growth of the loss on rows kept back, from which a step is taken back
FLOOR = 1e-12  # of the squares of D, relative to the largest


def polish(settings: Settings, state: State, around: Surroundings) -> State:
    """Return the state after the last steps, which change the network in place and have rows in history and levels.

    There are none if the phases used all rows, or without a Jacobian.
    """
    if not _has_more(settings, state) or limit(settings, around) is not None:
        return state
    began, last = around.clock.seconds(), replace(state, phase=max(state.phase - 1, 0))
    sampling = state.plan[last.phase].sampling or settings.sampling
    points = draw(settings, state.network, sampling, torch.Generator(settings.device).manual_seed(settings.seed))
    points |= all_rows(settings)
    counts = {name: len(each.x) for name, each in points.items()}
    size = sum(counts.values()), trained_size(state.network)
    if not affordable(settings, around, "the last step on all measured values", (STEPS * size[0], size[1])):
        return state
    rows = sum(count for name, count in counts.items() if settings.problem.trained[name].region.rows)
    leg = Leg(points, state.used["weights"], began, methods=("cholesky",))
    first, before = _losses(settings, state, points), len(state.history)
    state, leg, final = _steps_on(settings, state, leg, first, rows, around)
    sizes = f"loss {sum(first.values()):.6e} before and {sum(final.values()):.6e} after"
    around.log(f"all {rows} measured rows: {leg.step} further steps, {sizes}")
    if len(state.history) == before:
        return state
    ending = Ending(End.STEPS_DONE, f"on all {rows} measured rows")
    level = {**level_row(settings, last, leg, final, ending, around), "phase": state.phase, "optimizer": LM.__name__}
    level |= watched(settings, last, last.phase, leg.weights)
    around.log(level_line(level))
    return replace(state, levels=(*state.levels, level), used={**state.used, "points": counts})


def _has_more(settings: Settings, state: State) -> bool:
    """Return whether there are coefficients, and measured values that the last phase did not use."""
    problem, used = settings.problem, state.used.get("points", {})
    more = [n for n, c in problem.trained.items() if c.region.rows and 0 < used.get(n, 0) < c.region.rows]
    fits = is_linearizable(settings, state.network) and "windows" not in state.used
    return bool(problem.parameters) and bool(more) and fits and not state.ending.end.is_requested


def _steps_on(
    settings: Settings, state: State, leg: Leg, first: Mapping[str, float], rows: int, around: Surroundings
) -> tuple[State, Leg, Mapping[str, float]]:
    """Take the steps; return state, leg and the losses by condition after them.

    Args:
        settings, state, around: of the run.
        leg: with all points.
        first: the losses by condition before the first step.
        rows: number of measured rows.
    """
    whole = Objective(settings.problem, state.network, leg.points, {}, state.coefficients, sites=[])
    held_back = validation_of(settings, replace(state, phase=max(state.phase - 1, 0)), leg)
    at_first, final, is_last = None if held_back is None else held_back.values().square(), first, False
    while not is_last and limit(settings, around) is None:
        before, loss = whole.vector(), sum(final.values())
        new = _lowered(settings, state, whole, leg.points, loss)
        if new is None:
            break
        if held_back is not None and at_first is not None and is_worse(at_first, held_back.values().square()):
            whole.assign(before)
            around.log("a step on all measured rows is taken back: the loss on the rows for validation grew")
            break
        leg, final = replace(leg, step=leg.step + 1), new
        is_last = leg.step == STEPS or not loss - sum(new.values()) > LEAST * sum(new.values()) / rows
        state = measured(state, around, settings.derivatives, is_last)
        row = history_row(state, leg, Step(sum(new.values())), len(before), around)
        state.history.append(row | coefficient_columns(state, settings.problem))
    return state, leg, final


def is_worse(before: Tensor, after: Tensor) -> bool:
    """Return whether the sum of squared residuals at independent points is clearly larger than before.

    The sum of the changes d has the standard error |d| if their mean is zero.
    """
    change = after - before
    return not bool(change.sum() <= CLEARLY * change.norm())


def _lowered(
    settings: Settings, state: State, whole: Objective, points: Mapping[str, Points], loss: float
) -> dict[str, float] | None:
    """Take a step that lowers the loss, and return the losses by condition; None if no damping does, and no step."""
    before = whole.vector()
    for step in _steps(linearized(settings, state, points).whole()):
        whole.assign(before + torch.as_tensor(step).to(before))
        new = _losses(settings, state, points)
        if sum(new.values()) < loss:
            return new
    whole.assign(before)
    return None


def _losses(settings: Settings, state: State, points: Mapping[str, Points]) -> dict[str, float]:
    """Return the losses by condition, computed in pieces; inf if one is not finite."""
    problem, weights, found = settings.problem, state.used["weights"], dict.fromkeys(points, 0.0)
    for site in sites_of(problem, points):
        own = {site.name: weights[site.name]}
        part = Objective(problem, state.network, points, own, state.coefficients, sites=[site])
        found[site.name] += float(part.values().square().sum())
    return {name: value if isfinite(value) else inf for name, value in found.items()}


def _steps(triangle: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield steps with increasing damping."""
    upper, r = triangle[:, :-1], triangle[:, -1]
    squares = np.sum(upper**2, axis=0)
    scale = np.sqrt(np.maximum(squares, FLOOR * squares.max()))
    scaled = upper / scale
    normal, right = scaled.T @ scaled, -(scaled.T @ r)
    for damping in DAMPINGS:
        try:
            factor = scipy.linalg.cho_factor(normal + damping * np.eye(len(scale)))
        except (np.linalg.LinAlgError, ValueError):
            continue
        yield scipy.linalg.cho_solve(factor, right) / scale
