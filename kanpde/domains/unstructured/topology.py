"""The facets of cells, which of them are the boundary, and named sets of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.unstructured.kinds import KINDS, Kind
from kanpde.domains.unstructured.patches import Patch
from kanpde.errors import InputError

_SMOOTH = 0.7  # least cosine between the normals of neighbours in a piece of the boundary
_MOST_CORNERS = 4


class Topology:
    """The sides of cells: every facet of every cell, cell after cell, so that an inner facet is two sides.

    Args:
        points: (nodes, dim).
        cells: by kind, the nodes of the cells (cells, nodes).
    """

    def __init__(self, points: NDArray, cells: Mapping[str, NDArray]):
        self.points = points
        self.kinds: list[Kind] = [KINDS[name] for name in cells]
        self.nodes = list(cells.values())
        counts = [len(rows) * len(kind.facets) for kind, rows in zip(self.kinds, self.nodes, strict=True)]
        self.block = np.repeat(np.arange(len(counts)), counts)
        self.cell = np.concatenate(
            [np.repeat(np.arange(len(r)), len(k.facets)) for k, r in zip(self.kinds, self.nodes, strict=True)]
        )
        self.facet = np.concatenate(
            [np.tile(np.arange(len(k.facets)), len(r)) for k, r in zip(self.kinds, self.nodes, strict=True)]
        )
        self.corners = np.full((len(self.block), _MOST_CORNERS), -1)
        for number, (kind, rows) in enumerate(zip(self.kinds, self.nodes, strict=True)):
            found = rows[:, np.array(kind.facets)].reshape(counts[number], -1)
            self.corners[self.block == number, : found.shape[1]] = found
        keys = np.sort(self.corners, axis=1)
        self.keys, self.first, label, self.times = np.unique(
            keys, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        self.is_outer = self.times[label.reshape(-1)] == 1

    @property
    def dim(self) -> int:
        """The dimension of the cells."""
        return self.kinds[0].dim

    def sides_of(self, name: str, corners: NDArray) -> NDArray:
        """Return one side for every facet of a named set, given by its corners (facets, corners), -1 for none.

        Raises:
            InputError: a row is not a facet of a cell.
        """
        rows = np.full((len(corners), _MOST_CORNERS), -1)
        rows[:, : corners.shape[1]] = corners
        both = np.concatenate([self.keys, np.unique(np.sort(rows, axis=1), axis=0)])
        _, index, label = np.unique(both, axis=0, return_index=True, return_inverse=True)
        wanted = index[label.reshape(-1)[len(self.keys) :]]
        lost = wanted >= len(self.keys)
        if lost.any():
            some = both[len(self.keys) :][lost]
            at = self.points[some[0][some[0] >= 0]].mean(axis=0)
            raise InputError(
                f'{len(some)} facets of the group "{name}" are not facets of cells, the first at {place(at)}. Facets '
                "and cells must have their nodes in common: mesh them together."
            )
        return self.first[wanted]

    def cell_patches(self, numbers: NDArray | None = None) -> list[Patch]:
        """Return all cells, or those with the given numbers, which count through all kinds."""
        found, start = [], 0
        for kind, rows in zip(self.kinds, self.nodes, strict=True):
            chosen = (
                rows if numbers is None else rows[numbers[(numbers >= start) & (numbers < start + len(rows))] - start]
            )
            found.append(Patch(kind, self.points[chosen]))
            start += len(rows)
        return found

    def side_patches(self, sides: NDArray) -> list[Patch]:
        """Return the facets of the given sides; the order is that of `in_patches`."""
        found = []
        for number, kind in enumerate(self.kinds):
            for facet in range(len(kind.facets)):
                chosen = sides[(self.block[sides] == number) & (self.facet[sides] == facet)]
                found.append(Patch(kind, self.points[self.nodes[number][self.cell[chosen]]], facet))
        return found

    def in_patches(self, sides: NDArray) -> NDArray:
        """Return the sides in the order of `side_patches`."""
        return sides[np.lexsort((np.arange(len(sides)), self.facet[sides], self.block[sides]))]

    def pieces(self, sides: NDArray) -> list[dict[int, float]]:
        """Return the smooth connected pieces of facets: for each the coordinates that are constant, with values.

        Facets are in one piece if they have a corner (in 3-D an edge) in common and the angle between their normals
        is below 45 degrees.
        """
        from scipy.sparse import coo_array  # imported here because it takes a part of a second
        from scipy.sparse.csgraph import connected_components

        sides = self.in_patches(sides)
        normals = np.concatenate([_centre_normals(p) for p in self.side_patches(sides)])
        one, two = self._neighbours(sides)
        is_smooth = np.abs((normals[one] * normals[two]).sum(axis=1)) > _SMOOTH
        graph = coo_array((np.ones(is_smooth.sum()), (one[is_smooth], two[is_smooth])), shape=(len(sides),) * 2)
        count, label = connected_components(graph, directed=False)
        extent = np.ptp(self.points, axis=0).max()
        found = []
        for number in range(count):
            numbers = np.unique(self.corners[sides[label == number]])
            x = self.points[self._with_middles(sides[label == number], numbers[numbers >= 0])]
            flat = np.ptp(x, axis=0) <= 1e-12 * extent
            found.append({int(i): float(x[0, i]) for i in np.flatnonzero(flat)})
        return found

    def _with_middles(self, sides: NDArray, corners: NDArray) -> NDArray:
        """Return the nodes of cells that lie on their sides: the corners, and those between."""
        found = [corners]
        for number, kind in enumerate(self.kinds):
            for facet, ends in enumerate(kind.facets):
                chosen = sides[(self.block[sides] == number) & (self.facet[sides] == facet)]
                normal, start = kind.facet_normal(facet), kind.nodes[ends[0]]
                on_it = np.abs((kind.nodes - start) @ normal) < 1e-12
                found.append(self.nodes[number][self.cell[chosen]][:, on_it].ravel())
        return np.unique(np.concatenate(found))

    def _neighbours(self, sides: NDArray) -> tuple[NDArray, NDArray]:
        """Return pairs of positions in ``sides`` whose facets meet."""
        if self.dim == 1:
            return np.empty(0, dtype=int), np.empty(0, dtype=int)
        corners, owner, ends = self.corners[sides], [], []
        for k in range(_MOST_CORNERS):
            following = np.where(corners[:, (k + 1) % _MOST_CORNERS] < 0, corners[:, 0], corners[:, (k + 1) % 4])
            pair = np.stack([corners[:, k], following if self.dim == 3 else corners[:, k]], axis=1)
            rows = np.flatnonzero(corners[:, k] >= 0)
            owner.append(rows)
            ends.append(np.sort(pair[rows], axis=1))
        who = np.concatenate(owner)
        label = np.unique(np.concatenate(ends), axis=0, return_inverse=True)[1].reshape(-1)
        order = np.argsort(label, kind="stable")
        same = np.flatnonzero(label[order][1:] == label[order][:-1])
        return who[order[same]], who[order[same + 1]]


def _centre_normals(patch: Patch) -> NDArray:
    """Return the normals in the middle of facets, (facets, dim)."""
    own = patch.own
    middle = own.nodes[: own.corners].mean(axis=0, keepdims=True)
    normal = patch.at(middle.reshape(1, own.dim)).normal
    assert normal is not None
    return normal[:, 0]


def place(x: Any) -> str:
    """Return a position as text, such as "(0.5, 1)"."""
    return f"({', '.join(f'{v:.6g}' for v in x)})"


def first_of(kinds: Sequence[Kind], patches: Sequence[Patch], bad: Sequence[NDArray]) -> str:
    """Return the first cell of a mask per kind: its kind, number and centre."""
    for kind, patch, mask in zip(kinds, patches, bad, strict=True):
        if mask.any():
            number = int(np.flatnonzero(mask)[0])
            return f"{kind.name} {number} (counted from 0) with its centre at {place(patch.centres()[number])}"
    raise AssertionError("no cell is bad")
