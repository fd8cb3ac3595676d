"""Ellipses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, hypot, isfinite, sin
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.arcs import Arc, ellipse
from kanpde.domains.arguments import check_dimensions, check_name, check_numbers
from kanpde.domains.shape import Shape
from kanpde.errors import InputError


@dataclass(frozen=True)
class Ellipse(Shape):
    """An ellipse with its interior.

    Args:
        centre: the centre.
        semi_axes: half the lengths of both axes.
        angle: from the x-axis to the first axis, in radians.
        name: name of its boundary.
    """

    centre: tuple[float, float] = (0.0, 0.0)
    semi_axes: tuple[float, float] = (1.0, 0.5)
    angle: float = 0.0
    name: str = "ellipse"

    def __post_init__(self):
        check_numbers(self, positive=("semi_axes",), points=("centre", "semi_axes"))
        for each in ("centre", "semi_axes"):
            check_dimensions(self, each, 2)
        check_name(self.name)
        if not isinstance(self.angle, Real) or not isfinite(self.angle):
            raise InputError(
                f"The angle of an Ellipse must be a finite number, got {self.angle!r}.", write={"angle": 0.0}
            )
        object.__setattr__(self, "angle", float(self.angle))

    @property
    def bounds(self) -> NDArray:
        """The bounding box."""
        (a, b), c, s = self.semi_axes, cos(self.angle), sin(self.angle)
        half = np.array([hypot(a * c, b * s), hypot(a * s, b * c)])
        return np.stack([np.array(self.centre) - half, np.array(self.centre) + half], axis=1)

    def level(self, x: NDArray) -> NDArray:
        """Return F / |grad F| for F = (|p|² - 1) / 2 with p the coordinates along the axes divided by their halves."""
        turn = np.array([[cos(self.angle), -sin(self.angle)], [sin(self.angle), cos(self.angle)]])
        p = (x - np.array(self.centre)) @ turn / np.array(self.semi_axes)
        square = (p * p).sum(axis=1)
        slope = np.hypot(*(p / np.array(self.semi_axes)).T)
        return 0.5 * (square - 1) / np.maximum(slope, 1e-3 / max(self.semi_axes))

    def arcs(self) -> list[Arc]:
        """Return the ellipse."""
        return ellipse((self.name,), self.centre, self.semi_axes, self.angle)

    def describe(self) -> dict[str, Any]:
        """Return the arguments."""
        plain = {"centre": list(self.centre), "semi_axes": list(self.semi_axes), "angle": self.angle}
        return {"kind": "Ellipse", **plain, "name": self.name}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Ellipse:
        """Return the ellipse from a description by `describe`."""
        d = description
        return cls(tuple(d["centre"]), tuple(d["semi_axes"]), d["angle"], d["name"])
