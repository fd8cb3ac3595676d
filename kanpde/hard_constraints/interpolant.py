r"""Interpolants of given values, exact to rounding, which a file can hold in place of the function that gave them.

$f(x) = \sum_{ij\dots} c_{ij\dots}\, p_i(x_a)\, p_j(x_b) \cdots$ with Chebyshev polynomials in every coordinate, or
$1, \cos\theta, \sin\theta, \dots$ with $\theta = 2\pi (x - a)/(b - a)$ in a periodic one. The degree is doubled until
points between the nodes agree (L. N. Trefethen, Approximation Theory and Approximation Practice, 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import pi
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.quasirandom import SobolEngine

from kanpde.bases.recurrence import orthogonal_polynomials
from kanpde.calculus.field import Field
from kanpde.calculus.pointwise import chained

FIRST_DEGREE = 16
MOST_DEGREE = (256, 256, 128, 64)  # by number of coordinates
RESOLVED = 1e-13  # largest distance from the values between the nodes, relative to the largest value
NEGLIGIBLE = 1e-15  # coefficients relative to the largest value
CHECKED = 1024  # points between the nodes
CHUNK = 4096  # points evaluated at once


@dataclass(frozen=True)
class Axis:
    """A coordinate of an interpolant: its position among those of the domain, its range, and whether it is periodic."""

    position: int
    lower: float
    upper: float
    is_periodic: bool

    def nodes(self, count: int) -> Float[Tensor, " count"]:
        """Return Chebyshev points with both ends, or equispaced ones of a period; the count is then odd."""
        steps = torch.arange(count, dtype=torch.float64)
        share = steps / count if self.is_periodic else 0.5 - 0.5 * torch.cos(pi * steps / (count - 1))
        return self.lower + (self.upper - self.lower) * share

    def functions(self, x: Float[Tensor, " points"], count: int, order: int = 0) -> Float[Tensor, "points count"]:
        """Return the derivatives of some order of the first functions."""
        if not self.is_periodic:
            slope = 2 / (self.upper - self.lower)
            t = (x - self.lower) * slope - 1
            # T_(n+1) = 2 t T_n - T_(n-1), but T_1 = t (NIST DLMF 18.9.1)
            return orthogonal_polynomials(t, order, count, lambda n: (2.0 if n else 1.0, 1.0))[order] * slope**order
        waves = 2 * pi / (self.upper - self.lower) * torch.arange(1, count // 2 + 1, dtype=x.dtype, device=x.device)
        angle = (x - self.lower)[:, None] * waves + order * pi / 2  # f^(k)(θ) = f(θ + kπ/2)
        pairs = torch.stack([torch.cos(angle), torch.sin(angle)], 2) * (waves**order)[:, None]
        return torch.cat([torch.full_like(x, float(order == 0))[:, None], pairs.flatten(1)], 1)


@dataclass(frozen=True, eq=False)
class Interpolant:
    """A sum of products of functions of one coordinate each. It is called with all coordinates of the domain.

    Attributes:
        axes: the coordinates on which it depends.
        coefficients: one dimension for every axis, float64 on the CPU; precision and device of values are those of the
            points.
    """

    axes: tuple[Axis, ...]
    coefficients: Tensor = field(repr=False)

    @property
    def degree(self) -> int:
        """The highest degree along any coordinate; of sines and cosines twice the highest frequency."""
        return max((n - 1 for n in self.coefficients.shape), default=0)

    def __call__(self, *coords: Field) -> Field | float:
        if not self.axes:
            return float(self.coefficients)
        known: dict[tuple[int, ...], Tensor] = {}

        def derivative(values: Sequence[Tensor], by: tuple[int, ...]) -> Tensor:
            by = tuple(sorted(by))
            if by not in known:
                known[by] = self.derivative(values, by)
            return known[by]

        return chained(derivative, [coords[axis.position] for axis in self.axes])

    def derivative(self, values: Sequence[Tensor], by: Sequence[int] = ()) -> Float[Tensor, " points"]:
        """Return the derivative by the axes number ``by`` at coordinates, one tensor (points,) for every axis."""
        if torch.compiler.is_compiling():  # as in torch.export: the number of points, and so of pieces, is not known
            return self._derivative(values, by)
        pieces = zip(*(v.split(CHUNK) for v in values), strict=True)
        return torch.cat([self._derivative(piece, by) for piece in pieces])

    def _derivative(self, values: Sequence[Tensor], by: Sequence[int]) -> Tensor:
        tables = [
            axis.functions(x, n, list(by).count(i))
            for i, (axis, x, n) in enumerate(zip(self.axes, values, self.coefficients.shape, strict=True))
        ]
        total = tables[0] @ self.coefficients.to(tables[0]).reshape(tables[0].shape[1], -1)
        for table in tables[1:]:
            total = torch.einsum("na,nab->nb", table, total.reshape(*table.shape, -1))
        return total[:, 0]

    def describe(self) -> dict[str, Any]:
        """Return axes and coefficients as plain values."""
        return {"axes": [asdict(axis) for axis in self.axes], "coefficients": self.coefficients.tolist()}

    @staticmethod
    def from_description(description: Mapping[str, Any]) -> Interpolant:
        """Return the interpolant that `describe` described."""
        axes = tuple(Axis(**axis) for axis in description["axes"])
        return Interpolant(axes, torch.tensor(description["coefficients"], dtype=torch.float64))


def interpolated(
    function: Callable[[Tensor], Tensor], axes: Sequence[Axis], rounding: float = 0.0
) -> Interpolant | None:
    """Return the interpolant of a function of points (points, len(axes)); None if none resolves it to rounding.

    ``rounding`` is the error of its values by that of the points, which is large beside values that vanish.
    """
    if len(axes) >= len(MOST_DEGREE):
        return None
    points = spread(axes)
    wanted, degree = function(points), FIRST_DEGREE
    scale = max(float(wanted.abs().max()), rounding / RESOLVED)
    while degree <= MOST_DEGREE[len(axes)]:
        found = _shortened(_through(function, axes, degree + 1), scale)
        gap = wanted - (found.derivative(points.unbind(1)) if axes else found.coefficients)
        if float(gap.abs().max()) <= RESOLVED * scale:
            return found
        degree *= 2
    return None


def spread(axes: Sequence[Axis]) -> Float[Tensor, "points axes"]:
    """Return points that are spread over the ranges of the axes, beginning with the lower ends."""
    if not axes:
        return torch.zeros(1, 0, dtype=torch.float64)
    lower, upper = (torch.tensor([getattr(a, end) for a in axes], dtype=torch.float64) for end in ("lower", "upper"))
    return lower + (upper - lower) * SobolEngine(len(axes)).draw(CHECKED, dtype=torch.float64)


def _through(function: Callable[[Tensor], Tensor], axes: Sequence[Axis], count: int) -> Interpolant:
    """Return the interpolant of ``count`` nodes along every axis."""
    nodes = [axis.nodes(count) for axis in axes]
    grid = torch.stack([x.flatten() for x in torch.meshgrid(*nodes, indexing="ij")], 1) if axes else spread(axes)
    coefficients = function(grid).reshape([count] * len(axes))
    for axis, x in zip(axes, nodes, strict=True):  # the first dimension becomes the last one, for every axis
        solved = torch.linalg.solve(axis.functions(x, count), coefficients.reshape(count, -1))
        coefficients = solved.reshape(coefficients.shape).movedim(0, -1)
    return Interpolant(tuple(axes), coefficients)


def _shortened(found: Interpolant, scale: float) -> Interpolant:
    """Return the interpolant without its last coefficients, if these are rounding errors: derivatives enlarge them."""
    c = found.coefficients
    for i, axis in enumerate(found.axes):
        large = (c.abs().movedim(i, 0).reshape(c.shape[i], -1).amax(1) > NEGLIGIBLE * scale).nonzero()
        kept = 1 + int(large[-1]) if len(large) else 1
        c = c.narrow(i, 0, kept + 1 if axis.is_periodic and kept % 2 == 0 else kept)
    return Interpolant(found.axes, c)
