"""Signals that stop a run: they set a flag, which is tested after every step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from kanpde.ends import End, Stopped

ENDS = {
    signal.SIGINT: End.INTERRUPTED,
    signal.SIGTERM: End.TERMINATED,
    signal.SIGUSR1: End.PREEMPTED,
    signal.SIGUSR2: End.PREEMPTED,
}
ALWAYS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # of the command line; SIGUSR2 only where a launcher uses it


class StopRequest:
    """A flag that a signal sets to stop the run.

    Attributes:
        end: the kind of end that the signal asks for; None if no signal has arrived.
    """

    def __init__(self):
        self.end: End | None = None
        self._launcher: list[Callable[[], Any]] = []

    def note(self, number: int, frame: FrameType | None, earlier: Any) -> None:
        """Handle a signal. A second Ctrl-C raises KeyboardInterrupt at once."""
        if number == signal.SIGINT:
            if self.end is not None:
                raise KeyboardInterrupt
        elif is_of_launcher(earlier):
            self._launcher.append(lambda: earlier(number, frame))
        self.end = self.end or ENDS[signal.Signals(number)]

    def is_taken_over(self) -> bool:
        """Call the launcher's own handlers for the signals received; only after the state is saved.

        Such a handler may end the process (submitit's SIGUSR2 puts the job into the queue again and exits). If it
        returns, the run continues (submitit's for SIGTERM), and the flag is cleared.

        Returns:
            Whether there were any such handlers.

        Raises:
            Stopped: the handler raised an error, because the launcher cannot run the job again.
        """
        handlers, self._launcher = self._launcher, []
        for handle in handlers:
            try:
                handle()
            except Exception as error:
                raise Stopped(self.end or End.PREEMPTED) from error
        if handlers and self.end is not End.INTERRUPTED:
            self.end = None
        return bool(handlers) and self.end is None


def is_of_launcher(handler: Any) -> bool:
    """Return whether a handler was installed by a program, not by Python or the shell."""
    return callable(handler) and handler is not signal.default_int_handler


@contextmanager
def stop_on(*numbers: signal.Signals) -> Iterator[StopRequest]:
    """Context manager in which these signals set a flag; it has no effect outside the main thread.

    This includes signals that are set to "ignored", as a shell does with SIGINT for processes in the background. On
    exit the previous handlers are restored, and a launcher's own are called for signals that came after training.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in numbers}
    for number, earlier in before.items():
        signal.signal(number, lambda n, frame, earlier=earlier: request.note(n, frame, earlier))
    try:
        yield request
    finally:
        for number, earlier in before.items():
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)
        request.is_taken_over()


def signals_of_command() -> list[signal.Signals]:
    """Return the signals that stop a run of the command line."""
    is_used = is_of_launcher(signal.getsignal(signal.SIGUSR2))
    return [*ALWAYS, *([signal.SIGUSR2] if is_used else [])]
