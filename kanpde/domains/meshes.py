"""Meshes of boxes for pictures."""

from collections.abc import Sequence

import meshio
import numpy as np

from kanpde.errors import InputError

_CELLS = {1: "line", 2: "quad", 3: "hexahedron"}
# corners of a cell in VTK's order, as offsets along each coordinate
_CORNERS = {1: [(0,), (1,)], 2: [(0, 0), (1, 0), (1, 1), (0, 1)]}
_CORNERS[3] = [(*c, z) for z in (0, 1) for c in _CORNERS[2]]


def box_mesh(ranges: Sequence[tuple[float, float]], n: int) -> meshio.Mesh:
    """Return a mesh of the product of one to three intervals with n cells along each, embedded in 3-D.

    Raises:
        InputError: there are more than three intervals.
    """
    dim = len(ranges)
    if dim > 3:
        raise InputError(f"A mesh has at most 3 dimensions, got {dim}. Hold the other coordinates fixed.")
    nodes = [np.linspace(*limits, n + 1) for limits in ranges]
    points = np.zeros(((n + 1) ** dim, 3))
    points[:, :dim] = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1).reshape(-1, dim)
    strides = [(n + 1) ** (dim - 1 - k) for k in range(dim)]
    first = sum(
        np.asarray(stride) * index
        for stride, index in zip(strides, np.meshgrid(*[np.arange(n)] * dim, indexing="ij"), strict=True)
    )
    corners = [sum(o * s for o, s in zip(offset, strides, strict=True)) for offset in _CORNERS[dim]]
    cells = np.asarray(first).reshape(-1, 1) + np.asarray(corners)
    return meshio.Mesh(points, [(_CELLS[dim], cells)])
