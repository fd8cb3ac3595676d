"""One run: from a plain config to objects, `solve`, and a folder with the results."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from kanpde import store
from kanpde.configure import Schedule, build, check, make_model, text
from kanpde.errors import InputError, suggest
from kanpde.folders import CONFIG, short
from kanpde.output import Output
from kanpde.phases import Sampling
from kanpde.problem import Problem
from kanpde.problem_file import ProblemFile, find_problem
from kanpde.solution import Solution
from kanpde.solve import solve
from kanpde.terminal import Display, report

GROUPS = ("problem", "model", "schedule", "sampling", "output")
_FROM_GROUPS = ("problem", "model", "phases", "starts", "sampling", "observe", "log")  # arguments of solve
OPTIONS = (*GROUPS, "plots", *(k for k in inspect.signature(solve).parameters if k not in _FROM_GROUPS))


@dataclass(frozen=True)
class Job:
    """What a config asks for."""

    file: ProblemFile
    problem: Problem
    model: Any
    schedule: Schedule
    sampling: Sampling
    output: Output
    plots: bool
    settings: dict[str, Any]  # the other arguments of `solve`


def prepare(config: Mapping[str, Any]) -> Job:
    """Makes the objects; nothing is computed yet.

    Raises:
        InputError: something in the config cannot be.
    """
    for key in config:
        if key not in OPTIONS:
            raise InputError(f'Unknown option "{key}". {suggest(key, OPTIONS)}')
    for group in GROUPS:
        if group not in config:
            raise InputError(f"The config has no {group}. Leave out what removed it, such as ~{group}.")
    plots = config.get("plots", True)
    if not isinstance(plots, bool):
        raise InputError(f"plots must be true or false, got {text(plots)}. Write plots=true.")
    file, arguments = find_problem(config["problem"])
    others = {key: value for key, value in config.items() if key not in (*GROUPS, "plots")}
    return Job(
        settings=check(solve, others, given=_FROM_GROUPS),
        model=make_model(config["model"]),
        schedule=build(Schedule, config["schedule"], "schedule"),
        sampling=build(Sampling, config["sampling"], "sampling"),
        output=build(Output, config["output"], "output"),
        plots=plots,
        file=file,
        problem=file.make(arguments),
    )


def run(config: Mapping[str, Any], yaml: str, folder: Path, log: TextIO) -> Solution:
    """Solves and saves.

    Args:
        config: plain.
        yaml: the same as text, kept with the results.
        folder: for the results.
        log: gets what is said.

    Raises:
        InputError: something in the config, or in the user's own problem, cannot be.
    """
    (folder / CONFIG).write_text(yaml, encoding="utf-8")
    job = prepare(config)
    try:
        store.prepare(folder, job.problem, job.output)
        with Display(log, _title(job)) as display:
            solution = solve(
                job.problem,
                job.model,
                job.schedule.phases,
                starts=job.schedule.starts,
                sampling=job.sampling,
                **job.settings,
                observe=display.observe,
                log=display.say,
            )
        store.save(solution, folder, job.output, yaml)
        if job.plots:
            from kanpde.plots import save_plots  # takes matplotlib with it

            save_plots(solution, folder)
        for line in report(solution, short(folder)):
            display.say(line)
    except InputError:
        raise
    except Exception as error:
        if blamed := job.file.blamed(error):
            raise blamed from error
        raise
    return solution


def _title(job: Job) -> list[str]:
    origin = "" if job.file.is_packaged else f" ({short(job.file.path)})"
    return [f"{job.file.name}{origin}: {', '.join(job.problem.unknowns)} on {job.problem.domain}", str(job.model)]
