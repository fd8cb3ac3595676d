r"""Kinds of cells, straight and of second order, as images of a reference simplex or cube.

A cell with nodes $x_j$ is the image of its reference cell under $x(\xi) = \sum_j N_j(\xi)\, x_j$, where the polynomial
$N_j$ is 1 at the reference position of node j and 0 at those of the others (O. C. Zienkiewicz, R. L. Taylor, The Finite
Element Method, 5th edition, volume 1, 2000, chapters 8 and 9). Nodes are in the order of VTK, which meshio uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

# corners, and edges and facets by the corners at their ends
_CORNERS = {
    "vertex": [()],
    "line": [(0,), (1,)],
    "triangle": [(0, 0), (1, 0), (0, 1)],
    "quad": [(0, 0), (1, 0), (1, 1), (0, 1)],
    "tetra": [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)],
}
_CORNERS["hexahedron"] = [(*c, z) for z in (0, 1) for c in _CORNERS["quad"]]
_EDGES = {
    "line": [(0, 1)],
    "triangle": [(0, 1), (1, 2), (2, 0)],
    "quad": [(0, 1), (1, 2), (2, 3), (3, 0)],
    "tetra": [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)],
}
_EDGES["hexahedron"] = [*_EDGES["quad"], (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)]
_FACETS: dict[str, list[tuple[int, ...]]] = {
    "line": [(0,), (1,)],
    "triangle": [(0, 1), (1, 2), (2, 0)],
    "quad": [(0, 1), (1, 2), (2, 3), (3, 0)],
    "tetra": [(0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2)],
    "hexahedron": [(0, 4, 7, 3), (1, 2, 6, 5), (0, 1, 5, 4), (3, 7, 6, 2), (0, 3, 2, 1), (4, 5, 6, 7)],
}
_SIMPLICES = ("vertex", "line", "triangle", "tetra")
_SECOND = {"line3": "line", "triangle6": "triangle", "quad8": "quad", "quad9": "quad"}
_SECOND |= {"tetra10": "tetra", "hexahedron20": "hexahedron", "hexahedron27": "hexahedron"}


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of cells.

    Args:
        name: meshio's.
        shape: "vertex", "line", "triangle", "quad", "tetra" or "hexahedron".
        nodes: reference positions of the nodes (nodes, dim), corners first.
    """

    name: str
    shape: str
    nodes: NDArray

    @property
    def dim(self) -> int:
        """The dimension of the cell."""
        return self.nodes.shape[1]

    @property
    def is_simplex(self) -> bool:
        """Whether the reference cell is {ξ ≥ 0, Σ ξ ≤ 1}; otherwise it is the unit cube."""
        return self.shape in _SIMPLICES

    @property
    def corners(self) -> int:
        """The number of corners."""
        return len(_CORNERS[self.shape])

    @property
    def size(self) -> float:
        """The measure of the reference cell."""
        return 1.0 / float(np.prod(np.arange(1, self.dim + 1))) if self.is_simplex else 1.0

    @property
    def facets(self) -> list[tuple[int, ...]]:
        """The corners of every facet, in an order in which its normal points outward."""
        return _FACETS[self.shape]

    @cached_property
    def exponents(self) -> NDArray:
        """The exponents (nodes, dim) of the monomials that span the N, in ξ for simplices and in 2 ξ - 1 for cubes."""
        order = 1 if len(self.nodes) == self.corners else 2
        every = list(product(range(order + 1), repeat=self.dim))
        if self.is_simplex:
            chosen = [e for e in every if sum(e) <= order]
        elif len(self.nodes) < len(every):  # serendipity elements: at most one coordinate is squared
            chosen = [e for e in every if e.count(2) < 2]
        else:
            chosen = every
        return np.array(chosen).reshape(len(self.nodes), self.dim)

    @cached_property
    def _coefficients(self) -> NDArray:
        """The coefficients (monomials, nodes) of the N."""
        found = np.linalg.inv(self._monomials(self._powers(self.nodes)))
        return np.round(8 * found) / 8  # they are such numbers

    def _powers(self, reference: NDArray) -> NDArray:
        """Return 1, the coordinate of the monomials and its square, (..., dim, 3)."""
        s = reference if self.is_simplex else 2 * reference - 1
        return np.stack([np.ones_like(s), s, s * s], axis=-1)

    def _monomials(self, powers: NDArray, along: int | None = None) -> NDArray:
        """Return the monomials (..., nodes), or their derivatives by one coordinate."""
        found = np.ones((*powers.shape[:-2], len(self.nodes)))
        for i, exponent in enumerate(self.exponents.T):
            factor = powers[..., i, np.maximum(exponent - 1, 0) if i == along else exponent]
            found *= factor * exponent if i == along else factor
        return found if along is None or self.is_simplex else 2 * found

    def values(self, reference: NDArray) -> NDArray:
        """Return the N at reference positions (..., dim): (..., nodes)."""
        return self._monomials(self._powers(reference)) @ self._coefficients

    def slopes(self, reference: NDArray) -> NDArray:
        """Return the derivatives of the N at reference positions (..., dim): (..., dim, nodes)."""
        powers = self._powers(reference)
        return np.stack([self._monomials(powers, i) @ self._coefficients for i in range(self.dim)], axis=-2)

    def on_facet(self, facet: int, reference: NDArray) -> NDArray:
        """Return the positions (points, dim) in the reference cell of those (points, dim - 1) on a facet's own."""
        corner = self.nodes[list(self.facets[facet])]
        axes = [1, 2] if self.facet_shape == "triangle" else [1, 3] if self.facet_shape == "quad" else [1]
        return corner[0] + reference @ (corner[axes[: self.dim - 1]] - corner[0])

    @property
    def facet_shape(self) -> str:
        """The shape of the facets."""
        return {"line": "vertex", "tetra": "triangle", "hexahedron": "quad"}.get(self.shape, "line")

    def facet_normal(self, facet: int) -> NDArray:
        """Return the outward normal of a facet of the reference cell, (dim,).

        Its length is the facet's measure divided by that of the facet's own reference cell.
        """
        outward = self.nodes[list(self.facets[facet])].mean(axis=0) - self.nodes[: self.corners].mean(axis=0)
        if self.dim == 1:
            return np.sign(outward)
        edges = self.on_facet(facet, np.eye(self.dim - 1)) - self.on_facet(facet, np.zeros((1, self.dim - 1)))
        normal = np.array([edges[0, 1], -edges[0, 0]]) if self.dim == 2 else np.cross(edges[0], edges[1])
        return normal * np.sign(normal @ outward)


def _kind(name: str) -> Kind:
    shape = _SECOND.get(name, name)
    corners = np.array(_CORNERS[shape], dtype=float)
    nodes = [corners]
    if name in _SECOND:
        nodes.append(np.array([corners[list(edge)].mean(axis=0) for edge in _EDGES[shape]]))
    if name == "hexahedron27":
        nodes.append(np.array([corners[list(facet)].mean(axis=0) for facet in _FACETS[shape]]))
    if name in ("quad9", "hexahedron27"):
        nodes.append(corners.mean(axis=0, keepdims=True))
    return Kind(name, shape, np.concatenate(nodes))


KINDS = {name: _kind(name) for name in (*_CORNERS, *_SECOND)}
