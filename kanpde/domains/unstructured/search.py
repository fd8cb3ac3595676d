r"""The cells that contain points: bounding balls and boxes, then the inverse of the cell's map by Newton's method.

With the middle $m$ of the reference cell, $x(\xi) = x(m) + J (\xi - m) + r(\xi)$. The remainder r is a combination of
its values at the nodes with the N, so $|J^{-1} r|$ is at most its largest value there times $L = \max \sum_j |N_j|$. A
point whose $m + J^{-1} (x - x(m))$ is farther from the reference cell is outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.unstructured.kinds import Kind
from kanpde.domains.unstructured.patches import Patch
from kanpde.domains.unstructured.reference import division
from kanpde.domains.unstructured.small import inverses

_STEPS, _ENOUGH = 20, 0.25  # of Newton; the distance from the point at which they end, over the slack
_BATCH = 20_000  # pairs of cells and points at once
_STRAIGHT = 1e-12  # remainder below which a map is affine


class Search:
    """Finds out which points lie in one of the cells."""

    def __init__(self, patches: Sequence[Patch]):
        self.cells = [_Cells(patch) for patch in patches]

    def inside(self, x: NDArray, slack: float) -> NDArray:
        """Return whether points (points, dim) lie in a cell or within the distance ``slack`` of one, (points,)."""
        found = np.zeros(len(x), dtype=bool)
        valid = np.flatnonzero(np.isfinite(x).all(axis=1))
        for cells in self.cells:
            left = valid[~found[valid]]
            if len(left):
                found[left] = cells.inside(x[left], slack)
        return found


class _Cells:
    """Cells of one kind, with their affine parts."""

    def __init__(self, patch: Patch):
        kind = patch.kind
        self.patch = patch
        self.middle = kind.nodes[: kind.corners].mean(axis=0)
        self.origin = patch.at(self.middle[None]).x[:, 0]
        self.inverse = inverses(patch.jacobians(self.middle[None])[:, 0])
        affine = np.einsum("cid,cnd->cni", self.inverse, patch.nodes - self.origin[:, None])
        remainder = np.abs(affine - (kind.nodes - self.middle)).max(axis=1)
        self.remainder = np.where(remainder > _STRAIGHT, _lebesgue(kind) * remainder, 0.0)  # of ξ, (cells, dim)
        beyond = np.einsum("cdi,ci->cd", np.abs(patch.jacobians(self.middle[None])[:, 0]), 2 * self.remainder)
        self.low, self.high = patch.nodes.min(axis=1) - beyond, patch.nodes.max(axis=1) + beyond

    def inside(self, x: NDArray, slack: float) -> NDArray:
        """Return whether the points lie in one of the cells."""
        from scipy.spatial import KDTree  # imported here because it takes a part of a second

        low, high = self.low - slack, self.high + slack
        radius = 0.5 * np.linalg.norm(high - low, axis=1)
        near = KDTree(x).query_ball_point(0.5 * (low + high), radius, return_sorted=False)
        cell = np.repeat(np.arange(len(near)), [len(each) for each in near])
        point = np.fromiter(chain.from_iterable(near), dtype=int, count=len(cell))
        found = np.zeros(len(x), dtype=bool)
        for start in range(0, len(cell), _BATCH):
            some, one = point[start : start + _BATCH], cell[start : start + _BATCH]
            in_box = ((x[some] >= low[one]) & (x[some] <= high[one])).all(axis=1)
            some, one = some[in_box], one[in_box]
            found[some[self._holds(one, x[some], slack)]] = True
        return found

    def _holds(self, cell: NDArray, x: NDArray, slack: float) -> NDArray:
        """Return whether the cell of each row contains the point of that row."""
        inverse, margin = self.inverse[cell], self.remainder[cell]
        reference = self.middle + np.einsum("cid,cd->ci", inverse, x - self.origin[cell])
        found = _in_reference(self.patch.kind, reference, inverse, slack, margin)
        rows = np.flatnonzero(found & (margin > 0).any(axis=1))
        if len(rows):
            found[rows] = self._holds_exactly(cell[rows], x[rows], reference[rows], slack)
        return found

    def _holds_exactly(self, cell: NDArray, x: NDArray, reference: NDArray, slack: float) -> NDArray:
        """Return the same, by Newton's method from approximate positions."""
        kind, nodes = self.patch.kind, self.patch.nodes[cell]
        inverse, gap = np.zeros((*reference.shape, kind.dim)), np.full(len(x), np.inf)
        rows = np.arange(len(x))
        for _ in range(_STEPS):
            difference = x[rows] - (kind.values(reference[rows])[:, None] @ nodes[rows])[:, 0]
            inverse[rows] = inverses((kind.slopes(reference[rows]) @ nodes[rows]).transpose(0, 2, 1))
            gap[rows] = np.abs(difference).max(axis=1)
            step = np.einsum("cid,cd->ci", inverse[rows], difference)
            reference[rows] = np.clip(reference[rows] + step, -1.0, 2.0)
            rows = rows[gap[rows] > _ENOUGH * slack]
            if not len(rows):
                break
        return _in_reference(kind, reference, inverse, slack, 0.0) & (gap <= slack)


def _in_reference(kind: Kind, x: NDArray, inverse: NDArray, slack: float, margin: NDArray | float) -> NDArray:
    """Return whether positions are in the reference cell, up to a margin and the effect of the slack."""
    allowed = slack * np.linalg.norm(inverse, axis=2) + margin  # of the slack: the largest change of ξ_i
    found = (x >= -allowed).all(axis=1)
    if not kind.is_simplex:
        return found & (x <= 1 + allowed).all(axis=1)
    sums = slack * np.linalg.norm(inverse.sum(axis=1), axis=1) + np.sum(margin * np.ones(kind.dim), axis=-1)
    return found & (x.sum(axis=1) <= 1 + sums)


def _lebesgue(kind: Kind) -> float:
    """Return the largest sum of the |N| on a lattice."""
    lattice, _ = division(8, kind.dim, kind.is_simplex)
    return 1.05 * float(np.abs(kind.values(lattice)).sum(axis=1).max())
