"""Balls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.arguments import check_dimensions, check_name, check_numbers
from kanpde.domains.shape import Shape
from kanpde.domains.surfaces import Patch, Round


@dataclass(frozen=True)
class Ball(Shape):
    """The points of space at most ``radius`` from ``centre``; its boundary is the part called ``name``."""

    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    radius: float = 1.0
    name: str = "ball"

    def __post_init__(self):
        check_numbers(self, positive=("radius",), points=("centre",))
        check_dimensions(self, "centre", 3)
        check_name(self.name)

    @property
    def bounds(self) -> NDArray:
        """The bounding box."""
        return np.stack([np.array(self.centre) - self.radius, np.array(self.centre) + self.radius], axis=1)

    def level(self, x: NDArray) -> NDArray:
        """Return the signed distance from the sphere."""
        return np.sqrt(((x - np.array(self.centre)) ** 2).sum(axis=1)) - self.radius

    def patches(self) -> list[Patch]:
        """Return the sphere."""
        low, high = self.bounds[2]
        return [Patch((self.name,), Round(self.centre, self.radius), float(low), float(high))]

    def describe(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"kind": "Ball", "centre": list(self.centre), "radius": self.radius, "name": self.name}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Ball:
        """Return the ball from a description by `describe`."""
        return cls(tuple(description["centre"]), description["radius"], description["name"])
