r"""Last steps on all measured values of an inverse problem, of which its phases use a part only.

A phase draws at most `kanpde.training.sampling.MOST_POINTS` rows of a table. Coefficients found from these are less
accurate than all rows permit. The last steps are damped Gauss-Newton steps $\delta$ on all rows, from the triangular
factor R of [J, r], which is computed in pieces:

$$\min_\delta |R\,(\delta, 1)|^2 + \lambda |D \delta|^2, \qquad D^2 = \mathrm{diag}(J^T J).$$
"""

from collections.abc import Iterator, Mapping
from math import isfinite

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from kanpde.domains import Points
from kanpde.models.network import Network, trained_size
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import sites_of
from kanpde.training.fresh import draw
from kanpde.training.linearized import all_rows, linearized
from kanpde.training.settings import Settings
from kanpde.training.standard_errors import MOST_PARAMETERS
from kanpde.training.state import State
from kanpde.training.surroundings import Surroundings, affordable, limit

DAMPINGS = (1e-10, 1e-7, 1e-4, 1e-2)  # tried in this order until the loss is less
STEPS = 10
LEAST = 0.01  # decrease over the loss of one row, which one standard error changes: below it no further step is taken
FLOOR = 1e-12  # of the squares of D, relative to the largest


def polish(settings: Settings, state: State, around: Surroundings) -> None:
    """Take the last steps, in place; none if the phases used all rows, or without a Jacobian."""
    if not _has_more(settings, state) or limit(settings, around) is not None:
        return
    sampling = (state.plan[state.phase - 1] if state.phase else state.plan[0]).sampling or settings.sampling
    points = draw(settings, state.network, sampling, torch.Generator(settings.device).manual_seed(settings.seed))
    points |= all_rows(settings)
    whole = Objective(settings.problem, state.network, points, {}, state.coefficients, sites=[])
    size = sum(len(each.x) for each in points.values()), whole.size[1]
    if not affordable(settings, around, "the last step on all measured values", (STEPS * size[0], size[1])):
        return
    rows = sum(len(each.x) for name, each in points.items() if settings.problem.trained[name].region.rows)
    first = loss = _loss(settings, state, points)
    count = 0
    while count < STEPS and limit(settings, around) is None:
        before = whole.vector()
        triangle, new = linearized(settings, state, points).whole(), loss
        for step in _steps(triangle):
            whole.assign(before + torch.as_tensor(step).to(before))
            new = _loss(settings, state, points)
            if new < loss:
                break
        else:
            whole.assign(before)
        count, gain, loss = count + 1, loss - new, min(new, loss)
        if not gain > LEAST * loss / rows:
            break
    around.log(f"all {rows} measured rows: {count} further steps, loss {first:.6e} before and {loss:.6e} after")


def _has_more(settings: Settings, state: State) -> bool:
    """Return whether there are coefficients, and measured values that the last phase did not use."""
    problem, used, network = settings.problem, state.used.get("points", {}), state.network
    more = [n for n, c in problem.trained.items() if c.region.rows and 0 < used.get(n, 0) < c.region.rows]
    is_whole = isinstance(network, Network) and bool(network.layers) and "windows" not in state.used
    fits = is_whole and trained_size(network) <= MOST_PARAMETERS and settings.derivatives == "jets"
    return bool(problem.parameters) and bool(more) and fits and not state.ending.end.is_requested


def _loss(settings: Settings, state: State, points: Mapping[str, Points]) -> float:
    """Return the loss, computed in pieces; inf if it is not finite."""
    problem, weights, total = settings.problem, state.used["weights"], 0.0
    for site in sites_of(problem, points):
        own = {site.name: weights[site.name]}
        part = Objective(problem, state.network, points, own, state.coefficients, sites=[site])
        total += float(part.values().square().sum())
    return total if isfinite(total) else float("inf")


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
