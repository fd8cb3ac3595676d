r"""Singular functions at corners of plane domains, with closed forms of all derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb, cos, pi, sin
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanpde.calculus.field import Field, compose
from kanpde.calculus.pointwise import chained

SMOOTH = 6  # continuous derivatives of the polynomial that cuts a function off,
INNER = 0.25  # which varies between this share of the squared radius and the whole of it


@dataclass(frozen=True)
class SingularFunction:
    r"""$s = r^\lambda \sin \lambda\varphi$, or with the cosine, a harmonic function that is singular at a corner.

    $(r, \varphi)$ are polar coordinates around the corner, with $0 < \varphi < \omega$ within the interior angle
    $\omega$. The angle jumps by $2\pi$ on the ray that bisects the exterior angle, which must not meet the domain, or
    not within a radius R: s is then multiplied by a polynomial of r² that is 1 for r < R / 2 and 0 for r > R. With
    $z = e^{-i\psi} (x - x_0 + i (y - y_0))$, where $\psi$ is the direction of the bisector of the interior angle,

    $$s = \mathrm{Im}\, e^{i \lambda \omega / 2} z^\lambda, \qquad
    \partial_x^a \partial_y^b s = \mathrm{Im}\, i^b e^{-i k \psi} e^{i \lambda \omega / 2}
    \lambda (\lambda - 1) \cdots (\lambda - k + 1) z^{\lambda - k}, \qquad k = a + b,$$

    with Re for the cosine. Except where the polynomial varies, the Laplacian is exactly 0, because both of its
    terms are the same number with opposite signs. At the corner itself s is 0, and derivatives of an order above
    $\lambda$ are infinite or NaN.

    Args:
        at: the corner.
        exponent: λ > 0.
        direction: of the side φ = 0, in radians from the x-axis; the domain is counterclockwise of it.
        angle: ω, in radians.
        is_cosine: whether the derivative, not the value, vanishes on the side φ = 0.
        radius: R; None for the function itself everywhere.
        axes: the positions of x and y among the coordinates with which the function is called.
    """

    at: tuple[float, float]
    exponent: float
    direction: float
    angle: float
    is_cosine: bool = False
    radius: float | None = None
    axes: tuple[int, int] = (0, 1)

    def __call__(self, *coords: Any) -> Any:
        """Return s at coordinates, which are fields or tensors of the same shape; it depends on two of them."""
        x, y = (coords[axis] for axis in self.axes)
        whole = chained(self._derivative, [x, y]) if isinstance(x, Field) else self._derivative([x, y], ())
        if self.radius is None:
            return whole
        squares = [((value - start) / self.radius) ** 2 for value, start in zip((x, y), self.at, strict=True)]
        square = squares[0] + squares[1]
        return whole * (compose(_cut_off, square) if isinstance(square, Field) else _cut_off(square, 0)[0])

    def _derivative(self, values: Sequence[Tensor], by: tuple[int, ...]) -> Tensor:
        """Return the derivative by the coordinates number ``by``."""
        middle, power, factor = self.direction + 0.5 * self.angle, self.exponent - len(by), 1.0
        for k in range(len(by)):
            factor *= self.exponent - k
        x, y = (value - start for value, start in zip(values, self.at, strict=True))
        if factor == 0.0:  # of a polynomial
            return torch.zeros_like(x)
        along, across = cos(middle) * x + sin(middle) * y, cos(middle) * y - sin(middle) * x
        phase = power * torch.atan2(across, along) + 0.5 * self.exponent * self.angle - len(by) * middle
        size = factor * torch.hypot(along, across) ** power
        quarters = (sum(by) + (1 if self.is_cosine else 0)) % 4  # i^b, and Re w = Im i w
        turned = torch.sin(phase) if quarters % 2 == 0 else torch.cos(phase)
        return (size if quarters < 2 else -size) * turned


@cache
def _steps(order: int) -> list[list[float]]:
    """Return the coefficients, lowest power first, of the smooth step from 0 to 1 on [0, 1] and of its derivatives.

    It is the polynomial of the lowest degree of which `SMOOTH` derivatives vanish at both ends.
    """
    n = SMOOTH
    tail = [(-1) ** k * comb(n + k, k) * comb(2 * n + 1, n - k) for k in range(n + 1)]
    step = np.polynomial.Polynomial([0.0] * (n + 1) + tail)
    return [step.deriv(k).coef.tolist() if k else step.coef.tolist() for k in range(order + 1)]


def _cut_off(square: Tensor, order: int) -> list[Tensor]:
    """Return the polynomial of r² / R² that is 1 below 1/4 and 0 above 1, with derivatives (an elementwise table)."""
    rate = 1 / (1 - INNER)
    place = ((square - INNER) * rate).clamp(0.0, 1.0)
    varies = (place > 0) & (place < 1)
    result = []
    for k, coefficients in enumerate(_steps(order)):
        value = torch.zeros_like(place)
        for c in reversed(coefficients):
            value = value * place + c
        result.append(1 - value if k == 0 else torch.where(varies, -(rate**k) * value, 0.0))
    return result


def bisector_of_exterior(function: SingularFunction) -> float:
    """Return the direction of the ray on which the function jumps, in radians from the x-axis."""
    return function.direction + 0.5 * function.angle + pi
