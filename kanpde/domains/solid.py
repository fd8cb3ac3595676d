"""The boundary and the quadrature rules of a shape in space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import meshio
import numpy as np
from numpy.typing import NDArray

from kanpde.domains.corners import CornerPoint
from kanpde.domains.crossings import Bounded
from kanpde.domains.patches import boundary_pieces
from kanpde.domains.rules import Rule
from kanpde.domains.slices import Slices
from kanpde.domains.triangulation import tetrahedralize
from kanpde.errors import InputError


class Solid:
    """The geometry of a combination ``shape`` of ``leaves`` in space.

    Raises:
        InputError: nothing is left of the combination.
    """

    def __init__(self, shape: Bounded, leaves: Sequence[Any]):
        self.shape = shape
        slices = [Slices(shape, leaves, axis) for axis in range(3)]
        if not all(each.panels for each in slices):
            raise InputError(
                f"Nothing is left of {shape}: the shape is empty. Check the places and sizes of its operands."
            )
        self.slices = slices[2]
        self.bounds = np.array([[each.panels[0].low, each.panels[-1].high] for each in slices])
        self.size = float(np.ptp(self.bounds, axis=1).max())
        self.pieces = boundary_pieces(shape, leaves)

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

        def trial(spacing: float) -> tuple[NDArray, ...]:
            found = [self.pieces[i].rule(spacing, rule) for i in self.belonging(label)]
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
        points, weights = _about(n, (self.measure / n) ** (1 / 3), 3, lambda spacing: self.slices.rule(spacing, rule))
        return points, weights

    def corners(self) -> list[CornerPoint]:
        """Return no corners: only those of shapes in the plane are known."""
        return []

    # meshes ----------------------------------------------------------------------------------------------------------
    def mesh(self, n: int) -> meshio.Mesh:
        """Return tetrahedra, about n of them along the longest side of the bounding box."""
        spacing = self.size / n
        points = np.concatenate([piece.grid(spacing)[0] for piece in self.pieces])
        return tetrahedralize(points, lambda x: self.shape.level(x) < 0, spacing)

    def boundary_mesh(self, n: int) -> meshio.Mesh:
        """Return the boundary as triangles, with ``part`` the index of the part in ``labels``."""
        points, cells, part, count = [], [], [], 0
        for piece in self.pieces:
            x, triangles = piece.grid(self.size / n)
            sides = x[triangles[:, 1:]] - x[triangles[:, :1]]
            is_flat = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) < 1e-12 * self.size**2
            points.append(x)
            cells.append(triangles[~is_flat] + count)
            part.append(np.full(len(cells[-1]), self.labels.index(piece.patch.labels[-1])))
            count += len(x)
        return meshio.Mesh(
            np.concatenate(points),
            [("triangle", np.concatenate(cells))],
            cell_data={"part": [np.concatenate(part)]},
        )


def _about(n: int, spacing: float, dim: int, trial: Callable[[float], tuple[NDArray, ...]]) -> tuple[NDArray, ...]:
    """Return the result of ``trial(spacing)`` with about n points, after at most two corrections of the spacing."""
    found = trial(spacing)
    for _ in range(2):
        if 0.85 < len(found[0]) / n < 1.15:
            break
        spacing *= (len(found[0]) / n) ** (1 / dim)
        found = trial(spacing)
    return found
