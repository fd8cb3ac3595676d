"""Surfaces that bound solids: spheres, circular cylinders and planes; and their sections by planes across an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

_APART = 1e-7  # smallest distance of the centres of circles that meet, in units of the size


@dataclass(frozen=True)
class Round:
    """A sphere (``axis`` is None), or a circular cylinder without ends along an axis (0, 1 or 2)."""

    centre: tuple[float, float, float]
    radius: float
    axis: int | None = None


@dataclass(frozen=True)
class Flat:
    """The plane on which the coordinate ``axis`` has a value."""

    axis: int
    value: float


@dataclass(frozen=True)
class Patch:
    """The part of a surface that bounds a solid, or more of it; the solid's own ``level`` tells which part.

    Args:
        labels: names of the parts of the boundary that it belongs to.
        surface: sphere, cylinder or plane.
        low: least value on the patch of a coordinate: z of a sphere, that along a cylinder, and the second after the
            plane's (in the cyclic order x, y, z) of a plane.
        high: largest value of it.
        side: 1 if the solid lies inside a round surface, or where the coordinate is smaller than on a plane; else -1.
        is_disk: whether a plane patch is a disk.
    """

    labels: tuple[str, ...]
    surface: Round | Flat
    low: float
    high: float
    side: int = 1
    is_disk: bool = False


class Section(NamedTuple):
    """Curves in m planes with the coordinates (a, b); NaN where a plane does not meet a surface.

    ``circles`` are centres and radii (m, circles, 3), ``upright`` the values of a on lines (m, lines), and ``lying``
    the values of b on lines (m, lines).
    """

    circles: NDArray
    upright: NDArray
    lying: NDArray


class Frame:
    """Coordinates (a, b, c), a cyclic order of (x, y, z) with c = ``axis``, and the sections at fixed c of surfaces.

    Args:
        surfaces: all of them.
        axis: 0, 1 or 2.
        size: unit of lengths.
    """

    def __init__(self, surfaces: Sequence[Round | Flat], axis: int, size: float):
        self.surfaces, self.axis, self.size = surfaces, axis, size
        self.order = ((axis + 1) % 3, (axis + 2) % 3, axis)
        self._back = np.argsort(self.order)

    def place(self, a: NDArray, b: NDArray, c: NDArray) -> Float[np.ndarray, "points 3"]:
        """Return points or directions in the coordinates (x, y, z)."""
        return np.stack([a, b, c], axis=-1)[..., self._back]

    @property
    def owners(self) -> tuple[NDArray, NDArray, NDArray]:
        """The number of the surface of every circle, upright line and lying line of a section."""
        found: tuple[list[int], list[int], list[int]] = ([], [], [])
        for number, surface in enumerate(self.surfaces):
            kind, count = self._kind(surface)
            if count:
                found[kind].extend([number] * count)
        return np.array(found[0], int), np.array(found[1], int), np.array(found[2], int)

    def _kind(self, surface: Round | Flat) -> tuple[int, int]:
        """Return 0 for circles, 1 for upright lines, 2 for lying ones; and how many a section has at most."""
        a, b, c = self.order
        if isinstance(surface, Flat):
            return (1 if surface.axis == a else 2), (0 if surface.axis == c else 1)
        if surface.axis in (None, c):
            return 0, 1
        return (1 if surface.axis == b else 2), 2

    def section(self, heights: NDArray) -> Section:
        """Return the curves at c = heights (m,)."""
        a, b, c = self.order
        found: tuple[list[NDArray], list[NDArray], list[NDArray]] = ([], [], [])
        for surface in self.surfaces:
            kind, count = self._kind(surface)
            if isinstance(surface, Flat):
                if count:
                    found[kind].append(np.full_like(heights, surface.value))
                continue
            middle, radius = surface.centre, surface.radius
            half = np.full_like(heights, radius) if surface.axis == c else half_chord(radius, heights - middle[c])
            if kind == 0:
                centre = np.broadcast_to([middle[a], middle[b]], (len(heights), 2))
                found[0].append(np.concatenate([centre, half[:, None]], axis=1))
            else:
                value = middle[a] if kind == 1 else middle[b]
                found[kind].extend([value - half, value + half])
        m = len(heights)
        circles = np.stack(found[0], axis=1) if found[0] else np.empty((m, 0, 3))
        upright, lying = (np.stack(lines, axis=1) if lines else np.empty((m, 0)) for lines in found[1:])
        return Section(circles, upright, lying)

    def corners(self, section: Section) -> tuple[NDArray, NDArray]:
        """Return the points (m, k, 2) where two curves of a section meet, and both curves' surfaces (k, 2)."""
        circles, upright, lying = section
        owners = self.owners
        m = len(circles)
        one, two = np.triu_indices(circles.shape[1], 1)
        pairs: list[tuple[tuple[NDArray, ...], tuple[NDArray, ...]]]
        pairs = [(self.meeting(circles[:, one], circles[:, two]), (owners[0][one], owners[0][two]))]
        grids = [np.meshgrid(owners[i], owners[j], indexing="ij") for i, j in ((0, 1), (0, 2), (1, 2))]
        pairs.append((at_upright(circles[:, :, None], upright[:, None]), (grids[0][0], grids[0][1])))
        pairs.append((at_lying(circles[:, :, None], lying[:, None]), (grids[1][0], grids[1][1])))
        cross = np.stack(np.broadcast_arrays(upright[:, :, None], lying[:, None]), axis=-1)
        pairs.append(((cross,), (grids[2][0], grids[2][1])))
        points = [each.reshape(m, -1, 2) for found, _ in pairs for each in found]
        of = [np.stack([i.ravel(), j.ravel()], axis=1) for found, (i, j) in pairs for _ in found]
        return np.concatenate(points, axis=1), np.concatenate(of)

    def meeting(self, one: NDArray, two: NDArray) -> tuple[NDArray, NDArray]:
        """Return both points (..., 2) where circles (..., 3) meet."""
        gap = two[..., :2] - one[..., :2]
        distance = np.hypot(gap[..., 0], gap[..., 1])
        with np.errstate(invalid="ignore", divide="ignore"):
            along = (distance + (one[..., 2] - two[..., 2]) * (one[..., 2] + two[..., 2]) / distance) / 2
            along = np.where(distance > _APART * self.size, along, np.nan)
            step = gap / distance[..., None]
        foot = one[..., :2] + along[..., None] * step
        side = half_chord(one[..., 2], along)[..., None] * np.stack([-step[..., 1], step[..., 0]], axis=-1)
        return foot + side, foot - side


def touching(points: NDArray, owners: NDArray, kept: NDArray, near: float) -> NDArray:
    """Return in which sections (m,) two corners of the same two surfaces coincide, of those ``kept`` (m, k)."""
    found = np.zeros(len(points), dtype=bool)
    for i, (own, is_kept) in enumerate(zip(points, kept, strict=True)):
        places, of = own[is_kept], owners[is_kept]
        gaps = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
        same = (of[:, None] == of).all(axis=2)
        found[i] = (np.triu(same, 1) & (gaps < near)).any()
    return found


def equal_heights(surfaces: Sequence[Round | Flat], axis: int, near: float) -> list[float]:
    """Return where sections across an axis of two surfaces are the same circle, for centres on one line along it."""
    of = [s for s in dict.fromkeys(surfaces) if isinstance(s, Round) and s.axis in (None, axis)]
    found = []
    for i, one in enumerate(of):
        for two in of[:i]:
            gap = two.centre[axis] - one.centre[axis]
            if any(abs(one.centre[k] - two.centre[k]) > near for k in range(3) if k != axis):
                continue
            if one.axis is None and two.axis is None:
                if abs(gap) > near:
                    found.append(one.centre[axis] + (gap + (one.radius**2 - two.radius**2) / gap) / 2)
            elif one.axis is None or two.axis is None:
                ball, tube = (one, two) if one.axis is None else (two, one)
                half = max(0.0, ball.radius**2 - tube.radius**2) ** 0.5
                found += [ball.centre[axis] - half, ball.centre[axis] + half]
    return found


def half_chord(radius: NDArray | float, distance: NDArray) -> NDArray:
    """Return half the length of the chord of a circle at a distance from its centre; NaN beyond the circle."""
    with np.errstate(invalid="ignore"):
        return np.sqrt((radius - distance) * (radius + distance))


def at_upright(circles: NDArray, a: NDArray) -> tuple[NDArray, NDArray]:
    """Return both points (..., 2) of circles (..., 3) with the first coordinate a."""
    half = half_chord(circles[..., 2], a - circles[..., 0])
    a = np.broadcast_to(a, half.shape)
    return np.stack([a, circles[..., 1] - half], axis=-1), np.stack([a, circles[..., 1] + half], axis=-1)


def at_lying(circles: NDArray, b: NDArray) -> tuple[NDArray, NDArray]:
    """Return both points (..., 2) of circles (..., 3) with the second coordinate b."""
    half = half_chord(circles[..., 2], b - circles[..., 1])
    b = np.broadcast_to(b, half.shape)
    return np.stack([circles[..., 0] - half, b], axis=-1), np.stack([circles[..., 0] + half, b], axis=-1)
