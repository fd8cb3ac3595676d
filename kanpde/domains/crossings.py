"""The boundary of a combination of shapes in the plane: the arcs of its operands, cut where they cross."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.arcs import Arc, right_of

_ZERO, _TOUCH, _NEAR, _STEP = 1e-11, 1e-9, 1e-8, 1e-6  # in units of the shape's size
_LITTLE = 1e-5  # of an arc, for the slope of the distance to another


@runtime_checkable
class Bounded(Protocol):
    """A shape, or a combination of some: negative ``level`` inside, and the size by its ``bounds``."""

    @property
    def bounds(self) -> NDArray: ...

    def level(self, x: NDArray) -> NDArray: ...


@runtime_checkable
class Leaf(Bounded, Protocol):
    """A shape that is no combination."""

    def arcs(self) -> list[Arc]: ...


@dataclass(frozen=True)
class Piece:
    """The part of an arc from s = ``begin`` to ``end``, with the shape on its left; backwards if end < begin."""

    arc: Arc
    begin: float
    end: float

    def trace(self, s: NDArray) -> tuple[NDArray, NDArray]:
        """Return the points and velocities (n, 2) for s in [0, 1] along the piece."""
        points, rates = self.arc.trace(self.begin + (self.end - self.begin) * s)
        return points, (self.end - self.begin) * rates

    @property
    def samples(self) -> int:
        """Number of intervals on which distances to the piece have at most one extremum."""
        return max(4, round(self.arc.samples * abs(self.end - self.begin)))


def boundary_pieces(shape: Bounded, leaves: Sequence[Leaf]) -> list[Piece]:
    """Return the pieces of the arcs of ``leaves`` that bound the combination ``shape`` of them.

    An arc is cut where it crosses or touches another leaf. A piece bounds the shape if the shape lies on one side of it
    only. Of pieces that coincide, the one of the first leaf is taken.
    """
    size = float(np.ptp(shape.bounds, axis=1).max())
    pieces = []
    for i, leaf in enumerate(leaves):
        others = [other for other in leaves if other is not leaf]
        for arc in leaf.arcs():
            cuts = {0.0, 1.0}.union(*(_crossings(arc, other, size) for other in others))
            for begin, end in pairwise(sorted(cuts)):
                side = _side(shape, arc, begin, end, size)
                middle = arc.points(np.array([(begin + end) / 2]))
                if side and not any(abs(earlier.level(middle)[0]) < _TOUCH * size for earlier in leaves[:i]):
                    pieces.append(Piece(arc, begin, end) if side > 0 else Piece(arc, end, begin))
    return pieces


def _side(shape: Bounded, arc: Arc, begin: float, end: float, size: float) -> int:
    """Return 1 if the shape lies on the left of the part of an arc only, -1 on the right only, 0 otherwise."""
    points, rates = arc.trace(begin + (end - begin) * np.array([0.31, 0.5, 0.73]))
    length = float(np.linalg.norm(rates, axis=1).max()) * (end - begin)
    if length < _TOUCH * size:
        return 0
    step = min(_STEP * size, 0.05 * length) * right_of(rates)
    left, right = shape.level(points - step) < 0, shape.level(points + step) < 0
    votes = int((left & ~right).sum()) - int((right & ~left).sum())
    return (votes > 1) - (votes < -1)


def _crossings(arc: Arc, other: Leaf, size: float) -> set[float]:
    """Return the s at which an arc crosses or touches another leaf, and the ends of stretches along it."""
    corners = np.concatenate([each.points(np.array([0.0])) for each in other.arcs()])

    def value(s: float) -> float:
        return float(other.level(arc.points(np.array([s])))[0])

    grid = np.linspace(0, 1, 2 * arc.samples + 1)
    points, rates = arc.trace(grid)
    values = other.level(points)
    sign = [0 if abs(v) < _ZERO * size else (1 if v > 0 else -1) for v in values]
    found: set[float] = set()
    for k, (one, two) in enumerate(pairwise(sign)):
        if one * two < 0:
            found.add(root(value, float(grid[k]), float(grid[k + 1])))
        elif one != two:
            beyond = k - 1 if one == 0 else k + 2  # a single zero is a crossing or a touch at a sample
            is_run = 0 <= beyond < len(sign) and sign[beyond] == 0
            ends = float(grid[k]), float(grid[k + 1])
            found.add(_end_of_run(value, *ends, one == 0, size) if is_run else ends[two == 0])
    step = np.linalg.norm(rates, axis=1).max() * (grid[1] - grid[0])
    for k in range(1, len(grid) - 1):
        near = sign[k - 1] == sign[k] == sign[k + 1] != 0 and abs(values[k]) < 2 * step
        if near and abs(values[k]) <= min(abs(values[k - 1]), abs(values[k + 1])):
            found |= _close(value, grid[k - 1], grid[k + 1], sign[k], size)
    return {_snapped(float(s), arc, corners, size) for s in found if 0 < s < 1}


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the zero of a function that changes sign, to rounding."""
    from scipy.optimize import brentq

    found: Any = brentq(function, low, high, xtol=1e-15)
    return float(found)


def _snapped(s: float, arc: Arc, corners: NDArray, size: float) -> float:
    """Return the s of a corner of the other leaf that lies on the arc there; s itself if none does."""
    point, rate = (each[0] for each in arc.trace(np.array([s])))
    gaps = corners - point
    near = gaps[np.hypot(*gaps.T) < _NEAR * size]
    return s + float(near[0] @ rate / (rate @ rate)) if len(near) else s


def _end_of_run(value: Callable[[float], float], low: float, high: float, is_zero_low: bool, size: float) -> float:
    """Return where values stop or begin to be zero between ``low`` and ``high``, by bisection."""
    for _ in range(52):
        middle = (low + high) / 2
        if (abs(value(middle)) < _ZERO * size) == is_zero_low:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _close(value: Callable[[float], float], low: float, high: float, sign: int, size: float) -> set[float]:
    """Return the crossings of two that lie between samples of equal sign, or the point that touches."""
    from scipy.optimize import minimize_scalar

    best: Any = minimize_scalar(
        lambda s: sign * value(s), bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    )
    least, at = float(best.fun), float(best.x)
    if least < -_TOUCH * size:
        return {root(value, low, at), root(value, at, high)}
    if least >= _TOUCH * size:
        return set()

    def slope(s: float) -> float:
        return value(s + _LITTLE) - value(s - _LITTLE)

    # the minimum is known up to the root of rounding only; both curves need the same point
    low, high = at - 2 * _LITTLE, at + 2 * _LITTLE
    return {root(slope, low, high) if slope(low) * slope(high) < 0 else at}
