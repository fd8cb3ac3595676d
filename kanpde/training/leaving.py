"""The end of a leg: decide which start continues, whether to take the phase back, and whether the run ends."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

import torch

from kanpde.ends import End, Ending
from kanpde.models.network import grid_of, trained_size
from kanpde.optimizers.lm import ROUNDING
from kanpde.problem import Problem
from kanpde.residuals.accuracy import largest
from kanpde.residuals.evaluation import components_of
from kanpde.training.entering import objective_of
from kanpde.training.fresh import WORSE, WORSE_ON_ROWS, fresh_points, loss_at, losses, taken_back
from kanpde.training.settings import Settings
from kanpde.training.state import Candidate, Leg, State
from kanpde.training.surroundings import Surroundings, Work, back_to, limit
from kanpde.training.thinner import thinned
from kanpde.training.validation import best_step
from kanpde.training.watch import watched


def leave(settings: Settings, state: State, work: Work, around: Surroundings) -> State:
    """Return the state after a leg that has ended."""
    leg, ended = state.leg, limit(settings, around)
    assert leg is not None
    number = best_step(state, leg, work)
    final, ending = losses(work.objective), leg.ending or ended
    if not all(isfinite(value) for value in final.values()):
        ending = back_to(leg.good if leg.good is not None else work.objective.vector(), work.objective)
        final = losses(work.objective)
    assert ending is not None
    level = level_row(settings, state, leg, final, ending, around)
    if number != leg.step:
        level["kept_step"] = number
        around.log(
            f"the network after step {number} of {leg.step} is kept: its loss on the rows for validation is least"
        )
    if state.phase or settings.starts == 1:  # of several starts only the best is watched
        level.update(watched(settings, state, state.phase, leg.weights))
    around.log(level_line(level))
    if ending.end is End.NOISE_REACHED and any(phase.prune is not None for phase in state.plan[state.phase :]):
        around.log("the network is not pruned, because the run ends here; `kanpde.prune(solution)` does")
    has_more, prunes = not is_last(settings, state), state.plan[state.phase].prune is not None
    if state.phase:
        state = after_phase(settings, state, leg, level, ending, around)
    else:
        goes_on = state.start + 1 < settings.starts and ended is None and ending.end is not End.NOISE_REACHED
        state = after_start(settings, state, leg, level, ending, around, goes_on)
    ended = limit(settings, around) if prunes else ended  # it may have come during the pruning
    is_cut = ended is not None and (leg.ending is None or has_more or prunes)
    if ended is not None and is_cut and not state.ending.end.ends_run:
        return replace(state, ending=ended, done=True)
    return state


def is_last(settings: Settings, state: State) -> bool:
    """Return whether the current phase is the last one, with no further start."""
    return state.phase + 1 == len(state.plan) and (state.phase > 0 or state.start + 1 == settings.starts)


def after_start(
    settings: Settings,
    state: State,
    leg: Leg,
    level: Mapping[str, Any],
    ending: Ending,
    around: Surroundings,
    goes_on: bool,
) -> State:
    """Begin the next start, or after the last one continue with the start that has the least loss on fresh points."""
    fresh = 0.0
    if settings.starts > 1:
        points = fresh_points(settings, state, 0, settings.seed)
        fresh = loss_at(settings, state, points, leg.weights)
        around.log(f"start {state.start + 1} of {settings.starts}: loss on fresh points {fresh:.2e}")
    best = state.best
    if best is None or fresh < best.fresh:
        best = Candidate(state.network, state.coefficients, level, ending, fresh)
    if goes_on:
        return replace(state, leg=None, start=state.start + 1, best=best)
    assert best.ending is not None
    state, level = replace(state, network=best.network, coefficients=best.coefficients, best=None), best.level
    if settings.starts > 1:
        level = {**level, **watched(settings, state, 0, leg.weights)}
        around.log(f"start {level['start'] + 1} continues: {losses_in(level)}")
    return through(settings, state, level, best.ending)


def after_phase(
    settings: Settings, state: State, leg: Leg, level: dict[str, Any], ending: Ending, around: Surroundings
) -> State:
    """Keep the phase, or take it back if the residuals on fresh points are clearly larger than before it.

    A run ends with a phase that is taken back, except that a fit goes on if the grid of that phase was not finer.
    """
    points, before = fresh_points(settings, state, state.phase, settings.seed), leg.before
    assert before is not None
    fresh, fresh_before = (loss_at(settings, each, points, leg.weights) for each in (state, before))
    rounding = (ROUNDING * torch.finfo(settings.dtype).eps) ** 2 * state.history[0]["loss"] if state.history else 0.0
    worse = WORSE_ON_ROWS if settings.problem.is_fit else WORSE
    back = taken_back(level["loss"], fresh_before, fresh, rounding, worse)
    is_penalised = state.plan[state.phase].penalty > 0 and isfinite(fresh)
    if back is None or settings.tolerance is not None or is_penalised:  # with a tolerance, points are added instead
        return through(settings, *after_pruning(settings, state, leg, level, ending, around), ending)
    around.log(f"the phase is taken back, and the network from before it is kept: {back}")
    is_finer = grid_of(state.network) != grid_of(before.network)
    goes_on = settings.problem.is_fit and not (is_finer or ending.end.ends_run or is_last(settings, state))
    state = replace(state, network=before.network, coefficients=before.coefficients)
    level = {**level, "reason": str(back), "end": back.end.name}
    stays = ending.end.ends_run and ending.end is not End.NOISE_REACHED
    return through(settings, state, level, ending if stays or goes_on else back)


def after_pruning(
    settings: Settings, state: State, leg: Leg, level: dict[str, Any], ending: Ending, around: Surroundings
) -> tuple[State, dict[str, Any]]:
    """Return state and row of a phase after its pruning; unchanged if it does not prune."""
    new = thinned(settings, state, leg, around)
    if new.network is state.network:  # nothing was removed
        return new, level
    final = losses(objective_of(settings, new, leg))
    row = level_row(settings, new, leg, final, ending, around) | watched(settings, new, new.phase, leg.weights)
    return new, {**level, **row}


def through(settings: Settings, state: State, level: Mapping[str, Any], ending: Ending) -> State:
    """Return the state after a phase, with the phase's row added to its levels."""
    phase, levels = state.phase + 1, (*state.levels, level)
    done = ending.end.ends_run or phase == len(state.plan)
    return replace(state, leg=None, phase=phase, start=0, levels=levels, ending=ending, done=done)


def level_row(
    settings: Settings, state: State, leg: Leg, final: Mapping[str, float], ending: Ending, around: Surroundings
) -> dict[str, Any]:
    """Return the row of a phase in the table of levels: its cost and its results."""
    parameters = trained_size(state.network) + (0 if state.coefficients is None else state.coefficients.numel())
    level = {
        "phase": state.phase,
        "start": state.start,
        "optimizer": type(state.plan[state.phase].optimizer).__name__,
        "method": ", ".join(filter(None, leg.methods)),
        "grid": grid_of(state.network),
        "parameters": parameters,
        "points": sum(len(p.x) for p in leg.points.values()),
        "steps": leg.step,
        "loss": sum(final.values()),
        **{f"loss_{name}": value for name, value in final.items()},
        "seconds": around.clock.seconds() - leg.began,
        "reason": str(ending),
        "end": ending.end.name,
    }
    components = components_of(state.network, settings.derivatives)
    return level | around.errors.measures(components) | error_columns(settings.problem, around.errors.all(components))


def error_columns(problem: Problem, errors: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return errors by kind as columns: ``l2``, the largest of all unknowns; of several also ``l2_NAME`` of each."""
    each = {f"{kind}_{unknown}": value for unknown, by_kind in errors.items() for kind, value in by_kind.items()}
    return largest(errors) | (each if len(problem.unknowns) > 1 else {})


def level_line(level: Mapping[str, Any]) -> str:
    """Return the log line for a row of the table of levels."""
    error = f", L2 error {level['l2']:.2e}" if "l2" in level else ""
    error = f", accuracy {level['accuracy']:.4g}" if "accuracy" in level else error
    method = f" by {level['method']}" if level["method"] else ""
    grid = f"grid {level['grid']}, " if level["grid"] else ""
    return (
        f"{level['optimizer']}{method}, {grid}{level['parameters']} parameters: {level['steps']} steps in "
        f"{level['seconds']:.1f} s, {losses_in(level)}{error} ({level['reason']})"
    )


def losses_in(level: Mapping[str, Any]) -> str:
    """Return the losses of a level in words, and the largest relative residual on fresh points."""
    line = f"loss {level['loss']:.2e}"
    if "fresh" in level:
        residuals = [value for name, value in level.items() if name.startswith("relative_")]
        line += f", on fresh points {level['fresh']:.2e}"
        line += f", relative residual there {max(residuals):.1e}" if "accuracy" not in level else ""
    return line


def with_fresh_loss(settings: Settings, state: State) -> State:
    """Record the final loss on points that were used neither for training nor for any choice."""
    fresh = state.levels[-1].get("fresh")
    if fresh is None or End[state.levels[-1]["end"]].is_taken_back:  # then the last row is not of the final network
        fresh = watched(settings, state, state.phase - 1, state.used["weights"])["fresh"]
    return replace(state, used={**state.used, "fresh": fresh})
