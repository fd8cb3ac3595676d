"""Checks of a mesh, each with the place of the first fault in its message."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.unstructured.kinds import KINDS
from kanpde.domains.unstructured.patches import Patch
from kanpde.domains.unstructured.reference import rule_on
from kanpde.domains.unstructured.small import determinants
from kanpde.domains.unstructured.topology import Topology, first_of, place
from kanpde.errors import InputError, suggest

_THINNEST = 1e-12  # det J over the cell's extent to the power dim
_ALONG = 4  # Gauss points in each direction at which det J is examined, beside the nodes


def check_arrays(points: NDArray, cells: Mapping[str, NDArray]) -> None:
    """Refuse arrays that are not those of a mesh.

    Raises:
        InputError: no cells, kinds that are unknown or of different dimensions, wrong shapes, numbers of nodes that
            do not exist, coordinates that are not finite.
    """
    if not cells or not all(len(rows) for rows in cells.values()):
        raise InputError("A mesh needs cells.", write={"cells": {"triangle": [[0, 1, 2]]}})
    kinds = sorted(name for name in KINDS if KINDS[name].dim > 0)
    for name, rows in cells.items():
        if name not in kinds:
            raise InputError(f'There are no cells of the kind "{name}" here. {suggest(name, kinds)}')
        if rows.ndim != 2 or rows.shape[1] != len(KINDS[name].nodes):
            raise InputError(f"Cells {name} have {len(KINDS[name].nodes)} nodes each, got an array of {rows.shape}.")
        if rows.min() < 0 or rows.max() >= len(points):
            wrong = rows.min() if rows.min() < 0 else rows.max()
            raise InputError(f"Nodes are numbered from 0 to {len(points) - 1}, and a {name} has {wrong}.")
    lost = ~np.isfinite(points).all(axis=1)
    if lost.any():
        number = int(np.flatnonzero(lost)[0])
        raise InputError(
            f"Coordinates must be finite; those of {int(lost.sum())} nodes are not, the first node {number} (counted "
            f"from 0): {place(points[number])}."
        )
    dims = {KINDS[name].dim for name in cells}
    if points.ndim != 2 or len(dims) > 1 or points.shape[1] != max(dims):
        raise InputError(
            f"Points and cells of a mesh must have one dimension; got points of shape {points.shape} and cells of "
            f"dimension {', '.join(map(str, sorted(dims)))} ({', '.join(cells)})."
        )
    alone = np.setdiff1d(np.arange(len(points)), np.concatenate([rows.ravel() for rows in cells.values()]))
    if len(alone):
        raise InputError(
            f"{len(alone)} nodes are in no cell, the first at {place(points[alone[0]])}. Leave them out of points."
        )


def check_cells(topology: Topology) -> None:
    """Refuse meshes whose cells do not fill a domain once.

    Raises:
        InputError: cells that are inverted, folded, without volume or duplicates, or more than two cells at a facet.
    """
    patches = topology.cell_patches()
    _check_jacobians(topology, patches)
    for kind, rows, patch in zip(topology.kinds, topology.nodes, patches, strict=True):
        _, first, label = np.unique(np.sort(rows, axis=1), axis=0, return_index=True, return_inverse=True)
        label = label.reshape(-1)
        again = np.flatnonzero(first[label] != np.arange(len(rows)))
        if len(again):
            number = int(again[0])
            raise InputError(
                f"{len(again)} cells are duplicates of others, the first {kind.name} {number} (counted from 0), which "
                f"has the nodes of {kind.name} {first[label[number]]}, with its centre at "
                f"{place(patch.centres()[number])}. Leave them out."
            )
    crowded = topology.keys[topology.times > 2]
    if len(crowded):
        at = topology.points[crowded[0][crowded[0] >= 0]].mean(axis=0)
        raise InputError(
            f"{len(crowded)} facets belong to more than two cells, the first at {place(at)}. Cells overlap there, "
            "probably because bodies were meshed apart; cut them into each other first."
        )


def _check_jacobians(topology: Topology, patches: list[Patch]) -> None:
    """Require det J ≠ 0 in every cell, and one sign in all cells."""
    least, most = [], []
    for kind, patch in zip(topology.kinds, patches, strict=True):
        inner, _ = rule_on("gauss", _ALONG, kind.dim, kind.is_simplex)
        found = determinants(patch.jacobians(np.concatenate([kind.nodes, inner])))
        extent = np.ptp(patch.nodes, axis=1).max(axis=1, keepdims=True) ** kind.dim
        found = np.where(np.abs(found) > _THINNEST * extent, found, 0.0)
        least.append(found.min(axis=1))
        most.append(found.max(axis=1))
    kinds = topology.kinds
    flat = [(low == 0) & (high == 0) for low, high in zip(least, most, strict=True)]
    folded = [(low <= 0) & (high >= 0) for low, high in zip(least, most, strict=True)]
    for bad, what, fix in (
        (flat, "have no length, area or volume", "Leave them out, or move their nodes."),
        (folded, "are folded: the Jacobian changes its sign within", "Make them smaller or move the inner nodes."),
    ):
        if any(mask.any() for mask in bad):
            count = sum(int(mask.sum()) for mask in bad)
            raise InputError(f"{count} cells {what}, the first {first_of(kinds, patches, bad)}. {fix}")
    inverted = [high < 0 for high in most]
    count, cells = sum(int(mask.sum()) for mask in inverted), sum(map(len, inverted))
    if 2 * count > cells:  # the other ones are fewer; a mesh whose cells all run the other way round is as good
        inverted, count = [~mask for mask in inverted], cells - count
    if count:
        raise InputError(
            f"{count} of {cells} cells are inverted: their nodes run the other way round than those of the others, the "
            f"first {first_of(kinds, patches, inverted)}. Probably a node was moved across its neighbours, or a "
            "surface runs the other way round; in gmsh, reverse its curve loop."
        )
