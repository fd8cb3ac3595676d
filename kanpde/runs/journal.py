"""The journal of a run that is one of many: one JSON line when a process begins it, and one when it ends.

The file is also the run's lock: whoever starts the run holds it by ``flock``, the process that runs inherits it, and
the operating system frees it when both are gone, however they ended.
"""

from __future__ import annotations

import fcntl
import json
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from kanpde.paths import JOURNAL
from kanpde.storage.folders import one_line, unwritable


def hold(folder: Path) -> IO[bytes] | None:
    """The run's journal, locked until it is closed; None where another living process has it.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / JOURNAL, "ab", buffering=0)  # noqa: SIM115 (held for as long as the run goes)
    except OSError as error:
        raise unwritable(error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def note_begin(journal: IO[bytes], overrides: Sequence[str], words: Sequence[str]) -> None:
    """Writes down that a run begins."""
    note(journal, begun=_now(), overrides=list(overrides), command=shlex.join(words))


def note_end(journal: IO[bytes], seconds: float, reason: str = "", code: int | None = None) -> None:
    """Writes down that it has ended."""
    note(journal, ended=_now(), code=code, seconds=round(seconds, 3), reason=one_line(reason) if reason else "")


def note(journal: IO[bytes], **event: Any) -> None:
    """One line, in one piece; the line break before it closes a line that a crash has cut."""
    journal.write(f"\n{json.dumps(event)}\n".encode())


def events(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal, those that a crash has cut left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in filter(None, lines):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [e for e in found if isinstance(e, dict)]


def is_locked(path: Path) -> bool:
    """Whether a living process holds the journal."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
