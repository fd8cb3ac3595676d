"""Values on domains that are no boxes: triangles that follow the boundary, its outline, and arrows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from kanpde.domains.box import Box
from kanpde.domains.facets import outer_facets

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OUTLINE, LINE_WIDTH = "0.15", 0.8
ARROWS = 16  # along the longer side of a picture


@dataclass(frozen=True)
class Shape:
    """Triangles in the plane, and the edges of their boundary."""

    points: Float[np.ndarray, "points 2"]
    triangles: Int[np.ndarray, "triangles 3"]
    edges: Int[np.ndarray, "edges 2"]

    def draw(self, panel: Axes, values: NDArray, **options: Any) -> Any:
        """Draw values at the points, linear on every triangle, with the outline; return them for a colour bar."""
        from matplotlib.collections import LineCollection

        x, y = self.points.T
        drawn = panel.tripcolor(x, y, values, triangles=self.triangles, shading="gouraud", rasterized=True, **options)
        lines = list(self.points[self.edges])
        panel.add_collection(LineCollection(lines, colors=OUTLINE, linewidths=LINE_WIDTH, snap=False))
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_aspect("equal")
        return drawn


@dataclass(frozen=True)
class Canvas:
    """Where values are drawn: over the coordinates ``axes``, on the triangles of a shape, or else on pixels or a line.

    ``inside`` tells which pixels lie in a domain that is not a box; None for boxes and on triangles.
    """

    axes: tuple[int, ...]
    shape: Shape | None
    inside: Bool[np.ndarray, "rows columns"] | None = None

    def draw(self, panel: Axes, domain: Any, values: NDArray, aspect: Any, **options: Any) -> Any:
        """Draw values on the triangles or pixels, and return what a colour bar needs."""
        if self.shape is not None:
            return self.shape.draw(panel, values, **options)
        (left, right), (bottom, top) = (domain.ranges[i] for i in self.axes)
        extent, side = (left, right, bottom, top), round(len(values) ** 0.5)
        image = panel.imshow(values.reshape(side, side), origin="lower", extent=extent, aspect=aspect, **options)
        if self.inside is not None and self.inside.any() and not self.inside.all():
            panel.contour(self.inside, [0.5], extent=extent, colors=OUTLINE, linewidths=LINE_WIDTH)
            panel.spines[["top", "right"]].set_visible(False)
        return image


def shape_of(domain: Any, axes: tuple[int, ...], n: int) -> Shape | None:
    """Return the triangles of a domain (a `Domain`) that is not a box, with about n along each axis.

    None for boxes and domains of several parts, and for pictures that do not have the two coordinates in space of the
    domain as axes.
    """
    if isinstance(domain, Box) or len(axes) != 2 or tuple(axes) != tuple(domain.space):
        return None
    mesh = domain.mesh(n)
    if "part" in mesh.point_data:  # of several parts: each pixel has the functions of its part
        return None
    cells = np.asarray(mesh.cells[0].data)
    triangles = cells if cells.shape[1] == 3 else np.concatenate([cells[:, [0, 1, 2]], cells[:, [0, 2, 3]]])
    return Shape(mesh.points[:, :2], triangles, outer_facets(mesh))


def draw_arrows(panel: Axes, points: NDArray[np.float64], first: NDArray, second: NDArray) -> None:
    """Draw a vector field, given by its two components at points (points, 2), as arrows at some of the points."""
    from scipy.spatial import KDTree

    known = np.isfinite(first) & np.isfinite(second)
    points, first, second = points[known], first[known], second[known]
    if not len(points):
        return
    lower, upper = points.min(axis=0), points.max(axis=0)
    step = float((upper - lower).max()) / ARROWS
    across, up = (np.arange(lo + step / 2, hi, step) for lo, hi in zip(lower.tolist(), upper.tolist(), strict=True))
    distance, nearest = KDTree(points).query(np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2))
    chosen = np.unique(np.asarray(nearest)[np.asarray(distance) < 0.3 * step])
    x, y = points[chosen].T
    panel.quiver(x, y, first[chosen], second[chosen], color=OUTLINE, pivot="mid", width=0.004)
