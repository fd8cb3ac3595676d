"""How Hydra makes a config: our loader, the user's own folder, and its errors in words."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kanpde.errors import InputError, suggest
from kanpde.paths import packaged
from kanpde.storage.folders import unwritable

FULL_ERROR = "HYDRA_FULL_ERROR"
SEE_HELP = "`python -m kanpde --help` lists what there is."
REFUSED = "refused"  # key in the config of a sweep's run that could not be composed: why
SWEEP_OPTIONS = ("isolate", "retry_failed")  # of a sweep as a whole; a run never sees them


def compose(overrides: Sequence[str]) -> dict[str, Any]:
    """The config of these options, plain."""
    teach_hydra()
    with hydra.initialize_config_dir(str(packaged("conf")), version_base="1.3"):
        config = hydra.compose("config", list(overrides))
    take_out(config)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return plain


def take_out(config: DictConfig) -> list[bool]:
    """Removes `SWEEP_OPTIONS` from the config and returns them."""
    with open_dict(config):
        asked = [config.pop(name, False) for name in SWEEP_OPTIONS]
    for name, value in zip(SWEEP_OPTIONS, asked, strict=True):
        if not isinstance(value, bool):
            raise InputError(f"{name} must be true or false, got {value}. Write {name}=true.")
    return asked


def as_text(config: DictConfig) -> str:
    try:
        return OmegaConf.to_yaml(config, resolve=True)
    except OmegaConfBaseException:
        return ""  # `attempt` says why


def through_hydra(task: Callable[[DictConfig], Any], arguments: list[str]) -> None:
    """Has Hydra call ``task`` with the config, or several times with several; its errors become ours."""
    teach_hydra()
    before, sys.argv = sys.argv, [sys.argv[0], *arguments]
    full_error, os.environ[FULL_ERROR] = os.environ.get(FULL_ERROR, ""), "1"  # else it prints and exits by itself
    try:
        hydra.main(version_base="1.3", config_path=str(packaged("conf")), config_name="config")(task)()
    except OSError as error:
        raise unwritable(error) from error
    finally:
        sys.argv, os.environ[FULL_ERROR] = before, full_error


def teach_hydra() -> None:
    Plugins.instance().register(_OwnFolder)
    # no plugin can change how a config is loaded
    hydra._internal.hydra.ConfigLoaderImpl = _Loader  # pyright: ignore[reportPrivateImportUsage]


class _OwnFolder(SearchPathPlugin):
    """The folder ``conf`` of the current one; its files come before the packaged ones."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own = Path.cwd() / "conf"
        if own.is_dir() and own.resolve() != packaged("conf").resolve():
            search_path.prepend("own", f"file://{own}", SearchPathQuery(provider="main"))


class _Loader(ConfigLoaderImpl):
    """Hydra's loader, but new options in groups are left to our own checks, and a sweep survives a bad combination."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.seen: dict[tuple[str, ...], DictConfig] = {}

    def load_configuration(self, *args: Any, **kwargs: Any) -> DictConfig:
        try:
            return super().load_configuration(*args, **kwargs)
        except InputError:
            raise
        except (HydraException, OmegaConfBaseException, ValueError, YAMLError) as error:
            raise InputError(in_words(error)) from error

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Composed once: a sweeper composes every run's config to see that it can, a launcher to run it."""
        key = tuple(sweep_overrides)
        if key not in self.seen:
            self.seen[key] = self._compose_for_sweep(master_config, sweep_overrides)
            return self.seen[key]
        return self.seen.pop(key)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "seen": {}}  # a launcher's process needs its own config only

    def _compose_for_sweep(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        try:
            return super().load_sweep_config(master_config, sweep_overrides)
        except InputError as error:
            config = super().load_sweep_config(master_config, [])
            with open_dict(config):
                config[REFUSED] = str(error)
                config.hydra.overrides.task = list(sweep_overrides)
            return config

    def _compose_config_from_defaults_list(self, *args: Any, **kwargs: Any) -> DictConfig:
        config = super()._compose_config_from_defaults_list(*args, **kwargs)
        for key, group in config.items_ex(resolve=False):
            if key != "hydra" and OmegaConf.is_config(group):
                OmegaConf.set_struct(group, False)
        return config

    @staticmethod
    def validate_sweep_overrides_legal(overrides: list[Override], run_mode: RunMode, from_shell: bool) -> None:
        several = [o.input_line for o in overrides if o.is_sweep_override()]
        if several and run_mode == RunMode.RUN:
            raise InputError(
                f'"{several[0]}" asks for several runs. Write -m before it: python -m kanpde -m {several[0]}'
            )
        ConfigLoaderImpl.validate_sweep_overrides_legal(overrides, run_mode, from_shell)


def in_words(error: Exception) -> str:
    """One sentence or two on what is refused, by Hydra or by us."""
    if isinstance(error, InputError):
        return str(error)
    first = str(error).strip().split("\n")[0]
    if isinstance(error, YAMLError):
        return f"A yaml file cannot be read: {' '.join(str(error).split())}."
    if isinstance(error, OverrideParseException):
        return f'"{error.override}" is not of the form name=value. Write for example problem=poisson.'
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        hint = ""
        if group == "problem" and any(Path(folder, f"{choice}.py").is_file() for folder in (".", "problems")):
            hint = f" {choice}.py is here, but not conf/problem/{choice}.yaml; it needs the line `name: {choice}`."
        return f'Unknown {group} "{choice}". {suggest(choice, error.options)}{hint}'
    if unknown := re.match(r"Could not override '(.+?)'", first):
        from kanpde.configure.job import OPTIONS

        own = Path("conf/config.yaml").is_file() and Path("conf").resolve() != packaged("conf").resolve()
        hint = " This folder has a conf/config.yaml, which is read instead of the packaged one." if own else ""
        return (
            f'Unknown option "{unknown[1]}". {suggest(unknown[1].partition(".")[0], (*OPTIONS, *SWEEP_OPTIONS))}{hint}'
        )
    cause = str(error.__cause__).split("\n")[0] if error.__cause__ else ""
    return f"{first.rstrip('.')}{': ' if cause else ''}{cause}. {SEE_HELP}"
