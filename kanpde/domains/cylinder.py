"""Circular cylinders along an axis of the coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.arguments import check_dimensions, check_increasing, check_name, check_numbers
from kanpde.domains.shape import Shape
from kanpde.domains.surfaces import Flat, Patch, Round
from kanpde.errors import InputError, suggest

_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Cylinder(Shape):
    """A circular cylinder along the coordinate ``axis``: its boundary is the part called ``name``.

    Parts of that are "``name`` side" and the disks "``name`` bottom" and "``name`` top", at the lower and upper end.

    Args:
        centre: of the circle: the other two coordinates, in the order x, y, z.
        radius: of the circle.
        span: least and largest value of the coordinate ``axis``.
        axis: "x", "y" or "z".
        name: of its boundary.

    Raises:
        InputError: an argument is invalid.
    """

    centre: tuple[float, float] = (0.0, 0.0)
    radius: float = 1.0
    span: tuple[float, float] = (0.0, 1.0)
    axis: str = "z"
    name: str = "cylinder"

    def __post_init__(self):
        check_numbers(self, positive=("radius",), points=("centre", "span"))
        check_dimensions(self, "centre", 2)
        check_increasing(self, ("span",))
        check_name(self.name)
        if self.axis not in _AXES:
            raise InputError(
                f'A Cylinder has the axis "x", "y" or "z", got {self.axis!r}. {suggest(str(self.axis), _AXES)}'
            )

    @property
    def _along(self) -> int:
        return _AXES.index(self.axis)

    @property
    def _across(self) -> list[int]:
        return [i for i in range(3) if i != self._along]

    @property
    def bounds(self) -> NDArray:
        """The bounding box."""
        bounds = np.empty((3, 2))
        bounds[self._along] = self.span
        bounds[self._across] = np.array(self.centre)[:, None] + [-self.radius, self.radius]
        return bounds

    def level(self, x: NDArray) -> NDArray:
        """Return the signed distance from the boundary."""
        across = np.hypot(*(x[:, self._across] - np.array(self.centre)).T) - self.radius
        along = np.maximum(self.span[0] - x[:, self._along], x[:, self._along] - self.span[1])
        return np.hypot(np.maximum(across, 0.0), np.maximum(along, 0.0)) + np.minimum(np.maximum(across, along), 0.0)

    def patches(self) -> list[Patch]:
        """Return the side, the bottom and the top."""
        axis, (low, high) = self._along, map(float, self.span)
        centre = [0.0, 0.0, 0.0]
        for i, value in zip(self._across, self.centre, strict=True):
            centre[i] = float(value)
        width = self.bounds[(axis + 2) % 3].tolist()
        side = Round((centre[0], centre[1], centre[2]), self.radius, axis)
        return [
            Patch((self.name, f"{self.name} side"), side, low, high),
            Patch((self.name, f"{self.name} bottom"), Flat(axis, low), *width, side=-1, is_disk=True),
            Patch((self.name, f"{self.name} top"), Flat(axis, high), *width, is_disk=True),
        ]

    def describe(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            "kind": "Cylinder",
            "centre": list(self.centre),
            "radius": self.radius,
            "span": list(self.span),
            "axis": self.axis,
            "name": self.name,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Cylinder:
        """Return the cylinder from a description by `describe`."""
        centre, span = tuple(description["centre"]), tuple(description["span"])
        return cls(centre, description["radius"], span, description["axis"], description["name"])
