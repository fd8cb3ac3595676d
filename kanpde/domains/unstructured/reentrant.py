"""The re-entrant corners of a mesh in the plane."""

from collections.abc import Mapping
from math import pi

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.corners import CornerPoint
from kanpde.domains.unstructured.topology import Topology


def reentrant_corners(topology: Topology, parts: Mapping[str, NDArray], least: float) -> list[CornerPoint]:
    """Return the vertices of the boundary whose interior angle exceeds π by more than ``least``.

    The angle is the sum of those of the cells at the vertex, between the tangents of their edges. Vertices at which
    more than two facets of the boundary meet are left out.

    Args:
        topology: of triangles or quadrilaterals.
        parts: the sides of every named part of the boundary.
        least: in radians.
    """
    angle = np.zeros(len(topology.points))
    for kind, rows, patch in zip(topology.kinds, topology.nodes, topology.cell_patches(), strict=True):
        jacobian = patch.jacobians(kind.nodes[: kind.corners])
        for corner, (ahead, behind) in enumerate(_edges(kind.nodes[: kind.corners])):
            one, two = jacobian[:, corner] @ ahead, jacobian[:, corner] @ behind
            cross = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
            np.add.at(angle, rows[:, corner], np.arctan2(np.abs(cross), (one * two).sum(axis=1)))
    outer = np.flatnonzero(topology.is_outer)
    vertex = topology.corners[outer, :2]
    times = np.bincount(vertex.ravel(), minlength=len(topology.points))
    name = np.full(len(topology.is_outer), "boundary", dtype=object)
    for label, sides in reversed(list(parts.items())):
        name[sides] = label
    found = []
    for node in np.flatnonzero((times == 2) & (angle > pi + least)):
        first, second = (str(name[side]) for side in outer[(vertex == node).any(axis=1)])
        x, y = topology.points[node]
        found.append(CornerPoint((float(x), float(y)), float(angle[node]), (first, second)))
    return found


def _edges(corners: NDArray) -> list[tuple[NDArray, NDArray]]:
    """Return for every corner of a reference cell the directions to the next and to the previous corner."""
    return list(zip(np.roll(corners, -1, axis=0) - corners, np.roll(corners, 1, axis=0) - corners, strict=True))
