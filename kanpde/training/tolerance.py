"""The levels of a run with a tolerance: what follows the level that has just ended.

One of three things follows:

- *points*, if the fresh loss is much larger than the training loss: the cells on which the loss by two Gauss rules
  differs most are halved. Points are only added, never moved. Shapes, and boxes of more than three
  coordinates, have no cells; there the number of points is doubled.
- *steps*, if the level ended because its steps were used up.
- *size*: a finer grid or wider layers, whichever lowers the fresh loss most in a few steps (`kanpde.training.trials`).

The run ends when the estimated error is below the tolerance, when several levels in a row bring little, or at a limit.
The result is the network with the least loss on fresh points. (The loop of solving, estimating, marking and refining is
that of adaptive finite elements: W. Dörfler, A convergent adaptive algorithm for Poisson's equation, SIAM J. Numer.
Anal. 33, 1996.)
"""

from copy import deepcopy
from dataclasses import replace
from math import isfinite

from torch import Tensor

from kanpde.domains.cells import Cells, largest
from kanpde.ends import End, Ending
from kanpde.models.network import Network, grid_of, trained_size
from kanpde.optimizers.lm import LM
from kanpde.training.assessment import (
    UNSEEN,
    Estimate,
    Seen,
    assessed,
    confirmed,
    first_cells,
    fresh_loss,
    seen,
    shares,
    squares,
    tangent_estimate,
)
from kanpde.training.fresh import draw
from kanpde.training.phases import Phase
from kanpde.training.sampling import Sampling
from kanpde.training.settings import Settings
from kanpde.training.state import Assessed, Candidate, State
from kanpde.training.surroundings import Surroundings, limit
from kanpde.training.trials import best_trial, enlarged
from kanpde.training.watch import LOOSE, watched

MOST_IDLE = 3  # idle levels in a row
MOST_PARAMETERS, MOST_POINTS = 3000, 40_000
POINTS_PER_PARAMETER = 5
SHARE = 0.8  # part of the loss, or of its error, on the cells that are halved


def decide(settings: Settings, tolerance: float, state: State, around: Surroundings) -> State:
    """Return the state with a further phase, or at its end with the best network so far."""
    if not state.cells:
        state = replace(state, cells=first_cells(settings, state))
    found = seen(settings, state)
    now = assessed(settings, state, around, found)
    over = limit(settings, around)
    is_late = over is not None and over.end is End.TIME_LIMIT
    estimate = now.estimate if is_late else best_estimate(settings, state, tolerance, now)
    level = {**state.levels[-1], **Estimate(estimate, now.looseness).row()}
    this = Candidate(*deepcopy((state.network, state.coefficients)), level, state.ending, found.loss)
    best = this if state.best is None or found.loss < state.best.fresh else state.best
    before = state.before
    state = replace(state, before=now, best=best, levels=(*state.levels[:-1], level), done=False)
    said = f", estimated relative L2 error {estimate:.1e}" if isfinite(estimate) else ""
    around.log(f"loss on fresh points {found.loss:.2e}{said}")
    if estimate <= tolerance and not found.lacks_points:
        return ended(state, this, End.TOLERANCE_REACHED, f"estimated relative L2 error {estimate:.1e}")
    if over is not None and is_late:
        return ended(state, best, over.end, over.detail)
    if before is not None and min(now.looseness, before.looseness) >= LOOSE:
        return ended(state, best, End.NOT_REACHED, "the conditions hardly determine the solution")
    if now.idle >= MOST_IDLE:
        why = f"{MOST_IDLE} levels in a row lowered the loss on fresh points by little"
        return ended(state, best, End.NOT_REACHED, why)
    return following(settings, state, around, found)


def after_one_start(settings: Settings, tolerance: float, state: State, best: Candidate, around: Surroundings) -> State:
    """Return the state at its end if the best start so far is accurate enough, else unchanged."""
    state_then = replace(state, network=best.network, coefficients=best.coefficients)
    level = {**best.level, **watched(settings, state_then, 0, state.used["weights"])}
    state_then = replace(state_then, phase=1, levels=(level,))
    found_estimate = tangent_estimate(settings, state_then, around)
    estimate = found_estimate.error
    if not estimate <= tolerance or level["fresh"] > UNSEEN * level["loss"]:
        return state
    found = replace(best, level={**level, **found_estimate.row()})
    state_then = replace(state_then, start=0, levels=(found.level,))
    return ended(state_then, found, End.TOLERANCE_REACHED, f"estimated relative L2 error {estimate:.1e}")


def best_estimate(settings: Settings, state: State, tolerance: float, now: Assessed) -> float:
    """Return the estimate in the tangent space, or that by polynomials if the last levels suggest a smaller error."""
    if now.extrapolated <= tolerance < now.estimate and (found := confirmed(settings, state)) is not None:
        return found
    return now.estimate


def ended(state: State, best: Candidate, end: End, detail: str) -> State:
    """Return the state at the end of the run, with the best network."""
    back = {"end": End.OVERFITTED.name, "reason": "taken back, because an earlier level has less loss on fresh points"}
    levels = [{**row, **back} if row["phase"] > best.level["phase"] else row for row in state.levels]
    used = {**state.used, **{name: best.level[name] for name in ("estimate", "looseness")}}
    state = replace(state, network=best.network, coefficients=best.coefficients, best=None, finer=best.finer)
    return replace(state, levels=tuple(levels), used=used, ending=Ending(end, detail), done=True)


def following(settings: Settings, state: State, around: Surroundings, found: Seen) -> State:
    """Return the state with the next phase, or at its end if a limit is met."""
    phase, level, best = Phase(LM(), steps=120, window=20, least=0.5), state.levels[-1], state.best
    assert best is not None
    sampling = state.plan[-1].sampling
    if found.lacks_points and found.shares:
        state, what = replace(state, cells=with_seen(settings, state, found)), "more points"
    elif found.lacks_points and not state.cells:
        sampling, what = denser(settings, state), "more points"
    elif state.phase == 1:  # the starts have just ended
        phase, what = replace(phase, move_knots=grid_of(state.network) is not None), "more steps"
    elif level["end"] == End.STEPS_DONE.name:
        what = "more steps"
    else:
        state, what = larger(settings, state, around, found)
        if what is None:
            return ended(state, best, End.NOT_REACHED, f"it needs more than {MOST_PARAMETERS} parameters")
    if sampling is not None:
        sampling = grown(settings, state, sampling)
        phase = replace(phase, sampling=sampling)
    asked = 0 if sampling is None else max(sampling.interior or 0, sampling.boundary or 0)
    if max(asked, sum(cells.size for cells in state.cells.values())) > MOST_POINTS:
        return ended(state, best, End.NOT_REACHED, f"it needs more than {MOST_POINTS} points")
    around.log(f"next: {what}")
    return replace(state, plan=(*state.plan, phase))


def larger(settings: Settings, state: State, around: Surroundings, found: Seen) -> tuple[State, str | None]:
    """Return the state with the enlarged network and points for it, and what was changed; None at the limit."""
    if not isinstance(state.network, Network):
        return state, None
    networks = enlarged(state.network, around.errors.x, MOST_PARAMETERS, state.generator)
    if not networks:
        return state, None
    size = max(trained_size(network) for network in networks.values())
    state = replace(state, cells=enough(settings, state, size))
    points = draw(settings, state.network, state.plan[-1].sampling or settings.sampling, state.generator)
    points |= {name: cells.points() for name, cells in state.cells.items()}
    best = best_trial(
        settings, state, around, networks, points, lambda tried: fresh_loss(settings, tried)[0], found.loss
    )
    if best is None:
        return state, "more steps"
    return replace(state, network=best.network, coefficients=best.coefficients), best.what


# points --------------------------------------------------------------------------------------------------------------
def with_seen(settings: Settings, state: State, found: Seen) -> dict[str, Cells]:
    """Return the cells, of which those that hide most of the loss between their points are halved."""
    return {
        name: halved(settings, state, name, (fresh - trained).abs()) for name, (fresh, trained) in found.shares.items()
    }


def enough(settings: Settings, state: State, size: int) -> dict[str, Cells]:
    """Return cells with enough points for ``size`` parameters; the largest shares of the loss are halved first."""
    for name in state.cells:
        while (cells := state.cells[name]).size < POINTS_PER_PARAMETER * size:
            new = halved(settings, state, name, shares(settings, state, name, cells.along + 2))
            state = replace(state, cells={**state.cells, name: new})
    return dict(state.cells)


def denser(settings: Settings, state: State) -> Sampling:
    """Return the sampling with twice the points of the last phase, for domains that are not divided into cells."""
    inner: list[int] = []
    outer: list[int] = []
    for name, count in state.used["points"].items():
        if settings.problem.trained[name].integral is not None:  # which follow the size of the network
            continue
        (inner if settings.problem.trained[name].region.is_interior else outer).append(2 * count)
    return replace(settings.sampling, interior=max(inner, default=None), boundary=max(outer, default=None))


def grown(settings: Settings, state: State, sampling: Sampling) -> Sampling:
    """Return the sampling with at least as many points as the size of the network needs."""
    parameters, grid = trained_size(state.network), grid_of(state.network) or 0
    needs = {
        c.region.is_interior: settings.sampling.size(c.region, parameters, grid)
        for c in settings.problem.trained.values()
        if c.integral is None
    }
    interior, boundary = (
        max(needs.get(inside, 0), have or 0) for inside, have in ((True, sampling.interior), (False, sampling.boundary))
    )
    return replace(sampling, interior=interior or None, boundary=boundary or None)


def halved(settings: Settings, state: State, name: str, marks: Tensor) -> Cells:
    """Halve the cells with most of the marks, along the coordinate in which the squared residual varies most."""
    cells = state.cells[name]
    square, _ = squares(settings, state, name, cells.along)
    return cells.halved(largest(marks, SHARE), cells.variations(square).argmax(dim=1))
