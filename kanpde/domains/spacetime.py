"""A domain of space for an interval of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import meshio
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanpde.domains.corners import CornerPoint
from kanpde.domains.extended import Extended
from kanpde.domains.kinds import domain_from
from kanpde.domains.ranges import check_range
from kanpde.domains.region import Points, Region
from kanpde.errors import InputError, suggest

_ROUNDING = 8  # units in the last place
_INSTANTS = 11


class SpaceTime:
    """The product of a domain of space and the times in the range ``t``, which is the last coordinate.

    The parts are those of the domain of space at all times, and the initial slice, such as "t=0".

    Args:
        shape: a `Domain` without t.
        t: the range of times.

    Raises:
        InputError: the range is invalid, or the domain has the coordinate t already.
    """

    def __init__(self, shape: Any, t: tuple[float, float]):
        if shape.time is not None:
            raise InputError(f"{shape} has the coordinate t already.")
        check_range("t", t)
        self.shape, self.t = shape, (float(t[0]), float(t[1]))
        self.names = (*shape.names, "t")
        self.space = tuple(shape.space)
        self.time = len(shape.names)
        self.periodic = tuple(shape.periodic)

    def __repr__(self) -> str:
        return f"{self.shape!r}.over(t=({self.t[0]:g}, {self.t[1]:g}))"

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """The bounding box of the shape, and the range of t."""
        return (*self.shape.ranges, self.t)

    @property
    def measure(self) -> float:
        """The measure of the domain of space multiplied by the duration."""
        return self.shape.measure * (self.t[1] - self.t[0])

    # regions ---------------------------------------------------------------------------------------------------------
    @property
    def interior(self) -> Region:
        """The whole domain at all times."""
        return self._during(self.shape.interior)

    @property
    def boundary(self) -> Region:
        """The boundary at all times."""
        return self._during(self.shape.boundary)

    @property
    def parts(self) -> dict[str, Region]:
        """The parts of the domain of space at all times, and the initial slice."""
        start, parts = self.at(t=self.t[0]), self.shape.parts
        if start.label in parts:
            raise InputError(f'"{start.label}" is the initial slice. Give the part of the boundary another name.')
        return {label: self._during(part) for label, part in parts.items()} | {start.label: start}

    def part(self, name: str) -> Region:
        """Return a named part at all times, or the initial slice.

        Raises:
            InputError: no part has that name.
        """
        parts = self.parts
        if name in parts:
            return parts[name]
        if name in getattr(self.shape, "covered", ()):
            self.shape.part(name)  # says why
        raise InputError(f'The domain has no part "{name}". {suggest(name, parts)}')

    def at(self, **fixed: float) -> Region:
        """Return the domain of space at one time, ``domain.at(t=0.0)``.

        Raises:
            InputError: another coordinate than t is given, or the time lies outside the range.
        """
        if list(fixed) != ["t"]:
            raise InputError(f"Only t can be held fixed, got {', '.join(fixed)}.", write={"t": self.t[0]})
        (moment,) = fixed.values()
        if not self.t[0] <= moment <= self.t[1]:
            raise InputError(f"t={moment:g} is outside the domain's range [{self.t[0]:g}, {self.t[1]:g}].")
        inner = self.shape.interior

        def draw(rule: str, n: int, generator, device, dtype) -> Points:
            points = inner.draw(rule, n, generator, device, dtype)
            return Points(torch.cat([points.x, torch.full_like(points.x[:, :1], moment)], dim=1), points.weight)

        label = f"t={moment:g}" if float(f"{moment:g}") == moment else f"t={moment!r}"
        held = ({self.time: float(moment)},)
        return Region(label, self.names, self.space, False, held, draw, extent=inner.extent)

    def _during(self, part: Region) -> Region:
        """Return a region of space at all times."""
        begin, end = self.t
        draw = Extended(part, self.t, len(self.shape.names) - (0 if part.is_interior else 1))
        extent = None if part.extent is None else lambda: part.measure * (end - begin)
        return Region(part.label, self.names, self.space, part.is_interior, part.fixed, draw, extent=extent)

    def contains(self, x: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        """Return whether points lie in the domain of space at a time in the range, ends included."""
        slack = _ROUNDING * torch.finfo(x.dtype).eps * max(map(abs, self.t))
        during = (x[:, -1] >= self.t[0] - slack) & (x[:, -1] <= self.t[1] + slack)
        return self.shape.contains(x[:, :-1]) & during

    def restricted(self, **ranges: tuple[float, float]) -> SpaceTime:
        """Return the domain for a shorter time, ``domain.restricted(t=(0.0, 0.5))``.

        Raises:
            InputError: another coordinate is given, or the range is not within the old one.
        """
        if list(ranges) != ["t"]:
            raise InputError(f"Only the range of t can be narrowed, got {', '.join(ranges)}.", write={"t": self.t})
        check_range("t", ranges["t"])
        begin, end = ranges["t"]
        if not self.t[0] <= begin < end <= self.t[1]:
            raise InputError(f"t=({begin:g}, {end:g}) is not within the domain's range [{self.t[0]:g}, {self.t[1]:g}].")
        return SpaceTime(self.shape, (begin, end))

    @property
    def notes(self) -> list[str]:
        """What a log should say of the domain of space."""
        return list(getattr(self.shape, "notes", []))

    def corners(self) -> list[CornerPoint]:
        """Return the re-entrant corners of the domain of space."""
        find = getattr(self.shape, "corners", None)
        return find() if find else []

    # output ----------------------------------------------------------------------------------------------------------
    def test_points(self, device: torch.device | str, dtype: torch.dtype) -> Float[Tensor, "points dim"]:
        """Return a part of the test points of the domain of space at equidistant times."""
        x = self.shape.test_points(device, dtype)
        x = x[:: max(1, len(x) // 1500)]
        t = torch.linspace(*self.t, _INSTANTS, device=device, dtype=dtype)
        return torch.cat([x.repeat(len(t), 1), t.repeat_interleave(len(x))[:, None]], dim=1)

    def mesh(self, n: int, only: Sequence[int] | None = None) -> meshio.Mesh:
        """Return the mesh of the domain of space."""
        return self.shape.mesh(n, only)

    def describe(self) -> dict[str, Any]:
        """Return the description of the domain of space, and the range of t."""
        return {"kind": "SpaceTime", "shape": self.shape.describe(), "t": list(self.t)}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> SpaceTime:
        """Return the domain from a description by `describe`."""
        return cls(domain_from(description["shape"]), tuple(description["t"]))
