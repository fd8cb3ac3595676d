"""Decaying vortices of Taylor and Green: Navier-Stokes equations in the plane and time.

Source: G. I. Taylor, A. E. Green, Mechanism of the production of small eddies from large ones, Proc. R. Soc. Lond.
A 158 (1937) 499-521; the plane vortices.
"""

from math import pi

import torch
from torch import cos, sin

from kanpde import (
    Box,
    Condition,
    InputError,
    Problem,
    dirichlet,
    divergence,
    gradient,
    initial,
    laplacian,
    material_derivative,
)


def taylor_green(viscosity: float = 0.1, end: float = 1.0) -> Problem:
    r"""$v_t + (v \cdot \nabla) v + \nabla p = \nu \Delta v$, $\nabla \cdot v = 0$ on $[0, \pi]^2 \times [0, T]$.

    The solution is $v = (\cos x \sin y, -\sin x \cos y)\, e^{-2 \nu t}$, $p = -\frac14 (\cos 2x + \cos 2y)\,
    e^{-4 \nu t}$ (G. I. Taylor and A. E. Green, Proc. R. Soc. A 158, 1937, in two dimensions). The velocity is given
    on the boundary and initially; the pressure, which is determined up to a function of time, on the line
    x = y = π/2, where it is $\frac12 e^{-4 \nu t}$.

    Args:
        viscosity: ν, in length² / time.
        end: T.
    """
    if not (viscosity > 0 and end > 0):
        raise InputError(
            f"viscosity and end must be positive, got {viscosity} and {end}.", write={"viscosity": 0.1, "end": 1.0}
        )
    domain = Box(x=(0.0, pi), y=(0.0, pi), t=(0.0, end))

    def velocity(x, y, t):
        decay = torch.exp(-2 * viscosity * t)
        return cos(x) * sin(y) * decay, -sin(x) * cos(y) * decay

    def pressure(x, y, t):
        return -(cos(2 * x) + cos(2 * y)) / 4 * torch.exp(-4 * viscosity * t)

    def flow(v, p):
        return material_derivative(v, v) + gradient(p) - viscosity * laplacian(v), divergence(v)

    conditions = {
        "flow": Condition(domain.interior, flow),
        "initial": initial(domain.at(t=0.0), velocity),
        "boundary": dirichlet(domain.boundary, velocity),
        "pressure": dirichlet(domain.at(x=pi / 2, y=pi / 2), lambda x, y, t: 0.5 * torch.exp(-4 * viscosity * t), "p"),
    }
    return Problem(domain, conditions, ("velocity:2", "p"), exact=lambda *c: (*velocity(*c), pressure(*c)))
