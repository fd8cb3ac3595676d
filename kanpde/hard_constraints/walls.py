r"""Closed smooth walls of shapes: a level that vanishes on one, and values given on it, continued into the domain.

With p the coordinates along the semi-axes of an ellipse or a ball, divided by these, the wall is $|p| = 1$. The level
is $\frac{1}{2} (1 - |p|^2)$ inside it and $\frac{1}{2} (|p|^2 - 1)$ outside, a polynomial, because a pole near the
domain would be one of what the network must learn. Values on an ellipse are interpolated by
$\sum_k \mathrm{Re}\, a_k e^{ik\theta}$ and continued as $\sum_k \mathrm{Re}\, a_k p^k$ with $p = p_1 + i p_2$, so that
only the values on the wall enter. Around a hole these powers may grow; if they grow by more than a factor of 100, the
continuation is $\sum_k \mathrm{Re}\, \bar a_k p^{-k}$, which has a pole in the hole. Coefficients may depend on time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin
from typing import Any

import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, coordinate
from kanpde.calculus.pointwise import chained
from kanpde.calculus.systems import Scalar
from kanpde.domains.ball import Ball
from kanpde.domains.disk import Disk
from kanpde.domains.ellipse import Ellipse
from kanpde.hard_constraints.interpolant import Axis, Interpolant, interpolated, spread

Smooth = Disk | Ellipse | Ball
Coords = Sequence[Field]
_GROWTH = 100.0
_MOVED = 2.0**-40  # distance from a wall, of its size, at which the slope of values is taken
_ROUNDED = 2.0**-51  # error of points by rounding, of the size of the coordinates


@dataclass(frozen=True)
class Wall:
    """The whole boundary of a disk, an ellipse or a ball.

    Attributes:
        centre: (dim,).
        semi_axes: (dim,).
        angle: of the first axis of an ellipse, in radians.
        is_hole: whether the domain lies outside.
        largest: an upper bound of twice the level in the domain.
    """

    centre: tuple[float, ...]
    semi_axes: tuple[float, ...]
    angle: float = 0.0
    is_hole: bool = False
    largest: float = 1.0

    @classmethod
    def of(cls, leaf: Smooth, is_hole: bool, bounds: Sequence[Sequence[float]] = ()) -> Wall:
        """Return the boundary of a shape; ``bounds`` is the bounding box of the domain around a hole."""
        if isinstance(leaf, Ellipse):
            axes, angle = leaf.semi_axes, leaf.angle
        else:
            axes, angle = (leaf.radius,) * len(leaf.centre), 0.0
        farthest = [max(abs(c - end) for end in ends) for c, ends in zip(leaf.centre, bounds, strict=False)]
        largest = (hypot(*farthest) / min(axes)) ** 2 - 1 if is_hole and farthest else 1.0
        return cls(leaf.centre, axes, angle, is_hole, largest)

    @property
    def length(self) -> float:
        """The shortest semi-axis; times the `level` it is the distance from the wall, near it and to first order."""
        return min(self.semi_axes)

    def scaled(self, coords: Coords) -> list[Field]:
        """Return p."""
        gap = [x - c for x, c in zip(coords, self.centre, strict=False)]  # the coordinate t may follow
        if self.angle:
            c, s = cos(self.angle), sin(self.angle)
            gap = [c * gap[0] + s * gap[1], c * gap[1] - s * gap[0]]
        return [x * (1 / a) for x, a in zip(gap, self.semi_axes, strict=True)]

    def level(self, coords: Coords) -> Any:
        """Return a function that vanishes on the wall and is positive in the domain."""
        first, *others = self.scaled(coords)
        square = first * first
        for p in others:
            square = square + p * p
        return 0.5 * square - 0.5 if self.is_hole else 0.5 - 0.5 * square

    def points(self, angle: Tensor, stretch: float = 1.0) -> list[Tensor]:
        """Return the coordinates of the points of an ellipse, or of a larger one, at angles θ (points,)."""
        a, b = (stretch * axis for axis in self.semi_axes)
        p, q = a * torch.cos(angle), b * torch.sin(angle)
        c, s = cos(self.angle), sin(self.angle)
        return [self.centre[0] + c * p - s * q, self.centre[1] + s * p + c * q]

    def interpolant(self, value: Callable[..., Any], times: tuple[float, float] | None) -> Interpolant | None:
        """Return the interpolant of values on an ellipse in θ, and in t if there are times; None if none resolves them.

        Args:
            value: a function of all coordinates, as fields.
            times: the range of t.
        """
        axes = [Axis(0, 0.0, 2 * pi, True)] + ([] if times is None else [Axis(1, *times, False)])
        names = ("x", "y") if times is None else ("x", "y", "t")

        def along(points: Tensor, stretch: float = 1.0) -> Tensor:
            x = torch.stack([*self.points(points[:, 0], stretch), *points[:, 1:].unbind(1)], dim=1)
            return evaluated(value, Context(names, (0, 1), x))

        some = spread(axes)
        size = max(1.0, *(abs(c) / a for c, a in zip(self.centre, self.semi_axes, strict=True)))
        rounding = float((along(some, 1 + _MOVED) - along(some)).abs().max()) * size * _ROUNDED / _MOVED
        return interpolated(along, axes, rounding)

    def continued(self, values: Interpolant, coords: Coords) -> Field:
        """Return values on an ellipse, by their `interpolant`, continued into the domain."""
        c = values.coefficients.reshape(len(values.coefficients), -1)
        a = torch.complex(torch.cat([c[:1], c[1::2]]), torch.cat([0 * c[:1], -c[2::2]]))
        if decays := self._decays(a):
            a = a.conj().resolve_conj()

        def derivative(x: Sequence[Tensor], by: tuple[int, ...]) -> Tensor:
            order, across, later = (sum(i in kind for i in by) for kind in ((0, 1), (1,), (2,)))
            p = torch.complex(x[0], x[1])
            found = _powers(p, len(a), order, decays) @ a.to(p)
            if len(values.axes) == 2:
                found = found * values.axes[1].functions(x[2], c.shape[1], later)
            elif later:
                return torch.zeros_like(x[0])
            return (1j**across * found.sum(dim=1)).real  # the derivative by p_2 is that by p times i

        return chained(derivative, [*self.scaled(coords), *coords[len(self.centre) :]])

    def _decays(self, a: Tensor) -> bool:
        """Return whether values with coefficients a (powers, ...) around a hole are continued by negative powers."""
        farthest = (1 + self.largest) ** 0.5
        powers = farthest ** torch.arange(len(a), dtype=torch.float64)
        return self.is_hole and float(powers @ a.abs().sum(dim=1)) > _GROWTH * float(a.abs().sum())

    def describe(self) -> dict[str, Any]:
        """Return the attributes as plain values."""
        plain = {"centre": list(self.centre), "semi_axes": list(self.semi_axes)}
        return {**plain, "angle": self.angle, "is_hole": self.is_hole, "largest": self.largest}

    @staticmethod
    def from_description(description: Mapping[str, Any]) -> Wall:
        """Return the wall that `describe` described."""
        d = description
        return Wall(tuple(d["centre"]), tuple(d["semi_axes"]), d["angle"], d["is_hole"], d["largest"])


def evaluated(value: Scalar, context: Context) -> Tensor:
    """Return given values at the points of a context, (points,)."""
    coords = [coordinate(context, i) for i in range(len(context.names))]
    found = value(*coords) if callable(value) else value
    found = torch.as_tensor(found.value if isinstance(found, Field) else found, dtype=context.x.dtype)
    return found.detach().expand(len(context.x))


def _powers(p: Tensor, count: int, order: int, decays: bool) -> Tensor:
    """Return the derivatives of some order of 1, p, p², ... at complex p, or of 1, 1/p, ..., (points, count)."""
    base = 1 / p if decays else p
    powers = torch.cumprod(torch.cat([torch.ones_like(p)[:, None], base[:, None].expand(-1, count - 1)], dim=1), dim=1)
    factor = torch.ones(count, dtype=p.dtype, device=p.device)
    for k in range(order):
        factor = factor * ((-1 if decays else 1) * torch.arange(count, device=p.device) - k)
    if decays:
        return factor * powers * (base**order)[:, None]
    kept = max(0, count - order)
    return factor * torch.cat([torch.zeros_like(powers[:, kept:]), powers[:, :kept]], dim=1)
