"""Boxes in any number of named coordinates; the coordinate named ``t`` is time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from numbers import Real
from typing import Any

import meshio
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanpde.domains.cuboid import Cuboid
from kanpde.domains.families import check_family
from kanpde.domains.meshes import box_mesh
from kanpde.domains.ranges import check_range, label_at, spread
from kanpde.domains.rectangle import Rectangle
from kanpde.domains.region import Points, Region
from kanpde.domains.shape import Combination, Operand
from kanpde.domains.slabs import draw_slabs
from kanpde.errors import InputError, suggest

_ROUNDING = 8  # units in the last place


class Box:
    """A product of intervals, ``Box(x=(-1, 1), y=(-1, 1), t=(0, 1))``; ``Box(t=(0, 1))`` for ordinary equations.

    Args:
        periodic: names of coordinates in which all functions are periodic with the length of the range as period. Such
            coordinates have no boundary, and networks are exactly periodic in them.
        family: names of coordinates that are parameters of a family of problems, ``Box(x=(0, 1), nu=(0.01, 0.1),
            family=["nu"])``. They have no boundary and no part in `gradient`, `divergence` and `laplacian`.
        ranges: (lower, upper) of every coordinate, in the order that residuals and solutions use.
    """

    def __init__(self, *, periodic: Sequence[Any] = (), family: Sequence[Any] = (), **ranges: tuple[float, float]):
        if not ranges:
            raise InputError("A Box needs coordinates.", write={"x": (0.0, 1.0), "y": (0.0, 1.0)})
        for name, limits in ranges.items():
            check_range(name, limits)
        self.names = tuple(ranges)
        self.ranges = tuple((float(lo), float(hi)) for lo, hi in ranges.values())
        self.time = self.names.index("t") if "t" in self.names else None
        self.family = check_family(family, self.names)
        self.space = tuple(i for i in range(len(self.names)) if i != self.time and i not in self.family)
        self.periodic = tuple(self._position(name) for name in periodic)

    def __repr__(self) -> str:
        ranges = ", ".join(f"{n}=({lo:g}, {hi:g})" for n, (lo, hi) in zip(self.names, self.ranges, strict=True))
        groups = {"periodic": self.periodic, "family": self.family}
        named = "".join(f", {key}={[self.names[i] for i in group]}" for key, group in groups.items() if group)
        return f"Box({ranges}{named})"

    def _position(self, name: str) -> int:
        if name not in self.names:
            raise InputError(f'The domain has no coordinate "{name}". {suggest(name, self.names)}')
        return self.names.index(name)

    # shapes ----------------------------------------------------------------------------------------------------------
    def as_shape(self) -> Rectangle | Cuboid:
        """Return the box of the coordinates x and y, or x, y and z, as a shape, which can be combined with others.

        Raises:
            InputError: the box has other coordinates.
        """
        if self.names not in (("x", "y"), ("x", "y", "z")) or self.periodic or self.family:
            raise InputError(
                "Only boxes of x and y, or of x, y and z, without periodic coordinates and parameters of a family are "
                f"combined with shapes, got {self}. For time, write `shape.over(t=(0.0, 1.0))`."
            )
        x, y, *rest = self.ranges
        return Cuboid(x, y, rest[0]) if rest else Rectangle(x, y)

    def __or__(self, other: Operand) -> Combination:
        return self.as_shape() | other

    def __and__(self, other: Operand) -> Combination:
        return self.as_shape() & other

    def __sub__(self, other: Operand) -> Combination:
        return self.as_shape() - other

    # regions ---------------------------------------------------------------------------------------------------------
    @property
    def interior(self) -> Region:
        """The whole box."""
        return self._region("interior", [{}], is_interior=True)

    @property
    def boundary(self) -> Region:
        """All spatial faces, at all times."""
        if not self.space:
            begin = 0.0 if self.time is None else self.ranges[self.time][0]
            raise InputError(
                "A domain of time alone has no boundary. Give values at the beginning by "
                f"`initial(domain.at(t={begin:g}), value)`, and a rate by the same with `order=1`."
            )
        faces = [{i: float(side)} for i in self.space if i not in self.periodic for side in (0, 1)]
        if not faces:
            raise InputError("Every spatial coordinate is periodic, so there is no boundary. Leave the condition out.")
        return self._region("boundary", faces)

    def face(self, name: str, side: int) -> Region:
        """Return the face where coordinate ``name`` is at its lower (side 0) or upper (side 1) end."""
        if not isinstance(side, int) or side not in (0, 1):
            raise InputError(
                f"A face has side 0 (lower) or 1 (upper), got {side!r}. A slice at a value is `at({name}=value)`.",
                write={"side": 0},
            )
        i = self._position(name)
        if i in self.periodic:
            raise InputError(f'The coordinate "{name}" is periodic and has no faces. Leave the condition out.')
        if i in self.family:
            raise InputError(f'"{name}" is a parameter of the family and has no faces. Leave the condition out.')
        return self._region(label_at(name, self.ranges[i][side]), [{i: float(side)}])

    def at(self, **fixed: float) -> Region:
        """Return the slice with some coordinates held fixed, for example ``domain.at(t=0)``.

        Raises:
            InputError: a coordinate does not exist, or its value is no number or outside its range.
        """
        values = {}
        for name, value in fixed.items():
            lo, hi = self.ranges[self._position(name)]
            if not isinstance(value, Real):
                raise InputError(
                    f"{name} must be a number, got {value!r}. Events, whose {name} depends on the solution, are not "
                    "supported; find them afterwards, as a root of the solution."
                )
            if not lo <= value <= hi:
                raise InputError(f"{name}={value:g} is outside the domain's range [{lo:g}, {hi:g}].")
            values[self._position(name)] = (value - lo) / (hi - lo)
        return self._region(", ".join(label_at(n, v) for n, v in fixed.items()), [values])

    @property
    def parts(self) -> dict[str, Region]:
        """The named regions: "interior", "boundary", every spatial face ("x=0"), the initial slice ("t=0").

        A box of time alone has no boundary and no faces.
        """
        walls = [i for i in self.space if i not in self.periodic]
        regions = [self.interior, *([self.boundary] if walls else [])]
        regions += [self.face(self.names[i], side) for i in walls for side in (0, 1)]
        if self.time is not None:
            regions.append(self.at(t=self.ranges[self.time][0]))
        return {region.label: region for region in regions}

    @property
    def measure(self) -> float:
        """The product of the lengths of all ranges, including those of t and of parameters of a family."""
        return prod(hi - lo for lo, hi in self.ranges)

    def contains(self, x: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        """Return whether points lie in the ranges, ends included; a periodic coordinate is not wrapped.

        For a range (a, b) the tolerance is a few units in the last place of max(|a|, |b|), for rounding errors.
        """
        lower, upper = torch.tensor(self.ranges, device=x.device, dtype=x.dtype).unbind(1)
        slack = _ROUNDING * torch.finfo(x.dtype).eps * torch.maximum(lower.abs(), upper.abs())
        return ((x >= lower - slack) & (x <= upper + slack)).all(dim=1)

    def restricted(self, **ranges: tuple[float, float]) -> "Box":
        """Return the box with some ranges narrowed, ``box.restricted(t=(0.0, 0.5))``.

        Raises:
            InputError: a coordinate does not exist, its new range is not within the old one, or it is periodic.
        """
        for name, limits in ranges.items():
            i = self._position(name)
            check_range(name, limits)
            (lo, hi), (least, most) = limits, self.ranges[i]
            if not least <= lo < hi <= most:
                raise InputError(f"{name}=({lo:g}, {hi:g}) is not within the domain's range [{least:g}, {most:g}].")
            if i in self.periodic and (lo, hi) != (least, most):
                raise InputError(f'"{name}" is periodic, so its range is the period. Narrow another coordinate.')
        old = dict(zip(self.names, self.ranges, strict=True))
        return self._with(old | ranges)

    def _with(self, ranges: Mapping[str, tuple[float, float]]) -> "Box":
        """Return the box with other ranges of some of its coordinates."""
        periodic, family = ([self.names[i] for i in group] for group in (self.periodic, self.family))
        kept = [[name for name in group if name in ranges] for group in (periodic, family)]
        return Box(periodic=kept[0], family=kept[1], **ranges)

    # families --------------------------------------------------------------------------------------------------------
    def holding(self, held: Sequence[str]) -> "Box":
        """Return the box of the other coordinates, where parameters of the family are held fixed."""
        return self._with({n: limits for n, limits in zip(self.names, self.ranges, strict=True) if n not in held})

    def region_holding(self, region: Region, held: Sequence[str]) -> Region:
        """Return a region of the box as a region of `holding`; no parameter that is held is fixed on it."""
        smaller = self.holding(held)
        pieces = [{smaller.names.index(self.names[i]): value for i, value in each.items()} for each in region.fixed]
        return smaller.part_like(replace(region, fixed=tuple(pieces)))

    def part_like(self, region: Region) -> Region:
        """Return the part of this box with the coordinates fixed that are fixed on a region of another box."""
        slabs = [
            {i: (value - self.ranges[i][0]) / (self.ranges[i][1] - self.ranges[i][0]) for i, value in piece.items()}
            for piece in region.fixed
        ]
        return self._region(region.label, slabs, is_interior=region.is_interior)

    def has_part(self, region: Region) -> bool:
        """Return whether a region is a part of the whole box, and not of another one within it."""
        own, whole = (each.sample("gauss", 16).x for each in (region, self.part_like(region)))
        return own.shape == whole.shape and torch.allclose(own, whole)

    # description -----------------------------------------------------------------------------------------------------
    def describe(self) -> dict[str, Any]:
        """Return ``{"kind": "Box", "names": [...], "ranges": [[lower, upper], ...], "periodic": [names]}``.

        A family has also ``"family": [names]``.
        """
        family = {"family": [self.names[i] for i in self.family]} if self.family else {}
        return family | {
            "kind": "Box",
            "names": list(self.names),
            "ranges": [list(limits) for limits in self.ranges],
            "periodic": [self.names[i] for i in self.periodic],
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "Box":
        """Return the box from a description by `describe`."""
        ranges = zip(description["names"], map(tuple, description["ranges"]), strict=True)
        return cls(periodic=description["periodic"], family=description.get("family", ()), **dict(ranges))

    def _region(self, label: str, slabs: list[dict[int, float]], is_interior: bool = False) -> Region:
        """Return the union of slabs, each with some coordinates fixed at a fraction of their range."""
        areas = [prod(hi - lo for i, (lo, hi) in enumerate(self.ranges) if i not in s) for s in slabs]
        is_face = [len(s) == 1 and next(iter(s)) in self.space and next(iter(s.values())) in (0, 1) for s in slabs]

        def draw(rule, n, generator, device, dtype) -> Points:
            return draw_slabs(self.ranges, slabs, is_face, rule, n, generator, device, dtype)

        fixed = tuple(
            {i: hi if share == 1 else lo + share * (hi - lo) for i, share in s.items() for lo, hi in [self.ranges[i]]}
            for s in slabs
        )
        return Region(label, self.names, self.space, is_interior, fixed, draw, extent=lambda: float(sum(areas)))

    # output ----------------------------------------------------------------------------------------------------------
    def mesh(self, n: int, only: Sequence[int] | None = None) -> meshio.Mesh:
        """Return a mesh of the spatial box (or of the coordinates ``only``), n cells along each, embedded in 3-D.

        Of a box of time alone it is the interval of time.
        """
        shown = self.space or [self.names.index("t")]
        return box_mesh([self.ranges[i] for i in (shown if only is None else only)], n)

    def test_points(self, device, dtype, per_axis: int = 101, most: int = 40_000) -> torch.Tensor:
        """Return points for measuring errors: an equidistant grid with the boundary, or Sobol points in more than 3-D.

        They differ from the training points, except single points, such as the centre, that symmetric rules share.
        """
        return spread(self.ranges, device, dtype, per_axis, most)


def require_box(domain: object, what: str, instead: str = "", write: Mapping[str, Any] | None = None) -> Box:
    """Return the domain if it is a box; otherwise raise an error.

    Args:
        domain: of the problem.
        what: name of the feature that needs a box, for the message.
        instead: one sentence on what else can be done.
        write: arguments of the caller for which no box is needed.

    Raises:
        InputError: the domain is not a `Box`; the message names its kind.
    """
    if not isinstance(domain, Box):
        raise InputError(
            f"{what} needs a Box, and the domain is a {type(domain).__name__}: {domain}.", write=write, advice=instead
        )
    return domain
