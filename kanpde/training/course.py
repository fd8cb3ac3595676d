"""The training loop: from one state to the next, until the schedule is finished.

A *leg* is one phase trained from one start. `enter` begins it, `carry_on` takes its steps, and `leave` decides which
start continues, whether the phase is taken back, and whether the run ends.
"""

from dataclasses import replace
from math import isfinite, nan

from kanpde.ends import End, Ending
from kanpde.errors import InputError
from kanpde.models.network import grid_of, is_separable
from kanpde.optimizers import Step
from kanpde.problem import Problem
from kanpde.residuals.evaluation import components_of
from kanpde.training import separation, tolerance
from kanpde.training.entering import enter, objective_of
from kanpde.training.fresh import losses
from kanpde.training.leaving import leave
from kanpde.training.phases import Phase, Progress
from kanpde.training.settings import Settings
from kanpde.training.state import Leg, State
from kanpde.training.surroundings import Surroundings, Work, back_to, limit
from kanpde.training.validation import noise_reached, validated, validation_of

COEFFICIENT = "coefficient_"  # before the name, a column of the history
ERROR_SHARE = 0.05  # largest fraction of the run time spent on measuring the error


def train(settings: Settings, state: State, around: Surroundings) -> State:
    """Train through the remaining phases of the schedule."""
    while not state.done:
        if state.leg is None:
            state = enter(settings, state, around)
        assert state.leg is not None
        work = work_on(settings, state, state.leg, around)
        state = carry_on(settings, state, work, around)
        state = leave(settings, state, work, around)
        if settings.tolerance is not None and state.leg is None:
            is_product = is_separable(state.network)
            if state.phase and state.ending.end.may_go_on:
                decide = separation.decide if is_product else tolerance.decide
                state = decide(settings, settings.tolerance, state, around)
            elif not state.phase and state.best is not None and not is_product:
                state = tolerance.after_one_start(settings, settings.tolerance, state, state.best, around)
    return state


def work_on(settings: Settings, state: State, leg: Leg, around: Surroundings) -> Work:
    """Build the objective and the optimizer of a leg, and restore the optimizer's saved state if there is one.

    Raises:
        InputError: the loss differs from the saved one, so the problem is not the same.
    """
    objective = objective_of(settings, state, leg)
    try:
        optimizer = state.plan[state.phase].optimizer(objective)
    except InputError as error:
        raise error.inside(f"phases.{state.phase}.optimizer") from error
    if leg.optimizer is not None:
        optimizer.restore(leg.optimizer)
    return Work(objective, optimizer, around.clock.seconds(), validation=validation_of(settings, state, leg))


def carry_on(settings: Settings, state: State, work: Work, around: Surroundings) -> State:
    """Take steps until a stopping rule ends the leg or a limit ends the run; save the state then and periodically."""
    if not state.history:
        save(state, work, around)
    while True:
        while state.leg is not None and state.leg.ending is None and limit(settings, around) is None:
            state = step(settings, state, state.leg, work, around)
            if around.clock.seconds() - work.saved >= 60 * settings.checkpoint:
                save(state, work, around)
        save(state, work, around)
        if not around.stop.is_taken_over():
            return state


def save(state: State, work: Work, around: Surroundings) -> None:
    """Write a checkpoint, unless a step was interrupted halfway."""
    if around.save is None or state.leg is None or not work.is_whole:
        return
    loss = sum(losses(work.objective).values())
    leg = replace(state.leg, optimizer=work.optimizer.state(), loss=loss)
    around.save(replace(state, leg=leg, seconds=around.clock.seconds()))
    work.saved = around.clock.seconds()


def step(settings: Settings, state: State, leg: Leg, work: Work, around: Surroundings) -> State:
    """Take one optimizer step, append its row to the history, and decide whether the leg ends."""
    before = work.objective.vector()
    try:
        result = work.optimizer.step()
    except KeyboardInterrupt:  # a second Ctrl-C
        work.objective.assign(before)
        work.is_whole, around.stop.end = False, End.INTERRUPTED
        return state
    last = work.objective.vector()
    if not isfinite(result.loss) or not bool(last.isfinite().all()):
        ending = back_to(leg.good if leg.good is not None else before, work.objective)
        return replace(state, leg=replace(leg, ending=ending))
    phase = state.plan[state.phase]
    methods = leg.methods if result.method in leg.methods else (*leg.methods, result.method)
    leg = replace(leg, good=before, step=leg.step + 1, methods=methods)
    state = measured(state, around, settings.derivatives, leg.step == phase.steps or result.end is not None)
    row = history_row(state, leg, result, last.numel(), around)
    state.history.append(row | coefficient_columns(state, settings.problem))
    leg = validated(state, leg, work)
    leg = replace(leg, ending=noise_reached(settings, leg, result.loss) or ending_of(leg, phase, result, state))
    state = replace(state, leg=leg, seconds=around.clock.seconds())
    try:
        around.observe(progress(state, leg))
    except KeyboardInterrupt:
        around.stop.end = End.INTERRUPTED
    return state


def ending_of(leg: Leg, phase: Phase, result: Step, state: State) -> Ending | None:
    """Return how the leg ended with the step just taken, or None if it continues."""
    if result.end is not None:
        return result.end
    if phase.stagnates([row["loss"] for row in state.history[-leg.step :]]):
        return Ending(End.STAGNATED, f"the loss fell by less than {phase.least:.0%} in {phase.window} steps")
    return Ending(End.STEPS_DONE) if leg.step >= phase.steps else None


def measured(state: State, around: Surroundings, derivatives: str, is_last: bool) -> State:
    """Measure the error at a leg's last step, and before that as often as `ERROR_SHARE` allows."""
    began = around.clock.seconds()
    if not around.errors.exact or (not is_last and state.watching > ERROR_SHARE * began):
        return state
    error = around.errors.l2(components_of(state.network, derivatives))
    return replace(state, error=error, watching=state.watching + around.clock.seconds() - began)


def history_row(state: State, leg: Leg, result: Step, parameters: int, around: Surroundings) -> dict[str, float]:
    """Return the row of the history for one step."""
    return {
        "step": len(state.history) + 1,
        "start": state.start,
        "phase": state.phase,
        "grid": grid_of(state.network) or nan,
        "parameters": parameters,
        "loss": result.loss,
        "error": state.error,
        "seconds": around.clock.seconds(),
    }


def coefficient_columns(state: State, problem: Problem) -> dict[str, float]:
    """Return the present values of the problem's coefficients as columns of the history."""
    return {f"{COEFFICIENT}{name}": value for name, value in state.named_coefficients(problem).items()}


def progress(state: State, leg: Leg) -> Progress:
    """Return the progress that is passed to `observe` after a step."""
    row, steps = state.history[-1], state.plan[state.phase].steps
    grid = int(row["grid"]) if isfinite(row["grid"]) else None
    return Progress(
        phase=state.phase,
        phases=len(state.plan),
        step=leg.step,
        steps=steps,
        loss=row["loss"],
        error=state.error,
        grid=grid,
        parameters=int(row["parameters"]),
        seconds=row["seconds"],
        total=len(state.history),
        model=state.network,
    )
