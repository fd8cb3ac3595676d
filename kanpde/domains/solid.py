"""The boundary and the quadrature rules of a shape in space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import meshio
import numpy as np
from numpy.typing import NDArray

from kanpde.domains.corners import CornerPoint
from kanpde.domains.crossings import Bounded
from kanpde.domains.pieces import boundary_pieces
from kanpde.domains.rules import Rule
from kanpde.domains.slices import Slices
from kanpde.domains.triangulation import tetrahedralize
from kanpde.errors import InputError

_CLEARANCE = 0.45  # smallest distance of points of the boundary in meshes, in spacings
_GRID, _LEAST_PART = 64, 8  # points of a grid along the longest side; of the smallest parts that are counted
_LEAST, _TURNS = 3, 2.0  # points along each side of a cell; more of them in cells with square roots
_TOO_MANY = 1.5  # times the points asked for, from which on cells are put together


class Solid:
    """The geometry of a combination ``shape`` in space.

    Args:
        shape: the combination.
        signs: for every solid that it combines 1 if it lies inside of its boundary, and -1 if it lies outside (or
            both).

    Raises:
        InputError: nothing is left of the combination.
    """

    def __init__(self, shape: Bounded, signs: Mapping[Any, frozenset[int]]):
        self.shape = shape
        first, second, self.slices = (Slices(shape, list(signs), axis) for axis in range(3))
        across = first.extent, second.extent
        if across[0] is None or across[1] is None or not self.slices.panels:
            raise InputError(
                f"Nothing is left of {shape}: the shape is empty. Check the places and sizes of its operands."
            )
        along = self.slices.panels[0].low, self.slices.panels[-1].high
        self.bounds = np.array([across[0], across[1], along])
        self.size = float(np.ptp(self.bounds, axis=1).max())
        self.pieces = boundary_pieces(shape, signs)

    # parts of the boundary -------------------------------------------------------------------------------------------
    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The names of the parts of the boundary."""
        return tuple(dict.fromkeys(label for piece in self.pieces for label in piece.patch.labels))

    def belonging(self, label: str | None) -> list[int]:
        """Return the indices of the pieces of a part; of the whole boundary for None."""
        return [i for i, piece in enumerate(self.pieces) if label is None or label in piece.patch.labels]

    def extent(self, label: str | None) -> float:
        """Return the area of a part of the boundary."""
        return sum(self.pieces[i].area for i in self.belonging(label))

    def faces(self, label: str | None) -> int:
        """Return how many sides of a cube of the shape's volume are as large as a part."""
        return max(1, round(self.extent(label) / self.measure ** (2 / 3)))

    def on_boundary(self, label: str | None, n: int, rule: Rule) -> tuple[NDArray, NDArray, NDArray]:
        """Return about n points on a part, (n, 3), their weights, whose sum is its area, and outward normals."""

        of = [self.pieces[i] for i in self.belonging(label)]
        least = _least(n, sum(piece.cells for piece in of), 2)

        def trial(spacing: float) -> tuple[NDArray, ...]:
            found = [piece.rule(spacing, rule, least) for piece in of]
            return tuple(np.concatenate(each) for each in zip(*found, strict=True))

        points, weights, normals = _about(n, (self.extent(label) / n) ** 0.5, 2, trial)
        return points, weights, normals

    def random_on_boundary(
        self, label: str | None, n: int, unit: Callable[[int, int], NDArray]
    ) -> tuple[NDArray, NDArray, NDArray]:
        """Return about n random points on a part, equal weights, and outward normals; ``unit`` as in `Piece.random`."""
        of = [self.pieces[i] for i in self.belonging(label)]
        found = [piece.random(max(1, round(n * piece.area / self.extent(label))), unit) for piece in of]
        points, normals = (np.concatenate(each) for each in zip(*found, strict=True))
        return points, np.full(len(points), self.extent(label) / len(points)), normals

    # the interior ----------------------------------------------------------------------------------------------------
    @property
    def measure(self) -> float:
        """The volume."""
        return self.slices.measure

    def inside(self, n: int, rule: Rule) -> tuple[NDArray, NDArray]:
        """Return about n points inside, (n, 3), and positive weights, whose sum is the volume."""
        spacing, least = (self.measure / n) ** (1 / 3), _least(n, self.slices.cells, 3)
        points, weights = _about(n, spacing, 3, lambda spacing: self.slices.rule(spacing, rule, least))
        if len(points) > _TOO_MANY * n and least > 1:
            points, weights = _about(n, spacing, 3, lambda spacing: self.slices.rule(spacing, rule, 1))
        return points, weights * (self.measure / weights.sum())

    @property
    def separate_parts(self) -> int:
        """The number of disconnected parts, as far as a grid of 64 points along the longest side can tell."""
        from scipy.ndimage import label

        spacing = self.size / _GRID
        axes = [np.arange(low + spacing / 2, high, spacing) for low, high in self.bounds]
        x = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        found: Any = label(self.shape.level(x.reshape(-1, 3)).reshape(x.shape[:3]) < 0)
        return int((np.bincount(found[0].ravel())[1:] >= _LEAST_PART).sum())

    def corners(self) -> list[CornerPoint]:
        """Return no corners: only those of shapes in the plane are known."""
        return []

    # meshes ----------------------------------------------------------------------------------------------------------
    def mesh(self, n: int) -> meshio.Mesh:
        """Return tetrahedra, about n of them along the longest side of the bounding box."""
        spacing = self.size / n
        grids = [piece.grid(spacing) for piece in self.pieces]
        points, ends = (np.concatenate(each) for each in zip(*grids, strict=True))
        points = _apart(points[np.argsort(~ends, kind="stable")], _CLEARANCE * spacing)
        return tetrahedralize(points, lambda x: self.shape.level(x) < 0, spacing)


def _about(n: int, spacing: float, dim: int, trial: Callable[[float], tuple[NDArray, ...]]) -> tuple[NDArray, ...]:
    """Return the result of ``trial(spacing)`` with about n points, after at most two corrections of the spacing."""
    found = trial(spacing)
    for _ in range(2):
        if 0.85 < len(found[0]) / n < 1.15:
            break
        spacing *= (len(found[0]) / n) ** (1 / dim)
        found = trial(spacing)
    return found


def _least(n: int, cells: float, dim: int) -> int:
    """Return how many points each cell has at least along each coordinate: fewer than 3 if there are many cells."""
    return int(np.clip((n / (_TURNS * max(cells, 1))) ** (1 / dim), 1, _LEAST))


def _apart(points: NDArray, distance: float) -> NDArray:
    """Return the points that are at least ``distance`` away from those that are kept before them."""
    from scipy.spatial import KDTree

    near = KDTree(points).query_ball_point(points, distance)
    kept = np.ones(len(points), dtype=bool)
    for i, others in enumerate(near):
        if kept[i]:
            kept[[k for k in others if k > i]] = False
    return points[kept]
