"""One run: solve the problem that a config describes, and save the results in a folder."""

from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT, SIGTERM, SIGUSR1
from typing import Any, TextIO

from kanpde.configure.job import Job, make_job
from kanpde.ends import End
from kanpde.errors import InputError
from kanpde.paths import CONFIG, FAILED, short
from kanpde.solution import Solution
from kanpde.storage.checkpoint import Checkpoints, checkpoint_files
from kanpde.storage.folders import replace_text
from kanpde.storage.store import prepare_folder, save
from kanpde.terminal import Display, report
from kanpde.training.resuming import resume
from kanpde.training.solve import solve
from kanpde.training.stopping import StopRequest, stop_on


def execute(config: Mapping[str, Any], yaml: str, folder: Path, log: TextIO, goes_on: bool = False) -> Solution:
    """Solve and save. SIGINT, SIGTERM and SIGUSR1 end the run after the current step; its state is then saved.

    After SIGINT the solution so far is also saved as a result. After the other two it is not, because batch systems
    send them shortly before they kill the process.

    Args:
        config: plain dictionaries.
        yaml: the same config as text, stored with the results.
        folder: for the results.
        log: receives everything that is printed.
        goes_on: resume from the last checkpoint in the folder, if there is one.

    Raises:
        InputError: the config, or the user's own problem, is invalid.
    """
    with stop_on(SIGINT, SIGTERM, SIGUSR1) as stop, Checkpoints(folder) as checkpoints:
        job = make_job(config)
        replace_text(folder / CONFIG, yaml)
        try:
            prepare_folder(folder, job.problem, job.output)
            with Display(log, _title(job)) as display:
                solution = _solved(job, checkpoints, stop, display, goes_on)
            if solution.ending.end in (End.TERMINATED, End.PREEMPTED):
                display.say(f"Ended: {solution.reason}. The state is saved; continue with resume={short(folder)}.")
                return solution
            _save(solution, job, folder, yaml, display)
        except InputError:
            raise
        except Exception as error:
            if of_user := job.file.error_in_own_file(error):
                raise of_user from error
            raise
        return solution


def _solved(job: Job, checkpoints: Checkpoints, stop: StopRequest, display: Display, goes_on: bool) -> Solution:
    schedule, settings = job.schedule, job.settings
    if goes_on and checkpoint_files(checkpoints.folder):
        limit = settings["time_limit"]
        return resume(
            checkpoints,
            job.problem,
            phases=schedule.phases,
            time_limit=float("inf") if limit is None else limit,
            checkpoint=settings["checkpoint"],
            device=settings["device"],
            stop=stop,
            observe=display.observe,
            log=display.say,
        )
    return solve(
        job.problem,
        job.model,
        schedule.phases,
        starts=schedule.starts,
        sampling=job.sampling,
        **settings,
        folder=checkpoints,
        stop=stop,
        observe=display.observe,
        log=display.say,
    )


def _save(solution: Solution, job: Job, folder: Path, yaml: str, display: Display) -> None:
    save(solution, folder, job.output, yaml)
    (folder / FAILED).unlink(missing_ok=True)  # of an earlier attempt
    if job.plots:
        from kanpde.plots.run import save_plots  # here, because it imports matplotlib

        save_plots(solution, folder)
    for line in report(solution, short(folder)):
        display.say(line)
    if solution.ending.end.is_requested:
        display.say(f"  continue:    python -m kanpde resume={short(folder)}")


def _title(job: Job) -> list[str]:
    origin = "" if job.file.is_packaged else f" ({short(job.file.path)})"
    return [f"{job.file.name}{origin}: {', '.join(job.problem.unknowns)} on {job.problem.domain}", str(job.model)]
