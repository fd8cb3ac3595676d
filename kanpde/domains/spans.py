"""The stretches of lines and circles that lie in a set, where they begin and end, and where this changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import asin, ceil, inf, log2

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from kanpde.domains.rules import Rule

_NONE, _SAME = 1e-13, 1e-9  # of lengths, in units of the size
_ANYWHERE = (0.13, 0.47, 0.81)  # on a circle that lies in a set as a whole or not at all
_ROUNDS = 8
_ROWS, _MOST_PARTS, _BITS = 128, 32, 44  # of places in one step of a search; of its result
_NEAR = 1e-7  # of the length of a panel, from its ends


@dataclass(frozen=True)
class Spans:
    """Stretches of the lines ``row`` from ``low`` to ``high``, each (spans,).

    ``first`` is the number of the value at ``low``, the smallest one of those that coincide there; -1 for a whole
    circle. ``roles`` (lines, values + 1) tells which values are beginnings (1) and ends (2), and in its last column
    whether the line is a whole circle.
    """

    row: NDArray
    low: NDArray
    high: NDArray
    first: NDArray
    roles: NDArray


def find_spans(
    values: Float[np.ndarray, "lines values"],
    contains: Callable[[NDArray, NDArray], NDArray],
    size: float,
    period: float | None = None,
) -> Spans:
    """Return the stretches between values, in any order and NaN if there is none, that lie in a set.

    Args:
        values: where each line may enter or leave the set.
        contains: from the numbers of lines (n,) and places on them (n,) to whether these lie in the set, (n,).
        size: unit of lengths.
        period: of places on circles; None for lines, which begin and end outside.
    """
    m, count = values.shape
    order = np.argsort(values, axis=1)
    sorted_ = np.take_along_axis(values, order, axis=1)
    known = np.isfinite(sorted_)
    total = known.sum(axis=1)
    after = np.full_like(sorted_, np.nan)
    after[:, :-1] = sorted_[:, 1:]
    if period is not None and count:
        rows = np.nonzero(total)[0]
        after[rows, total[rows] - 1] = sorted_[rows, 0] + period
    with np.errstate(invalid="ignore"):
        is_long = after - sorted_ > _NONE * size
    state = np.zeros((m, count), dtype=bool)
    row, column = np.nonzero(is_long)
    state[row, column] = contains(row, (sorted_[row, column] + after[row, column]) / 2)
    # before each value: the last stretch that is one, because values that coincide have none between them
    last = np.maximum.accumulate(np.where(is_long, np.arange(count), -1), axis=1)
    before = np.full_like(last, -1)
    before[:, 1:] = last[:, :-1]
    if period is not None and count:
        before = np.where(before < 0, last[:, -1:], before)
    was = np.take_along_axis(state, np.maximum(before, 0), axis=1) & (before >= 0)
    state = np.where(known & ~is_long & np.isfinite(after), was, state)
    begins, ends = known & state & ~was, known & was & ~state
    whole = np.zeros(m, dtype=bool)
    if period is not None:
        none = np.nonzero(total == 0)[0]
        places = np.repeat(_ANYWHERE, len(none)) * period
        whole[none] = contains(np.tile(none, len(_ANYWHERE)), places).reshape(len(_ANYWHERE), -1).all(axis=0)
        whole |= (total > 0) & (state | ~known).all(axis=1) & ~begins.any(axis=1)
    return _paired(values, order, sorted_, begins, ends, whole, size, period)


def _paired(
    values: NDArray,
    order: NDArray,
    sorted_: NDArray,
    begins: NDArray,
    ends: NDArray,
    whole: NDArray,
    size: float,
    period: float | None,
) -> Spans:
    """Return the spans from each beginning to the next end."""
    row, column = np.nonzero(begins)
    end_row, end_column = np.nonzero(ends)
    low, stops = sorted_[row, column], sorted_[end_row, end_column]
    number, end_number = order[row, column], order[end_row, end_column]
    per_row = begins.sum(axis=1)
    start = np.cumsum(per_row) - per_row
    rank = np.arange(len(row)) - start[row]
    if period is None or not len(row):
        high = stops
    else:
        is_late = np.zeros(len(values), dtype=bool)  # the first end belongs to the last beginning
        has = per_row > 0
        is_late[has] = stops[start[has]] < low[start[has]]
        target = rank + is_late[row]
        is_round = target == per_row[row]
        high = stops[start[row] + np.where(is_round, 0, target)] + period * is_round
    number, end_number = (_lowest(values, r, k, size, period) for r, k in ((row, number), (end_row, end_number)))
    roles = np.zeros((values.shape[0], values.shape[1] + 1), dtype=np.int8)
    roles[row, number] += 1
    roles[end_row, end_number] += 2
    circles = np.nonzero(whole)[0]
    roles[circles, -1] = 1
    none = np.zeros(len(circles))
    return Spans(
        np.concatenate([row, circles]),
        np.concatenate([low, none]),
        np.concatenate([high, none + (period or 0.0)]),
        np.concatenate([number, none.astype(int) - 1]),
        roles,
    )


def _lowest(values: NDArray, row: NDArray, number: NDArray, size: float, period: float | None) -> NDArray:
    """Return the smallest number of the values that coincide with given ones of their lines."""
    if not len(row):
        return number
    gap = np.abs(values[row] - values[row, number][:, None])
    if period is not None:
        gap = np.minimum(gap, np.abs(gap - period))
    with np.errstate(invalid="ignore"):
        return (gap < _SAME * size).argmax(axis=1)


# along the lines' positions ------------------------------------------------------------------------------------------
# from places (m,) and which columns are of interest (m, columns; None: all) to values (m, columns)
Signature = Callable[[NDArray, NDArray | None], NDArray]


def find_changes(signature: Signature, low: float, high: float, count: int, gap: float) -> list[float]:
    """Return the places between ``low`` and ``high`` at which a piecewise constant function changes, by sections.

    Changes are seen if the function differs at neighbouring ones of ``count`` places, and are at least ``gap`` apart.
    """
    share = np.concatenate([[_NEAR], (np.arange(count) + 0.5) / count, [1 - _NEAR]])
    places = low + (high - low) * share
    known = signature(places, None)
    left, right, of_left, of_right = places[:-1], places[1:], known[:-1], known[1:]
    found: list[float] = []
    for _ in range(_ROUNDS):
        differs = (of_left != of_right).any(axis=1)
        left, right, of_left, of_right = left[differs], right[differs], of_left[differs], of_right[differs]
        if not len(left):
            break
        end = _first_changes(signature, left, right, of_left, of_left != of_right)
        found.extend(end.tolist())
        left = end + gap  # there may be another one behind it
        is_on = left < right
        left, right, of_right = left[is_on], right[is_on], of_right[is_on]
        of_left = signature(left, None) if len(left) else of_right
    return sorted(found)


def _first_changes(signature: Signature, begin: NDArray, end: NDArray, of_begin: NDArray, watched: NDArray) -> NDArray:
    """Return for each interval where a watched column changes first."""
    parts = int(np.clip(_ROWS // len(begin), 2, _MOST_PARTS))
    row = np.arange(len(begin))
    for _ in range(ceil(_BITS / log2(parts))):
        inner = begin[:, None] + (end - begin)[:, None] * np.arange(1, parts) / parts
        values = signature(inner.ravel(), np.repeat(watched, parts - 1, axis=0)).reshape(len(begin), parts - 1, -1)
        is_other = ((values != of_begin[:, None]) & watched[:, None]).any(axis=2)
        column = np.where(is_other.any(axis=1), is_other.argmax(axis=1), parts - 1)
        every = np.concatenate([begin[:, None], inner, end[:, None]], axis=1)
        begin, end = every[row, column], every[row, column + 1]
    return end


@dataclass(frozen=True)
class Panel:
    """A range without a change inside.

    The integrand may have square roots at the places ``turns``, at or below ``low``, and at or above ``high``; infinite
    if there is none. If it ``vanishes``, it is one at both ends, times a smooth function.
    """

    low: float
    high: float
    turns: tuple[float, float] = (-inf, inf)
    vanishes: bool = False

    @property
    def length(self) -> float:
        """high - low."""
        return self.high - self.low

    def nodes(self, rule: Rule, count: int, least: int) -> tuple[NDArray, NDArray]:
        """Return about ``count`` nodes between the ends, and weights whose sum is the length up to quadrature errors.

        There are at least ``least`` nodes, and twice as many with square roots near. Where the integrand vanishes
        these are Chebyshev's nodes of the second kind. With square roots nearer than the length, the rule is used in a
        variable in which the integrand is smooth.
        """
        below, above = self.turns
        is_below, is_above = self.low - below < self.length, above - self.high < self.length
        count = max(least * (1 + (is_below or is_above)), count)
        if self.vanishes:
            angle = np.pi * np.arange(1, count + 1) / (count + 1)
            share, weights = (1 - np.cos(angle)) / 2, np.pi / 2 * np.sin(angle) / (count + 1)
            return self.low + self.length * share, self.length * weights
        share, weights = rule(count)
        if is_below and is_above:
            width = above - below
            one, two = (asin(min(1.0, max(0.0, (x - below) / width)) ** 0.5) for x in (self.low, self.high))
            angle = one + (two - one) * share
            return below + width * np.sin(angle) ** 2, (two - one) * weights * width * np.sin(2 * angle)
        if not is_below and not is_above:
            return self.low + self.length * share, self.length * weights
        turn, sign = (below, 1) if is_below else (above, -1)
        one, two = (max(0.0, sign * (x - turn)) ** 0.5 for x in (self.low, self.high))
        root = one + (two - one) * share
        return turn + sign * root**2, abs(two - one) * weights * 2 * root


def make_panels(cuts: Sequence[float], begins: Sequence[float], ends: Sequence[float], gap: float) -> list[Panel]:
    """Return the panels between cuts in any order; square roots begin above and end below some places."""
    places = np.array(sorted(cuts))
    below = np.array([-np.inf, *sorted(begins)])
    above = np.array([*sorted(ends), np.inf])
    rounding = 1e-14 * np.abs(places)
    low = below[np.searchsorted(below, places + rounding, side="right") - 1]
    high = above[np.searchsorted(above, places - rounding)]
    return panels_between(places, low, high, gap)


def panels_between(cuts: NDArray, low: NDArray, high: NDArray, gap: float) -> list[Panel]:
    """Return the panels between sorted cuts (n,); those nearer than ``gap`` are one.

    ``low`` (n,) are the places of square roots at or below the panels that begin at each cut, and ``high`` those at or
    above the panels that end there.
    """
    panels: list[Panel] = []
    begin, below = float(cuts[0]), float(low[0])
    for cut, one, two in zip(cuts[1:].tolist(), low[1:].tolist(), high[1:].tolist(), strict=True):
        if cut - begin > gap:
            panels.append(Panel(begin, cut, (below, two)))
            begin, below = cut, one
        else:
            below = max(below, one)
            if panels:
                panels[-1] = replace(panels[-1], turns=(panels[-1].turns[0], min(panels[-1].turns[1], two)))
    return panels


def merged(panels: Sequence[Panel], least: float, walls: NDArray) -> list[Panel]:
    """Return the panels, those shorter than ``least`` together with neighbours, unless there are walls between them.

    Walls (n,) are places where the integrand jumps.
    """
    found: list[Panel] = []
    for panel in panels:
        if found:
            last = found[-1]
            is_open = last.high == panel.low and not np.isclose(walls, panel.low, rtol=1e-12, atol=0).any()
            if is_open and (last.length < least or panel.length < least / 2):
                panel = Panel(last.low, panel.high, (last.turns[0], panel.turns[1]))
                found.pop()
        found.append(panel)
    return found
