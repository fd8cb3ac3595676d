"""The Lorenz equations, three ordinary differential equations with a chaotic solution.

Source: E. N. Lorenz, Deterministic nonperiodic flow, J. Atmos. Sci. 20 (1963) 130-141.
"""

from functools import cache

from kanpde import Box, Condition, InputError, Problem, diff, initial, pointwise, taylor

UNKNOWNS = ("x", "y", "z")


def lorenz(
    sigma: float = 10.0,
    rho: float = 28.0,
    beta: float = 8 / 3,
    x0: float = 1.0,
    y0: float = 1.0,
    z0: float = 1.0,
    end: float = 5.0,
) -> Problem:
    r"""$x' = \sigma (y - x)$, $y' = x (\rho - z) - y$, $z' = x y - \beta z$ on $[0, T]$.

    E. N. Lorenz, Deterministic nonperiodic flow, J. Atmos. Sci. 20, 1963. Nearby solutions part like $e^{0.9 t}$, for a
    while faster. ``exact`` is the Taylor series of `reference`, whose relative error at t = 5 is below 1e-12.

    Args:
        sigma, rho, beta: σ, ρ, β.
        x0, y0, z0: x, y and z at t = 0.
        end: T.
    """
    if not end > 0:
        raise InputError(f"end must be positive, got {end}.", write={"end": 5.0})
    domain, start = Box(t=(0.0, end)), (x0, y0, z0)

    def residual(x, y, z):
        return (
            diff(x, "t") - sigma * (y - x),
            diff(y, "t") - x * (rho - z) + y,
            diff(z, "t") - x * y + beta * z,
        )

    def exact(t):
        solution = reference(sigma, rho, beta, start, end)
        return tuple(pointwise(lambda t, i=i: solution(t)[:, i], t) for i in range(3))

    conditions = {"equations": Condition(domain.interior, residual)}
    for name, value in zip(UNKNOWNS, start, strict=True):
        conditions[f"start of {name}"] = initial(domain.at(t=0.0), value, name)
    return Problem(domain, conditions, UNKNOWNS, exact=exact)


@cache
def reference(sigma: float, rho: float, beta: float, start: tuple, end: float):
    """Return the solution by Taylor series of order 30."""

    def right(t, x, y, z):
        return (y - x) * sigma, rho * x - x * z - y, x * y - beta * z

    return taylor(right, start, (0.0, end))
