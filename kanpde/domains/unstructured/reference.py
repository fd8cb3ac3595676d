"""Points, weights and divisions of the reference simplex {ξ ≥ 0, Σ ξ ≤ 1} and of the unit cube."""

from functools import cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.rules import TENSOR_RULES


@cache
def rule_on(name: str, along: int, dim: int, is_simplex: bool) -> tuple[NDArray, NDArray]:
    """Return the points (points, dim) of a tensor rule with ``along`` points along each axis, and positive weights.

    The weights sum to 1. On the simplex the rule is that of the cube after the map of `collapsed`: "gauss" takes
    Gauss-Jacobi points for the map's determinant and is exact for polynomials of degree 2 along - 1 (A. H. Stroud,
    Approximate Calculation of Multiple Integrals, 1971, section 2.4); other rules multiply by the determinant.
    """
    from scipy.special import roots_jacobi  # imported here because it takes a part of a second

    if dim == 0:
        return np.zeros((1, 0)), np.ones(1)
    axes = []
    for axis in range(dim):
        power = dim - 1 - axis if is_simplex else 0  # the determinant is Π (1 - c_axis)^power
        if name == "gauss":
            x, w = roots_jacobi(along, power, 0)
            axes.append((0.5 + 0.5 * x, w / w.sum()))
        else:
            x, w = TENSOR_RULES[name](along)
            w = w * (1 - x) ** power
            axes.append((x, w / w.sum()))
    points = np.stack(np.meshgrid(*[x for x, _ in axes], indexing="ij"), axis=-1).reshape(-1, dim)
    weights = np.stack(np.meshgrid(*[w for _, w in axes], indexing="ij"), axis=-1).reshape(-1, dim).prod(axis=1)
    return collapsed(points) if is_simplex else points, weights


def collapsed(cube: NDArray) -> NDArray:
    """Map points of the unit cube to the simplex: ξ_1 = c_1, ξ_2 = (1 - c_1) c_2, ξ_3 = (1 - c_1) (1 - c_2) c_3."""
    left = np.cumprod(np.concatenate([np.ones_like(cube[:, :1]), 1 - cube[:, :-1]], axis=1), axis=1)
    return cube * left[:, : cube.shape[1]]


def spread(cube: NDArray, is_simplex: bool) -> NDArray:
    """Map uniformly distributed points of the unit cube to such points of the reference cell."""
    dim = cube.shape[1]
    if not is_simplex or dim == 0:
        return cube
    return collapsed(1 - (1 - cube) ** (1 / np.arange(dim, 0, -1)))


@cache
def division(parts: int, dim: int, is_simplex: bool) -> tuple[NDArray, NDArray]:
    """Divide the reference cell into equal simplices whose edges along the axes have the length 1 / parts.

    Returns:
        The positions (points, dim) and the corners (simplices, dim + 1). Each cube of a lattice is divided along its
        diagonal into dim! simplices (H. Freudenthal, Ann. of Math. 43, 1942), which also divide {1 ≥ y_1 ≥ ... ≥ 0}.
    """
    steps = np.eye(dim, dtype=int)[np.array(list(permutations(range(dim))))]
    paths = np.concatenate([np.zeros_like(steps[:, :1]), np.cumsum(steps, axis=1)], axis=1)
    cubes = np.stack(np.meshgrid(*[np.arange(parts)] * dim, indexing="ij"), axis=-1).reshape(-1, 1, 1, dim)
    simplices = (cubes + paths).reshape(-1, dim + 1, dim)
    if is_simplex:
        simplices = simplices[(np.diff(simplices, axis=2) <= 0).all(axis=(1, 2))]
    lattice, index = np.unique(simplices.reshape(-1, dim), axis=0, return_inverse=True)
    points = lattice / parts
    if is_simplex:  # from ordered coordinates y to ξ_i = y_i - y_{i + 1}
        points = points - np.concatenate([points[:, 1:], np.zeros_like(points[:, :1])], axis=1)
    return points, index.reshape(simplices.shape[:2])
