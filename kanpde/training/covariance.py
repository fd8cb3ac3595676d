r"""The covariance of coefficients that are determined from measured values beside equations.

Training minimizes $|r|^2$; its entries $r_i$ of the measured values have errors $e_i$ with the variance $v_i$, those of
the equations have none. To first order the minimizer moves by $-J^+ e$ with J the Jacobian by network weights and
coefficients, so that with $P$ the rows of $J^+$ of the coefficients and its columns i of measured values

$$\mathrm{Cov}\, c = \sum_i v_i P_i P_i^T .$$

If the equations have a large weight, this is the covariance of nonlinear regression with the solution of the equation
as the model function (G. Seber, C. Wild, Nonlinear Regression, 1989, section 2.1), and it is that of the estimate at
any weight. With $H = J J^+$ the residuals of the measured values after training are $(1 - H) e$, from which the
expected value and the variance of their sum of squares follow, and $v$ if standard errors are not given.

Without measured values the residuals of the equations take their place (`of_residuals`). These are
deterministic and not independent: the standard error then says how sharply the conditions determine a coefficient at
the present size of the residuals, and no probability belongs to it.

J is not stored: of each group of rows of [J, r] only the triangular factor.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

CUT = 1e-13  # relative size of singular values that count as zero
LOOSE = 1e-7  # a combination of coefficients is not determined if it changes the residuals by less than this
IN_CUT = 1e-3  # or if it has this share in a direction without effect


@dataclass(frozen=True)
class Group:
    """Rows of measured values: the triangle of their [J, r], their number, and the variance of their errors.

    The variance is that of the entries of r, with their weights; NaN if it is not known.
    """

    triangle: NDArray[np.float64]
    rows: int
    variance: float = nan


@dataclass(frozen=True)
class Found:
    """What the linearized residuals say about the coefficients.

    Attributes:
        covariance: of the coefficients, (count, count).
        step: the Gauss-Newton step of the coefficients, which training has left undone.
        freedom: the degrees of freedom of the residuals of all groups.
        chi_square: the sum of the squares of the residuals in standard errors, of the groups where these are known;
            NaN without any; then its expected value and its variance.
        loose: None, or a combination of the coefficients that has no effect; then nothing else is known.
    """

    covariance: NDArray[np.float64]
    step: NDArray[np.float64]
    freedom: float = nan
    chi_square: float = nan
    expected: float = nan
    variance: float = nan
    loose: NDArray[np.float64] | None = None

    @property
    def probability(self) -> float:
        """The probability of a chi-square at least as far from its expected value, on both sides."""
        scale = self.variance / (2 * self.expected)
        from scipy.stats import chi2  # here, because it takes a second to import

        law = chi2(self.expected / scale)  # with these two moments
        below = float(law.cdf(self.chi_square / scale))
        return 2 * min(below, 1 - below)


def triangle_of(blocks: Iterable[NDArray[np.float64]], columns: int) -> NDArray[np.float64]:
    """Return the triangular factor R of a matrix whose rows come in blocks, (at most columns, columns)."""
    upper = np.zeros((0, columns))
    for block in blocks:
        upper = np.asarray(np.linalg.qr(np.concatenate([upper, block]), mode="r"))
    return upper


def covariance(rest: NDArray[np.float64], data: Sequence[Group], count: int) -> Found | None:
    """Return what is known of the last ``count`` parameters.

    Args:
        rest: the triangle of [J, r] of the residuals without errors.
        data: the measured values.
        count: number of coefficients, the last columns of J.

    Returns:
        None if a number is not finite.
    """
    whole = triangle_of([rest, *(group.triangle for group in data)], rest.shape[1])
    if not np.isfinite(whole).all():
        return None
    sizes = np.linalg.norm(whole[:, :-1], axis=0)
    sizes = np.where(sizes > 0, sizes, 1.0)
    u, s, v = np.linalg.svd(whole[:, :-1] / sizes, full_matrices=False)
    kept = s > CUT * s[0]
    own = v[:, -count:].T  # (coefficients, directions)
    inverse = own[:, kept] / s[kept]
    loose = _loose(own[:, ~kept], inverse, sizes[-count:])
    if loose is not None:
        return Found(np.full((count, count), np.inf), np.zeros(count), loose=loose)
    step = -inverse @ (u[:, kept].T @ whole[:, -1]) / sizes[-count:]
    parts = [group.triangle[:, :-1] / sizes @ v[kept].T / s[kept] for group in data]  # J V / s
    squares = [float(np.sum(group.triangle[:, -1] ** 2)) for group in data]
    shares = [np.linalg.svd(part, compute_uv=False) ** 2 for part in parts]  # the eigenvalues of H that are not 0
    freedom = [group.rows + float(np.sum(-2 * h + h**2)) for group, h in zip(data, shares, strict=True)]
    variances = [
        square / max(free, 1.0) if isnan(group.variance) else group.variance
        for group, square, free in zip(data, squares, freedom, strict=True)
    ]
    middle = sum(variance * part.T @ part for variance, part in zip(variances, parts, strict=True))
    found = inverse @ middle @ inverse.T / np.outer(sizes[-count:], sizes[-count:])
    known = [i for i, group in enumerate(data) if not isnan(group.variance)]
    return Found(
        covariance=found,
        step=step,
        freedom=sum(freedom),
        chi_square=sum(squares[i] / variances[i] for i in known) if known else nan,
        expected=sum(freedom[i] for i in known),
        variance=sum(2 * (data[i].rows + float(np.sum((1 - shares[i]) ** 4 - 1))) for i in known),
    )


def of_residuals(triangle: NDArray[np.float64], rows: int, count: int) -> Found | None:
    r"""Return what the size of all residuals says about the last ``count`` parameters.

    With E the part of their columns of J that the other columns do not explain, and $r_0$ the residuals after the
    Gauss-Newton step of these parameters,

    $$\mathrm{Cov}\, c = \frac{|r_0|^2}{m - p}\, (E^T E)^{-1},$$

    as in nonlinear regression (G. Seber, C. Wild, Nonlinear Regression, 1989, section 2.1).

    Args:
        triangle: of [J, r].
        rows: m, their number.
        count: number of coefficients, the last columns of J.

    Returns:
        None if a number is not finite, or the rows are not more than the p columns of J.
    """
    freedom = rows - (triangle.shape[1] - 1)
    unit = covariance(np.zeros((0, triangle.shape[1])), [Group(triangle, rows, 1.0)], count)
    if freedom < 1 or unit is None:
        return None
    if unit.loose is not None:
        return unit
    left = float(np.sum(triangle[:, -1] ** 2) - unit.step @ np.linalg.solve(unit.covariance, unit.step))
    return Found(unit.covariance * max(left, 0.0) / freedom, unit.step, freedom)


def _loose(
    without: NDArray[np.float64], inverse: NDArray[np.float64], sizes: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return a combination of the coefficients that changes no residual if the network adapts; None if there is none.

    Args:
        without: the coefficients' entries of directions without effect.
        inverse: their entries of the others, over the singular values.
        sizes: of their columns.
    """
    if without.size and (lengths := np.linalg.norm(without, axis=0)).max() > IN_CUT:
        return without[:, int(lengths.argmax())] / sizes
    values, vectors = np.linalg.eigh(inverse @ inverse.T)
    return vectors[:, -1] / sizes if values[-1] > LOOSE**-2 else None
