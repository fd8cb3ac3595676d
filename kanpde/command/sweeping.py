"""Several runs: -m on the command line."""

import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from math import prod
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig

from kanpde.command.composing import as_text, take_out, through_hydra
from kanpde.command.messages import SWEEP_OPTIONS
from kanpde.command.single import SPACE, attempt, options_typed
from kanpde.ends import End, Stopped
from kanpde.errors import InputError
from kanpde.paths import FAILED, LOG
from kanpde.storage.folders import discard, new_folder

EXTRAS = {  # by value of hydra/launcher, hydra/sweeper or study: the plugin it needs, and the extra that installs it
    "joblib": ("hydra_joblib_launcher", "joblib"),
    "ray": ("hydra_ray_launcher", "ray"),
    "ray_cluster": ("hydra_ray_launcher", "ray"),
    **dict.fromkeys(("slurm", "submitit_slurm", "submitit_local"), ("hydra_submitit_launcher", "slurm")),
    **dict.fromkeys(("optuna", "tune"), ("hydra_optuna_sweeper", "tune")),
}


@dataclass(frozen=True)
class _Sweep:
    """The data of a sweep that all its runs share; it is sent to the processes of launchers."""

    total: int
    swept: frozenset[str]
    flags: tuple[str, ...]


def run_sweep(flags: list[str], overrides: list[str]) -> int:
    """Carry out every combination; a run that fails leaves a message in its folder and does not stop the others."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    total = prod(len(list(o.sweep_string_iterator())) for o in parsed if o.is_discrete_sweep())
    chosen = [Path(str(o.value())) for o in parsed if o.key_or_group == "hydra.sweep.dir"]
    now = datetime.now()
    folder = chosen[-1] if chosen else new_folder(Path("outputs", f"{now:%Y-%m-%d}", f"{now:%H-%M-%S}-sweep"))
    swept = frozenset(o.key_or_group for o in parsed if o.is_sweep_override())
    sweep = _Sweep(total, swept, tuple(f for f in flags if f not in ("-m", "--multirun")))
    from kanpde.runs.process import quoted

    code = 0
    try:
        where = [*_search_space(parsed), f"hydra.sweep.dir={quoted(folder)}"]
        if chosen and any(folder.rglob(LOG)):
            _refuse_other_runs(flags, parsed)
        through_hydra(lambda config: _one_of_many(config, sweep), [*flags, *overrides, *where])
    except Stopped as stopped:
        code = stopped.end.exit_code
    except KeyboardInterrupt:
        code = End.INTERRUPTED.exit_code
    except _Refused as error:
        raise error.args[0] from error
    except Exception as error:
        if isinstance(error, (InputError, HydraException)) or not any(folder.rglob(LOG)):
            discard(folder)
            raise
        code = 1  # an error of the launcher, such as a killed worker; existing results are kept
        print(f"\nThe sweep failed: {type(error).__name__}: {str(error).strip().splitlines()[0]}", file=sys.stderr)
    if not any(folder.rglob(LOG)):  # the sweep ended before its first run began
        discard(folder)
        return code
    from kanpde.runs.status import RunState
    from kanpde.runs.sweep import report_tuning
    from kanpde.study import summarise

    print()
    unfinished = sum(row["status"] in (RunState.INTERRUPTED, RunState.EMPTY) for row in summarise(folder))
    failed = sorted(folder.rglob(FAILED))
    if failed:
        print(f"{len(failed)} failed; reasons are in {', '.join(map(str, failed[:3]))}{', ...' * (len(failed) > 3)}")
    if code == 1:
        print("With isolate=true each run has its own process, so that a crash does not affect the others.")
    if code or unfinished:
        print(f"{unfinished} unfinished; to complete them, repeat the command with hydra.sweep.dir={folder}")
    if best := report_tuning(folder):
        print(best)
    print(f"Results: {folder}")
    return code or int(bool(failed or unfinished))


def need_extras(overrides: list[str]) -> None:
    """Refuse a launcher, a sweeper or a study whose optional packages are not installed.

    Raises:
        InputError: packages are missing; the message names the extra to install.
    """
    for o in OverridesParser.create().parse_overrides(overrides):
        if missing := _missing_extra(o):
            raise InputError(
                f"{o.input_line} needs packages that are not installed. Write: pip install 'kanpde[{missing}]'"
            )


def _missing_extra(override: Override) -> str:
    """Return the missing extra that the option needs, or ""."""
    plugin, extra = EXTRAS.get(str(override.value()), ("", ""))
    if not plugin or override.key_or_group not in ("hydra/launcher", "hydra/sweeper", "study"):
        return ""
    try:
        return "" if find_spec(f"hydra_plugins.{plugin}") else extra
    except ModuleNotFoundError:
        return extra


def refuse_single_tuning(overrides: list[str]) -> None:
    """Refuse +study=tune without -m, which would be a single run.

    Raises:
        InputError: -m is missing; the message also names a missing extra.
    """
    for o in OverridesParser.create().parse_overrides(overrides):
        if _is_tuning(o):
            missing = _missing_extra(o)
            install = f" It needs packages that are not installed. Write: pip install 'kanpde[{missing}]'" * bool(
                missing
            )
            raise InputError(
                f"{o.input_line} makes many runs. Write -m before it: python -m kanpde -m {o.input_line}.{install}"
            )


def _is_tuning(override: Override) -> bool:
    return override.key_or_group == "study" and override.value() == "tune"


def _search_space(parsed: list[Override]) -> list[str]:
    """Return the option that selects the model's search space for +study=tune, which Hydra cannot derive by itself."""
    if not any(map(_is_tuning, parsed)):
        return []
    chosen = [o for o in parsed if o.key_or_group == "model"]
    if any(o.is_sweep_override() for o in chosen):
        raise InputError(f"{chosen[-1].input_line} asks to tune several models. Tune one at a time: model=kan.")
    return [f"{SPACE}{chosen[-1].value() if chosen else 'kan'}"]


def _refuse_other_runs(flags: list[str], parsed: list[Override]) -> None:
    """Compare all runs of the sweep with those in the folder, before the first run begins."""
    from kanpde.runs.sweep import refuse_another

    if any(o.key_or_group in ("hydra/sweeper", "study") for o in parsed):
        return  # the runs are not known in advance; each is compared when it begins
    errors: list[InputError] = []
    folders: list[Path] = []

    def compare(config: DictConfig) -> None:
        folders.append(Path(HydraConfig.get().runtime.output_dir))
        try:
            take_out(config, options_typed())
            refuse_another(folders[-1], as_text(config))
        except InputError as error:
            errors.append(error)

    here = [o.input_line for o in parsed if not re.match(r"hydra[./]launcher\b", o.key_or_group)]
    through_hydra(compare, [*flags, *filter(None, here)])
    if errors:
        for each in folders:
            with suppress(OSError):  # remove the empty folders that Hydra created
                each.rmdir()
        raise errors[0]


def _one_of_many(config: DictConfig, sweep: _Sweep) -> float | None:
    """Carry out one run of a sweep, in the process of the command or of a launcher."""
    from kanpde.runs.sweep import Task, carry_out, fresh_loss

    job = HydraConfig.get()
    is_tuned = "optuna" in str(job.sweeper.get("_target_"))
    total = job.sweeper.n_trials if is_tuned else sweep.total
    swept = {*sweep.swept, *(job.sweeper.params or ())} if is_tuned else sweep.swept
    choice = [o for o in options_typed() if o.partition("=")[0].lstrip("+") in swept]
    of_hydra = [str(o) for o in job.overrides.hydra if str(o).startswith("hydra.searchpath")]
    typed = [o for o in options_typed() if o.partition("=")[0] not in SWEEP_OPTIONS]
    try:
        isolate, retry_failed = take_out(config, options_typed())
        task = Task(
            folder=Path(job.runtime.output_dir),
            title=f"Run {job.job.num + 1} of {total}: {' '.join(choice)}",
            config=as_text(config),
            overrides=(*sweep.flags, *typed, *of_hydra),
            isolate=isolate,
            retry_failed=retry_failed,
            alone="BasicLauncher" in str(job.launcher.get("_target_")),
        )
        carry_out(task, partial(attempt, config))
    except InputError as error:
        raise _Refused(error) from error
    return fresh_loss(task.folder) if is_tuned else None


class _Refused(BaseException):
    """Ends a sweep whose folder holds other runs; after an Exception Hydra would continue with the next run."""
