"""Polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.arcs import Arc, segment
from kanpde.domains.arguments import check_name
from kanpde.domains.segments import meeting
from kanpde.domains.shape import Shape
from kanpde.errors import InputError


@dataclass(frozen=True)
class Polygon(Shape):
    """A polygon with its interior.

    Args:
        vertices: its corners in either order, each (x, y); the last is joined to the first.
        name: name of its boundary.
        sides: names of its sides, of which side k goes from vertex k to the next; by default "polygon side 1" and so
            on, with ``name`` in place of "polygon".

    Raises:
        InputError: there are fewer than three vertices, two of them coincide, or sides cross or touch.
    """

    vertices: tuple[tuple[float, float], ...]
    name: str = "polygon"
    sides: tuple[str, ...] = ()

    def __post_init__(self):
        corners = _corners(self.vertices)
        object.__setattr__(self, "vertices", tuple((float(x), float(y)) for x, y in corners))
        sides = tuple(self.sides) or tuple(f"{self.name} side {k}" for k in range(1, len(corners) + 1))
        if isinstance(self.sides, str) or len(sides) != len(corners):
            raise InputError(
                f"A Polygon needs one name for each of its {len(corners)} sides, got {self.sides!r}.",
                write={"sides": tuple(f"side {k}" for k in range(1, len(corners) + 1))},
            )
        object.__setattr__(self, "sides", sides)
        for name in (self.name, *sides):
            check_name(name)
        _check_simple(corners)

    @property
    def bounds(self) -> NDArray:
        """The bounding box."""
        corners = np.array(self.vertices)
        return np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1)

    def level(self, x: NDArray) -> NDArray:
        """Return the signed distance from the boundary."""
        return distance_from_polygon(np.array(self.vertices), x)

    def arcs(self) -> list[Arc]:
        """Return the sides, with the interior on their left."""
        corners = np.array(self.vertices)
        following = np.roll(corners, -1, axis=0)
        is_left = _area(corners) > 0
        return [
            segment((self.name, side), *((a, b) if is_left else (b, a)))
            for side, a, b in zip(self.sides, corners, following, strict=True)
        ]

    def describe(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            "kind": "Polygon",
            "vertices": [list(corner) for corner in self.vertices],
            "name": self.name,
            "sides": list(self.sides),
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Polygon:
        """Return the polygon from a description by `describe`."""
        vertices = tuple((x, y) for x, y in description["vertices"])
        return cls(vertices, description["name"], tuple(description["sides"]))


def distance_from_polygon(corners: NDArray, x: NDArray) -> NDArray:
    """Return the signed distances of points (n, 2) from a closed polygon (k, 2), negative inside; NaN for NaN."""
    least = np.full(len(x), np.inf)
    inside = np.zeros(len(x), dtype=bool)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        step, gap = b - a, x - a
        share = np.clip(gap @ step / (step @ step), 0.0, 1.0)
        least = np.minimum(least, np.hypot(*(gap - share[:, None] * step).T))
        spans = (a[1] > x[:, 1]) != (b[1] > x[:, 1])
        if step[1] != 0:
            inside ^= spans & (gap[:, 0] < gap[:, 1] * (step[0] / step[1]))
    return np.where(inside, -least, least)


def _corners(vertices: Sequence[Any]) -> NDArray:
    try:
        corners = np.array(vertices, dtype=float)
    except (TypeError, ValueError):
        corners = np.empty(0)
    if corners.shape[1:] != (2,) or len(corners) < 3 or not np.isfinite(corners).all():
        raise InputError(
            f"A Polygon needs three vertices or more, each (x, y) and finite, got {vertices!r}.",
            write={"vertices": ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))},
        )
    return corners


def _area(corners: NDArray) -> float:
    x, y = corners.T
    return float(0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


def _check_simple(corners: NDArray) -> None:
    """Refuse sides of no length and sides that cross or touch."""
    count, following = len(corners), np.roll(corners, -1, axis=0)
    size = float(np.ptp(corners, axis=0).max())
    for k, (a, b) in enumerate(zip(corners, following, strict=True)):
        if np.linalg.norm(b - a) < 1e-9 * size or size == 0:
            raise InputError(
                f"The vertices {k + 1} and {(k + 1) % count + 1} of the Polygon coincide at {_text(a)}. Leave one out."
            )
    folds = []
    for j in range(count):
        i = (j - 1) % count
        if _folds(corners[i] - corners[j], following[j] - corners[j]):
            folds.append(sorted((i, j)))
    bad = sorted([*meeting(corners, 1e-9 * size).tolist(), *folds])
    if bad:
        i, j = bad[0]
        a, b, c, d = corners[i], following[i], corners[j], following[j]
        raise InputError(
            f"The sides {i + 1} and {j + 1} of the Polygon cross or touch: {_text(a)} to {_text(b)}, and "
            f"{_text(c)} to {_text(d)}. Give the vertices in the order along the boundary."
        )


def _folds(one: NDArray, two: NDArray) -> bool:
    """Return whether two sides from one corner lie on each other."""
    lengths = np.linalg.norm(one) * np.linalg.norm(two)
    return bool(one @ two > 0 and abs(one[0] * two[1] - one[1] * two[0]) < 1e-9 * lengths)


def _text(point: NDArray) -> str:
    return f"({point[0]:g}, {point[1]:g})"
