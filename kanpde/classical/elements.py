r"""Finite elements with scikit-fem for linear scalar second-order problems on boxes, with time as a coordinate.

The residual is interpreted as $r = \sum a_{ij} \partial_{ij} u + \sum b_i \partial_i u + c u - f$: its slopes
(`classical.linear`) at the quadrature points are $a$, $b$ and $c$, its value at $u = 0$ is $-f$. Multiplied by a test
function $v$ that vanishes where values are given, and integrated by parts,
$$\int -\partial_i u\, \partial_j (a_{ij} v) + b_i \partial_i u\, v + c\, u v + \int_{\partial\Omega} q v = \int f v,
\qquad q = a_{ij} \partial_i u\, n_j .$$
Conditions on derivatives give $q$; on faces without a condition $a_{ij} n_j$ must vanish, as at the final time of the
heat equation (O. Steinbach, Space-time finite element methods for parabolic problems, Comput. Methods Appl. Math.
15, 2015). Continuous elements on the whole space-time box need no time stepping.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kanpde.calculus.jet import JetSpace
from kanpde.classical.forms import flux_forms, skfem_module, solved, volume_forms
from kanpde.classical.interpolation import Interpolation, jet_in
from kanpde.classical.linear import check_solvable, is_linear
from kanpde.classical.shape_elements import ShapeAssembly, is_meshed
from kanpde.classical.solution import ClassicalSolution
from kanpde.classical.terms import terms_of
from kanpde.domains import Domain
from kanpde.errors import InputError
from kanpde.problem import Problem

ORDERS = (2, 4)
MESHES = {1: "MeshLine", 2: "MeshTri", 3: "MeshTet"}
ELEMENTS = {(1, 2): "ElementLineP2", (2, 2): "ElementTriP2", (2, 4): "ElementTriP4", (3, 2): "ElementTetP2"}


def finite_elements(problem: Problem, order: int, cells: int) -> ClassicalSolution:
    """Solve a problem with elements of the given order on a mesh of simplices.

    Args:
        problem: linear, second-order, with one unknown, on a `Box` of one to three coordinates, with one condition on
            every face that needs one, or on a shape or a read mesh of two or three, with one on every part.
        order: degree of the polynomials, 2 or 4 (in three coordinates, on shapes and read meshes only 2).
        cells: number along every coordinate; each cell is divided into two triangles or six tetrahedra. On shapes and
            read meshes approximately that along the longer side (`kanpde.classical.shape_elements`).

    Raises:
        InputError: the problem is of a different kind, or scikit-fem is not installed.
    """
    skfem = skfem_module()
    problem = replace(problem, ansatz=None)  # its conditions are imposed like the others
    check_elements(problem, order)
    began = perf_counter()
    if not is_linear(problem):
        raise InputError(
            "Finite elements here solve linear problems, and the residuals are not linear in the unknown. "
            "Use `collocate(problem, degree)`, which takes Newton steps."
        )
    if is_meshed(problem.domain):
        return _on_shape(problem, cells, began)
    dim = len(problem.domain.names)
    mesh = getattr(skfem, MESHES[dim]).init_tensor(
        *[np.linspace(lo, hi, cells + 1) for lo, hi in problem.domain.ranges]
    )
    element = skfem.ElementLinePp(4) if (dim, order) == (1, 4) else getattr(skfem, ELEMENTS[dim, order])()
    system = Assembly(problem, skfem.Basis(mesh, element))
    u = system.solve()
    seconds = perf_counter() - began
    found = Interpolation(problem.domain.ranges, cells, system.basis, u)
    note = f"{cells} cell{'s' * (cells > 1)} along each coordinate"
    return ClassicalSolution(problem, f"scikit-fem P{order}", order, system.free, seconds, found.components, note)


def _on_shape(problem: Problem, cells: int, began: float) -> ClassicalSolution:
    system = ShapeAssembly(problem, cells)
    u = system.solve()
    seconds = perf_counter() - began

    def components(x: Tensor, space: JetSpace) -> list[Tensor]:
        return jet_in(system.basis, u, x, space, system.located)

    note = f"{system.straight.nelements} cells"
    return ClassicalSolution(problem, "scikit-fem P2", 2, system.free, seconds, components, note)


def check_elements(problem: Problem, order: int) -> None:
    """Refuse problems that are recognizably unsuitable without evaluating their residuals."""
    check_solvable(problem, is_meshed(problem.domain))
    dim = len(problem.domain.names)
    reason = None
    if order not in ORDERS:
        reason = f"elements of order {order}; orders are {', '.join(map(str, ORDERS))}"
    elif dim == 3 and order == 4:
        reason = "P4 in three coordinates: scikit-fem has no tetrahedra of that order. Take order=2"
    elif order == 4 and is_meshed(problem.domain):
        reason = "shapes and read meshes with P4. Take order=2"
    elif len(problem.unknowns) > 1:
        reason = f"a system of {len(problem.unknowns)} unknowns; they take one"
    elif problem.domain.periodic or any(c.maps for c in problem.trained.values()):
        reason = "periodic conditions"
    if reason:
        raise InputError(f"Finite elements here cannot treat {reason}. Try `collocate(problem, degree)`.")


@dataclass
class Assembly:
    """The discrete equations of a problem on a basis of scikit-fem."""

    problem: Problem
    basis: Any

    def __post_init__(self):
        domain = self.problem.domain
        self.faces: dict[tuple[int, int], str] = {}  # (coordinate, side) -> the condition there
        self.inside: list[str] = []
        for name, condition in self.problem.trained.items():
            if condition.region.is_interior:
                self.inside.append(name)
                continue
            for fixed in condition.region.fixed:
                ((axis, value), *more) = fixed.items()
                if more or value not in domain.ranges[axis]:
                    raise InputError(
                        f'Finite elements take conditions on whole faces, and "{name}" is elsewhere. Try '
                        "`collocate(problem, degree)`."
                    )
                face = (axis, domain.ranges[axis].index(value))
                if face in self.faces:
                    raise InputError(
                        f'Finite elements take one condition on a face, and "{self.faces[face]}" and "{name}" are '
                        f"both on {_label(domain, face)}. Leave one of them out."
                    )
                self.faces[face] = name
        if len(self.inside) != 1:
            raise InputError(
                f"Finite elements need one condition in the interior, got {len(self.inside)}. Try "
                "`collocate(problem, degree)`."
            )

    @property
    def free(self) -> int:
        """Number of free degrees of freedom."""
        return int(self.basis.N) - len(self.fixed)

    def solve(self) -> NDArray:
        """Return the values of all degrees of freedom."""
        matrix, right = volume_forms(self.problem, self.inside[0], self.basis)
        u = np.zeros(self.basis.N)
        fixed = []
        for face, name in self.faces.items():
            nodes = self._nodes(face)
            terms = terms_of(self.problem, name, nodes, _normals(face, nodes))
            if not any(np.any(b) for b in terms.b):
                dofs = self._dofs(face)
                if not np.all(terms.c):
                    raise InputError(
                        f'Condition "{name}" does not determine u everywhere on {_label(self.problem.domain, face)}. '
                        "Finite elements need a value at every point of a face."
                    )
                u[dofs] = -terms.value / terms.c
                fixed.append(dofs)
            else:
                more, load = self._flux(face, name)
                matrix, right = matrix + more, right + load
        self._check_free_faces()
        self.fixed = np.unique(np.concatenate(fixed)) if fixed else np.empty(0, dtype=int)
        solved(matrix, right, u, self.fixed)
        return u

    def _flux(self, face: tuple[int, int], name: str) -> tuple[Any, NDArray]:
        """Return the forms of the flux on a face."""
        basis = skfem_module().FacetBasis(self.basis.mesh, self.basis.elem, facets=self._facets(face))
        x = np.asarray(basis.global_coordinates())
        place = _label(self.problem.domain, face)
        return flux_forms(self.problem, name, self.inside[0], basis, _normals(face, x), place)

    def _check_free_faces(self) -> None:
        """Require that the equation's flux vanishes identically on faces without a condition."""
        domain = self.problem.domain
        for face in ((axis, side) for axis in range(len(domain.names)) for side in (0, 1)):
            if face not in self.faces:
                terms = terms_of(self.problem, self.inside[0], self._nodes(face))
                if any(np.any(row[face[0]]) for row in terms.a):
                    raise InputError(
                        f"There is no condition on {_label(domain, face)}, where the equation has second derivatives "
                        "across it. Finite elements need one there; add it, or try `collocate(problem, degree)`."
                    )

    # geometry --------------------------------------------------------------------------------------------------------
    def _facets(self, face: tuple[int, int]) -> NDArray:
        value = self.problem.domain.ranges[face[0]][face[1]]
        lo, hi = self.problem.domain.ranges[face[0]]
        return self.basis.mesh.facets_satisfying(lambda x: np.abs(x[face[0]] - value) < 1e-9 * (hi - lo), True)

    def _dofs(self, face: tuple[int, int]) -> NDArray:
        return self.basis.get_dofs(self._facets(face)).all()

    def _nodes(self, face: tuple[int, int]) -> NDArray:
        return self.basis.doflocs[:, self._dofs(face)]


def _label(domain: Domain, face: tuple[int, int]) -> str:
    return f"the face {domain.names[face[0]]} = {domain.ranges[face[0]][face[1]]:g}"


def _normals(face: tuple[int, int], x: NDArray) -> NDArray:
    """Return the outward normals of a face at points x (dim, ...)."""
    normal = np.zeros_like(x)
    normal[face[0]] = 2.0 * face[1] - 1.0
    return normal
