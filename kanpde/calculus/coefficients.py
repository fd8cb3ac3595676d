r"""Unknown coefficients of inverse problems: first values, bounds, and the numbers z that are trained in their place.

A coefficient k with bounds is a function of a number z without bounds, which training changes:

$$k = a + e^z \ (k > a), \quad k = b - e^z \ (k < b), \quad k = a + \frac{b - a}{2} (1 + \sin z) \ (a < k < b).$$

The sine (F. James, MINUIT, CERN program library D506, section 1.3) has a way back from both bounds: where a function
has none, as 1 / (1 + exp(-z)), one long step towards a bound is the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import asin, cos, exp, inf, isfinite, log, pi, sin
from numbers import Real
from statistics import NormalDist

import torch
from torch import Tensor

from kanpde.errors import InputError

STUCK, INSIDE = 1e-6, 0.05  # shares of the first distance to a bound: where nothing moves, and where something does
WIDE = 100  # ratio of two positive bounds from which on first values are drawn on a logarithmic scale


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

    def drawn(self, share: float) -> Coefficient:
        r"""Return a coefficient with another first value, for a number ``share`` that is uniform in (0, 1).

        It is uniform between two bounds; if 0 < 100 a < b, its logarithm is. With one bound the distance to it is
        between 1 / 10 and 10 times that of the first value, uniform on a logarithmic scale. Without bounds it is normal
        around the first value, with twice the size of this as standard deviation, or 1.
        """
        a, b = self.lower, self.upper
        if isfinite(a) and isfinite(b):
            value = a * (b / a) ** share if a > 0 and b > WIDE * a else a + (b - a) * share
        elif isfinite(a) or isfinite(b):
            bound = a if isfinite(a) else b
            value = bound + (self - bound) * 10 ** (2 * share - 1)
        else:
            value = self + (2 * abs(self) or 1.0) * NormalDist().inv_cdf(share)
        return self.at(value) if a < value < b else self

    @property
    def trained(self) -> float:
        """The number z of this value."""
        a, b = self.lower, self.upper
        if isfinite(a) and isfinite(b):
            return asin(max(-1.0, min(1.0, (self - a) / (0.5 * (b - a)) - 1.0)))
        return log(self - a) if isfinite(a) else log(b - self) if isfinite(b) else float(self)

    def value(self, z: Tensor) -> Tensor:
        """Return the coefficient for numbers z."""
        a, b = self.lower, self.upper
        if isfinite(a) and isfinite(b):
            return (a + 0.5 * (b - a) * (1.0 + torch.sin(z))).clamp(a, b)
        return a + torch.exp(z) if isfinite(a) else b - torch.exp(z) if isfinite(b) else z

    def slope(self, z: float) -> float:
        """Return dk/dz at the number z."""
        a, b = self.lower, self.upper
        if isfinite(a) and isfinite(b):
            return 0.5 * (b - a) * cos(z)
        return exp(z) if isfinite(a) else -exp(z) if isfinite(b) else 1.0

    def around(self, z: float, half: float) -> tuple[float, float]:
        """Return the least and the largest value for numbers from z - half to z + half."""
        ends = [z - half, z + half]
        if isfinite(self.lower) and isfinite(self.upper):
            z = asin(sin(z))
            ends = [max(z - half, -0.5 * pi), min(z + half, 0.5 * pi)]
        values = self.value(torch.tensor(ends, device="cpu", dtype=torch.float64)).tolist()
        return min(values), max(values)

    def freed(self, z: float) -> float:
        """Return the number for a value a little inside, if z is that of a bound; else z.

        Where the slope has vanished, a step that came too near to a bound would remain the last one.
        """
        value = float(self.value(torch.tensor(z, device="cpu", dtype=torch.float64)))
        if isfinite(self.lower) and value - self.lower < STUCK * (self - self.lower):
            return self.at(self.lower + INSIDE * (self - self.lower)).trained
        if isfinite(self.upper) and self.upper - value < STUCK * (self.upper - self):
            return self.at(self.upper - INSIDE * (self.upper - self)).trained
        return z


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


def first_values(given: Mapping[str, float], start: int, starts: int, seed: int) -> dict[str, Coefficient]:
    """Return the coefficients with the first values of one of several starts.

    The first start has the given values. Those of the others are a Latin hypercube: of as many strata as there are
    further starts, every coefficient has each once (M. McKay, R. Beckman, W. Conover, Technometrics 21, 1979).

    Args:
        given: first values by name.
        start: number of the start, from 0.
        starts: number of starts.
        seed: of the random numbers.

    Raises:
        InputError: a first value is no finite number.
    """
    own = as_coefficients(given)
    if not start:
        return own
    generator, count = torch.Generator("cpu").manual_seed(seed), starts - 1
    found = {}
    for name, coefficient in own.items():
        strata = torch.randperm(count, generator=generator, device="cpu")
        within = torch.rand(count, generator=generator, device="cpu", dtype=torch.float64).clamp(0.01, 0.99)
        shares = (strata + within) / count
        found[name] = coefficient.drawn(float(shares[start - 1]))
    return found
