"""The command line. Hydra makes the config; what becomes of it is in `kanpde.run`."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from math import prod
from pathlib import Path
from traceback import format_exc, print_exc
from typing import Any, NoReturn, TextIO

import hydra
import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kanpde.errors import InputError, suggest
from kanpde.folders import FAILED, LOG, claim, discard, new_folder, packaged, unwritable

FULL_ERROR = "HYDRA_FULL_ERROR"
SEE_HELP = "`python -m kanpde --help` lists what there is."
REFUSED = "refused"  # key in the config of a sweep's run that could not be composed: why


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        0; 2 if the input cannot work, 1 if a run of a sweep failed, 130 if Ctrl-C ended it (what was reached is saved).
    """
    wants_traceback = os.environ.get(FULL_ERROR) == "1"
    try:
        return _command(list(sys.argv[1:] if arguments is None else arguments))
    except (InputError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            print_exc()
        else:
            print(f"Error: {_in_words(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _command(arguments: list[str]) -> int:
    parser = get_args_parser()
    parser.error = _refuse_flag
    known = parser.parse_intermixed_args(arguments)
    flags = [a for a in arguments if a not in known.overrides]  # Hydra takes them before or after all options only
    if known.multirun or "hydra.mode=MULTIRUN" in known.overrides:
        return _sweep(flags, known.overrides)
    errors: list[Exception] = []

    def task(config: DictConfig) -> None:
        try:
            folder, log = claim(Path(HydraConfig.get().runtime.output_dir))
            try:
                _attempt(config, folder, log)
            except (InputError, KeyboardInterrupt):
                discard(folder)
                raise
        except Exception as error:
            errors.append(error)  # raised below, past Hydra's own report of it

    _through_hydra(task, [*flags, *known.overrides])
    if errors:
        raise errors[0]
    return 0


def _refuse_flag(message: str) -> NoReturn:
    raise InputError(f"{message[0].upper()}{message[1:]}. {SEE_HELP}")


def _attempt(config: DictConfig, folder: Path, log: TextIO) -> None:
    """Runs what the config asks for."""
    from kanpde.run import run  # takes torch with it, which --help does not need

    with log:
        log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} python -m kanpde {' '.join(_typed())}\n")
        try:
            if REFUSED in config:
                raise InputError(config[REFUSED])
            plain: Any = OmegaConf.to_container(config, resolve=True)
            solution = run(plain, OmegaConf.to_yaml(config, resolve=True), folder, log)
        except OmegaConfBaseException as error:
            raise InputError(_in_words(error)) from error
        except Exception as error:
            log.write(f"{error}\n" if isinstance(error, InputError) else format_exc())
            raise
    if solution.reason.startswith("interrupted"):
        raise KeyboardInterrupt


def _typed() -> list[str]:
    """The options as typed, ${...} and all."""
    return [str(o) for o in OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False) or ()]


# several runs --------------------------------------------------------------------------------------------------------
def _sweep(flags: list[str], overrides: list[str]) -> int:
    """Every combination; one that fails leaves a message in its folder and the others go on."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    total = prod(len(list(o.sweep_string_iterator())) for o in parsed if o.is_discrete_sweep())
    chosen = [Path(str(o.value())) for o in parsed if o.key_or_group == "hydra.sweep.dir"]
    now = datetime.now()
    folder = chosen[-1] if chosen else new_folder(Path("outputs", f"{now:%Y-%m-%d}", f"{now:%H-%M-%S}-sweep"))
    swept = {o.key_or_group for o in parsed if o.is_sweep_override()}
    code = 0
    try:
        where = [f"hydra.sweep.dir={folder}"]
        _through_hydra(lambda config: _one_of_many(config, total, swept), [*flags, *overrides, *where])
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        discard(folder)
        raise
    if not any(folder.rglob(LOG)):  # ended before the first run began
        return code
    from kanpde.study import summarise

    print()
    summarise(folder)
    failed = sorted(folder.rglob(FAILED))
    if failed:
        print(f"{len(failed)} failed; why is in {', '.join(map(str, failed[:3]))}{', ...' * (len(failed) > 3)}")
    print(f"Results: {folder}")
    return code or int(bool(failed))


def _one_of_many(config: DictConfig, total: int, swept: set[str]) -> None:
    job = HydraConfig.get()
    choice = [o for o in _typed() if o.partition("=")[0].lstrip("+") in swept]
    print(f"\nRun {job.job.num + 1} of {total}: {' '.join(choice)}", flush=True)
    folder, log = claim(Path(job.runtime.output_dir))
    try:
        _attempt(config, folder, log)
    except KeyboardInterrupt:
        discard(folder)
        raise
    except Exception as error:
        message = str(error) if isinstance(error, InputError) else format_exc()
        (folder / FAILED).write_text(f"{message}\n", encoding="utf-8")
        print(f"Failed: {message}", file=sys.stderr, flush=True)


# Hydra ---------------------------------------------------------------------------------------------------------------
def _through_hydra(task: Callable[[DictConfig], None], arguments: list[str]) -> None:
    """Has Hydra call ``task`` with the config, or several times with several; its errors become ours."""
    Plugins.instance().register(_OwnFolder)
    # no plugin can change how a config is loaded
    hydra._internal.hydra.ConfigLoaderImpl = _Loader  # pyright: ignore[reportPrivateImportUsage]
    before, sys.argv = sys.argv, [sys.argv[0], *arguments]
    full_error, os.environ[FULL_ERROR] = os.environ.get(FULL_ERROR, ""), "1"  # else it prints and exits by itself
    try:
        hydra.main(version_base="1.3", config_path=str(packaged("conf")), config_name="config")(task)()
    except OSError as error:
        raise unwritable(error) from error
    finally:
        sys.argv, os.environ[FULL_ERROR] = before, full_error


class _OwnFolder(SearchPathPlugin):
    """The folder ``conf`` of the current one; its files come before the packaged ones."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own = Path.cwd() / "conf"
        if own.is_dir() and own.resolve() != packaged("conf").resolve():
            search_path.prepend("own", f"file://{own}", SearchPathQuery(provider="main"))


class _Loader(ConfigLoaderImpl):
    """Hydra's loader, but new options in groups are left to our own checks, and a sweep survives a bad combination."""

    def load_configuration(self, *args: Any, **kwargs: Any) -> DictConfig:
        try:
            return super().load_configuration(*args, **kwargs)
        except InputError:
            raise
        except (HydraException, OmegaConfBaseException, ValueError, YAMLError) as error:
            raise InputError(_in_words(error)) from error

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
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
            raise InputError(f'"{several[0]}" asks for several runs. Write -m before it: '
                             f"python -m kanpde -m {several[0]}")  # fmt: skip
        ConfigLoaderImpl.validate_sweep_overrides_legal(overrides, run_mode, from_shell)


def _in_words(error: Exception) -> str:
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
        from kanpde.run import OPTIONS

        own = Path("conf/config.yaml").is_file() and Path("conf").resolve() != packaged("conf").resolve()
        hint = " This folder has a conf/config.yaml, which is read instead of the packaged one." if own else ""
        return f'Unknown option "{unknown[1]}". {suggest(unknown[1].partition(".")[0], OPTIONS)}{hint}'
    cause = str(error.__cause__).split("\n")[0] if error.__cause__ else ""
    return f"{first.rstrip('.')}{': ' if cause else ''}{cause}. {SEE_HELP}"


if __name__ == "__main__":
    sys.exit(main())
