r"""The coefficients of a linear residual $\sum a_{ij} \partial_{ij} u + \sum b_i \partial_i u + c u - f$ at points."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.calculus.jet import LAPLACIAN
from kanpde.classical.linear import Slopes, linearised, zeros
from kanpde.domains import Points
from kanpde.errors import InputError
from kanpde.problem import Problem
from kanpde.residuals.site import site_of


@dataclass
class Terms:
    """A condition at points, in arrays of their shape."""

    a: list[list[NDArray]]  # symmetric
    b: list[NDArray]
    c: NDArray
    value: NDArray  # -f, the residual of u = 0


def terms_of(problem: Problem, name: str, x: NDArray, normal: NDArray | None = None, by_parts: bool = False) -> Terms:
    """Return the coefficients of a condition.

    Args:
        problem, name: the problem, and the name of its condition.
        x: points (dim, ...).
        normal: outward normals at points of the boundary, (dim, ...).
        by_parts: return $b_i - \\partial_j a_{ij}$ as ``b``, which results from integration by parts.

    Raises:
        InputError: the condition has several residuals, or derivatives above the second.
    """
    dim, *shape = x.shape

    def rows(values: NDArray) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values.reshape(dim, -1).T))

    points = rows(x).requires_grad_(by_parts)
    weight = points.detach().new_full((len(points),), 1 / len(points))
    site = site_of(problem, name, Points(points, weight, None if normal is None else rows(normal)))
    values, slopes = linearised(site, zeros(site), differentiable=by_parts)
    if len(values) != 1:
        raise InputError(f'Finite elements take one residual per condition, and "{name}" returned {len(values)}.')
    a, b, c = _sorted(slopes[0], name, dim, problem.domain.space, torch.zeros_like(weight))
    if by_parts:
        b = [b[i] - sum(_derivative(a[i][j], points, j) for j in range(dim)) for i in range(dim)]

    def plain(t: Tensor) -> NDArray:
        return t.detach().numpy().reshape(shape)

    return Terms([[plain(t) for t in row] for row in a], [plain(t) for t in b], plain(c), plain(values[0]))


def _sorted(
    slopes: Slopes, name: str, dim: int, space: tuple[int, ...], zero: Tensor
) -> tuple[list[list[Tensor]], list[Tensor], Tensor]:
    """Return a, b and c; the slope of a mixed derivative is divided equally between a_ij and a_ji."""
    a, b, c = [[zero] * dim for _ in range(dim)], [zero] * dim, zero
    for (_, _, key), slope in slopes.items():
        for part in [(i, i) for i in space] if key == LAPLACIAN else [key]:
            if len(part) == 0:
                c = c + slope
            elif len(part) == 1:
                b[part[0]] = b[part[0]] + slope
            elif len(part) == 2:
                i, j = part
                a[i][j] = a[i][j] + 0.5 * slope
                a[j][i] = a[j][i] + 0.5 * slope
            elif bool((slope != 0).any()):
                raise InputError(
                    f'Finite elements here take derivatives up to order 2, and "{name}" has one of order {len(part)}. '
                    "Use `collocate(problem, degree)`."
                )
    return a, b, c


def _derivative(t: Tensor, points: Tensor, axis: int) -> Tensor:
    """Return ∂t/∂x of values that depend on their own point only."""
    if not t.requires_grad:
        return torch.zeros_like(t)
    found = torch.autograd.grad(t.sum(), points, allow_unused=True, retain_graph=True)[0]
    return torch.zeros_like(t) if found is None else found[:, axis]
