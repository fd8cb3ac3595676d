"""The heat equation for a range of diffusivities at once.

Source: L. C. Evans, Partial Differential Equations, 2nd edition, American Mathematical Society, 2010, section 4.1
(separation of variables).
"""

from math import pi

from torch import exp, sin

from kanpde import Box, Condition, InputError, Problem, diff, dirichlet, initial, laplacian


def heat_family(
    slowest: float = 0.05, fastest: float = 1.0, end: float = 1.0, modes: int = 2, scaled_time: bool = True
) -> Problem:
    r"""$u_t = \nu u_{xx}$ on $[0, 1] \times [0, T]$ for all diffusivities ν in a range, with u = 0 at both ends.

    ν is a parameter of a family: a coordinate of the network that is no part of space. The solution is
    $u = \sum_{k=1}^{m} \frac1k e^{-k^2 \pi^2 \nu t} \sin k \pi x$.

    Args:
        slowest, fastest: the range of ν, in length² / time.
        end: T.
        modes: m.
        scaled_time: whether ν t, the time in units of diffusion, is an input of the network besides the coordinates.
    """
    if not 0 < slowest < fastest:
        raise InputError(
            f"The diffusivities need 0 < slowest < fastest, got {slowest} and {fastest}.",
            write={"slowest": 0.05, "fastest": 1.0},
        )
    if not end > 0:
        raise InputError(f"end must be positive, got {end}.", write={"end": 1.0})
    if not isinstance(modes, int) or modes < 1:
        raise InputError(f"modes must be a whole number of at least 1, got {modes}.", write={"modes": 2})
    domain = Box(x=(0.0, 1.0), t=(0.0, end), nu=(slowest, fastest), family=["nu"])
    numbers = range(1, modes + 1)

    def exact(x, t, nu):
        return sum(exp(-((k * pi) ** 2) * nu * t) * sin(k * pi * x) / k for k in numbers)

    def start(x, t, nu):
        return sum(sin(k * pi * x) / k for k in numbers)

    def residual(u):
        _, _, nu = u.coords
        return diff(u, "t") - nu * laplacian(u)

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "initial": initial(domain.at(t=0.0), start),
            "boundary": dirichlet(domain.boundary, 0.0),
        },
        exact=exact,
        features=(lambda x, t, nu: nu * t,) if scaled_time else (),
    )
