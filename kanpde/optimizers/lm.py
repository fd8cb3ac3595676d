r"""Levenberg-Marquardt: $\min_\delta |J\delta + r|^2 + \lambda |D\delta|^2$ with $D^2 = \mathrm{diag}(J^T J)$."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.errors import InputError
from kanpde.objective import Objective
from kanpde.optimizers import Step

ROUNDING = 1e3  # a residual this many times the precision below its start counts as nothing
EXHAUSTED = 25  # rejected trials in one step, each with more damping, after which no step helps


@dataclass(frozen=True)
class LM:
    """Dense Levenberg-Marquardt (K. Madsen, H. Nielsen, O. Tingleff, Methods for Non-Linear Least Squares, 2004).

    Args:
        damping: λ at the start.
        floor: least D² relative to the largest (cells without points give zero columns).
        tolerance: converged when the predicted relative decrease of the loss is below it.
    """

    damping: float = 1e-3
    floor: float = 1e-12
    tolerance: float = 1e-10

    needs_jacobian: ClassVar[bool] = True

    def __post_init__(self):
        if not (self.damping > 0 and self.floor > 0 and self.tolerance >= 0):
            raise InputError(f"LM needs damping > 0, floor > 0, tolerance >= 0, got {self.damping:g}, {self.floor:g}, "
                             f"{self.tolerance:g}. Write damping=1e-3, floor=1e-12, tolerance=1e-10.")  # fmt: skip

    def __call__(self, objective: Objective) -> "_LevenbergMarquardt":
        return _LevenbergMarquardt(objective, self)


class _LevenbergMarquardt:
    def __init__(self, objective: Objective, options: LM):
        self.objective, self.options = objective, options
        self.damping = options.damping
        self.first: float | None = None  # the loss at the start

    def step(self) -> Step:
        """One accepted step: linearize once, then raise the damping until the loss falls."""
        r, jacobian = self.objective.linearize()
        loss = float(r @ r)
        self.first = loss if self.first is None else self.first
        normal, slope = jacobian.T @ jacobian, jacobian.T @ r
        diagonal = normal.diagonal()
        scale = (diagonal + self.options.floor * diagonal.max()).sqrt()
        scaled, target = normal / (scale[:, None] * scale), -slope / scale
        start = self.objective.vector()
        for trial_number in range(EXHAUSTED):
            direction = _damped_solve(scaled, target, self.damping)
            if direction is not None:
                predicted = float(direction @ (target + self.damping * direction))
                if trial_number == 0 and predicted <= self.options.tolerance * loss:
                    return Step(loss, "converged: the linear model promises no more", {"damping": self.damping})
                self.objective.assign(start + direction / scale)
                with torch.no_grad():
                    trial = float(self.objective.loss())
                gain = (loss - trial) / predicted if isfinite(trial) else -1.0
                if gain > 1e-4:
                    # Nielsen's rule, bounded: a good prediction lowers the damping, a poor one raises it
                    self.damping = max(self.damping * max(0.2, 1 - (2 * gain - 1) ** 3), 1e-15)
                    return Step(trial, None, {"damping": self.damping, "gain": gain})
            self.damping = max(4.0 * self.damping, 1e-12)
        self.objective.assign(start)
        rounding = (ROUNDING * torch.finfo(r.dtype).eps) ** 2 * self.first
        reason = "converged: to rounding" if loss <= rounding else "stagnated: no damping gives a lower loss"
        return Step(loss, reason, {"damping": self.damping})


def _damped_solve(normal: Tensor, target: Tensor, damping: float) -> Tensor | None:
    """Solves (normal + damping I) δ = target by Cholesky; None where that fails."""
    shifted = normal + damping * torch.eye(len(normal), dtype=normal.dtype, device=normal.device)
    factor, info = torch.linalg.cholesky_ex(shifted)
    if int(info):
        return None
    solution = torch.cholesky_solve(target[:, None], factor)[:, 0]
    return solution if bool(solution.isfinite().all()) else None
