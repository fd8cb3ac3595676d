"""The journal of a run in a sweep or study: one JSON line when a process begins the run, and one when it ends.

The file is also the run's lock: the process that starts the run locks it with ``flock``, the child process inherits
the lock, and the operating system releases it when both have ended for any reason.
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
    """Open and lock the run's journal; return None if another process holds the lock.

    The lock is released when the file is closed.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / JOURNAL, "ab", buffering=0)  # noqa: SIM115 (kept open during the run)
    except OSError as error:
        raise unwritable(error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def note_begin(journal: IO[bytes], overrides: Sequence[str], words: Sequence[str]) -> None:
    """Record the beginning of a run."""
    note(journal, begun=_now(), overrides=list(overrides), command=shlex.join(words))


def note_end(journal: IO[bytes], seconds: float, reason: str = "", code: int | None = None) -> None:
    """Record the end of a run."""
    note(journal, ended=_now(), code=code, seconds=round(seconds, 3), reason=one_line(reason) if reason else "")


def note(journal: IO[bytes], **event: Any) -> None:
    """Write one line in one call; the line break before it ends a line that a crash left incomplete."""
    journal.write(f"\n{json.dumps(event)}\n".encode())


def events(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal, without those that a crash left incomplete."""
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


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
