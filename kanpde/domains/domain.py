"""What the other rooms use of a domain, and the way back from its description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import meshio
import torch
from jaxtyping import Bool, Float
from torch import Tensor

import kanpde.domains
from kanpde.domains.region import Region
from kanpde.errors import InputError, suggest
from kanpde.factories import offering


class Domain(Protocol):
    """A set of points (coordinates in a fixed order) with named parts.

    Lengths, times and the measure are in the units of the coordinates. The coordinate named ``t`` is time; the domain
    is then a spatial domain times an interval. A new kind is one file in ``kanpde.domains`` whose class also has the
    class method ``from_description(description)``, the inverse of `describe`; a class elsewhere trains, stores and
    plots as well, and its stored runs are loaded with ``load(folder, problem=...)``.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Of the coordinates, in the order that points, residuals and solutions use."""
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
        """The positions of the other coordinates, at least one."""
        ...

    @property
    def periodic(self) -> tuple[int, ...]:
        """The positions of coordinates in which everything is periodic with the length of the range."""
        ...

    @property
    def interior(self) -> Region:
        """All of the domain, for all times."""
        ...

    @property
    def boundary(self) -> Region:
        """The boundary in space, for all times; its points have outward unit normals, whose entry for t is 0.

        Raises:
            InputError: there is none, as on a torus.
        """
        ...

    @property
    def parts(self) -> Mapping[str, Region]:
        """The regions that have names: "interior", "boundary" where there is one, flat faces of the boundary such as
        "x=0", and with time the initial slice, such as "t=0". A region's name is its ``label``.
        """
        ...

    @property
    def measure(self) -> float:
        """The length, area or volume of the spatial domain, with time multiplied by the duration."""
        ...

    def at(self, **fixed: float) -> Region:
        """The slice on which coordinates are held fixed: ``domain.at(t=0)``.

        Raises:
            InputError: a coordinate does not exist or cannot be held fixed, or the value lies outside its range.
        """
        ...

    def contains(self, x: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        """Whether points lie in the domain or on its boundary, to rounding in the dtype of x. NaN lies nowhere."""
        ...

    def test_points(self, device: torch.device | str, dtype: torch.dtype) -> Float[Tensor, "points dim"]:
        """Points for measuring errors, the same in every call, other than training takes.

        They are about equally dense everywhere, so that their mean square is the square of the L2 norm over `measure`.
        """
        ...

    def mesh(self, n: int, only: Sequence[int] | None = None) -> meshio.Mesh:
        """A mesh for pictures, with about n >= 1 cells along each coordinate.

        Args:
            n: cells along each coordinate.
            only: the positions of the one to three spatial coordinates that the mesh spans; None takes all of them.
                The others are held fixed by who calls; a mesh of some of the coordinates spans the bounding box, and
                `contains` says where the slice is in the domain.

        Returns:
            A mesh of one kind of cells (line, triangle, quad or hexahedron) with points (points, 3): column k is
            coordinate ``only[k]``, further columns are 0.

        Raises:
            InputError: there are more than three coordinates.
        """
        ...

    def restricted(self, **ranges: tuple[float, float]) -> Domain:
        """The same domain with ranges of coordinates narrowed: ``domain.restricted(t=(0.0, 0.5))``; at least of t.

        Raises:
            InputError: a coordinate does not exist or cannot be narrowed, or the new range is not within the old one.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """All that makes this domain, as JSON can hold it; "kind" is the name of its class.

        Equal descriptions mean equal domains: a stored run is loaded with a problem only where both agree.
        """
        ...


def kinds() -> dict[str, type]:
    """The classes in the files of ``kanpde.domains`` that can be made from a description, by their names."""
    return offering(kanpde.domains, "from_description")


def domain_from(
    description: Mapping[str, Any],
) -> Any:  # a `Domain`; protocols with properties cannot be checked in tests
    """The inverse of `Domain.describe` for the kinds in this package; nothing that a description names is imported.

    Raises:
        InputError: the kind is not in this package, or its class cannot be made from the rest.
    """
    known, kind = kinds(), str(description.get("kind"))
    if kind not in known:
        raise InputError(f'There is no domain "{kind}" in kanpde.domains. {suggest(kind, known)}')
    try:
        return known[kind].from_description(description)  # pyright: ignore[reportAttributeAccessIssue]
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"The description of a {kind} is incomplete or of another form ({type(error).__name__}: {error}). Give "
            "what `describe` returned."
        ) from None
