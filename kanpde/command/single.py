"""One run in its folder, with its log."""

from datetime import datetime
from pathlib import Path
from traceback import format_exc
from typing import Any, TextIO

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kanpde.command.hydra_internals import REFUSED
from kanpde.command.messages import in_words
from kanpde.ends import Stopped
from kanpde.errors import InputError

SPACE = "+study/space@hydra.sweeper.params="  # added by a tuning sweep, to select the search space


def attempt(config: DictConfig, folder: Path, log: TextIO, resumed_by: str | None = None) -> None:
    """Carry out the run of the config with an open log, to which an error is written as well.

    Args:
        config: of the run.
        folder: of the run.
        log: of the run.
        resumed_by: the command that resumes the run, which is written to the log when it is certain that the run can
            be resumed; "" resumes it under the command of this process, and None begins a new run.

    Raises:
        Stopped: a signal stopped the run.
    """
    from kanpde.runs.execute import execute  # here, because it imports torch, which --help does not need

    if not resumed_by:
        log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} python -m kanpde {' '.join(options_typed())}\n")
    try:
        if REFUSED in config:
            raise InputError(config[REFUSED])
        plain: Any = OmegaConf.to_container(config, resolve=True)
        solution = execute(plain, OmegaConf.to_yaml(config, resolve=True), folder, log, resumed_by)
    except OmegaConfBaseException as error:
        raise InputError(in_words(error)) from error
    except Exception as error:
        if not resumed_by or not isinstance(error, InputError):  # a refused resumption writes nothing
            log.write(f"{in_words(error)}\n" if isinstance(error, InputError) else format_exc())
        raise
    if solution.ending.end.is_requested:
        raise Stopped(solution.ending.end)


def options_typed() -> list[str]:
    """Return the options as typed, with ${...} unresolved."""
    overrides = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False) or ()
    return [str(o) for o in overrides if not str(o).startswith(SPACE)]
