"""The boundary of a mesh, and the parts of the domain's boundary to which its facets belong."""

from __future__ import annotations

from typing import Any

import meshio
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

_FACETS = {
    "triangle": ("line", [(0, 1), (1, 2), (2, 0)]),
    "quad": ("line", [(0, 1), (1, 2), (2, 3), (3, 0)]),
    "tetra": ("triangle", [(0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2)]),
    "hexahedron": (
        "quad",
        [(0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)],
    ),
}
_MOST = 40_000  # points of a part that facets are compared with


def outer_facets(mesh: meshio.Mesh) -> Int[np.ndarray, "facets corners"]:
    """Return the edges (faces in 3-D) of a mesh with one kind of cells that belong to one cell only.

    Edges have their cell on the left, and faces are oriented outwards.
    """
    (block,) = mesh.cells
    _, corners = _FACETS[block.type]
    every = block.data[:, corners].reshape(-1, len(corners[0]))
    rows = np.sort(every, axis=1)
    order = np.lexsort(rows.T)  # several times as fast as numpy.unique of rows
    differs = np.ones(len(rows) + 1, dtype=bool)
    differs[1:-1] = (rows[order[1:]] != rows[order[:-1]]).any(axis=1)
    outer = np.sort(order[differs[1:] & differs[:-1]])
    facets, cells = every[outer], block.data[outer // len(corners)]
    dim = 2 if len(corners[0]) == 2 else 3
    places = mesh.points[facets][:, :, :dim]
    outward = places.mean(axis=1) - mesh.points[cells].mean(axis=1)[:, :dim]
    is_inward = (_normals(places) * outward).sum(axis=1) < 0
    facets[is_inward] = facets[is_inward, ::-1]
    return facets


def boundary_mesh(domain: Any, n: int) -> meshio.Mesh | None:
    """Return a mesh of the boundary of a domain, whose facets have the number of their part.

    Args:
        domain: a `Domain`. Its own method ``boundary_mesh(n)`` is used if it has one. Otherwise the facets are those of
            ``domain.mesh(n)``, and belong to the part that has the nearest points with nearly the same normal; if none
            fits, to "boundary".
        n: cells along each coordinate.

    Returns:
        a mesh with points (points, 3), one kind of cells (line, triangle or quad), ``cell_data["part"]``, and the names
        of its parts in ``field_data``: name -> (number, dimension of the facets). None if the domain has no boundary,
        or one or more than three coordinates in space.
    """
    if len(domain.space) not in (2, 3) or "boundary" not in domain.parts:
        return None
    if hasattr(domain, "boundary_mesh"):
        return domain.boundary_mesh(n)
    walls = {}
    for name, region in domain.parts.items():
        if not region.is_interior:
            points = region.sample("auto", min((2 * n) ** (len(domain.names) - 1), _MOST))
            if points.normal is not None:
                walls[name] = points.x[:, domain.space].numpy(), points.normal[:, domain.space].numpy()
    walls["boundary"] = walls.pop("boundary")  # the last one, for facets of no named part
    return _assigned(domain.mesh(n), walls, len(domain.space))


def _assigned(mesh: meshio.Mesh, walls: dict[str, tuple[NDArray, NDArray]], dim: int) -> meshio.Mesh:
    """Return the outer facets of a mesh with the number of the part, given by points and normals, that fits best."""
    from scipy.spatial import KDTree

    facets = outer_facets(mesh)
    corners = mesh.points[facets][:, :, :dim]
    size = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
    middle, normal = corners.mean(axis=1), _normals(corners)
    misfit = np.empty((len(walls), len(facets)))
    for row, (points, normals) in zip(misfit, walls.values(), strict=True):
        distance, nearest = KDTree(points).query(middle)
        row[:] = distance / size + 1 - (normals[nearest] * normal).sum(axis=1)
    part = np.where((misfit[:-1] < 1).any(axis=0), misfit[:-1].argmin(axis=0) if len(walls) > 1 else 0, len(walls) - 1)
    fits = (misfit < 1).any(axis=0)  # not where a periodic domain is cut
    used, index = np.unique(facets[fits], return_inverse=True)
    kind, _ = _FACETS[mesh.cells[0].type]
    return meshio.Mesh(
        mesh.points[used],
        [(kind, index.reshape(-1, facets.shape[1]))],
        cell_data={"part": [part[fits]]},
        field_data={name: np.array([k, dim - 1]) for k, name in enumerate(walls) if (part[fits] == k).any()},
    )


def _normals(corners: NDArray) -> Float[np.ndarray, "facets dim"]:
    """Return the unit normals of facets, outward if they are oriented so."""
    if corners.shape[2] == 2:
        x, y = (corners[:, 1] - corners[:, 0]).T
        normals = np.stack([y, -x], axis=1)
    else:
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)
