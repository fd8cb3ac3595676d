# pyright: reportGeneralTypeIssues=false
# the types that sympy declares are too wide
r"""The constants of formulas, refined by least squares of the problem's own residuals.

The residuals of all conditions at points, divided by the sizes of their largest terms, are functions r(c) of the
constants; the Jacobian comes from forward-mode differentiation. $\sigma^2 (J^T J)^{-1}$ with the mean square σ² of the
residuals at the minimum gives the constants' error bars.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad

from kanpde.domains import Points
from kanpde.formulas.constants import Template
from kanpde.formulas.evaluate import as_function
from kanpde.problem import Problem
from kanpde.residuals.evaluation import formula_fields, residuals_of

STEPS = 60
ROUNDING = 4e-16


@dataclass(frozen=True)
class Equations:
    """The conditions of a problem at points.

    Attributes:
        problem: without an ansatz.
        points: by condition.
        sizes: by condition, of the largest term of its residual.
        coefficients: of an inverse problem.
    """

    problem: Problem
    points: dict[str, Points]
    sizes: dict[str, float]
    coefficients: dict[str, float]

    def residuals(self, function: Callable) -> Tensor:
        """Return the residuals of a function of the coordinates, over the sizes and √(points)."""
        parts = []
        for name, points in self.points.items():
            found = residuals_of(
                self.problem,
                name,
                lambda context, space: formula_fields(self.problem, function, context),
                points,
                self.coefficients,
            )
            parts += [each / self.sizes[name] / len(each) ** 0.5 for each in found]
        return torch.cat(parts)


@dataclass(frozen=True)
class Fitted:
    """Constants after the least squares, their standard errors, and the root mean square of the relative residuals."""

    values: tuple[float, ...]
    errors: tuple[float, ...]
    residual: float


def fitted(templates: Sequence[Template], symbols: Sequence, equations: Equations) -> Fitted | None:
    """Return the best constants of formulas, one for each unknown; None if the residuals are not finite.

    Args:
        templates: of the formulas.
        symbols: of the coordinates.
        equations: the conditions at points.
    """
    names = [c for each in templates for c in each.symbols]
    start = np.array([v for each in templates for v in each.values])

    whole = as_function([each.expression for each in templates], [*symbols, *names])

    def function_of(constants: Sequence) -> Callable:
        return lambda *coords: whole(*coords, *constants)

    def residual(c: NDArray) -> NDArray:
        return equations.residuals(function_of(c.tolist())).numpy()

    def jacobian(c: NDArray) -> NDArray:
        columns = []
        for k in range(len(c)):
            with forward_ad.dual_level():
                duals = [torch.tensor(v, dtype=torch.float64) for v in c.tolist()]
                duals[k] = forward_ad.make_dual(duals[k], torch.ones((), dtype=torch.float64))
                slope = forward_ad.unpack_dual(equations.residuals(function_of(duals))).tangent
                columns.append(np.zeros(len(first)) if slope is None else slope.numpy())
        return np.stack(columns, axis=1)

    with np.errstate(all="ignore"):
        first = residual(start)
        if not np.isfinite(first).all():
            return None
        if not len(start):
            return Fitted((), (), float(np.linalg.norm(first)))
        c, r, j = levenberg_marquardt(residual, jacobian, start, first)
    if c is None or r is None or j is None:
        return None
    size = max(float(np.linalg.norm(r)), ROUNDING)
    scale = np.linalg.norm(j, axis=0)
    scale[scale == 0] = 1.0
    _, singular, right = np.linalg.svd(j / scale, full_matrices=False)
    with np.errstate(all="ignore"):
        spread = np.sqrt(((right / np.maximum(singular, 1e-300)[:, None]) ** 2).sum(axis=0)) / scale
    errors = size * spread / np.sqrt(max(1, len(r) - len(c)))
    return Fitted(tuple(c.tolist()), tuple(errors.tolist()), float(np.linalg.norm(r)))


def levenberg_marquardt(
    residual: Callable[[NDArray], NDArray], jacobian: Callable[[NDArray], NDArray], c: NDArray, r: NDArray
) -> tuple[NDArray, NDArray, NDArray] | tuple[None, None, None]:
    """Return constants, residuals and Jacobian at the minimum of |r|²; None if the Jacobian is not finite."""
    damping, j = 1e-3, jacobian(c)
    if not np.isfinite(j).all():
        return None, None, None
    for _ in range(STEPS):
        scale = np.linalg.norm(j, axis=0)
        scale[scale == 0] = 1.0
        stacked = np.concatenate([j / scale, np.sqrt(damping) * np.eye(len(c))])
        step = np.linalg.lstsq(stacked, np.concatenate([-r, np.zeros(len(c))]), rcond=1e-14)[0] / scale
        trial = residual(c + step)
        if np.isfinite(trial).all() and np.linalg.norm(trial) < np.linalg.norm(r):
            gain = 1 - np.linalg.norm(trial) / np.linalg.norm(r)
            c, r, damping = c + step, trial, max(damping * 0.05, 1e-20)
            j = jacobian(c)
            if not np.isfinite(j).all():
                return None, None, None
            if gain < 1e-3:
                break
        else:
            damping = max(damping * 10, 1e-12)
            if damping > 1e6:
                break
    return c, r, j
