"""Shapes that are combined by ``|``, ``&`` and ``-``, as domains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NoReturn, Protocol, runtime_checkable

import meshio
import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from kanpde.domains.arcs import Arc
from kanpde.domains.corners import CornerPoint
from kanpde.domains.drawing import draw_inside, draw_wall
from kanpde.domains.family import Family, over
from kanpde.domains.kinds import domain_from
from kanpde.domains.meshes import box_mesh
from kanpde.domains.overlap import check_operands
from kanpde.domains.planar import Planar
from kanpde.domains.region import Region
from kanpde.domains.solid import Solid
from kanpde.domains.spacetime import SpaceTime
from kanpde.domains.surfaces import Patch
from kanpde.errors import InputError, suggest

_ROUNDING = 16  # units in the last place of the largest coordinate
_TESTS = 10_000


@runtime_checkable
class Operand(Protocol):
    """A shape, or a box of two or three coordinates of space."""

    def as_shape(self) -> Shape: ...


class Shape(ABC):
    """A bounded set of the plane with the coordinates x and y, or of space with x, y and z.

    A subclass has `bounds`, `level`, `arcs` (in the plane) or `patches` (in space) and `describe`, and is a frozen
    dataclass.
    """

    time: int | None = None
    periodic: tuple[int, ...] = ()

    @property
    @abstractmethod
    def bounds(self) -> NDArray:
        """A box that contains the shape, (dim, 2)."""

    @abstractmethod
    def level(self, x: NDArray) -> NDArray:
        """Return for points (n, dim) a number that is negative inside, 0 on the boundary and positive outside, (n,).

        Near the boundary it is the distance from it to first order.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the description, as `Domain.describe`."""

    @property
    def leaves(self) -> tuple[Any, ...]:
        """The shapes that this one combines, each once; a shape that is no combination has itself."""
        return (self,)

    @property
    def signs(self) -> dict[Any, frozenset[int]]:
        """For each of `leaves` 1 if this shape lies inside of its boundary, and -1 if it lies outside (or both)."""
        return {self: frozenset({1})}

    def arcs(self) -> list[Arc]:
        """Return the boundary of a shape in the plane that is no combination; of others nothing."""
        return []

    def patches(self) -> list[Patch]:
        """Return surfaces that contain the boundary of a shape in space that is no combination; of others nothing."""
        return []

    def as_shape(self) -> Shape:
        """Return the shape itself."""
        return self

    # combinations ----------------------------------------------------------------------------------------------------
    def __or__(self, other: Operand) -> Combination:
        return Combination("|", self, _operand(other))

    def __and__(self, other: Operand) -> Combination:
        return Combination("&", self, _operand(other))

    def __sub__(self, other: Operand) -> Combination:
        return Combination("-", self, _operand(other))

    # the protocol Domain ---------------------------------------------------------------------------------------------
    @cached_property
    def geometry(self) -> Planar | Solid:
        """The boundary and the quadrature rules, computed when they are first used.

        Raises:
            InputError: nothing is left of a combination, or a hole lies outside its shape.
        """
        check_operands(self)
        return Planar(self, self.leaves) if len(self.bounds) == 2 else Solid(self, self.signs)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coordinates."""
        return ("x", "y", "z")[: len(self.bounds)]

    @property
    def space(self) -> tuple[int, ...]:
        """The positions of all coordinates."""
        return tuple(range(len(self.bounds)))

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """The bounding box."""
        return tuple((float(lo), float(hi)) for lo, hi in self.geometry.bounds)

    @property
    def measure(self) -> float:
        """The area or volume."""
        return self.geometry.measure

    @property
    def interior(self) -> Region:
        """The whole shape."""
        draw = partial(draw_inside, self.geometry, self.level)
        return Region("interior", self.names, self.space, True, ({},), draw, extent=lambda: self.measure)

    @property
    def boundary(self) -> Region:
        """The whole boundary."""
        return self._wall("boundary", None)

    @property
    def parts(self) -> dict[str, Region]:
        """The interior, the boundary, and the parts of the boundary by the names of the shapes they belong to."""
        named = {label: self._wall(label, label) for label in self.geometry.labels}
        return {"interior": self.interior, "boundary": self.boundary, **named}

    @property
    def covered(self) -> set[str]:
        """The names of parts of operands of which no point lies on the boundary."""
        walls = [wall for leaf in self.leaves for wall in (*leaf.arcs(), *leaf.patches())]
        named = {label for wall in walls for label in wall.labels}
        return named - set(self.geometry.labels)

    def part(self, name: str) -> Region:
        """Return a named part, ``shape.part("hole")``.

        Raises:
            InputError: no part has that name, or the part of an operand does not belong to the boundary.
        """
        parts = self.parts
        if name in parts:
            return parts[name]
        if name in self.covered:
            raise InputError(
                f'No point of the part "{name}" lies on the boundary of {self}: another operand covers it or cuts it '
                f"off. The parts are {', '.join(parts)}."
            )
        raise InputError(f'The shape has no part "{name}". {suggest(name, parts)}')

    def at(self, **fixed: float) -> NoReturn:
        """Refuse: a shape has no named slices; with time, ``shape.over(t=(0.0, 1.0)).at(t=0.0)`` is one."""
        raise InputError(
            f"A shape has no slice {', '.join(f'{k}={v:g}' for k, v in fixed.items())}. Only t can be held fixed: "
            "`shape.over(t=(0.0, 1.0)).at(t=0.0)`."
        )

    def restricted(self, **ranges: tuple[float, float]) -> NoReturn:
        """Refuse: a shape is narrowed by ``shape & Rectangle(...)`` or ``shape & Cuboid(...)``."""
        other = "Rectangle" if len(self.bounds) == 2 else "Cuboid"
        raise InputError(
            f"A shape is not narrowed by ranges ({', '.join(ranges)}). Intersect it: `shape & {other}(...)`."
        )

    def contains(self, x: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        """Return whether points lie inside or on the boundary, up to rounding errors; False for NaN."""
        slack = _ROUNDING * torch.finfo(x.dtype).eps * float(np.abs(self.bounds).max())
        level = self.level(x.detach().cpu().double().numpy())
        return torch.as_tensor(level <= slack, device=x.device)

    @property
    def notes(self) -> list[str]:
        """What a log should say of the shape."""
        count = self.geometry.separate_parts
        return [f"the domain consists of {count} separate parts"] if count > 1 else []

    def corners(self) -> list[CornerPoint]:
        """Return the re-entrant corners of a shape in the plane."""
        return self.geometry.corners()

    def test_points(self, device: torch.device | str, dtype: torch.dtype) -> Float[Tensor, "points dim"]:
        """Return about 10,000 points of a grid inside for measuring errors."""
        lengths = np.ptp(self.geometry.bounds, axis=1)
        spacing = (self.measure / _TESTS) ** (1 / len(lengths))
        axes = [lo + (np.arange(round((hi - lo) / spacing)) + 0.5) * spacing for lo, hi in self.ranges]
        x = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
        return torch.as_tensor(x[self.level(x) < 0], device=device, dtype=dtype)

    def mesh(self, n: int, only: Sequence[int] | None = None) -> meshio.Mesh:
        """Return a mesh that follows the boundary, with about n cells along the longer side of the bounding box."""
        if only is not None and tuple(only) != self.space:
            return box_mesh([self.ranges[i] for i in only], n)
        return self.geometry.mesh(n)

    def _wall(self, label: str, part: str | None) -> Region:
        draw = partial(draw_wall, self.geometry, part)
        faces, extent = ({},) * self.geometry.faces(part), partial(self.geometry.extent, part)
        return Region(label, self.names, self.space, False, faces, draw, extent=extent)

    def over(self, *, family: Sequence[str] = (), **ranges: tuple[float, float]) -> SpaceTime | Family:
        """Return the shape for times in the range ``t``, and for parameters of a family (`kanpde.domains.family`)."""
        return over(self, ranges, family)


@dataclass(frozen=True)
class Combination(Shape):
    """The union (``|``), the intersection (``&``) or the difference (``-``) of two shapes."""

    operation: str
    one: Shape
    two: Shape

    def __post_init__(self):
        if len(self.one.bounds) != len(self.two.bounds):
            raise InputError(
                f"{self.one} has {len(self.one.bounds)} coordinates and {self.two} has {len(self.two.bounds)}. Combine "
                "shapes of the plane with shapes of the plane, and shapes of space with shapes of space."
            )

    def __repr__(self) -> str:
        return f"({self.one!r} {self.operation} {self.two!r})"

    @property
    def leaves(self) -> tuple[Any, ...]:
        """The shapes that are combined, each once."""
        return tuple(dict.fromkeys((*self.one.leaves, *self.two.leaves)))

    @property
    def signs(self) -> dict[Any, frozenset[int]]:
        """Those of both operands; those of what is cut out are inverted."""
        found = dict(self.one.signs)
        for leaf, signs in self.two.signs.items():
            signs = frozenset(-sign for sign in signs) if self.operation == "-" else signs
            found[leaf] = found.get(leaf, frozenset()) | signs
        return found

    @property
    def bounds(self) -> NDArray:
        """A box that contains the combination."""
        one, two = self.one.bounds, self.two.bounds
        if self.operation == "-":
            return one
        outer, inner = (np.minimum, np.maximum) if self.operation == "|" else (np.maximum, np.minimum)
        return np.stack([outer(one[:, 0], two[:, 0]), inner(one[:, 1], two[:, 1])], axis=1)

    def level(self, x: NDArray) -> NDArray:
        """Return the minimum, the maximum, or the maximum with the negative of the second level."""
        one, two = self.one.level(x), self.two.level(x)
        if self.operation == "|":
            return np.minimum(one, two)
        return np.maximum(one, two if self.operation == "&" else -two)

    def describe(self) -> dict[str, Any]:
        """Return the operation with the descriptions of both operands."""
        return {
            "kind": "Combination",
            "operation": self.operation,
            "one": self.one.describe(),
            "two": self.two.describe(),
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Combination:
        """Return the combination from a description by `describe`."""
        if description["operation"] not in ("|", "&", "-"):
            raise ValueError(description["operation"])
        return cls(description["operation"], domain_from(description["one"]), domain_from(description["two"]))


def _operand(other: object) -> Shape:
    if not isinstance(other, Operand):
        raise InputError(
            f"Shapes are combined with shapes, got {other!r}. Write `Disk() - Disk((0.2, 0.1), 0.3)`; `|` is the union "
            "and `&` the intersection."
        )
    return other.as_shape()
