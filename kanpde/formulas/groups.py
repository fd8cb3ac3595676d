r"""Pairs of coordinates that occur in one combination only: $u(x, y, \dots) = h(g(x, y), \dots)$.

The combinations are $\alpha x + \beta y$, $xy$, $x / y$ and $x^2 + y^2$. In h the new variable z = g is moved along a
straight line of the rectangle of x and y, on which g is monotone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from kanpde.formulas.target import Target

WITHIN = 5.0
POINTS = 200
HALVINGS = 60


@dataclass(frozen=True)
class Group:
    """A function of fewer variables, and the expression of its new symbol."""

    target: Target
    symbol: sympy.Symbol
    expression: sympy.Expr


@dataclass(frozen=True)
class Kind:
    """A combination g of two coordinates; ``rises`` says whether it increases with the second one."""

    numeric: Callable[[NDArray, NDArray], NDArray]
    symbolic: Callable[[sympy.Expr, sympy.Expr], sympy.Expr]
    rises: bool
    weights: Callable[[NDArray, NDArray], tuple[NDArray, NDArray]]  # of u_x and u_y, equal if u = h(g)


PRODUCT = Kind(lambda x, y: x * y, lambda x, y: x * y, True, lambda x, y: (x, y))
RATIO = Kind(lambda x, y: x / y, lambda x, y: x / y, False, lambda x, y: (x, -y))
SQUARES = Kind(lambda x, y: x**2 + y**2, lambda x, y: x**2 + y**2, True, lambda x, y: (y, x))


def groups(target: Target) -> Iterator[Group]:
    """Yield all pairs of coordinates that occur in one combination only."""
    if len(target.symbols) < 2:
        return
    x = target.random(POINTS)
    slopes = gradient(target, x)
    if not np.isfinite(slopes).all():
        return
    for i, j in combinations(range(len(target.symbols)), 2):
        kinds = []
        if (factor := proportion(slopes[:, i], slopes[:, j])) is not None:
            kinds.append(linear(refined(target, x, i, j, factor)))
        is_positive = all(target.ranges[k][0] > 0 for k in (i, j))
        if is_positive:
            for kind in (PRODUCT, RATIO, SQUARES):
                a, b = kind.weights(x[:, i], x[:, j])
                if _agree(a * slopes[:, i], b * slopes[:, j]):
                    kinds.append(kind)
        for kind in kinds:
            if (group := _grouped(target, x, i, j, kind)) is not None:
                yield group


def gradient(target: Target, x: NDArray) -> NDArray:
    """Return central differences (n, dim) at points, moved inwards from the boundary."""
    relative = max(target.noise(x) / max(float(np.std(target.at(x))), 1e-300), 1e-15)
    share = float(np.clip(relative ** (1 / 3), 1e-4, 0.05))
    columns = []
    for i, (a, b) in enumerate(target.ranges):
        h = share * (b - a)
        up, down = x.copy(), x.copy()
        middle = np.clip(x[:, i], a + h, b - h)
        up[:, i], down[:, i] = middle + h, middle - h
        columns.append((target.at(up) - target.at(down)) / (2 * h))
    return np.stack(columns, axis=1)


def proportion(a: NDArray, b: NDArray) -> float | None:
    """Return k if a = k b roughly, else None."""
    _, sizes, right = np.linalg.svd(np.stack([a, b], axis=1), full_matrices=False)
    if sizes[1] > 0.05 * sizes[0] or abs(right[1, 0]) < 1e-9:
        return None
    k = -right[1, 1] / right[1, 0]
    return float(k) if abs(k) > 1e-9 else None


def _agree(a: NDArray, b: NDArray) -> bool:
    return float(np.linalg.norm(a - b)) <= 0.05 * float(np.linalg.norm(a) + np.linalg.norm(b))


def linear(k: float) -> Kind:
    """Return the combination k x + y."""
    return Kind(lambda x, y: k * x + y, lambda x, y: sympy.Float(k) * x + y, k > 0, lambda x, y: (x, y))


def refined(target: Target, x: NDArray, i: int, j: int, k: float) -> float:
    """Return the factor k for which the function depends on k x_i + x_j most nearly."""

    def mismatch(log_scale: float) -> float:
        gap = _mismatch(target, x, i, j, linear(k * float(np.exp(log_scale))))
        return np.inf if gap is None else gap

    width = 0.1
    centre = 0.0
    for _ in range(4):  # each with a narrower bracket, as the mismatch has a kink at its minimum
        end: Any = minimize_scalar(
            mismatch, bounds=(centre - width, centre + width), method="bounded", options={"xatol": 1e-16}
        )
        centre, width = float(end.x), width / 100
    return k * float(np.exp(centre))


def _path(target: Target, i: int, j: int, kind: Kind) -> tuple[Callable[[NDArray], NDArray], tuple[float, float]]:
    """Return the function from z to points (n, 2) on the line, and the range of z there."""
    (a, b), (c, d) = target.ranges[i], target.ranges[j]
    c, d = (c, d) if kind.rises else (d, c)

    def along(share: NDArray) -> NDArray:
        return np.stack([a + share * (b - a), c + share * (d - c)], axis=1)

    def z_at(share: NDArray) -> NDArray:
        return kind.numeric(*along(share).T)

    ends = z_at(np.array([0.0, 1.0]))
    is_rising = ends[1] > ends[0]

    def points(z: NDArray) -> NDArray:
        low, high = np.zeros_like(z), np.ones_like(z)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            below = (z_at(middle) < z) == is_rising
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return along(0.5 * (low + high))

    return points, (float(ends.min()), float(ends.max()))


def _mismatch(target: Target, x: NDArray, i: int, j: int, kind: Kind) -> float | None:
    """Return the root mean square of u(x) - u(the point of the line with the same z)."""
    points, (low, high) = _path(target, i, j, kind)
    z = kind.numeric(x[:, i], x[:, j])
    inside = (z >= low) & (z <= high)
    if inside.sum() < POINTS // 4 or not high > low:
        return None
    moved = x[inside].copy()
    moved[:, [i, j]] = points(z[inside])
    return float(np.sqrt(np.mean((target.at(moved) - target.at(x[inside])) ** 2)))


def _grouped(target: Target, x: NDArray, i: int, j: int, kind: Kind) -> Group | None:
    gap = _mismatch(target, x, i, j, kind)
    if gap is None or not gap <= WITHIN * target.noise(x):
        return None
    points, ends = _path(target, i, j, kind)
    others = [k for k in range(len(target.symbols)) if k not in (i, j)]
    symbol = sympy.Dummy("z", real=True)

    def all_of(y: NDArray) -> NDArray:
        moved = np.empty((len(y), len(target.symbols)))
        moved[:, others] = y[:, : len(others)]
        moved[:, [i, j]] = points(y[:, -1])
        return moved

    names = (*(target.symbols[k] for k in others), symbol)
    ranges = (*(target.ranges[k] for k in others), ends)
    fewer = Target(lambda y: target.at(all_of(y)), names, ranges, lambda y: target.errors(all_of(y)))
    return Group(fewer, symbol, kind.symbolic(target.symbols[i], target.symbols[j]))
