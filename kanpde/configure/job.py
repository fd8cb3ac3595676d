"""The objects of one run, made from a plain config."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kanpde.configure.problem_file import ProblemFile, find_problem
from kanpde.configure.signatures import Schedule, build, check, make_model
from kanpde.configure.typed import text
from kanpde.errors import InputError, suggest
from kanpde.problem import Problem
from kanpde.storage.output import Output
from kanpde.training.sampling import Sampling
from kanpde.training.solve import solve

GROUPS = ("problem", "model", "schedule", "sampling", "output")
# arguments of `solve` that are not set by an option of the same name
_FROM_GROUPS = ("problem", "model", "phases", "starts", "sampling", "folder", "stop", "observe", "log")
OPTIONS = (*GROUPS, "plots", "formula", *(k for k in inspect.signature(solve).parameters if k not in _FROM_GROUPS))


@dataclass(frozen=True)
class Job:
    """The objects and settings that a config describes."""

    file: ProblemFile
    arguments: dict[str, Any]  # of its function
    problem: Problem
    model: Any  # None if the run begins with a stored network
    schedule: Schedule
    sampling: Sampling
    output: Output
    plots: bool
    formula: bool
    settings: dict[str, Any]  # the other arguments of `solve`


def make_job(config: Mapping[str, Any]) -> Job:
    """Make the objects of a run without computing anything.

    Raises:
        InputError: the config is invalid.
    """
    for key in config:
        if key not in OPTIONS:
            raise InputError(f'Unknown option "{key}". {suggest(key, OPTIONS)}')
    start = config.get("start")
    if start is not None and not isinstance(start, str):
        raise InputError(f"start must be the folder of a run, got {text(start)}. Write start=outputs/mine.")
    for group in GROUPS:
        if group not in config and not (group == "model" and start is not None):
            raise InputError(f"The config has no {group}. Leave out what removed it, such as ~{group}.")
    flags = {"plots": True, "formula": False}
    for name, default in flags.items():
        flags[name] = config.get(name, default)
        if not isinstance(flags[name], bool):
            raise InputError(f"{name} must be true or false, got {text(flags[name])}. Write {name}=true.")
    file, arguments = find_problem(config["problem"])
    others = {key: value for key, value in config.items() if key not in (*GROUPS, *flags)}
    return Job(
        settings=check(solve, others, given=_FROM_GROUPS),
        model=make_model(config["model"]) if "model" in config else None,
        schedule=build(Schedule, config["schedule"], "schedule"),
        sampling=build(Sampling, config["sampling"], "sampling"),
        output=build(Output, config["output"], "output"),
        **flags,
        file=file,
        arguments=arguments,
        problem=file.make(arguments),
    )
