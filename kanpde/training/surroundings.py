"""What a run uses besides its settings and state: clock, callbacks, stop requests, objective and optimizer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from time import perf_counter

from torch import Tensor

from kanpde.ends import End, Ending
from kanpde.optimizers import Optimizer
from kanpde.residuals.objective import Objective
from kanpde.solution import Errors
from kanpde.training.fresh import losses
from kanpde.training.phases import Progress
from kanpde.training.settings import Settings
from kanpde.training.signals import StopRequest
from kanpde.training.state import State


class Clock:
    """The run time over all sessions, in seconds."""

    def __init__(self, spent: float = 0.0):
        self._began = perf_counter() - spent

    def seconds(self) -> float:
        return perf_counter() - self._began


@dataclass
class Surroundings:
    """Callbacks, clock and stop request of a run.

    Attributes:
        errors: computes errors on test points.
        observe: called with the progress after every step.
        log: called with each line of the log.
        save: writes a checkpoint of a state that includes the optimizer's state; None if no checkpoints are written.
        stop: the request to stop.
        clock: measures the run time.
    """

    errors: Errors
    observe: Callable[[Progress], None]
    log: Callable[[str], None]
    save: Callable[[State], None] | None = None
    stop: StopRequest = field(default_factory=StopRequest)
    clock: Clock = field(default_factory=Clock)


@dataclass
class Work:
    """Objective and optimizer of a leg; both can be rebuilt from its state.

    Attributes:
        objective, optimizer: with the points and weights of the leg.
        saved: seconds of the run when the last checkpoint was written.
        is_whole: whether no step was interrupted halfway, so that state and optimizer agree.
    """

    objective: Objective
    optimizer: Optimizer
    saved: float
    is_whole: bool = True


def limit(settings: Settings, around: Surroundings) -> Ending | None:
    """Return the end by a request to stop or by the time limit, or None if there is neither."""
    if around.stop.end is not None:
        return Ending(around.stop.end)
    if settings.time_limit is not None and around.clock.seconds() >= settings.time_limit:
        return Ending(End.TIME_LIMIT, f"{settings.time_limit:g} s")
    return None


def back_to(good: Tensor, objective: Objective) -> Ending:
    """Restore the last parameters with a finite loss, and name the conditions that became non-finite."""
    broken = [name for name, value in losses(objective).items() if not isfinite(value)]
    objective.assign(good)
    where = f"in {', '.join(broken)}; " if broken else ""
    return Ending(End.NON_FINITE, f"{where}the last good weights are kept")
