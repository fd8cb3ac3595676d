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
_DENSITY, _MOST = 20, 65_536  # points of a part for every facet along each coordinate, and at most
_ALIKE = 0.25  # a facet belongs to every part that fits it nearly as well as the best one, because parts may overlap


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
        domain: a `Domain`. Its own method ``boundary_mesh(n)`` is used if it has one (`numbered` helps to write it).
            Otherwise the facets are those of ``domain.mesh(n)``, and belong to the part that has the nearest points
            with nearly the same normal; if none fits, to "boundary".
        n: cells along each coordinate.

    Returns:
        a mesh with points (points, 3), one kind of cells (line, triangle or quad), and as cell data "part", the number
        of the smallest part that has a facet, and "on NAME" for every part, 1 for its facets and else 0;
        ``field_data`` has the numbers: name -> (number, dimension of the facets). None if there is no boundary, or if
        there is one coordinate in space, or more than three.
    """
    if len(domain.space) not in (2, 3) or "boundary" not in domain.parts:
        return None
    if hasattr(domain, "boundary_mesh"):
        return domain.boundary_mesh(n)
    walls = {}
    for name, region in domain.parts.items():
        if not region.is_interior:
            points = region.sample("sobol", min(_DENSITY * n ** (len(domain.space) - 1), _MOST))
            if points.normal is not None:
                walls[name] = points.x[:, domain.space].numpy(), points.normal[:, domain.space].numpy()
    walls["boundary"] = walls.pop("boundary")  # the last one, for facets of no named part
    return _assigned(domain.mesh(n), walls, len(domain.space))


def numbered(mesh: meshio.Mesh, names: list[str], belongs: NDArray, part: NDArray) -> meshio.Mesh:
    """Return a mesh of facets with their parts, as `boundary_mesh` describes it.

    Args:
        mesh: with one kind of cells.
        names: of the parts.
        belongs: (names, facets), whether a facet belongs to a part; several parts may have it.
        part: (facets,), for every facet the position in ``names`` of the smallest of its parts.
    """
    used = [k for k in range(len(names)) if belongs[k].any()]
    arrays = {"part": [part], **{f"on {names[k]}": [belongs[k].astype(np.uint8)] for k in used}}
    numbers = {names[k]: np.array([k, mesh.cells[0].dim]) for k in used}
    return meshio.Mesh(mesh.points, mesh.cells, cell_data=arrays, field_data=numbers)


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
    misfit[-1] = np.where((misfit[:-1] < 1).any(axis=0), np.inf, misfit[-1])
    best = misfit.min(axis=0)
    kept = best < 1  # not where a periodic domain is cut
    belongs = (misfit < best + _ALIKE)[:, kept]
    size_of = belongs.sum(axis=1)
    part = np.where(belongs, size_of[:, None], len(facets) + 1).argmin(axis=0)
    used, index = np.unique(facets[kept], return_inverse=True)
    kind, _ = _FACETS[mesh.cells[0].type]
    outer = meshio.Mesh(mesh.points[used], [(kind, index.reshape(-1, facets.shape[1]))])
    return numbered(outer, list(walls), belongs, part)


def _normals(corners: NDArray) -> Float[np.ndarray, "facets dim"]:
    """Return the unit normals of facets, outward if they are oriented so."""
    if corners.shape[2] == 2:
        x, y = (corners[:, 1] - corners[:, 0]).T
        normals = np.stack([y, -x], axis=1)
    else:
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)
