"""`kanpde.resume`: as in `kanpde.training.resuming`, but the problem can be read from the run's configuration."""

from pathlib import Path
from typing import Any

from kanpde.configure.problem_file import find_problem
from kanpde.errors import InputError
from kanpde.paths import CONFIG
from kanpde.problem import Problem
from kanpde.solution import Solution
from kanpde.training import resuming


def resume(folder: str | Path, problem: Problem | None = None, **options: Any) -> Solution:
    """Resume a run from its last checkpoint after it was stopped, killed or ended by its time limit.

    Args:
        folder: of a run of the command line, or one that was given to `solve`.
        problem: the problem that was being solved; for a run of the command line ``config.yaml`` names it.
        options: ``model``, ``phases``, ``time_limit``, ``checkpoint``, ``device``, ``stop``, ``observe``, ``log``, as
            in `kanpde.training.resuming.resume`.

    Raises:
        InputError: there is no checkpoint, another process runs in the folder, or the problem, version or phases do
            not match the stored run.
    """
    return resuming.resume(folder, problem_of(Path(folder)) if problem is None else problem, **options)


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
