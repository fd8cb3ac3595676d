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
from kanpde.errors import InputError

SPACE = "+study/space@hydra.sweeper.params="  # added by a sweep that tunes to choose what is searched; never typed


def attempt(config: DictConfig, folder: Path, log: TextIO) -> None:
    """Runs what the config asks for."""
    from kanpde.runs.execute import run

    with log:
        log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} python -m kanpde {' '.join(options_typed())}\n")
        try:
            if REFUSED in config:
                raise InputError(config[REFUSED])
            plain: Any = OmegaConf.to_container(config, resolve=True)
            solution = run(plain, OmegaConf.to_yaml(config, resolve=True), folder, log)
        except OmegaConfBaseException as error:
            raise InputError(in_words(error)) from error
        except Exception as error:
            log.write(f"{error}\n" if isinstance(error, InputError) else format_exc())
            raise
    if solution.reason.startswith("interrupted"):
        raise KeyboardInterrupt


def options_typed() -> list[str]:
    """The options as typed, ${...} and all."""
    overrides = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False) or ()
    return [str(o) for o in overrides if not str(o).startswith(SPACE)]
