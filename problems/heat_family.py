r"""Heat equation $u_t = \nu u_{xx}$ on $[0, 1]$ for all diffusivities from 0.05 to 1 at once, with

$$u(x, t; \nu) = e^{-\pi^2 \nu t} \sin \pi x + \tfrac12 e^{-4 \pi^2 \nu t} \sin 2 \pi x.$$

The diffusivity is a coordinate of the network, and a parameter of a family: not space, and without boundary values.
(L. C. Evans, Partial Differential Equations, 2010, section 2.3; separation of variables.)
"""

from math import pi

from torch import exp, sin

from kanpde import Box, Condition, Problem, diff, dirichlet, initial, laplacian


def heat_family(slowest: float = 0.05, fastest: float = 1.0, duration: float = 1.0) -> Problem:
    """Return the problem for diffusivities from ``slowest`` to ``fastest``."""
    domain = Box(x=(0.0, 1.0), t=(0.0, duration), nu=(slowest, fastest), family=["nu"])

    def exact(x, t, nu):
        return exp(-(pi**2) * nu * t) * sin(pi * x) + 0.5 * exp(-4 * pi**2 * nu * t) * sin(2 * pi * x)

    def heat(u):
        _, _, nu = u.coords
        return diff(u, "t") - nu * laplacian(u)

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, heat),
            "boundary": dirichlet(domain.boundary),
            "initial": initial(domain.at(t=0.0), lambda x, t, nu: sin(pi * x) + 0.5 * sin(2 * pi * x)),
        },
        exact=exact,
    )
