"""Resuming a run from the last checkpoint in its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from kanpde.device import choose_device
from kanpde.ends import End
from kanpde.errors import InputError
from kanpde.factories import agree
from kanpde.paths import FAILED
from kanpde.problem import Problem
from kanpde.solution import Solution
from kanpde.storage.checkpoint import Checkpoints, checkpoint_files, is_damaged, read_newest
from kanpde.storage.folders import clear
from kanpde.training.checks import check_phases, check_sizes
from kanpde.training.entering import objective_of
from kanpde.training.fresh import losses
from kanpde.training.leaving import is_last
from kanpde.training.marching import refuse_another
from kanpde.training.phases import Phase
from kanpde.training.settings import Settings, phase_data, settings_from
from kanpde.training.signals import StopRequest
from kanpde.training.snapshot import from_data
from kanpde.training.solve import Log, Observe, carried_out
from kanpde.training.state import State
from kanpde.training.surroundings import Surroundings, refuse_another_problem
from kanpde.version import __version__

FREE = ("steps", "window", "least")  # arguments of the current phase that may be changed on resuming


def begin_again(folder: Path) -> bool:
    """Prepare a run's folder for another attempt: keep it if it has a checkpoint, otherwise clear it.

    A checkpoint that cannot be read now, or that another version wrote, is kept; the attempt will say why it fails.

    Returns:
        Whether there is a checkpoint to resume from.
    """
    is_whole = any(not is_damaged(path) for path in checkpoint_files(folder))
    if is_whole:
        (folder / FAILED).unlink(missing_ok=True)  # of the attempt before
    else:
        clear(folder)
    return is_whole


@dataclass(frozen=True)
class Reopened:
    """A run that can go on.

    Attributes:
        settings: as they are from now on.
        state: of the last checkpoint.
        notes: a line on each newer checkpoint that is damaged.
    """

    settings: Settings
    state: State
    notes: Sequence[str]


def reopened(
    folder: str | Path,
    problem: Problem,
    *,
    model: Any = None,
    phases: Sequence[Phase] | None = None,
    time_limit: float | None = None,
    checkpoint: float | None = None,
    device: str = "auto",
    needs_time: bool = True,
) -> Reopened:
    """Read the last checkpoint in a folder and check that the run can go on; nothing is written.

    Args:
        folder: of the run.
        problem: the problem that was being solved.
        model: the module or the factory of your own, if `solve` was given one.
        phases: the schedule with more steps or further phases; the stored one by default.
        time_limit: total seconds of all sessions of the run together; inf for no limit; the stored limit by default.
        checkpoint: minutes between checkpoints; the stored value by default.
        device: "auto", "cpu" or "cuda".
        needs_time: the time limit must not be used up; otherwise such a run ends at once, with the result that it had
            not yet saved.

    Raises:
        InputError: there is no checkpoint, or the problem, version or phases do not match the stored run.
    """
    data, notes = read_newest(folder)
    if data["version"] != __version__:
        raise InputError(
            f"The checkpoint was written by kanpde {data['version']}, and this is {__version__}. Install that version "
            "to go on, or start anew."
        )
    given = {"model": model, "phases": phases, "time_limit": time_limit, "checkpoint": checkpoint}
    settings = settings_from(data["settings"], problem, choose_device(device), **given)
    state = extended(settings, from_data(data["state"], settings), data["settings"]["phases"])
    check_rest(settings, state)
    if needs_time:
        refuse_spent_time(settings, state)
    return Reopened(settings, state, notes)


def gone_on(run: Reopened, checkpoints: Checkpoints, stop: StopRequest | None, observe: Observe, log: Log) -> Solution:
    """Train from a checkpoint to the end."""

    def begin(around: Surroundings) -> State:
        for line in run.notes:
            around.log(line)
        around.log(f"resumed {place_of(run.state)}")
        return run.state

    return carried_out(run.settings, begin, checkpoints, stop, observe, log)


def place_of(state: State) -> str:
    """Return how far a run has come, in words."""
    if state.march is not None:
        return f"in pass {state.march.number + 1}, at t = {state.march.done.end:.4g}"
    return f"in phase {state.phase + 1} of {len(state.plan)}, after step {state.leg.step if state.leg else 0}"


def extended(settings: Settings, state: State, stored: Sequence[Mapping[str, Any]]) -> State:
    """Return the state under the schedule in the settings, which may give a finished phase more steps.

    Raises:
        InputError: the schedule differs from the stored one in a phase that has already ended.
    """
    if settings.tolerance is not None:  # the phases are decided during the run
        return state
    for number, before in enumerate(stored[: state.phase + 1]):
        after = phase_data(settings.phases[number]) if number < len(settings.phases) else {}
        free = FREE if number == state.phase else ()
        if changed := [name for name in before if name not in free and not agree(before[name], after.get(name))]:
            raise InputError(
                f"Phase {number} began with {changed[0]}={before[changed[0]]}, got {after.get(changed[0])}. Only the "
                "steps of this phase and later phases can change."
            )
    leg, steps = state.leg, settings.phases[state.phase].steps
    if leg is None or steps == stored[state.phase]["steps"]:
        return state
    if steps < leg.step or (steps == leg.step and leg.ending is None):
        raise InputError(
            f"Phase {state.phase} has already taken {leg.step} steps, got steps={steps}.",
            write={"steps": leg.step + 100},
            of=f"phases.{state.phase}",
        )
    if leg.ending is not None and leg.ending.end is End.STEPS_DONE:
        return replace(state, leg=replace(leg, ending=None))
    return state


def check_rest(settings: Settings, state: State) -> None:
    """Check that the problem is the one that was saved, and that the rest of the schedule can be carried out.

    Raises:
        InputError: the loss at the saved points is another one, or a phase is impossible.
    """
    if state.march is not None:
        refuse_another(settings, state, state.march)
        return
    leg, derivatives = state.leg, settings.derivatives
    assert leg is not None  # only legs are saved
    rest, objective = state.plan[state.phase + 1 :], objective_of(settings, state, leg)
    refuse_another_problem(leg.loss, sum(losses(objective).values()), settings, state)
    check_phases(rest, state.network, derivatives, state.phase + 1)
    check_sizes(settings, state, objective, state.phase + 1)


def refuse_spent_time(settings: Settings, state: State) -> None:
    """Refuse to resume a run whose time limit is already used up.

    Raises:
        InputError: the time limit is used up.
    """
    spent, allowed = state.seconds, settings.time_limit
    is_over = is_last(settings, state) and state.leg is not None and state.leg.ending is not None
    if allowed is not None and spent >= allowed and not is_over:
        raise InputError(
            f"The run has taken {spent:.1f} s, and its time_limit is {allowed:g} s.",
            write={"time_limit": ceil(2 * max(allowed, spent))},
        )
