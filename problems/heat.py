"""The heat equation in space-time.

Source: the product of sines that decays, J. Fourier, Théorie analytique de la chaleur, 1822.
"""

from math import pi, prod

import torch

from kanpde import Box, Condition, InputError, Problem, diff, dirichlet, initial, laplacian

COORDINATES = ("x", "y", "z")


def heat(dim: int = 1, diffusivity: float = 0.1, end: float = 1.0) -> Problem:
    r"""$u_t = \kappa \Delta u$ on $[0, 1]^d \times [0, T]$ with $u = 0$ at the boundary; a product of sines initially.

    The solution is $u = e^{-d \pi^2 \kappa t} \prod_i \sin \pi x_i$.

    Args:
        dim: spatial dimensions, 1 to 3.
        diffusivity: κ, in length² / time.
        end: T.
    """
    if not 1 <= dim <= len(COORDINATES):
        raise InputError(f"dim must be from 1 to {len(COORDINATES)}, got {dim}.", write={"dim": 2})
    if not diffusivity > 0:
        raise InputError(
            f"diffusivity must be positive, got {diffusivity}; otherwise the problem is ill-posed.",
            write={"diffusivity": 0.1},
        )
    if not end > 0:
        raise InputError(f"end must be positive, got {end}.", write={"end": 1.0})
    domain = Box(**dict.fromkeys(COORDINATES[:dim], (0.0, 1.0)), t=(0.0, end))

    def start(*coords):
        return prod(torch.sin(pi * c) for c in coords[:-1])

    def exact(*coords):
        *x, t = coords
        return torch.exp(-dim * pi**2 * diffusivity * t) * prod(torch.sin(pi * c) for c in x)

    def residual(u):
        return diff(u, "t") - diffusivity * laplacian(u)

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "initial": initial(domain.at(t=0.0), start),
            "boundary": dirichlet(domain.boundary, 0.0),
        },
        exact=exact,
    )
