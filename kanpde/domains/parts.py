"""Domains of several parts that touch, each of which has functions of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import meshio
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kanpde.calculus.piecewise import Piecewise
from kanpde.domains.composed import filtered, joined_meshes, oriented, united
from kanpde.domains.families import family_of
from kanpde.domains.kinds import domain_from
from kanpde.domains.meshes import box_mesh
from kanpde.domains.region import Region
from kanpde.domains.touching import SAMPLES, boundary_of, check_touching, extent, place
from kanpde.errors import InputError, suggest

_RESERVED = ("interior", "boundary")


class Parts:
    """Parts that touch, each with a network of its own: ``Parts(inner=disk, outer=rectangle - disk)``.

    The unknowns may have jumps and kinks where parts meet. There `interface` is the region of the conditions that
    couple them (`kanpde.jump`, `kanpde.flux_jump`). A condition on a region of one part, such as ``disk.interior``, is
    about the functions of that part; `on` says which part is meant where two meet.

    Args:
        parts: by name, domains in the same coordinates, with the same range of t if there is time.

    Raises:
        InputError: parts overlap, or leave a gap between them (checked at points), or their coordinates differ.
    """

    periodic: tuple[int, ...] = ()

    def __init__(self, **parts: Any):
        if len(parts) < 2:
            raise InputError(
                f"Parts needs at least two parts by name, got {len(parts)}: Parts(inner=disk, outer=hull)."
            )
        self.by_name: dict[str, Any] = dict(parts)
        first = self.each[0]
        self.names, self.time, self.space = first.names, first.time, first.space
        for name, part in parts.items():
            if name in _RESERVED:
                raise InputError(f'A part cannot be called "{name}", which is a region of the whole domain.')
            if part.names != self.names or (
                self.time is not None and part.ranges[self.time] != first.ranges[self.time]
            ):
                raise InputError(
                    f"All parts need the same coordinates, and with time the same range of t; {name} is {part}, and "
                    f"the first part is {first}."
                )
            if part.periodic:
                raise InputError(f"A part cannot be periodic, and {name} is {part}.")
            if family_of(part):
                raise InputError(f"A domain of several parts has no parameters of a family, and {name} is {part}.")
        check_touching(parts)

    def __repr__(self) -> str:
        return f"Parts({', '.join(f'{name}={part!r}' for name, part in self.by_name.items())})"

    @property
    def each(self) -> tuple[Any, ...]:
        """The parts in their order."""
        return tuple(self.by_name.values())

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """The bounding box of all parts."""
        pairs = [[part.ranges[i] for part in self.each] for i in range(len(self.names))]
        return tuple((min(lo for lo, _ in each), max(hi for _, hi in each)) for each in pairs)

    @property
    def measure(self) -> float:
        """The sum of the measures of the parts."""
        return sum(part.measure for part in self.each)

    def position(self, name: str) -> int:
        """Return the position of a part.

        Raises:
            InputError: there is no part of that name.
        """
        if name not in self.by_name:
            raise InputError(f'There is no part "{name}". {suggest(name, self.by_name)}')
        return list(self.by_name).index(name)

    # points ----------------------------------------------------------------------------------------------------------
    def members(self, x: Float[Tensor, "points dim"]) -> Bool[Tensor, "parts points"]:
        """Return for every part which points it contains; those on an interface are in several."""
        return torch.stack([part.contains(x) for part in self.each])

    def contains(self, x: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        """Return whether points lie in one of the parts."""
        return self.members(x).any(dim=0)

    def part_of(self, x: Float[Tensor, "points dim"]) -> Int[Tensor, " points"]:
        """Return the position of the first part that contains a point; outside, that of the nearest bounding box."""
        inside = self.members(x)
        gaps = []
        for part in self.each:
            lower, upper = torch.tensor(part.ranges, device=x.device, dtype=x.dtype).unbind(1)
            gaps.append((torch.maximum(lower - x, x - upper)).clamp_min(0.0).norm(dim=1))
        return torch.where(inside.any(dim=0), inside.byte().argmax(dim=0), torch.stack(gaps).argmin(dim=0))

    def test_points(self, device: torch.device | str, dtype: torch.dtype) -> Float[Tensor, "points dim"]:
        """Return test points of all parts, of which those of the denser parts are thinned at random."""
        points = [part.test_points(device, dtype) for part in self.each]
        density = min(len(x) / part.measure for x, part in zip(points, self.each, strict=True))
        kept = []
        for x, part in zip(points, self.each, strict=True):
            generator = torch.Generator().manual_seed(20_011)  # the same points on every device
            order = torch.randperm(len(x), generator=generator, device="cpu")
            kept.append(x[order[: round(density * part.measure)].sort().values.to(x.device)])
        return torch.cat(kept)

    # regions ---------------------------------------------------------------------------------------------------------
    @property
    def interior(self) -> Region:
        """All parts; every point has the functions of its part."""
        return united("interior", [(part.interior, part.measure) for part in self.each], is_interior=True)

    @cached_property
    def _walls(self) -> list[tuple[Region, float]]:
        """The boundary of every part without the points that lie in another part, and its size in space."""
        found = []
        for k, part in enumerate(self.each):
            points = boundary_of(part)
            share = float(points.weight @ (~self._others(k, points.x)).to(points.weight))
            if share > 0:
                found.append((filtered(part.boundary, share, lambda x, k=k: ~self._others(k, x)), share * extent(part)))
        return found

    def _others(self, k: int, x: Tensor) -> Tensor:
        """Return whether points lie in a part other than number k."""
        return torch.stack([part.contains(x) for i, part in enumerate(self.each) if i != k]).any(dim=0)

    @property
    def boundary(self) -> Region:
        """The boundary in space without the interfaces.

        Raises:
            InputError: there is none.
        """
        if not self._walls:
            raise InputError("Every point of the boundary of a part lies in another part, so there is no boundary.")
        return united("boundary", self._walls)

    def at(self, **fixed: float) -> Region:
        """Return the slice of all parts at a time, ``domain.at(t=0.0)``.

        Raises:
            InputError: another coordinate is held fixed, or t is outside its range.
        """
        if self.time is None or list(fixed) != ["t"]:
            raise InputError(
                f"Of several parts only t can be held fixed, got {', '.join(fixed)}. Take the slice of one part: "
                "parts.on(name, part.at(x=0.0))."
            )
        slices = [part.at(**fixed) for part in self.each]
        return united(slices[0].label, [(s, p.measure) for s, p in zip(slices, self.each, strict=True)])

    @property
    def parts(self) -> Mapping[str, Region]:
        """The named regions: "interior", "boundary", the interfaces ("inner|outer") and the initial slice ("t=0")."""
        names = list(self.by_name)
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if self._share(a, b)]
        regions = [self.interior, *([self.boundary] if self._walls else []), *(self.interface(a, b) for a, b in pairs)]
        if self.time is not None:
            regions.append(self.at(t=self.ranges[self.time][0]))
        return {region.label: region for region in regions}

    def _share(self, one: str, other: str) -> float:
        """Return the part of the boundary of ``one`` that lies on ``other``."""
        points = boundary_of(self.by_name[one])
        return float(points.weight @ self.by_name[other].contains(points.x).to(points.weight))

    def interface(self, one: str, other: str, region: Region | None = None) -> Region:
        """Return where two parts meet, with normals that point from ``one`` to ``other``.

        Conditions on it get the unknowns of ``one``, then those of ``other``.

        Args:
            one, other: names of the parts.
            region: a piece of the boundary of either, to which the interface is limited.

        Raises:
            InputError: a part does not exist, the parts do not meet, or the region does not lie on both.
        """
        sides, label = (self.position(one), self.position(other)), f"{one}|{other}"
        if one == other:
            raise InputError(f'An interface lies between two parts, got "{one}" twice.')
        if region is not None:
            for name in (one, other):
                self._require(name, region)
            return replace(oriented(self.by_name[one], region), label=label, sides=sides)
        if not (share := self._share(one, other)):
            raise InputError(
                f"The parts {one} and {other} do not meet: no point of the boundary of {one} lies in {other}."
            )
        return replace(
            filtered(self.by_name[one].boundary, share, self.by_name[other].contains), label=label, sides=sides
        )

    def on(self, name: str, region: Region) -> Region:
        """Return a region on which conditions are about the functions of one part, with normals that leave this part.

        It is needed where two parts meet; elsewhere a region of a part says which part is meant.

        Raises:
            InputError: the part does not exist, or the region does not lie in it.
        """
        side = self.position(name)
        self._require(name, region)
        return replace(oriented(self.each[side], region), sides=(side,))

    def _require(self, name: str, region: Region) -> None:
        """Require that a region lies in a part."""
        x = region.sample("chebyshev", SAMPLES).x
        outside = ~self.by_name[name].contains(x)
        if bool(outside.any()):
            raise InputError(
                f'The region "{region.label}" does not lie in the part {name}: {place(self, x[outside][0])} is a point '
                "of the region, but not of the part or its boundary."
            )

    def of_condition(self, name: str, region: Region) -> Region:
        """Return the region of a condition with the part whose functions it is about.

        Raises:
            InputError: its points lie on an interface, or outside.
        """
        if region.sides:
            return region
        x = region.sample("chebyshev", SAMPLES).x
        inside = self.members(x)
        sides = [k for k, all_of in enumerate(inside.all(dim=1).tolist()) if all_of]
        count = inside.sum(dim=0)
        if bool((count == 0).any()):
            raise InputError(
                f'Condition "{name}" has points in none of the parts, such as {place(self, x[count == 0][0])}.'
            )
        if bool((count > 1).any()):
            both = [n for n, is_in in zip(self.by_name, inside[:, count > 1][:, 0].tolist(), strict=True) if is_in]
            raise InputError(
                f'Condition "{name}" has points where {" and ".join(both)} meet, such as '
                f"{place(self, x[count > 1][0])}, and it does not say whose functions it is about. "
                f'Write domain.on("{both[0]}", region) for those of '
                f'{both[0]}, or domain.interface("{both[0]}", "{both[1]}") for both.'
            )
        return replace(region, sides=tuple(sides))

    def piecewise(self, **formulas: Any) -> Piecewise:
        """Return a function with one formula in each part: ``domain.piecewise(inner=1000.0, outer=lambda x, y: x)``.

        Raises:
            InputError: a part is missing or does not exist.
        """
        for name in formulas:
            self.position(name)
        if missing := [name for name in self.by_name if name not in formulas]:
            raise InputError(f'The part "{missing[0]}" has no formula; a piecewise function needs one for each part.')
        return Piecewise(tuple(formulas[name] for name in self.by_name), self.part_of)

    # output ----------------------------------------------------------------------------------------------------------
    def mesh(self, n: int, only: Sequence[int] | None = None) -> meshio.Mesh:
        """Return the meshes of all parts; where parts meet, each has points of its own, so that pictures show jumps."""
        if only is not None and tuple(only) != self.space:
            return box_mesh([self.ranges[i] for i in only], n)
        return joined_meshes(self.each, n)

    def restricted(self, **ranges: tuple[float, float]) -> Parts:
        """Return the parts with narrower ranges."""
        return Parts(**{name: part.restricted(**ranges) for name, part in self.by_name.items()})

    def describe(self) -> dict[str, Any]:
        """Return ``{"kind": "Parts", "parts": [[name, description], ...]}``."""
        return {"kind": "Parts", "parts": [[name, part.describe()] for name, part in self.by_name.items()]}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Parts:
        """Return the domain from a description by `describe`."""
        return cls(**{name: domain_from(part) for name, part in description["parts"]})


def ranges_of(domain: Any, side: int | None) -> Sequence[tuple[float, float]]:
    """Return the bounding box of a domain (a `Domain`), or of one of its parts."""
    return domain.ranges if side is None else domain.each[side].ranges
