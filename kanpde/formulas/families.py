r"""Families of functions of one variable, $y(s) = \sum_k c_k \varphi_k(s; p)$, linear in c and nonlinear in few p.

Constants that another one can replace are left out: $e^{ps + q} = e^q e^{ps}$, and $\sin(ps + q)$ is a sum of a sine
and a cosine. So every family has at most two nonlinear constants, which a scan and a least squares find
(`kanpde.formulas.univariate`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

Constants = tuple[float, ...]
Columns = Callable[[NDArray, Constants], list[NDArray]]
Terms = Callable[[sympy.Symbol, Sequence[sympy.Expr]], list[sympy.Expr]]


@dataclass(frozen=True)
class Family:
    """A family of functions.

    Attributes:
        name: by which users forbid it.
        cost: complexity, at least 1.
        columns: the functions $\\varphi_k$ besides the constant 1 at points s; NaN where they are not defined.
        terms: the same as sympy expressions.
        scan: values of p at which the search begins, for s in the interval (a, b).
        discrete: number of leading entries of p that keep their values from the scan, such as signs.
    """

    name: str
    cost: int
    columns: Columns
    terms: Terms
    scan: Callable[[float, float], list[Constants]] = lambda a, b: [()]
    discrete: int = 0


@dataclass(frozen=True)
class Function:
    """A function of one variable that users add: $c\\, f(ps + q) + d$.

    Attributes:
        name: of the function in formulas.
        numeric: on numpy arrays; NaN where it is not defined.
        symbolic: a sympy function, such as ``sympy.erf``.
        cost: complexity, at least 1.
    """

    name: str
    numeric: Callable[[NDArray], NDArray]
    symbolic: Callable[[sympy.Expr], sympy.Expr]
    cost: int = 3

    def family(self) -> Family:
        return shifted(self.name, self.cost, self.numeric, self.symbolic)


def rates(a: float, b: float, most: float, signed: bool = True) -> list[float]:
    """Return factors p for which p s changes by 0.2 to ``most`` over (a, b)."""
    found = np.geomspace(0.2, most, 36) / (b - a)
    return [*found, *-found] if signed else list(found)


def shifted(
    name: str,
    cost: int,
    f: Callable[[NDArray], NDArray],
    symbolic: Callable[[sympy.Expr], sympy.Expr],
    signed: bool = False,
) -> Family:
    """Return the family $c_0 + c_1 f(ps + q)$ of a function with its features between -3 and 3."""

    def scan(a: float, b: float) -> list[Constants]:
        centres = np.linspace(a - 0.3 * (b - a), b + 0.3 * (b - a), 25)
        signs = (1.0, -1.0) if signed else (1.0,)
        widths = np.geomspace(0.3, 40.0, 18) / (b - a)
        return [(sign * p, -sign * p * m) for sign, p, m in product(signs, widths, centres)]

    return Family(name, cost, lambda s, p: [f(p[0] * s + p[1])], lambda s, p: [symbolic(p[0] * s + p[1])], scan)


def power(exponent: sympy.Rational, cost: int) -> Family:
    """Return the family $c_0 + c_1 (s + q)^r$, for s + q > 0, or for s + q < 0 with (-s - q)^r.

    The root of s + q lies outside the interval unless r is a positive integer, or at its end if r > 0.
    """
    r = float(exponent)

    def columns(s: NDArray, p: Constants) -> list[NDArray]:
        inside = p[0] * (s + p[1])
        ok = (inside > 0) | ((inside >= 0) & (r > 0))
        return [np.where(ok, np.abs(np.where(ok, inside, 1.0)) ** r, np.nan)]

    return Family(f"power {exponent}", cost, columns, lambda s, p: [_signed(s, p) ** exponent], _outside, 1)


def polynomial(degree: int) -> Family:
    """Return the polynomials of a degree."""
    return Family(
        f"polynomial {degree}",
        degree,
        lambda s, p: [s**k for k in range(1, degree + 1)],
        lambda s, p: [s**k for k in range(1, degree + 1)],
    )


def _waves(a: float, b: float) -> list[Constants]:
    return [(w,) for w in np.linspace(0.15, 30.0, 160) * np.pi / (b - a)]


def _rates(a: float, b: float) -> list[Constants]:
    return [(p,) for p in rates(a, b, 30.0)]


def _outside(a: float, b: float) -> list[Constants]:
    """Return (sign, q) for which sign (s + q) is positive in the interval; its root may lie at an end."""
    gaps = [0.0, *np.geomspace(1e-3, 30.0, 24) * (b - a)]
    found = [(1.0, -a + gap) for gap in gaps] + [(-1.0, -b - gap) for gap in gaps]
    return found + ([(1.0, 0.0)] if a > 0 else [(-1.0, 0.0)] if b < 0 else [])


def _logarithm(s: NDArray, p: Constants) -> list[NDArray]:
    inside = p[0] * (s + p[1])
    return [np.where(inside > 0, np.log(np.where(inside > 0, inside, 1.0)), np.nan)]


def _signed(s: sympy.Symbol, p: Sequence[sympy.Expr]) -> sympy.Expr:
    return (1 if float(p[0]) > 0 else -1) * (s + p[1])


def _arcsine(x: NDArray) -> NDArray:
    ok = np.abs(x) <= 1
    return np.where(ok, np.arcsin(np.where(ok, x, 0.0)), np.nan)


def _sech(x: NDArray) -> NDArray:
    return 1 / np.cosh(np.clip(x, -300, 300))


def _gauss(x: NDArray) -> NDArray:
    return np.exp(-np.minimum(x * x, 700.0))


def _sine_and_cosine(s: NDArray, p: Constants) -> list[NDArray]:
    return [np.sin(p[0] * s), np.cos(p[0] * s)]


def _exponential(s: NDArray, p: Constants) -> list[NDArray]:
    return [np.exp(np.minimum(p[0] * s, 700.0))]


HALF: Any = sympy.Rational(1, 2)
THIRD: Any = sympy.Rational(1, 3)

FAMILIES: tuple[Family, ...] = (
    *(polynomial(n) for n in range(1, 5)),
    power(sympy.Integer(-1), 2),
    power(HALF, 2),
    power(-HALF, 3),
    power(sympy.Integer(-2), 3),
    power(3 * HALF, 3),
    power(THIRD, 3),
    Family("exp", 2, _exponential, lambda s, p: [sympy.exp(p[0] * s)], _rates),
    Family("log", 2, _logarithm, lambda s, p: [sympy.log(_signed(s, p))], _outside, 1),
    Family("sin", 2, _sine_and_cosine, lambda s, p: [sympy.sin(p[0] * s), sympy.cos(p[0] * s)], _waves),
    Family(
        "cosh",
        3,
        lambda s, p: [np.cosh(np.clip(p[0] * s, -700, 700)), np.sinh(np.clip(p[0] * s, -700, 700))],
        lambda s, p: [sympy.cosh(p[0] * s), sympy.sinh(p[0] * s)],
        lambda a, b: [(p,) for p in rates(a, b, 30.0, signed=False)],
    ),
    shifted("tanh", 3, np.tanh, sympy.tanh),
    shifted("atan", 3, np.arctan, sympy.atan),
    shifted("gauss", 3, _gauss, lambda x: sympy.exp(-(x**2))),
    shifted("sech", 3, _sech, lambda x: 1 / sympy.cosh(x)),
    shifted("sech2", 3, lambda x: _sech(x) ** 2, lambda x: sympy.cosh(x) ** -2),
    shifted("asin", 4, _arcsine, sympy.asin),
    Family(
        "s exp",
        4,
        lambda s, p: [np.exp(np.minimum(p[0] * s, 700.0)), s * np.exp(np.minimum(p[0] * s, 700.0))],
        lambda s, p: [sympy.exp(p[0] * s), s * sympy.exp(p[0] * s)],
        _rates,
    ),
    Family(
        "s + sin",
        4,
        lambda s, p: [s, *_sine_and_cosine(s, p)],
        lambda s, p: [s, sympy.sin(p[0] * s), sympy.cos(p[0] * s)],
        _waves,
    ),
    Family(
        "exp sin",
        5,
        lambda s, p: [np.exp(np.clip(p[1] * s, -700, 700)) * each for each in _sine_and_cosine(s, p)],
        lambda s, p: [sympy.exp(p[1] * s) * sympy.sin(p[0] * s), sympy.exp(p[1] * s) * sympy.cos(p[0] * s)],
        lambda a, b: [(w, p) for w in np.linspace(0.5, 12.0, 24) * np.pi / (b - a) for p in rates(a, b, 10.0)[::6]],
    ),
)
