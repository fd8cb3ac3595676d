"""Smooth pieces of curves in the plane, parametrised by s in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.rules import along_line

_LEAST_SAMPLES = 96


@runtime_checkable
class Traced(Protocol):
    """An arc or a part of one."""

    @property
    def samples(self) -> int: ...

    def trace(self, s: NDArray, /) -> tuple[NDArray, NDArray]: ...


@dataclass(frozen=True)
class Arc:
    """A smooth curve s -> x(s) without self-intersection, with the shape it bounds on its left.

    Args:
        labels: names of the parts of the boundary that it belongs to.
        trace: from s (n,) to the points x(s) and the velocities x'(s), both (n, 2), also a little outside [0, 1].
        samples: number of intervals of [0, 1] on which distances to x(s) have at most one extremum.
        margin: the trace is accurate for s in [-margin, 1 + margin].
    """

    labels: tuple[str, ...]
    trace: Callable[[NDArray], tuple[NDArray, NDArray]]
    samples: int = _LEAST_SAMPLES
    margin: float = 0.0

    def points(self, s: NDArray) -> NDArray:
        """Return the points x(s), (n, 2)."""
        return self.trace(s)[0]


def segment(labels: tuple[str, ...], start: NDArray, end: NDArray) -> Arc:
    """Return the straight line from one point to another."""
    step = end - start

    def trace(s: NDArray) -> tuple[NDArray, NDArray]:
        # both ends are met to the last bit
        points = np.where(s[:, None] < 0.5, start + s[:, None] * step, end - (1 - s[:, None]) * step)
        return points, np.broadcast_to(step, points.shape)

    return Arc(labels, trace, 8)


def ellipse(
    labels: tuple[str, ...], centre: tuple[float, float], semi_axes: tuple[float, float], angle: float = 0.0
) -> list[Arc]:
    """Return an ellipse as four arcs, counter-clockwise; ``angle`` in radians is that of its first axis."""
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    axes = np.array(semi_axes)

    def quarter(k: int) -> Arc:
        def trace(s: NDArray) -> tuple[NDArray, NDArray]:
            phase = pi / 2 * s
            c, d = np.cos(phase), np.sin(phase)
            # cosine and sine of the whole angle, exact at the ends of the quarters
            cosine, sine = [(c, d), (-d, c), (-c, -d), (d, -c)][k]
            local = np.stack([cosine, sine], axis=1) * axes
            rate = pi / 2 * np.stack([-sine, cosine], axis=1) * axes
            return np.array(centre) + local @ turn, rate @ turn

        return Arc(labels, trace, 32, margin=1.0)

    return [quarter(k) for k in range(4)]


def series(labels: tuple[str, ...], coefficients: NDArray) -> Arc:
    """Return the arc with the Chebyshev coefficients (terms, 2) of x and y on [0, 1]."""
    from numpy.polynomial import chebyshev

    rates = 2 * chebyshev.chebder(coefficients)

    def trace(s: NDArray) -> tuple[NDArray, NDArray]:
        t = 2 * s - 1
        return chebyshev.chebval(t, coefficients).T, chebyshev.chebval(t, rates).T

    return Arc(labels, trace, max(_LEAST_SAMPLES, 4 * len(coefficients)))


class SignedDistance:
    """The signed distance of points from a closed curve of arcs, each of which begins where the one before ends.

    From the nearest of many points on the curve, Newton's iteration for (x(s) - x)·x'(s) = 0 with the second derivative
    of Gauss and Newton. The sign is that of the product with the outward normal, at corners with the sum of both
    normals (J. A. Bærentzen and H. Aanæs 2005).
    """

    def __init__(self, arcs: Sequence[Arc]):
        from scipy.spatial import KDTree

        self.arcs = arcs
        grids = [np.linspace(0, 1, 4 * arc.samples + 1) for arc in arcs]
        self._owner = np.concatenate([np.full(len(s), i) for i, s in enumerate(grids)])
        self._parameter = np.concatenate(grids)
        self._tree = KDTree(np.concatenate([arc.points(s) for arc, s in zip(arcs, grids, strict=True)]))
        ends = [arc.trace(np.array([0.0, 1.0]))[1] for arc in arcs]
        after = [right_of(rates)[0] for rates in ends]
        before = [right_of(rates)[1] for rates in ends]
        self._joint = [(before[k - 1] + after[k], before[k] + after[(k + 1) % len(arcs)]) for k in range(len(arcs))]

    def __call__(self, x: NDArray) -> NDArray:
        """Return the distances (n,) of points (n, 2), negative inside; NaN for NaN."""
        level = np.full(len(x), np.nan)
        known = np.asarray(np.isfinite(x).all(axis=1))
        index = np.asarray(self._tree.query(np.where(known[:, None], x, 0.0))[1])
        owner, nearest = self._owner[index], self._parameter[index]
        last = len(self.arcs) - 1
        for i in range(len(self.arcs)):
            before, after = (i - 1 if i else last), (i + 1 if i < last else 0)
            self._refine(i, known & (owner == i), nearest, x, level)
            # the sample where two arcs meet belongs to one of them, and the nearest point may lie on the other
            self._refine(i, known & (owner == before) & (nearest == 1), np.zeros_like(nearest), x, level)
            self._refine(i, known & (owner == after) & (nearest == 0), np.ones_like(nearest), x, level)
        return level

    def _refine(self, i: int, own: NDArray, start: NDArray, x: NDArray, level: NDArray) -> None:
        """Replace the levels of the points ``own`` by those from arc i near s = ``start`` where these are nearer."""
        if not own.any():
            return
        arc, s, target = self.arcs[i], start[own], x[own]
        step = 1 / (4 * arc.samples)  # the iteration diverges beyond the centre of curvature
        low, high = np.maximum(s - step, 0.0), np.minimum(s + step, 1.0)
        for _ in range(12):
            point, rate = arc.trace(s)
            s = np.clip(s - ((point - target) * rate).sum(1) / (rate * rate).sum(1), low, high)
        point, rate = arc.trace(s)
        normal = right_of(rate)
        normal[s == 0], normal[s == 1] = self._joint[i]
        gap = target - point
        found = np.hypot(*gap.T) * np.where((gap * normal).sum(axis=1) > 0, 1.0, -1.0)
        known = level[own]
        level[own] = np.where(np.isnan(known) | (np.abs(found) < np.abs(known)), found, known)


def enclosed(curves: Sequence[Traced]) -> float:
    """Return the area that a closed curve encloses, by Green's theorem: half the integral of x dy - y dx along it.

    Negative for clockwise curves; of several curves, as around holes, the sum.
    """
    rule, total = along_line("gauss"), 0.0
    origin = curves[0].trace(np.zeros(1))[0]  # near the curve, so that little is lost to rounding
    for curve in curves:
        s, weights = rule(2 * curve.samples)
        points, rates = curve.trace(s)
        x, y = (points - origin).T
        total += 0.5 * float(weights @ (x * rates[:, 1] - y * rates[:, 0]))
    return total


def right_of(rate: NDArray) -> NDArray:
    """Return the unit vectors to the right of directions (n, 2): outward normals of what lies on the left."""
    return np.stack([rate[:, 1], -rate[:, 0]], axis=1) / np.linalg.norm(rate, axis=1)[:, None]
