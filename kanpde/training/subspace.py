r"""Eigenvalues of a rectangular pencil, (A + λ B) c ≈ 0, by inverse iteration with a subspace.

The columns of A and B are functions that nearly depend on each other, so that A and B have many small singular values.
Inverse iteration, $c_{new} = \arg\min_c |(A + \sigma B) c + B c_{old}|$, needs least squares only, in which they are
cut off. Of the subspace that results, which consists of smooth functions, the eigenvalues are those of the small matrix
$H = -b^T a$ with $b = B C$ orthonormal and $a = A C$: the Rayleigh-Ritz method, whose error is quadratic if the problem
is self-adjoint. (G. Stewart, Simultaneous iteration for computing invariant subspaces of non-Hermitian matrices, Numer.
Math. 25, 1976.)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

CUT = 1e-13  # relative size of singular values that count as zero
ITERATIONS, SETTLED = 200, 1e-13  # the largest relative change of eigenvalues in the last iteration
SYMMETRIC = 100.0  # H counts as symmetric if it is so up to this many times the largest residual
COMPLEX = 10.0  # an imaginary part larger than this many residuals is no rounding error


class Nearest(NamedTuple):
    """Eigenvalues, ascending, with their coefficients (columns, eigenvalues), |A c + λ B c| / |B c|, Im λ."""

    values: NDArray
    coefficients: NDArray
    residuals: NDArray
    imaginary: NDArray

    @property
    def is_complex(self) -> bool:
        """Whether an imaginary part is larger than rounding and the size of the space explain."""
        return bool((np.abs(self.imaginary) > COMPLEX * self.residuals).any())


class Shifted:
    """A pencil at a shift σ, by the singular values of A + σ B with columns of length 1.

    Args:
        a, b: A and B, (rows, columns).
        shift: σ, not an eigenvalue itself.
        exact: rows of A whose values must be 0 exactly: conditions that exclude an eigenfunction. Least squares would
            find a compromise.
    """

    def __init__(self, a: NDArray, b: NDArray, shift: float, exact: NDArray | None = None):
        self.free, self.shift = None, shift
        if exact is not None and len(exact):
            self.free = np.linalg.qr(exact.T, mode="complete")[0][:, len(exact) :]
            a, b = a @ self.free, b @ self.free
        rows = int((b != 0).any(axis=1).sum())
        self.sizes = np.linalg.norm(a + shift * b, axis=0)
        self.sizes[self.sizes == 0] = 1.0
        left, singular, right = scipy.linalg.svd((a + shift * b) / self.sizes, full_matrices=False)
        kept = singular > CUT * singular[0]
        self.left, self.singular, self.right = left[:, kept], singular[kept], right[kept]
        self.values_of = (b / self.sizes) @ self.right.T  # B in the coordinates y of the right singular vectors
        self.most = min(rows, len(self.singular))  # an upper bound of the number of eigenvalues
        self.step = -(self.left.T @ self.values_of) / self.singular[:, None]

    def nearest(self, count: int, near: float, extra: int, seed: int = 0) -> Nearest:
        """Return the ``count`` eigenvalues nearest to ``near``, or as many as there are.

        Args:
            count: of eigenvalues.
            near: the eigenvalues nearest to it are returned; it should be near the shift.
            extra: further dimensions of the subspace, at least one.
            seed: of the first subspace.
        """
        size = min(count + extra, self.most)
        count = min(count, size)
        y = np.random.default_rng(seed).standard_normal((len(self.singular), size))
        before = np.full(count, np.inf)
        for _ in range(ITERATIONS):
            y = _orthonormal(self.values_of, y)
            new = self.step @ y
            inverse = np.linalg.eigvals((self.values_of @ y).T @ (self.values_of @ new))
            found = np.sort(np.abs(inverse))[::-1][:count]
            y = new
            if np.abs(found - before).max() <= SETTLED * np.abs(found).max():
                break
            before = found
        y = _orthonormal(self.values_of, y)
        ritz = _ritz(*self._images(y), count, near)
        order = _order(ritz.values, near)[:count]
        order = order[np.argsort(ritz.values[order], kind="stable")]
        c = (self.right.T @ (y @ ritz.coefficients[:, order])) / self.sizes[:, None]
        c = c if self.free is None else self.free @ c
        return Nearest(ritz.values[order], c, ritz.residuals[order], ritz.imaginary[order])

    def spectrum(self) -> tuple[NDArray, NDArray]:
        """Return all eigenvalues of the inverse in the sense of least squares, with |A c + λ B c| / |B c|.

        Eigenvalues of the problem are those whose residual is small beside them; the others belong to no eigenfunction.
        """
        inverse, y = np.linalg.eig(self.step)
        values = self.shift + 1 / np.where(inverse == 0, np.finfo(float).tiny, inverse)
        of_a, of_b = self._images(y)
        with np.errstate(all="ignore"):
            return values, np.linalg.norm(of_a + of_b * values, axis=0) / np.linalg.norm(of_b, axis=0)

    def _images(self, y: NDArray) -> tuple[NDArray, NDArray]:
        """Return A c and B c."""
        of_b = self.values_of @ y
        return self.left @ (self.singular[:, None] * y) - self.shift * of_b, of_b


def _orthonormal(values_of: NDArray, y: NDArray) -> NDArray:
    """Return coordinates whose values B c are orthonormal."""
    triangle = np.asarray(np.linalg.qr(values_of @ y, mode="r"))
    return scipy.linalg.solve_triangular(triangle.T, y.T, lower=True).T


def _order(values: NDArray, near: float) -> NDArray:
    return np.argsort(np.abs(values - near), kind="stable")


def _ritz(of_a: NDArray, of_b: NDArray, count: int, near: float) -> Nearest:
    """Return all eigenvalues in a subspace with a basis whose values B c are orthonormal."""
    small = -(of_b.T @ of_a)
    general, vectors = np.linalg.eig(small)
    residuals = np.linalg.norm(of_a @ vectors + (of_b @ vectors) * general, axis=0)
    some = _order(np.real(general), near)[:count]
    basis = np.linalg.qr(np.concatenate([np.real(vectors[:, some]), np.imag(vectors[:, some])], axis=1))[0]
    if np.abs(basis.T @ (small - small.T) @ basis).max() <= SYMMETRIC * residuals[some].max():
        values, symmetric = np.linalg.eigh(0.5 * (small + small.T))
        residuals = np.linalg.norm(of_a @ symmetric + (of_b @ symmetric) * values, axis=0)
        return Nearest(values, symmetric, residuals, np.zeros_like(values))
    real = np.where(
        np.imag(general) < 0, np.imag(vectors), np.real(vectors)
    )  # of a pair both, which span the same space
    return Nearest(np.real(general), real / np.linalg.norm(real, axis=0), residuals, np.imag(general))


def groups_of(values: NDArray, bounds: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """Return the numbers of neighbouring values that are nearer to each other than their bounds."""
    groups: list[tuple[int, ...]] = []
    for k, value in enumerate(values):
        if groups and value - values[groups[-1][-1]] <= max(bounds[k], bounds[groups[-1][-1]]):
            groups[-1] = (*groups[-1], k)
        else:
            groups.append((k,))
    return tuple(groups)
