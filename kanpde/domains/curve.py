"""Shapes inside closed curves that are given as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.arcs import Arc, SignedDistance, enclosed, series
from kanpde.domains.arguments import check_name
from kanpde.domains.segments import meeting
from kanpde.domains.shape import Shape
from kanpde.errors import InputError

_DEGREES = (16, 32, 64, 128, 256, 512)
_ROUNDING, _CLOSED, _STILL = 1e-13, 1e-10, 1e-6


@dataclass(frozen=True, repr=False)
class Curve(Shape):
    """The inside of a closed curve without self-intersection, as Chebyshev series; made by `Curve.of` or `Curve.polar`.

    Args:
        coefficients: for every smooth arc, the coefficients (terms, 2) of x and y on [0, 1], counter-clockwise.
        name: name of the boundary.
    """

    coefficients: tuple[tuple[tuple[float, float], ...], ...]
    name: str = "curve"

    def __post_init__(self):
        check_name(self.name)

    @classmethod
    def of(cls, *arcs: Callable[[NDArray], Sequence[Any]], name: str = "curve") -> Curve:
        """Return the shape inside the closed curve of one or more smooth arcs.

        Args:
            arcs: functions of an array s of numbers in [0, 1] that return x(s) and y(s); each begins where the one
                before ends, and the last ends where the first begins. Between corners an arc must be smooth.
            name: name of the boundary.

        Raises:
            InputError: an arc is not smooth, the curve is not closed, or it crosses itself.
        """
        if not arcs:
            raise InputError(
                "A Curve needs a function. Write `Curve.of(lambda s: (cos(2 * pi * s), sin(2 * pi * s)))`."
            )
        found = [_coefficients(arc, k) for k, arc in enumerate(arcs, start=1)]
        _check_closed(found)
        area = enclosed([series((), c) for c in found])
        if area < 0:  # reversed: s -> 1 - s changes the sign of the odd terms
            found = [c * (-1.0) ** np.arange(len(c))[:, None] for c in reversed(found)]
        shape = cls(tuple(tuple((float(a), float(b)) for a, b in c) for c in found), name)
        shape._check_simple()
        return shape

    @classmethod
    def polar(
        cls, radius: Callable[[NDArray], Any], centre: tuple[float, float] = (0.0, 0.0), name: str = "curve"
    ) -> Curve:
        """Return the shape inside r = radius(θ) around a centre, for a smooth positive function of period 2π.

        Raises:
            InputError: the radius is not positive or not smooth, or its period is another one.
        """
        angles = np.linspace(0, 2 * np.pi, 721)
        radii = np.asarray(radius(angles) + 0 * angles, dtype=float)
        if not (radii > 0).all():
            k = int(np.nanargmin(radii)) if not np.isnan(radii).all() else 0
            raise InputError(f"The radius of a Curve must be positive, got {radii[k]:.3g} at θ = {angles[k]:.3g}.")

        def arc(s: NDArray) -> tuple[NDArray, NDArray]:
            angle = 2 * np.pi * s
            r = radius(angle) + 0 * s
            return centre[0] + r * np.cos(angle), centre[1] + r * np.sin(angle)

        return cls.of(arc, name=name)

    def __repr__(self) -> str:
        digest = sha256(repr(self.coefficients).encode()).hexdigest()[:12]
        terms = sum(map(len, self.coefficients))
        return f"Curve(arcs={len(self.coefficients)}, terms={terms}, digest={digest}, name={self.name!r})"

    def arcs(self) -> list[Arc]:
        """Return the arcs."""
        return [series((self.name,), np.array(c)) for c in self.coefficients]

    @cached_property
    def _distance(self) -> SignedDistance:
        return SignedDistance(self.arcs())

    @property
    def bounds(self) -> NDArray:
        """A box around the curve."""
        points = np.concatenate([arc.points(np.linspace(0, 1, 4 * arc.samples)) for arc in self.arcs()])
        low, high = points.min(axis=0), points.max(axis=0)
        return np.stack([low - 1e-3 * (high - low), high + 1e-3 * (high - low)], axis=1)

    def level(self, x: NDArray) -> NDArray:
        """Return the signed distance from the curve."""
        return self._distance(x)

    def _check_simple(self) -> None:
        """Refuse a curve with a cusp or that crosses itself, by points on it and the chords between them."""
        for number, arc in enumerate(self.arcs(), start=1):
            _check_speed(arc, number)
        lines = [arc.points(np.arange(2 * arc.samples) / (2 * arc.samples)) for arc in self.arcs()]
        corners = np.concatenate(lines)
        if len(pairs := meeting(corners)):
            owner = np.repeat(np.arange(1, len(lines) + 1), [len(line) for line in lines])
            (one, two), at = pairs[0], corners[pairs[0, 0]]
            raise InputError(
                f"The Curve crosses itself near ({_number(at[0])}, {_number(at[1])}), in arc {owner[one]} and arc "
                f"{owner[two]}. Give arcs in their order along the boundary, without a part that is passed twice."
            )

    def describe(self) -> dict[str, Any]:
        """Return the coefficients and the name."""
        arcs = [[list(pair) for pair in arc] for arc in self.coefficients]
        return {"kind": "Curve", "coefficients": arcs, "name": self.name}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Curve:
        """Return the shape from a description by `describe`."""
        return cls(tuple(tuple((a, b) for a, b in arc) for arc in description["coefficients"]), description["name"])


def _coefficients(arc: Callable[[NDArray], Sequence[Any]], number: int) -> NDArray:
    """Return the Chebyshev coefficients of an arc, up to rounding."""
    from numpy.polynomial import chebyshev

    def values(t: NDArray) -> NDArray:
        pair = arc((t + 1) / 2)
        if len(pair) != 2:
            raise InputError(
                f"Arc {number} of the Curve must return two arrays, x(s) and y(s), got {len(pair)} values."
            )
        return np.stack([np.asarray(part, dtype=float) + 0 * t for part in pair], axis=1)

    coefficients = np.zeros((1, 2))
    for degree in _DEGREES:
        nodes = chebyshev.chebpts1(degree + 1)
        found = values(nodes)
        if not np.isfinite(found).all():
            raise InputError(f"Arc {number} of the Curve is not finite for every s in [0, 1].")
        coefficients = 2 / (degree + 1) * np.cos(np.outer(np.arange(degree + 1), np.arccos(nodes))) @ found
        coefficients[0] /= 2
        size = np.abs(coefficients).max()
        if np.abs(coefficients[-degree // 8 :]).max() < _ROUNDING * size:
            significant = np.abs(coefficients).max(axis=1) > 1e-15 * size
            return coefficients[: max(2, int(np.nonzero(significant)[0][-1]) + 1)]
    raise InputError(
        f"Arc {number} of the Curve is not smooth: a polynomial of degree {_DEGREES[-1]} differs by "
        f"{np.abs(coefficients[-8:]).max():.1e}. Give a Curve with a corner as several arcs, one between each two "
        "corners, and one of straight lines as a Polygon."
    )


def _check_speed(arc: Arc, number: int) -> None:
    """Refuse an arc whose velocity vanishes somewhere: there it has no tangent."""
    from scipy.optimize import minimize_scalar

    def speed(s: float) -> float:
        return float(np.linalg.norm(arc.trace(np.array([s]))[1]))

    s = np.linspace(0, 1, 4 * arc.samples + 1)
    speeds = np.linalg.norm(arc.trace(s)[1], axis=1)
    k = int(speeds.argmin())
    bounds = float(s[max(k - 1, 0)]), float(s[min(k + 1, len(s) - 1)])
    best: Any = minimize_scalar(speed, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    if min(float(best.fun), speeds[k]) < _STILL * speeds.max():
        x, y = arc.points(np.array([float(best.x)]))[0]
        raise InputError(
            f"Arc {number} of the Curve has no tangent near ({_number(x)}, {_number(y)}), where its velocity is zero. "
            "Give one arc between each two corners, whose velocity is nowhere zero."
        )


def _number(value: float) -> str:
    return f"{value if abs(value) > 1e-9 else 0.0:.6g}"


def _check_closed(arcs: Sequence[NDArray]) -> None:
    traces = [series((), c).points(np.array([0.0, 1.0])) for c in arcs]
    size = max(float(np.abs(c).max()) for c in arcs)
    for k, (one, two) in enumerate(zip(traces, [*traces[1:], traces[0]], strict=True), start=1):
        if np.abs(one[1] - two[0]).max() > _CLOSED * size:
            place = "it begins" if len(arcs) == 1 else f"arc {k % len(arcs) + 1} begins"
            raise InputError(
                f"The Curve is not closed: arc {k} ends at ({_number(one[1][0])}, {_number(one[1][1])}), and {place} "
                f"at ({_number(two[0][0])}, {_number(two[0][1])})."
            )
