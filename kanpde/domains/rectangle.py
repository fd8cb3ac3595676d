"""Rectangles as shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.arcs import Arc, segment
from kanpde.domains.arguments import check_increasing, check_name, check_numbers
from kanpde.domains.shape import Shape


@dataclass(frozen=True)
class Rectangle(Shape):
    """A rectangle with its interior; its sides are the parts "x=0", "y=1" and so on, as the faces of a `Box`."""

    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)
    name: str = "rectangle"

    def __post_init__(self):
        check_numbers(self, points=("x", "y"))
        check_name(self.name)
        check_increasing(self, ("x", "y"))

    @property
    def bounds(self) -> NDArray:
        """The rectangle itself."""
        return np.array([self.x, self.y])

    def level(self, x: NDArray) -> NDArray:
        """Return the signed distance from the boundary."""
        beyond = np.maximum(self.bounds[:, 0] - x, x - self.bounds[:, 1])
        return np.hypot(*np.maximum(beyond, 0.0).T) + np.minimum(beyond.max(axis=1), 0.0)

    def arcs(self) -> list[Arc]:
        """Return the sides, counter-clockwise from the lower one."""
        (left, right), (low, high) = self.x, self.y
        corners = np.array([(left, low), (right, low), (right, high), (left, high)])
        sides = [f"y={low:g}", f"x={right:g}", f"y={high:g}", f"x={left:g}"]
        return [
            segment((self.name, side), a, b)
            for side, a, b in zip(sides, corners, np.roll(corners, -1, axis=0), strict=True)
        ]

    def describe(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"kind": "Rectangle", "x": list(self.x), "y": list(self.y), "name": self.name}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Rectangle:
        """Return the rectangle from a description by `describe`."""
        return cls(tuple(description["x"]), tuple(description["y"]), description["name"])
