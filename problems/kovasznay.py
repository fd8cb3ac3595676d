"""Kovasznay's laminar flow behind a grid: stationary Navier-Stokes equations with a known solution.

Source: L. I. G. Kovasznay, Laminar flow behind a two-dimensional grid, Proc. Camb. Phil. Soc. 44 (1948) 58-62.
"""

from math import pi, sqrt

import torch

from kanpde import (
    Box,
    Condition,
    InputError,
    Problem,
    dirichlet,
    divergence,
    gradient,
    laplacian,
    material_derivative,
)


def kovasznay(reynolds: float = 40.0) -> Problem:
    r"""$(v \cdot \nabla) v + \nabla p = \Delta v / Re$, $\nabla \cdot v = 0$ on $[-1/2, 1] \times [-1/2, 3/2]$.

    The velocity is given on the boundary, and the pressure, which is determined up to a constant, in one point. With
    $\lambda = Re/2 - \sqrt{Re^2/4 + 4\pi^2}$ the solution is $v_x = 1 - e^{\lambda x} \cos 2\pi y$,
    $v_y = \frac{\lambda}{2\pi} e^{\lambda x} \sin 2\pi y$, $p = \frac12 (1 - e^{2 \lambda x})$ (L. I. G. Kovasznay,
    Proc. Camb. Phil. Soc. 44, 1948).

    Args:
        reynolds: Re.
    """
    if not reynolds > 0:
        raise InputError(f"reynolds must be positive, got {reynolds}.", write={"reynolds": 40.0})
    domain = Box(x=(-0.5, 1.0), y=(-0.5, 1.5))
    rate = reynolds / 2 - sqrt(reynolds**2 / 4 + 4 * pi**2)

    def exact(x, y):
        grown = torch.exp(rate * x)
        return (*velocity(x, y), (1 - grown**2) / 2)

    def velocity(x, y):
        grown = torch.exp(rate * x)
        return 1 - grown * torch.cos(2 * pi * y), rate / (2 * pi) * grown * torch.sin(2 * pi * y)

    def flow(v, p):
        return material_derivative(v, v) + gradient(p) - laplacian(v) / reynolds, divergence(v)

    conditions = {
        "flow": Condition(domain.interior, flow),
        "boundary": dirichlet(domain.boundary, velocity),
        "pressure": dirichlet(domain.at(x=0.0, y=0.5), 0.0, "p"),
    }
    return Problem(domain, conditions, ("velocity:2", "p"), exact=exact)
