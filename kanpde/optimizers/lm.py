r"""Levenberg-Marquardt: $\min_\delta |J\delta + r|^2 + \lambda |D\delta|^2$ with $D^2 = \mathrm{diag}(J^T J)$."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, inf, isfinite
from typing import Any, ClassVar

import torch
from torch import Tensor

from kanpde.ends import End, Ending
from kanpde.errors import Code, InputError, suggest
from kanpde.optimizers import Step
from kanpde.optimizers.damped import QR, Cholesky, CholeskyInPieces, DampedSystem, Dual, column_scale, gram
from kanpde.residuals.objective import Objective

ROUNDING = 1e3  # residuals below this multiple of the machine precision, relative to the first ones, count as zero
EXHAUSTED = 60  # number of rejected trials in one step, with increasing damping, after which the method stagnates
PROBE = 0.1  # fraction of the step at which the curvature along it is measured
SOLVERS = ("auto", "cholesky", "qr", "dual")
LEAST_DAMPING = 1e-15
GIB = 2.0**30


@dataclass(frozen=True)
class LM:
    r"""Levenberg-Marquardt with geodesic acceleration, for networks of this package.

    Long curved valleys slow down the method. Along a step δ the residuals have the second derivative
    $r'' \approx \frac{2}{h} \left( \frac{r(\theta + h\delta) - r(\theta)}{h} - J\delta \right)$, and the path
    $\delta + \frac{1}{2} a$, where a solves the same damped system with r'' in place of r, stays in the valley for much
    longer (M. Transtrum, J. Sethna, Improvements to the Levenberg-Marquardt algorithm, 2012, section 4). It costs one
    evaluation of the residuals (if J is not stored, three evaluations and a gradient).

    Args:
        damping: initial λ.
        floor: lower bound of D² relative to the largest (cells without points give zero columns).
        tolerance: converged if the predicted relative decrease of the loss is below it.
        acceleration: the correction is used if |D ½a| is below this fraction of |Dδ|; 0 switches it off.
        solver: "cholesky", "qr" or "dual" (see `kanpde.optimizers.damped`); "auto" takes the dual form for more
            parameters than residuals, else Cholesky, and QR if Cholesky breaks down.
        memory: limit in GiB for J, or for JᵀJ with its factor and a copy. If J is larger, only JᵀJ is stored, and J is
            computed in pieces of points.
    """

    damping: float = 1e-3
    floor: float = 1e-12
    tolerance: float = 1e-10
    acceleration: float = 0.75
    solver: str = "auto"
    memory: float = 4.0

    needs_jacobian: ClassVar[bool] = True

    def __post_init__(self):
        if not (self.damping > 0 and self.floor > 0 and self.tolerance >= 0):
            raise InputError(
                f"LM needs damping > 0, floor > 0 and tolerance >= 0, got {self.damping:g}, {self.floor:g} and "
                f"{self.tolerance:g}.",
                write={"damping": 1e-3, "floor": 1e-12, "tolerance": 1e-10},
            )
        if not (self.acceleration >= 0 and self.memory > 0):
            raise InputError(
                f"LM needs acceleration >= 0 and memory > 0, got {self.acceleration:g} and {self.memory:g}.",
                write={"acceleration": 0.75, "memory": 4.0},
            )
        if self.solver not in SOLVERS:
            raise InputError(f'Unknown solver "{self.solver}". {suggest(self.solver, SOLVERS)}')

    def check(self, objective: Objective, parameters: int) -> None:
        """Refuse a network for which JᵀJ, its factor and a copy exceed the memory limit."""
        if self.solver == "dual" or (self.solver == "auto" and _measured_rows(objective) < parameters):
            return  # the dual form needs no JᵀJ
        needed = 3 * parameters**2 * objective.parameters[0].element_size() / GIB
        if needed > self.memory:
            raise InputError(
                f"LM needs {needed:.1f} GiB for {parameters} parameters, more than memory={self.memory:g}.",
                write={"memory": ceil(needed)},
                instead={"phases": Code("[Phase(LBFGS())]")},
                advice="The machine must have that memory; a smaller network or grid needs less.",
            )

    def __call__(self, objective: Objective) -> "LevenbergMarquardt":
        return LevenbergMarquardt(objective, self)


def _measured_rows(objective: Objective) -> float:
    """Return the largest possible number of residuals of a fit; inf of other problems."""
    rows = (inf if (r := site.condition.region.rows) is None else r * site.residuals for site in objective.sites)
    return sum(rows)


class LevenbergMarquardt:
    """The method applied to one objective.

    Args:
        objective: the objective to minimize.
        options: the factory.
        scale: computes D from the squared norms of J's columns.
        settle: called at every trial point before the loss is evaluated; it may change the parameters.
    """

    def __init__(
        self,
        objective: Objective,
        options: LM,
        scale: Callable[[Tensor], Tensor] | None = None,
        settle: Callable[[], None] = lambda: None,
    ):
        self.objective, self.options = objective, options
        self.scale = scale or (lambda squares: column_scale(squares, options.floor))
        self.settle = settle
        if options.solver in ("qr", "dual") and not self._fits():
            rows, size = objective.size
            raise InputError(
                f'The solver "{options.solver}" needs J of {rows} x {size} numbers twice, more than memory='
                f"{options.memory:g} GiB.",
                write={"solver": "cholesky"},
                advice="It works on J in pieces.",
            )
        self.damping = options.damping
        self.first: float | None = None  # the initial loss

    def step(self) -> Step:
        """Take one accepted step: linearize once, then raise the damping until the loss falls."""
        r, system = self._linearize()
        slope, loss, start = system.transposed(r), float(r @ r), self.objective.vector()
        self.first = loss if self.first is None else self.first
        for trial_number in range(EXHAUSTED):
            y = system.solve(self.damping, r, slope)
            better = system.more_accurate() if y is None and self.options.solver == "auto" else None
            if better is not None:
                system = better
                y = system.solve(self.damping, r, slope)
            if y is not None:
                predicted = float(y @ (self.damping * y - slope))
                if trial_number == 0 and predicted <= self.options.tolerance * loss:
                    end = Ending(End.CONVERGED, "the linear model predicts no further decrease")
                    return Step(loss, end, system.method)
                y = y + self._bend(system, y, start, r)
                self.objective.assign(start + y / system.scale)
                self.settle()
                trial = float(self.objective.values().square().sum())
                gain = (loss - trial) / predicted if isfinite(trial) else -1.0
                if gain > 1e-4:
                    # Nielsen's rule with bounds: a good prediction lowers the damping, a poor one raises it
                    self.damping = max(self.damping * max(0.2, 1 - (2 * gain - 1) ** 3), LEAST_DAMPING)
                    return Step(trial, None, system.method)
            self.damping *= 2.0
            self.objective.assign(start)
        rounding = (ROUNDING * torch.finfo(r.dtype).eps) ** 2 * self.first
        if loss <= rounding:
            return Step(loss, Ending(End.CONVERGED, "to rounding"), system.method)
        return Step(loss, Ending(End.STAGNATED, "no damping gives a lower loss"), system.method)

    def state(self) -> dict[str, Any]:
        """Return the damping and the initial loss."""
        return {"damping": self.damping, "first": self.first}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.damping, self.first = state["damping"], state["first"]

    def _bend(self, system: DampedSystem, y: Tensor, start: Tensor, r: Tensor) -> Tensor | float:
        """Return ½a, the correction of the step y by geodesic acceleration; 0 if it is too large to be reliable."""
        if not self.options.acceleration or self.damping >= 1.0:  # such steps are too short to need it
            return 0.0
        ahead = self._residuals(start + PROBE * y / system.scale)
        curvature = 2 / PROBE * ((ahead - r) / PROBE - system.forward(y))
        a = system.solve(self.damping, curvature, system.transposed(curvature))
        if a is None or not float(0.5 * a.norm()) < self.options.acceleration * float(y.norm()):
            return 0.0
        return 0.5 * a

    def _residuals(self, vector: Tensor) -> Tensor:
        self.objective.assign(vector)
        return self.objective.values()

    def _linearize(self) -> tuple[Tensor, DampedSystem]:
        """Return r and the damped system in the form that suits its size."""
        objective, options = self.objective, self.options
        rows, size = objective.size
        if not self._fits():
            return self._linearize_in_pieces(size)
        r, jacobian = objective.linearize()
        method = options.solver if options.solver != "auto" else "dual" if size > rows else "cholesky"
        if method == "cholesky":
            normal = gram(jacobian, objective.parts_of_jacobian())
            scale = self.scale(normal.diagonal().clone())
            return r, Cholesky(jacobian, normal, scale)
        make = Dual if method == "dual" else QR
        return r, make(jacobian, self.scale(jacobian.square().sum(dim=0)))

    def _linearize_in_pieces(self, size: int) -> tuple[Tensor, DampedSystem]:
        """Sum JᵀJ over pieces of points; products with J and Jᵀ are computed without storing J."""
        objective, start = self.objective, self.objective.vector()
        normal, parts = start.new_zeros(size, size), []
        for rows, fill in objective.parts():
            block = start.new_empty(rows, size)
            parts.append(fill(block))
            normal += gram(block)

        def forward(v: Tensor) -> Tensor:  # a difference of second order in PROBE, which suffices here
            return (self._residuals(start + PROBE * v) - self._residuals(start - PROBE * v)) / (2 * PROBE)

        def transposed(w: Tensor) -> Tensor:
            objective.assign(start)
            return objective.pull_back(w)

        scale = self.scale(normal.diagonal().clone())
        return torch.cat(parts), CholeskyInPieces(normal, scale, forward, transposed)

    def _fits(self) -> bool:
        rows, size = self.objective.size
        copies = 2 if self.options.solver in ("qr", "dual") else 1
        return copies * rows * size * self.objective.parameters[0].element_size() <= self.options.memory * GIB
