"""The boundary, the quadrature rules and the corners of a shape in the plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from math import atan2, pi

import meshio
import numpy as np
from numpy.typing import NDArray

from kanpde.domains.arcs import enclosed, right_of
from kanpde.domains.chords import branches, chord_rule
from kanpde.domains.corners import CornerPoint
from kanpde.domains.crossings import Bounded, Leaf, Piece, boundary_pieces
from kanpde.domains.rules import Rule, along_line
from kanpde.domains.triangulation import measure_of, triangulate
from kanpde.errors import InputError

_GAUSS = along_line("gauss")
_JOIN, _SMOOTH = 1e-8, 1e-3  # in units of the size; radians
_LEAST_AREA, _MOST_HALVINGS = 0.9, 5  # share of the area that a mesh has; of its spacing


class Planar:
    """The geometry of a combination ``shape`` of ``leaves`` in the plane.

    Raises:
        InputError: nothing is left of the combination.
    """

    def __init__(self, shape: Bounded, leaves: Sequence[Leaf]):
        self.pieces = boundary_pieces(shape, leaves)
        if not self.pieces:
            raise InputError(
                f"Nothing is left of {shape}: the shape is empty. Check the places and sizes of its operands."
            )
        self.shape = shape
        ends = np.concatenate([piece.trace(np.linspace(0, 1, piece.samples + 1))[0] for piece in self.pieces])
        self.bounds = np.stack([ends.min(axis=0), ends.max(axis=0)], axis=1)
        self.size = float(np.ptp(self.bounds, axis=1).max())
        self._branches = branches(self.pieces)
        self._upright = [
            float(p.trace(np.zeros(1))[0][0, 0]) for p in self.pieces if p not in {b.piece for b in self._branches}
        ]

    # parts of the boundary -------------------------------------------------------------------------------------------
    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The names of the parts of the boundary."""
        return tuple(dict.fromkeys(label for piece in self.pieces for label in piece.arc.labels))

    @cached_property
    def lengths(self) -> list[float]:
        """The length of every piece."""
        return [float(_along(piece, 2 * piece.samples + 16, _GAUSS)[1].sum()) for piece in self.pieces]

    def belonging(self, label: str | None) -> list[int]:
        """Return the indices of the pieces of a part; of the whole boundary for None."""
        return [i for i, piece in enumerate(self.pieces) if label is None or label in piece.arc.labels]

    def extent(self, label: str | None) -> float:
        """Return the length of a part of the boundary."""
        return sum(self.lengths[i] for i in self.belonging(label))

    def faces(self, label: str | None) -> int:
        """Return how many sides of a square of the shape's area are as long as a part."""
        return max(1, round(self.extent(label) / self.measure**0.5))

    def on_boundary(self, label: str | None, n: int, rule: Rule) -> tuple[NDArray, NDArray, NDArray]:
        """Return about n points on a part, (n, 2), their weights, whose sum is its length, and outward normals."""
        found = [
            _along(self.pieces[i], max(2, round(n * self.lengths[i] / self.extent(label))), rule)
            for i in self.belonging(label)
        ]
        points, weights, normals = (np.concatenate(each) for each in zip(*found, strict=True))
        return points, weights, normals

    def random_on_boundary(
        self, label: str | None, n: int, unit: Callable[[int, int], NDArray]
    ) -> tuple[NDArray, NDArray, NDArray]:
        """Return random points as `on_boundary`; ``unit(n, dim)`` are about n points in a unit cube."""

        def line(count: int) -> tuple[NDArray, NDArray]:
            nodes = unit(count, 1)[:, 0]
            return nodes, np.full(len(nodes), 1 / len(nodes))

        return self.on_boundary(label, n, line)

    # the interior ----------------------------------------------------------------------------------------------------
    @cached_property
    def measure(self) -> float:
        """The area."""
        return enclosed(self.pieces)

    def inside(self, n: int, rule: Rule) -> tuple[NDArray, NDArray]:
        """Return about n points inside, (n, 2), and positive weights, whose sum is the area."""

        def trial(spacing: float) -> tuple[NDArray, NDArray]:
            return chord_rule(self._branches, self._upright, spacing, rule, self.shape.level)

        spacing = (self.measure / n) ** 0.5
        points, weights = trial(spacing)
        for _ in range(2):
            if not 0.85 < len(points) / n < 1.15:
                spacing *= (len(points) / n) ** 0.5
                points, weights = trial(spacing)
        return points, weights

    # loops and corners -----------------------------------------------------------------------------------------------
    @cached_property
    def loops(self) -> list[list[int]]:
        """The pieces in the order in which they follow one another, one list for every closed curve."""
        starts, ends = (np.concatenate([p.trace(np.array([s]))[0] for p in self.pieces]) for s in (0.0, 1.0))
        rest, found = list(range(len(self.pieces))), []
        while rest:
            loop = [rest.pop(0)]
            while np.linalg.norm(ends[loop[-1]] - starts[loop[0]]) > _JOIN * self.size and rest:
                loop.append(rest.pop(int(np.linalg.norm(starts[rest] - ends[loop[-1]], axis=1).argmin())))
            found.append(loop)
        return found

    @cached_property
    def separate_parts(self) -> int:
        """The number of disconnected parts, each of which has one curve around it."""
        return sum(enclosed([self.pieces[i] for i in loop]) > 0 for loop in self.loops)

    def corners(self) -> list[CornerPoint]:
        """Return the re-entrant corners, whose interior angle is larger than 180 degrees."""
        found = []
        for loop in self.loops:
            for one, two in zip(loop, [*loop[1:], loop[0]], strict=True):
                before, after = self.pieces[one], self.pieces[two]
                at, first = after.trace(np.zeros(1))
                (a, b), (c, d) = before.trace(np.ones(1))[1][0], first[0]
                angle = float(pi - atan2(a * d - b * c, a * c + b * d))
                if angle > pi + _SMOOTH:
                    place = (float(at[0, 0]), float(at[0, 1]))
                    parts = before.arc.labels[-1], after.arc.labels[-1]
                    found.append(CornerPoint(place, angle, parts, direction=atan2(d, c)))
        return found

    def polylines(self, spacing: float) -> list[NDArray]:
        """Return every closed curve as points (k, 2) at most ``spacing`` apart."""
        lines = []
        for loop in self.loops:
            least = 2 if len(loop) < 3 else 1
            counts = [max(least, int(-(-self.lengths[i] // spacing))) for i in loop]
            lines.append(
                np.concatenate([self.pieces[i].trace(np.arange(c) / c)[0] for i, c in zip(loop, counts, strict=True)])
            )
        return lines

    def mesh(self, n: int) -> meshio.Mesh:
        """Return triangles, about n of them along the longer side of the bounding box.

        They are smaller where a gap is narrower than the distance of its curved sides from their chords.

        Raises:
            InputError: a gap is too narrow.
        """
        spacing = self.size / n
        for _ in range(_MOST_HALVINGS + 1):
            found = triangulate(self.polylines(spacing), lambda x: self.shape.level(x) < 0, spacing)
            if measure_of(found) > _LEAST_AREA * self.measure:
                return found
            spacing /= 2
        raise InputError(
            f"The shape {self.shape} is so narrow somewhere that triangles of the size {2 * spacing:.1e} do not fill "
            "it. Make the gap wider, or a contact of it."
        )


def _along(piece: Piece, n: int, rule: Rule) -> tuple[NDArray, NDArray, NDArray]:
    """Return about n points on a piece, weights whose sum is its length, and the outward normals."""
    s, weights = rule(n)
    points, rates = piece.trace(s)
    return points, weights * np.linalg.norm(rates, axis=1), right_of(rates)
