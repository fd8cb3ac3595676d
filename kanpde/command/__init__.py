"""The command line: Hydra composes the config, and `kanpde.runs.execute` carries out the run."""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from traceback import print_exc

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from kanpde.command.comparing import comparisons, run_comparison
from kanpde.command.composing import refuse_several, take_out, through_hydra
from kanpde.command.hydra_internals import FULL_ERROR, flags_and_options
from kanpde.command.messages import SWEEP_OPTIONS, in_words, wrapped_output
from kanpde.command.resuming import resumed_folder, run_resumed
from kanpde.command.single import attempt
from kanpde.command.sweeping import need_extras, refuse_single_tuning, run_sweep
from kanpde.ends import Stopped
from kanpde.errors import InputError
from kanpde.storage.folders import claim, discard


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0; 1 if a run of a sweep failed; 2 if the input is invalid; 130, 143 or 138 if SIGINT (Ctrl-C),
        SIGTERM or SIGUSR1 stopped the run, after its state was saved.
    """
    wants_traceback = os.environ.get(FULL_ERROR) == "1"
    try:
        return _command(list(sys.argv[1:] if arguments is None else arguments))
    except (InputError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            print_exc()
        else:
            print(f"Error: {in_words(error)}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(f"{stopped.end.message.capitalize()}.", file=sys.stderr)
        return stopped.end.exit_code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _command(arguments: list[str]) -> int:
    known = flags_and_options().parse_intermixed_args(arguments)
    flags = [a for a in arguments if a not in known.overrides]  # Hydra accepts them only before or after all options
    only_shows = any((known.cfg, known.help, known.hydra_help, known.info))
    is_sweep = known.multirun or "hydra.mode=MULTIRUN" in known.overrides
    if resumed_folder(known.overrides) is not None and not only_shows:
        if is_sweep:
            raise InputError("resume=FOLDER is for one run. Leave -m out; a sweep goes on with hydra.sweep.dir=FOLDER.")
        run_resumed(known.overrides)
        return 0
    if not (only_shows or is_sweep):
        refuse_single_tuning(known.overrides)
    need_extras(known.overrides)
    compared = comparisons(known.overrides)
    if compared and not only_shows:
        return max(run_comparison(overrides) for overrides in compared)
    if is_sweep:
        return run_sweep(flags, known.overrides)
    refuse_several(known.overrides)
    errors: list[Exception] = []

    def task(config: DictConfig) -> None:
        try:
            for name, value in zip(SWEEP_OPTIONS, take_out(config, known.overrides), strict=True):
                if value:
                    raise InputError(f"{name} is for several runs. Write -m before it, or leave it out.")
            folder, log = claim(Path(HydraConfig.get().runtime.output_dir))
            try:
                with log:
                    attempt(config, folder, log)
            except (InputError, KeyboardInterrupt):
                discard(folder)
                raise
        except Exception as error:
            errors.append(error)  # raised below, so that Hydra does not report it

    with wrapped_output() if known.help else nullcontext():  # Hydra lists all choices of a group in one line
        through_hydra(task, [*flags, *known.overrides])
    if errors:
        raise errors[0]
    return 0
