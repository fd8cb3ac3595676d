"""The heat equation on a disk with a hole.

Source: manufactured.
"""

import torch

from kanpde import Condition, Disk, InputError, Problem, diff, dirichlet, initial, laplacian, neumann

CENTRE, RADIUS = (0.2, 0.1), 0.3


def cooling(diffusivity: float = 0.2, end: float = 1.0) -> Problem:
    r"""$u_t = \kappa \Delta u$ on the unit disk with a hole, for $0 < t < T$; u is given outside, its flux at the hole.

    The solution is $u = e^{-5 \kappa t} \sin(2x + \tfrac12) \cos y$.

    Args:
        diffusivity: κ, in length² / time.
        end: T.
    """
    for name, value in (("diffusivity", diffusivity), ("end", end)):
        if not value > 0:
            raise InputError(f"{name} must be positive, got {value}.", write={name: 0.2})
    domain = (Disk(name="outer") - Disk(CENTRE, RADIUS, name="hole")).over(t=(0.0, end))

    def exact(x, y, t):
        return torch.exp(-5 * diffusivity * t) * torch.sin(2 * x + 0.5) * torch.cos(y)

    def flux(x, y, t):
        """∂u/∂n at the hole, where the outward normal is (centre - x) / radius."""
        along_x = 2 * torch.cos(2 * x + 0.5) * torch.cos(y)
        along_y = -torch.sin(2 * x + 0.5) * torch.sin(y)
        slope = (along_x * (CENTRE[0] - x) + along_y * (CENTRE[1] - y)) / RADIUS
        return torch.exp(-5 * diffusivity * t) * slope

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, lambda u: diff(u, "t") - diffusivity * laplacian(u)),
            "initial": initial(domain.at(t=0.0), exact),
            "outer": dirichlet(domain.part("outer"), exact),
            "hole": neumann(domain.part("hole"), flux),
        },
        exact=exact,
    )
