"""Evaluation of finite element functions on a tensor mesh of simplices at arbitrary points."""

from __future__ import annotations

from collections.abc import Sequence
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
        for key in space.keys:
            if len(key) > 1:
                raise InputError(
                    "A finite element solution here has values and first derivatives only, not second derivatives."
                )
        points = np.ascontiguousarray(x.cpu().numpy().astype(float).T)
        simplices = self._simplices(points)
        mapping, element = self.basis.mapping, self.basis.elem
        local = mapping.invF(points[:, :, None], tind=simplices)
        total = np.zeros((len(space.keys), points.shape[1]))
        for k in range(self.basis.Nbfun):
            field = element.gbasis(mapping, local, k, tind=simplices)[0]
            weight = self.u[self.basis.element_dofs[k, simplices]]
            for row, key in enumerate(space.keys):
                total[row] += weight * np.asarray(field.grad[key[0]] if key else field).reshape(len(weight))
        return [torch.as_tensor(row, dtype=x.dtype, device=x.device)[:, None] for row in total]

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
        """Return the simplex of each point: in its cell, the one with the largest minimal barycentric coordinate."""
        candidates = self._members[self._cell(points)].T
        inside = []
        for simplices in candidates:
            local = self.basis.mapping.invF(points[:, :, None], tind=simplices)[:, :, 0]
            inside.append(np.minimum(local.min(axis=0), 1 - local.sum(axis=0)))
        return candidates[np.argmax(inside, axis=0), np.arange(points.shape[1])]
