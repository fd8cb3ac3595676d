r"""The forms of a linear second-order residual on bases of scikit-fem, and the solution of their equations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.classical.terms import terms_of
from kanpde.errors import InputError
from kanpde.problem import Problem


def skfem_module() -> Any:
    """Return scikit-fem.

    Raises:
        InputError: it is not installed.
    """
    try:
        import skfem
    except ImportError:
        raise InputError("Finite elements need scikit-fem. Install it: pip install 'kanpde[fem]'.") from None
    return skfem


def volume_forms(problem: Problem, name: str, basis: Any) -> tuple[Any, NDArray]:
    """Return ∫ -a_ij ∂_i u ∂_j v + (b_i - ∂_j a_ij) ∂_i u v + c u v, and ∫ f v, for the equation ``name``."""
    skfem = skfem_module()
    t = terms_of(problem, name, np.asarray(basis.global_coordinates()), by_parts=True)
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

    matrix = skfem.BilinearForm(bilinear).assemble(basis)
    return matrix, skfem.LinearForm(lambda v, w: -t.value * v).assemble(basis)


def flux_forms(
    problem: Problem, name: str, equation: str, basis: Any, normal: NDArray, place: str
) -> tuple[Any, NDArray]:
    """Return the forms of ∫ q v on a boundary whose condition β·∇u + α u = g gives q = s (g - α u), where a n = s β.

    Args:
        problem: with the condition ``name`` and the ``equation``.
        basis: of the facets.
        normal: at the quadrature points of the basis, (dim, facets, points).
        place: of the facets, for messages.

    Raises:
        InputError: the condition gives another derivative.
    """
    skfem, x = skfem_module(), np.asarray(basis.global_coordinates())
    condition, inside = terms_of(problem, name, x, normal), terms_of(problem, equation, x)
    conormal = [sum(a * n for a, n in zip(row, normal, strict=True)) for row in inside.a]
    square = sum(b * b for b in condition.b)
    share = sum(b * q for b, q in zip(condition.b, conormal, strict=True)) / np.where(square > 0, square, 1.0)
    gap = max(float(np.abs(q - share * b).max()) for b, q in zip(condition.b, conormal, strict=True))
    if np.any(square == 0) or gap > 1e-9 * max(float(np.abs(q).max()) for q in conormal):
        raise InputError(
            f'Condition "{name}" on {place} gives another derivative than the flux of the equation, which finite '
            "elements need there. Use `collocate(problem, degree)`."
        )
    matrix = skfem.BilinearForm(lambda u, v, w: -share * condition.c * u * v).assemble(basis)
    return matrix, skfem.LinearForm(lambda v, w: share * condition.value * v).assemble(basis)


def solved(matrix: Any, right: NDArray, u: NDArray, fixed: NDArray) -> None:
    """Set the free values of u, so that all equations but those of the fixed values hold."""
    free = np.setdiff1d(np.arange(len(u)), fixed)
    rows = matrix.tocsr()[free]
    u[free] = _sparse_solve(rows[:, free].tocsc(), right[free] - rows[:, fixed] @ u[fixed])


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
