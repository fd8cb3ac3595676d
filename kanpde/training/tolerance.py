r"""The levels of a run with a tolerance: what follows the level that has just ended.

Every level is assessed on fresh points, which lie between the training points. One of four things follows:

- *points*, if the fresh loss is much larger than the training loss: the cells on which the mean squares of the residual
  by two Gauss rules differ most are halved. Points are only added, never moved.
- *steps*, if the level ended because its steps were used up.
- *cells* of the network: the grid is halved.
- *width*, if halving the grid lowered the fresh loss by little, or there is no grid.

The error is estimated from successive levels. With $d = |u_k - u_{k-1}| / |u_k|$ and $q$ the ratio of the roots of
their fresh losses, the error before the level is about $d / (1 - q)$ and after it $d q / (1 - q)$, as for a geometric
sequence. There is no estimate if q is not clearly below 1. Before the run ends with the tolerance reached, the estimate
is confirmed by `kanpde.classical.estimate` where that is possible (boxes of up to two coordinates).
"""

from collections.abc import Mapping
from dataclasses import replace
from math import inf, isfinite, nan, sqrt
from types import SimpleNamespace

import torch
from torch import Tensor

from kanpde.classical.estimate import estimate_error
from kanpde.domains.box import Box
from kanpde.domains.cells import Cells, equal_cells, largest
from kanpde.ends import End, Ending
from kanpde.errors import InputError
from kanpde.models.network import Network, grid_of
from kanpde.optimizers.lm import LM
from kanpde.residuals.evaluation import asked_of, components_of, from_components, residuals_of
from kanpde.training.fresh import draw, fresh_points, loss_at
from kanpde.training.phases import Phase
from kanpde.training.settings import Settings
from kanpde.training.state import Assessed, Candidate, State
from kanpde.training.surroundings import Surroundings
from kanpde.training.trials import best_trial, enlarged

ALONG = {1: 6, 2: 5, 3: 4}  # Gauss points along each coordinate of a cell, by number of coordinates
UNSEEN = 3.0  # fresh loss over training loss from which points are missing
LEAST_GAIN = 4.0  # a level that lowers the fresh loss by less is idle
MOST_IDLE = 3
MOST_PARAMETERS, MOST_POINTS = 3000, 40_000
SHARE = 0.8  # part of the loss, or of its error, on the cells that are halved
CONVERGES = 0.5  # largest q for an estimate
POINTS_PER_PARAMETER = 5


def decide(settings: Settings, tolerance: float, state: State, around: Surroundings) -> State:
    """Return the state with the next phase, or at its end with the best network so far."""
    if not state.cells:
        state = replace(state, cells=first_cells(settings, state))
    level, before = state.levels[-1], state.before
    seen, shares = fresh_loss(settings, state)
    now = assessed(settings, state, around, seen, level["loss"])
    state = replace(state, before=now, levels=(*state.levels[:-1], {**level, "fresh": seen, "estimate": now.estimate}))
    best = state.best
    if best is None or seen < best.fresh:
        best = Candidate(state.network, state.coefficients, level, state.ending, seen)
    line = f"fresh loss {seen:.2e}, estimated error {now.estimate:.1e}" if isfinite(now.estimate) else f"fresh loss {seen:.2e}"
    if now.estimate <= tolerance and seen <= UNSEEN * level["loss"]:
        confirmed = confirmation(settings, state)
        if confirmed is None or confirmed <= tolerance:
            error = now.estimate if confirmed is None else confirmed
            return ended(state, best, Ending(End.TOLERANCE_REACHED, f"estimated relative L2 error {error:.1e}"))
        line += f", not confirmed ({confirmed:.1e})"
    if now.idle >= MOST_IDLE:
        return ended(state, best, Ending(End.NOT_REACHED, f"{MOST_IDLE} levels in a row lowered the fresh loss by little"))
    around.log(line)
    state = replace(state, best=best, done=False)
    is_unseen = seen > UNSEEN * level["loss"]
    phase = Phase(LM(), steps=120, window=20, least=0.5)
    if is_unseen:
        state, what = replace(state, cells=more_points(settings, state, shares, 0, True)), "more points"
    elif state.phase == 1:  # the starts have just ended
        phase, what = replace(phase, move_knots=grid_of(state.network) is not None), "more steps"
    elif level["end"] == End.STEPS_DONE.name:
        what = "more steps"
    else:
        state, what = larger(settings, state, around, shares, seen)
        if what is None:
            return ended(state, best, Ending(End.NOT_REACHED, f"it needs more than {MOST_PARAMETERS} parameters"))
    if sum(count(cells) for cells in state.cells.values()) > MOST_POINTS:
        return ended(state, best, Ending(End.NOT_REACHED, f"it needs more than {MOST_POINTS} points"))
    around.log(f"next: {what}")
    return replace(state, plan=(*state.plan, phase))


def larger(settings: Settings, state: State, around: Surroundings, shares: Mapping, seen: float) -> tuple[State, str | None]:
    """Return the state with the enlarged network and more points, and what was changed."""
    if not isinstance(state.network, Network):
        return state, None
    networks = enlarged(state.network, around.errors.x, MOST_PARAMETERS, state.generator)
    if not networks:
        return state, None
    size = max(sum(p.numel() for p in network.parameters()) for network in networks.values())
    state = replace(state, cells=more_points(settings, state, shares, size, False))
    points = draw(settings, state.network, settings.sampling, state.generator)
    points |= {name: cells.points() for name, cells in state.cells.items()}
    best = best_trial(settings, state, around, networks, points, lambda s: fresh_loss(settings, s)[0], seen)
    if best is None:
        return state, "more steps"
    return replace(state, network=best.network, coefficients=best.coefficients), best.what


def ended(state: State, best: Candidate, ending: Ending) -> State:
    return replace(state, network=best.network, coefficients=best.coefficients, best=None, ending=ending, done=True)


# assessment ----------------------------------------------------------------------------------------------------------
def first_cells(settings: Settings, state: State) -> dict[str, Cells]:
    """Return equal cells for the conditions on the whole domain; none if the domain is not a box of 1 to 3 coordinates."""
    problem = settings.problem
    if not isinstance(problem.domain, Box) or len(problem.domain.names) not in ALONG:
        return {}
    ranges = torch.tensor(problem.domain.ranges, device=settings.device, dtype=settings.dtype)
    count = {name: number for name, number in state.used["points"].items() if problem.trained[name].region.is_interior}
    return {name: equal_cells(ranges, number, ALONG[len(ranges)]) for name, number in count.items()}


def mean_squares(settings: Settings, state: State, name: str, along: int) -> Tensor:
    """Return each cell's share of a condition's loss by Gauss points, ``along`` of them along each coordinate."""
    cells, problem = state.cells[name], settings.problem
    points = cells.points(along)
    known = {} if state.coefficients is None else dict(zip(problem.parameters, state.coefficients.detach(), strict=True))
    unknowns = from_components(problem, components_of(state.network, settings.derivatives))
    residuals = residuals_of(problem, name, unknowns, points, known)
    square = torch.stack([r.detach().square() for r in residuals]).sum(dim=0)
    return state.used["weights"][name] * cells.sums(points.weight * square)


def fresh_loss(settings: Settings, state: State) -> tuple[float, dict[str, tuple[Tensor, Tensor]]]:
    """Return the loss on fresh points, and by condition with cells their shares on fresh and on training points."""
    shares = {
        name: tuple(mean_squares(settings, state, name, along) for along in (cells.along + 2, cells.along))
        for name, cells in state.cells.items()
    }
    others = {
        name: points
        for name, points in fresh_points(settings, state, state.phase - 1, settings.seed + state.phase).items()
        if name not in shares
    }
    return sum(float(fresh.sum()) for fresh, _ in shares.values()) + rest(settings, state, others), shares


def rest(settings: Settings, state: State, points: Mapping) -> float:
    """Return the loss of some of the conditions."""
    if not points:
        return 0.0
    hidden = {name for name in settings.problem.trained if name not in points}
    conditions = {name: c for name, c in settings.problem.conditions.items() if name not in hidden}
    weights = {name: state.used["weights"][name] for name in points}
    return loss_at(replace(settings, problem=replace(settings.problem, conditions=conditions)), state, points, weights)


def assessed(settings: Settings, state: State, around: Surroundings, seen: float, trained: float) -> Assessed:
    """Return the assessment of the level that has just ended."""
    x, components = around.errors.x, components_of(state.network, settings.derivatives)
    values = torch.stack(asked_of(settings.problem, components, x, lambda *u: [each.value for each in u]))
    before = state.before
    if before is None:
        return Assessed(values, seen)
    q = sqrt(seen / before.fresh) if before.fresh > 0 else inf
    d = float(((values - before.values).norm(dim=1) / values.norm(dim=1)).max())
    estimate = d * q / (1 - q) if q <= CONVERGES else nan
    if seen > UNSEEN * trained:  # points are missing; the network's size is not to blame
        return Assessed(values, seen, estimate, before.idle)
    return Assessed(values, seen, estimate, 0 if q * q * LEAST_GAIN <= 1 else before.idle + 1)


def confirmation(settings: Settings, state: State) -> float | None:
    """Return the estimate by the linearized conditions; None where there is none."""
    if len(settings.problem.domain.names) > 2:
        return None
    solution = SimpleNamespace(problem=settings.problem, components=components_of(state.network, settings.derivatives))
    try:
        found = estimate_error(solution)
    except InputError:
        return None
    return max(errors["l2"] for errors in found.errors.values()) if found.settled else None


# points --------------------------------------------------------------------------------------------------------------
def count(cells: Cells) -> int:
    """Return the number of Gauss points."""
    return len(cells.lower) * cells.along ** cells.lower.shape[1]


def more_points(settings: Settings, state: State, shares: Mapping, size: int, is_unseen: bool) -> dict[str, Cells]:
    """Return cells with enough points for a network of ``size`` parameters, and where points were missing more."""
    cells = dict(state.cells)
    for name, (fresh, trained) in shares.items():
        found = cells[name]
        if is_unseen:
            found = halved(settings, state, name, found, (fresh - trained).abs())
        while count(found) < POINTS_PER_PARAMETER * size:
            now = replace(state, cells={**cells, name: found})
            found = halved(settings, now, name, found, mean_squares(settings, now, name, found.along + 2))
        cells[name] = found
    return cells


def halved(settings: Settings, state: State, name: str, cells: Cells, shares: Tensor) -> Cells:
    """Halve the cells with most of the shares, along the coordinate in which the squared residual varies most."""
    points = cells.points()
    unknowns = from_components(settings.problem, components_of(state.network, settings.derivatives))
    known = {} if state.coefficients is None else dict(zip(settings.problem.parameters, state.coefficients.detach(), strict=True))
    square = torch.stack([r.detach().square() for r in residuals_of(settings.problem, name, unknowns, points, known)])
    return cells.halved(largest(shares, SHARE), cells.variations(square.sum(dim=0)).argmax(dim=1))
