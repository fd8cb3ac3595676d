"""The Helmholtz equation on a square.

Source: S. Wang, Y. Teng, P. Perdikaris, Understanding and mitigating gradient flow pathologies in physics-informed
neural networks, SIAM J. Sci. Comput. 43 (2021), section 2.5.
"""

from math import pi

from torch import sin

from kanpde import Box, Condition, Problem, dirichlet, laplacian


def helmholtz(a1: float = 1.0, a2: float = 4.0, k: float = 1.0) -> Problem:
    r"""$\Delta u + k^2 u = f$ on $[-1, 1]^2$ with $u = \sin a_1\pi x \, \sin a_2\pi y$.

    Args:
        a1: half waves per unit length in x.
        a2: half waves per unit length in y.
        k: wave number.
    """
    domain = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))

    def exact(x, y):
        return sin(a1 * pi * x) * sin(a2 * pi * y)

    def residual(u):
        x, y = u.coords
        source = (k**2 - (a1**2 + a2**2) * pi**2) * sin(a1 * pi * x) * sin(a2 * pi * y)
        return laplacian(u) + k**2 * u - source

    return Problem(
        domain,
        {"pde": Condition(domain.interior, residual), "boundary": dirichlet(domain.boundary, exact)},
        exact=exact,
    )
