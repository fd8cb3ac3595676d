"""`kanpde.resume`: go on with a run; its problem can be read from its configuration."""

from pathlib import Path
from typing import Any

from kanpde.configure.problem_file import find_problem
from kanpde.errors import InputError
from kanpde.paths import CONFIG
from kanpde.problem import Problem
from kanpde.solution import Solution
from kanpde.storage.checkpoint import Checkpoints, read_newest
from kanpde.storage.folders import existing
from kanpde.training.resuming import gone_on, reopened
from kanpde.training.signals import StopRequest
from kanpde.training.solve import Log, Observe


def resume(
    folder: str | Path,
    problem: Problem | None = None,
    *,
    stop: StopRequest | None = None,
    observe: Observe = lambda progress: None,
    log: Log = lambda line: None,
    **options: Any,
) -> Solution:
    """Resume a run from its last checkpoint after it was stopped, killed or ended by its time limit.

    On the same machine, with the same versions and one thread, the result is bitwise identical to that of an
    uninterrupted run.

    Args:
        folder: of a run of the command line, or one that was given to `solve`.
        problem: the problem that was being solved; for a run of the command line ``config.yaml`` names it.
        stop, observe, log: as in `kanpde.solve`.
        options: ``model``, ``phases``, ``time_limit``, ``checkpoint`` and ``device``, as in
            `kanpde.training.resuming.reopened`.

    Raises:
        InputError: there is no checkpoint, another process runs in the folder, or the problem, version or phases do
            not match the stored run.
    """
    held = existing(folder, "checkpoint")
    problem = problem_of(held) if problem is None else problem
    read_newest(folder)  # before a folder is made or locked
    with Checkpoints(folder) as checkpoints:
        return gone_on(reopened(folder, problem, **options), checkpoints, stop, observe, log)


def problem_of(folder: Path) -> Problem:
    """Return the problem that a run's configuration names.

    Raises:
        InputError: the folder has no configuration.
    """
    import yaml

    try:
        config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        raise InputError(
            f'"{folder}" has no {CONFIG} that names its problem. Give the problem: kanpde.resume(folder, poisson()).'
        ) from None
    file, arguments = find_problem(config["problem"])
    return file.make(arguments)
