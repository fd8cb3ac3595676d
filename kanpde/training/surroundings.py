"""What a run meets outside of its state: a clock, observers, requests to stop; and the work on one leg."""

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
from kanpde.training.state import State
from kanpde.training.stopping import StopRequest


class Clock:
    """Seconds that a run has taken, over all its sessions."""

    def __init__(self, spent: float = 0.0):
        self._began = perf_counter() - spent

    def seconds(self) -> float:
        return perf_counter() - self._began


@dataclass
class Surroundings:
    """What a run meets outside of its state.

    Attributes:
        errors: measures errors on test points.
        observe: called after every step.
        log: called with a line on what happens.
        save: writes a checkpoint of a state that has the optimizer's own state in it; None where none are kept.
        stop: whether the run was asked to stop.
        clock: of the run.
    """

    errors: Errors
    observe: Callable[[Progress], None]
    log: Callable[[str], None]
    save: Callable[[State], None] | None = None
    stop: StopRequest = field(default_factory=StopRequest)
    clock: Clock = field(default_factory=Clock)


@dataclass
class Work:
    """What a leg needs besides its state, and what can be made from that again.

    Attributes:
        objective, optimizer: at the leg's points, with its weights.
        saved: the run's seconds when the last checkpoint was written.
        is_whole: no step was broken off, so that state and optimizer agree.
    """

    objective: Objective
    optimizer: Optimizer
    saved: float
    is_whole: bool = True


def limit(settings: Settings, around: Surroundings) -> Ending | None:
    """What ends the run now, whatever its phase: a request to stop, or the time."""
    if around.stop.end is not None:
        return Ending(around.stop.end)
    if settings.time_limit is not None and around.clock.seconds() >= settings.time_limit:
        return Ending(End.TIME_LIMIT, f"{settings.time_limit:g} s")
    return None


def back_to(good: Tensor, objective: Objective) -> Ending:
    """Names the conditions that blew up and goes back to the last good weights."""
    broken = [name for name, value in losses(objective).items() if not isfinite(value)]
    objective.assign(good)
    where = f"in {', '.join(broken)}; " if broken else ""
    return Ending(End.NON_FINITE, f"{where}the last good weights are kept")
