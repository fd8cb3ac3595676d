r"""Estimation of a run's error from its residuals.

With r the residuals of the approximation $u_h$, the error $e = u - u_h$ solves $r'(u_h)\, e = -r(u_h)$ up to $O(e^2)$,
the linearized conditions. They are solved by the least squares of `classical.collocation` with increasing degree until
|e| no longer changes. (Defect correction: R. D. Skeel, Thirteen ways to estimate global error, Numer. Math. 48, 1986;
estimators by auxiliary problems: M. Ainsworth, J. T. Oden, A Posteriori Error Estimation in Finite Element Analysis,
2000.) The effectivity index is the estimate divided by the true error; 1 is best.

The estimate costs more than solving the problem by collocation, and includes only the part of the error that its
polynomials resolve. For a run far from the solution (errors around 1) it gives only the order of magnitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from kanpde.classical.collocation import LeastSquares, least_squares
from kanpde.classical.linear import check_solvable
from kanpde.classical.spectral import Tensors
from kanpde.residuals.accuracy import distances, value_and_gradient
from kanpde.residuals.evaluation import asked_of

DEGREES = {1: (8, 16, 32, 64), 2: (8, 12, 16, 20, 24, 28), 3: (4, 6, 8)}
OVERSAMPLING = 2.0  # with fewer points, unresolved rough residuals are aliased to smooth errors
SETTLED = 0.1  # relative change of the estimate between two degrees


@dataclass(frozen=True)
class Estimate:
    """Estimated errors.

    Attributes:
        errors: by unknown, relative L2, H1 and max.
        degree: degree of the polynomials.
        settled: whether the last two degrees agree to a tenth; if not, the polynomials do not resolve the error.
    """

    errors: dict[str, dict[str, float]]
    degree: int
    settled: bool


def estimate_error(solution: Any) -> Estimate:
    """Estimate the errors of a `Solution`, or of any object with ``problem`` and ``components``, without ``exact``.

    Raises:
        InputError: the problem has unknown coefficients or too many coordinates.
    """
    problem, known = solution.problem, solution.components
    check_solvable(problem)
    x = problem.domain.test_points(torch.device("cpu"), torch.float64)
    before = None
    result = None
    for degree in DEGREES[len(problem.domain.names)]:
        system = LeastSquares(problem, Tensors(problem.domain, degree), OVERSAMPLING)
        parts = system.linearised(known)
        change = least_squares(*system.system(parts, system.weights(parts)))
        error = system.series(change.reshape(len(problem.unknowns), -1))

        def corrected(x, space, error=error):
            return [a + b for a, b in zip(known(x, space), error(x, space), strict=True)]

        now, better = (asked_of(problem, at, x, value_and_gradient) for at in (known, corrected))
        errors = {name: distances(*pair) for name, *pair in zip(problem.unknowns, now, better, strict=True)}
        sizes = np.array([errors[name]["l2"] for name in problem.unknowns])
        settled = before is not None and bool(np.all(np.abs(sizes - before) <= SETTLED * sizes))
        result, before = Estimate(errors, degree, settled), sizes
        if settled:
            break
    assert result is not None
    return result
