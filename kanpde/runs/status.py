"""The state of a run, always derived from the files and locks in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import nan
from pathlib import Path
from typing import Any

from kanpde.ends import Ending
from kanpde.errors import InputError
from kanpde.paths import CONFIG, EXTENDED, FAILED, JOURNAL, LOG, RESULT
from kanpde.runs.journal import events
from kanpde.storage.checkpoint import checkpoint_files, is_held
from kanpde.storage.folders import is_locked, one_line
from kanpde.storage.record import read_ending


class RunState(StrEnum):
    """The states of a run, used for single runs, sweeps, ledgers, tables and reports."""

    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    RUNNING = "running"
    EMPTY = "not begun"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended with a result or a failure."""
        return self in (RunState.FINISHED, RunState.FAILED)


@dataclass(frozen=True)
class Status:
    """The state of a run, with details.

    Attributes:
        state: state of the run.
        reason: how it ended, in one line.
        attempts: number of processes that a sweep or study has started for it.
        seconds: run time of the last process; nan if no end was recorded.
        overrides: options of the last process; None if no process was started.
    """

    state: RunState
    reason: str = ""
    attempts: int = 0
    seconds: float = nan
    overrides: tuple[str, ...] | None = None


def status(folder: Path, mine: bool = False) -> Status:
    """Return the state of the run in a folder.

    *running*: a process holds one of its locks. *failed*: ``failed.txt`` exists. *finished*: the result is intact, and
    the run was not stopped by a signal. *interrupted*: the run was started, and none of the above applies. *not
    begun*: the run was not started.

    Args:
        folder: of the run; it need not exist.
        mine: the caller itself holds the locks.
    """
    found = events(folder / JOURNAL)
    begun = [e for e in found if "overrides" in e]
    last = found[-1] if found else {}
    known: dict[str, Any] = {"attempts": len(begun), "seconds": last.get("seconds", nan)}
    known["overrides"] = tuple(begun[-1]["overrides"]) if begun else None
    if not mine and (is_locked(folder / JOURNAL) or is_held(folder)):
        return Status(RunState.RUNNING, **known)
    if (folder / FAILED).is_file():
        text = (folder / FAILED).read_text(encoding="utf-8", errors="replace")
        return Status(RunState.FAILED, one_line(text), **known)
    ending = result_ending(folder)
    if is_finished(folder):
        return Status(RunState.FINISHED, str(ending), **known)
    has_files = any((folder / name).is_file() for name in (RESULT, LOG, CONFIG)) or checkpoint_files(folder)
    if begun or has_files:
        seen = str(ending) if ending else "the result is damaged" if (folder / RESULT).is_file() else ""
        return Status(RunState.INTERRUPTED, last.get("reason") or seen or "no end was recorded", **known)
    return Status(RunState.EMPTY)


def result_ending(folder: Path) -> Ending | None:
    """Return how the run ended; None if its result is missing or damaged."""
    try:
        file = (folder / RESULT).stat()
    except OSError:
        return None
    return _ending(folder / RESULT, file.st_mtime_ns, file.st_size)


def is_finished(folder: Path) -> bool:
    """Return whether the result is intact and the run was not stopped by a signal."""
    ending = result_ending(folder)
    return ending is not None and not ending.end.is_requested and not (folder / EXTENDED).exists()


@lru_cache(maxsize=100_000)  # results do not change, and a ledger reads all of them after every change of any run
def _ending(path: Path, _changed: int, _size: int) -> Ending | None:
    try:
        return read_ending(path)
    except InputError:
        return None
