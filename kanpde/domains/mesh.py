"""Domains that are meshes of one to three dimensions, read from files or given as arrays."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from kanpde.domains.corners import CornerPoint
from kanpde.domains.family import Family, over
from kanpde.domains.meshes import box_mesh
from kanpde.domains.region import Region
from kanpde.domains.spacetime import SpaceTime
from kanpde.domains.unstructured.checks import check_arrays, check_cells
from kanpde.domains.unstructured.groups import checked_groups
from kanpde.domains.unstructured.pictures import simplices
from kanpde.domains.unstructured.reading import content_of, read_file
from kanpde.domains.unstructured.reentrant import reentrant_corners
from kanpde.domains.unstructured.reference import division
from kanpde.domains.unstructured.sampling import Sampler
from kanpde.domains.unstructured.search import Search
from kanpde.domains.unstructured.topology import Topology
from kanpde.errors import InputError, suggest

_ROUNDING, _ROUNDING_OF_MAPS = 8, 64  # units in the last place of the points, as for a `Box`, and of double precision
_TEST_POINTS = {1: 1_000, 2: 10_000, 3: 10_000}


class Mesh:
    """The union of cells: lines, triangles and quadrilaterals, or tetrahedra and hexahedra, of first or second order.

    ``Mesh.read("part.msh")`` reads a file. Training points are quadrature points of the cells, and on the boundary of
    their facets, with exact normals also where these are curved.

    Args:
        points: positions of the nodes, (nodes, dim).
        cells: by kind, the nodes of the cells (cells, nodes) in meshio's order: "line", "triangle", "quad", "tetra",
            "hexahedron", "line3", "triangle6", "quad8", "quad9", "tetra10", "hexahedron20" or "hexahedron27".
        facets: named parts of the boundary, or surfaces inside (without normals): by name, the corners of the facets
            (facets, corners); rows of different lengths are filled with -1.
        subdomains: named parts of the interior, such as materials: by name, the numbers of their cells, which count
            from 0 through all kinds.
        names: of the coordinates; None takes x, y, z.

    Raises:
        InputError: the mesh is faulty; the message names the place.
    """

    time, periodic = None, ()

    def __init__(
        self,
        points: ArrayLike,
        cells: Mapping[str, ArrayLike],
        facets: Mapping[str, ArrayLike] | None = None,
        subdomains: Mapping[str, ArrayLike] | None = None,
        names: Sequence[str] | None = None,
    ):
        self.notes: list[str] = []  # what a log should say of it
        self.points = np.array(points, dtype=float)
        self.cells = {kind: np.array(rows, dtype=int) for kind, rows in cells.items()}
        check_arrays(self.points, self.cells)
        dim = self.points.shape[1]
        self.names = tuple(names or "xyz"[:dim])
        if len(set(self.names)) != dim or "t" in self.names:
            raise InputError(
                f"names must be {dim} different spatial coordinates, got {', '.join(self.names)}.",
                write={"names": tuple("xyz"[:dim])},
            )
        self.space = tuple(range(dim))
        self._topology = Topology(self.points, self.cells)
        check_cells(self._topology)
        self.facets, self.subdomains, self._sides = checked_groups(self._topology, facets or {}, subdomains or {})
        self.ranges = _bounding_box(self._topology)

    @classmethod
    def read(cls, path: str | Path) -> Mesh:
        """Return the mesh in a file that meshio reads, with gmsh's physical groups as parts (MSH 2.2 and 4.1).

        Its `notes` have the bounding box, because a file says nothing about units, and what was left out: nodes in no
        cell, and groups whose dimension is neither that of the cells nor one less. Groups without a name are called
        "curve 1", "surface 2".

        Raises:
            InputError: there is no such file, it is no mesh, or the mesh is faulty.
        """
        path = Path(path).expanduser()
        found = read_file(path)
        try:
            content = content_of(found)
            mesh = cls(content.points, content.cells, content.facets, content.subdomains, content.names)
        except InputError as error:
            raise InputError(f'"{path}": {error}') from None
        parts = ", ".join(name for name in mesh.parts if name not in ("interior", "boundary")) or "none"
        line = f"{path.name}: {mesh}; parts: {parts}"
        line += f" (left out: {'; '.join(content.notes)})" if content.notes else ""
        mesh.notes = [line]
        return mesh

    def __repr__(self) -> str:
        ranges = ", ".join(f"{n}=({lo:.6g}, {hi:.6g})" for n, (lo, hi) in zip(self.names, self.ranges, strict=True))
        return f"Mesh({ranges}, {', '.join(f'{len(rows)} {kind}' for kind, rows in self.cells.items())}, {self.digest})"

    @cached_property
    def digest(self) -> str:
        """The first digits of a hash of the description."""
        return sha256(json.dumps(self.describe()).encode()).hexdigest()[:12]

    # regions ---------------------------------------------------------------------------------------------------------
    @property
    def interior(self) -> Region:
        """The whole mesh."""
        return self._region("interior", self._whole, [{}], is_interior=True)

    @property
    def boundary(self) -> Region:
        """All facets of exactly one cell."""
        return self._parts["boundary"]

    @property
    def parts(self) -> dict[str, Region]:
        """The named regions: "interior", "boundary", the named facets and subdomains."""
        return dict(self._parts)

    @cached_property
    def _parts(self) -> dict[str, Region]:
        sides = {"boundary": np.flatnonzero(self._topology.is_outer), **self._sides}
        regions = [self.interior, *(self._on_sides(*item) for item in sides.items())]
        for name, numbers in self.subdomains.items():
            sampler = Sampler(self._topology.cell_patches(numbers), has_normals=False)
            share = sampler.measure / self._whole.measure
            regions.append(self._region(name, sampler, [{}], share=share))
        return {region.label: region for region in regions}

    def part(self, name: str) -> Region:
        """Return the region of a name.

        Raises:
            InputError: there is none; the message has near misses.
        """
        if name not in self._parts:
            raise InputError(f'The mesh has no part "{name}". {suggest(name, self._parts)}')
        return self._parts[name]

    def at(self, **fixed: float) -> Region:
        """Raise an error: a mesh has no slices."""
        raise InputError(
            f"A Mesh has no slice at {', '.join(f'{name}={value:g}' for name, value in fixed.items())}. Put the facets "
            "there into a physical group, and use its part.",
            write={"name": next(iter(self.parts))},
        )

    def over(self, *, family: Sequence[str] = (), **ranges: tuple[float, float]) -> SpaceTime | Family:
        """Return the mesh for times in the range ``t``, and for parameters of a family (`kanpde.domains.family`)."""
        return over(self, ranges, family)

    def restricted(self, **ranges: tuple[float, float]) -> Mesh:
        """Raise an error: the coordinates of a mesh cannot be narrowed."""
        raise InputError(f"The coordinates of a Mesh cannot be narrowed, got {', '.join(ranges)}. Read a smaller mesh.")

    @cached_property
    def _whole(self) -> Sampler:
        return Sampler(self._topology.cell_patches(), has_normals=False)

    @cached_property
    def _search(self) -> Search:
        return Search(self._topology.cell_patches())

    def _on_sides(self, label: str, sides: NDArray) -> Region:
        has_normals = bool(self._topology.is_outer[sides].all())
        sampler = Sampler(self._topology.side_patches(sides), has_normals)
        return self._region(label, sampler, self._topology.pieces(sides))

    def _region(
        self, label: str, sampler: Sampler, fixed: Sequence[dict[int, float]], is_interior: bool = False, share=None
    ) -> Region:
        where = label, self.names, self.space, is_interior, tuple(fixed)
        return Region(*where, sampler.draw, share=share, extent=lambda: sampler.measure)

    @property
    def measure(self) -> float:
        """The length, area or volume of all cells."""
        return self._whole.measure

    def contains(self, x: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        """Return whether points lie in a cell, with its boundary; the tolerance is some units in the last place."""
        size = max(abs(end) for limits in self.ranges for end in limits)
        slack = (_ROUNDING * torch.finfo(x.dtype).eps + _ROUNDING_OF_MAPS * torch.finfo(torch.float64).eps) * size
        found = self._search.inside(x.detach().cpu().double().numpy(), slack)
        return torch.as_tensor(found, device=x.device)

    def corners(self, least: float = 0.3) -> list[CornerPoint]:
        """Return the re-entrant corners of the boundary of a mesh in the plane; of other meshes none.

        Args:
            least: excess of the interior angle over π, in radians, from which a vertex counts: straight facets along a
                curve have small ones.
        """
        return reentrant_corners(self._topology, self._sides, least) if len(self.names) == 2 else []

    # output ----------------------------------------------------------------------------------------------------------
    def test_points(self, device: torch.device | str, dtype: torch.dtype) -> Float[Tensor, "points dim"]:
        """Return about 10,000 points (1000 in one dimension) of nearly equal density."""
        return torch.as_tensor(self._whole.even(_TEST_POINTS[len(self.names)]), device=device, dtype=dtype)

    def mesh(self, n: int, only: Sequence[int] | None = None) -> meshio.Mesh:
        """Return the cells as lines, triangles or tetrahedra, divided into about n along each coordinate."""
        if only is not None and tuple(only) != self.space:
            return box_mesh([self.ranges[i] for i in only], n)
        lengths = [hi - lo for lo, hi in self.ranges]
        if len(lengths) == 1 and abs(self.measure - lengths[0]) < 1e-9 * lengths[0]:
            return box_mesh(self.ranges, n)  # one interval
        return simplices(self._topology, n ** len(lengths) * self.measure / float(np.prod(lengths)))

    # description -----------------------------------------------------------------------------------------------------
    def describe(self) -> dict[str, Any]:
        """Return {"kind": "Mesh", "names", "points", "cells", "facets", "subdomains"}; arrays are compressed."""
        return {
            "kind": "Mesh",
            "names": list(self.names),
            "points": _packed(self.points, "<f8"),
            "cells": {kind: _packed(rows, "<i4") for kind, rows in self.cells.items()},
            "facets": {name: _packed(rows, "<i4") for name, rows in self.facets.items()},
            "subdomains": {name: _packed(rows, "<i4") for name, rows in self.subdomains.items()},
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Mesh:
        """Return the mesh from a description by `describe`."""
        cells, facets, subdomains = (
            {name: _unpacked(each, "<i4") for name, each in description[group].items()}
            for group in ("cells", "facets", "subdomains")
        )
        return cls(_unpacked(description["points"], "<f8"), cells, facets, subdomains, description["names"])


def _bounding_box(topology: Topology) -> tuple[tuple[float, float], ...]:
    """Return the ranges of the nodes, and of points on curved facets, which may lie beyond."""
    found = [topology.points]
    for patch in topology.side_patches(np.flatnonzero(topology.is_outer)):
        if len(patch.kind.nodes) > patch.kind.corners and patch.own.dim > 0:
            lattice, _ = division(64 if patch.own.dim == 1 else 8, patch.own.dim, patch.own.is_simplex)
            found.append(patch.at(lattice).x.reshape(-1, patch.kind.dim))
    every = np.concatenate(found)
    return tuple((float(low), float(high)) for low, high in zip(every.min(axis=0), every.max(axis=0), strict=True))


def _packed(values: NDArray, kind: str) -> list[Any]:
    """Return the shape of an array and its compressed values as text."""
    return [*values.shape, base64.b64encode(zlib.compress(values.astype(kind).tobytes(), 9)).decode()]


def _unpacked(packed: Sequence[Any], kind: str) -> NDArray:
    *shape, text = packed
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=kind).reshape(shape)
