"""The command line. Hydra makes the config; what becomes of it is in `kanpde.runs.execute`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from traceback import print_exc
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from kanpde.command.comparing import comparisons, run_comparison
from kanpde.command.composing import FULL_ERROR, SEE_HELP, SWEEP_OPTIONS, in_words, take_out, through_hydra
from kanpde.command.resuming import resumed_folder, run_resumed
from kanpde.command.single import attempt
from kanpde.command.sweeping import run_sweep
from kanpde.ends import Stopped
from kanpde.errors import InputError
from kanpde.storage.folders import claim, discard


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        0; 1 if a run of a sweep failed; 2 if the input cannot work; 130, 143 or 138 if SIGINT (Ctrl-C),
        SIGTERM or SIGUSR1 stopped it, after its state was saved.
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
    parser = get_args_parser()
    parser.error = _refuse_flag
    known = parser.parse_intermixed_args(arguments)
    flags = [a for a in arguments if a not in known.overrides]  # Hydra takes them before or after all options only
    if resumed_folder(known.overrides) is not None and not any((known.cfg, known.help, known.hydra_help, known.info)):
        if known.multirun:
            raise InputError("resume=FOLDER is for one run. Leave -m out; a sweep goes on with hydra.sweep.dir=FOLDER.")
        run_resumed(known.overrides)
        return 0
    compared = comparisons(known.overrides)
    if compared and not any((known.cfg, known.help, known.hydra_help, known.info)):
        return max(run_comparison(overrides) for overrides in compared)
    if known.multirun or "hydra.mode=MULTIRUN" in known.overrides:
        return run_sweep(flags, known.overrides)
    errors: list[Exception] = []

    def task(config: DictConfig) -> None:
        try:
            for name, value in zip(SWEEP_OPTIONS, take_out(config), strict=True):
                if value:
                    raise InputError(f"{name} is for several runs. Write -m before it, or leave it out.")
            folder, log = claim(Path(HydraConfig.get().runtime.output_dir))
            try:
                attempt(config, folder, log)
            except (InputError, KeyboardInterrupt):
                discard(folder)
                raise
        except Exception as error:
            errors.append(error)  # raised below, past Hydra's own report of it

    through_hydra(task, [*flags, *known.overrides])
    if errors:
        raise errors[0]
    return 0


def _refuse_flag(message: str) -> NoReturn:
    raise InputError(f"{message[0].upper()}{message[1:]}. {SEE_HELP}")
