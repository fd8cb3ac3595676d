"""The course of a run: starts, phases, steps, and what ends them."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, is_dataclass
from math import inf, isfinite, nan
from time import perf_counter
from typing import Any

import torch
from torch import nn

from kanpde.domains import Points
from kanpde.models.network import Network, grid_of
from kanpde.optimizers.lm import ROUNDING
from kanpde.problem import Problem
from kanpde.residuals.objective import Objective
from kanpde.residuals.weights import automatic_weights
from kanpde.solution import Errors, Solution, at_points
from kanpde.training.checks import check_ansatz, check_degree, check_phases, check_sizes
from kanpde.training.phases import Phase, Progress
from kanpde.training.sampling import Sampling

ERROR_SHARE = 0.05  # of the time may go into watching the error
OVERFITTED, DIVERGED = "overfitted", "diverged"  # how the reason of a phase that was taken back begins
WORSE = 2.0  # times the loss on fresh points before a phase: more than chance and a step of the path would make it
ENDS_RUN = ("time limit", "non-finite", "interrupted")


class Training:
    """The state of one call of `kanpde.solve`, whose arguments it takes."""

    def __init__(
        self,
        problem,
        factory,
        sampling,
        weights,
        seed,
        device,
        dtype,
        time_limit,
        derivatives,
        constraints,
        observe,
        log,
    ):
        self.problem: Problem = problem
        self.factory = factory
        self.sampling: Sampling = sampling
        self.given_weights: dict[str, float] = weights
        self.device, self.dtype = device, dtype
        self.time_limit: float | None = time_limit
        self.derivatives: str = derivatives
        self.constraints: str = constraints
        self.observe: Callable[[Progress], None] = observe
        self.log: Callable[[str], None] = log
        self.seed: int = seed
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self.began = perf_counter()
        self.watching = 0.0  # seconds spent on measuring errors during training
        self.error = nan
        self.errors = Errors(problem, device, dtype)
        self.history: list[dict[str, float]] = []
        self.levels: list[dict[str, Any]] = []
        self.used: dict[str, Any] = {}
        self.model: nn.Module
        self.phase: Phase  # the last one entered
        self.coefficients: nn.Parameter | None = None
        self.ended: str | None = None  # why the run ended before its last phase was through

    @property
    def seconds(self) -> float:
        return perf_counter() - self.began

    # preparation -----------------------------------------------------------------------------------------------------
    def _start(self) -> None:
        """A new network and the coefficients' starting values."""
        if self.problem.parameters:
            values = torch.tensor(list(self.problem.parameters.values()), device=self.device, dtype=self.dtype)
            self.coefficients = nn.Parameter(values)
        if isinstance(self.factory, nn.Module):
            self.model = self.factory.to(device=self.device, dtype=self.dtype)
            return
        domain = self.problem.domain
        self.model = self.factory(
            domain.ranges,
            len(self.problem.unknowns),
            periodic=domain.periodic,
            generator=self.generator,
            device=self.device,
            dtype=self.dtype,
        )

    def _points(self, sampling: Sampling, generator: torch.Generator) -> dict[str, Points]:
        """New points of every trained condition, as many as the present network asks for."""
        parameters, grid = sum(p.numel() for p in self.model.parameters()), grid_of(self.model) or 0
        points: dict[str, Points] = {}
        for name, condition in self.problem.trained.items():
            n = sampling.size(condition.region, parameters, grid)
            points[name] = condition.region.sample(sampling.rule, n, generator, self.device, self.dtype)
        return points

    def _objective(self, points: Mapping[str, Points], weights: Mapping[str, float] | None = None) -> Objective:
        """The trained conditions at the points, with the weights the user gave unless others are."""
        weights = self.given_weights if weights is None else weights
        return Objective(self.problem, self.model, points, weights, self.coefficients, self.derivatives)

    # training --------------------------------------------------------------------------------------------------------
    def train(self, phases: list[Phase], starts: int) -> None:
        """All phases, the first one from several starts; ends early with a named reason."""
        self._start()
        check_phases(phases, self.model, self.derivatives)
        objective = self._objective(self._points(Sampling("uniform", 64, 64), self._new_generator()))
        check_degree(self.model, objective, self.log)
        check_sizes(phases, self.model, objective)
        check_ansatz(self.problem, self.solution(), self.device, self.dtype)
        try:
            self._first_phase(phases, starts)
            for number, phase in enumerate(phases[1:], start=1):
                if self.ended is not None:
                    break
                self._next_phase(phase, number, len(phases))
            self._note_fresh()
        except KeyboardInterrupt:  # between steps `_train_phase` sees to it; here it came between phases
            self.ended = "interrupted"

    def _first_phase(self, phases: list[Phase], starts: int) -> None:
        """Trains the first phase from every start and goes on with the one whose loss on fresh points is least."""
        best: tuple[float, nn.Module, nn.Parameter | None, dict[str, Any]] | None = None
        weights = None  # the first start's serve all, so that their losses can be compared
        try:
            for start in range(starts):
                if start:
                    self._start()
                objective = self._enter(phases[0], weights)
                weights = objective.weights
                level = self._train_phase(objective, phases[0], 0, len(phases), start)
                fresh = self._fresh_loss(objective, self._fresh_points(phases[0])) if starts > 1 else 0.0
                if starts > 1:
                    self.log(f"start {start + 1} of {starts}: loss on fresh points {fresh:.2e}")
                if best is None or fresh < best[0]:
                    best = fresh, self.model, self.coefficients, level
                if self.ended is not None and not self.ended.startswith("non-finite"):
                    break
        finally:
            if best is not None:
                _, self.model, self.coefficients, level = best
                self.levels.append(level)
                if self.ended is not None and self.ended.startswith("non-finite") and level["reason"] != self.ended:
                    self.ended = None  # another start blew up, the best did not

    def _next_phase(self, phase: Phase, number: int, phases: int) -> None:
        """Trains a phase, and takes it back if the residuals on fresh points are clearly larger than before it."""
        before = deepcopy((self.model, self.coefficients))
        objective = self._enter(phase)
        level = self._train_phase(objective, phase, number, phases, 0)
        self.levels.append(level)
        points = self._fresh_points(phase)
        after, fresh = (self.model, self.coefficients), self._fresh_loss(objective, points)
        try:
            self.model, self.coefficients = before
            fresh_before = self._fresh_loss(objective, points)
        finally:
            self.model, self.coefficients = after
        if fresh > WORSE * fresh_before and fresh > self._rounding():
            name = OVERFITTED if level["loss"] < fresh_before else DIVERGED  # its own points better, or those too worse
            level["reason"] = f"{name}: on fresh points the loss grew from {fresh_before:.1e} to {fresh:.1e}"
            self.log("the weights of the phase before are kept: " + level["reason"])
            self.model, self.coefficients = before
            self.ended = self.ended or level["reason"]

    def _rounding(self) -> float:
        """A loss that is nothing but rounding beside the first one."""
        return (ROUNDING * torch.finfo(self.dtype).eps) ** 2 * self.history[0]["loss"] if self.history else 0.0

    def _fresh_points(self, phase: Phase, seed: int | None = None) -> dict[str, Points]:
        """Random points that were not trained on."""
        sampling = phase.sampling or self.sampling
        return self._points(Sampling("uniform", sampling.interior, sampling.boundary), self._new_generator(seed))

    def _note_fresh(self) -> None:
        """Sets down the loss of what was reached, on points that neither trained nor chose anything."""
        objective = self._objective(self._fresh_points(self.phase, self.seed + 1), self.used["weights"])
        self.used["fresh"] = sum(_values(objective).values())

    def _fresh_loss(self, objective: Objective, points: Mapping[str, Points]) -> float:
        """The loss of the present network at other points, with the weights of training."""
        loss = sum(_values(self._objective(points, objective.weights)).values())
        return loss if isfinite(loss) else inf

    def _new_generator(self, seed: int | None = None) -> torch.Generator:
        """For what must not disturb the run's own random numbers."""
        return torch.Generator(self.device).manual_seed(self.seed if seed is None else seed)

    def _enter(self, phase: Phase, weights: Mapping[str, float] | None = None) -> Objective:
        """Refines the grid, moves knots, draws points and sets the weights for a phase."""
        if isinstance(self.model, Network) and self.model.grid is not None:
            self._regrid(self.model, self.model.grid, phase)
        elif (phase.grid or phase.refine) and not self.used:
            self.log(f"{type(self.factory).__name__} has no grid; the schedule's grids leave its size as it is")
        self.phase = phase
        sampling = phase.sampling or self.sampling
        objective = self._objective(self._points(sampling, self.generator))
        for name, weight in (weights or automatic_weights(objective)).items():
            if name not in self.given_weights:
                objective.set_weight(name, weight)
        points = {name: len(p.x) for name, p in objective.points.items()}
        self.used = {"rule": sampling.rule, "points": points, "weights": dict(objective.weights)}
        return objective

    def _regrid(self, model: Network, old: int, phase: Phase) -> None:
        """Brings the network to the phase's grid and says by how much that changed it, if it did."""
        new = phase.next_grid(old)
        if new == old and not phase.move_knots:
            return
        before = self._values()
        if phase.move_knots:
            model.update_grid(self.errors.x, new)
        else:
            model.refine(new)
        change = float((self._values() - before).abs().max())
        if change > torch.finfo(before.dtype).eps ** 0.5 * float(before.abs().max()):
            self.log(f"grid {new}: the network changed by at most {change:.1e} on being regridded")

    def _values(self) -> torch.Tensor:
        return at_points(self.problem, self.model, self.derivatives, self.errors.x, lambda *u: u[0].value)

    def _train_phase(self, objective: Objective, phase: Phase, number: int, phases: int, start: int) -> dict[str, Any]:
        """Steps until the phase's rule or the run's limits end it; returns what the phase bought."""
        optimizer = phase.optimizer(objective)
        grid = grid_of(self.model)
        parameters = objective.vector().numel()
        losses: list[float] = []
        methods: list[str] = []
        reason, began = "steps done", self.seconds
        good = last = objective.vector()  # the last weights whose loss is known to be finite; the last weights
        try:
            for step in range(1, phase.steps + 1):
                result = optimizer.step()
                before, last = last, objective.vector()
                if not isfinite(result.loss) or not bool(last.isfinite().all()):
                    reason = self._non_finite(objective, good)
                    break
                good = before
                losses.append(result.loss)
                if result.method not in methods:
                    methods.append(result.method)
                self._watch(step == phase.steps or result.end is not None)
                progress = Progress(
                    number, phases, step, phase.steps, result.loss, self.error, grid, parameters, self.seconds
                )
                self._record(progress, start)
                self.observe(progress)
                if result.end is not None:
                    reason = str(result.end)
                    break
                if self.time_limit is not None and self.seconds >= self.time_limit:
                    reason = f"time limit of {self.time_limit:g} s"
                    break
                if phase.stagnates(losses):
                    reason = f"stagnated: under {phase.least:.0%} less loss in {phase.window} steps"
                    break
        except KeyboardInterrupt:
            objective.assign(last)
            reason = "interrupted"
        final = _values(objective)
        if not all(isfinite(v) for v in final.values()):
            reason = self._non_finite(objective, good)
            final = _values(objective)
        if reason.startswith(ENDS_RUN):
            self.ended = reason
        level = {
            "phase": number,
            "optimizer": type(phase.optimizer).__name__,
            "method": ", ".join(filter(None, methods)),
            "grid": grid,
            "parameters": parameters,
            "points": sum(self.used["points"].values()),
            "steps": len(losses),
            "loss": sum(final.values()),
            **{f"loss_{name}": value for name, value in final.items()},
            "seconds": self.seconds - began,
            "reason": reason,
        }
        for unknown, errors in self.errors.all(self.model, self.derivatives).items():
            suffix = "" if unknown == self.problem.unknowns[0] else f"_{unknown}"
            level.update({f"{kind}{suffix}": value for kind, value in errors.items()})
        error = f", L2 error {level['l2']:.2e}" if "l2" in level else ""
        method = f" by {level['method']}" if level["method"] else ""
        self.log(
            f"{level['optimizer']}{method}, {f'grid {grid}, ' if grid else ''}{parameters} parameters: {len(losses)} "
            f"steps in {level['seconds']:.1f} s, loss {level['loss']:.2e}{error} ({reason})"
        )
        return level

    def _record(self, progress: Progress, start: int) -> None:
        self.history.append(
            {
                "step": len(self.history) + 1,
                "start": start,
                "phase": progress.phase,
                "grid": progress.grid or nan,
                "parameters": progress.parameters,
                "loss": progress.loss,
                "error": progress.error,
                "seconds": progress.seconds,
            }
        )

    def _watch(self, last: bool) -> None:
        """Measures the error now and then, within its share of the time."""
        if not self.errors.exact or (not last and self.watching > ERROR_SHARE * self.seconds):
            return
        began = self.seconds
        self.error = self.errors.l2(self.model, self.derivatives)
        self.watching += self.seconds - began

    def _non_finite(self, objective: Objective, good: torch.Tensor) -> str:
        """Names the conditions that blew up and goes back to the last good weights."""
        broken = [name for name, value in _values(objective).items() if not isfinite(value)]
        objective.assign(good)
        return f"non-finite loss{' in ' + ', '.join(broken) if broken else ''}; the last good weights are kept"

    def _reason(self) -> str:
        return self.ended or (self.levels[-1]["reason"] if self.levels else "not trained")

    def _model_settings(self) -> dict[str, Any]:
        """The factory by name with its arguments, from which the network can be built again."""
        if is_dataclass(self.factory) and not isinstance(self.factory, type):
            return {"name": type(self.factory).__name__, **asdict(self.factory)}
        return {"name": type(self.factory).__name__}

    def solution(self) -> Solution:
        """What has been reached so far."""
        names = list(self.problem.parameters)
        values = [] if self.coefficients is None else self.coefficients.tolist()
        settings = {
            "seed": self.seed,
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "derivatives": self.derivatives,
            "constraints": self.constraints,
            "seconds": self.seconds,
            "model": self._model_settings(),
            **self.used,
        }
        return Solution(
            problem=self.problem,
            model=self.model,
            history=self.history,
            levels=self.levels,
            reason=self._reason(),
            errors=self.errors.all(self.model, self.derivatives),
            coefficients=dict(zip(names, values, strict=True)),
            settings=settings,
        )


def _values(objective: Objective) -> dict[str, float]:
    """Per condition, its share of the loss as a number."""
    with torch.set_grad_enabled(objective.engine == "autograd"):
        return {name: float(value.detach()) for name, value in objective.losses().items()}
