"""Maps around and inside of the families: y = F(w), and t = h(s), with their inverses where they have one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy
from numpy.typing import NDArray

Numeric = Callable[[NDArray], NDArray]
Symbolic = Callable[[sympy.Expr], sympy.Expr]


@dataclass(frozen=True)
class Inner:
    """A map t = h(s) of the variable; NaN where it is not defined."""

    name: str
    cost: int
    numeric: Numeric
    symbolic: Symbolic

    def apply(self, s: NDArray) -> NDArray:
        """Return h(s)."""
        with np.errstate(all="ignore"):
            return self.numeric(s)


@dataclass(frozen=True)
class Outer:
    r"""A map y = F(w, s) of a value, and of the variable if it is $F = w s^{-k}$.

    Attributes:
        name: of the map.
        cost: complexity.
        numeric, symbolic: F on arrays and on expressions.
        inverse: w from y and s; all NaN if F is not one smooth branch for all y.
        is_plain: whether F does not depend on s.
    """

    name: str
    cost: int
    numeric: Callable[[NDArray, NDArray], NDArray]
    symbolic: Callable[[sympy.Expr, sympy.Expr], sympy.Expr]
    inverse: Callable[[NDArray, NDArray], NDArray]
    is_plain: bool = True

    def invert(self, y: NDArray, s: NDArray) -> NDArray:
        """Return the w with y = F(w, s)."""
        with np.errstate(all="ignore"):
            return self.inverse(y, s)


def _plain(name: str, cost: int, numeric: Numeric, symbolic: Symbolic, inverse: Numeric) -> Outer:
    return Outer(name, cost, lambda w, s: numeric(w), lambda w, s: symbolic(w), lambda y, s: inverse(y))


def _over(k: int) -> Outer:
    return Outer(f"over s^{k}", 3, lambda w, s: w / s**k, lambda w, s: w / s**k, lambda y, s: y * s**k, False)


def _where(holds: Callable[[NDArray], bool], f: Numeric) -> Numeric:
    """Return the function, NaN everywhere unless a condition holds for all values."""
    return lambda y: f(y) if holds(y) else np.full_like(y, np.nan)


def _above(y: NDArray) -> bool:
    return bool((y > 0).all())


def _below(y: NDArray) -> bool:
    return bool((y < 0).all())


def _apart(y: NDArray) -> bool:
    return _above(y) or _below(y)


def _within(bound: float) -> Callable[[NDArray], bool]:
    return lambda y: bool((np.abs(y) < bound).all())


HALF = sympy.Rational(1, 2)

# y = F(w, s)
OUTER: tuple[Outer, ...] = (
    _plain("identity", 0, lambda x: x, lambda x: x, lambda y: y),
    _plain("exp", 2, np.exp, sympy.exp, _where(_above, np.log)),
    _plain("-exp", 3, lambda x: -np.exp(x), lambda x: -sympy.exp(x), _where(_below, lambda y: np.log(-y))),
    _plain("reciprocal", 2, lambda x: 1 / x, lambda x: 1 / x, _where(_apart, lambda y: 1 / y)),
    _plain("sqrt", 2, np.sqrt, sympy.sqrt, _where(_above, np.square)),
    _plain("-sqrt", 3, lambda x: -np.sqrt(x), lambda x: -sympy.sqrt(x), _where(_below, np.square)),
    _plain("square", 2, np.square, lambda x: x**2, _where(_above, np.sqrt)),
    _plain("1/sqrt", 3, lambda x: 1 / np.sqrt(x), lambda x: x**-HALF, _where(_above, lambda y: y**-2.0)),
    _plain("1/square", 3, lambda x: x**-2.0, lambda x: x**-2, _where(_above, lambda y: y**-0.5)),
    _plain("log", 3, np.log, sympy.log, np.exp),
    _plain("asin", 3, np.arcsin, sympy.asin, _where(_within(np.pi / 2), np.sin)),
    _plain("atan", 3, np.arctan, sympy.atan, _where(_within(np.pi / 2), np.tan)),
    _plain("tanh", 3, np.tanh, sympy.tanh, _where(_within(1.0), np.arctanh)),
    _over(1),
    _over(2),
)

# t = h(s)
INNER: tuple[Inner, ...] = (
    Inner("identity", 0, lambda x: x, lambda x: x),
    Inner("square", 1, np.square, lambda x: x**2),
    Inner("sqrt", 2, np.sqrt, sympy.sqrt),
    Inner("reciprocal", 2, _where(_apart, lambda x: 1 / x), lambda x: 1 / x),
)
