"""Evaluation of finite element functions at arbitrary points, on tensor meshes and on others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.calculus.jet import JetSpace
from kanpde.errors import InputError


@dataclass
class Interpolation:
    """A finite element function: values and first derivatives.

    Args:
        ranges: of the box.
        cells: number along every coordinate; cells are equal and divided into the same number of simplices.
        basis: of scikit-fem.
        u: values of all degrees of freedom.
    """

    ranges: Sequence[tuple[float, float]]
    cells: int
    basis: Any
    u: NDArray

    def components(self, x: Tensor, space: JetSpace) -> list[Tensor]:
        """Return the jet of order at most one."""
        return jet_in(self.basis, self.u, x, space, self._located)

    def _located(self, points: NDArray) -> tuple[NDArray, NDArray]:
        """Return the simplices of points (dim, points), and their coordinates in these."""
        simplices = self._simplices(points)
        return simplices, self.basis.mapping.invF(points[:, :, None], tind=simplices)

    def _cell(self, points: NDArray) -> NDArray:
        """Return the cell number of each point (dim, points)."""
        number = np.zeros(points.shape[1], dtype=int)
        for x, (lo, hi) in zip(points, self.ranges, strict=True):
            number = number * self.cells + np.clip((x - lo) / (hi - lo) * self.cells, 0, self.cells - 1).astype(int)
        return number

    @cached_property
    def _members(self) -> NDArray:
        """Return the simplices of each cell (cells, simplices)."""
        mesh = self.basis.mesh
        cell = self._cell(mesh.p[:, mesh.t].mean(axis=1))
        return np.argsort(cell, kind="stable").reshape(self.cells ** len(self.ranges), -1)

    def _simplices(self, points: NDArray) -> NDArray:
        """Return the simplex of each point, of those in its cell."""
        return innermost(self.basis.mapping, points, self._members[self._cell(points)].T)


def innermost(mapping: Any, points: NDArray, candidates: NDArray) -> NDArray:
    """Return for points (dim, points) the one of the simplices (candidates, points) in which they are, or nearly so.

    It is the one with the largest minimal barycentric coordinate.
    """
    inside = []
    for simplices in candidates:
        local = mapping.invF(points[:, :, None], tind=simplices)[:, :, 0]
        inside.append(np.minimum(local.min(axis=0), 1 - local.sum(axis=0)))
    return candidates[np.argmax(inside, axis=0), np.arange(points.shape[1])]


def jet_in(
    basis: Any, u: NDArray, x: Tensor, space: JetSpace, located: Callable[[NDArray], tuple[NDArray, NDArray]]
) -> list[Tensor]:
    """Return the jet of order at most one of a finite element function.

    Args:
        basis, u: of scikit-fem, and the values of all degrees of freedom.
        x: points (points, dim).
        space: of the jet.
        located: returns for points (dim, points) the simplices in which they are, and the coordinates in these (dim,
            points, 1).
    """
    for key in space.keys:
        if len(key) > 1:
            raise InputError(
                "A finite element solution here has values and first derivatives only, not second derivatives."
            )
    points = np.ascontiguousarray(x.cpu().numpy().astype(float).T)
    simplices, local = located(points)
    mapping, element = basis.mapping, basis.elem
    total = np.zeros((len(space.keys), points.shape[1]))
    for k in range(basis.Nbfun):
        field = element.gbasis(mapping, local, k, tind=simplices)[0]
        weight = u[basis.element_dofs[k, simplices]]
        for row, key in enumerate(space.keys):
            total[row] += weight * np.asarray(field.grad[key[0]] if key else field).reshape(len(weight))
    return [torch.as_tensor(row, dtype=x.dtype, device=x.device)[:, None] for row in total]
