"""Poisson's equation on an eccentric annulus with Dirichlet boundary values.

Source: manufactured.
"""

import torch

from kanpde import Condition, Disk, Problem, dirichlet, laplacian


def annulus(centre: tuple[float, float] = (0.2, 0.1), radius: float = 0.3) -> Problem:
    r"""$\Delta u = f$ on the unit disk without a smaller disk, with $u = e^{\sin(2x + y)} \cos 2xy$.

    Args:
        centre: centre of the hole.
        radius: radius of the hole.
    """
    domain = Disk(name="outer") - Disk(centre, radius, name="hole")

    def residual(u):
        return laplacian(u) - source(*u.coords)

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "outer": dirichlet(domain.part("outer"), exact),
            "hole": dirichlet(domain.part("hole"), exact),
        },
        exact=exact,
    )


def exact(x, y):
    """Return the solution."""
    return torch.exp(torch.sin(2 * x + y)) * torch.cos(2 * x * y)


def source(x, y):
    r"""With $a = e^{\sin(2x+y)}$ and $b = \cos 2xy$: $b \Delta a + 2 \nabla a \cdot \nabla b + a \Delta b$."""
    slope, bend = torch.cos(2 * x + y), torch.sin(2 * x + y)
    wave, slip = torch.cos(2 * x * y), torch.sin(2 * x * y)
    return torch.exp(bend) * (5 * (slope**2 - bend) * wave - 4 * slope * (2 * y + x) * slip - 4 * (x**2 + y**2) * wave)
