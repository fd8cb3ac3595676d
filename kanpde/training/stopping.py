"""Signals that ask a run to stop: they set a flag, which is read after every step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from kanpde.ends import End

ENDS = {signal.SIGINT: End.INTERRUPTED, signal.SIGTERM: End.TERMINATED, signal.SIGUSR1: End.PREEMPTED}


class StopRequest:
    """Whether somebody asked the run to stop.

    Attributes:
        end: the kind of the request; None while there is none.
    """

    def __init__(self):
        self.end: End | None = None
        self._deferred: list[Callable[[], Any]] = []

    def note(self, number: int, frame: FrameType | None, earlier: Any) -> None:
        """Handles a signal. A second Ctrl-C raises KeyboardInterrupt at once."""
        if number == signal.SIGINT and self.end is not None:
            raise KeyboardInterrupt
        self.end = self.end or ENDS[signal.Signals(number)]
        if callable(earlier) and earlier is not signal.default_int_handler:
            self._deferred.append(lambda: earlier(number, frame))

    def pass_on(self) -> None:
        """Calls the handlers that were installed before, once for every signal; to be called when the state is saved.

        A launcher's handler may end the process (submitit's requeues the job and exits), so it must come last.
        """
        deferred, self._deferred = self._deferred, []
        for call in deferred:
            call()


@contextmanager
def stop_on(*numbers: signal.Signals) -> Iterator[StopRequest]:
    """Notes these signals while the block runs; other threads than the main one cannot, and note none.

    A signal that a shell has set to "ignored", as it does with SIGINT for what it starts in the background, is noted
    too. Afterwards the former handlers are back, and those of signals that were noted have been called.
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
