r"""Fourier series in x and exponential time differencing in t, for periodic evolution equations in one dimension.

The equation is $u_t = L u + M f(u)$. L and M multiply the coefficient of $e^{ikx}$ by given functions of k, which is
how derivatives act. ETDRK4 is exact for the linear part and of order four for f (S. M. Cox and P. C. Matthews,
J. Comput. Phys. 176, 2002). Its coefficients are means over circles (A.-K. Kassam and L. N. Trefethen, SIAM J. Sci.
Comput. 26, 2005).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import factorial, pi
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.errors import InputError

Multiplier = Callable[[NDArray], Any]  # of the wave numbers k

_NODES = 8  # steps through which a polynomial in t is laid
_CIRCLE = 64  # points on each circle
_MOST = 2**21  # coefficients at once when points are evaluated


def etdrk4(
    start: Callable[[NDArray], NDArray],
    linear: Multiplier,
    factor: Multiplier,
    nonlinear: Callable[[NDArray, float, NDArray], NDArray],
    *,
    interval: tuple[float, float],
    end: float,
    points: int,
    steps: int,
) -> FourierSolution:
    r"""Solve $u_t = L u + M f(x, t, u)$ for real u on a periodic interval, t from 0 to ``end``.

    The solution must be resolved: there is no dealiasing. Compare with another number of points and of steps.

    Args:
        start: u(x, 0).
        linear: the multipliers of L, such as ``lambda k: -nu * k**2`` for ν u_xx.
        factor: the multipliers of M, such as ``lambda k: -0.5j * k`` for u u_x with f = u².
        nonlinear: f(x, t, u) at the grid points x.
        interval: (lower, upper); its length is the period.
        end: the last time.
        points: of the equidistant grid, an even number; the series has ``points / 2`` wave numbers.
        steps: of equal length, at least 7.

    Raises:
        InputError: the number of points is odd, or there are too few steps.
    """
    if points % 2 or steps < _NODES - 1:
        raise InputError(f"etdrk4 needs an even number of points and {_NODES - 1} steps, got {points} and {steps}.")
    lower, upper = interval
    x = lower + (upper - lower) * np.arange(points) / points
    k = 2 * pi / (upper - lower) * np.arange(points // 2 + 1)
    step = end / steps
    scale = step * np.asarray(factor(k), complex) * np.where(k < k[-1], 1.0, 0.0)  # the highest k has no sign

    def n(t: float, v: NDArray) -> NDArray:
        return scale * np.fft.rfft(nonlinear(x, t, np.fft.irfft(v, points)))

    v = np.fft.rfft(start(x))
    v[-1] = 0.0
    stored = _march(v, np.asarray(linear(k), complex) * step, n, step, steps)
    return FourierSolution(lower, k, step, np.array(stored) / points)


def _march(v: NDArray, z: NDArray, n: Callable[[float, NDArray], NDArray], step: float, steps: int) -> list[NDArray]:
    """Return the coefficients at all steps, from v; n is the nonlinear part times the step, z the linear part's."""
    one, half, q, first, middle, last = _weights(z)
    stored = [v]
    for t in step * np.arange(steps):
        now = n(t, v)
        a = half * v + q * now
        at_a = n(t + step / 2, a)
        b = half * v + q * at_a
        at_b = n(t + step / 2, b)
        at_c = n(t + step, half * a + q * (2 * at_b - now))
        v = one * v + first * now + 2 * middle * (at_a + at_b) + last * at_c
        stored.append(v)
    return stored


def _weights(z: NDArray) -> list[NDArray]:
    """Return exp(z), exp(z/2) and the four weights of a step, for z = step times the eigenvalues of L."""
    circle = np.exp(2j * pi * (np.arange(_CIRCLE) + 0.5) / _CIRCLE)
    r = z[:, None] + circle
    weights = [
        (np.exp(r / 2) - 1) / r,
        (-4 - r + np.exp(r) * (4 - 3 * r + r**2)) / r**3,
        (2 + r + np.exp(r) * (r - 2)) / r**3,
        (-4 - 3 * r - r**2 + np.exp(r) * (4 - r)) / r**3,
    ]
    return [np.exp(z), np.exp(z / 2), *(w.mean(axis=1) for w in weights)]


@dataclass(frozen=True)
class FourierSolution:
    """A Fourier series in x whose coefficients are piecewise polynomials in t, through the eight nearest steps.

    Call it with tensors x and t of equal shape; torch can differentiate the result, any number of times by x and up to
    seven times by t.

    Args:
        lower: the end of the interval from which the phases count.
        k: the wave numbers, from 0.
        step: of t.
        coefficients: (steps + 1, wave numbers), of exp(ik(x - lower)) for k >= 0.
    """

    lower: float
    k: NDArray
    step: float
    coefficients: NDArray

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        return _Evaluation.apply(x, t, self, (0, 0))

    def derivative(self, orders: tuple[int, int], x: NDArray, t: NDArray) -> NDArray:
        """Return the derivative, ``orders`` times by (x, t), at points of equal shape (points,)."""
        by_x, by_t = orders
        weight = np.where(self.k > 0, 2.0, 1.0) * (1j * self.k) ** by_x
        result = np.empty(len(x))
        piece = max(1, _MOST // len(self.k))
        for i in range(0, len(x), piece):
            xs, where_x = np.unique(x[i : i + piece], return_inverse=True)
            ts, where_t = np.unique(t[i : i + piece], return_inverse=True)
            waves = np.exp(1j * np.outer(xs - self.lower, self.k)) * weight
            in_time = self._in_time(ts, by_t)
            result[i : i + piece] = np.einsum("pk,pk->p", waves[where_x], in_time[where_t]).real
        return result

    def _in_time(self, t: NDArray, order: int) -> NDArray:
        """Return derivatives of the coefficients at times, (times, wave numbers)."""
        place = t / self.step
        first = np.clip(np.floor(place).astype(int) - _NODES // 2 + 1, 0, len(self.coefficients) - _NODES)
        offset = place - first - (_NODES - 1) / 2
        powers = np.zeros((len(t), _NODES))
        for j in range(order, _NODES):
            powers[:, j] = factorial(j) / factorial(j - order) * offset ** (j - order)
        weights = powers @ self._lagrange / self.step**order
        total = np.zeros((len(t), len(self.k)), complex)
        for j in range(_NODES):
            total += weights[:, j, None] * self.coefficients[first + j]
        return total

    @cached_property
    def _lagrange(self) -> NDArray:
        """Return the coefficients (powers, nodes) of the polynomials that are 1 at one node, about the middle."""
        return np.linalg.inv(np.vander(np.arange(_NODES) - (_NODES - 1) / 2, increasing=True))


class _Evaluation(torch.autograd.Function):
    """The series as a differentiable function: the gradient is the next derivative of the series."""

    @staticmethod
    def forward(ctx, x: Tensor, t: Tensor, solution: FourierSolution, orders: tuple[int, int]) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(x, t)
        ctx.solution, ctx.orders = solution, orders
        at = [c.detach().cpu().numpy().astype(float).reshape(-1) for c in (x, t)]
        value = torch.from_numpy(solution.derivative(orders, *at))
        return value.to(x).reshape(x.shape)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> Any:
        (gradient,) = grad_outputs
        x, t = ctx.saved_tensors
        by_x, by_t = ctx.orders
        next_orders = ((by_x + 1, by_t), (by_x, by_t + 1))
        slopes = [
            gradient * _Evaluation.apply(x, t, ctx.solution, orders) if needed else None
            for orders, needed in zip(next_orders, ctx.needs_input_grad[:2], strict=True)
        ]
        return *slopes, None, None
