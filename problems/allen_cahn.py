"""The Allen-Cahn equation: fronts that form from smooth data.

Source: M. Raissi, P. Perdikaris, G. E. Karniadakis, Physics-informed neural networks, J. Comput. Phys. 378 (2019),
section 3.1.2.
"""

from functools import cache
from math import pi

import numpy as np
import torch

from kanpde import Box, Condition, Problem, diff, etdrk4, initial, neumann, pointwise

DIFFUSION, RATE = 1e-4, 5.0


def allen_cahn() -> Problem:
    r"""$u_t - 10^{-4} u_{xx} + 5 (u^3 - u) = 0$ on $[-1, 1] \times [0, 1]$ with $u = x^2 \cos \pi x$ initially.

    The periodic problem of M. Raissi, P. Perdikaris and G. E. Karniadakis (J. Comput. Phys. 378, 2019), posed without
    periodicity: data and equation are even in x, so the periodic solution is even and has $u_x = 0$ at $x = \pm 1$ for
    t > 0. The initial values have $u_x = \mp 2$ there, so the solution has a thin layer at these corners, of width
    $\sqrt{4 \cdot 10^{-4} t}$. A network on ``Box(periodic=["x"])`` is smooth across $x = \pm 1$ and could not even
    represent the initial values. H1 errors depend much on the two corners at t = 0, where ``exact`` has u_x = 0.

    ``exact`` is a Fourier series by ETDRK4 with 2048 points and 250 steps, see `reference`; its relative L2
    error is 2e-8.
    """
    domain = Box(x=(-1.0, 1.0), t=(0.0, 1.0))

    def residual(u):
        return diff(u, "t") - DIFFUSION * diff(u, "x", "x") + RATE * (u**3 - u)

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "initial": initial(domain.at(t=0.0), lambda x, t: x**2 * torch.cos(pi * x)),
            "boundary": neumann(domain.boundary, 0.0),
        },
        exact=lambda x, t: pointwise(_exact, x, t),
    )


@cache
def reference(points: int = 2048, steps: int = 250):
    r"""Return v = u + p, where the heat flow p of $x^2$ cancels the kink of u at $x = \pm 1$ (see `_square`)."""

    def nonlinear(x, t, v):
        u = v - _square(torch.from_numpy(x), torch.tensor(t, device="cpu", dtype=torch.float64)).numpy()
        return RATE * (u - u * u * u)

    return etdrk4(
        lambda x: x**2 * np.cos(pi * x) + x**2,
        lambda k: -DIFFUSION * k**2,
        lambda k: 1.0,
        nonlinear,
        interval=(-1.0, 1.0),
        end=1.0,
        points=points,
        steps=steps,
    )


def _exact(x, t):
    x, t = x.double(), t.double()
    return reference()(x, t) - _square(x, t)


def _square(x, t):
    r"""Solve $p_t = \kappa p_{xx}$ with $p = x^2$ initially, continued periodically from [-1, 1], for small κt.

    $p = x^2 + 2 \kappa t - 2 s\,\mathrm{ierfc}(y/s)$ with $s = \sqrt{4 \kappa t}$ and y the distance from the nearer
    end (J. Crank, The Mathematics of Diffusion, section 2.2).
    """
    s = torch.sqrt(4 * DIFFUSION * t).clamp(min=1e-30)
    y = torch.minimum(1 - x, 1 + x)
    layer = s * torch.exp(-((y / s) ** 2)) / pi**0.5 - y * torch.erfc(y / s)
    return x**2 + 2 * DIFFUSION * t - 2 * layer
