r"""Taylor series in time for ordinary differential equations whose right-hand sides are polynomials of the unknowns.

The coefficients of $u(t_k + h) = \sum_j c_j h^j$ follow one after another from $(j + 1)\, c_{j+1} = f(t, u)_j$, where
products are Cauchy products. A step is as long as the last two coefficients permit. (A. Jorba, M. Zou, A software
package for the numerical integration of ODEs by means of high-order Taylor methods, Experimental Mathematics 14, 2005.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from numbers import Real

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from kanpde.errors import InputError

ROUNDING = 1e-17  # relative size of the terms that are left out
MOST_STEPS = 100_000


class Series:
    """A truncated power series, (coefficients,); sums, differences and products are of the same length."""

    def __init__(self, coefficients: NDArray):
        self.coefficients = coefficients

    def _other(self, other: Series | float) -> NDArray:
        if isinstance(other, Series):
            return other.coefficients
        constant = np.zeros_like(self.coefficients)
        constant[0] = other
        return constant

    def __add__(self, other: Series | float) -> Series:
        return Series(self.coefficients + self._other(other))

    def __sub__(self, other: Series | float) -> Series:
        return Series(self.coefficients - self._other(other))

    def __rsub__(self, other: float) -> Series:
        return Series(self._other(other) - self.coefficients)

    def __neg__(self) -> Series:
        return Series(-self.coefficients)

    def __mul__(self, other: Series | float) -> Series:
        if isinstance(other, Real):
            return Series(float(other) * self.coefficients)
        count = len(self.coefficients)
        return Series(np.convolve(self.coefficients, self._other(other))[:count])

    __radd__, __rmul__ = __add__, __mul__


@dataclass(frozen=True)
class TaylorSolution:
    """The unknowns as a function of time, differentiable by torch.

    Attributes:
        times: ends of the steps, ascending, one more than steps.
        coefficients: of the powers of t since the beginning of each step, (steps, powers, unknowns).
    """

    times: Float[Tensor, " ends"]
    coefficients: Float[Tensor, "steps powers unknowns"]

    def __call__(self, t: Float[Tensor, " points"]) -> Float[Tensor, "points unknowns"]:
        """Return the unknowns at times; those outside the interval take the first or last step's series."""
        times, coefficients = self.times.to(t), self.coefficients.to(t)
        step = torch.bucketize(t.detach(), times[1:-1].contiguous(), right=True)
        since, found = (t - times[step])[:, None], torch.zeros_like(coefficients[step, 0])
        for power in range(coefficients.shape[1] - 1, -1, -1):
            found = found * since + coefficients[step, power]
        return found


def taylor(
    right: Callable[..., Sequence[Series]],
    start: Sequence[float],
    interval: tuple[float, float],
    order: int = 30,
) -> TaylorSolution:
    """Solve u' = right(t, u_1, u_2, ...) with the state ``start`` at the beginning of the interval.

    Args:
        right: takes the time and the unknowns as `Series` and returns the derivative of every unknown; made of sums,
            differences and products.
        start: the unknowns at the beginning.
        interval: beginning and end.
        order: of the series.

    Raises:
        InputError: the solution does not reach the end of the interval.
    """
    (time, end), state = interval, np.asarray(start, dtype=float)
    times, steps = [time], []
    while time < end:
        series = _series(right, time, state, order)
        length = min(_step(series), end - time)
        if len(steps) == MOST_STEPS or isnan(length) or time + length == time:
            raise InputError(f"The solution ends at t = {time:.6g}; is it infinite there? Choose a shorter interval.")
        is_last = length == end - time
        time = end if is_last else time + length
        steps.append(series)
        times.append(time)
        state = np.asarray(np.polynomial.polynomial.polyval(times[-1] - times[-2], series))
    made = {"dtype": torch.float64, "device": "cpu"}
    return TaylorSolution(torch.tensor(times, **made), torch.tensor(np.stack(steps), **made))


def _series(right: Callable[..., Sequence[Series]], time: float, state: NDArray, order: int) -> NDArray:
    """Return the coefficients of the powers 0 to ``order``, (powers, unknowns)."""
    found = np.zeros((order + 1, len(state)))
    found[0] = state
    for k in range(order):
        t = np.zeros(k + 1)
        t[: min(2, k + 1)] = [time, 1.0][: k + 1]
        slopes = right(Series(t), *(Series(column) for column in found[: k + 1].T))
        found[k + 1] = [slope.coefficients[k] / (k + 1) for slope in slopes]
    return found


def _step(series: NDArray) -> float:
    """Return the step on which the last two terms are negligible; infinity if they are zero."""
    size, order = np.abs(series).max(axis=1), len(series) - 1
    allowed = ROUNDING * max(size[0], np.finfo(float).tiny)
    with np.errstate(divide="ignore"):
        lengths = [(allowed / size[k]) ** (1 / k) for k in (order - 1, order)]
    return float(min(lengths))
