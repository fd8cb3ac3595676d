"""The protocol `Domain`, through which all other modules use a domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import meshio
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanpde.domains.region import Region


class Domain(Protocol):
    """A set of points (coordinates in a fixed order) with named parts.

    Lengths, times and the measure are in the units of the coordinates. The coordinate named ``t`` is time; the domain
    is then a spatial domain times an interval. A new kind is one file in ``kanpde.domains`` whose class also has the
    class method ``from_description(description)``, the inverse of `describe`. A class outside the package can be
    trained on, stored and plotted too; its stored runs are loaded with ``load(folder, problem=...)``. ``repr`` shows
    all arguments, because a checkpoint is continued only if it is the same. A method ``boundary_mesh(n)`` is optional:
    `kanpde.domains.facets` says what it returns, and finds the parts of facets without it. A domain that is plane in
    space may also have ``corners()``, which returns its re-entrant vertices (`kanpde.domains.corners.CornerPoint`).
    Coordinates that are parameters of a family of problems are no part of space; `kanpde.domains.families` says what
    a domain with parameters has besides.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coordinates, in the order that points, residuals and solutions use."""
        ...

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """The bounding box: (lower, upper) of every coordinate, finite, lower < upper."""
        ...

    @property
    def time(self) -> int | None:
        """The position of ``t`` among the coordinates; None without time."""
        ...

    @property
    def space(self) -> tuple[int, ...]:
        """The positions of the coordinates other than time and parameters of a family; () if t is the only one."""
        ...

    @property
    def periodic(self) -> tuple[int, ...]:
        """The positions of coordinates in which all functions are periodic, with the length of the range as period."""
        ...

    @property
    def interior(self) -> Region:
        """The whole domain, at all times."""
        ...

    @property
    def boundary(self) -> Region:
        """The boundary in space, at all times; its points have outward unit normals, whose entry for t is 0.

        Raises:
            InputError: the domain has no boundary, as a torus or an interval of time.
        """
        ...

    @property
    def parts(self) -> Mapping[str, Region]:
        """The named regions: "interior", "boundary" if there is one, named pieces of the boundary, such as "x=0" or
        "inner", and with time the initial slice, such as "t=0". The key of a region is its ``label``.
        """
        ...

    @property
    def measure(self) -> float:
        """The length, area or volume of the spatial domain, times the duration and the ranges of parameters."""
        ...

    def at(self, **fixed: float) -> Region:
        """Return the slice on which some coordinates are held fixed: ``domain.at(t=0)``.

        Raises:
            InputError: a coordinate does not exist or cannot be held fixed, or the value lies outside its range.
        """
        ...

    def contains(self, x: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        """Return whether points lie in the domain or on its boundary, up to rounding errors; False for NaN."""
        ...

    def test_points(self, device: torch.device | str, dtype: torch.dtype) -> Float[Tensor, "points dim"]:
        """Return points for measuring errors: the same in every call, and different from the training points.

        They have nearly uniform density, so that the mean square over them is the squared L2 norm divided by `measure`.
        """
        ...

    def mesh(self, n: int, only: Sequence[int] | None = None) -> meshio.Mesh:
        """Return a mesh for pictures, with about n >= 1 cells along each coordinate.

        Args:
            n: cells along each coordinate.
            only: the positions of the one to three spatial coordinates that the mesh spans; None takes all of them, or
                t if there are none. The caller holds the others fixed; a mesh of some of the coordinates spans the
                bounding box, and `contains` tells which points of the slice lie in the domain.

        Returns:
            A mesh with one kind of cells (line, triangle, quad, tetra or hexahedron) and points (points, 3): column k
            is coordinate ``only[k]``, further columns are 0.

        Raises:
            InputError: there are more than three coordinates.
        """
        ...

    def restricted(self, **ranges: tuple[float, float]) -> Domain:
        """Return the domain with narrower ranges, at least for t: ``domain.restricted(t=(0.0, 0.5))``.

        Raises:
            InputError: a coordinate does not exist or cannot be narrowed, or the new range is not within the old one.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Return a complete description of the domain that JSON can represent; "kind" is the name of its class.

        Equal descriptions mean equal domains: a stored run is loaded with a problem only if their descriptions agree.
        """
        ...
