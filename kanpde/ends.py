"""The ways in which a phase or a run can end."""

from dataclasses import dataclass
from enum import Enum


class End(Enum):
    """The kinds of ends.

    Attributes:
        message: description of the end.
        exit_code: exit code of the command; 128 + the signal's number if a signal stopped the run.
        ends_run: whether no further phase is begun.
    """

    CONVERGED = "converged", 0, False
    TOLERANCE_REACHED = "tolerance reached", 0, True
    NOT_REACHED = "tolerance not reached", 0, True
    STEPS_DONE = "steps done", 0, False
    NOISE_REACHED = "as accurate as the data", 0, True
    STAGNATED = "stagnated", 0, False
    OVERFITTED = "overfitted", 0, True
    DIVERGED = "diverged", 0, True
    TIME_LIMIT = "time limit", 0, True
    NON_FINITE = "non-finite loss", 0, True
    INTERRUPTED = "interrupted", 130, True
    TERMINATED = "terminated", 143, True
    PREEMPTED = "preempted", 138, True
    NOT_TRAINED = "not trained", 0, True

    def __init__(self, message: str, exit_code: int, ends_run: bool):
        self.message, self.exit_code, self.ends_run = message, exit_code, ends_run

    @property
    def is_requested(self) -> bool:
        """Whether a signal stopped the run, so that it can be resumed."""
        return self in (End.INTERRUPTED, End.TERMINATED, End.PREEMPTED)

    @property
    def may_go_on(self) -> bool:
        """Whether another phase may follow, with other points or another network."""
        return not self.ends_run or self.is_taken_back

    @property
    def is_taken_back(self) -> bool:
        """Whether the network from before the phase is restored."""
        return self in (End.OVERFITTED, End.DIVERGED)


@dataclass(frozen=True)
class Ending:
    """An end with its details, such as ``Ending(End.TIME_LIMIT, "60 s")``."""

    end: End
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.end.message}: {self.detail}" if self.detail else self.end.message


class Stopped(KeyboardInterrupt):
    """Raised after a signal stopped a run and its state was saved, so that no further runs are begun."""

    def __init__(self, end: End):
        super().__init__(end.message)
        self.end = end
