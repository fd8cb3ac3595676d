"""Signals that stop a run: they set a flag, which is tested after every step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from kanpde.ends import End

ENDS = {signal.SIGINT: End.INTERRUPTED, signal.SIGTERM: End.TERMINATED, signal.SIGUSR1: End.PREEMPTED}


class StopRequest:
    """A flag that a signal sets to stop the run.

    Attributes:
        end: the kind of end that the signal asks for; None if no signal has arrived.
    """

    def __init__(self):
        self.end: End | None = None
        self._deferred: list[Callable[[], Any]] = []

    def note(self, number: int, frame: FrameType | None, earlier: Any) -> None:
        """Handle a signal. A second Ctrl-C raises KeyboardInterrupt at once."""
        if number == signal.SIGINT and self.end is not None:
            raise KeyboardInterrupt
        self.end = self.end or ENDS[signal.Signals(number)]
        if callable(earlier) and earlier is not signal.default_int_handler:
            self._deferred.append(lambda: earlier(number, frame))

    def pass_on(self) -> None:
        """Call the previously installed handlers, once for every signal received; only after the state is saved.

        The handler of a launcher may end the process (submitit's requeues the job and exits), so it must come last.
        """
        deferred, self._deferred = self._deferred, []
        for call in deferred:
            call()


@contextmanager
def stop_on(*numbers: signal.Signals) -> Iterator[StopRequest]:
    """Context manager in which these signals set a flag; it has no effect outside the main thread.

    This includes signals that are set to "ignored", as a shell does with SIGINT for processes in the background. On
    exit the previous handlers are restored, and those of the received signals are called.
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
        request.pass_on()
