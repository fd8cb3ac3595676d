"""What a run uses besides its settings and state: clock, callbacks, stop requests, objective and optimizer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from time import perf_counter

import torch
from torch import Tensor

from kanpde.ends import End, Ending
from kanpde.errors import InputError
from kanpde.optimizers import Optimizer
from kanpde.optimizers.lm import ROUNDING
from kanpde.residuals.accuracy import Errors
from kanpde.residuals.objective import Objective
from kanpde.training.fresh import losses
from kanpde.training.phases import Progress
from kanpde.training.settings import Settings
from kanpde.training.signals import StopRequest
from kanpde.training.state import State
from kanpde.training.undefined import where_undefined

OVERRUN = 0.1  # share of the time limit by which what follows the training may exceed it
PROBE, FACTOR = (800, 200), 2.0  # size of a matrix whose factorization is timed; the rest of the work beside the QR


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
        validation: of a fit, the objective on the rows for validation.
        saved: seconds of the run when the last checkpoint was written.
        is_whole: whether no step was interrupted halfway, so that state and optimizer agree.
    """

    objective: Objective
    optimizer: Optimizer
    saved: float
    is_whole: bool = True
    validation: Objective | None = None


def limit(settings: Settings, around: Surroundings) -> Ending | None:
    """Return the end by a request to stop or by the time limit, or None if there is neither."""
    if around.stop.end is not None:
        return Ending(around.stop.end)
    if settings.time_limit is not None and around.clock.seconds() >= settings.time_limit:
        return Ending(End.TIME_LIMIT, f"{settings.time_limit:g} s")
    return None


def affordable(settings: Settings, around: Surroundings, what: str, size: tuple[int, int]) -> bool:
    """Return whether a least-squares problem of some size fits into the time limit, and say in the log if not.

    Args:
        settings, around: of the run.
        what: will be left out, for the log.
        size: residuals and parameters.
    """
    if settings.time_limit is None:
        return True
    needed, ends = predicted_seconds(*size, settings.device, settings.dtype), (1 + OVERRUN) * settings.time_limit
    if needed <= ends - around.clock.seconds():
        return True
    around.log(f"{what} is left out, because it would take about {needed:.1f} s, and the time limit is near")
    return False


def predicted_seconds(rows: int, columns: int, device: torch.device, dtype: torch.dtype) -> float:
    """Return the time of the QR factorizations of a matrix and of its damped systems, judged by a small one now."""
    height, width = PROBE
    small = torch.ones(height, width, device=device, dtype=dtype).tril_()
    seconds = []
    for _ in range(2):  # the first one may load a library
        began = perf_counter()
        float(torch.linalg.qr(small, mode="r")[1][-1, -1])
        seconds.append(perf_counter() - began)
    work = 2 * rows * columns**2 + 8 * columns**3
    return FACTOR * min(seconds) * work / (2 * height * width**2)


def refuse_another_problem(saved: float, found: float, settings: Settings, state: State) -> None:
    """Compare two losses with a tolerance above the differences between machines and library versions.

    Raises:
        InputError: they differ.
    """
    eps = torch.finfo(settings.dtype).eps
    first = state.history[0]["loss"] if state.history else saved
    if isfinite(saved) and not abs(found - saved) <= eps**0.5 * saved + (ROUNDING * eps) ** 2 * first:
        raise InputError(
            f"The checkpoint was saved at a loss of {saved:.6e}, but with the problem given the loss is {found:.6e}. "
            "It is another problem, or its file has changed. Give the problem that was being solved, or start anew."
        )


def back_to(good: Tensor, objective: Objective) -> Ending:
    """Restore the last parameters with a finite loss, and name the conditions that became non-finite."""
    broken = [name for name, value in losses(objective).items() if not isfinite(value)]
    places = {name: where_undefined(objective, name) for name in broken}
    objective.assign(good)
    named = [f"{name} at {at}" if at else name for name, at in places.items()]
    where = f"in {', '.join(named)}; " if broken else ""
    return Ending(End.NON_FINITE, f"{where}the last good weights are kept")
