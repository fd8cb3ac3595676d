r"""Elementwise functions together with their derivatives of every order.

A table is a function ``table(x, order) -> [f(x), f'(x), ..., f^(order)(x)]`` on tensors of any shape. Fields, MLP
activations and the base function of KAN edges all use these.
"""

from collections.abc import Callable
from functools import cache
from math import factorial, pi

import numpy as np
import torch
from torch import Tensor

from kanpde.calculus.bessel import BY_NAME
from kanpde.errors import InputError

Table = Callable[[Tensor, int], list[Tensor]]


def _horner(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """Evaluate the polynomial with ``coefficients`` (lowest power first) at ``x``."""
    result = torch.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = result * x + c
    return result


@cache
def _autonomous_polynomials(rate: tuple[float, ...], order: int) -> tuple[tuple[float, ...], ...]:
    """Polynomials P_k with f^(k) = P_k(f) when f' = rate(f): P_0(f) = f and P_{k+1} = P_k' rate."""
    polynomial = np.polynomial.Polynomial([0.0, 1.0])
    result = []
    for _ in range(order + 1):
        result.append(tuple(float(c) for c in polynomial.coef))
        polynomial = polynomial.deriv() * np.polynomial.Polynomial(rate)
    return tuple(result)


def _autonomous(f: Callable[[Tensor], Tensor], rate: tuple[float, ...]) -> Table:
    def table(x: Tensor, order: int) -> list[Tensor]:
        value = f(x)
        return [value] + [_horner(p, value) for p in _autonomous_polynomials(rate, order)[1:]]

    return table


tanh = _autonomous(torch.tanh, (1.0, 0.0, -1.0))
sigmoid = _autonomous(torch.sigmoid, (0.0, 1.0, -1.0))


def _cycle(values: Callable[[Tensor], list[Tensor]]) -> Table:
    """Return the table of a function whose derivatives repeat with a short period."""

    def table(x: Tensor, order: int) -> list[Tensor]:
        period = values(x)
        return [period[k % len(period)] for k in range(order + 1)]

    return table


def _sine_values(x: Tensor) -> list[Tensor]:
    s, c = torch.sin(x), torch.cos(x)
    return [s, c, -s, -c]


def _cosine_values(x: Tensor) -> list[Tensor]:
    s, c = torch.sin(x), torch.cos(x)
    return [c, -s, -c, s]


sin = _cycle(_sine_values)
cos = _cycle(_cosine_values)
exp = _cycle(lambda x: [torch.exp(x)])
sinh = _cycle(lambda x: [torch.sinh(x), torch.cosh(x)])
cosh = _cycle(lambda x: [torch.cosh(x), torch.sinh(x)])


def power(exponent: float) -> Table:
    """x**exponent; a derivative whose coefficient vanishes is exactly zero, also at x = 0."""

    def table(x: Tensor, order: int) -> list[Tensor]:
        result, c = [], 1.0
        for k in range(order + 1):
            result.append(torch.zeros_like(x) if c == 0.0 else c * x ** (exponent - k))
            c *= exponent - k
        return result

    return table


reciprocal = power(-1)
sqrt = power(0.5)


def log(x: Tensor, order: int) -> list[Tensor]:
    """Natural logarithm: log^(k) = (-1)^(k-1) (k-1)! x^-k."""
    return [torch.log(x)] + [(-1.0) ** (k - 1) * factorial(k - 1) * x**-k for k in range(1, order + 1)]


def _times_identity(inner: Table) -> Table:
    """x g(x), whose derivatives are x g^(k) + k g^(k-1)."""

    def table(x: Tensor, order: int) -> list[Tensor]:
        g = inner(x, order)
        return [x * g[0]] + [torch.addcmul(k * g[k - 1], x, g[k]) for k in range(1, order + 1)]

    return table


@cache
def _hermite(order: int) -> tuple[tuple[float, ...], ...]:
    """Coefficients of the probabilists' Hermite polynomials He_0 ... He_order."""
    return tuple(
        tuple(float(c) for c in np.polynomial.hermite_e.herme2poly([0.0] * k + [1.0])) for k in range(order + 1)
    )


def _normal_distribution(x: Tensor, order: int) -> list[Tensor]:
    """Distribution function of the standard normal: derivatives (-1)^(k-1) He_{k-1}(x) times the density."""
    density = torch.exp(-0.5 * x * x) / (2 * pi) ** 0.5
    he = _hermite(order)
    return [torch.special.ndtr(x)] + [(-1.0) ** (k - 1) * _horner(he[k - 1], x) * density for k in range(1, order + 1)]


def relu_power(exponent: int) -> Table:
    """max(x, 0)**exponent with its derivatives; that of order ``exponent`` jumps at 0, and is 0 there."""

    def table(x: Tensor, order: int) -> list[Tensor]:
        positive = torch.relu(x)
        result, c = [], 1.0
        for k in range(order + 1):
            rest = exponent - k
            result.append(c * (positive**rest if rest > 0 else (x > 0).to(x.dtype) if rest == 0 else 0.0 * x))
            c *= rest
        return result

    return table


relu = relu_power(1)
silu = _times_identity(sigmoid)
gelu = _times_identity(_normal_distribution)


TABLES: dict[str, Table] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "sin": sin,
    "cos": cos,
    "exp": exp,
    "sinh": sinh,
    "cosh": cosh,
    "reciprocal": reciprocal,
    "sqrt": sqrt,
    "log": log,
    "silu": silu,
    "gelu": gelu,
    "relu": relu,
}


def by_autograd(function: Callable[[Tensor], Tensor], name: str = "a function") -> Table:
    """Return the table of any elementwise torch function, by repeated reverse-mode differentiation.

    Raises:
        InputError: (by the table) torch has no derivative of the function, which would count as 0.
    """

    def table(x: Tensor, order: int) -> list[Tensor]:
        if order == 0:
            return [function(x)]
        with torch.enable_grad():
            point = x if x.requires_grad else x.detach().requires_grad_()
            result = [function(point)]
            if not result[0].requires_grad:
                require_constant(result[0], function(moved(point)), name)
            for _ in range(order):
                last = result[-1]
                if not last.requires_grad:
                    result.append(torch.zeros_like(x))
                    continue
                slope = torch.autograd.grad(last.sum(), point, create_graph=True, allow_unused=True)[0]
                result.append(torch.zeros_like(x) if slope is None else slope)
        return result if x.requires_grad else [r.detach() for r in result]

    return table


def moved(x: Tensor) -> Tensor:
    """Return other points near these."""
    return x * (1 + 1e-4) + 1e-4


def require_constant(values: Tensor, others: Tensor, name: str) -> None:
    """Require that a function that torch cannot differentiate has the same values at points and at others nearby.

    At up to half of the points they may differ, because steps may lie between a point and its neighbour.

    Raises:
        InputError: it varies, and its derivative would count as 0.
    """
    if 2 * int(((values - others).nan_to_num() != 0).sum()) > values.numel():
        raise InputError(
            f"A derivative of {name} is needed, and torch has none: it would count as 0. Compute the values by "
            "differentiable functions of torch, or by a torch.autograd.Function in `pointwise`."
        )


def elementwise(function: Callable[..., Tensor], name: str, options: dict) -> Table:
    """Return the table of a function of torch with this name.

    Raises:
        InputError: (by the table) it mixes points; residuals must not depend on other points.
    """
    values = BY_NAME.get(name, function)

    def checked(t: Tensor) -> Tensor:
        result = values(t, **options)
        if not isinstance(result, Tensor) or result.shape != t.shape:
            raise InputError(
                f"A function of a field must act point by point, and torch.{name} does not. Use an elementwise one."
            )
        return result

    return by_autograd(checked, f"torch.{name.replace('special_', 'special.')}")
