# pyright: reportReturnType=false
# the types that sympy declares are too wide
r"""Functions of one variable recognised from their values on an interval.

The candidates are $F(c \cdot \varphi(h(s); p))$ with a family φ (`kanpde.formulas.families`), an inner map h and an
outer map F (`kanpde.formulas.maps`). The nonlinear constants p are found by variable projection (G. Golub, V. Pereyra,
The differentiation of pseudo-inverses and nonlinear least squares problems whose variables separate, 1973): a scan,
then least squares of the residual in which the linear constants c are optimal. The error is relative to the size of
the function and has no additive constants, so that it does not depend on units.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import sympy
from numpy.typing import NDArray

from kanpde.formulas.families import Constants, Family
from kanpde.formulas.maps import Inner, Outer
from kanpde.formulas.vocabulary import Vocabulary

S = sympy.Dummy("s", real=True)  # no coordinate is the same
POINTS = 64
WITHIN = 6.0  # a candidate is accepted if its error is at most this times the noise
ROUNDING = 1e-13  # relative
CANCELS = 1e4  # terms may be larger than the function by this factor
BEGINNINGS = 4  # local minima of the scan from which the least squares begin,
PROMISING = 0.4  # if the residual there is below this share of the function's deviation
STEPS, SLOW = 40, 1e-3  # of the iteration, which ends if the residual falls by a smaller share
DAMPINGS = (0.0, 1e-2, 0.3)
SURE = 1e-6  # with less relative noise the simplest agreement is no coincidence, and the search ends with it


@dataclass(frozen=True)
class Reading:
    """A candidate for a function of the symbol `S`.

    ``error`` is the root mean square of the difference, ``cost`` the complexity.
    """

    expression: sympy.Expr
    cost: int
    error: float


def chebyshev(a: float, b: float, n: int = POINTS) -> NDArray:
    """Return n Chebyshev points of (a, b), in increasing order."""
    return 0.5 * (a + b) - 0.5 * (b - a) * np.cos(np.pi * (np.arange(n) + 0.5) / n)


def recognised(
    s: NDArray, y: NDArray, noise: float, vocabulary: Vocabulary, most_cost: int = 9, most: int = 3
) -> list[Reading]:
    """Return the simplest functions that agree with values up to their noise, with increasing complexity.

    The search ends one step of complexity after the first agreement.

    Args:
        s: points (n,).
        y: values there (n,).
        noise: root mean square of the values' errors.
        vocabulary: the functions that may occur.
        most_cost: largest complexity.
        most: number of candidates.
    """
    scale = float(np.sqrt(np.mean(y**2)))
    accepted = max(WITHIN * noise, ROUNDING * scale)
    if float(np.ptp(y)) <= 2 * accepted:
        return [Reading(sympy.Float(float(y.mean())), 0, float(y.std()))]
    found: list[Reading] = []
    for cost, outer, family, inner in ordered(vocabulary):
        if vocabulary.is_late or cost > most_cost or (found and cost > found[0].cost + (noise > SURE * scale)):
            break
        t, w = inner.apply(s), outer.invert(y, s)
        if not (np.isfinite(t).all() and np.isfinite(w).all()):
            continue
        for inside in fitted(family, t, w, accepted, s, y, outer):
            whole = outer.symbolic(inside.subs(S, inner.symbolic(S)), S)
            error = float(np.sqrt(np.mean((values(whole, s) - y) ** 2)))
            if error <= accepted and not any(sympy.Eq(whole, other.expression) == True for other in found):  # noqa: E712
                found.append(Reading(whole, cost, error))
    return sorted(found, key=lambda each: (each.cost, each.error))[:most]


def ordered(vocabulary: Vocabulary) -> Iterable[tuple[int, Outer, Family, Inner]]:
    """Return all combinations of outer map, family and inner map by complexity."""
    combined = [
        (outer.cost + family.cost + inner.cost, outer, family, inner)
        for outer in vocabulary.outer
        for family in vocabulary.families
        for inner in vocabulary.inner
        if not (outer.cost and inner.cost and family.cost > 2)
    ]
    return sorted(combined, key=lambda each: each[0])


def values(expression: sympy.Expr, s: NDArray) -> NDArray:
    """Return an expression of `S` at points; NaN where it is not real."""
    with np.errstate(all="ignore"):
        found = sympy.lambdify(S, expression, ["scipy", "numpy"])(s)
    return np.broadcast_to(np.asarray(found, dtype=np.float64), s.shape)


def fitted(
    family: Family, t: NDArray, w: NDArray, accepted: float, s: NDArray, y: NDArray, outer: Outer
) -> Iterable[sympy.Expr]:
    """Yield the best member of a family for values w at t, if it is accurate enough after the outer map.

    Args:
        family: of functions.
        t, w: inner variable and inverse of the outer map, (n,).
        accepted: error of the values y that is accepted.
        s, y, outer: the variable, the values, and the map with y = outer(w, s).
    """
    order = np.argsort(t)
    t, w, s, y = t[order], w[order], s[order], y[order]
    beginnings = family.scan(float(t[0]), float(t[-1]))
    sizes = size(left_over(family, t, w, np.array(beginnings).reshape(len(beginnings), -1)))
    for k in minima(sizes):
        p = beginnings[k]
        if len(p) > family.discrete:
            p = improved(family, t, w, p)
        with np.errstate(all="ignore"):
            _, c, columns = projected(family, t, w, p)
            if c is None or not np.isfinite(c).all():
                continue
            error = np.sqrt(np.mean((outer.numeric(columns @ c, s) - y) ** 2))
        if error <= accepted and np.abs(columns * c).max() <= CANCELS * np.abs(w).max():
            terms = [sympy.Integer(1), *family.terms(S, [sympy.Float(float(each)) for each in p])]
            inside = sum(sympy.Float(float(a)) * term for a, term in zip(c, terms, strict=True))
            yield inside
            return


def left_over(family: Family, t: NDArray, w: NDArray, p: NDArray) -> NDArray:
    """Return the residuals (k, n) with optimal linear constants, for k sets of constants p (k, m); inf where undefined.

    They are relative to the deviation of w.
    """
    shape = len(p), len(t)
    with np.errstate(all="ignore"):
        columns = np.stack(
            [np.broadcast_to(each, shape) for each in (np.ones(1), *family.columns(t, tuple(p.T[:, :, None])))], axis=2
        )
        columns = columns / np.linalg.norm(columns, axis=1, keepdims=True)
    is_finite = np.isfinite(columns).all(axis=(1, 2))
    found = np.full(shape, np.inf)
    q, _ = np.linalg.qr(columns[is_finite])
    found[is_finite] = (w - np.einsum("knj,kj->kn", q, np.einsum("knj,n->kj", q, w))) / w.std()
    return found


def size(residuals: NDArray) -> NDArray:
    """Return the root mean square over the last axis."""
    return np.sqrt(np.mean(residuals**2, axis=-1))


def minima(sizes: NDArray) -> list[int]:
    """Return the positions of the smallest local minima of a scan that are small enough to begin from."""
    padded = np.concatenate([[np.inf], sizes, [np.inf]])
    local = np.flatnonzero((sizes < PROMISING) & (sizes <= padded[:-2]) & (sizes <= padded[2:]))
    return list(local[np.argsort(sizes[local], kind="stable")][:BEGINNINGS])


def projected(family: Family, t: NDArray, w: NDArray, p: Constants) -> tuple[float, NDArray | None, NDArray]:
    """Return the relative residual with optimal linear constants, these constants, and the columns (n, k)."""
    columns = np.stack([np.ones_like(t), *family.columns(t, p)], axis=1)
    size = np.sqrt((columns**2).sum(axis=0))
    if not np.isfinite(columns).all() or not size.all():
        return np.inf, None, columns
    q, r = np.linalg.qr(columns / size)
    if np.abs(np.diag(r)).min() < 1e-10:
        return np.inf, None, columns
    inside = q.T @ w
    residual = w - q @ inside
    return float(np.sqrt(np.mean(residual**2) / np.mean(w**2))), np.linalg.solve(r, inside) / size, columns


def improved(family: Family, t: NDArray, w: NDArray, p: Constants) -> Constants:
    """Return the constants after a Gauss-Newton iteration for the nonlinear ones.

    It ends where the residual stops falling: soon in a family that does not contain the function.
    """
    free = np.arange(family.discrete, len(p))
    best = np.array(p)
    here = left_over(family, t, w, best[None])[0]
    for _ in range(STEPS):
        h = 1e-6 * np.maximum(np.abs(best[free]), 1e-3 / np.ptp(t))
        shifts = np.zeros((2 * len(free), len(p)))
        shifts[np.arange(len(free)), free], shifts[len(free) + np.arange(len(free)), free] = h, -h
        around = left_over(family, t, w, best + shifts)
        if not np.isfinite(around).all():
            break
        j = ((around[: len(free)] - around[len(free) :]) / (2 * h[:, None])).T
        lengths = np.maximum(np.linalg.norm(j, axis=0), 1e-300)
        trials = np.repeat(best[None], len(DAMPINGS), axis=0)
        for k, damping in enumerate(DAMPINGS):
            stacked = np.concatenate([j / lengths, damping * np.eye(len(free))])
            step = np.linalg.lstsq(stacked, np.concatenate([-here, np.zeros(len(free))]), rcond=None)[0] / lengths
            trials[k, free] += step
        residuals = left_over(family, t, w, trials)
        k = int(np.argmin(size(residuals)))
        if not size(residuals[k]) < size(here):
            break
        is_slow = size(residuals[k]) > (1 - SLOW) * size(here)
        best, here = trials[k], residuals[k]
        if is_slow:
            break
    return tuple(best.tolist())
