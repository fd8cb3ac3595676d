"""A run from its beginning to its end: which methods are attempted, one after the other.

A run with a tolerance and the default KAN begins with windows of time (`kanpde.training.marching`) where the problem is
one of evolution, and elsewhere with a sum of products of functions of one coordinate each
(`kanpde.training.separation`). Where that does not reach the tolerance, and in all other runs, the network of the
settings is trained (`kanpde.training.course`).
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite, nan

import torch

from kanpde.domains.box import Box
from kanpde.ends import End, Ending
from kanpde.models.network import is_separable
from kanpde.models.spikan import SPIKAN
from kanpde.optimizers.lm import LM
from kanpde.residuals.jumps import Jump, find_jumps
from kanpde.residuals.uncovered import free_parts
from kanpde.training.assessment import with_estimate
from kanpde.training.course import train
from kanpde.training.entering import first_state
from kanpde.training.leaving import with_fresh_loss
from kanpde.training.marching import is_default, march, marching
from kanpde.training.ordinary import Ordinary
from kanpde.training.phases import Phase
from kanpde.training.polishing import polish
from kanpde.training.settings import Settings
from kanpde.training.state import State
from kanpde.training.surroundings import Surroundings
from kanpde.training.watch import kept, undetermined

STARTS = 3


def carried_through(settings: Settings, state: State, around: Surroundings) -> State:
    """Return the state at the end of the run."""
    is_new = state.leg is None and not state.levels and state.rival is None
    jumps = [str(jump) for jump in jumps_of(settings)]
    for line in jumps if is_new else ():
        around.log(f"note: {line}; no tolerance will count as reached")
    evolution = marching(settings) if state.march is not None or is_new else None
    if evolution is not None and settings.tolerance is not None:
        state = march(settings, evolution, settings.tolerance, state, around)
    if not state.done and is_new and separates(settings) and settings.start is None:
        begun = first_state(with_products(settings))
        state = replace(begun, history=state.history, watching=state.watching)
    if not state.done and is_separable(state.network) and separates(settings):
        state = train(with_products(settings), state, around)
        if state.ending.end is End.NOT_REACHED and not undetermined(state):
            around.log("next: the network of the options; a sum of products does not reach the tolerance")
            rival = replace(state, history=[])
            state = replace(first_state(settings), rival=rival, history=state.history, watching=state.watching)
    if not state.done:
        state = best_of(settings, train(settings, state, around))
    state = polish(settings, state, around)
    state = with_estimate(settings, with_fresh_loss(settings, state), around)
    if jumps:
        state = doubted(state, jumps)
    state = unfounded(settings, state)
    return replace(state, seconds=around.clock.seconds())


def unfounded(settings: Settings, state: State) -> State:
    """Return the state without an estimate and without a tolerance reached if the problem lacks a condition."""
    if not settings.lacking:
        return state
    free = free_parts(settings.problem)
    lacks = "there are fewer equations than unknowns"
    if free:
        lacks = f'there is no condition on the part "{free[0]}" of the boundary'
    if state.used.get("estimate") is not None:
        state = replace(state, used={**state.used, "estimate": nan})
    if state.ending.end is not End.TOLERANCE_REACHED:
        return state
    return replace(state, ending=Ending(End.NOT_REACHED, f"{lacks}; {state.ending.detail}"))


def jumps_of(settings: Settings) -> list[Jump]:
    """Return the jumps of the problem's data, which are sought only if the run has a tolerance.

    Those of ordinary equations are not: windows of time end at them (`kanpde.training.breaks`).
    """
    if settings.tolerance is None or isinstance(marching(settings), Ordinary):
        return []
    return find_jumps(settings.problem, settings.device)


def doubted(state: State, jumps: Sequence[str]) -> State:
    """Return the state at the end of a run whose data jump: the tolerance does not count as reached."""
    ending = state.ending
    if ending.end in (End.TOLERANCE_REACHED, End.NOT_REACHED):
        ending = Ending(End.NOT_REACHED, f"{jumps[0]}; {ending.detail}")
    return replace(state, ending=ending, used={**state.used, "jumps": list(jumps)})


def separates(settings: Settings) -> bool:
    """Return whether a run with these settings begins with a sum of products."""
    domain = settings.problem.domain
    if settings.tolerance is None or settings.derivatives != "jets" or settings.dtype != torch.float64:
        return False
    if not is_default(settings.model) or not isinstance(domain, Box) or len(domain.names) < 2 or domain.periodic:
        return False
    return all(domain.has_part(condition.region) for condition in settings.problem.conditions.values())


def with_products(settings: Settings) -> Settings:
    """Return the settings with a sum of products as model."""
    first = Phase(LM(), steps=40)
    model = SPIKAN(products=1, degree=settings.model.degree)
    starts = STARTS if settings.start is None else 1
    return replace(settings, model=model, starts=starts, phases=(first,))


def best_of(settings: Settings, state: State) -> State:
    """Return the last attempt, or the one before it if that was more accurate."""
    rival = state.rival
    if rival is None or state.ending.end is End.TOLERANCE_REACHED or undetermined(state):
        return state
    if quality(settings, rival) >= quality(settings, state):
        return state
    end = state.ending.end if state.ending.end is not End.TOLERANCE_REACHED else End.NOT_REACHED
    ending = Ending(end, "; ".join(filter(None, [state.ending.detail, "the result is a sum of products"])))
    return replace(rival, history=state.history, watching=state.watching, ending=ending, done=True)


def quality(settings: Settings, state: State) -> tuple[float, float]:
    """Return the estimated error, infinity without one, and the largest relative residual."""
    level = kept(state.levels)
    estimate = level.get("estimate", inf)
    relative = max((level.get(f"relative_{name}", inf) for name in settings.problem.trained), default=inf)
    return estimate if isfinite(estimate) else inf, relative
