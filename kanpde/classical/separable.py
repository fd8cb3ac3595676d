r"""Direct solution of separable equations on the tensor grid of Chebyshev points, in $O(n^{d+1})$.

If the linear operator is a sum of operators along single coordinates, $L = \sum_i A_i$ (Laplace, heat, Helmholtz), and
values are given on whole faces, the equations at the grid points are diagonalized along all coordinates except one and
solved along that one. It is time if there is time, because first-derivative matrices have nearly dependent
eigenvectors. (R. E. Lynch, J. R. Rice, D. H. Thomas, Direct solution of partial difference equations by
tensor product methods, Numer. Math. 6, 1964; D. B. Haidvogel, T. Zang, J. Comput. Phys. 30, 1979.)
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.calculus.jet import LAPLACIAN
from kanpde.classical.linear import Slopes, linearised, zeros
from kanpde.domains import Points
from kanpde.problem import Problem
from kanpde.residuals.site import site_of

MOST_CONDITION = 1e6  # largest condition number of the eigenvectors, which limits the loss of digits


@cache
def differentiation(n: int) -> tuple[NDArray, NDArray]:
    """Return Chebyshev points of the second kind and their differentiation matrix (L. N. Trefethen 2000, ch. 6)."""
    x = np.cos(np.pi * np.arange(n + 1) / n)
    c = np.r_[2.0, np.ones(n - 1), 2.0] * (-1.0) ** np.arange(n + 1)
    gaps = x[:, None] - x + np.eye(n + 1)
    matrix = np.outer(c, 1 / c) / gaps
    return x, matrix - np.diag(matrix.sum(axis=1))


@cache
def _to_coefficients(n: int) -> NDArray:
    """Return the matrix that converts values at the Chebyshev points to coefficients of the series."""
    return np.linalg.inv(np.polynomial.chebyshev.chebvander(differentiation(n)[0], n))


def _along(matrix: NDArray, values: NDArray, axis: int) -> NDArray:
    return np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)


def solve_separable(problem: Problem, n: int) -> tuple[NDArray, int] | None:
    """Return coefficients (1, (n + 1)^dim) and the number of unknowns; None if the problem is not separable."""
    ends = _ends(problem)
    if ends is None:
        return None
    interior, faces = ends
    dim = len(problem.domain.names)
    axes = [0.5 * (lo + hi) + 0.5 * (hi - lo) * differentiation(n)[0] for lo, hi in problem.domain.ranges]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    equation = _equation(problem, interior, grid)
    if equation is None:
        return None
    operators, source, orders = equation
    if any(orders[i] != sum(axis == i for axis, _ in faces) for i in range(dim)):
        return None
    u = np.zeros((n + 1,) * dim)
    keep = [np.ones(n + 1, dtype=bool) for _ in range(dim)]
    for name in dict.fromkeys(faces.values()):
        own = [face for face, condition in faces.items() if condition == name]
        places = [tuple(end if i == axis else slice(None) for i in range(dim)) for axis, end in own]
        given = _values(_at(problem, name, np.concatenate([grid[at].reshape(-1, dim) for at in places])))
        if given is None:
            return None
        for (axis, end), at, values in zip(own, places, np.split(given, len(own)), strict=True):
            u[at], keep[axis][end] = values.reshape(u[at].shape), False
    inner = np.ix_(*keep)
    right = (source - sum(_along(a, u, i) for i, a in enumerate(operators)))[inner]
    found = _solve([a[np.ix_(k, k)] for a, k in zip(operators, keep, strict=True)], right, orders)
    if found is None:
        return None
    u[inner] = found
    for i in range(dim):
        u = _along(_to_coefficients(n), u, i)
    return u.reshape(1, -1), right.size


def _ends(problem: Problem) -> tuple[str, dict[tuple[int, int], str]] | None:
    """Return the name of the single equation inside, and of the single condition on each face (coordinate, index)."""
    domain = problem.domain
    if len(problem.unknowns) > 1 or problem.ansatz or domain.periodic:
        return None
    inside = [name for name, c in problem.trained.items() if c.region.is_interior]
    faces: dict[tuple[int, int], str] = {}
    for name, condition in problem.trained.items():
        if condition.maps:
            return None
        for fixed in condition.region.fixed if name not in inside else ():
            ((axis, value), *more) = fixed.items()
            end = {domain.ranges[axis][1]: 0, domain.ranges[axis][0]: -1}.get(value)  # the grid points decrease
            if more or end is None or (axis, end) in faces:
                return None
            faces[axis, end] = name
    return (inside[0], faces) if len(inside) == 1 else None


def _at(problem: Problem, name: str, x: NDArray) -> tuple[NDArray, Slopes] | None:
    """Return the residuals of the zero function and the slopes at points; None for several residuals."""
    points = torch.as_tensor(np.ascontiguousarray(x))
    normal = torch.zeros_like(points)  # conditions with a normal have slopes of derivatives, which are refused below
    site = site_of(problem, name, Points(points, points.new_full((len(points),), 1 / len(points)), normal))
    values, slopes = linearised(site, zeros(site))
    return (values[0].numpy(), slopes[0]) if len(values) == 1 else None


def _values(found: tuple[NDArray, Slopes] | None) -> NDArray | None:
    """Return the values that a condition with these residuals and slopes prescribes; None for other conditions."""
    if found is None or set(found[1]) != {(0, 0, ())}:
        return None
    slope = found[1][0, 0, ()].numpy()
    return -found[0] / slope if np.abs(slope).min() > 0 else None


def _equation(problem: Problem, name: str, grid: NDArray) -> tuple[list[NDArray], NDArray, list[int]] | None:
    """Return the operators along each coordinate, the right-hand side, and the orders of the derivatives."""
    *shape, dim = grid.shape
    n = shape[0] - 1
    found = _at(problem, name, grid.reshape(-1, dim))
    if found is None:
        return None
    operators, orders = [np.zeros((n + 1, n + 1)) for _ in shape], [0] * dim
    for (_, _, key), slope in found[1].items():
        coefficient = slope.numpy().reshape(shape)
        keys = [(i, i) for i in problem.domain.space] if key == LAPLACIAN else [key]
        for part in keys:
            if len(set(part)) > 1:
                return None
            for axis in set(part) or range(dim):
                profile = coefficient[tuple(slice(None) if i == axis else slice(0, 1) for i in range(dim))]
                if np.abs(coefficient - profile).max() <= 1e-13 * np.abs(coefficient).max():
                    break
            else:
                return None
            lo, hi = problem.domain.ranges[axis]
            derivative = np.linalg.matrix_power(differentiation(n)[1] * 2 / (hi - lo), len(part))
            operators[axis] += profile.reshape(-1, 1) * derivative
            orders[axis] = max(orders[axis], len(part) if np.abs(coefficient).max() > 0 else 0)
    return operators, -found[0].reshape(shape), orders


def _solve(operators: list[NDArray], right: NDArray, orders: list[int]) -> NDArray | None:
    """Solve Σ_i A_i X = ``right``, where A_i acts along coordinate i."""
    last = min(range(len(orders)), key=lambda i: orders[i] % 2 == 0)  # preferably one of odd order
    modes = np.zeros(())
    back = []
    right = np.moveaxis(right, last, -1)
    for axis, matrix in enumerate([a for i, a in enumerate(operators) if i != last]):
        values, vectors = np.linalg.eig(matrix)
        if not np.linalg.cond(vectors) < MOST_CONDITION:
            return None
        modes = np.add.outer(modes, values)
        right = _along(np.linalg.inv(vectors), right, axis)
        back.append(vectors)
    systems = operators[last] + modes[..., None, None] * np.eye(len(operators[last]))
    try:
        found = np.linalg.solve(systems, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return None
    for axis, vectors in enumerate(back):
        found = _along(vectors, found, axis)
    return np.real(np.moveaxis(found, -1, last))
