"""``resume=FOLDER``: continue a run of the command line from its last checkpoint."""

import os
import re
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from kanpde.command.single import attempt
from kanpde.errors import InputError
from kanpde.paths import CONFIG, LOG

CHANGEABLE = re.compile(r"time_limit|checkpoint|plots|formula|output\..+|schedule\.phases\.\d+\.steps")


def resumed_folder(overrides: list[str]) -> str | None:
    """Return the folder after ``resume=``; None without that option."""
    found = [o for o in _parsed(overrides) if o.key_or_group == "resume"]
    return str(found[-1].value()) if found else None


def _parsed(overrides: list[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(overrides)


def run_resumed(overrides: list[str]) -> None:
    """Resume the run in the folder; other options may give it more time or steps.

    Raises:
        InputError: the folder has no run to resume, or an option can no longer be changed. No file was changed.
        Stopped: a signal stopped the run again.
    """
    folder = Path(str(resumed_folder(overrides)))
    changes = [o for o in _parsed(overrides) if o.key_or_group != "resume"]
    for o in changes:
        if o.is_sweep_override() or not CHANGEABLE.fullmatch(o.key_or_group):
            raise InputError(
                f"{o.input_line} cannot be changed in a run that has begun. What can: time_limit, "
                "schedule.phases.N.steps, checkpoint, plots, formula, output."
            )
    refuse_what_cannot_go_on(folder, changes)
    config = OmegaConf.load(folder / CONFIG)
    phases = len(config.schedule.phases)
    for o in changes:
        number = re.match(r"schedule\.phases\.(\d+)", o.key_or_group)
        if number and int(number[1]) >= phases:
            raise InputError(f"{o.input_line}: the run has the phases 0 to {phases - 1}.")
        OmegaConf.update(config, o.key_or_group, o.value())
    with open(folder / LOG, "a", encoding="utf-8") as log:
        attempt(config, folder, log, f"python -m kanpde {' '.join(overrides)}")  # pyright: ignore[reportArgumentType]


def refuse_what_cannot_go_on(folder: Path, changes: list[Override]) -> None:
    """Refuse a folder without a run, with a finished run, or with a run in progress."""
    from kanpde.runs.process import HOLDER
    from kanpde.runs.status import RunState, status
    from kanpde.storage.checkpoint import is_held

    if not (folder / CONFIG).is_file():
        raise InputError(
            f'There is no run in "{folder}": it has no {CONFIG}. Give the folder of a run: resume=outputs/DATE/TIME. '
            "A folder that was given to `solve` is resumed in Python: kanpde.resume(folder, problem)."
        )
    is_ours = os.environ.get(HOLDER) == str(folder)  # the process of an isolated run
    found = status(folder, mine=is_ours)
    if found.state is RunState.RUNNING or is_held(folder):
        raise InputError(f'The run in "{folder}" is under way in another process. Wait for its end, or stop it.')
    if found.state is RunState.FINISHED:
        refuse_finished(folder, changes)


def refuse_finished(folder: Path, changes: list[Override]) -> None:
    """Refuse a finished run, unless it gets more of what it ended for lack of: time, or steps of its last phase.

    Raises:
        InputError: it does not.
    """
    from kanpde.ends import End
    from kanpde.runs.status import result_ending

    ending = result_ending(folder)
    assert ending is not None  # the run is finished
    last = f"schedule.phases.{len(OmegaConf.load(folder / CONFIG).schedule.phases) - 1}.steps"
    wanted = {End.TIME_LIMIT: "time_limit", End.STEPS_DONE: last}.get(ending.end)
    if wanted is None:
        raise InputError(
            f'The run in "{folder}" is finished ({ending}), and more steps or time would not change that. Start a new '
            "run with other options."
        )
    if not any(o.key_or_group == wanted for o in changes):
        raise InputError(f'The run in "{folder}" is finished ({ending}). Give it more: {wanted}=500.')
