"""Going on with a run from the last checkpoint in its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from kanpde.device import choose_device
from kanpde.ends import End
from kanpde.errors import InputError
from kanpde.problem import Problem
from kanpde.solution import Solution
from kanpde.storage.checkpoint import Checkpoints, read_newest
from kanpde.training.phases import Phase
from kanpde.training.settings import Settings, phase_data, settings_from
from kanpde.training.snapshot import from_data
from kanpde.training.solve import Log, Observe, carried_out
from kanpde.training.state import State
from kanpde.training.stopping import StopRequest
from kanpde.training.surroundings import Surroundings
from kanpde.version import __version__

FREE = ("steps", "window", "least")  # of the phase that is under way


def is_resumable(folder: str | Path) -> bool:
    """Whether the folder has a checkpoint that this version can go on from."""
    try:
        return read_newest(folder)[0]["version"] == __version__
    except InputError:
        return False


def resume(
    folder: str | Path | Checkpoints,
    problem: Problem,
    *,
    model: Any = None,
    phases: Sequence[Phase] | None = None,
    time_limit: float | None = None,
    checkpoint: float | None = None,
    device: str = "auto",
    stop: StopRequest | None = None,
    observe: Observe = lambda progress: None,
    log: Log = lambda line: None,
) -> Solution:
    """Goes on with a run that was stopped, killed or limited in time, from its last checkpoint.

    On the same machine with the same versions and one thread the result is bit for bit that of a run that was never
    stopped.

    Args:
        folder: that was given to `solve`, or of a run of the command line.
        problem: the one that was being solved.
        model: a ready module or a factory from elsewhere, if `solve` was given one.
        phases: the schedule with more steps or further phases; the stored one by default.
        time_limit: in seconds, what the run may take in all its sessions together; the stored one by default.
        checkpoint: minutes between checkpoints; the stored ones by default.
        device: to go on with.
        stop, observe, log: as in `solve`.

    Raises:
        InputError: there is no checkpoint, another process runs in the folder, or the problem, version or phases do
            not fit.
    """
    read_newest(folder.folder if isinstance(folder, Checkpoints) else folder)  # before the folder is locked or made
    with folder if isinstance(folder, Checkpoints) else Checkpoints(folder) as checkpoints:
        data, refused = read_newest(checkpoints.folder)
        if data["version"] != __version__:
            raise InputError(
                f"The checkpoint was written by kanpde {data['version']}, and this is {__version__}. Install that "
                "version to go on, or start anew."
            )
        given = {"model": model, "phases": phases, "time_limit": time_limit, "checkpoint": checkpoint}
        settings = settings_from(data["settings"], problem, choose_device(device), **given)
        state = from_data(data["state"], settings)
        state = extended(settings, state, data["settings"]["phases"])
        refuse_nothing_to_do(settings, state)

        def begin(around: Surroundings) -> State:
            for line in refused:
                around.log(line)
            taken = state.leg.step if state.leg else 0
            around.log(f"resumed in phase {state.phase + 1} of {len(settings.phases)}, after step {taken}")
            return state

        return carried_out(settings, begin, checkpoints, stop, observe, log)


def extended(settings: Settings, state: State, stored: Sequence[Mapping[str, Any]]) -> State:
    """The state under the schedule of the settings: a phase that had no steps left may have some now.

    Raises:
        InputError: the schedule differs from the stored one in what has been done already.
    """
    for number, before in enumerate(stored[: state.phase + 1]):
        after = phase_data(settings.phases[number]) if number < len(settings.phases) else {}
        free = FREE if number == state.phase else ()
        if changed := [name for name in before if name not in free and before[name] != after.get(name)]:
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


def refuse_nothing_to_do(settings: Settings, state: State) -> None:
    """Refuses a run whose time is spent.

    Raises:
        InputError: it is.
    """
    spent, allowed = state.seconds, settings.time_limit
    if allowed is not None and spent >= allowed and (state.leg is None or state.leg.ending is None):
        raise InputError(
            f"The run has taken {spent:.1f} s, and its time_limit is {allowed:g} s.",
            write={"time_limit": ceil(max(2 * allowed, 60))},
        )
