"""Quadratic finite elements with scikit-fem on the meshes of shapes and on meshes that were read.

The forms are those of `kanpde.classical.elements`. In the plane, edges along a curved boundary of a shape are parabolas
whose midpoints lie on the exact curve, so that errors fall with the third power of the size of the cells, as on
polygons. Solids and curved cells that were read have straight cells here, and errors fall with its square.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import meshio
import numpy as np
from numpy.typing import NDArray

from kanpde.classical.forms import flux_forms, skfem_module, solved, volume_forms
from kanpde.classical.interpolation import innermost
from kanpde.classical.terms import terms_of
from kanpde.domains.facets import boundary_mesh
from kanpde.domains.mesh import Mesh
from kanpde.domains.shape import Shape
from kanpde.errors import InputError
from kanpde.problem import Problem

MESHES, ELEMENTS = {2: "MeshTri", 3: "MeshTet"}, {2: "ElementTriP2", 3: "ElementTetP2"}
_EXACT = 6  # degree of polynomials that the quadrature integrates exactly on straight cells
_LEAST_SHARE = 0.1  # smallest determinant of the map of a cell, of the largest one
_NEAR = 12  # cells with near centres among which that of a point is sought
_ITERATIONS = 8  # of the way from the middle of a chord to the curve, and of Newton's method for points


def is_meshed(domain: object) -> bool:
    """Return whether a domain is a shape or a mesh of two or three coordinates of space."""
    return isinstance(domain, (Shape, Mesh)) and len(domain.names) in (2, 3)


@dataclass
class ShapeAssembly:
    """The discrete equations of a problem on a shape or a mesh.

    Attributes:
        problem: see `kanpde.classical.elements.finite_elements`; every part of the boundary has one condition.
        cells: about how many along the longer side of the bounding box.
    """

    problem: Problem
    cells: int

    def __post_init__(self):
        skfem, domain = skfem_module(), self.problem.domain
        inside = [name for name, condition in self.problem.trained.items() if condition.region.is_interior]
        if len(inside) != 1 or self.problem.trained[inside[0]].region.share is not None:
            raise InputError(
                f"Finite elements need one condition on the whole interior, got {', '.join(inside) or 'none'}."
            )
        self.equation = inside[0]
        made, dim = domain.mesh(self.cells), len(domain.names)
        points, corners = (np.ascontiguousarray(each.T) for each in (made.points[:, :dim], made.cells[0].data))
        self.straight = getattr(skfem, MESHES[dim])(points, corners)
        mesh = _curved(self.straight, domain) if dim == 2 and isinstance(domain, Shape) else self.straight
        self.basis = skfem.Basis(mesh, getattr(skfem, ELEMENTS[dim])(), intorder=_EXACT)
        self.facets = self._facets()

    @property
    def free(self) -> int:
        """Number of free degrees of freedom."""
        return int(self.basis.N) - len(self.fixed)

    def _facets(self) -> dict[str, NDArray]:
        """Return by condition on the boundary its facets.

        Raises:
            InputError: a condition is not on a named part, two are on one part, or a facet has none.
        """
        domain = self.problem.domain
        labels: dict[str, str] = {}
        for name, condition in self.problem.trained.items():
            if name == self.equation:
                continue
            label = condition.region.label
            if label not in domain.parts:
                raise InputError(f'Finite elements take conditions on named parts, and "{name}" is on "{label}".')
            if label in labels or (labels and "boundary" in (*labels, label)):
                raise InputError(
                    f'Finite elements take one condition on a part, and "{next(iter(labels.values()))}" and "{name}" '
                    "share one. Leave one of them out."
                )
            labels[label] = name
        outer = boundary_mesh(domain, self.cells)
        assert outer is not None
        names = {int(number): name for name, (number, _) in (outer.field_data or {}).items()}
        data: dict[str, Any] = {key: np.asarray(each[0]) for key, each in outer.cell_data.items()}
        smallest = np.array([names[k] for k in data["part"]])
        own = _numbers(self.straight, outer)
        owner = np.full(len(own), "boundary" if "boundary" in labels else "", dtype=object)
        for label in labels:  # a facet beside a part may fit it nearly as well as its own one
            if (key := f"on {label}") in data:
                on = data[key].astype(bool)
                owner[on & ((owner == "") | (smallest == label))] = label
        if len(bare := own[owner == ""]):
            at = self.straight.p[:, self.straight.facets[:, bare[0]]].mean(axis=1)
            raise InputError(
                f"There is no condition on the boundary near ({', '.join(f'{x:.3g}' for x in at)}). Finite elements "
                "need one everywhere; where no flux crosses it, it is neumann(...)."
            )
        return {name: own[owner == label] for label, name in labels.items()}

    def solve(self) -> NDArray:
        """Return the values of all degrees of freedom."""
        matrix, right = volume_forms(self.problem, self.equation, self.basis)
        u, fixed = np.zeros(self.basis.N), [np.empty(0, dtype=int)]
        for name, facets in self.facets.items():
            basis = skfem_module().FacetBasis(self.basis.mesh, self.basis.elem, facets=facets, intorder=_EXACT)
            normal = np.asarray(basis.normals)
            if any(np.any(b) for b in terms_of(self.problem, name, np.asarray(basis.global_coordinates()), normal).b):
                more, load = flux_forms(self.problem, name, self.equation, basis, normal, "the boundary")
                matrix, right = matrix + more, right + load
                continue
            dofs = self.basis.get_dofs(facets).all()
            terms = terms_of(self.problem, name, self.basis.doflocs[:, dofs])
            if not np.all(terms.c):
                raise InputError(f'Condition "{name}" does not determine u everywhere on its part.')
            u[dofs] = -terms.value / terms.c
            fixed.append(dofs)
        self.fixed = np.unique(np.concatenate(fixed))
        if not len(self.fixed) and np.abs(matrix @ np.ones(len(u))).max() < 1e-9 * abs(matrix).max():
            raise InputError(
                "The finite element equations have no unique solution: they hold for u plus any constant. Add a "
                "condition that gives values of u, such as dirichlet(...)."
            )
        solved(matrix, right, u, self.fixed)
        return u

    def located(self, points: NDArray) -> tuple[NDArray, NDArray]:
        """Return the simplices of points (dim, points), the nearest outside, and the coordinates (dim, points, 1)."""
        _, near = self._centres.query(points.T, k=min(_NEAR, self.straight.nelements))
        mapping, x = self.straight.mapping(), points[:, :, None]
        simplices = innermost(mapping, points, np.atleast_2d(np.asarray(near).T))
        local = mapping.invF(x, tind=simplices)
        for _ in range(_ITERATIONS if self.basis.mesh is not self.straight else 0):  # Newton's method
            gap = x - self.basis.mapping.F(local, tind=simplices)
            local = local + np.einsum("ijkl,jkl->ikl", self.basis.mapping.invDF(local, tind=simplices), gap)
        return simplices, local

    @cached_property
    def _centres(self) -> Any:
        from scipy.spatial import KDTree

        return KDTree(self.straight.p[:, self.straight.t].mean(axis=1).T)


def _folded(mesh: Any) -> NDArray:
    """Return the numbers of cells that are folded or nearly so, by the determinants of their maps at their nodes."""
    nodes = np.array([[0.0, 1.0, 0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 1.0, 0.0, 0.5, 0.5]])
    found = mesh.mapping().detDF(nodes)
    found = found * np.sign(np.median(found, axis=1, keepdims=True))
    return np.flatnonzero(found.min(axis=1) < _LEAST_SHARE * found.max(axis=1))


def _numbers(mesh: Any, outer: meshio.Mesh) -> NDArray:
    """Return the numbers of the facets of a mesh of scikit-fem that are the cells of another mesh."""
    from scipy.spatial import KDTree

    _, nodes = KDTree(mesh.p.T).query(outer.points[:, : len(mesh.p)])
    wanted = np.sort(np.asarray(nodes)[outer.cells[0].data], axis=1)
    number = {tuple(facet): k for k, facet in enumerate(np.sort(mesh.facets, axis=0).T.tolist())}
    return np.array([number[tuple(facet)] for facet in wanted.tolist()])


def _curved(mesh: Any, shape: Shape) -> Any:
    """Return triangles whose edges on the boundary are parabolas with midpoints on the curve.

    Those of a triangle that would be folded by them, as in very coarse meshes, stay straight.
    """
    skfem = skfem_module()
    found = skfem.MeshTri2.from_mesh(mesh)
    facets = mesh.boundary_facets()
    place = found.dofs.facet_dofs[0, facets]
    a, b = (mesh.p[:, mesh.facets[k, facets]] for k in (0, 1))
    start = 0.5 * (a + b)
    normal = np.stack([b[1] - a[1], a[0] - b[0]]) / np.hypot(*(b - a))
    centre = mesh.p[:, mesh.t[:, mesh.f2t[0, facets]]].mean(axis=1)
    normal = normal * np.sign(((start - centre) * normal).sum(axis=0))
    middle = start
    for _ in range(_ITERATIONS):  # the level is the distance to first order, and the normal nearly its gradient
        middle = middle - shape.level(middle.T) * normal
    places = found.doflocs.copy()
    places[:, place] = middle
    curved = replace(found, doflocs=places)
    if len(folded := _folded(curved)):
        on = np.unique(mesh.t2f[:, folded])
        chords = found.dofs.facet_dofs[0, on]
        places[:, chords] = found.doflocs[:, chords]
        curved = replace(found, doflocs=places)
    return curved
