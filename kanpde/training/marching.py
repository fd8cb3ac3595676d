r"""Runs with a tolerance on problems of evolution: one window of time after the other.

Every window is trained by `kanpde.training.window` and compared with a step on a finer network from the same state.
Their difference at its end is the local error, which may be the window's share of the tolerance. If it is larger, the
window is repeated with more cells in space or with half the length, depending on which of them is the cause. A second,
finer chain of windows is computed along the way from its own states; its distance from the solution is the estimate of
the global error, which includes what the equation makes of the local errors. A first pass with a mild tolerance
measures that: the local errors that the last pass permits follow from it. (Step-size control by local errors and
estimates of the global error by a second solution are those of codes for ordinary differential equations: E. Hairer,
S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I, 1993, II.4 and II.8.)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf, isfinite, log10, nan
from typing import Any

import torch
from torch import Tensor

from kanpde.ends import End, Ending
from kanpde.models.kan import KAN
from kanpde.models.windows import Windows
from kanpde.optimizers import Step
from kanpde.residuals.automatic_weights import automatic_weights
from kanpde.residuals.evaluation import components_of
from kanpde.residuals.misfit import misfit_of
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import sites_of
from kanpde.training.evolution import Evolution, evolution_of, initial_values
from kanpde.training.fresh import draw
from kanpde.training.phases import Progress
from kanpde.training.settings import Settings
from kanpde.training.spacing import equidistributed, limited, local_lengths, number_of_cells, shorter
from kanpde.training.state import Candidate, March, State
from kanpde.training.surroundings import Surroundings, limit, refuse_another_problem
from kanpde.training.watch import unseen, watched
from kanpde.training.window import Shape, StateAt, Trained, Window

SAMPLES = 4001  # at which the local length is computed
CHECKED = 200  # points of every condition at which a resumed run compares the residuals
FEWEST_CELLS, MOST_CELLS = 6, 300
MILD = 1e-3  # tolerance of the first pass
FIRST, SHORTEST = 1 / 32, 1e-7  # length of the first window, and least length, as parts of the whole interval
LONGER = 2.0  # most that a window is longer than the one before it
NOT_CONVERGED = 0.35  # by which a window is shortened if the steps do not converge
SAFETY = 0.5
FEWER, MORE_CELLS = 0.9, 1.15  # limits of the ratio of the numbers of cells of successive windows
PASSES, SHORTER = 4, 1 / 16  # limit of the windows' lengths after a pass in which something was not seen
LEAST_PART = 1 / 20  # shorter windows may have the local error of a window of that part of the interval
VAIN = 0.7  # a change that leaves so much of the local error did not help
MARGIN, MORE = 0.2, 2.0  # in the first pass, local errors may grow where their sum is below that part of the aim


def marching(settings: Settings) -> Evolution | None:
    """Return the evolution that a run with these settings solves in windows of time; None if it does not."""
    if settings.tolerance is None or settings.derivatives != "jets" or settings.constraints != "soft":
        return None
    if not is_default(settings.model) or settings.dtype != torch.float64:
        return None
    return evolution_of(settings.problem)


def is_default(model: Any) -> bool:
    """Return whether the model is the default KAN, of any degree."""
    return isinstance(model, KAN) and replace(model, hidden=tuple(model.hidden), degree=KAN.degree) == KAN()


def march(settings: Settings, evolution: Evolution, tolerance: float, state: State, around: Surroundings) -> State:
    """Train window after window to the end of the interval, in as many passes as the tolerance takes.

    The state is returned unchanged if the initial values are not resolved by `MOST_CELLS` cells.
    """
    run, saved = Run(settings, evolution, tolerance, around), around.clock.seconds()
    if state.march is None:
        state = run.first_pass(state)
        save(settings, evolution, state, around)
    while not state.done and state.march is not None:
        if (ended := limit(settings, around)) is not None:
            save(settings, evolution, state, around)
            if not around.stop.is_taken_over():
                return run.cut(state, state.march, ended)
            continue
        is_at_end = state.march.done.end >= run.times[1]
        state = run.after_pass(state, state.march) if is_at_end else run.next_window(state, state.march)
        if around.clock.seconds() - saved >= 60 * settings.checkpoint:
            save(settings, evolution, state, around)
            saved = around.clock.seconds()
    return state


def save(settings: Settings, evolution: Evolution, state: State, around: Surroundings) -> None:
    """Write a checkpoint."""
    if around.save is not None and state.march is not None:
        march = replace(state.march, residual=residual(settings, evolution, state.march.done))
        around.save(replace(state, march=march, seconds=around.clock.seconds()))


def residual(settings: Settings, evolution: Evolution, windows: Windows) -> float:
    """Return the mean squared residuals of the windows so far at fixed points; 0 if there are none.

    A resumed run must find it again, which tells problems apart whose names are the same.
    """
    if not windows.networks:
        return 0.0
    names, time = evolution.domain.names, 1 - evolution.axis
    box = evolution.domain.restricted(**{names[time]: (windows.times[0], windows.end)})
    generator = torch.Generator(settings.device).manual_seed(0)
    problem, total = settings.problem, 0.0
    for name, condition in problem.conditions.items():
        region = box.part_like(condition.region)
        points = region.sample("uniform", CHECKED, generator, settings.device, settings.dtype)
        total += misfit_of(problem, name, components_of(windows, "jets"), points, {}).square
    return total


def refuse_another(settings: Settings, state: State, march: March) -> None:
    """Check that the problem is the one that was saved.

    Raises:
        InputError: it is not a problem of evolution, or the residuals are others.
    """
    evolution = evolution_of(settings.problem)
    found = nan if evolution is None else residual(settings, evolution, march.done)
    refuse_another_problem(march.residual, found, settings, state)


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


def relative(errors: Tensor, values: Tensor) -> float:
    """Return the largest relative L2 error, from integrals of squares by unknown; of an unknown that is 0 it is 0."""
    return float((errors / values.clamp_min(torch.finfo(values.dtype).tiny)).sqrt().max())


@dataclass(frozen=True)
class Run:
    """A run in windows of time."""

    settings: Settings
    evolution: Evolution
    tolerance: float
    around: Surroundings

    @property
    def times(self) -> tuple[float, float]:
        """The beginning and the end of the interval."""
        return self.evolution.domain.ranges[1 - self.evolution.axis]

    @property
    def space(self) -> tuple[float, float]:
        return self.evolution.domain.ranges[self.evolution.axis]

    @property
    def width(self) -> float:
        return self.space[1] - self.space[0]

    @property
    def wraps(self) -> bool:
        return self.evolution.axis in self.evolution.domain.periodic

    @property
    def degree(self) -> int:
        """The degree of the splines in space."""
        return self.settings.model.degree

    def lengths(self, state: Tensor) -> Tensor:
        """Return the local lengths of a state (order, points, unknowns) at the samples."""
        return local_lengths(state.permute(0, 2, 1).flatten(0, 1), self.width, self.wraps)

    def samples(self) -> Tensor:
        """Return equally spaced points in space, with both ends."""
        return torch.linspace(*self.space, SAMPLES, device=self.settings.device, dtype=self.settings.dtype)

    def ends(self, lengths: Tensor, resolution: float) -> Tensor | None:
        """Return the ends of the cells in space; None if there would be too many."""
        count = max(FEWEST_CELLS, number_of_cells(lengths, self.width, resolution))
        return None if count > MOST_CELLS else equidistributed(lengths, *self.space, count)

    # the beginning ---------------------------------------------------------------------------------------------------
    def first_pass(self, state: State) -> State:
        """Return the state before the first window."""
        aim = MILD if self.tolerance < MILD / 10 else self.tolerance
        return self.begun(state, 0, aim, SAFETY * aim, self.times[1] - self.times[0], None)

    def begun(
        self, state: State, number: int, aim: float, share: float, longest: float, complete: Candidate | None
    ) -> State:
        """Return the state before the first window of a pass."""
        done = Windows(self.evolution.order, self.evolution.axis, self.times[:1])
        zero = torch.zeros(len(self.settings.problem.unknowns), device=self.settings.device, dtype=self.settings.dtype)
        first = min(FIRST * (self.times[1] - self.times[0]), longest)
        resolution, began = 0.5 * aim ** (-1 / (self.degree + 1)), self.around.clock.seconds()
        march = March(done, done, number, aim, share, longest, first, resolution, zero, zero)
        return replace(state, march=replace(march, began=began, complete=complete))

    def state_at_end(self, windows: Windows) -> StateAt:
        """Return the state from which the next window begins."""
        return windows.state if windows.networks else partial(initial_values, self.evolution)

    # a window --------------------------------------------------------------------------------------------------------
    def next_window(self, state: State, march: March) -> State:
        """Return the state after the next window; unchanged after a request to stop or at the time limit."""
        begin, rows = march.done.end, len(state.history)
        modes = ceil(3 - 0.55 * log10(march.aim))
        state_at, finer_at = (self.state_at_end(each) for each in (march.done, march.finer))
        lengths, cause = self.lengths(state_at(self.samples())), Cause(march.length)
        while True:
            end, ends = self.end_after(begin, cause.length), self.ends(lengths, march.resolution)
            if ends is None:
                return self.given_up(state, march, f"at t = {begin:.4g} it needs more than {MOST_CELLS} cells in space")
            if end - begin < SHORTEST * (self.times[1] - self.times[0]):
                return self.given_up(state, march, f"at t = {begin:.4g} the windows of time become too short")
            shape = Shape(ends, self.degree, modes)
            window = Window(self.settings, self.evolution, (begin, end), state_at, finer_at)
            found = window.trained(shape, self.observer(state, march))
            march = replace(march, trained=march.trained + 1)
            if limit(self.settings, self.around) is not None:
                del state.history[rows:]  # the window will be begun again
                return state
            if found is None:
                cause = replace(cause, length=NOT_CONVERGED * (end - begin), longer=1.0)
                continue
            allowed = self.allowed(march, found, end)
            excess, in_time = (float((error / allowed).max()) for error in (found.local, found.in_time))
            if not found.is_seen:  # something lies between the training points
                cause, lengths = Cause(0.5 * (end - begin), 1.0), 0.7 * lengths
            elif excess <= 1:
                return self.accepted(state, march, window, shape, found, excess, in_time, cause.longer)
            elif cause.is_time(excess, in_time):
                length = (end - begin) * factor(in_time, modes, 0.2, 0.8)
                cause = replace(cause, length=length, longer=1.0, is_shorter=True, before=excess)
            else:
                exponent = max(1 / (self.degree + 1), min(1.5 * cause.exponent, 0.5))
                parts = window.local_errors(found, self.samples()) / allowed.repeat(2 * self.evolution.order)
                lengths = lengths * shorter(parts.square().sum(dim=1), ends, SAFETY, exponent)
                lengths = limited(lengths, self.width / (SAMPLES - 1), self.wraps)
                cause = replace(cause, is_shorter=False, before=excess, exponent=exponent)

    def end_after(self, begin: float, length: float) -> float:
        """Return the end of a window of about that length, such that the last windows are not short."""
        rest = self.times[1] - begin
        return self.times[1] if length > 0.95 * rest else begin + (0.5 * rest if length > 0.5 * rest else length)

    def accepted(
        self,
        state: State,
        march: March,
        window: Window,
        shape: Shape,
        found: Trained,
        excess: float,
        in_time: float,
        longer: float,
    ) -> State:
        """Return the state after a window whose local error is small enough, and the sizes of the next one."""
        begin, end = window.range
        errors, values = march.errors + found.errors, march.values + found.values
        is_damped = march.number == 0 and excess > MARGIN and relative(errors, values) < MARGIN * march.aim
        after = march.done.followed_by(found.begin, found.network, end)
        # at this resolution the state after the window would have about as many cells as were needed
        cells = (len(shape.ends) - 1) / factor(excess - in_time, 2 * (self.degree + 1), 1 / MORE_CELLS, 1 / FEWER)
        now = number_of_cells(self.lengths(after.state(self.samples())), self.width, march.resolution)
        march = replace(
            march,
            done=after,
            finer=march.finer.followed_by(found.finer_begin, found.finer, end),
            length=min((end - begin) * factor(in_time, shape.modes, 0.5, longer), march.longest),
            squares={name: march.squares.get(name, 0.0) + (end - begin) * each for name, each in found.squares.items()},
            resolution=march.resolution * min(max(cells / now, FEWER**2), 2.0),
            share=march.share * (MORE if is_damped else 1.0),
            errors=errors,
            values=values,
            points=march.points + found.points,
        )
        return replace(state, network=march.done, march=march)

    def allowed(self, march: March, found: Trained, end: float) -> Tensor:
        """Return the root mean square of the local error that a window may have, by unknown."""
        part = max((end - march.done.end) / (self.times[1] - self.times[0]), LEAST_PART)
        measure = (end - self.times[0]) * (self.space[1] - self.space[0])
        size = ((march.values + found.values) / measure).sqrt()
        return march.share * part * size + torch.finfo(size.dtype).tiny

    def observer(self, state: State, march: March) -> Callable[[Step, Objective], bool]:
        """Return the function that records a step and tells whether to go on."""
        done = (march.done.end - self.times[0]) / (self.times[1] - self.times[0])
        percent = max(1, round(100 * done))

        def observe(step: Step, objective: Objective) -> bool:
            size, seconds = objective.size[1], self.around.clock.seconds()
            row = {"step": len(state.history) + 1, "start": 0, "phase": march.number, "grid": nan, "parameters": size}
            state.history.append(row | {"loss": step.loss, "error": nan, "seconds": seconds})
            self.around.observe(
                Progress(march.number, PASSES, percent, 100, step.loss, nan, None, size, seconds, unit="% of time")
            )
            return limit(self.settings, self.around) is None

        return observe

    # the end of a pass -----------------------------------------------------------------------------------------------
    def after_pass(self, state: State, march: March) -> State:
        """Return the state at the end of the run, or before the next pass."""
        estimate = relative(march.errors, march.values)
        end, said = End.STEPS_DONE, f"estimated relative L2 error {estimate:.1e}"
        state = self.with_level(state, march, estimate, Ending(end, said))
        is_seen = not unseen(self.settings, state)
        if estimate <= self.tolerance and is_seen:
            level = {**state.levels[-1], "end": End.TOLERANCE_REACHED.name, "reason": said}
            ending = Ending(End.TOLERANCE_REACHED, said)
            return replace(state, levels=(*state.levels[:-1], level), ending=ending, done=True)
        best = march.complete
        if best is None or not best.level["estimate"] <= estimate:
            best = Candidate(march.done, None, state.levels[-1])
        if march.number + 1 == PASSES or not isfinite(estimate):
            detail = f"estimated relative L2 error {best.level['estimate']:.1e} after {march.number + 1} passes"
            return self.with_complete(state, best, Ending(End.NOT_REACHED, detail))
        if is_seen:
            share, longest = march.share * min(SAFETY * self.tolerance / estimate, 1.0), march.longest
        else:
            share, longest = march.share, min(march.longest, self.times[1] - self.times[0]) * SHORTER
        return self.begun(state, march.number + 1, self.tolerance, share, longest, best)

    def with_level(self, state: State, march: March, estimate: float, ending: Ending) -> State:
        """Return the state with a row for the pass in the table of levels."""
        settings, network = self.settings, march.done
        points = draw(settings, network.networks[-1], settings.sampling, state.generator)
        weights = {**automatic_weights(network, sites_of(settings.problem, points)), **settings.weights}
        components = components_of(network, settings.derivatives)
        duration = march.done.end - self.times[0]
        parts = {name: weights[name] * square / duration for name, square in march.squares.items()}
        for name in points.keys() - parts.keys():  # initial values
            parts[name] = weights[name] * misfit_of(settings.problem, name, components, points[name], {}).square
        counts = {name: len(at.x) for name, at in points.items()}
        used: dict[str, Any] = {"rule": settings.sampling.rule, "points": counts, "weights": weights}
        used |= {"estimate": estimate, "windows": len(network.networks)}
        state = replace(state, network=network, used=used, phase=1)
        level: dict[str, Any] = {
            "phase": march.number,
            "start": 0,
            "optimizer": "LM",
            "method": "cholesky",
            "grid": None,
            "parameters": sum(p.numel() for p in network.parameters()),
            "points": march.points,
            "steps": sum(row["phase"] == march.number for row in state.history),
            "loss": sum(parts.values()),
            **{f"loss_{name}": value for name, value in parts.items()},
            "seconds": self.around.clock.seconds() - march.began,
            "reason": str(ending),
            "end": ending.end.name,
            "estimate": estimate,
            "windows": len(network.networks),
        }
        for unknown, errors in self.around.errors.all(components).items():
            suffix = "" if unknown == settings.problem.unknowns[0] else f"_{unknown}"
            level.update({f"{kind}{suffix}": value for kind, value in errors.items()})
        level |= watched(settings, state, 0, weights)
        error = f", L2 error {level['l2']:.2e}" if "l2" in level else ""
        self.around.log(
            f"{level['windows']} windows of time ({march.trained} trained), {level['parameters']} parameters: "
            f"{level['steps']} steps in {level['seconds']:.1f} s, estimated relative L2 error {estimate:.1e}{error}"
        )
        return replace(state, levels=(*state.levels, level))

    def given_up(self, state: State, march: March, why: str) -> State:
        """Return the state at the end of a run that does not reach the end of the interval."""
        return self.cut(state, march, Ending(End.NOT_REACHED, why))

    def cut(self, state: State, march: March, ending: Ending) -> State:
        """Return the state at the end of the run: an earlier pass is the result, or what there is of the first one."""
        if march.complete is not None:
            return self.with_complete(state, march.complete, ending)
        if not march.done.networks:  # the whole interval at once, by `kanpde.training.tolerance`
            self.around.log(f"no windows of time: {ending}")
            return replace(state, march=None)
        reached = f"the solution ends at t = {march.done.end:.4g}"
        ending = Ending(ending.end, f"{ending.detail}; {reached}" if ending.detail else reached)
        state = self.with_level(state, march, nan, ending)
        return replace(state, used={**state.used, "ends_at": march.done.end}, ending=ending, done=True)

    def with_complete(self, state: State, best: Candidate, ending: Ending) -> State:
        """Return the state at the end of the run with the result of a pass."""
        later = {"end": End.OVERFITTED.name, "reason": "taken back, because the estimate of an earlier pass is smaller"}
        levels = tuple({**row, **later} if row["phase"] > best.level["phase"] else row for row in state.levels)
        used = {**state.used, "estimate": best.level["estimate"], "windows": best.level["windows"]}
        return replace(state, network=best.network, levels=levels, used=used, ending=ending, done=True)
