"""Van der Pol's equation, whose oscillation has fast and slow parts.

Source: B. van der Pol, On relaxation-oscillations, Phil. Mag. 2 (1926) 978-992.
"""

from functools import cache

from kanpde import Box, Condition, InputError, Problem, diff, initial, pointwise, taylor


def van_der_pol(mu: float = 10.0, start: float = 2.0, rate: float = 0.0, end: float = 19.08) -> Problem:
    r"""$u'' - \mu (1 - u^2)\, u' + u = 0$ on $[0, T]$; for $\mu = 10$ the period is 19.08.

    B. van der Pol, On "relaxation-oscillations", Philosophical Magazine 2, 1926. Fast parts take a time of about 1/μ.
    ``exact`` is the Taylor series of `reference`.

    Args:
        mu: μ.
        start, rate: u and u' at t = 0.
        end: T.
    """
    if not end > 0:
        raise InputError(f"end must be positive, got {end}.", write={"end": 19.08})
    domain = Box(t=(0.0, end))

    def residual(u):
        return diff(u, "t", "t") - mu * (1 - u**2) * diff(u, "t") + u

    def exact(t):
        solution = reference(mu, start, rate, end)
        return pointwise(lambda t: solution(t)[:, 0], t)

    return Problem(
        domain,
        {
            "equation": Condition(domain.interior, residual),
            "start": initial(domain.at(t=0.0), start),
            "rate": initial(domain.at(t=0.0), rate, order=1),
        },
        exact=exact,
    )


@cache
def reference(mu: float, start: float, rate: float, end: float):
    """Return u and u' by Taylor series of order 30."""

    def right(t, u, v):
        return v, (v - u * u * v) * mu - u

    return taylor(right, (start, rate), (0.0, end))
