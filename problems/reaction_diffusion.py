"""Two species that react and diffuse: the equations of Gray and Scott, with a manufactured solution.

Source: manufactured.
"""

from math import pi

from torch import cos, exp

from kanpde import Box, Condition, InputError, Problem, diff, initial, laplacian, neumann


def reaction_diffusion(feed: float = 0.4, kill: float = 0.2, diffusion: tuple[float, float] = (0.1, 0.05)) -> Problem:
    r"""$a_t = D_a \Delta a - a b^2 + F (1 - a) + f$, $b_t = D_b \Delta b + a b^2 - (F + k) b + g$ on $[0, 1]^3$.

    x, y and t are from 0 to 1. No species leaves the square, ∂a/∂n = ∂b/∂n = 0 (P. Gray and S. K. Scott, Chem. Eng.
    Sci. 39, 1984). The sources f and g are such that $a = 1 + \frac12 e^{-t} \cos \pi x \cos \pi y$ and
    $b = \frac12 + \frac14 e^{-2t} \cos 2\pi x$.

    Args:
        feed: F, the rate at which a is supplied and both are drained.
        kill: k, the rate at which b decays.
        diffusion: the diffusivities of a and b.
    """
    of_a, of_b = diffusion
    if not (of_a > 0 and of_b > 0):
        raise InputError(f"The diffusivities must be positive, got {diffusion}.", write={"diffusion": (0.1, 0.05)})
    domain = Box(x=(0.0, 1.0), y=(0.0, 1.0), t=(0.0, 1.0))

    def exact(x, y, t):
        return 1 + exp(-t) * cos(pi * x) * cos(pi * y) / 2, 0.5 + exp(-2 * t) * cos(2 * pi * x) / 4

    def reaction(a, b):
        x, y, t = a.coords
        p, q = exp(-t) * cos(pi * x) * cos(pi * y) / 2, exp(-2 * t) * cos(2 * pi * x) / 4
        eaten = (1 + p) * (0.5 + q) ** 2
        f = (2 * pi**2 * of_a - 1 + feed) * p + eaten
        g = (4 * pi**2 * of_b - 2 + feed + kill) * q + (feed + kill) / 2 - eaten
        return (
            diff(a, "t") - of_a * laplacian(a) + a * b**2 - feed * (1 - a) - f,
            diff(b, "t") - of_b * laplacian(b) - a * b**2 + (feed + kill) * b - g,
        )

    def start(k):
        return lambda x, y, t: exact(x, y, 0 * t)[k]

    conditions = {
        "reaction": Condition(domain.interior, reaction),
        "initial a": initial(domain.at(t=0.0), start(0), "a"),
        "initial b": initial(domain.at(t=0.0), start(1), "b"),
        "walls a": neumann(domain.boundary, 0.0, "a"),
        "walls b": neumann(domain.boundary, 0.0, "b"),
    }
    return Problem(domain, conditions, ("a", "b"), exact=exact)
