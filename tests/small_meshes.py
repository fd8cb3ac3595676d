"""Small meshes of every kind of cells, made without files."""

from math import pi

import numpy as np
from disk import OwnDisk as Disk

from kanpde import Mesh
from kanpde.domains.unstructured.kinds import KINDS
from kanpde.domains.unstructured.reference import division

STRAIGHT = ("line", "triangle", "quad", "tetra", "hexahedron")
CURVED = ("line3", "triangle6", "quad8", "quad9", "tetra10", "hexahedron20", "hexahedron27")


def grid(kind, along, place=lambda x: x, facets=None):
    """A grid of cells of one kind on the unit cube, whose nodes are moved by ``place``.

    ``facets`` has by name a function from points (points, dim) before the move to a mask; a facet belongs to the set if
    all its corners do.
    """
    kind = KINDS[kind]
    corners = KINDS[kind.shape]
    if kind.is_simplex:
        lattice, cells = division(along, kind.dim, False)
        lattice, cells = lattice.copy(), cells.copy()
        edges = lattice[cells[:, 1:]] - lattice[cells[:, :1]]
        back = np.linalg.det(edges) < 0
        cells[back, :2] = cells[back, 1::-1]
    else:
        axis = np.arange(along)
        first = np.stack(np.meshgrid(*[axis] * kind.dim, indexing="ij"), axis=-1).reshape(-1, 1, kind.dim)
        lattice, cells = np.unique(
            (first + corners.nodes.astype(int)).reshape(-1, kind.dim), axis=0, return_inverse=True
        )
        lattice, cells = lattice / along, cells.reshape(-1, corners.corners)
    every = np.einsum("pn,cnd->cpd", corners.values(kind.nodes), lattice[cells])
    steps = np.round(every.reshape(-1, kind.dim) * 2 * along)
    nodes, rows = np.unique(steps, axis=0, return_inverse=True)
    nodes, rows = nodes / (2 * along), rows.reshape(len(cells), -1)
    found = {}
    for name, is_there in (facets or {}).items():
        sides = np.concatenate([rows[:, list(facet)] for facet in kind.facets])
        found[name] = sides[is_there(nodes)[sides].all(axis=1)]
    return Mesh(place(nodes), {kind.name: rows}, found)


def bent(x, by=0.12):
    """A smooth map of the unit cube that bends lines."""
    moved = x + 0.0
    for i in range(x.shape[1]):
        moved[:, i] += by * np.sin(pi * x[:, i - 1]) * (x[:, i] + 0.5) if x.shape[1] > 1 else 0.2 * x[:, i] ** 2
    return moved


def sheared(x):
    """An affine map of determinant 6, 3 or 2."""
    matrix = np.array([[2.0, 0.5, 0.0], [0.0, 1.5, 0.25], [0.0, 0.0, 2.0]])[: x.shape[1], : x.shape[1]]
    return x @ matrix.T + 1.0


def annulus(x):
    """The square mapped to a quarter of an annulus about (2, 0), 1 <= r <= 2."""
    radius, angle = 1 + x[:, 0], 0.5 * pi * x[:, 1]
    return np.stack([2 + radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def disk(kind, n, radius=1.0):
    """A disk about 0 of triangles, of first or second order; the part "rim" is its boundary."""
    flat = Disk(radius).mesh(n)
    x, cells = flat.points[:, :2], flat.cells[0].data
    nodes = [x[cells]]
    if kind == "triangle6":
        ends = x[cells[:, [[0, 1], [1, 2], [2, 0]]]]
        middle, size = ends.mean(axis=2), np.linalg.norm(ends, axis=3)
        is_rim = (np.abs(size - radius) < 1e-9).all(axis=2)
        middle[is_rim] *= radius / np.linalg.norm(middle[is_rim], axis=1, keepdims=True)
        nodes.append(middle)
    every = np.concatenate(nodes, axis=1)
    steps, rows = np.unique(np.round(every.reshape(-1, 2), 12), axis=0, return_inverse=True)
    return Mesh(steps, {kind: rows.reshape(len(cells), -1)})


def l_shape(along=4, kind="triangle"):
    """The square (-1, 1)² without its quadrant x > 0, y < 0; parts "low" (y = -1 or y = 0 < x) and "right"."""
    whole = grid(kind, along, lambda x: 2 * x - 1)
    centre = whole.points[whole.cells[kind][:, : KINDS[kind].corners]].mean(axis=1)
    rows = whole.cells[kind][~((centre[:, 0] > 0) & (centre[:, 1] < 0))]
    used, rows = np.unique(rows, return_inverse=True)
    x, rows = whole.points[used], rows.reshape(-1, len(KINDS[kind].nodes))
    sides = np.concatenate([rows[:, list(facet)] for facet in KINDS[kind].facets])
    ends = x[sides]
    low = ((ends[..., 1] == 0) & (ends[..., 0] >= 0)).all(axis=1)
    right = ((ends[..., 0] == 0) & (ends[..., 1] <= 0)).all(axis=1)
    return Mesh(x, {kind: rows}, {"shelf": sides[low], "wall": sides[right]})


def shell(kind="hexahedron27", along=2, size=1.0):
    """A piece of a spherical shell, 1 <= r <= 1 + size."""

    def place(x):
        radius, polar, angle = 1 + size * x[:, 0], 0.8 + size * x[:, 1], 1.2 * size * x[:, 2]
        return np.stack(
            [radius * np.sin(polar) * np.cos(angle), radius * np.sin(polar) * np.sin(angle), radius * np.cos(polar)],
            axis=1,
        )

    return grid(kind, along, place, {"inner": lambda x: x[:, 0] == 0, "outer": lambda x: x[:, 0] == 1})


def mixed():
    """A triangle on top of a quadrilateral."""
    points = [[0, 0], [2, 0], [2, 1], [0, 1], [1, 2]]
    return Mesh(points, {"quad": [[0, 1, 2, 3]], "triangle": [[3, 2, 4]]}, {"base": [[0, 1]]}, {"roof": [1]})
