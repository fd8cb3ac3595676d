"""Disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.arcs import Arc, ellipse
from kanpde.domains.arguments import check_dimensions, check_name, check_numbers
from kanpde.domains.shape import Shape


@dataclass(frozen=True)
class Disk(Shape):
    """The points of the plane at most ``radius`` from ``centre``; its boundary is the part called ``name``."""

    centre: tuple[float, float] = (0.0, 0.0)
    radius: float = 1.0
    name: str = "disk"

    def __post_init__(self):
        check_numbers(self, positive=("radius",), points=("centre",))
        check_dimensions(self, "centre", 2)
        check_name(self.name)

    @property
    def bounds(self) -> NDArray:
        """The bounding box."""
        return np.stack([np.array(self.centre) - self.radius, np.array(self.centre) + self.radius], axis=1)

    def level(self, x: NDArray) -> NDArray:
        """Return the signed distance from the circle."""
        return np.hypot(*(x - np.array(self.centre)).T) - self.radius

    def arcs(self) -> list[Arc]:
        """Return the circle."""
        return ellipse((self.name,), self.centre, (self.radius, self.radius))

    def describe(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"kind": "Disk", "centre": list(self.centre), "radius": self.radius, "name": self.name}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Disk:
        """Return the disk from a description by `describe`."""
        return cls(tuple(description["centre"]), description["radius"], description["name"])
