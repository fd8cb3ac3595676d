"""Quadrature in the interior of a shape in the plane: Gauss points on chords, whose ends lie on the exact boundary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.crossings import Piece, root
from kanpde.domains.rules import Rule

_LEAST = 4  # points between two cuts and on a chord; twice as many where there is a square root
_FAR = 2.0  # square roots farther away, in lengths of the interval, do no harm


@dataclass(frozen=True)
class Branch:
    """A part of a piece, from s = ``begin`` to ``end``, on which x increases from ``left`` to ``right``.

    ``turns`` are the x of the nearest upright tangents at or beyond both ends, where the arc goes on so far. There y(x)
    has square roots.
    """

    piece: Piece
    begin: float
    end: float
    left: float
    right: float
    turns: tuple[float, float]

    def heights(self, x: NDArray) -> NDArray:
        """Return y(x) for x between ``left`` and ``right``, by Newton's iteration in a bracket, else bisection."""
        low, high = np.full_like(x, self.begin), np.full_like(x, self.end)
        s = self.begin + (self.end - self.begin) * (x - self.left) / (self.right - self.left)
        resolution = 4e-16 * max(abs(self.left), abs(self.right))
        for _ in range(60):
            points, rates = self.piece.trace(s)
            gap = points[:, 0] - x
            low, high = np.where(gap < 0, s, low), np.where(gap < 0, high, s)
            with np.errstate(divide="ignore", invalid="ignore"):
                following = s - gap / rates[:, 0]
            is_between = (following - low) * (following - high) <= 0  # False for NaN
            following = np.where(is_between, following, (low + high) / 2)
            is_found = (np.abs(gap) <= resolution) | (np.abs(following - s) <= 4e-16)
            if is_found.all():
                break
            s = np.where(is_found, s, following)
        return self.piece.trace(s)[0][:, 1]


def branches(pieces: Sequence[Piece]) -> list[Branch]:
    """Return the parts of pieces on which x is monotone; upright lines have none."""
    found = []
    for piece in pieces:
        turns = _turns(piece)
        if turns is None:
            continue
        ends = [0.0, *(s for s in turns if 0 < s < 1), 1.0]
        for one, two in pairwise(ends):
            (left, right), order = piece.trace(np.array([one, two]))[0][:, 0], 1
            if left > right:
                left, right, order = right, left, -1
            if right - left <= 1e-14 * max(abs(left), abs(right)):
                continue
            beyond = [
                max([s for s in turns if s <= one], default=None),
                min([s for s in turns if s >= two], default=None),
            ]
            bounds = [
                b if s is None else float(piece.trace(np.array([s]))[0][0, 0])
                for s, b in zip(beyond[::order], (-np.inf, np.inf), strict=True)
            ]
            begin, end = (one, two)[::order]
            found.append(Branch(piece, begin, end, float(left), float(right), (bounds[0], bounds[1])))
    return found


def _turns(piece: Piece) -> list[float] | None:
    """Return the s of upright tangents, also beyond the piece where its arc goes on; None if all are upright."""
    # the ends of the arc, as far as it can be followed, in the parameter of the piece
    low, high = sorted(
        (end - piece.begin) / (piece.end - piece.begin) for end in (-piece.arc.margin, 1 + piece.arc.margin)
    )
    count = 2 * max(4, round(piece.arc.samples * (1 + 2 * piece.arc.margin)))
    grid = np.unique(np.concatenate([np.linspace(low, high, count + 1), [0.0, 1.0]]))
    rates = piece.trace(grid)[1]
    slope = rates[:, 0] / np.linalg.norm(rates, axis=1).max()
    steepest = np.abs(slope).max()
    if steepest < 1e-13:
        return None
    slope[np.abs(slope) < 1e-9 * steepest] = 0.0  # x differs from that of the true zero by its square
    crossed = [
        root(lambda s: float(piece.trace(np.array([s]))[1][0, 0]), float(grid[k]), float(grid[k + 1]))
        for k, (one, two) in enumerate(pairwise(slope))
        if one * two < 0
    ]
    return sorted([*crossed, *map(float, grid[slope == 0])])


def chord_rule(
    parts: Sequence[Branch],
    upright: Sequence[float],
    spacing: float,
    rule: Rule,
    level: Callable[[NDArray], NDArray],
) -> tuple[NDArray, NDArray]:
    """Return points (n, 2) about ``spacing`` apart inside a closed boundary, and positive weights that sum to its area.

    The area is cut at every x where the boundary has an end or an upright tangent. Between two cuts the ends of the
    chords at x are smooth functions of x, with a square root at upright tangents, which a substitution removes. Gauss
    rules in x and along the chords therefore converge exponentially.

    Args:
        parts: the monotone parts of the boundary.
        upright: the x of upright lines of the boundary.
        spacing: mean distance of the points along x and along the chords.
        rule: one-dimensional rule.
        level: from points (n, 2) to numbers (n,) that are negative inside and positive outside.
    """
    scale = max(max(abs(b.left), abs(b.right)) for b in parts)
    cuts = _distinct(sorted([*(b.left for b in parts), *(b.right for b in parts), *upright]), 1e-13 * scale)
    x, weight = [], []
    for left, right in pairwise(cuts):
        turns = _near(parts, left, right, 1e-12 * scale)
        nodes, weights = rule(max(_LEAST * (1 + any(t is not None for t in turns)), round((right - left) / spacing)))
        beyond, rate = _substitution(nodes, left, right, *turns)
        x.append(left + beyond)
        weight.append(weights * rate)
    x, weight = np.concatenate(x), np.concatenate(weight)
    ends = np.full((len(x), len(parts)), np.nan)
    for k, branch in enumerate(parts):
        covered = (x > branch.left) & (x < branch.right)
        ends[covered, k] = branch.heights(x[covered])
    ends.sort(axis=1)
    return _along(x, weight, ends, spacing, rule, level)


def _along(
    x: NDArray, weight: NDArray, ends: NDArray, spacing: float, rule: Rule, level: Callable[[NDArray], NDArray]
) -> tuple[NDArray, NDArray]:
    """Return the points on the chords at x between each first and second of the sorted ``ends``, and their weights."""
    low, high = ends[:, 0 : ends.shape[1] // 2 * 2 : 2], ends[:, 1::2]
    row, column = np.nonzero(high > low)  # False for NaN
    low, high = low[row, column], high[row, column]
    probes = [level(np.stack([x[row], low + share * (high - low)], axis=1)) for share in (0.31, 0.5, 0.73)]
    probes = np.array(probes)  # one of them may lie where two operands touch each other; there the level is 0
    inside = np.take_along_axis(probes, np.abs(probes).argmax(axis=0)[None], axis=0)[0] < 0
    row, low, high = row[inside], low[inside], high[inside]
    counts = np.maximum(_LEAST, np.round((high - low) / spacing)).astype(int)
    points, weights = [], []
    for count in np.unique(counts):
        own = counts == count
        nodes, shares = rule(int(count))
        length = (high - low)[own, None]
        y = low[own, None] + length * nodes
        points.append(np.stack([np.broadcast_to(x[row[own], None], y.shape), y], axis=-1).reshape(-1, 2))
        weights.append((weight[row[own], None] * length * shares).ravel())
    return np.concatenate(points), np.concatenate(weights)


def _near(parts: Sequence[Branch], left: float, right: float, rounding: float) -> list[float | None]:
    """Return the x of the nearest square root at or before ``left``, and at or after ``right``; None if it is far."""
    found: list[float | None] = []
    for k, (cut, sign) in enumerate(((left, 1), (right, -1))):
        gaps = [
            sign * (cut - b.turns[k])
            for b in parts
            if b.left - rounding <= left and right <= b.right + rounding  # it covers the interval
        ]
        # a boundary that turns at the cut on its other side is near too
        gaps += [
            0.0
            for b in parts
            for turn, end in zip(b.turns, (b.left, b.right), strict=True)
            if turn == end and abs(end - cut) < rounding
        ]
        gap = max(min(gaps, default=np.inf), 0.0)
        found.append(cut - sign * (gap if gap > rounding else 0.0) if gap < _FAR * (right - left) else None)
    return found


def _substitution(
    t: NDArray, left: float, right: float, before: float | None, after: float | None
) -> tuple[NDArray, NDArray]:
    """Return x - left and dx/dt for t in [0, 1], where x(t) removes square roots of x - before and after - x."""
    if before is not None and after is not None:
        half = (after - before) / 2
        first, last = (2 * np.arcsin(np.sqrt((end - before) / (2 * half))) for end in (left, right))
        angle = first + (last - first) * t
        return 2 * half * np.sin((angle + first) / 2) * np.sin((angle - first) / 2), half * (last - first) * np.sin(
            angle
        )
    if before is not None:
        first, last = (np.sqrt(end - before) for end in (left, right))
        step = (last - first) * t
        return step * (2 * first + step), 2 * (last - first) * (first + step)
    if after is not None:
        beyond, rate = _substitution(1 - t, -right, -left, -after, None)
        return right - left - beyond, rate
    return (right - left) * t, np.full_like(t, right - left)


def _distinct(values: Sequence[float], gap: float) -> list[float]:
    kept = [values[0]]
    for value in values[1:]:
        if value - kept[-1] > gap:
            kept.append(value)
    return kept
