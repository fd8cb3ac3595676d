"""The next window of time: its length and its cells in space, chosen until its local error is permitted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf, log10, nan

import torch
from torch import Tensor

from kanpde.models.trajectory import Trajectory
from kanpde.models.windows import Windows
from kanpde.optimizers import Step
from kanpde.residuals.objective import Objective
from kanpde.training.evolution import Evolution, initial_values
from kanpde.training.ordinary import Ordinary
from kanpde.training.phases import Progress
from kanpde.training.settings import Settings
from kanpde.training.shapes import Shape
from kanpde.training.spacing import equidistributed, limited, local_lengths, number_of_cells, shorter
from kanpde.training.state import March
from kanpde.training.surroundings import Surroundings, limit
from kanpde.training.window import StateAt, Trained, Window

SAMPLES = 4001  # at which the local length is computed
FEWEST_CELLS, MOST_CELLS = 6, 300
SHORTEST = 1e-7  # least length of a window, as a part of the whole interval
LONGER = 2.0  # most that a window is longer than the one before it
NOT_CONVERGED = 0.35  # by which a window is shortened if the steps do not converge
SAFETY = 0.5  # part of the permitted error that a window of the right size has
FEWER, MORE_CELLS = 0.9, 1.15  # limits of the ratio of the numbers of cells of successive windows
LEAST_PART = 1 / 20  # shorter windows may have the local error of a window of that part of the interval
VAIN = 0.7  # a change that leaves so much of the local error did not help
MARGIN, MORE = 0.2, 2.0  # in the first pass, local errors may grow where their sum is below that part of the aim
PASSES = 4
MOST_ATTEMPTS = 20  # at the first window


class Stuck(Exception):
    """The next window would need too many cells in space, or be too short; the text says which."""


@dataclass(frozen=True)
class Cause:
    """What the attempts at a window so far say about the cause of its error.

    Attributes:
        length: of the next attempt.
        longer: limit of the ratio of the next window's length to this one's.
        is_shorter: whether the last change was a shorter window, and not more cells; None before the first.
        before: excess of the local error before that.
        exponent: with which the cells were chosen.
    """

    length: float
    longer: float = LONGER
    is_shorter: bool | None = None
    before: float = inf
    exponent: float = 0.0

    def is_time(self, excess: float, in_time: float) -> bool:
        """Return whether a shorter window comes next: the error in time is too large, or more cells did not help."""
        if self.is_shorter is not None and excess > VAIN * self.before:  # the last change was in vain
            return not self.is_shorter
        return in_time > 0.5 * excess or (in_time > 1 and in_time > 0.1 * excess)


def factor(excess: float, order: int, least: float, most: float) -> float:
    """Return by how much a width may grow if an error of that order is ``excess`` times the permitted one."""
    return min(max((SAFETY / max(excess, 1e-12)) ** (1 / order), least), most)


def relative(errors: Tensor, values: Tensor, floor: float, measure: float) -> float:
    """Return the largest relative L2 error; of an unknown that is 0 and has no error it is 0.

    Args:
        errors, values: integrals of the squared error and the squared solution, by unknown.
        floor: as `kanpde.training.settings.Settings.floor`.
        measure: of the region of the integrals.
    """
    sizes = (values / measure).sqrt() + floor
    return float(((errors / measure).sqrt() / sizes.clamp_min(torch.finfo(values.dtype).tiny)).max())


def end_after(last: float, begin: float, length: float) -> float:
    """Return the end of a window of about that length, such that those before the time ``last`` are not short."""
    rest = last - begin
    return last if length > 0.95 * rest else begin + (0.5 * rest if length > 0.5 * rest else length)


def allowed_error(evolution: Evolution | Ordinary, floor: float, march: March, values: Tensor, end: float) -> Tensor:
    """Return the root mean square of the local error that a window may have, by unknown.

    Args:
        evolution: that is solved.
        floor: as `kanpde.training.settings.Settings.floor`.
        march: before the window.
        values: the integrals of the squared solution over the window.
        end: of the window.
    """
    part = max((end - march.done.end) / evolution.duration, LEAST_PART)
    size = ((march.values + values) / evolution.measure(end)).sqrt() + floor
    return march.share * part * size + torch.finfo(size.dtype).tiny


def observer(
    settings: Settings,
    evolution: Evolution | Ordinary,
    around: Surroundings,
    history: list[dict[str, float]],
    march: March,
) -> Callable[[Step, Objective], bool]:
    """Return the function that records a step and tells whether to go on."""
    share = (march.done.end - evolution.times[0]) / evolution.duration
    percent = max(1, round(100 * share))

    def observe(step: Step, objective: Objective) -> bool:
        size, seconds = objective.size[1], around.clock.seconds()
        row = {"step": len(history) + 1, "start": 0, "phase": march.number, "grid": nan, "parameters": size}
        history.append(row | {"loss": step.loss, "error": nan, "seconds": seconds})
        shown = Progress(march.number, PASSES, percent, 100, step.loss, nan, None, size, seconds, is_percent=True)
        done = march.done if march.done.count else None
        around.observe(replace(shown, total=len(history), model=done))
        return limit(settings, around) is None

    return observe


@dataclass(frozen=True)
class Stepper:
    """Takes one window after the other: what stays the same during a run."""

    settings: Settings
    evolution: Evolution
    around: Surroundings

    @property
    def degree(self) -> int:
        """The degree of the splines in space."""
        return self.settings.model.degree

    def lengths(self, state: Tensor) -> Tensor:
        """Return the local lengths of a state (order, points, unknowns) at the samples."""
        return local_lengths(state.permute(0, 2, 1).flatten(0, 1), self.evolution.width, self.evolution.wraps)

    def samples(self) -> Tensor:
        """Return equally spaced points in space, with both ends."""
        return torch.linspace(*self.evolution.space, SAMPLES, device=self.settings.device, dtype=self.settings.dtype)

    def ends(self, lengths: Tensor, resolution: float) -> Tensor | None:
        """Return the ends of the cells in space; None if there would be too many."""
        count = max(FEWEST_CELLS, number_of_cells(lengths, self.evolution.width, resolution))
        return None if count > MOST_CELLS else equidistributed(lengths, *self.evolution.space, count)

    def state_at_end(self, windows: Windows | Trajectory) -> StateAt:
        """Return the state from which the next window begins."""
        assert isinstance(windows, Windows)
        return windows.state if windows.count else partial(initial_values, self.evolution)

    # a window --------------------------------------------------------------------------------------------------------
    def after_window(self, history: list[dict[str, float]], march: March) -> March:
        """Return what is known after the next window; unchanged after a request to stop or at the time limit.

        Raises:
            Stuck: the window would need too many cells, or be too short.
        """
        begin, rows, unchanged = march.done.end, len(history), march
        modes = ceil(3 - 0.55 * log10(march.aim))
        state_at, finer_at = (self.state_at_end(each) for each in (march.done, march.finer))
        values = state_at(self.samples())
        if not bool(values.isfinite().all()):
            raise Stuck(f"at t = {begin:.4g} the values are not finite everywhere")
        lengths, cause = self.lengths(values), Cause(march.length)
        while True:
            end, ends = end_after(self.evolution.times[1], begin, cause.length), self.ends(lengths, march.resolution)
            if ends is None:
                raise Stuck(f"at t = {begin:.4g} it needs more than {MOST_CELLS} cells in space")
            if end - begin < SHORTEST * (self.evolution.duration):
                raise Stuck(f"at t = {begin:.4g} the windows of time become too short")
            shape = Shape(ends, self.degree, modes)
            window = Window(self.settings, self.evolution, (begin, end), state_at, finer_at)
            found = window.trained(shape, observer(self.settings, self.evolution, self.around, history, march))
            march = replace(march, trained=march.trained + 1)
            if march.trained > MOST_ATTEMPTS and not march.done.count:
                raise Stuck(f"at t = {begin:.4g} no length and no number of cells gives the accuracy")
            if limit(self.settings, self.around) is not None:
                del history[rows:]  # the window will be begun again
                return unchanged
            if found is None:
                cause = replace(cause, length=NOT_CONVERGED * (end - begin), longer=1.0)
                continue
            allowed = allowed_error(self.evolution, self.settings.floor, march, found.values, end)
            excess, in_time = (float((error / allowed).max()) for error in (found.local, found.in_time))
            if not found.is_seen:  # something lies between the training points
                cause, lengths = Cause(0.5 * (end - begin), 1.0), 0.7 * lengths
            elif excess <= 1:
                return self.accepted(march, window, shape, found, excess, in_time, cause.longer)
            elif cause.is_time(excess, in_time):
                length = (end - begin) * factor(in_time, modes, 0.2, 0.8)
                cause = replace(cause, length=length, longer=1.0, is_shorter=True, before=excess)
            else:
                exponent = max(1 / (self.degree + 1), min(1.5 * cause.exponent, 0.5))
                parts = window.local_errors(found, self.samples()) / allowed.repeat(2 * self.evolution.order)
                lengths = lengths * shorter(parts.square().sum(dim=1), ends, SAFETY, exponent)
                lengths = limited(lengths, self.evolution.width / (SAMPLES - 1), self.evolution.wraps)
                cause = replace(cause, is_shorter=False, before=excess, exponent=exponent)

    def accepted(
        self, march: March, window: Window, shape: Shape, found: Trained, excess: float, in_time: float, longer: float
    ) -> March:
        """Return what is known after a window whose local error is small enough, and the sizes of the next one."""
        begin, end = window.range
        errors, values = march.errors + found.errors, march.values + found.values
        error = relative(errors, values, self.settings.floor, self.evolution.measure(end))
        is_damped = march.number == 0 and excess > MARGIN and error < MARGIN * march.aim
        done, finer = march.done, march.finer
        assert isinstance(done, Windows) and isinstance(finer, Windows)
        after = done.followed_by(found.begin, found.network, end)
        # at this resolution the state after the window would have about as many cells as were needed
        cells = (len(shape.ends) - 1) / factor(excess - in_time, 2 * (self.degree + 1), 1 / MORE_CELLS, 1 / FEWER)
        now = number_of_cells(self.lengths(after.state(self.samples())), self.evolution.width, march.resolution)
        return replace(
            march,
            done=after,
            finer=finer.followed_by(found.finer_begin, found.finer, end),
            length=min((end - begin) * factor(in_time, shape.modes, 0.5, longer), march.longest),
            squares={name: march.squares.get(name, 0.0) + (end - begin) * each for name, each in found.squares.items()},
            resolution=march.resolution * min(max(cells / now, FEWER**2), 2.0),
            share=march.share * (MORE if is_damped else 1.0),
            errors=errors,
            values=values,
            looseness=max(march.looseness, found.looseness),
            unexplained=march.unexplained + (0.0 if found.is_explained else float(found.values.sum())),
            points=march.points + found.points,
        )
