"""Meshes of the inside of a boundary: conforming triangles of plane curves, and tetrahedra between surface points.

Both are Delaunay triangulations of points on the boundary and of a lattice inside. In the plane, edges of the boundary
that are missing are halved until all are there (J. Ruppert, J. Algorithms 18 (1995) 548, without his bound on angles).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import meshio
import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from kanpde.errors import InputError

Contains = Callable[[NDArray], Any]
Along = Callable[[int, NDArray], NDArray]

# smallest distance of inner points to points of the boundary, by dimension, in spacings; the middle of a triangle of
# surface points is 0.58 to 0.65 spacings from them, and the cell between them and a point very near it would be lost
_CLEARANCE = {2: 0.6, 3: 0.8}
_SHARES = (0.0, 0.25, 0.5, 0.75)  # of an edge, at which distances to it are measured
_LONGEST = 1.5  # longest edges of the boundary, in spacings
_SAME = 1e-9  # points nearer than this, in spacings, are one point
_ROUNDS = 20  # most rounds of halving; a gap of a millionth of the spacing needs all
_NOTHING = 1e-10  # area or volume, in powers of the spacing, of cells between points that rounding put beside a face
_WEIGHT = 1e-6  # largest random weight of a point, in squares of the spacing
_VERTICAL = 1e-9  # facets of the convex hull of the lifted points that are this steep are no cells


# triangles -----------------------------------------------------------------------------------------------------------
def triangulate(
    boundary: Sequence[NDArray], contains: Contains, spacing: float, along: Along | None = None
) -> meshio.Mesh:
    """Return triangles whose boundary edges are the edges of the given loops.

    Args:
        boundary: closed loops of points in order, each (points, 2); the last point is connected to the first. Loops may
            lie inside of the domain too, as interfaces, and may touch, but not cross.
        contains: returns for points (points, 2) whether they lie in the domain.
        spacing: distance of neighbouring points inside. Edges of the boundary longer than 1.5 spacings are halved, and
            those that a Delaunay triangulation would not have.
        along: ``along(loop, s)`` returns the points (points, 2) of a curved loop at s (points,), by which edges are
            halved: s = i is its i-th point, and i < s < i + 1 lies between that and the next. None halves the chords.

    Returns:
        a mesh with points (points, 3), each used and none twice, and positively oriented triangles.

    Raises:
        InputError: a loop is not one, or loops cross.
    """
    points, edges, spans = _joined(boundary, spacing)
    while (long := np.linalg.norm(points[edges[:, 1]] - points[edges[:, 0]], axis=1) > _LONGEST * spacing).any():
        points, edges, spans = _halved(points, edges, spans, long, along, spacing)
    dense = np.concatenate([(1 - share) * points[edges[:, 0]] + share * points[edges[:, 1]] for share in _SHARES])
    inner = _apart(_hexagonal(points.min(axis=0), points.max(axis=0), spacing), dense, contains, spacing)
    x = y = nan
    for _ in range(_ROUNDS):
        nodes = np.concatenate([points, inner])
        cells, neighbours = _delaunay(nodes, spacing)
        missing = ~np.isin(_keys(edges), _keys(_sides(cells)))
        if not missing.any():
            return _mesh(nodes, cells[_kept(nodes, cells, neighbours, edges, contains, spacing)], "triangle")
        x, y = points[edges[missing][0]].mean(axis=0)
        points, edges, spans = _halved(points, edges, spans, missing, along, spacing)
    raise InputError(
        f"The boundary cannot be meshed near ({x:.6g}, {y:.6g}); probably two of its curves cross there. Combine the "
        "shapes into one whose boundary curves do not cross."
    )


def _joined(boundary: Sequence[NDArray], spacing: float) -> tuple[NDArray, NDArray, NDArray]:
    """Return the points of all loops, their edges (edges, 2), and for every edge its loop and its range of s."""
    points, edges, spans, count = [], [], [], 0
    for number, loop in enumerate(boundary):
        loop = np.asarray(loop, dtype=np.float64)
        if loop.ndim != 2 or loop.shape[1] != 2 or len(loop) < 3 or not np.isfinite(loop).all():
            raise InputError(
                f"A loop of a boundary has at least three points (points, 2), all finite; loop {number} has the shape "
                f"{loop.shape}. Leave it out."
            )
        first = np.arange(len(loop))
        points.append(loop)
        edges.append(np.stack([first, np.roll(first, -1)], axis=1) + count)
        spans.append(np.stack([np.full(len(loop), float(number)), first, first + 1.0], axis=1))
        count += len(loop)
    if not points:
        raise InputError("A boundary has at least one loop of points, got none. The domain is probably empty.")
    return _merged(np.concatenate(points), np.concatenate(edges), np.concatenate(spans), spacing)


def _merged(points: NDArray, edges: NDArray, spans: NDArray, spacing: float) -> tuple[NDArray, NDArray, NDArray]:
    """Return the points without repetitions, the edges between them, and the spans of these."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    pairs = KDTree(points).query_pairs(_SAME * spacing, output_type="ndarray")
    if not len(pairs):
        return points, edges, spans
    links = coo_matrix((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(points), len(points)))
    _, group = connected_components(links, directed=False)
    _, first = np.unique(group, return_index=True)
    edges = group[edges]
    kept = edges[:, 0] != edges[:, 1]
    return points[first], edges[kept], spans[kept]


def _halved(
    points: NDArray, edges: NDArray, spans: NDArray, chosen: NDArray, along: Along | None, spacing: float
) -> tuple[NDArray, NDArray, NDArray]:
    """Return points, edges and spans with the chosen edges halved."""
    (begin, end), (loop, low, high) = edges[chosen].T, spans[chosen].T
    middle, new = 0.5 * (low + high), 0.5 * (points[begin] + points[end])
    if along is not None:
        for number in np.unique(loop):
            of_loop = loop == number
            new[of_loop] = along(int(number), middle[of_loop])
    index = len(points) + np.arange(len(new))
    first, second = np.stack([begin, index], axis=1), np.stack([index, end], axis=1)
    spans_of = [np.stack([loop, low, middle], axis=1), np.stack([loop, middle, high], axis=1)]
    return _merged(
        np.concatenate([points, new]),
        np.concatenate([edges[~chosen], first, second]),
        np.concatenate([spans[~chosen], *spans_of]),
        spacing,
    )


def _kept(
    nodes: NDArray, cells: NDArray, neighbours: NDArray, edges: NDArray, contains: Contains, spacing: float
) -> Bool[np.ndarray, " cells"]:
    """Return which triangles lie in the domain; the edges separate parts that lie in it wholly or not at all."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    is_free = ~np.isin(_keys(_sides(cells)), _keys(edges)).reshape(cells.shape) & (neighbours >= 0)
    of, _ = np.nonzero(is_free)
    links = coo_matrix((np.ones(len(of)), (of, neighbours[is_free])), shape=(len(cells), len(cells)))
    count, part = connected_components(links, directed=False)
    area = np.abs(_volumes(nodes, cells))
    centroids = nodes[cells].mean(axis=1)
    inside = np.bincount(part, area * np.asarray(contains(centroids)), count) > 0.5 * np.bincount(part, area, count)
    largest = np.zeros(count)
    np.maximum.at(largest, part, area)
    return (inside & (largest > _NOTHING * spacing**2))[part]


def _sides(cells: NDArray) -> Int[np.ndarray, "sides 2"]:
    """Return the sides of triangles, each opposite to a corner, as Qhull orders neighbours."""
    return cells[:, [[1, 2], [2, 0], [0, 1]]].reshape(-1, 2)


def _keys(edges: NDArray) -> Int[np.ndarray, " edges"]:
    """Return one number for every edge, equal for both directions."""
    return (edges.min(axis=1).astype(np.int64) << 32) + edges.max(axis=1)


def _hexagonal(lower: NDArray, upper: NDArray, spacing: float) -> Float[np.ndarray, "points 2"]:
    """Return a lattice of equilateral triangles over a rectangle, symmetric about its middle."""
    height = 0.75**0.5 * spacing
    columns, rows = (np.ceil(0.5 * (upper - lower) / (spacing, height))).astype(int)
    i, j = np.meshgrid(np.arange(-columns - 1, columns + 1), np.arange(-rows, rows + 1))
    return 0.5 * (lower + upper) + np.stack([(i + 0.5 * (j % 2)) * spacing, j * height], axis=-1).reshape(-1, 2)


# tetrahedra ----------------------------------------------------------------------------------------------------------
def tetrahedralize(surface: NDArray, contains: Contains, spacing: float) -> meshio.Mesh:
    """Return tetrahedra between points on the surface of a domain and a body-centred cubic lattice inside.

    Cells whose centroids lie outside are left out. So the mesh follows curved surfaces with an error of the order of
    the squared spacing, and edges only where the points follow them. Cells without volume, which rounding leaves
    between points of one face, are left out too. The volume of a cube is exact, that of a ball with a ball cut out
    (20 spacings wide) 0.26 % too small.

    Args:
        surface: points (points, 3) on the surface, on sharp edges too, about one spacing apart.
        contains: returns for points (points, 3) whether they lie in the domain.
        spacing: distance of neighbouring points.

    Returns:
        a mesh with points (points, 3), each used and none twice, and positively oriented tetrahedra.

    Raises:
        InputError: the points span no volume.
    """
    surface = np.asarray(surface, dtype=np.float64)
    if surface.ndim != 2 or surface.shape[1] != 3 or not np.isfinite(surface).all():
        raise InputError(f"The points of a surface have the shape (points, 3) and are finite, got {surface.shape}.")
    surface, _, _ = _merged(surface, np.empty((0, 2), int), np.empty((0, 3)), spacing)
    inner = _apart(_body_centred(surface.min(axis=0), surface.max(axis=0), spacing), surface, contains, spacing)
    nodes = np.concatenate([surface, inner])
    cells, _ = _delaunay(nodes, spacing)
    has_volume = np.abs(_volumes(nodes, cells)) > _NOTHING * spacing**3
    kept = has_volume & np.asarray(contains(nodes[cells].mean(axis=1)))
    if not kept.any():
        raise InputError("No tetrahedron between the points of the surface lies in the domain. Use a smaller spacing.")
    return _mesh(nodes, cells[kept], "tetra")


def _body_centred(lower: NDArray, upper: NDArray, spacing: float) -> Float[np.ndarray, "points 3"]:
    """Return a body-centred cubic lattice over a box, symmetric about its middle; its triangulation is unique."""
    edge = 2 / 3**0.5 * spacing
    steps = [np.arange(-n, n + 1) for n in np.ceil(0.5 * (upper - lower) / edge).astype(int)]
    corners = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3) * edge
    return 0.5 * (lower + upper) + np.concatenate([corners, corners + 0.5 * edge])


# both ----------------------------------------------------------------------------------------------------------------
def _apart(lattice: NDArray, boundary: NDArray, contains: Contains, spacing: float) -> NDArray:
    """Return the points of the lattice that lie in the domain and not near the boundary's points."""
    from scipy.spatial import KDTree

    least = _CLEARANCE[lattice.shape[1]] * spacing
    distance, _ = KDTree(boundary).query(lattice, distance_upper_bound=least)
    far = lattice[distance >= least]
    return far[np.asarray(contains(far))] if len(far) else far


def _delaunay(nodes: NDArray, spacing: float) -> tuple[NDArray, NDArray]:
    """Return the cells of the Delaunay triangulation, and their neighbours opposite to each corner (-1: none).

    It is the lower part of the convex hull of the points (x, |x|²). Tiny random numbers are added to |x|² (weights, as
    of a power diagram), so that points on a common circle or sphere have one triangulation, without flat cells, and
    Qhull is not ten times as slow.
    """
    from scipy.spatial import ConvexHull, QhullError

    x = (nodes - nodes.mean(axis=0)) / spacing
    lifted = np.column_stack([x, (x**2).sum(axis=1) + _WEIGHT * np.random.default_rng(0).random(len(x))])
    top = np.append(np.zeros(x.shape[1]), 2 * lifted[:, -1].max() + 1)  # with it one triangle has a hull too
    try:
        hull = ConvexHull(np.concatenate([lifted, top[None]]))
    except QhullError:
        raise InputError(
            f"The {len(nodes)} points of a boundary lie in one line or plane, so they bound nothing. Give points all "
            "around the domain."
        ) from None
    is_cell = hull.equations[:, x.shape[1]] < -_VERTICAL
    number = np.where(is_cell, np.cumsum(is_cell) - 1, -1)
    return hull.simplices[is_cell].astype(np.int64), number[hull.neighbors[is_cell]]


def _volumes(nodes: NDArray, cells: NDArray) -> Float[np.ndarray, " cells"]:
    """Return the signed areas or volumes, positive for positive orientation."""
    corners = nodes[cells]
    return np.linalg.det(corners[:, 1:] - corners[:, :1]) / (2 if cells.shape[1] == 3 else 6)


def measure_of(mesh: meshio.Mesh) -> float:
    """Return the area of triangles."""
    return float(_volumes(mesh.points[:, :2], mesh.cells[0].data).sum())


def _mesh(nodes: NDArray, cells: NDArray, kind: str) -> meshio.Mesh:
    """Return the mesh of the cells, positively oriented, and of the nodes that they use."""
    cells = np.where((_volumes(nodes, cells) < 0)[:, None], cells[:, [1, 0, *range(2, cells.shape[1])]], cells)
    used, index = np.unique(cells, return_inverse=True)
    points = np.zeros((len(used), 3))
    points[:, : nodes.shape[1]] = nodes[used]
    return meshio.Mesh(points, [(kind, index.reshape(cells.shape))])
