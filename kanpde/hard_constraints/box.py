r"""Values given on whole faces of a box, interpolated transfinitely.

One axis comes after the other (W. Gordon, Blending-function methods of bivariate and multivariate interpolation, 1971):
$G_k = G_{k-1} + \sum_s \varphi_{ks}(x_k) (g_{ks} - G_{k-1})|_{x_k = e_{ks}}$ over the given faces s of axis k, with
$\varphi_{ks}$ linear between two given ends, and 1 for a single one. D is the product of the distances from these
faces. Only the values on the faces enter, by their interpolants where these are exact to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, constant, coordinate
from kanpde.calculus.systems import Scalar
from kanpde.domains.box import Box
from kanpde.errors import InputError
from kanpde.hard_constraints.interpolant import Axis, Interpolant, interpolated

Face = tuple[int, int]  # (axis, side)
Coords = Sequence[Field]


def axes_of(box: Box, held: Sequence[int]) -> tuple[Axis, ...]:
    """Return the coordinates of a box that are not held fixed."""
    free = [i for i in range(len(box.names)) if i not in held]
    return tuple(Axis(i, *box.ranges[i], i in box.periodic) for i in free)


def values_at(value: Scalar, box: Box, held: Mapping[int, float]) -> Callable[[Tensor], Tensor]:
    """Return given values where some coordinates are held fixed, as a function of points of the other ones.

    Raises:
        InputError: (by the function) the values are not one number per point.
    """

    def function(points: Tensor) -> Tensor:
        x = torch.empty(len(points), len(box.names), dtype=points.dtype, device=points.device)
        x[:, [i for i in range(len(box.names)) if i not in held]] = points
        for i, end in held.items():
            x[:, i] = end
        context = Context(box.names, box.space, x)
        coords = [constant(context, held[i]) if i in held else coordinate(context, i) for i in range(len(box.names))]
        found = value(*coords) if callable(value) else value
        found = torch.as_tensor(found.value if isinstance(found, Field) else found, dtype=x.dtype, device=x.device)
        if found.shape not in ((), (len(x),)):
            raise InputError(
                f"A given value must be a number or one number per point, shape ({len(x)},), got {tuple(found.shape)}. "
                "Use the coordinates with + - * / and torch functions: `lambda x, y: torch.sin(x)`."
            )
        return found.detach().expand(len(x))

    return function


def on_face(value: Scalar, box: Box, face: Face) -> Scalar:
    """Return the interpolant of the values on a face; the values themselves if none resolves them."""
    if not callable(value):
        return value
    axis, side = face
    held = {axis: box.ranges[axis][side]}
    return interpolated(values_at(value, box, held), axes_of(box, list(held))) or value


def is_zero(value: Scalar) -> bool:
    """Return whether a value is the number 0."""
    return not callable(value) and value == 0


@dataclass(frozen=True, eq=False)
class BoxValues:
    """Lift and distance of one unknown for values on faces of a box.

    Attributes:
        ranges: of the box.
        faces: the value on every given face: a number, an interpolant, or a function that no interpolant resolves.
    """

    ranges: Sequence[tuple[float, float]]
    faces: Mapping[Face, Scalar]

    def distance(self, coords: Coords) -> Field:
        """Return D; the distances are fractions of the ranges, doubled so that D is 1 in the middle."""
        return reduce(lambda a, b: a * b, (2 * self._share(coords, *face) for face in self.faces))

    def lift(self, coords: Coords) -> Any:
        """Return G."""
        if all(is_zero(value) for value in self.faces.values()):
            return 0.0
        axes = sorted({axis for axis, _ in self.faces})

        def up_to(k: int, at: Coords) -> Any:
            """Return G_k."""
            if k == 0:
                return 0.0
            axis = axes[k - 1]
            total = up_to(k - 1, at)
            ends = [side for side in (0, 1) if (axis, side) in self.faces]
            for side in ends:
                there = list(at)
                there[axis] = constant(at[axis].context, self.ranges[axis][side])
                value = self.faces[axis, side]
                gap = (value(*there) if callable(value) else value) - up_to(k - 1, there)
                total = total + (self._share(at, axis, 1 - side) * gap if len(ends) == 2 else gap)
            return total

        return up_to(len(axes), coords)

    def _share(self, coords: Coords, axis: int, side: int) -> Field:
        """Return the distance from an end of an axis, as a fraction of its range."""
        lower, upper = self.ranges[axis]
        return (coords[axis] - lower) / (upper - lower) if side == 0 else (upper - coords[axis]) / (upper - lower)

    # in a file -------------------------------------------------------------------------------------------------------
    def describe(self) -> dict[str, Any] | None:
        """Return the values as plain values; None if a face has values that no interpolant resolves."""
        faces = []
        for (axis, side), value in self.faces.items():
            if callable(value) and not isinstance(value, Interpolant):
                return None
            plain = value.describe() if isinstance(value, Interpolant) else float(value)
            faces.append({"axis": axis, "side": side, "value": plain})
        return {"kind": "BoxValues", "ranges": [list(limits) for limits in self.ranges], "faces": faces}

    @staticmethod
    def from_description(description: Mapping[str, Any]) -> BoxValues:
        """Return the values that `describe` described."""
        faces = {
            (face["axis"], face["side"]): Interpolant.from_description(face["value"])
            if isinstance(face["value"], dict)
            else face["value"]
            for face in description["faces"]
        }
        return BoxValues([(lower, upper) for lower, upper in description["ranges"]], faces)
