r"""Runs with a tolerance on problems of evolution: one window of time after the other.

Every window is trained by `kanpde.training.window` and compared with a step on a finer network from the same state.
Their difference at its end is the local error, which may be the window's share of the tolerance. If it is larger, the
window is repeated with more cells in space or in a shorter window, depending on which of them is the cause. A second,
finer chain of windows is computed along the way from its own states; its distance from the solution is the estimate of
the global error, which includes what the equation makes of the local errors. A first pass with a mild tolerance
measures that: the local errors that the last pass permits follow from it. (Step-size control by local errors and
estimates of the global error by a second solution are those of codes for ordinary differential equations: E. Hairer,
S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I, 1993, II.4 and II.8.)
"""

from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import Any

import torch

from kanpde.ends import End, Ending
from kanpde.models.kan import KAN
from kanpde.models.trajectory import Trajectory
from kanpde.models.windows import Windows
from kanpde.problem import Problem
from kanpde.residuals.automatic_weights import automatic_weights
from kanpde.residuals.evaluation import components_of
from kanpde.residuals.misfit import misfit_of
from kanpde.residuals.site import sites_of
from kanpde.training.evolution import Evolution, evolution_of
from kanpde.training.fresh import draw
from kanpde.training.leaving import error_columns
from kanpde.training.ordinary import Ordinary, ordinary_of
from kanpde.training.ordinary_steps import OrdinaryStepper
from kanpde.training.settings import Settings
from kanpde.training.state import Candidate, March, State
from kanpde.training.stepping import PASSES, Stepper, Stuck, relative
from kanpde.training.surroundings import Surroundings, limit, refuse_another_problem
from kanpde.training.watch import undetermined, unseen, watched

CHECKED = 200  # points of every condition at which a resumed run compares the residuals
MILD = 1e-3  # tolerance of the first pass
FIRST = 1 / 32  # length of the first window, as a part of the whole interval
SHARE = 0.5  # sum of all local errors, as a part of the tolerance, if the equation leaves them as they are
FUTILE = 0.1  # local errors below that part of the tolerance did not help
ROUNDED = (
    "rounding errors grow until the end to more than the tolerance, as where the solution is chaotic or derivatives "
    "are of high order. Choose a larger tolerance or a shorter interval, or write a system of first order"
)
SHORTER = 1 / 16  # limit of the windows' lengths after a pass in which something was not seen


def marching(settings: Settings) -> Evolution | Ordinary | None:
    """Return the problem that a run with these settings solves in windows of time; None if it does not."""
    if settings.tolerance is None or settings.derivatives != "jets" or settings.constraints != "soft":
        return None
    if not is_default(settings.model) or settings.dtype != torch.float64:
        return None
    return in_time(settings.problem)


def in_time(problem: Problem) -> Evolution | Ordinary | None:
    """Return the problem as one that is solved in windows of time; None if it is not."""
    return ordinary_of(problem) or evolution_of(problem)


def is_default(model: Any) -> bool:
    """Return whether the model is the default KAN, of any degree."""
    return isinstance(model, KAN) and replace(model, hidden=tuple(model.hidden), degree=KAN.degree) == KAN()


def march(
    settings: Settings, evolution: Evolution | Ordinary, tolerance: float, state: State, around: Surroundings
) -> State:
    """Train window after window to the end of the interval, in as many passes as the tolerance takes.

    If not even the first window can be trained, the state is returned with ``march`` None, and not done.
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
        is_over = state.march.done.end >= evolution.times[1]
        state = run.after_pass(state, state.march) if is_over else run.after_window(state, state.march)
        if is_over or around.clock.seconds() - saved >= 60 * settings.checkpoint:
            save(settings, evolution, state, around)
            saved = around.clock.seconds()
    return state


def save(settings: Settings, evolution: Evolution | Ordinary, state: State, around: Surroundings) -> None:
    """Write a checkpoint."""
    if around.save is not None and state.march is not None:
        march = replace(state.march, residual=residual(settings, evolution, state.march.done))
        around.save(replace(state, march=march, seconds=around.clock.seconds()))


def residual(settings: Settings, evolution: Evolution | Ordinary, windows: Windows | Trajectory) -> float:
    """Return the mean squared residuals of the windows so far at fixed points; 0 if there are none.

    A resumed run must find it again, which tells problems apart whose names are the same.
    """
    if not windows.count:
        return 0.0
    box = evolution.within((windows.times[0], windows.end))
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
    evolution = in_time(settings.problem)
    found = nan if evolution is None else residual(settings, evolution, march.done)
    refuse_another_problem(march.residual, found, settings, state)


@dataclass(frozen=True)
class Run:
    """The passes of a run in windows of time."""

    settings: Settings
    evolution: Evolution | Ordinary
    tolerance: float
    around: Surroundings

    @property
    def stepper(self) -> Stepper | OrdinaryStepper:
        """What trains the next window."""
        if isinstance(self.evolution, Ordinary):
            return OrdinaryStepper(self.settings, self.evolution, self.around)
        return Stepper(self.settings, self.evolution, self.around)

    def first_pass(self, state: State) -> State:
        """Return the state before the first window."""
        aim = MILD if self.tolerance < MILD / 10 else self.tolerance
        return self.begun(state, 0, aim, SHARE * aim, self.evolution.duration, None)

    def begun(
        self, state: State, number: int, aim: float, share: float, longest: float, complete: Candidate | None
    ) -> State:
        """Return the state before the first window of a pass."""
        done = self.evolution.nothing(self.settings.device)
        zero = torch.zeros(len(self.settings.problem.unknowns), device=self.settings.device, dtype=self.settings.dtype)
        first = min(FIRST * (self.evolution.duration), longest)
        resolution, began = 0.5 * aim ** (-1 / (self.settings.model.degree + 1)), self.around.clock.seconds()
        march = March(done, done, number, aim, share, longest, first, resolution, zero, zero)
        return replace(state, march=replace(march, began=began, complete=complete))

    def after_pass(self, state: State, march: March) -> State:
        """Return the state at the end of the run, or before the next pass."""
        measure = self.evolution.measure(self.evolution.times[1])
        estimate = relative(march.errors, march.values, self.settings.floor, measure)
        said = f"estimated relative L2 error {estimate:.1e}"
        state = self.with_level(state, march, estimate, Ending(End.STEPS_DONE, said))
        is_seen = not unseen(self.settings, state)
        if (doubt := self.doubt(state, march)) is not None:
            state = replace(state, used={**state.used, "estimate": nan})
            return replace(state, ending=Ending(End.NOT_REACHED, doubt), done=True)
        if estimate <= self.tolerance and is_seen:
            ending = Ending(End.TOLERANCE_REACHED, said)
            level = {**state.levels[-1], "end": ending.end.name, "reason": str(ending)}
            return replace(state, levels=(*state.levels[:-1], level), ending=ending, done=True, finer=march.finer)
        if not is_seen:  # the estimate does not know of it either
            levels = (*state.levels[:-1], {**state.levels[-1], "estimate": nan})
            state = replace(state, levels=levels, used={**state.used, "estimate": nan})
        best, valid = march.complete, estimate if is_seen else nan
        if best is None or not isfinite(best.level["estimate"]) or valid < best.level["estimate"]:
            best = Candidate(march.done, None, state.levels[-1], finer=march.finer)
        if march.number + 1 == PASSES or not isfinite(estimate):
            detail = f"estimated relative L2 error {best.level['estimate']:.1e} after {march.number + 1} passes"
            if isinstance(self.evolution, Ordinary) and march.share < FUTILE * self.tolerance:
                detail += f"; {ROUNDED}"
            return self.with_complete(state, best, Ending(End.NOT_REACHED, detail))
        if is_seen:
            share, longest = march.share * min(SHARE * self.tolerance / estimate, 1.0), march.longest
        else:
            share, longest = march.share, min(march.longest, self.evolution.duration) * SHORTER
        return self.begun(state, march.number + 1, self.tolerance, share, longest, best)

    def doubt(self, state: State, march: March) -> str | None:
        """Return why no further pass can help, or None."""
        if undetermined(state):
            return "the conditions hardly determine the solution"
        if march.unexplained > 0.5 * float(march.values.sum()):
            return "most of the residual remains with finer networks; do the equations contradict each other?"
        return None

    def after_window(self, state: State, march: March) -> State:
        """Return the state after the next window, or at the end of the run if there can be none."""
        try:
            march = self.stepper.after_window(state.history, march)
        except Stuck as reason:
            if march.complete is None and not march.done.count:  # then by `kanpde.training.tolerance`
                self.around.log(
                    f"the first window of time cannot be trained ({reason}); next: the whole interval at once"
                )
                return replace(state, march=None)
            return self.cut(state, march, Ending(End.NOT_REACHED, str(reason)))
        return replace(state, network=march.done if march.done.count else state.network, march=march)

    def with_level(self, state: State, march: March, estimate: float, ending: Ending) -> State:
        """Return the state with a row for the pass in the table of levels."""
        settings, network = self.settings, march.done
        points = draw(settings, network, settings.sampling, state.generator)
        weights = {**automatic_weights(network, sites_of(settings.problem, points)), **settings.weights}
        components = components_of(network, settings.derivatives)
        duration = march.done.end - self.evolution.times[0]
        parts = {name: weights[name] * square / duration for name, square in march.squares.items()}
        for name in [name for name in points if name not in parts]:  # initial values
            parts[name] = weights[name] * misfit_of(settings.problem, name, components, points[name], {}).square
        counts = {name: len(at.x) for name, at in points.items()}
        used: dict[str, Any] = {"rule": settings.sampling.rule, "points": counts, "weights": weights}
        used |= {"estimate": estimate, "looseness": march.looseness, "windows": network.count}
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
            "windows": network.count,
        }
        level |= error_columns(settings.problem, self.around.errors.all(components))
        level |= watched(settings, state, 0, weights)
        error = f", L2 error {level['l2']:.2e}" if "l2" in level else ""
        self.around.log(
            f"{level['windows']} windows of time ({march.trained} trained), {level['parameters']} parameters: "
            f"{level['steps']} steps in {level['seconds']:.1f} s, estimated relative L2 error {estimate:.1e}{error}"
        )
        return replace(state, levels=(*state.levels, level))

    def cut(self, state: State, march: March, ending: Ending) -> State:
        """Return the state at the end of the run: an earlier pass is the result, or what there is of the first one."""
        if march.complete is not None:
            return self.with_complete(state, march.complete, ending)
        if not march.done.count:  # the result is the untrained network; the checkpoint of the windows stays
            self.around.save = None
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
        state = replace(state, network=best.network, levels=levels, used=used, ending=ending, done=True)
        return replace(state, finer=best.finer if isfinite(best.level["estimate"]) else None)
