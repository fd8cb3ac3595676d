"""What a run's folder holds, read off its files and locks alone, so that it cannot contradict them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import nan
from pathlib import Path
from typing import Any

from kanpde.ends import Ending
from kanpde.errors import InputError
from kanpde.paths import CONFIG, FAILED, JOURNAL, LOG, RESULT
from kanpde.runs.journal import events, is_locked
from kanpde.storage.checkpoint import checkpoint_files, is_held
from kanpde.storage.folders import one_line
from kanpde.storage.record import read_ending


class RunState(StrEnum):
    """The states of a run's folder, for single runs, sweeps, ledgers, tables and reports alike."""

    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    RUNNING = "running"
    EMPTY = "not begun"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen in the folder by itself."""
        return self in (RunState.FINISHED, RunState.FAILED)


@dataclass(frozen=True)
class Status:
    """The state of a run, with particulars.

    Attributes:
        state: of the folder.
        reason: how it ended, in one line.
        attempts: processes that were begun for it by a sweep or study.
        seconds: of the last process; nan where no end was recorded.
        overrides: options of the last process; None where none was begun.
    """

    state: RunState
    reason: str = ""
    attempts: int = 0
    seconds: float = nan
    overrides: tuple[str, ...] | None = None


def status(folder: Path, mine: bool = False) -> Status:
    """The state of the run in a folder.

    *running*: a living process holds one of its locks. *failed*: ``failed.txt`` is there. *finished*: the result is
    whole, and no signal had stopped the run. *interrupted*: something was begun, and none of that holds. *not begun*:
    nothing was.

    Args:
        folder: of the run; it need not exist.
        mine: the caller holds the locks.
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
    if ending is not None and not ending.end.is_requested:
        return Status(RunState.FINISHED, str(ending), **known)
    has_files = any((folder / name).is_file() for name in (RESULT, LOG, CONFIG)) or checkpoint_files(folder)
    if begun or has_files:
        seen = str(ending) if ending else "the result is damaged" if (folder / RESULT).is_file() else ""
        return Status(RunState.INTERRUPTED, last.get("reason") or seen or "no end was recorded", **known)
    return Status(RunState.EMPTY)


def result_ending(folder: Path) -> Ending | None:
    """How the run ended, if its result is whole; None if there is none or a damaged one."""
    try:
        file = (folder / RESULT).stat()
    except OSError:
        return None
    return _ending(folder / RESULT, file.st_mtime_ns, file.st_size)


def is_finished(folder: Path) -> bool:
    """Whether the result is whole, and no signal had stopped the run."""
    ending = result_ending(folder)
    return ending is not None and not ending.end.is_requested


@lru_cache(maxsize=100_000)  # a result does not change, and a ledger asks after every change of any run
def _ending(path: Path, _changed: int, _size: int) -> Ending | None:
    try:
        return read_ending(path)
    except InputError:
        return None
