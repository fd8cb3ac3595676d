"""One run: from a plain config to a folder with the results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from kanpde.configure.job import Job, prepare
from kanpde.errors import InputError
from kanpde.paths import CONFIG, short
from kanpde.solution import Solution
from kanpde.storage import store
from kanpde.terminal import Display, report
from kanpde.training.solve import solve


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
        store.prepare_folder(folder, job.problem, job.output)
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
            from kanpde.plots.run import save_plots  # takes matplotlib with it

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
