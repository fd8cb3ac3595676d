"""Composing configs from typed options, directly or by a run of Hydra."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from kanpde.command.hydra_internals import call_hydra, own_loader
from kanpde.command.messages import SWEEP_OPTIONS
from kanpde.errors import InputError
from kanpde.paths import packaged
from kanpde.storage.folders import unwritable


def config_from(overrides: Sequence[str]) -> dict[str, Any]:
    """Compose the config of these options, as plain dictionaries.

    Raises:
        InputError: an option or a choice does not exist, or an option has several values.
    """
    refuse_several(overrides)
    Plugins.instance().register(_OwnFolder)
    with own_loader(), hydra.initialize_config_dir(str(packaged("conf")), version_base="1.3"):
        config = hydra.compose("config", list(overrides))
    take_out(config, overrides)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return plain


def refuse_several(overrides: Sequence[str]) -> None:
    """Refuse an option with several values, such as seed=0,1, which needs a sweep."""
    for each in OverridesParser.create().parse_overrides(list(overrides)):
        if each.is_sweep_override():
            raise InputError(
                f'"{each.input_line}" asks for several runs. Write -m before it: python -m kanpde -m {each.input_line}'
            )


def take_out(config: DictConfig, typed: Sequence[str]) -> list[bool]:
    """Remove `SWEEP_OPTIONS` from the config and return their values.

    With ``start=FOLDER`` the defaults of what the stored run determines are removed too.

    Args:
        config: of one run.
        typed: its options as typed.

    Raises:
        InputError: a sweep option has an invalid value, or an option contradicts ``start``.
    """
    if config.get("start") is not None:
        _leave_to_start(config, typed)
    with open_dict(config):
        asked = [config.pop(name, False) for name in SWEEP_OPTIONS]
    for name, value in zip(SWEEP_OPTIONS, asked, strict=True):
        if not isinstance(value, bool):
            raise InputError(f"{name} must be true or false, got {value}. Write {name}=true.")
    return asked


def _leave_to_start(config: DictConfig, typed: Sequence[str]) -> None:
    """Remove the defaults of the network and of the number of starts, which are those of the stored run."""
    for o in OverridesParser.create().parse_overrides(list(typed)):
        if re.match(r"model\b|schedule\.starts\b", o.key_or_group):
            raise InputError(
                f"{o.input_line} contradicts start={config.start}, with which the run has one start, and its network "
                "is that of the stored run. Leave one of the two out."
            )
    with open_dict(config):
        config.pop("model", None)
        if "schedule" in config:
            config.schedule.pop("starts", None)


def as_text(config: DictConfig) -> str:
    """Return the config as YAML; "" if it cannot be resolved, an error that the run itself reports."""
    try:
        return OmegaConf.to_yaml(config, resolve=True)
    except OmegaConfBaseException:
        return ""


def through_hydra(task: Callable[[DictConfig], Any], arguments: list[str]) -> None:
    """Let Hydra call ``task`` with the config, or in a sweep once for every combination.

    Raises:
        InputError: the config cannot be composed, or a folder cannot be written.
    """
    Plugins.instance().register(_OwnFolder)
    try:
        call_hydra(task, arguments)
    except OSError as error:
        raise unwritable(error) from error


class _OwnFolder(SearchPathPlugin):
    """Adds ``./conf`` to Hydra's search path, before the packaged configs."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own = Path.cwd() / "conf"
        if own.is_dir() and own.resolve() != packaged("conf").resolve():
            search_path.prepend("own", f"file://{own}", SearchPathQuery(provider="main"))
