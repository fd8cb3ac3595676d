r"""Unknown coefficients of inverse problems: first values, bounds, and the numbers z that are trained in their place.

A coefficient k with bounds is a function of a number z without bounds, which training changes:

$$k = a + e^z \ (k > a), \qquad k = b - e^z \ (k < b), \qquad k = a + \frac{b - a}{1 + e^{-z}} \ (a < k < b).$$
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, inf, isfinite, log, tanh
from numbers import Real

import torch
from torch import Tensor

from kanpde.errors import InputError


class Coefficient(float):
    """The first value of an unknown coefficient, with bounds that training reaches at most to rounding.

    Args:
        initial: the first value.
        lower, upper: the bounds; without them a coefficient is any number.

    Raises:
        InputError: the first value is not a finite number between the bounds.
    """

    lower: float
    upper: float

    def __new__(cls, initial: float, lower: float = -inf, upper: float = inf) -> Coefficient:
        if not isinstance(initial, Real):
            raise InputError(
                f"The first value of a coefficient is a number, got {initial!r}.",
                write={"initial": _between(lower, upper)},
            )
        if not (isfinite(initial) and lower < initial < upper):
            raise InputError(
                f"The first value of a coefficient must be a finite number between its bounds, got {float(initial):g}, "
                f"and the bounds {float(lower):g} and {float(upper):g}.",
                write={"initial": _between(lower, upper)} if lower < upper else {"lower": 0.0, "upper": 10.0},
            )
        found = super().__new__(cls, initial)
        found.lower, found.upper = float(lower), float(upper)
        return found

    def at(self, value: float) -> Coefficient:
        """Return a coefficient with the same bounds and another first value."""
        return Coefficient(value, self.lower, self.upper)

    @property
    def trained(self) -> float:
        """The number z of this value."""
        a, b = self.lower, self.upper
        if isfinite(a) and isfinite(b):
            return log((self - a) / (b - self))
        return log(self - a) if isfinite(a) else log(b - self) if isfinite(b) else float(self)

    def value(self, z: Tensor) -> Tensor:
        """Return the coefficient for numbers z."""
        a, b = self.lower, self.upper
        if isfinite(a) and isfinite(b):
            return a + (b - a) * torch.sigmoid(z)
        return a + torch.exp(z) if isfinite(a) else b - torch.exp(z) if isfinite(b) else z

    def slope(self, z: float) -> float:
        """Return dk/dz at the number z."""
        a, b = self.lower, self.upper
        if isfinite(a) and isfinite(b):
            return 0.25 * (b - a) * (1.0 - tanh(0.5 * z) ** 2)
        return exp(z) if isfinite(a) else -exp(z) if isfinite(b) else 1.0


def _between(lower: float, upper: float) -> float:
    """Return a number between the bounds."""
    if isfinite(lower) and isfinite(upper):
        return 0.5 * (lower + upper)
    return lower + 1.0 if isfinite(lower) else upper - 1.0 if isfinite(upper) else 1.0


def as_coefficients(given: Mapping[str, float]) -> dict[str, Coefficient]:
    """Return first values as coefficients; plain numbers have no bounds.

    Raises:
        InputError: a first value is no finite number.
    """
    return {name: v if isinstance(v, Coefficient) else Coefficient(v) for name, v in given.items()}


def values_of(coefficients: Mapping[str, Coefficient], trained: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return the coefficients by name for the numbers z in their order; {} if none are given."""
    return {name: c.value(z) for (name, c), z in zip(coefficients.items(), trained, strict=True)} if trained else {}
