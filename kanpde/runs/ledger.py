"""Many runs, each a process of its own: what became of every one, and `conduct`, which does those that are missing."""

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
POLL, POLL_OTHERS = 0.05, 0.5  # seconds between looks at our own processes, and at runs that others hold
Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A run of a study.

    Attributes:
        name: of its folder, such as "kan/3".
        overrides: options as typed on the command line.
    """

    name: str
    overrides: tuple[str, ...]


class Ledger:
    """The runs of a study, below one folder.

    A run's state is read off its folder every time (`kanpde.runs.status.status`); ``ledger.csv`` is written from
    that and never read.

    Args:
        root: folder of the study.
        runs: all of them.
        place: folder below ``root`` that has a folder for every run.

    Raises:
        InputError: two runs have the same name, or a name leads out of the folder.
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
        """Where the run's results are."""
        return self.root / self.place / run.name

    def statuses(self) -> dict[str, Status]:
        """By name, what became of every run so far."""
        return {run.name: status(self.folder(run)) for run in self.runs}

    def counts(self) -> dict[str, int]:
        """How many runs are in each state, those without any left out."""
        counted = Counter(each.state for each in self.statuses().values())
        return {state: counted[state] for state in RunState if counted[state]}

    def check(self) -> None:
        """Refuses a folder whose runs were made with other options.

        Raises:
            InputError: names the run and the options that differ.
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
        """Writes ``ledger.csv``, whole or not at all.

        Raises:
            InputError: the folder cannot be written.
        """
        path = self.root / "ledger.csv"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with open(self.root / ".ledger.lock", "ab") as lock:  # an older view must not replace a newer one
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
    """Does the runs that are missing, each as one process of one thread, and says what became of all.

    Several calls may work on one folder, on one machine: no run is done twice, and what another call has under way is
    waited for. A run that is killed is *interrupted*, and the next call goes on with it from its last checkpoint.
    Failed runs stay failed. Each run is begun at most once in a call. Where this process is killed its runs go on, and
    hold their locks, until they end.

    Args:
        ledger: the runs.
        workers: processes at a time.
        retry_failed: do the failed runs once more.
        timeout: seconds after which a run is ended and counts as failed.
        say: gets one line on every run that ends.
        command: what takes a run's options and ``hydra.run.dir=FOLDER``.

    Returns:
        The status of every run, by its name; none is *waiting* or *running*.

    Raises:
        InputError: the folder cannot be written, or its runs were made with other options.
        KeyboardInterrupt: Ctrl-C, or a signal that asks to end. The processes are ended first.
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
    """What one call of `conduct` has still to do and has under way."""

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
                self.say(f"Another process does {', '.join(run.name for run in self.todo)}; waiting for that.")
            sleep(POLL if self.live else POLL_OTHERS if self.todo else 0)

    def stop(self) -> None:
        for _, attempt in self.live:
            with suppress(ProcessLookupError):
                attempt.process.terminate()  # all of them first, so that the grace is given once
        for _, attempt in self.live:
            attempt.stop()
        self.live = []

    def _collect(self) -> bool:
        """Takes in the processes that have ended."""
        ended = [(run, attempt) for run, attempt in self.live if attempt.ended()]
        self.live = [pair for pair in self.live if pair not in ended]
        for run, _ in ended:
            self._tell(run)
        return bool(ended)

    def _begin(self, free: int) -> bool:
        """Starts as many runs as there is room for; those that others hold stay where they are in the list."""
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
        """Whether another call has done the run since this one began."""
        is_new = now.attempts > self.before[run.name].attempts
        return now.state is RunState.FINISHED or (now.state is RunState.FAILED and is_new)

    def _tell(self, run: Run) -> None:
        each = status(self.ledger.folder(run))
        self.left -= 1
        seconds = f" in {each.seconds:.1f} s" if isfinite(each.seconds) else ""
        self.say(f"{run.name}: {each.state}{seconds} ({each.reason}); {self.left} to go")


@contextmanager
def _noted(signals: list[int]) -> Iterator[None]:
    """Ctrl-C, and being asked to end by a cluster or a closing terminal, are noted: no process may be lost sight of."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = [each for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) != signal.SIG_IGN]
    before = {each: signal.signal(each, lambda number, _: signals.append(number)) for each in ends}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
