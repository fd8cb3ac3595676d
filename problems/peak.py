"""Poisson's equation with a narrow peak on a smooth background.

Source: W. F. Mitchell, A collection of 2D elliptic problems for testing adaptive grid refinement algorithms, Appl.
Math. Comput. 220 (2013), section 2.4.
"""

from math import pi

from torch import exp, sin

from kanpde import Box, Condition, InputError, Problem, dirichlet, laplacian


def peak(sharpness: float = 1000.0) -> Problem:
    r"""$-\Delta u = f$ on $[-1, 1]^2$ with $u = e^{-\alpha r^2} + \sin \pi x \sin \pi y$, $r^2 = x^2 + y^2$.

    The boundary values are given, and $f = 4 \alpha (1 - \alpha r^2) e^{-\alpha r^2} + 2 \pi^2 \sin \pi x \sin \pi y$.
    The peak alone is a standard test of mesh refinement (W. F. Mitchell, Appl. Math. Comput. 220, 2013).

    Args:
        sharpness: α, in 1 / length²; the peak's half width is $0.83 / \sqrt \alpha$.
    """
    if not sharpness > 0:
        raise InputError(f"sharpness must be positive, got {sharpness}.", write={"sharpness": 1000.0})
    domain = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))

    def exact(x, y):
        return exp(-sharpness * (x**2 + y**2)) + sin(pi * x) * sin(pi * y)

    def residual(u):
        x, y = u.coords
        square = x**2 + y**2
        source = 4 * sharpness * (1 - sharpness * square) * exp(-sharpness * square)
        return -laplacian(u) - source - 2 * pi**2 * sin(pi * x) * sin(pi * y)

    return Problem(
        domain,
        {"pde": Condition(domain.interior, residual), "boundary": dirichlet(domain.boundary, exact)},
        exact=exact,
    )
