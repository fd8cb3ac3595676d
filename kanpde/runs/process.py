"""One run as a process of its own, in its folder: what is on disk says what became of it.

The folder holds a journal, one JSON line when a process begins and one when it ends. The journal is also the run's
lock: whoever starts the run holds it by ``flock``, the process inherits it, and the operating system frees it when both
are gone, however they went. Nothing else is remembered, so a state cannot contradict the files.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import nan
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, Any

from kanpde.errors import InputError
from kanpde.paths import FAILED, JOURNAL, RESULT
from kanpde.storage.folders import clear, essence, replace_text, unwritable
from kanpde.storage.record import read_reason

FINISHED, FAILING, INTERRUPTED, RUNNING, WAITING = STATES = ("finished", "failed", "interrupted", "running", "waiting")
COMMAND = (sys.executable, "-m", "kanpde")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)  # a process's own doing
CTRL_C = 130
GRACE = 3.0  # seconds between asking a process to end and ending it


@dataclass(frozen=True)
class Status:
    """What a folder says of its run.

    Attributes:
        state: one of `STATES`.
        reason: why it ended, in one line.
        attempts: processes that were begun.
        seconds: of the last process; nan where nobody saw its end.
        overrides: of the last process; None where none was begun.
    """

    state: str
    reason: str = ""
    attempts: int = 0
    seconds: float = nan
    overrides: tuple[str, ...] | None = None


def status(folder: Path, mine: bool = False) -> Status:
    """The state of the run in a folder, from the files alone.

    *running*: a live process holds the lock. *failed*: ``failed.txt`` is there. *finished*: the result is whole, and
    was not saved on being interrupted. *interrupted*: something was begun and nothing of that is so. *waiting*: nothing
    was.

    Args:
        folder: of the run; it need not exist.
        mine: the caller holds the lock.
    """
    events = _events(folder / JOURNAL)
    begun = [e for e in events if "overrides" in e]
    last = events[-1] if events else {}
    known: dict[str, Any] = {"attempts": len(begun), "seconds": last.get("seconds", nan)}
    known["overrides"] = tuple(begun[-1]["overrides"]) if begun else None
    if not mine and _is_held(folder / JOURNAL):
        return Status(RUNNING, **known)
    if (folder / FAILED).is_file():
        return Status(FAILING, essence((folder / FAILED).read_text(encoding="utf-8", errors="replace")), **known)
    if reason := whole_result(folder):
        return Status(FINISHED, reason, **known)
    if begun or (folder / RESULT).exists():
        return Status(INTERRUPTED, last.get("reason") or "its end was not seen", **known)
    return Status(WAITING)


def whole_result(folder: Path) -> str:
    """Why the run ended, if its result is whole; "" if there is none, a damaged one, or one saved on Ctrl-C."""
    try:
        file = (folder / RESULT).stat()
    except OSError:
        return ""
    return _reason(folder / RESULT, file.st_mtime_ns, file.st_size)


@lru_cache(maxsize=100_000)  # a result does not change, and a ledger asks after every change of any run
def _reason(path: Path, _changed: int, _size: int) -> str:
    try:
        reason = read_reason(path)
    except InputError:
        return ""
    return "" if reason.startswith("interrupted") else reason


def hold(folder: Path) -> IO[bytes] | None:
    """The run's journal, locked until it is closed; None where another live process has it.

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


class Attempt:
    """A process that was begun for a run. `ended` must be asked until it says so; then ``failed.txt`` is written.

    Args:
        folder: of the run. What an earlier process left there is cleared.
        journal: from `hold`; closed when the process has ended.
        overrides: options of the run.
        timeout: seconds after which the run is ended and counts as failed.
        command: what takes the options.
    """

    def __init__(
        self,
        folder: Path,
        journal: IO[bytes],
        overrides: Sequence[str],
        timeout: float | None = None,
        command: Sequence[str] = COMMAND,
    ):
        self.folder, self.journal, self.timeout = folder, journal, timeout
        clear(folder)
        words = [*command, *overrides, f"hydra.run.dir={quoted(folder)}"]
        note_begin(journal, overrides, words)
        self.errors = TemporaryFile()  # noqa: SIM115 (until `_close`)
        environment = {k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"}  # messages, not tracebacks
        self.began = monotonic()
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # run.log has it
            stderr=self.errors,
            env={**environment, **ONE_THREAD},
            pass_fds=[journal.fileno()],  # the lock lives as long as the process, even where we do not
            start_new_session=True,  # Ctrl-C in the terminal is for us
        )
        _write(journal, pid=self.process.pid)

    def ended(self) -> bool:
        """Whether the process is gone; what became of it is then on disk, and the lock is free."""
        code = self.process.poll()
        late = self.timeout is not None and monotonic() - self.began > self.timeout
        if code is None and not late:
            return False
        if code is None:
            self._kill()
        self._close(f"It took more than {self.timeout:g} s and was ended." if code is None else self._message(code))
        return True

    def stop(self) -> None:
        """Ends the process; the run goes back to those that are to be done."""
        if self.process.poll() is None:
            self._kill()
        self._close("")

    def _kill(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _message(self, code: int) -> str:
        """Why the run failed; "" where it did not, or where somebody ended it."""
        number = -code if code < 0 else code - 128 if code > 128 else 0
        if code == CTRL_C or (number and number not in CRASHES):
            return ""
        if code == 0:
            done = whole_result(self.folder) or (self.folder / FAILED).is_file() or (self.folder / RESULT).is_file()
            return "" if done else "The process ended without an error and without a result."
        self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - 65536))
        said = self.errors.read().decode("utf-8", "replace").strip()
        name = f"The process crashed ({signal.Signals(number).name})." if number else f"Exit code {code}."
        return _essential(said) or name if not number else f"{name}\n{said}".strip()

    def _close(self, failure: str) -> None:
        code = self.process.returncode
        if failure:
            replace_text(self.folder / FAILED, f"{failure}\n")
        elif code < 0:
            failure = f"ended by {signal.Signals(-code).name}"
        elif code == CTRL_C:
            failure = "ended by Ctrl-C"
        note_end(self.journal, monotonic() - self.began, failure, code)
        self.errors.close()
        self.journal.close()


def quoted(folder: Path) -> str:
    """For Hydra, to which commas, spaces and the like in a value mean something."""
    plain = str(folder)
    if re.fullmatch(r"[\w./:~-]+", plain):
        return plain
    return "'" + plain.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _essential(said: str) -> str:
    """Of what a process said on its way out: the message of an input error, else the traceback, else all of it."""
    if found := re.search(r"^Error: (.*)\Z", said, re.MULTILINE | re.DOTALL):
        return found[1]
    start = said.find("Traceback (most recent call last)")
    return said[max(start, 0) :]


# journal -------------------------------------------------------------------------------------------------------------
def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def note_begin(journal: IO[bytes], overrides: Sequence[str], words: Sequence[str]) -> None:
    """Writes down that a run begins."""
    _write(journal, begun=_now(), overrides=list(overrides), command=shlex.join(words))


def note_end(journal: IO[bytes], seconds: float, reason: str = "", code: int | None = None) -> None:
    """Writes down that it has ended."""
    _write(journal, ended=_now(), code=code, seconds=round(seconds, 3), reason=essence(reason) if reason else "")


def _write(journal: IO[bytes], **event: Any) -> None:
    """One line, in one piece; the line break before it closes a line that a crash has cut."""
    journal.write(f"\n{json.dumps(event)}\n".encode())


def _events(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    events = []
    for line in filter(None, lines):
        try:
            events.append(json.loads(line))
        except ValueError:
            continue  # cut by a crash
    return [e for e in events if isinstance(e, dict)]


def _is_held(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
