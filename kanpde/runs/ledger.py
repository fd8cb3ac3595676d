"""Many runs, each in its own process: `Ledger` reports their states, and `conduct` carries out the missing ones."""

from __future__ import annotations

import csv
import fcntl
import io
import shlex
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path, PurePosixPath
from time import sleep

from kanpde.errors import InputError
from kanpde.runs.journal import hold
from kanpde.runs.process import COMMAND, Attempt
from kanpde.runs.status import RunState, Status, status
from kanpde.storage.folders import replace_text, unwritable

COLUMNS = ("run", "state", "reason", "attempts", "seconds", "command")
POLL, POLL_OTHERS = 0.05, 0.5  # seconds between checks of our own processes, and of runs that other processes carry out
Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A run of a study.

    Attributes:
        name: name of its folder, such as "kan/3".
        overrides: options as typed on the command line.
    """

    name: str
    overrides: tuple[str, ...]


class Ledger:
    """The runs of a study, below one folder.

    The state of a run is always read from its folder (`kanpde.runs.status.status`); ``ledger.csv`` is only written,
    never read.

    Args:
        root: folder of the study.
        runs: all runs of the study.
        place: subfolder of ``root`` that contains the folders of the runs.

    Raises:
        InputError: two runs have the same name, or a name points outside the folder.
    """

    def __init__(self, root: Path, runs: Sequence[Run], place: str = "runs"):
        self.root, self.runs, self.place = Path(root), tuple(runs), place
        for name, times in Counter(run.name for run in self.runs).items():
            if times > 1:
                raise InputError(f'{times} runs are named "{name}". Give every run a name of its own, such as kan/3.')
            if not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise InputError(
                    f'"{name}" cannot name a run; it is a folder below {self.root / place}. Write for example kan/3.'
                )

    def folder(self, run: Run) -> Path:
        """Return the folder of the run's results."""
        return self.root / self.place / run.name

    def statuses(self) -> dict[str, Status]:
        """Return the current status of every run, by name."""
        return {run.name: status(self.folder(run)) for run in self.runs}

    def counts(self) -> dict[str, int]:
        """Return the number of runs in each state that occurs."""
        counted = Counter(each.state for each in self.statuses().values())
        return {state: counted[state] for state in RunState if counted[state]}

    def check(self) -> None:
        """Refuse a folder whose runs were started with other options.

        Raises:
            InputError: a run has other options; the message names them.
        """
        for run in self.runs:
            before = status(self.folder(run)).overrides
            if before is not None and before != run.overrides:
                there, here = (
                    " ".join(o for o in one if o not in other) or "nothing else"
                    for one, other in ((before, run.overrides), (run.overrides, before))
                )
                raise InputError(
                    f"{self.folder(run)} holds a run with other options: {there} there, {here} now. "
                    "Choose another folder, or remove this one to begin anew."
                )

    def write(self) -> Path:
        """Write ``ledger.csv`` atomically.

        Raises:
            InputError: the folder cannot be written.
        """
        path = self.root / "ledger.csv"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with open(self.root / ".ledger.lock", "ab") as lock:  # an older table must not replace a newer one
                fcntl.flock(lock, fcntl.LOCK_EX)
                replace_text(path, self._table())
        except OSError as error:
            raise unwritable(error) from error
        return path

    def _table(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        for run, each in zip(self.runs, self.statuses().values(), strict=True):
            seconds = f"{each.seconds:.3f}" if isfinite(each.seconds) else ""
            command = f"python -m kanpde {shlex.join(run.overrides)}"
            writer.writerow((run.name, each.state, each.reason, each.attempts, seconds, command))
        return text.getvalue()


def conduct(
    ledger: Ledger,
    workers: int = 1,
    retry_failed: bool = False,
    timeout: float | None = None,
    say: Say = print,
    command: Sequence[str] = COMMAND,
) -> dict[str, Status]:
    """Carry out the missing runs, each in its own single-threaded process, and return the status of all runs.

    Several calls on one machine may work on the same folder: no run is done twice, and a call waits for the runs of
    the others. A run that is killed is *interrupted*; the next call resumes it from its last checkpoint. Failed runs
    are not repeated unless asked for. A call starts every run at most once. If this process is killed, its runs
    continue and keep their locks until they end.

    Args:
        ledger: the runs.
        workers: number of simultaneous processes.
        retry_failed: repeat the failed runs.
        timeout: seconds after which a run is terminated and counts as failed.
        say: called with one line for every run that ends.
        command: command that accepts the options of a run and ``hydra.run.dir=FOLDER``.

    Returns:
        The status of every run, by its name; none is *waiting* or *running*.

    Raises:
        InputError: the folder cannot be written, or its runs were started with other options.
        KeyboardInterrupt: Ctrl-C, or a signal to terminate, was received. The processes are ended first.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}. Write workers=1.")
    ledger.check()
    call = _Call(ledger, retry_failed, timeout, say, command)
    with _noted(call.signals):
        try:
            call.work(workers)
        finally:
            call.stop()
            ledger.write()
    return ledger.statuses()


class _Call:
    """The pending and the running runs of one call of `conduct`."""

    def __init__(self, ledger: Ledger, retry: bool, timeout: float | None, say: Say, command: Sequence[str]):
        self.ledger, self.timeout, self.say, self.command = ledger, timeout, say, command
        self.before = ledger.statuses()
        open_states = (RunState.EMPTY, RunState.INTERRUPTED, RunState.RUNNING, *([RunState.FAILED] * retry))
        self.todo = [run for run in ledger.runs if self.before[run.name].state in open_states]
        self.live: list[tuple[Run, Attempt]] = []
        self.left = len(self.todo)
        self.signals: list[int] = []

    def work(self, workers: int) -> None:
        counts = ", ".join(f"{n} {state}" for state, n in self.ledger.counts().items())
        self.say(f"{len(self.ledger.runs)} runs: {counts}" + f"; {workers} at a time" * bool(self.todo))
        self.ledger.write()
        waits = False
        while self.todo or self.live:
            if self.signals:
                raise KeyboardInterrupt
            ended, begun = self._collect(), self._begin(workers - len(self.live))
            if ended or begun:
                self.ledger.write()
            elif self.todo and not self.live and not waits:
                waits = True
                self.say(f"Waiting for another process that carries out {', '.join(run.name for run in self.todo)}.")
            sleep(POLL if self.live else POLL_OTHERS if self.todo else 0)

    def stop(self) -> None:
        for _, attempt in self.live:
            with suppress(ProcessLookupError):
                attempt.process.terminate()  # signal all before waiting for any, so that the grace periods overlap
        for _, attempt in self.live:
            attempt.stop()
        self.live = []

    def _collect(self) -> bool:
        """Handle the processes that have ended; return whether there were any."""
        ended = [(run, attempt) for run, attempt in self.live if attempt.ended()]
        self.live = [pair for pair in self.live if pair not in ended]
        for run, _ in ended:
            self._tell(run)
        return bool(ended)

    def _begin(self, free: int) -> bool:
        """Start up to ``free`` runs; runs locked by other processes keep their place in the list."""
        begun = False
        for run in list(self.todo):
            if free == 0:
                break
            folder = self.ledger.folder(run)
            journal = hold(folder)
            if journal is None:
                continue
            self.todo.remove(run)
            begun = True
            if self._is_done(run, status(folder, mine=True)):
                journal.close()
                self._tell(run)
                continue
            self.live.append((run, Attempt(folder, journal, run.overrides, self.timeout, self.command)))
            free -= 1
        return begun

    def _is_done(self, run: Run, now: Status) -> bool:
        """Return whether another call has finished the run since this call began."""
        is_new = now.attempts > self.before[run.name].attempts
        return now.state is RunState.FINISHED or (now.state is RunState.FAILED and is_new)

    def _tell(self, run: Run) -> None:
        each = status(self.ledger.folder(run))
        self.left -= 1
        seconds = f" in {each.seconds:.1f} s" if isfinite(each.seconds) else ""
        self.say(f"{run.name}: {each.state}{seconds} ({each.reason}); {self.left} to go")


@contextmanager
def _noted(signals: list[int]) -> Iterator[None]:
    """Record Ctrl-C, SIGTERM and a closing terminal in ``signals``, so that all processes can be ended in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = [
        signal.SIGINT,
        signal.SIGTERM,
    ]  # even if they are ignored, as a shell does for background jobs
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup does
        ends.append(signal.SIGHUP)
    before = {each: signal.signal(each, lambda number, _: signals.append(number)) for each in ends}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
