"""One run in its own process: start it, wait for it, end it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import IO

from kanpde.ends import End
from kanpde.paths import FAILED, RESULT
from kanpde.runs.journal import note, note_begin, note_end
from kanpde.storage.folders import replace_text
from kanpde.training.resuming import begin_again

COMMAND = (sys.executable, "-m", "kanpde")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)  # caused by the process itself
REQUESTED = {end.exit_code: end for end in End if end.is_requested}  # exit codes of a run that a signal stopped
HOLDER = "KANPDE_JOURNAL_OF"  # environment variable: the folder whose journal the parent process holds
GRACE = 5.0  # seconds between SIGTERM and SIGKILL


class Attempt:
    """A process that carries out a run. Call `ended` until it is True; it writes ``failed.txt`` if the run failed.

    Args:
        folder: of the run. The run resumes from an earlier checkpoint in it that this version can read; without one,
            the files of the earlier run are removed.
        journal: from `hold`; closed when the process has ended.
        overrides: options of the run.
        timeout: seconds after which the run is terminated and counts as failed.
        command: command that accepts the options.
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
        goes_on = begin_again(folder)
        words = (
            [*command, f"resume={quoted(folder)}"]
            if goes_on
            else [*command, *overrides, f"hydra.run.dir={quoted(folder)}"]
        )
        note_begin(journal, overrides, words)
        self.errors = TemporaryFile()  # noqa: SIM115 (until `_close`)
        environment = {k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"}  # messages, not tracebacks
        self.began = monotonic()
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the same text is in run.log
            stderr=self.errors,
            env={**environment, **ONE_THREAD, HOLDER: str(folder)},
            pass_fds=[journal.fileno()],  # the child keeps the lock even if this process ends first
            start_new_session=True,  # Ctrl-C in the terminal must reach this process only
        )
        note(journal, pid=self.process.pid)

    def ended(self) -> bool:
        """Return whether the process has ended; its outcome is then recorded on disk and the lock released."""
        code = self.process.poll()
        late = self.timeout is not None and monotonic() - self.began > self.timeout
        if code is None and not late:
            return False
        if code is None:
            self._kill()
        self._close(f"It took more than {self.timeout:g} s and was ended." if code is None else self._message(code))
        return True

    def stop(self) -> None:
        """End the process; the run stays unfinished."""
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
        """Return why the run failed; "" if it did not fail or was ended from outside."""
        number = -code if code < 0 else code - 128 if code > 128 else 0
        if code in REQUESTED or (number and number not in CRASHES):
            return ""
        if code == 0:
            done = (self.folder / RESULT).is_file() or (self.folder / FAILED).is_file()
            return "" if done else "The process ended without an error and without a result."
        self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - 65536))
        said = self.errors.read().decode("utf-8", "replace").strip()
        name = f"The process crashed ({signal.Signals(number).name})." if number else f"Exit code {code}."
        return _error_text(said) or name if not number else f"{name}\n{said}".strip()

    def _close(self, failure: str) -> None:
        code = self.process.returncode
        if failure:
            replace_text(self.folder / FAILED, f"{failure}\n")
        elif code < 0:
            failure = f"ended by {signal.Signals(-code).name}"
        elif code in REQUESTED:
            failure = REQUESTED[code].message
        note_end(self.journal, monotonic() - self.began, failure, code)
        self.errors.close()
        self.journal.close()


def quoted(folder: Path) -> str:
    """Quote the path for Hydra, whose grammar gives a meaning to commas, spaces and other characters."""
    plain = str(folder)
    if re.fullmatch(r"[\w./:~-]+", plain):
        return plain
    return "'" + plain.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _error_text(said: str) -> str:
    """Extract from stderr the message of an input error, else the traceback; without either, return all of it."""
    if found := re.search(r"^Error: (.*)\Z", said, re.MULTILINE | re.DOTALL):
        return found[1]
    start = said.find("Traceback (most recent call last)")
    return said[max(start, 0) :]
