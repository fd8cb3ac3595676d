"""Poisson's equation on a box with Dirichlet boundary values.

Source: the sine is the example of Z. Liu et al., KAN: Kolmogorov-Arnold networks, 2024, section 3.4.
"""

from math import pi, prod

import torch

from kanpde import Box, Condition, InputError, Problem, dirichlet, laplacian

COORDINATES = ("x", "y", "z", "x4", "x5", "x6", "x7", "x8", "x9", "x10")


def poisson(dim: int = 2, solution: str = "sines", k: float = 1.0) -> Problem:
    r"""$\Delta u = f$ on $[-1, 1]^d$.

    Args:
        dim: 1 to 10.
        solution: "sines", $u = \prod_i \sin k\pi x_i$; "paper", $u = \sin \pi x \sin \pi y^2$ (KAN paper, section 3.4);
            "cosines", $u = \sum_i \cos k\pi x_i$; "mixed", $u = e^{\sin(2x + y)} \cos 2xy$.
        k: wave number of the sines and cosines.
    """
    if not 1 <= dim <= len(COORDINATES):
        raise InputError(f"dim must be from 1 to {len(COORDINATES)}, got {dim}.", write={"dim": 2})
    if solution not in SOLUTIONS:
        raise InputError(f'Unknown solution "{solution}". Choices: {", ".join(SOLUTIONS)}.')
    if solution in ("paper", "mixed") and dim != 2:
        raise InputError(f'The solution "{solution}" is defined in two dimensions, got dim={dim}.', write={"dim": 2})
    exact, source = SOLUTIONS[solution]
    domain = Box(**dict.fromkeys(COORDINATES[:dim], (-1.0, 1.0)))

    def u_exact(*x):
        return exact(k, *x)

    def residual(u):
        return laplacian(u) - source(k, *u.coords)

    vanishes = solution == "paper" or (solution == "sines" and k == round(k))
    value = 0.0 if vanishes else u_exact  # constraints=hard accepts a number in any number of dimensions

    return Problem(
        domain,
        {"pde": Condition(domain.interior, residual), "boundary": dirichlet(domain.boundary, value)},
        exact=u_exact,
    )


# solutions, and source terms derived from them by hand
def _sines(k, *x):
    return prod(torch.sin(k * pi * c) for c in x)


def _sines_source(k, *x):
    return -len(x) * (k * pi) ** 2 * prod(torch.sin(k * pi * c) for c in x)


def _paper(k, x, y):
    return torch.sin(pi * x) * torch.sin(pi * y**2)


def _paper_source(k, x, y):
    square = y**2
    wave = -(pi**2) * (1 + 4 * square) * torch.sin(pi * square) + 2 * pi * torch.cos(pi * square)
    return torch.sin(pi * x) * wave


def _cosines(k, *x):
    return sum(torch.cos(k * pi * c) for c in x)


def _cosines_source(k, *x):
    return -((k * pi) ** 2) * sum(torch.cos(k * pi * c) for c in x)


def _mixed(k, x, y):
    return torch.exp(torch.sin(2 * x + y)) * torch.cos(2 * x * y)


def _mixed_source(k, x, y):
    r"""With $a = e^{\sin(2x+y)}$ and $b = \cos 2xy$: $b \Delta a + 2 \nabla a \cdot \nabla b + a \Delta b$."""
    slope, bend = torch.cos(2 * x + y), torch.sin(2 * x + y)
    wave, slip = torch.cos(2 * x * y), torch.sin(2 * x * y)
    return torch.exp(bend) * (5 * (slope**2 - bend) * wave - 4 * slope * (2 * y + x) * slip - 4 * (x**2 + y**2) * wave)


SOLUTIONS = {
    "sines": (_sines, _sines_source),
    "paper": (_paper, _paper_source),
    "cosines": (_cosines, _cosines_source),
    "mixed": (_mixed, _mixed_source),
}
