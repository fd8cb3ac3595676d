"""One run of a sweep: carry it out, skip it if it is done, or refuse a folder that holds a different run."""

from __future__ import annotations

import csv
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from math import inf, isfinite, log10
from pathlib import Path
from time import monotonic, sleep
from traceback import format_exc
from typing import IO, Any, TextIO

from kanpde.configure.typed import on_command_line
from kanpde.ends import End, Stopped
from kanpde.errors import InputError
from kanpde.paths import CONFIG, FAILED, JOURNAL, LOG
from kanpde.runs.journal import hold, note_begin, note_end
from kanpde.runs.process import COMMAND, Attempt
from kanpde.runs.status import RunState, Status, is_finished, status
from kanpde.storage.folders import discard, replace_text, unwritable
from kanpde.training.resuming import begin_again
from kanpde.training.stopping import signals_of_command, stop_on

TUNED = "optimization_results.yaml"  # written by Optuna's sweeper
SHOWN = 3  # largest number of differences in a message
POLL = 0.05  # seconds between checks of a process


@dataclass(frozen=True)
class Task:
    """A run of a sweep.

    Attributes:
        folder: folder of the run.
        title: title of the run in messages.
        config: all options, as YAML.
        overrides: the options as typed, and flags.
        isolate: carry out the run in its own process.
        retry_failed: repeat the run if it failed before.
        alone: no other run writes to the terminal, so progress can be shown.
    """

    folder: Path
    title: str
    config: str
    overrides: tuple[str, ...]
    isolate: bool
    retry_failed: bool
    alone: bool


def carry_out(task: Task, attempt: Callable[[Path, TextIO, str | None], None]) -> None:
    """Carry out the run unless it is done or another process is doing it; a failure is recorded, not raised.

    Args:
        task: the run.
        attempt: carries it out in this process; called with the folder, an open log, and "" to resume the run or
            None to begin it.

    Raises:
        InputError: the folder holds a run with another config, or cannot be written.
        KeyboardInterrupt: Ctrl-C.
    """
    journal = hold(task.folder)
    if journal is None:
        _say(f"{task.title}: another process is doing it")
        return
    with journal:
        refuse_another(task.folder, task.config)
        if before := done_before(task.folder, task.retry_failed):
            _say(f"{task.title}: {before.state} before ({before.reason})")
            return
        if task.isolate:
            _apart(task, journal)
        else:
            _here(task, journal, attempt)
    found = status(task.folder, mine=True)
    if task.isolate or not task.alone:
        seconds = f" in {found.seconds:.1f} s" if isfinite(found.seconds) else ""
        _say(f"{task.title}: {found.state}{seconds} ({found.reason})")


def _say(line: str) -> None:
    print(line, flush=True)


def _apart(task: Task, journal: IO[bytes]) -> None:
    with stop_on(*signals_of_command()) as stop:
        process = Attempt(task.folder, journal, task.overrides)
        try:
            while not process.ended():
                is_bypassed = stop.end is End.TERMINATED and stop.is_taken_over()
                if stop.end is not None and not is_bypassed:
                    raise Stopped(stop.end)
                sleep(POLL)
        except BaseException:
            process.stop()  # which saves its state
            raise


def _here(task: Task, journal: IO[bytes], attempt: Callable[[Path, TextIO, str | None], None]) -> None:
    goes_on = begin_again(task.folder)
    note_begin(journal, task.overrides, (*COMMAND, *task.overrides))
    began, reason = monotonic(), ""
    if task.alone:
        _say(f"\n{task.title}")
    try:
        quiet = nullcontext() if task.alone else redirect_stdout(StringIO())  # run.log has the output
        with quiet, _log_in(task.folder) as log:
            attempt(task.folder, log, "" if goes_on else None)
    except KeyboardInterrupt as stopped:
        reason = stopped.end.message if isinstance(stopped, Stopped) else End.INTERRUPTED.message
        discard(task.folder)
        raise
    except Exception as error:
        reason = on_command_line(error) if isinstance(error, InputError) else format_exc()
        replace_text(task.folder / FAILED, f"{reason}\n")
        if task.alone:
            print(f"Failed: {reason}", file=sys.stderr, flush=True)
    finally:
        note_end(journal, monotonic() - began, reason)


def _log_in(folder: Path) -> TextIO:
    try:
        return open(folder / LOG, "a", encoding="utf-8")
    except OSError as error:
        raise unwritable(error) from error


def fresh_loss(folder: Path) -> float:
    """Return log10 of the loss on points that were not used for training; inf if the run has no result.

    Tuning minimizes it; it needs no exact solution.
    """
    from kanpde.storage.store import read_record

    if not is_finished(folder) or (folder / FAILED).exists():
        return inf
    loss = read_record(folder)["settings"].get("fresh", inf)
    return log10(loss) if 0 < loss < inf else inf


def report_tuning(folder: Path) -> str:
    """Write ``trials.csv`` with one line for every trial of a tuning sweep; return the best options as a command.

    Returns:
        "" if the sweep was not a tuning sweep, or did not complete.
    """
    import yaml

    if not (folder / TUNED).is_file():
        return ""
    best = yaml.safe_load((folder / TUNED).read_text(encoding="utf-8"))
    places = sorted((path.parent for path in folder.glob(f"*/{JOURNAL}")), key=lambda p: (len(p.name), p.name))
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(("run", "state", "log10_fresh_loss", "seconds", "reason", "options"))
    options: dict[str, list[str]] = {}
    for place in places:
        found = status(place)
        options[place.name] = [o for o in found.overrides or () if not re.match(r"\+?study=", o)]
        writer.writerow(
            (place.name, found.state, fresh_loss(place), found.seconds, found.reason, shlex.join(options[place.name]))
        )
    replace_text(folder / "trials.csv", text.getvalue())
    if not isfinite(best["best_value"]):
        return f"None of {len(places)} trials gave a result."
    winner = min(places, key=fresh_loss)
    return (
        f"Best of {len(places)} trials, log10 of the loss on fresh points {fresh_loss(winner):.2f}:\n"
        f"python -m kanpde {shlex.join(options[winner.name])}"
    )


def done_before(folder: Path, retry_failed: bool = False) -> Status | None:
    """Return the status of the run if nothing is left to do, or None if it must be carried out.

    Args:
        folder: of the run.
        retry_failed: repeat failed runs.
    """
    found = status(folder, mine=True)
    # a run whose config could not be composed left no config; to refuse it once more costs nothing
    failed = found.state is RunState.FAILED and not retry_failed and (folder / CONFIG).is_file()
    return found if found.state is RunState.FINISHED or failed else None


def refuse_another(folder: Path, config: str) -> None:
    """Refuse a folder that holds a run with another config.

    Raises:
        InputError: the configs differ; the message names the differences.
    """
    import yaml

    try:
        there = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return
    found = [f"{key}={a} there, {b} now" for key, a, b in _differences(there, yaml.safe_load(config))]
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise InputError(
            f"{folder} has a run with other options: {'; '.join(found[:SHOWN])}{more}. "
            "Choose another folder: hydra.sweep.dir=outputs/mine."
        )


def _differences(there: Any, here: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (option, value there, value here) for every difference between two configs."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for name in dict.fromkeys([*there, *here]):
            dotted = f"{key}.{name}" if key else str(name)
            yield from _differences(there.get(name, "nothing"), here.get(name, "nothing"), dotted)
    elif repr(there) != repr(here):  # nan equals itself
        yield key, there, here
