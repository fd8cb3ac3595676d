"""All uses of Hydra beyond its public interface; `tests/test_hydra_internals.py` fails if a new version changes them.

The public interface (`hydra.main`, `hydra.initialize_config_dir`, `hydra.compose`, and plugins for search paths,
launchers and sweepers) does not offer the following:

- `hydra.main` reads its options only from ``sys.argv``, and exits after an error unless the environment variable
  ``HYDRA_FULL_ERROR`` is 1. `call_hydra` sets both while Hydra runs. `hydra.compose` accepts a list of options, but it
  starts no sweeps and has no flags such as ``--cfg``, ``--help``, ``--info`` and ``--config-dir``.
- Flags must be separated from options before Hydra runs; only Hydra's own parser can do this
  (`hydra._internal.utils.get_args_parser`).
- Groups must accept options that their yaml does not list, such as ``weights.boundary=100`` (Hydra requires
  ``+weights.boundary=100``), because the factory's signature defines the options. And a combination of a sweep that
  cannot be composed must become one failed run; Hydra would refuse the whole sweep. Plugins cannot change how configs
  are loaded, so `own_loader` replaces the class that loads them while Hydra runs.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import hydra
import hydra._internal.hydra as hydra_internal
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kanpde.command.messages import SEE_HELP, in_words
from kanpde.errors import InputError
from kanpde.paths import packaged

FULL_ERROR = "HYDRA_FULL_ERROR"
REFUSED = "refused"  # key in the config of a sweep's run that could not be composed; its value is the error message


def flags_and_options() -> ArgumentParser:
    """Return Hydra's command-line parser; an unknown flag raises `InputError`."""
    parser = get_args_parser()
    parser.error = _refuse_flag
    return parser


def _refuse_flag(message: str) -> NoReturn:
    raise InputError(f"{message[0].upper()}{message[1:]}. {SEE_HELP}")


def call_hydra(task: Callable[[DictConfig], Any], arguments: list[str]) -> None:
    """Call `hydra.main` with a list of arguments; errors are raised instead of printed."""
    before, sys.argv = sys.argv, [sys.argv[0], *arguments]
    full_error, os.environ[FULL_ERROR] = os.environ.get(FULL_ERROR, ""), "1"
    try:
        with own_loader():
            hydra.main(version_base="1.3", config_path=str(packaged("conf")), config_name="config")(task)()
    finally:
        sys.argv, os.environ[FULL_ERROR] = before, full_error


@contextmanager
def own_loader() -> Iterator[None]:
    """Context manager in which Hydra loads configs with `Loader`."""
    before = hydra_internal.ConfigLoaderImpl  # pyright: ignore[reportPrivateImportUsage]
    hydra_internal.ConfigLoaderImpl = Loader  # pyright: ignore[reportPrivateImportUsage]
    try:
        yield
    finally:
        hydra_internal.ConfigLoaderImpl = before  # pyright: ignore[reportPrivateImportUsage]


class Loader(ConfigLoaderImpl):
    """Hydra's loader, except that groups accept any option, and a combination that cannot be composed fails alone."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.seen: dict[tuple[str, ...], DictConfig] = {}

    def load_configuration(self, *args: Any, **kwargs: Any) -> DictConfig:
        """Load a config as Hydra does, but raise its errors as `InputError`."""
        try:
            return super().load_configuration(*args, **kwargs)
        except InputError:
            raise
        except (HydraException, OmegaConfBaseException, ValueError, YAMLError) as error:
            raise InputError(in_words(error)) from error

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Compose every config once; sweepers request it for a check, and launchers again for the run."""
        key = tuple(sweep_overrides)
        if key not in self.seen:
            self.seen[key] = self._compose_for_sweep(master_config, sweep_overrides)
            return self.seen[key]
        return self.seen.pop(key)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "seen": {}}  # a launcher's process needs only its own config

    def _compose_for_sweep(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        try:
            return super().load_sweep_config(master_config, sweep_overrides)
        except InputError as error:
            config = super().load_sweep_config(master_config, [])
            with open_dict(config):
                config[REFUSED] = in_words(error)
                config.hydra.overrides.task = list(sweep_overrides)
            return config

    def _compose_config_from_defaults_list(self, *args: Any, **kwargs: Any) -> DictConfig:
        config = super()._compose_config_from_defaults_list(*args, **kwargs)
        for key, group in config.items_ex(resolve=False):
            if key != "hydra" and OmegaConf.is_config(group):
                OmegaConf.set_struct(group, False)
        return config
