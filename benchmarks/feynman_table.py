"""The 27 dimensionless formulas of the KAN paper (Liu et al., arXiv:2404.19756, table 2), as sympy expressions.

The names are those of the equations in the Feynman lectures. The paper gives no domains; ours are boxes on which the
functions are smooth: away from poles and branch points, and for angles up to one turn.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import sympy
from sympy import asin, cos, exp, log, pi, sin, sqrt

a, b, c, d, e, f, n, n0 = sympy.symbols("a b c d e f n n0", real=True)
alpha, beta, delta, theta, theta1, theta2 = sympy.symbols("alpha beta delta theta theta1 theta2", real=True)
sigma = sympy.Symbol("sigma", positive=True)
TURN = (0.0, 2 * float(pi))
UNIT, SYMMETRIC = (0.0, 1.0), (-1.0, 1.0)


class Paper(NamedTuple):
    """Test errors in the paper (root mean squares, not divided by anything) of its KANs and its MLP."""

    human: float
    pruned: float
    unpruned: float
    mlp: float


class Row(NamedTuple):
    """A formula, the range of every variable in the order of the coordinates, and the figures of the paper."""

    target: sympy.Expr
    ranges: dict[str, tuple[float, float]]
    paper: Paper


FEYNMAN: dict[str, Row] = {
    "I.6.2": Row(
        exp(-(theta**2) / (2 * sigma**2)) / sqrt(2 * pi * sigma**2),
        {"theta": (-2.0, 2.0), "sigma": (0.5, 2.0)},
        Paper(7.66e-5, 2.86e-5, 4.60e-5, 1.45e-4),
    ),
    "I.6.2b": Row(
        exp(-((theta - theta1) ** 2) / (2 * sigma**2)) / sqrt(2 * pi * sigma**2),
        {"theta": (-1.5, 1.5), "theta1": (-1.5, 1.5), "sigma": (0.5, 2.0)},
        Paper(1.22e-3, 4.45e-4, 1.25e-3, 7.40e-4),
    ),
    "I.9.18": Row(
        a / ((b - 1) ** 2 + (c - d) ** 2 + (e - f) ** 2),
        {"a": SYMMETRIC, "b": (-1.0, 0.0), "c": SYMMETRIC, "d": SYMMETRIC, "e": SYMMETRIC, "f": SYMMETRIC},
        Paper(1.48e-3, 8.62e-3, 6.56e-3, 1.59e-3),
    ),
    "I.12.11": Row(
        1 + a * sin(theta),
        {"a": SYMMETRIC, "theta": TURN},
        Paper(2.07e-3, 1.39e-3, 9.13e-4, 6.71e-4),
    ),
    "I.13.12": Row(
        a * (1 / b - 1),
        {"a": SYMMETRIC, "b": (0.5, 2.0)},
        Paper(7.22e-3, 4.81e-3, 2.72e-3, 1.42e-3),
    ),
    "I.15.3x": Row(
        (1 - a) / sqrt(1 - b**2),
        {"a": SYMMETRIC, "b": (-0.8, 0.8)},
        Paper(7.35e-3, 1.58e-3, 1.14e-3, 8.54e-4),
    ),
    "I.16.6": Row(
        (a + b) / (1 + a * b),
        {"a": (-0.8, 0.8), "b": (-0.8, 0.8)},
        Paper(1.06e-3, 1.19e-3, 1.53e-3, 6.20e-4),
    ),
    "I.18.4": Row(
        (1 + a * b) / (1 + a),
        {"a": (0.0, 2.0), "b": SYMMETRIC},
        Paper(3.92e-4, 1.50e-4, 1.32e-3, 3.68e-4),
    ),
    "I.26.2": Row(  # one printing of the paper has 1.22e-4 for the human KAN and 1.24e-4 for the MLP
        asin(n * sin(theta2)),
        {"n": (0.0, 0.9), "theta2": (0.0, float(pi / 2))},
        Paper(1.22e-1, 7.90e-4, 8.63e-4, 1.24e-3),
    ),
    "I.27.6": Row(
        1 / (1 + a * b),
        {"a": (0.0, 2.0), "b": (0.0, 2.0)},
        Paper(2.22e-4, 1.94e-4, 2.14e-4, 2.46e-4),
    ),
    "I.29.16": Row(
        sqrt(1 + a**2 - 2 * a * cos(theta1 - theta2)),
        {"a": (0.0, 0.8), "theta1": (-float(pi / 2), float(pi / 2)), "theta2": (-float(pi / 2), float(pi / 2))},
        Paper(2.36e-1, 3.99e-3, 3.20e-3, 4.64e-3),
    ),
    "I.30.3": Row(
        sin(n * theta / 2) ** 2 / sin(theta / 2) ** 2,
        {"n": (0.0, 4.0), "theta": (float(pi / 3), float(5 * pi / 3))},
        Paper(3.85e-1, 1.03e-3, 1.11e-2, 1.50e-2),
    ),
    "I.30.5": Row(
        asin(a / n),
        {"a": SYMMETRIC, "n": (1.2, 3.0)},
        Paper(2.23e-4, 3.49e-5, 6.92e-5, 9.45e-5),
    ),
    "I.37.4": Row(
        1 + a + 2 * sqrt(a) * cos(delta),
        {"a": (0.1, 2.0), "delta": TURN},
        Paper(7.57e-5, 4.91e-6, 3.41e-4, 5.67e-4),
    ),
    "I.40.1": Row(
        n0 * exp(-a),
        {"n0": UNIT, "a": (-2.0, 2.0)},
        Paper(3.45e-3, 5.01e-4, 3.12e-4, 3.99e-4),
    ),
    "I.44.4": Row(
        n * log(a),
        {"n": UNIT, "a": (0.5, 5.0)},
        Paper(2.30e-5, 2.43e-5, 1.10e-4, 3.99e-4),
    ),
    "I.50.26": Row(
        cos(a) + alpha * cos(a) ** 2,
        {"a": TURN, "alpha": UNIT},
        Paper(1.52e-4, 5.82e-4, 4.90e-4, 1.53e-3),
    ),
    "II.2.42": Row(
        (a - 1) * b,
        {"a": (0.0, 3.0), "b": SYMMETRIC},
        Paper(8.54e-4, 7.22e-4, 1.22e-3, 1.81e-4),
    ),
    "II.6.15a": Row(
        c * sqrt(a**2 + b**2) / (4 * pi),
        {"a": (0.2, 1.0), "b": (0.2, 1.0), "c": UNIT},
        Paper(2.61e-3, 3.28e-3, 1.35e-3, 5.92e-4),
    ),
    "II.11.7": Row(
        n0 * (1 + a * cos(theta)),
        {"n0": UNIT, "a": SYMMETRIC, "theta": TURN},
        Paper(7.10e-3, 8.52e-3, 5.03e-3, 5.92e-4),
    ),
    "II.11.27": Row(
        n * alpha / (1 - n * alpha / 3),
        {"n": UNIT, "alpha": (0.0, 2.0)},
        Paper(2.67e-5, 4.40e-5, 1.43e-5, 7.18e-5),
    ),
    "II.35.18": Row(
        n0 / (exp(a) + exp(-a)),
        {"n0": UNIT, "a": (-2.0, 2.0)},
        Paper(4.13e-4, 1.58e-4, 7.71e-5, 7.92e-5),
    ),
    "II.36.38": Row(
        a + alpha * b,
        {"a": SYMMETRIC, "alpha": SYMMETRIC, "b": SYMMETRIC},
        Paper(2.85e-3, 1.15e-3, 3.03e-3, 2.15e-3),
    ),
    "II.38.3": Row(
        a / b,
        {"a": SYMMETRIC, "b": (0.5, 2.0)},
        Paper(1.47e-4, 8.78e-5, 6.43e-4, 5.26e-4),
    ),
    "III.9.52": Row(  # b - c from 1 to 7, without the removable singularity at 0
        a * sin((b - c) / 2) ** 2 / ((b - c) / 2) ** 2,
        {"a": UNIT, "b": (1.0, 4.0), "c": (-3.0, 0.0)},
        Paper(4.43e-2, 3.90e-3, 2.11e-2, 9.07e-4),
    ),
    "III.10.19": Row(
        sqrt(1 + a**2 + b**2),
        {"a": SYMMETRIC, "b": SYMMETRIC},
        Paper(2.54e-3, 1.18e-3, 8.16e-4, 1.67e-4),
    ),
    "III.17.37": Row(
        beta * (1 + alpha * cos(theta)),
        {"alpha": SYMMETRIC, "beta": SYMMETRIC, "theta": TURN},
        Paper(1.10e-3, 5.03e-4, 4.12e-4, 6.80e-4),
    ),
}


def numeric(row: Row) -> Callable[..., Any]:
    """Return the formula as a function of arrays, one for each variable in the order of the ranges."""
    return sympy.lambdify(list(row.ranges), row.target, "numpy")
