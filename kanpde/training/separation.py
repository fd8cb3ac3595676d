r"""The levels of a sum of products under a tolerance: points, growth, and the estimate of the error.

Such networks (`kanpde.models.spikan`) are trained in seconds, their cells are halved where the residual is, in every
coordinate alone, and the number of parameters hardly grows with the number of coordinates. After every level larger
networks are tried for a few steps: finer cells, more products, or both. The one with both also gives the estimate of
the error, which is its distance from the present network. (The tangent space, in which `kanpde.training.tangent` seeks
the error, lacks further products.) New products are added to those before, as in greedy low-rank approximations
(A. Ammar et al., A new family of solvers for some classes of multidimensional partial differential equations, J.
Non-Newtonian Fluid Mech. 139, 2006), and then trained together with them.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from math import isfinite, nan

import torch
from torch import Tensor

from kanpde.domains import Points
from kanpde.ends import End
from kanpde.models.network import Network
from kanpde.optimizers.lm import LM
from kanpde.residuals.evaluation import components_of, from_components, residuals_of
from kanpde.training.assessment import LEAST_GAIN, RELATIVE, UNSEEN, Estimate, fresh_loss, resolved, values_of
from kanpde.training.fresh import draw, fresh_points, size_of
from kanpde.training.phases import Phase
from kanpde.training.sampling import MOST_POINTS, Sampling
from kanpde.training.settings import Settings
from kanpde.training.state import Assessed, Candidate, State
from kanpde.training.surroundings import Surroundings, limit
from kanpde.training.tolerance import MOST_IDLE, MOST_PARAMETERS, ended
from kanpde.training.trials import Trial, tried
from kanpde.training.uniqueness import looseness
from kanpde.training.watch import LOOSE, dense_points, unseen

LEAST_MORE_CELLS = 12  # where the residual is
LEAST_FALL = 0.8  # if no enlargement lowers the loss by this factor, cells and products are enlarged
EXPLAINED = 0.25  # share of the loss that a larger network may leave, unless the residual is small
ENOUGH = 1e-5  # of the loss: then the larger network differs from the present one by nearly all of its error
LEAST_STEP = 0.1  # a trial ends if a step lowers the loss by a smaller fraction
Change = Callable[[Network], None]


def decide(settings: Settings, tolerance: float, state: State, around: Surroundings) -> State:
    """Return the state with a further phase, or at its end with the best network so far."""
    network, level = state.network, state.levels[-1]
    assert isinstance(network, Network)
    fresh, _ = fresh_loss(settings, state)
    changes = enlargements(settings, state, network)
    *others, both = ((what, grown(network, change)) for what, change in changes.items())
    finer = trial(settings, state, around, *both, least=0.0, enough=ENOUGH)
    now, is_hidden = assessed(settings, state, around, fresh, finer), bool(unseen(settings, state))
    is_cut = limit(settings, around) is not None and finer.fresh > EXPLAINED * fresh
    if is_hidden or is_cut:  # then the distance from the larger network says little
        now = replace(now, estimate=nan)
    reached = now.estimate <= tolerance
    if reached or now.idle:
        now = replace(now, looseness=looseness(settings, state, points_of(settings, state)))
    level = {**level, **Estimate(now.estimate, now.looseness).row()}
    # of levels with other points, compared at the dense random points that all have
    ahead = finer.network if isfinite(now.estimate) else None
    this = Candidate(*deepcopy((network, state.coefficients)), level, state.ending, level["fresh"], ahead)
    best = this if state.best is None or this.fresh < state.best.fresh else state.best
    state = replace(state, before=now, best=best, levels=(*state.levels[:-1], level), done=False)
    said = f", estimated relative L2 error {now.estimate:.1e}" if isfinite(now.estimate) else ""
    around.log(f"loss on fresh points {fresh:.2e}{said}")
    if (over := limit(settings, around)) is not None and not reached:
        return ended(state, best, over.end, over.detail)
    if now.looseness >= LOOSE:
        return ended(state, this, End.NOT_REACHED, "the conditions hardly determine the solution")
    if reached:
        return ended(state, this, End.TOLERANCE_REACHED, f"estimated relative L2 error {now.estimate:.1e}")
    if is_hidden and size_of(network) <= MOST_PARAMETERS:
        return towards_hidden(settings, state, around, network)
    if now.idle >= MOST_IDLE:
        why = f"{MOST_IDLE} levels in a row lowered the loss on fresh points by little"
        best = replace(best, level={**best.level, "looseness": now.looseness})
        return ended(state, best, End.NOT_REACHED, why)
    points = state.plan[-1].sampling
    lacks_points = fresh > UNSEEN * level["loss"] and finer.fresh > EXPLAINED * fresh
    if lacks_points and points is not None and 2 * (points.interior or 0) <= MOST_POINTS:
        return following(state, around, "more points", doubled(points))
    if level["end"] == End.STEPS_DONE.name:
        return following(state, around, "more steps", points)
    trials = [finer, *(trial(settings, state, around, *each) for each in others)]
    if (over := limit(settings, around)) is not None:  # some trials were cut
        return ended(state, best, over.end, over.detail)
    return larger(settings, state, around, trials)


def towards_hidden(settings: Settings, state: State, around: Surroundings, network: Network) -> State:
    """Return the state with more cells, and so with more points, where only the dense random points see a residual."""
    state = replace(state, before=None)  # the loss will grow when the points see it too
    x, shares = residual_shares(settings, state, dense_points(settings, state, state.phase - 1))
    grid = more_cells(network)
    larger = grown(network, lambda new: new.refine_where(x, shares, grid))
    state = replace(state, network=larger, best=None)
    what = f"grid {grid}, because some residual lies between the points"
    return following(state, around, what, settings.sampling.for_products(size_of(larger)))


def larger(settings: Settings, state: State, around: Surroundings, trials: list[Trial]) -> State:
    """Return the state with the enlargement that lowers the loss most for its size, or at its end."""
    assert state.best is not None and state.before is not None
    size, before = size_of(state.network), state.before.fresh
    small = [each for each in trials if each.size <= MOST_PARAMETERS]
    best = max(small, key=lambda each: each.gain(before, size), default=None)
    if best is None:
        return ended(state, state.best, End.NOT_REACHED, f"it needs more than {MOST_PARAMETERS} parameters")
    if best.fresh > LEAST_FALL * before:  # one of them alone may not help
        best = trials[0]
    state = replace(state, network=best.network, coefficients=best.coefficients)
    return following(state, around, best.what, settings.sampling.for_products(best.size))


def following(state: State, around: Surroundings, what: str, points: Sampling | None) -> State:
    """Return the state with a further phase."""
    around.log(f"next: {what}")
    return replace(state, plan=(*state.plan, Phase(LM(), steps=60, window=6, least=0.5, sampling=points)))


def doubled(points: Sampling) -> Sampling:
    """Return a sampling with twice as many points."""
    return Sampling(points.rule, 2 * (points.interior or 0), 2 * (points.boundary or 0))


# larger networks -----------------------------------------------------------------------------------------------------
def enlargements(settings: Settings, state: State, network: Network) -> dict[str, Change]:
    """Return functions that enlarge a network, by what they change; the last one enlarges it in every respect."""
    grid, more, generator, some = network.grid, network.half_wider, state.generator, more_cells(network)
    assert grid is not None
    x, shares = residual_shares(settings, state, points_of(settings, state))

    def in_both(new: Network) -> None:
        new.refine(2 * grid)
        new.widen(more, generator)

    return {
        f"grid {2 * grid}": lambda new: new.refine(2 * grid),
        f"grid {some} where the residual is": lambda new: new.refine_where(x, shares, some),
        f"{more} more products": lambda new: new.widen(more, generator),
        f"grid {2 * grid} and {more} more products": in_both,
    }


def more_cells(network: Network) -> int:
    """Return the number of cells with those that are added where the residual is."""
    assert network.grid is not None
    return network.grid + max(LEAST_MORE_CELLS, network.grid // 2)


def grown(network: Network, change: Change) -> Network:
    """Return a changed copy."""
    new = deepcopy(network)
    change(new)
    return new


def trial(
    settings: Settings,
    state: State,
    around: Surroundings,
    what: str,
    network: Network,
    least: float = LEAST_STEP,
    enough: float = 0.0,
) -> Trial:
    """Train a network for a few steps on points of its own, as `kanpde.training.trials.tried` does."""
    sampling = settings.sampling.for_products(size_of(network))
    points = draw(settings, network, sampling, state.generator)
    return tried(
        settings, state, around, what, network, points, lambda each: fresh_loss(settings, each)[0], least, enough
    )


def points_of(settings: Settings, state: State) -> Mapping[str, Points]:
    """Return fresh points, which follow the cells of the state's network."""
    return fresh_points(settings, state, state.phase - 1, settings.seed + state.phase)


def residual_shares(settings: Settings, state: State, at: Mapping[str, Points]) -> tuple[Tensor, Tensor]:
    """Return those of the given points that lie in the domain, and their shares in the loss."""
    problem, x, shares = settings.problem, [], []
    unknowns = from_components(problem, components_of(state.network, settings.derivatives))
    for name, points in at.items():
        if problem.conditions[name].region.is_interior:
            residuals = residuals_of(problem, name, unknowns, points, state.named_coefficients(problem))
            square = torch.stack([r.detach().square() for r in residuals]).sum(dim=0)
            x.append(points.x)
            shares.append(state.used["weights"][name] * points.weight * square)
    return torch.cat(x), torch.cat(shares)


def assessed(settings: Settings, state: State, around: Surroundings, fresh: float, finer: Trial) -> Assessed:
    """Return the assessment of the level that has just ended, with the distance of a larger network as estimate.

    There is no estimate if the larger network leaves most of a residual that is not small.
    """
    values, ahead = (values_of(settings, around.errors.x, network) for network in (state.network, finer.network))
    relative = max(state.levels[-1][f"relative_{name}"] for name in settings.problem.trained)
    estimate = resolved(ahead - values, values, settings.floor)
    if finer.fresh > EXPLAINED * fresh and relative > min(RELATIVE, settings.tolerance or RELATIVE):
        estimate = nan
    before = state.before
    is_idle = before is not None and fresh * LEAST_GAIN > before.fresh
    idle = before.idle + 1 if before is not None and is_idle else 0
    return Assessed(values, fresh, estimate, idle=idle)
