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

from kanpde.classical.interpolation import Interpolation
from kanpde.classical.linear import check_solvable, is_linear
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
            every face that needs one.
        order: degree of the polynomials, 2 or 4 (in three coordinates only 2).
        cells: number along every coordinate; each cell is divided into two triangles or six tetrahedra.

    Raises:
        InputError: the problem is of a different kind, or scikit-fem is not installed.
    """
    skfem = _skfem()
    problem = replace(problem, ansatz=None)  # its conditions are imposed like the others
    check_elements(problem, order)
    began = perf_counter()
    if not is_linear(problem):
        raise InputError(
            "Finite elements here solve linear problems, and the residuals are not linear in the unknown. "
            "Use `collocate(problem, degree)`, which takes Newton steps."
        )
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


def _skfem() -> Any:
    try:
        import skfem
    except ImportError:
        raise InputError("Finite elements need scikit-fem. Install it: pip install 'kanpde[fem]'.") from None
    return skfem


def check_elements(problem: Problem, order: int) -> None:
    """Refuse problems that are recognizably unsuitable without evaluating their residuals."""
    check_solvable(problem)
    dim = len(problem.domain.names)
    reason = None
    if order not in ORDERS:
        reason = f"elements of order {order}; orders are {', '.join(map(str, ORDERS))}"
    elif dim == 3 and order == 4:
        reason = "P4 in three coordinates: scikit-fem has no tetrahedra of that order. Take order=2"
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
        matrix, right = self._volume()
        u = np.zeros(self.basis.N)
        fixed = []
        for face, name in self.faces.items():
            terms = terms_of(self.problem, name, self._nodes(face), face)
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
        free = np.setdiff1d(np.arange(self.basis.N), self.fixed)
        matrix = matrix.tocsr()[free]
        inner = matrix[:, free].tocsc()
        u[free] = _sparse_solve(inner, right[free] - matrix[:, self.fixed] @ u[self.fixed])
        return u

    # forms -----------------------------------------------------------------------------------------------------------
    def _volume(self) -> tuple[Any, NDArray]:
        """Return ∫ -a_ij ∂_i u ∂_j v + (b_i - ∂_j a_ij) ∂_i u v + c u v, and ∫ f v."""
        skfem = _skfem()
        t = terms_of(self.problem, self.inside[0], np.asarray(self.basis.global_coordinates()), by_parts=True)
        dim = len(t.b)

        def bilinear(u, v, w):
            total = 0.0
            for i in range(dim):
                for j in range(dim):
                    if t.a[i][j].any():
                        total = total - t.a[i][j] * u.grad[i] * v.grad[j]
                if t.b[i].any():
                    total = total + t.b[i] * u.grad[i] * v
            return total + t.c * u * v if t.c.any() else total

        matrix = skfem.BilinearForm(bilinear).assemble(self.basis)
        return matrix, skfem.LinearForm(lambda v, w: -t.value * v).assemble(self.basis)

    def _flux(self, face: tuple[int, int], name: str) -> tuple[Any, NDArray]:
        """Return ∫ q v on a face whose condition β·∇u + α u = g gives q = s (g - α u), where a n = s β."""
        skfem = _skfem()
        basis = skfem.FacetBasis(self.basis.mesh, self.basis.elem, facets=self._facets(face))
        x = np.asarray(basis.global_coordinates())
        condition, inside = terms_of(self.problem, name, x, face), terms_of(self.problem, self.inside[0], x)
        conormal = [(2.0 * face[1] - 1.0) * row[face[0]] for row in inside.a]
        square = sum(b * b for b in condition.b)
        share = sum(b * q for b, q in zip(condition.b, conormal, strict=True)) / np.where(square > 0, square, 1.0)
        gap = max(float(np.abs(q - share * b).max()) for b, q in zip(condition.b, conormal, strict=True))
        if np.any(square == 0) or gap > 1e-9 * max(float(np.abs(q).max()) for q in conormal):
            raise InputError(
                f'Condition "{name}" on {_label(self.problem.domain, face)} gives another derivative than the flux of '
                "the equation, which finite elements need there. Use `collocate(problem, degree)`."
            )
        matrix = skfem.BilinearForm(lambda u, v, w: -share * condition.c * u * v).assemble(basis)
        return matrix, skfem.LinearForm(lambda v, w: share * condition.value * v).assemble(basis)

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


def _sparse_solve(matrix: Any, right: NDArray) -> NDArray:
    """Solve by LU with an ordering for symmetric patterns and few row exchanges, 2 to 5 times as fast as plain LU.

    If that fails, plain LU is used.
    """
    from scipy.sparse.linalg import splu

    try:
        found = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.1, options={"SymmetricMode": True}).solve(
            right
        )
        if np.linalg.norm(matrix @ found - right) <= 1e-9 * np.linalg.norm(right):
            return found
        return splu(matrix).solve(right)
    except RuntimeError as error:
        raise InputError(
            f"The finite element equations have no unique solution ({error}). Probably no condition gives values of u; "
            "add one, such as dirichlet(...)."
        ) from None


def _label(domain: Domain, face: tuple[int, int]) -> str:
    return f"the face {domain.names[face[0]]} = {domain.ranges[face[0]][face[1]]:g}"
