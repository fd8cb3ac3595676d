r"""Cells and facets of cells with points on them.

At a reference position the map $x(\xi)$ has the Jacobian $J$. A volume element is $|\det J|\, d\xi$; on a facet with
the normal $N$ in the reference cell, $n\, ds = |\det J|\, J^{-T} N\, ds_\xi$ (Nanson's formula), also where it is
curved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.unstructured.kinds import KINDS, Kind
from kanpde.domains.unstructured.reference import rule_on
from kanpde.domains.unstructured.small import determinants, inverses

_ALONG = {"cells": 3, "facets": 8}  # Gauss points for measures; of cells they are exact


class Placed(NamedTuple):
    """Points on cells: ``x`` (cells, points, dim), ``density`` (cells, points), the measure per unit of the reference
    cell, and on facets the outward unit normals ``normal`` (cells, points, dim).
    """

    x: NDArray
    density: NDArray
    normal: NDArray | None


@dataclass(frozen=True, eq=False)
class Patch:
    """Cells of one kind, or one facet of each.

    Args:
        kind: of the cells.
        nodes: positions of the cells' nodes (cells, nodes, dim).
        facet: the number of the facet within every cell; None for the cells themselves.
    """

    kind: Kind
    nodes: NDArray
    facet: int | None = None

    @property
    def own(self) -> Kind:
        """The kind of the reference cell in which positions are given: of the cell, or of its facet."""
        return self.kind if self.facet is None else KINDS[self.kind.facet_shape]

    def at(self, reference: NDArray) -> Placed:
        """Return the points at reference positions: (points, dim) in all cells, or one for each, (cells, 1, dim)."""
        inside = reference if self.facet is None else self.kind.on_facet(self.facet, reference)
        values, slopes = self.kind.values(inside), self.kind.slopes(inside)
        x = values @ self.nodes
        jacobian = (slopes @ self.nodes[:, None]).swapaxes(-1, -2)
        determinant = np.abs(determinants(jacobian))
        if self.facet is None:
            return Placed(x, determinant, None)
        conormal = np.einsum("cpid,i->cpd", inverses(jacobian), self.kind.facet_normal(self.facet))
        length = np.linalg.norm(conormal, axis=2)
        return Placed(x, determinant * length, conormal / length[..., None])

    def jacobians(self, reference: NDArray) -> NDArray:
        """Return the Jacobians (cells, points, dim, dim) at positions (points, dim) in the reference cell of cells."""
        return (self.kind.slopes(reference) @ self.nodes[:, None]).swapaxes(-1, -2)

    def measures(self) -> NDArray:
        """Return the length, area or volume of every cell; of a vertex 1."""
        along = _ALONG["cells" if self.facet is None else "facets"]
        points, weights = rule_on("gauss", along, self.own.dim, self.own.is_simplex)
        return self.at(points).density @ weights * self.own.size

    def centres(self) -> NDArray:
        """Return the means of the corners of the cells or facets, (cells, dim)."""
        corners = range(self.kind.corners) if self.facet is None else self.kind.facets[self.facet]
        return self.nodes[:, list(corners)].mean(axis=1)

    def chosen(self, which: NDArray) -> Patch:
        """Return some of the cells, by numbers or a mask."""
        return replace(self, nodes=self.nodes[which])
