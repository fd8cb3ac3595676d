"""The Korteweg-de Vries equation: one soliton, two that meet, and a cosine that breaks up into solitons.

Source: N. J. Zabusky, M. D. Kruskal, Interaction of "solitons" in a collisionless plasma, Phys. Rev. Lett. 15
(1965) 240-243.
"""

from functools import cache
from math import pi

import numpy as np
import torch

from kanpde import Box, Condition, InputError, Problem, diff, dirichlet, etdrk4, initial, pointwise

SPEED, CENTRE = 4.0, -2.0  # of the one soliton; its centre at t = 0
FAST, SLOW = (
    (1.5, 3.5),
    (0.9, 6.0),
)  # of the two: k, with speed k² and height k²/2, and x_i
DISPERSION = 0.022**2  # of the cosine


def kdv(case: str = "soliton") -> Problem:
    r"""The Korteweg-de Vries equation, three cases.

    Args:
        case: "soliton", $u_t + 6 u u_x + u_{xxx} = 0$ with $u = 2\,\mathrm{sech}^2(x - 4t + 2)$ on
            $[-10, 10] \times [0, 1]$; "two", the same equation on $[0, 20] \times [0, 5]$, where a soliton of speed
            2.25 overtakes one of speed 0.81 (see `two_solitons`); "cosine", $u_t + u u_x + 0.022^2 u_{xxx} = 0$,
            periodic on $[-1, 1] \times [0, 1]$, $u = \cos \pi x$ initially (N. J. Zabusky and M. D. Kruskal, Phys.
            Rev. Lett. 15, 1965).

    The first two prescribe u at both ends and u_x at the right end, as the equation requires on an interval, with the
    values of the exact solution. The third is compared with the Fourier series of `reference`.
    """
    if case == "cosine":
        return _cosine()
    if case not in SOLITONS:
        raise InputError(f'Unknown case "{case}". Choices: {", ".join([*SOLITONS, "cosine"])}.')
    exact, domain = SOLITONS[case]
    right = domain.face("x", 1)

    def residual(u):
        return diff(u, "t") + 6 * u * diff(u, "x") + diff(u, "x", "x", "x")

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "initial": initial(domain.at(t=0.0), exact),
            "boundary": dirichlet(domain.boundary, exact),
            "slope": Condition(right, lambda u: diff(u - exact(*u.coords), "x")),
        },
        exact=exact,
    )


def one_soliton(x, t):
    r"""$u = \frac c2\,\mathrm{sech}^2(\frac{\sqrt c}2 (x - ct - x_0))$."""
    return SPEED / 2 / torch.cosh(SPEED**0.5 / 2 * (x - SPEED * t - CENTRE)) ** 2


def two_solitons(x, t):
    r"""$u = 2 (\ln f)_{xx}$, $f = 1 + e_1 + e_2 + a e_1 e_2$, $e_i = e^{k_i (x - x_i) - k_i^3 t}$.

    With $a = ((k_1 - k_2) / (k_1 + k_2))^2$ this is
    $u = 2 (k_1^2 e_1 + k_2^2 e_2 + 2 (k_1 - k_2)^2 e_1 e_2 + a (k_2^2 e_1 + k_1^2 e_2) e_1 e_2) / f^2$, in which all
    terms are positive (R. Hirota, Phys. Rev. Lett. 27, 1971).
    """
    (k1, x1), (k2, x2) = FAST, SLOW
    a = ((k1 - k2) / (k1 + k2)) ** 2
    e1 = torch.exp(k1 * (x - x1) - k1**3 * t)
    e2 = torch.exp(k2 * (x - x2) - k2**3 * t)
    both = e1 * e2
    top = k1**2 * e1 + k2**2 * e2 + 2 * (k1 - k2) ** 2 * both + a * (k2**2 * e1 + k1**2 * e2) * both
    return 2 * top / (1 + e1 + e2 + a * both) ** 2


SOLITONS = {
    "soliton": (one_soliton, Box(x=(-10.0, 10.0), t=(0.0, 1.0))),
    "two": (two_solitons, Box(x=(0.0, 20.0), t=(0.0, 5.0))),
}


def _cosine() -> Problem:
    domain = Box(x=(-1.0, 1.0), t=(0.0, 1.0), periodic=["x"])

    def residual(u):
        return diff(u, "t") + u * diff(u, "x") + DISPERSION * diff(u, "x", "x", "x")

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "initial": initial(domain.at(t=0.0), lambda x, t: torch.cos(pi * x)),
        },
        exact=lambda x, t: pointwise(lambda x, t: reference()(x, t), x, t),
    )


@cache
def reference(points: int = 384, steps: int = 4000):
    """Return the solution that starts from a cosine, by Fourier series and ETDRK4; its relative L2 error is 7e-9."""
    return etdrk4(
        lambda x: np.cos(pi * x),
        lambda k: 1j * DISPERSION * k**3,
        lambda k: -0.5j * k,
        lambda x, t, u: u**2,
        interval=(-1.0, 1.0),
        end=1.0,
        points=points,
        steps=steps,
    )
