"""The cells that contain points: bounding balls and boxes, then the inverse of the cell's map by Newton's method."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kanpde.domains.unstructured.kinds import KINDS
from kanpde.domains.unstructured.patches import Patch

_STEPS, _ENOUGH = 20, 1e-13  # of Newton; the last one's length
_BATCH = 50_000  # pairs of cells and points at once
_MARGIN = 0.1  # of the size of a cell of second order, by which it can extend beyond the box of its nodes
_STRAIGHT = 1e-14  # distance of nodes from where they are in a straight cell, relative to the coordinates


class Search:
    """Finds out which points lie in one of the cells."""

    def __init__(self, patches: Sequence[Patch]):
        self.patches = [part for patch in patches for part in _by_shape(patch) if len(part.nodes)]

    def inside(self, x: NDArray, slack: float) -> NDArray:
        """Return whether points (points, dim) lie in a cell or within the distance ``slack`` of one, (points,)."""
        found = np.zeros(len(x), dtype=bool)
        valid = np.flatnonzero(np.isfinite(x).all(axis=1))
        for patch in self.patches:
            left = valid[~found[valid]]
            if len(left):
                found[left] = _inside(patch, x[left], slack)
        return found


def _by_shape(patch: Patch) -> list[Patch]:
    """Return the straight cells of second order as cells of first order, and the others."""
    kind, linear = patch.kind, KINDS[patch.kind.shape]
    corners = patch.nodes[:, : kind.corners]
    if kind is linear:
        return [patch]
    gap = np.abs(patch.nodes - np.einsum("pn,cnd->cpd", linear.values(kind.nodes), corners)).max(axis=(1, 2))
    is_straight = gap <= _STRAIGHT * np.abs(corners).max(axis=(1, 2))
    return [Patch(linear, corners[is_straight]), patch.chosen(~is_straight)]


def _inside(patch: Patch, x: NDArray, slack: float) -> NDArray:
    """Return whether the points lie in a cell of one kind."""
    low, high = patch.nodes.min(axis=1), patch.nodes.max(axis=1)
    is_curved = len(patch.kind.nodes) > patch.kind.corners
    margin = slack + _MARGIN * is_curved * (high - low).max(axis=1, keepdims=True)
    low, high = low - margin, high + margin
    radius = 0.5 * np.linalg.norm(high - low, axis=1)
    near = cKDTree(x).query_ball_point(0.5 * (low + high), radius, return_sorted=False)
    cell = np.repeat(np.arange(len(near)), [len(each) for each in near])
    point = np.fromiter(chain.from_iterable(near), dtype=int, count=len(cell))
    in_box = ((x[point] >= low[cell]) & (x[point] <= high[cell])).all(axis=1)
    cell, point = cell[in_box], point[in_box]
    found = np.zeros(len(x), dtype=bool)
    for start in range(0, len(cell), _BATCH):
        part = slice(start, start + _BATCH)
        found[point[part][_holds(patch.chosen(cell[part]), x[point[part]], slack)]] = True
    return found


def _holds(patch: Patch, x: NDArray, slack: float) -> NDArray:
    """Return whether the cell of each row contains the point of that row."""
    kind = patch.kind
    reference = np.repeat(kind.nodes[: kind.corners].mean(axis=0)[None], len(x), axis=0)
    rows = np.arange(len(x))
    for _ in range(_STEPS):
        gap = x[rows] - np.einsum("cn,cnd->cd", kind.values(reference[rows]), patch.nodes[rows])
        step = np.einsum("cid,cd->ci", _inverses(patch, rows, reference), gap)
        reference[rows] = np.clip(reference[rows] + step, -1.0, 2.0)
        rows = rows[np.abs(step).max(axis=1) > _ENOUGH]
        if not len(rows):
            break
    gap = np.abs(x - np.einsum("cn,cnd->cd", kind.values(reference), patch.nodes)).max(axis=1)
    inverse = _inverses(patch, np.arange(len(x)), reference)
    allowed = slack * np.linalg.norm(inverse, axis=2)  # the change of ξ_i for one of x by the slack
    above = (reference >= -allowed).all(axis=1)
    if kind.is_simplex:
        below = reference.sum(axis=1) <= 1 + slack * np.linalg.norm(inverse.sum(axis=1), axis=1)
    else:
        below = (reference <= 1 + allowed).all(axis=1)
    return above & below & (gap <= slack)


def _inverses(patch: Patch, rows: NDArray, reference: NDArray) -> NDArray:
    """Return the inverse Jacobians (rows, dim, dim) at the positions of some rows; not finite where singular."""
    jacobian = np.einsum("cin,cnd->cdi", patch.kind.slopes(reference[rows]), patch.nodes[rows])
    if patch.kind.dim == 1:
        adjugate = np.ones_like(jacobian)
    elif patch.kind.dim == 2:
        adjugate = np.array([[1, -1], [-1, 1]]) * jacobian[:, ::-1, ::-1].transpose(0, 2, 1)
    else:
        a, b, c = jacobian.transpose(2, 0, 1)
        adjugate = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
    determinant = np.einsum("cd,cd->c", adjugate[:, 0], jacobian[:, :, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        return adjugate / determinant[:, None, None]
