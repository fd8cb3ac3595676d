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
_UPRIGHT = 1e-6


@dataclass(frozen=True)
class Branch:
    """A part of a piece, from s = ``begin`` to ``end``, on which x increases from ``left`` to ``right``.

    ``is_turned`` tells at which end the tangent is upright.
    """

    piece: Piece
    begin: float
    end: float
    left: float
    right: float
    is_turned: tuple[bool, bool]

    def heights(self, x: NDArray) -> NDArray:
        """Return y(x) for x between ``left`` and ``right``, by bisection."""
        low, high = np.full_like(x, self.begin), np.full_like(x, self.end)
        for _ in range(54):
            middle = (low + high) / 2
            is_left = self.piece.trace(middle)[0][:, 0] < x
            low, high = np.where(is_left, middle, low), np.where(is_left, high, middle)
        return self.piece.trace((low + high) / 2)[0][:, 1]


def branches(pieces: Sequence[Piece]) -> list[Branch]:
    """Return the parts of pieces on which x is monotone; upright lines have none."""
    found = []
    for piece in pieces:
        grid = np.linspace(0, 1, 2 * piece.samples + 1)
        rates = piece.trace(grid)[1]
        speed = np.linalg.norm(rates, axis=1).max()
        slope = rates[:, 0]
        if np.abs(slope).max() < 1e-13 * speed:
            continue
        turns = [
            root(lambda s, piece=piece: float(piece.trace(np.array([s]))[1][0, 0]), float(grid[k]), float(grid[k + 1]))
            for k, (one, two) in enumerate(pairwise(slope))
            if one * two < 0
        ]
        ends = [0.0, *turns, *grid[1:-1][slope[1:-1] == 0], 1.0]
        for one, two in pairwise(sorted(ends)):
            points, velocities = piece.trace(np.array([one, two]))
            turned = tuple(bool(abs(v[0]) < _UPRIGHT * speed) for v in velocities)
            order = 1 if points[0, 0] < points[1, 0] else -1
            (left, right), (begin, end), turned = points[:, 0][::order], (one, two)[::order], turned[::order]
            if right - left > 1e-14 * max(abs(left), abs(right)):
                found.append(Branch(piece, begin, end, float(left), float(right), (turned[0], turned[1])))
    return found


def chord_rule(
    parts: Sequence[Branch],
    upright: Sequence[float],
    spacing: float,
    rule: Rule,
    is_inside: Callable[[NDArray], NDArray],
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
        is_inside: from points (n, 2) to whether they lie inside, (n,).
    """
    scale = max(max(abs(b.left), abs(b.right)) for b in parts)
    cuts = _distinct(sorted([*(b.left for b in parts), *(b.right for b in parts), *upright]), 1e-13 * scale)
    x, weight = [], []
    for left, right in pairwise(cuts):
        turned = [
            any(b.is_turned[k] and abs((b.left, b.right)[k] - cut) < 1e-12 * scale for b in parts for k in (0, 1))
            for cut in (left, right)
        ]  # on the other side of the cut too: a square root is near there
        nodes, weights = rule(max(_LEAST * (1 + any(turned)), round((right - left) / spacing)))
        share, rate = _substitution(nodes, *turned)
        x.append(left + (right - left) * share)
        weight.append(weights * rate * (right - left))
    x, weight = np.concatenate(x), np.concatenate(weight)
    ends = np.full((len(x), len(parts)), np.nan)
    for k, branch in enumerate(parts):
        covered = (x > branch.left) & (x < branch.right)
        ends[covered, k] = branch.heights(x[covered])
    ends.sort(axis=1)
    return _along(x, weight, ends, spacing, rule, is_inside)


def _along(
    x: NDArray, weight: NDArray, ends: NDArray, spacing: float, rule: Rule, is_inside: Callable[[NDArray], NDArray]
) -> tuple[NDArray, NDArray]:
    """Return the points on the chords at x between each first and second of the sorted ``ends``, and their weights."""
    low, high = ends[:, 0 : ends.shape[1] // 2 * 2 : 2], ends[:, 1::2]
    row, column = np.nonzero(high > low)  # False for NaN
    low, high = low[row, column], high[row, column]
    inside = is_inside(np.stack([x[row], (low + high) / 2], axis=1))
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


def _substitution(t: NDArray, at_left: bool, at_right: bool) -> tuple[NDArray, NDArray]:
    """Return a function of t in [0, 1] and its derivative, quadratic at the ends where there is a square root."""
    if at_left and at_right:
        return np.sin(np.pi * t / 2) ** 2, np.pi / 2 * np.sin(np.pi * t)
    if at_left:
        return t**2, 2 * t
    return (1 - (1 - t) ** 2, 2 * (1 - t)) if at_right else (t, np.ones_like(t))


def _distinct(values: Sequence[float], gap: float) -> list[float]:
    kept = [values[0]]
    for value in values[1:]:
        if value - kept[-1] > gap:
            kept.append(value)
    return kept
