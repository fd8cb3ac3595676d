"""A domain of any kind for all values of parameters; boxes have parameters among their own coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import meshio
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanpde.domains.corners import CornerPoint
from kanpde.domains.extended import Extended
from kanpde.domains.families import check_family
from kanpde.domains.kinds import domain_from
from kanpde.domains.ranges import check_range
from kanpde.domains.region import Region
from kanpde.domains.rules import unit_cube
from kanpde.domains.spacetime import SpaceTime
from kanpde.errors import InputError, suggest

_ROUNDING = 8  # units in the last place
_VALUES, _EACH, _SEED = 11, 4000, 20_017  # test points: values of one parameter, points at each of them


def over(shape: Any, ranges: Mapping[str, tuple[float, float]], family: Sequence[str]) -> SpaceTime | Family:
    """Return a domain of space for times in the range t, and for the values of parameters, which come last.

    Raises:
        InputError: a range is invalid, or is of neither t nor a parameter named in ``family``.
    """
    names = [name for name in ranges if name != "t"]
    check_family(family, [*shape.names, *ranges])
    for name in (*family, *names):
        if name in shape.names:
            raise InputError(f'{shape} has the coordinate "{name}" already. Give the parameter another name.')
        if name not in family:
            raise InputError(
                f"{name} is neither time, t, nor a parameter of a family.", write={"family": [*family, name]}
            )
    if not ranges:
        raise InputError("Expected a range of times or of a parameter.", write={"t": (0.0, 1.0)})
    whole = SpaceTime(shape, ranges["t"]) if "t" in ranges else shape
    return Family(whole, **{name: ranges[name] for name in names}) if names else whole


class Family:
    """The product of a domain and the ranges of parameters, which are the last coordinates.

    The parts are those of the domain, for all values.

    Args:
        domain: a `Domain` that is no `Box` and has no parameters yet.
        ranges: (lower, upper) of every parameter.

    Raises:
        InputError: a range is invalid.
    """

    def __init__(self, domain: Any, **ranges: tuple[float, float]):
        for name, limits in ranges.items():
            check_range(name, limits)
        self.domain = domain
        self.of_parameters = {name: (float(lo), float(hi)) for name, (lo, hi) in ranges.items()}
        self.names: tuple[str, ...] = (*domain.names, *ranges)
        self.family = tuple(range(len(domain.names), len(self.names)))
        self.space, self.time, self.periodic = tuple(domain.space), domain.time, tuple(domain.periodic)

    def __repr__(self) -> str:
        shape, ranges = self.domain, dict(self.of_parameters)
        if isinstance(shape, SpaceTime):
            shape, ranges = shape.shape, {"t": shape.t, **ranges}
        texts = ", ".join(f"{name}=({lo:g}, {hi:g})" for name, (lo, hi) in ranges.items())
        return f"{shape!r}.over({texts}, family={list(self.of_parameters)})"

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """The bounding box of the domain, and the ranges of the parameters."""
        return (*self.domain.ranges, *self.of_parameters.values())

    @property
    def measure(self) -> float:
        """The measure of the domain multiplied by the lengths of the ranges of the parameters."""
        return self.domain.measure * prod(hi - lo for lo, hi in self.of_parameters.values())

    # regions ---------------------------------------------------------------------------------------------------------
    @property
    def interior(self) -> Region:
        """The whole domain, for all values."""
        return self._for_all(self.domain.interior)

    @property
    def boundary(self) -> Region:
        """The boundary in space, for all values."""
        return self._for_all(self.domain.boundary)

    @property
    def parts(self) -> dict[str, Region]:
        """The parts of the domain, for all values."""
        return {label: self._for_all(part) for label, part in self.domain.parts.items()}

    def part(self, name: str) -> Region:
        """Return a named part, for all values.

        Raises:
            InputError: no part has that name.
        """
        if name not in self.domain.parts and hasattr(self.domain, "part"):
            self.domain.part(name)  # says why
        if name not in self.domain.parts:
            raise InputError(f'The domain has no part "{name}". {suggest(name, self.domain.parts)}')
        return self._for_all(self.domain.parts[name])

    def at(self, **fixed: float) -> Region:
        """Return the domain at one time for all values, ``domain.at(t=0.0)``.

        Raises:
            InputError: another coordinate than t is given, or the time lies outside the range.
        """
        return self._for_all(self.domain.at(**fixed))

    def _for_all(self, part: Region) -> Region:
        """Return a region of the domain for all values of the parameters."""
        free = len(self.domain.names) - (0 if part.is_interior else 1)
        for k, limits in enumerate(self.of_parameters.values()):
            names = self.names[: len(self.domain.names) + k + 1]
            draw = Extended(part, limits, free + k)
            part = replace(part, names=names, space=self.space, draw=draw, extent=_longer(part, limits))
        return part

    def contains(self, x: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        """Return whether points lie in the domain with values in the ranges, ends included."""
        inside = self.domain.contains(x[:, : self.family[0]])
        for i, (lower, upper) in zip(self.family, self.of_parameters.values(), strict=True):
            slack = _ROUNDING * torch.finfo(x.dtype).eps * max(abs(lower), abs(upper))
            inside &= (x[:, i] >= lower - slack) & (x[:, i] <= upper + slack)
        return inside

    def restricted(self, **ranges: tuple[float, float]) -> Family:
        """Return the domain with narrower ranges, ``domain.restricted(t=(0.0, 0.5), nu=(0.1, 0.2))``.

        Raises:
            InputError: a coordinate cannot be narrowed, or its new range is not within the old one.
        """
        narrow = {name: limits for name, limits in ranges.items() if name in self.of_parameters}
        others = {name: limits for name, limits in ranges.items() if name not in narrow}
        for name, limits in narrow.items():
            check_range(name, limits)
            (lo, hi), (least, most) = limits, self.of_parameters[name]
            if not least <= lo < hi <= most:
                raise InputError(f"{name}=({lo:g}, {hi:g}) is not within the domain's range [{least:g}, {most:g}].")
        inner = self.domain.restricted(**others) if others else self.domain
        return Family(inner, **self.of_parameters | narrow)

    def holding(self, held: Sequence[str]) -> Any:
        """Return the domain of the other coordinates, where parameters are held fixed."""
        rest = {name: limits for name, limits in self.of_parameters.items() if name not in held}
        return Family(self.domain, **rest) if rest else self.domain

    def region_holding(self, region: Region, held: Sequence[str]) -> Region:
        """Return a region as one of `holding`."""
        for _ in self.family:
            assert isinstance(region.draw, Extended)
            region = region.draw.part
        smaller = self.holding(held)
        return smaller._for_all(region) if isinstance(smaller, Family) else region

    @property
    def notes(self) -> list[str]:
        """What a log should say of the domain."""
        return list(getattr(self.domain, "notes", []))

    def corners(self) -> list[CornerPoint]:
        """Return the re-entrant corners of the domain."""
        find = getattr(self.domain, "corners", None)
        return find() if find else []

    # output ----------------------------------------------------------------------------------------------------------
    def test_points(self, device: torch.device | str, dtype: torch.dtype) -> Float[Tensor, "points dim"]:
        """Return a part of the test points of the domain at equidistant values of a parameter, or of several at Sobol
        points of the parameters.
        """
        x, count = self.domain.test_points(device, dtype), len(self.family)
        if count == 1:
            unit = torch.linspace(0, 1, _VALUES, device=device, dtype=dtype)[:, None]
        else:
            generator = torch.Generator().manual_seed(_SEED)
            unit, _ = unit_cube("sobol", _VALUES * count, count, generator, torch.device(device), dtype)
        x = x[:: max(1, len(x) // _EACH)]
        lower, upper = torch.tensor(list(self.of_parameters.values()), device=device, dtype=dtype).unbind(1)
        values = lower + (upper - lower) * unit
        return torch.cat([x.repeat(len(values), 1), values.repeat_interleave(len(x), dim=0)], dim=1)

    def mesh(self, n: int, only: Sequence[int] | None = None) -> meshio.Mesh:
        """Return the mesh of the domain of space."""
        return self.domain.mesh(n, only)

    def describe(self) -> dict[str, Any]:
        """Return the description of the domain, and the ranges of the parameters."""
        return {
            "kind": "Family",
            "domain": self.domain.describe(),
            "ranges": [[name, *limits] for name, limits in self.of_parameters.items()],
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Family:
        """Return the domain from a description by `describe`."""
        return cls(
            domain_from(description["domain"]),
            **{name: (lower, upper) for name, lower, upper in description["ranges"]},
        )


def _longer(part: Region, limits: tuple[float, float]) -> Callable[[], float] | None:
    """Return what computes the measure of a part for all values of a parameter."""
    lower, upper = limits
    return None if part.extent is None else lambda: part.measure * (upper - lower)
