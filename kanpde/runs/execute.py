"""One run: solve the problem that a config describes, and save the results in a folder."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from warnings import catch_warnings, simplefilter

from kanpde.configure.job import Job, make_job
from kanpde.configure.loading import loading_code
from kanpde.ends import End, Stopped
from kanpde.errors import InputError, ResultWarning
from kanpde.paths import CONFIG, EXTENDED, FAILED, RESULT, short
from kanpde.solution import Solution
from kanpde.storage.checkpoint import Checkpoints
from kanpde.storage.folders import replace_text
from kanpde.storage.store import prepare_folder, save
from kanpde.terminal import Display, report
from kanpde.training.phases import Progress
from kanpde.training.resuming import gone_on, reopened
from kanpde.training.signals import StopRequest, signals_of_command, stop_on
from kanpde.training.solve import solve

if TYPE_CHECKING:
    from kanpde.plots.film import Film

MOST_NAMED = 10  # coordinates of which the first line of the output has names and ranges


def execute(config: Mapping[str, Any], yaml: str, folder: Path, log: TextIO, resumed_by: str | None = None) -> Solution:
    """Solve and save. SIGINT, SIGTERM and SIGUSR1 end the run after the current step; its state is then saved.

    After SIGINT the solution so far is also saved as a result. After the other two it is not, because batch systems
    send them shortly before they kill the process.

    Args:
        config: plain dictionaries.
        yaml: the same config as text, stored with the results.
        folder: for the results.
        log: receives everything that is printed.
        resumed_by: the command that resumes the run from the last checkpoint in the folder, if there is one; None for
            a new run. Nothing is written before it is certain that the run can be resumed.

    Raises:
        InputError: the config, or the user's own problem, is invalid.
    """
    with stop_on(*signals_of_command()) as stop, Checkpoints(folder) as checkpoints:
        job = make_job(config)
        try:
            prepare_folder(folder, job.problem, job.output)
            train = _start(job) if resumed_by is None else _resumption(job, folder)
            if resumed_by:
                log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {resumed_by}\n")
            replace_text(folder / CONFIG, yaml)
            if (folder / RESULT).is_file():  # of a run that is extended, and no longer its result
                (folder / EXTENDED).touch()
            film = _film(job)
            with Display(log, _title(job)) as display, catch_warnings():
                simplefilter("ignore", ResultWarning)  # `report` prints them, with options
                solution = train(checkpoints, stop, display, [display.observe, *film])
            if solution.ending.end in (End.TERMINATED, End.PREEMPTED):
                lost = " The film will begin where the run is resumed." if job.output.film else ""
                display.say(f"Ended: {solution.reason}. The state is saved.{lost}")
            else:
                _save(solution, job, folder, yaml, display, film)
            if solution.ending.end.is_requested:
                display.say(f"  continue:    python -m kanpde resume={short(folder)}")
            elif solution.ending.end is End.TIME_LIMIT:
                more = 2 * job.settings["time_limit"]
                display.say(f"  continue:    python -m kanpde resume={short(folder)} time_limit={more:g}")
            elif stop.end is not None and not stop.is_taken_over():  # the signal came while the result was saved
                raise Stopped(stop.end)
        except InputError:
            raise
        except Exception as error:
            if of_user := job.file.error_in_own_file(error):
                raise of_user from error
            raise
        return solution


Watcher = Callable[[Progress], None]
Training = Callable[[Checkpoints, StopRequest, Display, Sequence[Watcher]], Solution]


def _film(job: Job) -> list["Film"]:
    """Return what keeps the networks for film.gif, if there is to be one."""
    if not job.output.film:
        return []
    from kanpde.plots.film import Film

    return [Film()]


def _all(watchers: Sequence[Watcher]) -> Watcher:
    """Return a function that calls all of them."""

    def observe(progress: Progress) -> None:
        for watcher in watchers:
            watcher(progress)

    return observe


def _start(job: Job) -> Training:
    """Return the training of a new run."""

    def train(checkpoints: Checkpoints, stop: StopRequest, display: Display, watchers: Sequence[Watcher]) -> Solution:
        return solve(
            job.problem,
            job.model,
            job.schedule.phases,
            starts=job.schedule.starts,
            sampling=job.sampling,
            **job.settings,
            folder=checkpoints,
            stop=stop,
            observe=_all(watchers),
            log=display.say,
        )

    return train


def _resumption(job: Job, folder: Path) -> Training:
    """Return the training from the last checkpoint, which is read immediately."""
    limit = job.settings.get("time_limit")
    run = reopened(
        folder,
        job.problem,
        phases=job.schedule.phases,
        time_limit=float("inf") if limit is None else limit,
        checkpoint=job.settings.get("checkpoint"),
        device=job.settings.get("device", "auto"),
        needs_time=(folder / RESULT).is_file(),
    )
    return lambda checkpoints, stop, display, watchers: gone_on(run, checkpoints, stop, _all(watchers), display.say)


def _save(solution: Solution, job: Job, folder: Path, yaml: str, display: Display, film: list["Film"]) -> None:
    save(solution, folder, job.output, yaml)
    for name in (FAILED, EXTENDED):  # of earlier attempts
        (folder / name).unlink(missing_ok=True)
    formulas = [_formula(solution, folder, display)] if job.formula else []
    if job.plots:
        from kanpde.plots.run import save_plots  # here, because it imports matplotlib

        save_plots(solution, folder, *(_edge_texts(solution) if job.formula else ()))
    for each in film:
        if each.frames:
            each.save(solution, folder / "film.gif")
        else:
            display.say("No film was written, because no step was taken.")
    loading = loading_code(job, short(folder), solution.problem.ansatz)
    for line in [*report(solution, short(folder), loading), *formulas]:
        display.say(line)


def _formula(solution: Solution, folder: Path, display: Display) -> str:
    """Read a formula and store it; return a line on it, also where none can be decided, as the run has its result."""
    from kanpde.formulas import formula  # here, because it imports sympy

    try:
        found = formula(solution, log=display.say)
    except InputError as error:
        return f"Formula: {error}"
    found.save(folder)
    return f"Formula, {found}"


def _edge_texts(solution: Solution) -> tuple[dict, dict]:
    """Return names and texts of the edges that are recognised; none where no formula can be read."""
    from kanpde.formulas.edges import edge_texts

    try:
        return edge_texts(solution)
    except InputError:
        return {}, {}


def _title(job: Job) -> list[str]:
    origin = "" if job.file.is_packaged else f" ({short(job.file.path)})"
    network = f"the network of {job.settings['start']}" if job.model is None else str(job.model)
    domain, unknowns = job.problem.domain, ", ".join(job.problem.unknowns)
    on = str(domain) if len(domain.names) <= MOST_NAMED else f"{len(domain.names)} coordinates"
    return [f"{job.file.name}{origin}: {unknowns} on {on}", network]
