"""Cuboids as shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.arguments import check_increasing, check_name, check_numbers
from kanpde.domains.shape import Shape
from kanpde.domains.surfaces import Flat, Patch


@dataclass(frozen=True)
class Cuboid(Shape):
    """A cuboid with its interior; its faces are the parts "x=0", "z=1" and so on, as those of a `Box`."""

    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)
    z: tuple[float, float] = (0.0, 1.0)
    name: str = "cuboid"

    def __post_init__(self):
        check_numbers(self, points=("x", "y", "z"))
        check_name(self.name)
        check_increasing(self, ("x", "y", "z"))

    @property
    def bounds(self) -> NDArray:
        """The cuboid itself."""
        return np.array([self.x, self.y, self.z], dtype=float)

    def level(self, x: NDArray) -> NDArray:
        """Return the signed distance from the boundary."""
        beyond = np.maximum(self.bounds[:, 0] - x, x - self.bounds[:, 1])
        return np.sqrt((np.maximum(beyond, 0.0) ** 2).sum(axis=1)) + np.minimum(beyond.max(axis=1), 0.0)

    def patches(self) -> list[Patch]:
        """Return the six faces."""
        ranges = self.bounds.tolist()
        found = []
        for axis in range(3):
            low, high = ranges[(axis + 2) % 3]
            for side, value in zip((-1, 1), ranges[axis], strict=True):
                labels = (self.name, f"{'xyz'[axis]}={value:g}")
                found.append(Patch(labels, Flat(axis, value), low, high, side))
        return found

    def describe(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"kind": "Cuboid", "x": list(self.x), "y": list(self.y), "z": list(self.z), "name": self.name}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Cuboid:
        """Return the cuboid from a description by `describe`."""
        x, y, z = (tuple(description[axis]) for axis in "xyz")
        return cls(x, y, z, description["name"])
