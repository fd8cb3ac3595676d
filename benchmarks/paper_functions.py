"""The special functions and the toy functions of the KAN paper (Liu et al., arXiv:2404.19756), with our domains.

The paper gives no domains for the special functions. Its errors (root mean squares, not divided by anything) are those
of its best KAN and its best MLP, of any size.
"""

from collections.abc import Callable, Sequence
from math import pi
from typing import Any, NamedTuple

import numpy as np
from scipy import special

Ranges = Sequence[tuple[float, float]]
Function = Callable[..., Any]  # of arrays, one for each coordinate
ANGLES = ((0.0, pi), (0.0, 2 * pi))


class Special(NamedTuple):
    """A function of two coordinates, their ranges, and the errors of the paper's best KAN and MLP."""

    function: Function
    ranges: Ranges
    kan: float
    mlp: float


SPECIAL: dict[str, Special] = {
    "ellipj sn(u, m)": Special(lambda u, m: special.ellipj(u, m)[0], ((0.0, 4.0), (0.0, 0.95)), 1.33e-4, 6.48e-4),
    "ellipkinc(phi, m)": Special(special.ellipkinc, ((0.0, 1.5), (0.0, 0.95)), 1.24e-4, 5.52e-4),
    "ellipeinc(phi, m)": Special(special.ellipeinc, ((0.0, 1.5), (0.0, 0.95)), 8.26e-5, 3.04e-4),
    "jv(v, x)": Special(special.jv, ((0.0, 4.0), (0.5, 10.0)), 1.64e-3, 5.52e-3),
    "yv(v, x)": Special(special.yv, ((0.0, 2.0), (1.0, 10.0)), 1.49e-5, 3.45e-4),
    "kv(v, x)": Special(special.kv, ((0.0, 2.0), (1.0, 4.0)), 2.52e-5, 1.67e-4),
    "iv(v, x)": Special(special.iv, ((0.0, 4.0), (0.5, 5.0)), 9.28e-3, 1.07e-2),
    "lpmv m = 0": Special(lambda v, x: special.lpmv(0, v, x), ((1.0, 4.0), (-0.5, 0.9)), 5.25e-5, 1.74e-2),
    "lpmv m = 1": Special(lambda v, x: special.lpmv(1, v, x), ((1.0, 4.0), (-0.5, 0.9)), 6.90e-4, 1.50e-3),
    "lpmv m = 2": Special(lambda v, x: special.lpmv(2, v, x), ((1.0, 4.0), (-0.5, 0.9)), 2.26e-4, 9.43e-4),
    "Y(0, 1)": Special(lambda t, p: special.sph_harm_y(1, 0, t, p).real, ANGLES, 2.21e-7, 1.25e-6),
    "Y(1, 1)": Special(lambda t, p: special.sph_harm_y(1, 1, t, p).real, ANGLES, 1.22e-4, 6.70e-4),
    "Y(0, 2)": Special(lambda t, p: special.sph_harm_y(2, 0, t, p).real, ANGLES, 1.95e-7, 2.85e-6),
    "Y(1, 2)": Special(lambda t, p: special.sph_harm_y(2, 1, t, p).real, ANGLES, 1.50e-5, 1.84e-3),
    "Y(2, 2)": Special(lambda t, p: special.sph_harm_y(2, 2, t, p).real, ANGLES, 9.45e-5, 6.21e-4),
}


class Toy(NamedTuple):
    """A function, its ranges, the hidden layers of the KAN that represents it, and the grids to train it on.

    With hidden layers, ``density`` Sobol points are taken for each cell of the grid, at least ``least``.
    """

    function: Function
    ranges: Ranges
    hidden: list[Any]
    grids: list[int]
    least: int = 0
    density: int = 0


SQUARE = ((-1.0, 1.0), (-1.0, 1.0))
SCALING: dict[str, Toy] = {
    "exp(sin pi x + y^2), KAN [2, 1, 1]": Toy(
        lambda x, y: np.exp(np.sin(pi * x) + y**2), SQUARE, [1], [3, 6, 12, 24, 48, 96], 4096, 160
    ),
    "x y, KAN [2, 2, 1]": Toy(lambda x, y: x * y, SQUARE, [2], [3, 5, 10, 20, 50], 1024, 30),
    "J0(20 x), KAN [1, 1]": Toy(lambda x: special.j0(20 * x), ((-1.0, 1.0),), [], [5, 10, 20, 50, 100, 200, 500, 1000]),
}


def toy_4d(x1: Any, x2: Any, x3: Any, x4: Any) -> Any:
    """exp((sin π(x1² + x2²) + sin π(x3² + x4²))/2), a KAN [4, 4, 2, 1] in the paper."""
    return np.exp((np.sin(pi * (x1**2 + x2**2)) + np.sin(pi * (x3**2 + x4**2))) / 2)


def toy_100d(*x: Any) -> Any:
    """exp((1/100) Σ sin²(πx_i/2)) of 100 coordinates, a KAN [100, 1, 1]."""
    return np.exp(sum(np.sin(pi * each / 2) ** 2 for each in x) / len(x))


LARGE: dict[str, tuple[Function, Ranges]] = {
    "exp((sin pi(x1^2 + x2^2) + sin pi(x3^2 + x4^2))/2), KAN [4, 4, 1, 1]": (toy_4d, ((-1.0, 1.0),) * 4),
    "exp((1/100) sum sin^2(pi x/2)), KAN [100, 1, 1]": (toy_100d, ((-1.0, 1.0),) * 100),
}
