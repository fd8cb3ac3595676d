r"""Chebyshev collocation for any problem on a box of up to three coordinates, including time.

The unknowns are series $\sum c_{jk} T_j(x) T_k(y)$; every condition's linearized residual (`classical.linear`) gives
a row $\sum_\alpha s_\alpha(x)\, d^\alpha T_j T_k$ at Gauss points of its region. There are more rows than unknowns, and
the system is solved by least squares with QR: points on edges and corners need not be assigned to a single condition,
and systems, several initial conditions and over-determined data need no special treatment. Nonlinear problems are
solved by damped Gauss-Newton iteration, separable linear problems directly (`classical.separable`).
(J. P. Boyd 2001, ch. 3, 6; T. A. Driscoll, N. Hale, Rectangular spectral collocation, IMA J. Numer. Anal. 36, 2016.)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kanpde.classical.linear import Slopes, check_solvable, is_linear, linearised
from kanpde.classical.separable import solve_separable
from kanpde.classical.solution import ClassicalSolution
from kanpde.classical.spectral import Tensors
from kanpde.errors import InputError
from kanpde.problem import Problem
from kanpde.residuals.evaluation import Components
from kanpde.residuals.site import Site, site_of

METHOD = "Chebyshev collocation"
MOST_STEPS = 50
SMALL = 1e-12  # the iteration ends at a Newton step of this size relative to the coefficients


def collocate(problem: Problem, degree: int) -> ClassicalSolution:
    """Solve a problem with polynomials of the given degree along every coordinate.

    Args:
        problem: on a `Box` of one to three coordinates; linear or nonlinear, with one or several unknowns.
        degree: n, at least 2.

    Raises:
        InputError: the problem has unknown coefficients or too many coordinates, or Newton's iteration does not
            converge.
    """
    check_solvable(problem)
    if degree < 2:
        raise InputError(f"degree must be at least 2, got {degree}.", write={"degree": 16})
    began = perf_counter()
    tensors = Tensors(problem.domain, degree)
    linear = is_linear(problem)
    direct = solve_separable(problem, degree) if linear else None
    if direct is not None:
        coefficients, unknowns = direct
        note = "separable, solved by diagonalisation"
    else:
        coefficients, steps = _newton(LeastSquares(problem, tensors), linear)
        unknowns, note = coefficients.size, "least squares" if linear else f"least squares, {steps} Newton steps"
    seconds = perf_counter() - began
    return ClassicalSolution(
        problem, METHOD, degree, unknowns, seconds, lambda x, space: tensors.components(coefficients, x, space), note
    )


Part = tuple[Site, list[Tensor], list[Slopes]]  # a condition's points, residuals and their slopes


@dataclass
class LeastSquares:
    """The least-squares rows of all conditions for tensor products of a given degree.

    ``oversampling`` is the number of points along each coordinate divided by the number of functions.
    """

    problem: Problem
    tensors: Tensors
    oversampling: float = 1.0

    def __post_init__(self):
        # in the middle Gauss points are π/2 times as far apart as the equidistant points that periodic functions need
        least = pi / 2 if self.problem.domain.periodic else 1.0
        count = ceil(max(self.oversampling, least) * (self.tensors.degree + 1))
        self.sites: list[Site] = []
        for name, condition in self.problem.trained.items():
            region = condition.region
            free = len(region.names) - len(region.fixed[0])
            points = region.sample("gauss", region.pieces * count**free)
            self.sites.append(site_of(self.problem, name, points))
        self._known: dict[tuple[int, int, tuple[int, ...]], NDArray] = {}

    def _table(self, site: int, image: int, key: tuple[int, ...]) -> NDArray:
        if (site, image, key) not in self._known:
            x = self.sites[site].contexts[image].x.numpy()
            self._known[site, image, key] = self.tensors.matrix(x, key)
        return self._known[site, image, key]

    def linearised(self, components: Components) -> list[Part]:
        """Return for every condition its residuals and slopes at a function."""
        result = []
        for site in self.sites:
            rows = [components(c.x, site.space) for c in site.contexts]
            result.append((site, *linearised(site, rows)))
        return result

    def series(self, coefficients: NDArray) -> Components:
        """Return the function with coefficients (unknowns, size)."""
        return lambda x, space: self.tensors.components(coefficients, x, space)

    def weights(self, parts: list[Part]) -> list[NDArray]:
        r"""Return the weight of each residual's rows.

        A polynomial's derivative of order m is about $n^m$ times as large as the polynomial, so a condition of order m
        is divided by $n^m$ and by its largest slope. Boundary values then count as much as derivatives inside.
        """
        n, result = self.tensors.degree, []
        for site, _, slopes in parts:
            for found in slopes:
                top = max((n ** len(key) * float(s.abs().max()) for (_, _, key), s in found.items()), default=1.0)
                result.append((site.points.weight / site.points.weight.max()).sqrt().numpy() / (top or 1.0))
        return result

    def system(self, parts: list[Part], weights: list[NDArray]) -> tuple[NDArray, NDArray]:
        """Return A and b of the step, which minimizes |A δ - b|."""
        size = self.tensors.size
        blocks, right = [], []
        scale = iter(weights)
        for index, (_, values, slopes) in enumerate(parts):
            for value, found in zip(values, slopes, strict=True):
                weight = next(scale)
                block = np.zeros((len(value), size * len(self.problem.unknowns)))
                for (image, unknown, key), slope in found.items():
                    column = block[:, size * unknown : size * (unknown + 1)]
                    column += (weight * slope.numpy())[:, None] * self._table(index, image, key)
                blocks.append(block)
                right.append(-weight * value.numpy())
        return np.concatenate(blocks), np.concatenate(right)

    def norm(self, parts: list[Part], weights: list[NDArray]) -> float:
        """Return the weighted norm |r|; inf if it is NaN."""
        values = [v.numpy() for _, found, _ in parts for v in found]
        total = float(np.sqrt(sum(np.sum((w * v) ** 2) for w, v in zip(weights, values, strict=True))))
        return total if np.isfinite(total) else np.inf


def least_squares(matrix: NDArray, right: NDArray) -> NDArray:
    """Minimize |A x - b| by QR; if A is rank-deficient (a pressure without its constant), return the shortest x."""
    from scipy.linalg import lstsq, qr_multiply, solve_triangular

    factors: Any = qr_multiply(matrix, right, mode="right")
    rotated, r = factors
    diagonal = np.abs(np.diag(r))
    if diagonal.min() > 1e-14 * diagonal.max():
        return solve_triangular(r, rotated)
    return np.asarray(lstsq(matrix, right, lapack_driver="gelsy", cond=1e-14)[0])  # pyright: ignore


def _newton(system: LeastSquares, linear: bool) -> tuple[NDArray, int]:
    """Return coefficients (unknowns, size) and the number of steps."""
    coefficients, parts = _start(system)
    for step in range(1, MOST_STEPS + 1):
        weights = system.weights(parts)
        before = system.norm(parts, weights)
        change = least_squares(*system.system(parts, weights)).reshape(coefficients.shape)
        if linear:
            return coefficients + change, 1
        damping, after = 2.0, np.inf
        while not after < before and damping > 1e-3:
            damping /= 2
            parts = system.linearised(system.series(coefficients + damping * change))
            after = system.norm(parts, weights)
        if after < before:
            coefficients = coefficients + damping * change
        small = np.abs(change).max() <= SMALL * np.abs(coefficients).max()
        if small or not after < before * (1 - 1e-6):
            return coefficients, step
    raise InputError(
        f"Newton's iteration did not converge within {MOST_STEPS} steps from u = 0. The degree may be too low, or the "
        "problem may have no solution near 0."
    )


def _start(system: LeastSquares) -> tuple[NDArray, list[Part]]:
    """Return the coefficients of u = 0, or of u = 1 if the residuals are undefined at zero."""
    for start in (0.0, 1.0):
        coefficients = np.zeros((len(system.problem.unknowns), system.tensors.size))
        coefficients[:, 0] = start
        parts = system.linearised(system.series(coefficients))
        met = [t for _, values, slopes in parts for t in [*values, *(s for found in slopes for s in found.values())]]
        if all(bool(t.isfinite().all()) for t in met):
            return coefficients, parts
    raise InputError(
        "The residuals are finite neither for u = 0 nor for u = 1, where Newton's iteration starts. A division or a "
        "logarithm of the unknown is probably the cause."
    )
