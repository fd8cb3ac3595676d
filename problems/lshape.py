"""Poisson's equation on an L, whose re-entrant corner makes derivatives infinite.

Source: W. F. Mitchell, A collection of 2D elliptic problems for testing adaptive grid refinement algorithms, Appl.
Math. Comput. 220 (2013), section 2.2.
"""

from math import pi

import torch

from kanpde import Condition, Corner, InputError, Polygon, Problem, dirichlet, laplacian, pointwise

VERTICES = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (0.0, -1.0))
CORNER = (Corner(at=(0.0, 0.0)),)
OPTIONS = {"added": {"singular": CORNER}, "input": {"features": CORNER}, "none": {}}


def lshape(factor: float = 1.0, corner: str = "added") -> Problem:
    r"""$\Delta u = f$ on $[-1, 1]^2$ without the quadrant x > 0, y < 0, with u given on the boundary.

    $u = c\, r^{2/3} \sin \tfrac{2}{3}\theta + e^x \sin 2y$ with polar coordinates around the corner (0, 0), θ = 0 on
    the side y = 0; $f = -3 e^x \sin 2y$. The singular function alone is a standard test of mesh refinement
    (W. F. Mitchell, Appl. Math. Comput. 220, 2013).

    Args:
        factor: c, the intensity factor.
        corner: "added", the singular function is added to the network with a trained factor, which should be c;
            "input", it is an input of the network; "none", the network alone.
    """
    if corner not in OPTIONS:
        raise InputError(f'Unknown corner "{corner}". Choices: {", ".join(OPTIONS)}.', write={"corner": "added"})
    domain = Polygon(VERTICES)

    def exact(x, y):
        return factor * pointwise(singular, x, y) + torch.exp(x) * torch.sin(2 * y)

    def residual(u):
        x, y = u.coords
        return laplacian(u) + 3 * torch.exp(x) * torch.sin(2 * y)

    return Problem(
        domain,
        {"pde": Condition(domain.interior, residual), "boundary": dirichlet(domain.boundary, exact)},
        exact=exact,
        **OPTIONS[corner],
    )


def singular(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    r"""$r^{2/3} \sin \tfrac{2}{3}\theta$ with $-\pi/4 < \theta < 7\pi/4$, which jumps outside the domain only."""
    angle = torch.atan2(y, x)
    angle = torch.where(angle < -pi / 4, angle + 2 * pi, angle)
    return torch.hypot(x, y) ** (2 / 3) * torch.sin(2 / 3 * angle)
