"""Meshes of straight simplices for pictures."""

import meshio
import numpy as np

from kanpde.domains.unstructured.reference import division
from kanpde.domains.unstructured.topology import Topology

_SIMPLEX = {1: "line", 2: "triangle", 3: "tetra"}
_ROUNDING = 1.37e-9  # of the extent; nearer points are one (round decimal and binary fractions are between steps)


def simplices(topology: Topology, wanted: float) -> meshio.Mesh:
    """Return the cells divided into lines, triangles or tetrahedra, positively oriented, embedded in 3-D.

    Every cell is divided along its edges into equally many parts, at least two if it is of second order, so that the
    boundary is followed, and so many that there are about ``wanted`` cubes or pairs of triangles or six tetrahedra.
    """
    dim, count = topology.dim, sum(map(len, topology.nodes))
    share = 1 / np.prod(np.arange(1, dim + 1)) if topology.kinds[0].is_simplex else 1.0
    parts = max(1, round((wanted / (share * count)) ** (1 / dim)))
    points, cells, start = [], [], 0
    for kind, patch in zip(topology.kinds, topology.cell_patches(), strict=True):
        is_curved = len(kind.nodes) > kind.corners
        reference, corners = division(max(parts, 2) if is_curved else parts, dim, kind.is_simplex)
        x = patch.at(reference).x
        first = start + np.arange(len(x))[:, None, None] * len(reference)
        points.append(x.reshape(-1, dim))
        cells.append((first + corners).reshape(-1, dim + 1))
        start += x.shape[0] * x.shape[1]
    flat, simplex = np.concatenate(points), np.concatenate(cells)
    extent = np.ptp(flat, axis=0).max()
    _, index, label = np.unique(
        np.round((flat - flat.min(axis=0)) / (_ROUNDING * extent)), axis=0, return_index=True, return_inverse=True
    )
    embedded = np.zeros((len(index), 3))
    embedded[:, :dim], simplex = flat[index], label.reshape(-1)[simplex]
    edges = embedded[simplex[:, 1:], :dim] - embedded[simplex[:, :1], :dim]
    is_reversed = np.linalg.det(edges) < 0
    simplex[is_reversed, :2] = simplex[is_reversed, 1::-1]
    return meshio.Mesh(embedded, [(_SIMPLEX[dim], simplex)])
