r"""Singular functions at corners of plane domains, with closed forms of all derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Any

import torch
from torch import Tensor

from kanpde.calculus.field import Field
from kanpde.calculus.pointwise import chained


@dataclass(frozen=True)
class SingularFunction:
    r"""$s = r^\lambda \sin \lambda\varphi$, or with the cosine, a harmonic function that is singular at a corner.

    $(r, \varphi)$ are polar coordinates around the corner, with $0 < \varphi < \omega$ within the interior angle
    $\omega$. The angle jumps by $2\pi$ on the ray that bisects the exterior angle, which must not meet the domain. With
    $z = e^{-i\psi} (x - x_0 + i (y - y_0))$, where $\psi$ is the direction of the bisector of the interior angle,

    $$s = \mathrm{Im}\, e^{i \lambda \omega / 2} z^\lambda, \qquad
    \partial_x^a \partial_y^b s = \mathrm{Im}\, i^b e^{-i k \psi} e^{i \lambda \omega / 2}
    \lambda (\lambda - 1) \cdots (\lambda - k + 1) z^{\lambda - k}, \qquad k = a + b,$$

    with Re for the cosine. The Laplacian is exactly 0, because both of its terms are the same number with opposite
    signs. At the corner itself s is 0, and derivatives of an order above $\lambda$ are infinite or NaN.

    Args:
        at: the corner.
        exponent: λ > 0.
        direction: of the side φ = 0, in radians from the x-axis; the domain is counterclockwise of it.
        angle: ω, in radians.
        is_cosine: whether the derivative, not the value, vanishes on the side φ = 0.
    """

    at: tuple[float, float]
    exponent: float
    direction: float
    angle: float
    is_cosine: bool = False

    def __call__(self, x: Any, y: Any) -> Any:
        """Return s at coordinates, which are two fields or two tensors of the same shape."""
        if isinstance(x, Field):
            return chained(self._derivative, [x, y])
        return self._derivative([x, y], ())

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


def bisector_of_exterior(function: SingularFunction) -> float:
    """Return the direction of the ray on which the function jumps, in radians from the x-axis."""
    return function.direction + 0.5 * function.angle + pi
