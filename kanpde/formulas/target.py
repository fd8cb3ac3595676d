"""Functions on boxes whose values are known up to some noise: what formulas are sought for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy
from numpy.typing import NDArray

Values = Callable[[NDArray], NDArray]
SAMPLES = 400
SEED = 0


@dataclass(frozen=True)
class Target:
    """A function of some symbols on a box.

    Attributes:
        function: from points (n, dim) to values (n,).
        symbols: of the coordinates.
        ranges: of the coordinates.
        errors: from points (n, dim) to the standard deviations (n,) of the values there.
    """

    function: Values
    symbols: tuple[sympy.Symbol, ...]
    ranges: tuple[tuple[float, float], ...]
    errors: Values

    def at(self, x: NDArray) -> NDArray:
        """Return the values at points (n, dim); NaN where they are not defined."""
        with np.errstate(all="ignore"):
            return np.asarray(self.function(x), dtype=np.float64)

    def noise(self, x: NDArray) -> float:
        """Return the root mean square of the values' errors at points (n, dim)."""
        with np.errstate(all="ignore"):
            return float(np.sqrt(np.mean(np.square(self.errors(x)))))

    def random(self, n: int = SAMPLES) -> NDArray:
        """Return random points (n, dim)."""
        lower, upper = np.array(self.ranges).reshape(-1, 2).T
        return lower + (upper - lower) * np.random.default_rng(SEED).uniform(size=(n, len(lower)))

    def part(self, chosen: Sequence[int], function: Values, errors: Values) -> "Target":
        """Return a function of some of the coordinates."""
        symbols = tuple(self.symbols[i] for i in chosen)
        return Target(function, symbols, tuple(self.ranges[i] for i in chosen), errors)

    def joined(self, chosen: Sequence[int], inside: NDArray, rest: Mapping[int, float]) -> NDArray:
        """Return points (n, dim) whose ``chosen`` coordinates are ``inside`` (n, chosen), the others constants."""
        x = np.empty((len(inside), len(self.symbols)))
        x[:, list(chosen)] = inside
        for i, value in rest.items():
            x[:, i] = value
        return x

    def slice(self, chosen: Sequence[int], rest: Mapping[int, float]) -> "Target":
        """Return the function of the ``chosen`` coordinates at fixed values of the rest."""

        def all_of(x: NDArray) -> NDArray:
            return self.joined(chosen, x, rest)

        return self.part(chosen, lambda x: self.at(all_of(x)), lambda x: self.errors(all_of(x)))

    def transformed(self, f: Callable[[NDArray], NDArray], slope: float | None = None) -> "Target":
        """Return f of the function; ``slope`` is f' where it is constant, and is found by differences otherwise."""

        def errors(x: NDArray) -> NDArray:
            sizes = self.errors(x)
            if slope is not None:
                return abs(slope) * sizes
            y = self.at(x)
            steps = np.maximum(sizes, 1e-9 * np.abs(y) + 1e-300)
            return np.abs(f(y + steps) - f(y - steps)) / (2 * steps) * sizes

        return replace(self, function=lambda x: f(self.at(x)), errors=errors)

    def shrunk(self, share: float) -> "Target":
        """Return the function on a smaller box, without that share of the ranges at both ends."""
        return replace(self, ranges=tuple((a + share * (b - a), b - share * (b - a)) for a, b in self.ranges))

    def essential(self) -> "Target":
        """Return the function without coordinates on which it does not depend."""
        x = self.random(64)
        y, middle = self.at(x), [0.5 * (a + b) for a, b in self.ranges]
        idle = []
        for i, (a, b) in enumerate(self.ranges):
            gaps = []
            for value in np.linspace(a, b, 5):
                moved = x.copy()
                moved[:, i] = value
                gaps.append(self.at(moved) - y)
            if float(np.sqrt(np.mean(np.square(gaps)))) <= 3 * self.noise(x):
                idle.append(i)
        if not idle or len(idle) == len(self.symbols):
            return self
        return self.slice([i for i in range(len(self.symbols)) if i not in idle], {i: middle[i] for i in idle})
