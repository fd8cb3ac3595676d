"""Kovasznay's laminar flow behind a grid: stationary Navier-Stokes equations with a known solution."""

from math import pi, sqrt

import torch

from kanpde import Box, Condition, InputError, Problem, diff, dirichlet, laplacian


def kovasznay(reynolds: float = 40.0) -> Problem:
    r"""$(v \cdot \nabla) v + \nabla p = \Delta v / Re$, $\nabla \cdot v = 0$ on $[-1/2, 1] \times [-1/2, 3/2]$.

    The velocity is given on the boundary, and the pressure, which is determined up to a constant, in one point. With
    $\lambda = Re/2 - \sqrt{Re^2/4 + 4\pi^2}$ the solution is $u = 1 - e^{\lambda x} \cos 2\pi y$,
    $v = \frac{\lambda}{2\pi} e^{\lambda x} \sin 2\pi y$, $p = \frac12 (1 - e^{2 \lambda x})$ (L. I. G. Kovasznay,
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
        u, v = 1 - grown * torch.cos(2 * pi * y), rate / (2 * pi) * grown * torch.sin(2 * pi * y)
        return u, v, (1 - grown**2) / 2

    def flow(u, v, p):
        return (
            u * diff(u, "x") + v * diff(u, "y") + diff(p, "x") - laplacian(u) / reynolds,
            u * diff(v, "x") + v * diff(v, "y") + diff(p, "y") - laplacian(v) / reynolds,
            diff(u, "x") + diff(v, "y"),
        )

    conditions = {
        "flow": Condition(domain.interior, flow),
        "u": dirichlet(domain.boundary, lambda x, y: exact(x, y)[0], "u"),
        "v": dirichlet(domain.boundary, lambda x, y: exact(x, y)[1], "v"),
        "pressure": dirichlet(domain.at(x=0.0, y=0.5), 0.0, "p"),
    }
    return Problem(domain, conditions, ("u", "v", "p"), exact=exact, vectors={"velocity": ("u", "v")})
