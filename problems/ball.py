"""Poisson's equation in a ball with an eccentric inner ball cut out.

Source: manufactured.
"""

from torch import cos, exp, sin

from kanpde import Ball, Condition, Problem, dirichlet, laplacian, neumann


def ball(radius: float = 0.4, x: float = 0.3) -> Problem:
    r"""$\Delta u = f$ between two spheres, with $u = e^{x} \sin(y + 2z)$ given outside and its flux inside.

    Args:
        radius: of the inner ball; that of the outer one is 1.
        x: first coordinate of the inner ball's centre; the others are 0.1 and -0.2.
    """
    centre = (x, 0.1, -0.2)
    domain = Ball(name="outer") - Ball(centre, radius, name="inner")

    def exact(x, y, z):
        return exp(x) * sin(y + 2 * z)

    def residual(u):
        x, y, z = u.coords
        return laplacian(u) + 4 * exp(x) * sin(y + 2 * z)

    def flux(x, y, z):
        # the outward normal of the domain points to the centre of the inner ball
        normal = [(c - value) / radius for c, value in zip(centre, (x, y, z), strict=True)]
        wave, slope = sin(y + 2 * z), cos(y + 2 * z)
        return exp(x) * (wave * normal[0] + slope * normal[1] + 2 * slope * normal[2])

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "outer": dirichlet(domain.part("outer"), exact),
            "inner": neumann(domain.part("inner"), flux),
        },
        exact=exact,
    )
