"""Quadrature inside combinations of solids: Gauss points on chords of sections, whose ends lie on the boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.crossings import Bounded
from kanpde.domains.rules import Rule, along_line
from kanpde.domains.spans import Panel, Spans, find_changes, find_spans, make_panels, merged, panels_between
from kanpde.domains.surfaces import Flat, Frame, Round, at_lying, equal_heights, touching

_TOUCH, _GAP, _JOIN = 1e-9, 2e-8, 1e-11  # in units of the size
_LOOK, _LEAST_LOOK = 96, 12  # sections in which changes are looked for
_FINE = 16  # points along a panel for the measure
_COARSE = 2  # length of the shortest panels with few points, in spacings
_GAUSS = along_line("gauss")


class Slices:
    """The sections of a combination of solids across an axis.

    In a section at c all boundaries are circles and lines along the other axes a and b. Between the b where two of them
    meet on the boundary, or a circle ends, chords along a have ends that are smooth functions of b. Between the c where
    such places appear or vanish, the integrals over sections are smooth functions of c.

    Args:
        shape: the combination.
        leaves: the solids that it combines.
        axis: 0, 1 or 2.
    """

    def __init__(self, shape: Bounded, leaves: Sequence[Any], axis: int):
        owned = [(patch.surface, leaf) for leaf in leaves for patch in leaf.patches()]
        self.shape, self.leaves = shape, leaves
        self.size = float(np.ptp(shape.bounds, axis=1).max())
        self.frame = Frame([surface for surface, _ in owned], axis, self.size)
        self._leaf_of = np.array([leaves.index(leaf) for _, leaf in owned])

    # places where sections change ------------------------------------------------------------------------------------
    def _on_boundary(self, points: NDArray, heights: NDArray, owners: NDArray) -> NDArray:
        """Return which points (m, k, 2) of sections lie on the boundaries of the shape and of their owners' leaves.

        ``owners`` are numbers of surfaces, (k, number of owners).
        """
        known = np.isfinite(points).all(axis=2)
        row, column = np.nonzero(known)
        x = self.frame.place(points[row, column, 0], points[row, column, 1], heights[row])
        on = np.abs(self.shape.level(x)) < _TOUCH * self.size
        row, column, x = row[on], column[on], x[on]
        kept = np.ones(len(x), dtype=bool)
        levels = np.array([np.abs(leaf.level(x)) < _TOUCH * self.size for leaf in self.leaves])
        for of in self._leaf_of[owners].T:
            kept &= levels[of[column], np.arange(len(x))]
        found = np.zeros_like(known)
        found[row[kept], column[kept]] = True
        return found

    def _corners(self, heights: NDArray, watched: NDArray | None = None) -> tuple[NDArray, NDArray, NDArray]:
        """Return the points where two curves meet (m, k, 2), their surfaces (k, 2), and which are on the boundary."""
        points, owners = self.frame.corners(self.frame.section(heights))
        if watched is not None:
            points = np.where(watched[..., None], points, np.nan)
        return points, owners, self._on_boundary(points, heights, owners)

    def _ends(self, heights: NDArray) -> tuple[NDArray, NDArray]:
        """Return the least b of circles (m, k) and then the largest ones, and whether these lie on the boundary."""
        circles, owner = self.frame.section(heights).circles, self.frame.owners[0]
        a, b, radius = circles[..., 0], circles[..., 1], circles[..., 2]
        b = np.concatenate([b - radius, b + radius], axis=1)
        points = np.stack([np.concatenate([a, a], axis=1), b], axis=-1)
        return b, self._on_boundary(points, heights, np.tile(owner, 2)[:, None])

    def _known(self) -> tuple[list[float], list[float], list[float], list[float]]:
        """Return c of planes across and of where surfaces begin and end; centres; and where cylinders begin and end."""
        c = self.frame.axis
        low, high = self.shape.bounds[c]
        known, middles, begins, ends = {float(low), float(high)}, set(), [], []
        for surface in self.frame.surfaces:
            if isinstance(surface, Flat):
                known |= {surface.value} if surface.axis == c else set()
            elif surface.axis != c:
                middle, radius = surface.centre[c], surface.radius
                known |= {middle - radius, middle + radius}
                middles.add(middle)
                if surface.axis is not None or self._meets_pole(surface):
                    begins.append(middle - radius)
                    ends.append(middle + radius)
        known |= set(equal_heights(self.frame.surfaces, c, 1e-7 * self.size))
        inside = [float(place) for place in known if low <= place <= high]
        return sorted(inside), sorted(x for x in middles if low < x < high), begins, ends

    def _meets_pole(self, ball: Round) -> bool:
        """Return whether other surfaces go through the first or last point of a sphere."""
        poles = np.array([ball.centre, ball.centre])
        poles[:, self.frame.axis] += [-ball.radius, ball.radius]
        return bool(sum((np.abs(leaf.level(poles)) < _TOUCH * self.size).any() for leaf in self.leaves) > 1)

    @cached_property
    def extent(self) -> tuple[float, float] | None:
        """The least and the largest c of the shape, without its panels; None if it is empty."""

        def hit(heights: NDArray, _: NDArray | None) -> NDArray:
            kept = np.concatenate([self._corners(heights)[2], self._ends(heights)[1]], axis=1)
            return (kept.sum(axis=1) > 0)[:, None]

        known, found = self._known()[0], []
        for order in (1, -1):
            for one, two in list(pairwise(known))[::order]:
                places = find_changes(hit, one, two, _LOOK // 2, _GAP * self.size)
                begin = (one, two)[::order][0]
                if hit(np.array([begin + order * 1e-7 * (two - one)]), None).any():
                    found.append(begin)
                elif places:
                    found.append(places[::order][0])
                else:
                    continue
                break
        return (found[0], found[1]) if len(found) == 2 else None

    @cached_property
    def panels(self) -> list[Panel]:
        """The panels of c, whose sections are not empty and change smoothly."""
        gap = _GAP * self.size
        known, middles, begins, ends = self._known()
        found = []
        for one, two in pairwise(known):
            if two - one > 10 * gap:
                look = max(_LEAST_LOOK, round(_LOOK * (two - one) / (known[-1] - known[0])))
                found += find_changes(lambda c, watched: self._corners(c, watched)[2], one, two, look, gap)
        if middles:  # where the corners of two surfaces may meet and part again
            places = np.array(middles)
            found += places[touching(*self._corners(places), _TOUCH**0.5 * self.size)].tolist()
        panels = make_panels([*known, *found], [*begins, *found], [*ends, *found], gap)
        share = np.array([0.2, 0.5, 0.8])
        heights = np.concatenate([panel.low + panel.length * share for panel in panels])
        row, b, _ = self.lines(heights, np.ones(len(heights)), None, _GAUSS, 1)
        hit = np.isin(np.arange(len(heights)), row[self.chords(heights[row], b).row]).reshape(len(panels), -1)
        return [panel for panel, is_hit in zip(panels, hit.sum(axis=1), strict=True) if is_hit]

    @cached_property
    def cells(self) -> float:
        """About how many parts of chords there are between places where sections and chords change."""
        heights = np.array([panel.low + 0.45 * panel.length for panel in self.panels])
        row, b, _ = self.lines(heights, np.ones(len(heights)), None, _GAUSS, 1)
        return len(self.chords(heights[row], b).row) / _FINE

    # chords ----------------------------------------------------------------------------------------------------------
    def lines(
        self, heights: NDArray, weights: NDArray, spacing: float | None, rule: Rule, least: int
    ) -> tuple[NDArray, NDArray, NDArray]:
        """Return lines along a across sections: the number of the section of each, b, and its weight.

        The lines are about ``spacing`` apart, at least ``least`` between all places where chords change; 1 leaves out
        most of these places if they are near others. Without a spacing there are 16 lines between these places.
        """
        points, owners, on = self._corners(heights)
        ends, is_end = self._ends(heights)
        count = ends.shape[1] // 2
        of_surface = np.full(len(self.frame.surfaces), -1)
        of_surface[self.frame.owners[0]] = np.arange(count)
        circle = of_surface[owners]  # of a corner; -1 for lines
        is_lying = np.isin(owners, self.frame.owners[2]).any(axis=1)
        found = []
        for i, weight in enumerate(weights):
            bottoms, tops = np.append(ends[i, :count], -np.inf), np.append(ends[i, count:], np.inf)
            first, last = np.nonzero(is_end[i, :count])[0], np.nonzero(is_end[i, count:])[0]
            b = np.concatenate([points[i, on[i], 1], bottoms[first], tops[last]])
            if len(b) < 2:
                continue
            none = np.full(count, np.inf)
            low = np.concatenate([bottoms[circle[on[i]]].max(axis=1), bottoms[first], -none[: len(last)]])
            high = np.concatenate([tops[circle[on[i]]].min(axis=1), none[: len(first)], tops[last]])
            order = np.argsort(b)
            panels = panels_between(b[order], low[order], high[order], _JOIN * self.size)
            if spacing and least == 1:
                panels = merged(panels, _COARSE * spacing, points[i, on[i] & is_lying, 1])
            for panel in panels:
                is_only = len(b) == 2 and panel.turns == (panel.low, panel.high)
                panel = replace(panel, vanishes=is_only)
                nodes, shares = panel.nodes(rule, round(panel.length / spacing) if spacing else _FINE, least)
                found.append((np.full(len(nodes), i), nodes, shares * weight))
        if not found:
            return np.empty(0, int), np.empty(0), np.empty(0)
        row, b, weight = (np.concatenate(each) for each in zip(*found, strict=True))
        return row, b, weight

    def chords(self, heights: NDArray, b: NDArray) -> Spans:
        """Return the chords along a at b and c = heights, (n,)."""
        circles, upright, _ = self.frame.section(heights)
        ends = [each[..., 0] for each in at_lying(circles, b[:, None])]

        def contains(row: NDArray, a: NDArray) -> NDArray:
            return self.shape.level(self.frame.place(a, b[row], heights[row])) < 0

        return find_spans(np.concatenate([*ends, upright], axis=1), contains, self.size)

    @cached_property
    def measure(self) -> float:
        """The volume."""
        nodes = [panel.nodes(_GAUSS, _FINE, 1) for panel in self.panels]
        heights, weights = (np.concatenate(each) for each in zip(*nodes, strict=True))
        row, b, weight = self.lines(heights, weights, None, _GAUSS, 1)
        chords = self.chords(heights[row], b)
        return float(weight[chords.row] @ (chords.high - chords.low))

    def rule(self, spacing: float, rule: Rule, least: int) -> tuple[NDArray, NDArray]:
        """Return points inside, (n, 3), about ``spacing`` apart, and positive weights, whose sum is the volume.

        There are at least ``least`` along each direction between places where the boundary changes, as in `lines`.
        """
        panels = self.panels
        if least == 1:
            walls = [s.value for s in self.frame.surfaces if isinstance(s, Flat) and s.axis == self.frame.axis]
            panels = merged(panels, _COARSE * spacing, np.array(walls))
        nodes = [panel.nodes(rule, round(panel.length / spacing), least) for panel in panels]
        heights, weights = (np.concatenate(each) for each in zip(*nodes, strict=True))
        row, b, weight = self.lines(heights, weights, spacing, rule, least)
        chords = self.chords(heights[row], b)
        b, c, weight, length = b[chords.row], heights[row][chords.row], weight[chords.row], chords.high - chords.low
        counts = np.maximum(least, np.round(length / spacing)).astype(int)
        found = []
        for count in np.unique(counts):
            own = counts == count
            shares, parts = rule(int(count))
            a = chords.low[own, None] + length[own, None] * shares
            x = self.frame.place(a.ravel(), np.repeat(b[own], len(shares)), np.repeat(c[own], len(shares)))
            found.append((x, (weight[own, None] * length[own, None] * parts).ravel()))
        points, weights = (np.concatenate(each) for each in zip(*found, strict=True))
        return points, weights
