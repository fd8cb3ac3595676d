"""Determinants and inverses of many small matrices, several times as fast as those of `numpy.linalg`."""

import numpy as np
from numpy.typing import NDArray


def determinants(matrix: NDArray) -> NDArray:
    """Return the determinants of matrices (..., dim, dim), dim <= 3."""
    return (_adjugates(matrix)[..., 0, :] * matrix[..., :, 0]).sum(axis=-1)


def inverses(matrix: NDArray) -> NDArray:
    """Return the inverses of matrices (..., dim, dim), dim <= 3; not finite where singular."""
    adjugate = _adjugates(matrix)
    determinant = (adjugate[..., 0, :] * matrix[..., :, 0]).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return adjugate / determinant[..., None, None]


def _adjugates(matrix: NDArray) -> NDArray:
    """Return the inverses times the determinants."""
    dim = matrix.shape[-1]
    if dim == 1:
        return np.ones_like(matrix)
    if dim == 2:
        return np.array([[1.0, -1.0], [-1.0, 1.0]]) * matrix[..., ::-1, ::-1].swapaxes(-1, -2)
    one, two, three = (matrix[..., :, i] for i in range(3))
    return np.stack([np.cross(two, three), np.cross(three, one), np.cross(one, two)], axis=-2)
