"""The parts of patches that bound a combination of solids, and quadrature on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from math import asin, pi

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.rules import Rule, along_line
from kanpde.domains.spans import Panel, Spans, find_changes, find_spans, make_panels
from kanpde.domains.surfaces import Flat, Frame, Patch, Round, at_lying, at_upright, half_chord

_TOUCH, _GAP, _NEAR = 3e-5, 2e-8, 1e-6  # radians; in units of the size; of the radius
_LOOK, _LEAST_LOOK = 160, 16  # positions at which changes are looked for
_ROUND = 5  # least number of points on a circle
_INSIDE = 1e-9  # of the length of a panel, from its ends
_FINE = 24


class Piece:
    """The part of a patch that bounds the shape, with the outward normal on the side ``sign`` of the surface's own.

    It consists of spans: arcs of circles (u is the angle) across the axis of a sphere or cylinder, and chords (u is the
    first coordinate) of a plane. Their positions v lie in panels, in which the spans' number does not change.

    Args:
        patch: of a leaf.
        sign: 1 or -1.
        surfaces: all that may cut the patch.
        is_part: from points and outward normals (n, 3) to whether the points bound the shape, which lies opposite to
            the normal, (n,).
        size: of the shape.
    """

    def __init__(
        self,
        patch: Patch,
        sign: int,
        surfaces: Sequence[Round | Flat],
        is_part: Callable[[NDArray, NDArray], NDArray],
        size: float,
    ):
        self.patch, self.sign, self.size, self._is_part = patch, sign, size, is_part
        surface = self.surface = patch.surface
        others = [other for other in surfaces if other != surface]
        axis = 2 if surface.axis is None else surface.axis
        self.frame = Frame(others, axis, size)
        self.panels = self._panels()

    # coordinates on the surface --------------------------------------------------------------------------------------
    @property
    def period(self) -> float | None:
        """2π on circles."""
        return 2 * pi if isinstance(self.surface, Round) else None

    def radii(self, v: NDArray) -> NDArray:
        """Return the radii of the circles at v, (n,); 1 for chords."""
        if isinstance(self.surface, Flat):
            return np.ones_like(v)
        if self.surface.axis is not None:
            return np.full_like(v, self.surface.radius)
        return np.nan_to_num(half_chord(self.surface.radius, v - self.surface.centre[2]))

    def place(self, u: NDArray, v: NDArray) -> tuple[NDArray, NDArray]:
        """Return the points and outward normals (n, 3) at u and v (n,)."""
        zero = np.zeros_like(u)
        if isinstance(self.surface, Flat):
            value = np.full_like(u, self.surface.value)
            return self.frame.place(u, v, value), self.sign * self.frame.place(zero, zero, zero + 1)
        first, second, third = (self.surface.centre[i] for i in self.frame.order)
        radius = self.radii(v)
        across, along = radius * np.cos(u), radius * np.sin(u)
        points = self.frame.place(first + across, second + along, v)
        height = zero if self.surface.axis is not None else v - third
        return points, self.sign * self.frame.place(across, along, height) / self.surface.radius

    @property
    def density(self) -> float:
        """The area of the image of a unit of u times a unit of v, the same everywhere (on spheres: Archimedes)."""
        return self.surface.radius if isinstance(self.surface, Round) else 1.0

    def values(self, v: NDArray) -> NDArray:
        """Return the u at which other surfaces meet the lines at v, (n, values)."""
        if isinstance(self.surface, Flat):
            circles, upright, _ = self.frame.section(np.full_like(v, self.surface.value))
            ends = [each[..., 0] for each in at_lying(circles, v[:, None])]
            return np.concatenate([*ends, upright], axis=1)
        circles, upright, lying = self.frame.section(v)
        first, second, _ = (self.surface.centre[i] for i in self.frame.order)
        centre = np.broadcast_to([first, second], (len(v), 2))
        own = np.concatenate([centre, self.radii(v)[:, None]], axis=1)[:, None]
        found = [*self.frame.meeting(own, circles), *at_upright(own, upright), *at_lying(own, lying)]
        points = np.concatenate(found, axis=1)
        return np.arctan2(points[..., 1] - second, points[..., 0] - first)

    def spans(self, v: NDArray) -> Spans:
        """Return the spans at v."""
        unit = 1.0 if isinstance(self.surface, Round) else self.size
        return find_spans(self.values(v), lambda row, u: self._is_part(*self.place(u, v[row])), unit, self.period)

    def _known(self) -> tuple[list[float], list[float], list[float], list[float]]:
        """Return v of planes across, of centres, and where chords of circles begin and end."""
        if isinstance(self.surface, Flat):
            circles, _, lying = self.frame.section(np.full(1, self.surface.value))
            middle, radius = circles[0][:, 1], circles[0][:, 2]
            begins, ends = (x[np.isfinite(x)].tolist() for x in (middle - radius, middle + radius))
            return lying[0][np.isfinite(lying[0])].tolist(), [], begins, ends
        axis, own = self.frame.axis, self.surface
        flat = [s.value for s in self.frame.surfaces if isinstance(s, Flat) and s.axis == axis]
        others = [(s.centre[axis], s) for s in self.frame.surfaces if isinstance(s, Round)]
        tubes = [(middle, s.radius) for middle, s in others if s.axis not in (None, axis)]
        near = np.array([self.patch.low, self.patch.high]) + np.array([1, -1]) * _NEAR * own.radius
        if own.axis is None and (self.spans(near).first >= 0).any():  # circles are cut up to the poles
            tubes.append((own.centre[axis], own.radius))
        begins, ends = ([middle + sign * radius for middle, radius in tubes] for sign in (-1, 1))
        return flat, [middle for middle, _ in others], begins, ends

    def _touches(self, v: NDArray) -> NDArray:
        """Return where both values of a curve coincide, so that spans may meet there, (n,)."""
        values, start = self.values(v), 0
        found = np.zeros(len(v), dtype=bool)
        for owners in self.frame.owners:
            one, two = (values[:, start + k * len(owners) : start + (k + 1) * len(owners)] for k in (0, 1))
            with np.errstate(invalid="ignore"):
                found |= (np.abs(np.sin((one - two) / 2)) < _TOUCH).any(axis=1)
            start += 2 * len(owners)
        return found

    def _panels(self) -> list[Panel]:
        """Return the panels of v with spans."""
        low, high, gap = self.patch.low, self.patch.high, _GAP * self.size
        known, middles, begins, ends = self._known()
        known = sorted({low, high, *(x for x in known if low + gap < x < high - gap)})
        found = []
        for one, two in pairwise(known):
            if two - one > 10 * gap:
                look = max(_LEAST_LOOK, round(_LOOK * (two - one) / (high - low)))
                found += find_changes(lambda v, _: self.spans(v).roles, one, two, look, gap)
        middles = np.array(sorted({x for x in middles if low < x < high}))
        if len(middles):
            found += middles[self._touches(middles)].tolist()
        panels = make_panels([*known, *found], [*begins, *found], [*ends, *found], gap)
        share = np.array([0.3, 0.6])
        inner = self.spans(np.concatenate([p.low + p.length * share for p in panels])).roles
        found = [(p, inner[2 * k : 2 * k + 2]) for k, p in enumerate(panels) if inner[2 * k : 2 * k + 2].any()]
        joined = _joined(found)
        is_whole = self.patch.is_disk and len(panels) == len(joined) == 1 and joined[0].length > high - low - gap
        return [replace(panel, vanishes=True) for panel in joined] if is_whole else joined

    @cached_property
    def cells(self) -> int:
        """The number of spans of all panels."""
        return len(self.spans(np.array([panel.low + 0.4 * panel.length for panel in self.panels])).row)

    # quadrature ------------------------------------------------------------------------------------------------------
    @cached_property
    def area(self) -> float:
        """The area."""
        v, weights = _positions([p.nodes(along_line("gauss"), _FINE, 1) for p in self.panels])
        spans = self.spans(v)
        return self.density * float(weights[spans.row] @ (spans.high - spans.low))

    def rule(self, spacing: float, rule: Rule, least: int) -> tuple[NDArray, NDArray, NDArray]:
        """Return points (n, 3), weights whose sum is the area, and outward normals (n, 3).

        The points are about ``spacing`` apart, at least ``least`` in each direction where the boundary does not change.
        """
        v, weights = _positions([p.nodes(rule, round(self._across(p) / spacing), least) for p in self.panels])
        spans = self.spans(v)
        v, weights = v[spans.row], weights[spans.row] * self.density
        length = spans.high - spans.low
        counts = np.round(self.radii(v) * length / spacing).astype(int)
        counts = np.maximum(counts, np.where(spans.first < 0, _ROUND, least))
        found = []
        for count, is_whole in {(int(c), bool(f < 0)) for c, f in zip(counts, spans.first, strict=True)}:
            own = (counts == count) & ((spans.first < 0) == is_whole)
            nodes, shares = _midpoints(count) if is_whole else rule(count)
            u = spans.low[own, None] + length[own, None] * nodes
            w = weights[own, None] * length[own, None] * shares
            found.append((u.ravel(), np.repeat(v[own], len(nodes)), w.ravel()))
        u, v, w = (np.concatenate(each) for each in zip(*found, strict=True))
        points, normals = self.place(u, v)
        return points, w, normals

    def _across(self, panel: Panel) -> float:
        """Return the length of lines on the surface from one end of a panel to the other, across the spans."""
        if isinstance(self.surface, Flat) or self.surface.axis is not None:
            return panel.length
        middle, radius = self.surface.centre[2], self.surface.radius
        low, high = (asin(max(-1.0, min(1.0, (x - middle) / radius))) for x in (panel.low, panel.high))
        return radius * (high - low)

    def random(self, n: int, unit: Callable[[int, int], NDArray]) -> tuple[NDArray, NDArray]:
        """Return n random points and their outward normals; ``unit(n, dim)`` are points in a unit cube."""
        spans = self.spans(np.concatenate([np.linspace(p.low, p.high, _FINE) for p in self.panels]))
        low, high = (spans.low.min(), spans.high.max()) if self.period is None else (0.0, 2 * pi)
        bottom, top = self.panels[0].low, self.panels[-1].high
        margin = 0.1 * (high - low) if self.period is None else 0.0  # spans between those positions may be longer
        low, high = low - margin, high + margin
        share = self.area / (self.density * (high - low) * (top - bottom))
        points, normals, count = [], [], 0
        while count < n:
            s, t = unit(max(16, round(1.2 * (n - count) / share)), 2).T
            x, normal = self.place(low + (high - low) * s, bottom + (top - bottom) * t)
            kept = self._is_part(x, normal)
            points.append(x[kept])
            normals.append(normal[kept])
            count += len(points[-1])
        return np.concatenate(points)[:n], np.concatenate(normals)[:n]

    def grid(self, spacing: float) -> tuple[NDArray, NDArray]:
        """Return points (n, 3) about ``spacing`` apart on the surface, and which of them are ends of spans, (n,)."""
        found = []
        for panel in self.panels:
            steps = max(1, round(self._across(panel) / spacing))
            share = np.arange(steps + 1) / steps
            v = panel.low + panel.length * share
            spans = self.spans(panel.low + panel.length * np.clip(share, _INSIDE, 1 - _INSIDE))
            lengths = self.radii(v)[spans.row] * (spans.high - spans.low)
            for row, low, high, length in zip(spans.row, spans.low, spans.high, lengths.tolist(), strict=True):
                u = np.linspace(low, high, round(length / spacing) + 1) if length > spacing else np.array([low, high])
                ends = np.ones(len(u), dtype=bool)
                ends[1:-1] = row in (0, steps)
                found.append((self.place(u, np.full(len(u), v[row]))[0], ends))
        points, ends = (np.concatenate(each) for each in zip(*found, strict=True))
        return points, ends


def _positions(nodes: Sequence[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    """Return the nodes of all panels, and their weights."""
    v, weights = (np.concatenate(each) for each in zip(*nodes, strict=True))
    return v, weights


def _midpoints(n: int) -> tuple[NDArray, NDArray]:
    """Return equidistant points, exact on whole circles for trigonometric polynomials."""
    return (np.arange(n) + 0.5) / n, np.full(n, 1 / n)


def _joined(panels: Sequence[tuple[Panel, NDArray]]) -> list[Panel]:
    """Return the panels, neighbours without a change between them as one."""
    joined: list[tuple[Panel, NDArray]] = []
    for panel, roles in panels:
        if joined:
            last, before = joined[-1]
            is_smooth = last.turns[1] > last.high == panel.low > panel.turns[0]
            if is_smooth and (before[-1] == roles[0]).all():
                joined[-1] = Panel(last.low, panel.high, (last.turns[0], panel.turns[1])), roles
                continue
        joined.append((panel, roles))
    return [panel for panel, _ in joined]
