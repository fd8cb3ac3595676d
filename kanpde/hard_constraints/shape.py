r"""Values given on closed smooth walls of a shape that do not meet, and at the beginning, built into an unknown.

With $\omega_k$ the level of wall k, which vanishes there, and $G_k$ its values continued into the domain
(`kanpde.hard_constraints.walls`), $D = \prod_k 2 \omega_k / \max 2 \omega_k$ and
$$G = \sum_k G_k \prod_{j \ne k} d_j \Big/ \sum_k \prod_{j \ne k} d_j, \qquad d_k = \omega_k l_k,$$
which is inverse-distance blending: $d_k$ is about the distance from wall k, $l_k$ its shortest semi-axis (V. Rvachev et
al., Transfinite interpolation over implicitly defined sets, Comput. Aided Geom. Design 18, 2001). The denominator has
zeros at complex points, which the network must then learn. In the plane, functions on several walls without initial
values are therefore built in as in Newton's interpolation, $G = \sum_k C_k \prod_{j < k} \omega_j$, where $C_k$
continues the values $(g_k - \sum_{i < k} C_i \prod_{j < i} \omega_j) / \prod_{j < k} \omega_j$ on wall k.

With initial values S at $t_0$, $G$ gets $S$ in addition, $G_k$ becomes the change of the values since $t_0$, so that it
vanishes then, and D has the factor $(t - t_0) / T$. On the walls this is right because there S has the values at $t_0$.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from kanpde.calculus.field import Field, constant
from kanpde.calculus.systems import Scalar
from kanpde.hard_constraints.interpolant import Interpolant
from kanpde.hard_constraints.walls import Coords, Wall


@dataclass(frozen=True, eq=False)
class Begin:
    """Initial values: a number or a function of all coordinates, and the range of t."""

    times: tuple[float, float]
    value: Scalar

    def at_begin(self, coords: Coords) -> Any:
        """Return the values, which do not depend on t."""
        if not callable(self.value):
            return self.value
        *space, t = coords
        return self.value(*space, constant(t.context, self.times[0]))


@dataclass(frozen=True, eq=False)
class ShapeValues:
    """Lift and distance of one unknown.

    Attributes:
        walls: each with its values, which with `start` are their change since the beginning: a number, an interpolant,
            or a function of all coordinates, which is its own continuation.
        start: the initial values; None if they are not built in.
        is_nested: whether the walls have the coefficients of `nested` in place of their values.
    """

    walls: Sequence[tuple[Wall, Scalar]]
    start: Begin | None = None
    is_nested: bool = False

    def distance(self, coords: Coords) -> Field:
        """Return D."""
        factors = [(2 / wall.largest) * wall.level(coords) for wall, _ in self.walls]
        if self.start is not None:
            begin, end = self.start.times
            factors.append((coords[-1] - begin) * (1 / (end - begin)))
        return _product(factors)

    def lift(self, coords: Coords) -> Any:
        """Return G."""
        first = 0.0 if self.start is None else self.start.at_begin(coords)
        if self.is_nested:
            return _sum(self.walls, coords)[0] + first
        values = [_continued(wall, value, coords) for wall, value in self.walls]
        if all(isinstance(value, float) and value == 0 for value in values):
            return first
        if len(values) == 1:
            return values[0] + first
        gaps = [wall.level(coords) * wall.length for wall, _ in self.walls]
        shares = [_product([gap for j, gap in enumerate(gaps) if j != k]) for k in range(len(gaps))]
        total = reduce(lambda a, b: a + b, (share * value for share, value in zip(shares, values, strict=True)))
        return total / reduce(lambda a, b: a + b, shares) + first

    # in a file -------------------------------------------------------------------------------------------------------
    def describe(self) -> dict[str, Any] | None:
        """Return the values as plain values; None if some are functions of the user."""
        walls = []
        for wall, value in self.walls:
            if callable(value) and not isinstance(value, Interpolant):
                return None
            plain = value.describe() if isinstance(value, Interpolant) else float(value)
            walls.append({**wall.describe(), "value": plain})
        start = None
        if self.start is not None:
            if callable(self.start.value):
                return None
            start = {"times": list(self.start.times), "value": float(self.start.value)}
        return {"kind": "ShapeValues", "walls": walls, "start": start, "is_nested": self.is_nested}

    @staticmethod
    def from_description(description: Mapping[str, Any]) -> ShapeValues:
        """Return the values that `describe` described."""
        walls = [
            (
                Wall.from_description(each),
                Interpolant.from_description(each["value"]) if isinstance(each["value"], dict) else each["value"],
            )
            for each in description["walls"]
        ]
        start = description["start"]
        begin = None if start is None else Begin(tuple(start["times"]), start["value"])
        return ShapeValues(walls, begin, description.get("is_nested", False))  # files before 27 November 2026 lack it


def nested(walls: Sequence[tuple[Wall, Scalar]]) -> list[tuple[Wall, Scalar]] | None:
    """Return the walls with the coefficients $C_k$ in place of their values, those of holes last.

    None if there are no functions on several walls of the plane, or if no interpolant resolves a coefficient.
    """
    is_plane = all(len(wall.centre) == 2 for wall, _ in walls)
    if len(walls) < 2 or not is_plane or not any(isinstance(value, Interpolant) for _, value in walls):
        return None
    first, *others = sorted(walls, key=lambda each: each[0].is_hole)
    found = [first]
    for wall, value in others:

        def remainder(*coords: Field, wall: Wall = wall, value: Scalar = value) -> Any:
            total, product = _sum(found, coords)
            return (_continued(wall, value, coords) - total) / product

        coefficient = wall.interpolant(remainder, None)
        if coefficient is None:
            return None
        found.append((wall, coefficient))
    return found


def _sum(walls: Sequence[tuple[Wall, Scalar]], coords: Coords) -> tuple[Any, Any]:
    """Return the sum of the coefficients times the levels of the walls before them, and the product of all levels."""
    total, product = 0.0, 1.0
    for wall, value in walls:
        total = total + product * _continued(wall, value, coords)
        product = product * wall.level(coords)
    return total, product


def _continued(wall: Wall, value: Scalar, coords: Coords) -> Any:
    if isinstance(value, Interpolant):
        return wall.continued(value, coords)
    return value(*coords) if callable(value) else float(value)


def _product(factors: Sequence[Field]) -> Field:
    return reduce(lambda a, b: a * b, factors)
