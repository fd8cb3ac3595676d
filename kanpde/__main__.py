"""The command line. Hydra makes the config; what becomes of it is in `kanpde.run`."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.util import find_spec
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
SWEEP_OPTIONS = ("isolate", "retry_failed")  # for `_sweep`; a run never sees them
SPACE = "+study/space@hydra.sweeper.params="
EXTRAS = {  # what hydra/launcher, hydra/sweeper and study may be: the plugin it takes, the extra that brings that
    "joblib": ("hydra_joblib_launcher", "joblib"),
    "ray": ("hydra_ray_launcher", "ray"),
    **dict.fromkeys(("slurm", "submitit_slurm", "submitit_local"), ("hydra_submitit_launcher", "slurm")),
    **dict.fromkeys(("optuna", "tune"), ("hydra_optuna_sweeper", "tune")),
}


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
    studies = _studies(known.overrides)
    if studies and not known.cfg:
        return max(_study(overrides) for overrides in studies)
    if known.multirun or "hydra.mode=MULTIRUN" in known.overrides:
        return _sweep(flags, known.overrides)
    errors: list[Exception] = []

    def task(config: DictConfig) -> None:
        try:
            for name, value in zip(SWEEP_OPTIONS, _take_out(config), strict=True):
                if value:
                    raise InputError(f"{name} is for several runs. Write -m before it, or leave it out.")
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
    overrides = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False) or ()
    return [str(o) for o in overrides if not str(o).startswith(SPACE)]


# comparisons ---------------------------------------------------------------------------------------------------------
def _studies(overrides: list[str]) -> list[list[str]]:
    """For +study=..., the options of a comparison for every problem; none where no comparison is asked for."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    if not any(o.key_or_group == "study" and o.value() != "tune" for o in parsed):
        return []
    several = [o for o in parsed if o.is_sweep_override()]
    if other := [o for o in several if o.key_or_group != "problem"]:
        raise InputError(f"{other[0].input_line} asks for several runs, and a study has its own. Write it as arms: "
                         "'study.arms.b=\"model.degree=7\"'.")  # fmt: skip
    plain = [str(o.input_line) for o in parsed if o not in several]
    problems = [f"problem={value}" for o in several for value in o.sweep_string_iterator()]
    return [[*plain, problem] for problem in problems] or [plain]


def _study(overrides: list[str]) -> int:
    """One comparison."""
    config = _compose(overrides)
    from kanpde.study.comparison import compare

    own = [o for o in overrides if not re.match(r"[+~]*study\b", o)]
    return compare(config["study"], own, _compose, partial(print, flush=True))


def _compose(overrides: Sequence[str]) -> dict[str, Any]:
    """The config of these options, plain."""
    _teach_hydra()
    with hydra.initialize_config_dir(str(packaged("conf")), version_base="1.3"):
        config = hydra.compose("config", list(overrides))
    _take_out(config)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return plain


# several runs --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Sweep:
    """What every run of a sweep knows of it; it is sent to the processes of launchers."""

    total: int
    swept: frozenset[str]
    flags: tuple[str, ...]


def _sweep(flags: list[str], overrides: list[str]) -> int:
    """Every combination; one that fails leaves a message in its folder and the others go on."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    _need_extras(parsed)
    total = prod(len(list(o.sweep_string_iterator())) for o in parsed if o.is_discrete_sweep())
    chosen = [Path(str(o.value())) for o in parsed if o.key_or_group == "hydra.sweep.dir"]
    now = datetime.now()
    folder = chosen[-1] if chosen else new_folder(Path("outputs", f"{now:%Y-%m-%d}", f"{now:%H-%M-%S}-sweep"))
    swept = frozenset(o.key_or_group for o in parsed if o.is_sweep_override())
    sweep = _Sweep(total, swept, tuple(f for f in flags if f not in ("-m", "--multirun")))
    code = 0
    try:
        where = [*_search_space(parsed), f"hydra.sweep.dir={folder}"]
        if chosen and any(folder.rglob(LOG)):
            _refuse_other_runs(flags, parsed)
        _through_hydra(lambda config: _one_of_many(config, sweep), [*flags, *overrides, *where])
    except KeyboardInterrupt:
        code = 130
    except _Refused as error:
        raise error.args[0] from error
    except Exception as error:
        if isinstance(error, (InputError, HydraException)) or not any(folder.rglob(LOG)):
            discard(folder)
            raise
        code = 1  # a launcher's own trouble, such as a worker that was killed; what there is, is kept
        print(f"\nThe sweep broke off: {type(error).__name__}: {str(error).strip().splitlines()[0]}", file=sys.stderr)
    if not any(folder.rglob(LOG)):  # ended before the first run began
        discard(folder)
        return code
    from kanpde.study import summarise
    from kanpde.study.process import RUNNING, status
    from kanpde.study.sweep import report_tuning

    print()
    left = [folder / row["folder"] for row in summarise(folder) if row["status"] == "unfinished"]
    unfinished = sum(status(each).state != RUNNING for each in left)  # others may be at work in the same folder
    failed = sorted(folder.rglob(FAILED))
    if failed:
        print(f"{len(failed)} failed; why is in {', '.join(map(str, failed[:3]))}{', ...' * (len(failed) > 3)}")
    if code == 1:
        print("With isolate=true each run is a process of its own, whose end does no harm to the others.")
    if code or unfinished:
        print(f"{unfinished} unfinished; the same command does what is missing with hydra.sweep.dir={folder}")
    if best := report_tuning(folder):
        print(best)
    print(f"Results: {folder}")
    return code or int(bool(failed or unfinished))


def _need_extras(parsed: list[Override]) -> None:
    for o in parsed:
        plugin, extra = EXTRAS.get(str(o.value()), ("", ""))
        if plugin and o.key_or_group in ("hydra/launcher", "hydra/sweeper", "study"):
            try:
                found = find_spec(f"hydra_plugins.{plugin}")
            except ModuleNotFoundError:
                found = None
            if found is None:
                raise InputError(f"{o.input_line} needs packages that are not installed. "
                                 f"Write: pip install 'kanpde[{extra}]'")  # fmt: skip


def _search_space(parsed: list[Override]) -> list[str]:
    """For +study=tune, the options of the model that is tuned; Hydra cannot choose one file by another choice."""
    if not any(o.key_or_group == "study" and o.value() == "tune" for o in parsed):
        return []
    chosen = [o for o in parsed if o.key_or_group == "model"]
    if any(o.is_sweep_override() for o in chosen):
        raise InputError(f"{chosen[-1].input_line} asks to tune several models. Tune one at a time: model=kan.")
    return [f"{SPACE}{chosen[-1].value() if chosen else 'kan'}"]


def _refuse_other_runs(flags: list[str], parsed: list[Override]) -> None:
    """Compares all that would be run with what is there, before the first run begins."""
    from kanpde.study.sweep import refuse_another

    if any(o.key_or_group in ("hydra/sweeper", "study") for o in parsed):
        return  # its runs are not known before; each is compared when it is its turn
    errors: list[InputError] = []
    folders: list[Path] = []

    def compare(config: DictConfig) -> None:
        folders.append(Path(HydraConfig.get().runtime.output_dir))
        try:
            _take_out(config)
            refuse_another(folders[-1], _as_text(config))
        except InputError as error:
            errors.append(error)

    here = [o.input_line for o in parsed if not re.match(r"hydra[./]launcher\b", o.key_or_group)]
    _through_hydra(compare, [*flags, *filter(None, here)])
    if errors:
        for each in folders:
            with suppress(OSError):  # Hydra made those that were not there
                each.rmdir()
        raise errors[0]


def _one_of_many(config: DictConfig, sweep: _Sweep) -> float | None:
    """A run of a sweep, in the process of the command or in one of a launcher's."""
    from kanpde.study.sweep import carry_out, fresh_loss

    job = HydraConfig.get()
    is_tuned = "optuna" in str(job.sweeper.get("_target_"))
    total = job.sweeper.n_trials if is_tuned else sweep.total
    swept = {*sweep.swept, *(job.sweeper.params or ())} if is_tuned else sweep.swept
    choice = [o for o in _typed() if o.partition("=")[0].lstrip("+") in swept]
    title = f"Run {job.job.num + 1} of {total}: {' '.join(choice)}"
    try:
        carry_out(_task(config, sweep, title), partial(_attempt, config))
    except InputError as error:
        raise _Refused(error) from error
    return fresh_loss(Path(job.runtime.output_dir)) if is_tuned else None


def _task(config: DictConfig, sweep: _Sweep, title: str):
    from kanpde.study.sweep import Task

    job = HydraConfig.get()
    isolate, retry_failed = _take_out(config)
    of_hydra = [str(o) for o in job.overrides.hydra if str(o).startswith("hydra.searchpath")]
    typed = [o for o in _typed() if o.partition("=")[0] not in SWEEP_OPTIONS]
    return Task(
        folder=Path(job.runtime.output_dir),
        title=title,
        config=_as_text(config),
        overrides=(*sweep.flags, *typed, *of_hydra),
        isolate=isolate,
        retry_failed=retry_failed,
        alone="BasicLauncher" in str(job.launcher.get("_target_")),
    )


def _take_out(config: DictConfig) -> list[bool]:
    """Removes `SWEEP_OPTIONS` from the config and returns them."""
    with open_dict(config):
        asked = [config.pop(name, False) for name in SWEEP_OPTIONS]
    for name, value in zip(SWEEP_OPTIONS, asked, strict=True):
        if not isinstance(value, bool):
            raise InputError(f"{name} must be true or false, got {value}. Write {name}=true.")
    return asked


def _as_text(config: DictConfig) -> str:
    try:
        return OmegaConf.to_yaml(config, resolve=True)
    except OmegaConfBaseException:
        return ""  # `_attempt` says why


class _Refused(BaseException):
    """Ends a sweep whose folder has other runs; Hydra would go on with the next run after an Exception."""


# Hydra ---------------------------------------------------------------------------------------------------------------
def _through_hydra(task: Callable[[DictConfig], Any], arguments: list[str]) -> None:
    """Has Hydra call ``task`` with the config, or several times with several; its errors become ours."""
    _teach_hydra()
    before, sys.argv = sys.argv, [sys.argv[0], *arguments]
    full_error, os.environ[FULL_ERROR] = os.environ.get(FULL_ERROR, ""), "1"  # else it prints and exits by itself
    try:
        hydra.main(version_base="1.3", config_path=str(packaged("conf")), config_name="config")(task)()
    except OSError as error:
        raise unwritable(error) from error
    finally:
        sys.argv, os.environ[FULL_ERROR] = before, full_error


def _teach_hydra() -> None:
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
            raise InputError(_in_words(error)) from error

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
        return (
            f'Unknown option "{unknown[1]}". {suggest(unknown[1].partition(".")[0], (*OPTIONS, *SWEEP_OPTIONS))}{hint}'
        )
    cause = str(error.__cause__).split("\n")[0] if error.__cause__ else ""
    return f"{first.rstrip('.')}{': ' if cause else ''}{cause}. {SEE_HELP}"


if __name__ == "__main__":
    from kanpde.__main__ import main as command  # by the name under which a launcher's processes find it too

    sys.exit(command())
