"""The wave equation with a narrow pulse that travels round a periodic interval.

Source: d'Alembert's solution of 1747, with a narrow pulse.
"""

import torch

from kanpde import Box, Condition, InputError, Problem, diff, initial

SHARPNESS = 100.0  # in 1 / length²


def wave(c: float = 1.0) -> Problem:
    r"""$u_{tt} = c^2 u_{xx}$, periodic on $[-1, 1] \times [0, 2]$: the pulse $e^{-100 (x - ct)^2}$ and its images.

    At c = 1 the pulse goes round once.

    Args:
        c: speed, in length / time.
    """
    if not c > 0:
        raise InputError(f"c must be positive, got {c}.", write={"c": 1.0})
    domain = Box(x=(-1.0, 1.0), t=(0.0, 2.0), periodic=["x"])

    def exact(x, t):
        return torch.exp(-SHARPNESS * _wrapped(x - c * t) ** 2)

    def rate(x, t):
        return 2 * SHARPNESS * c * x * torch.exp(-SHARPNESS * x**2)

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, lambda u: diff(u, "t", "t") - c**2 * diff(u, "x", "x")),
            "initial": initial(domain.at(t=0.0), lambda x, t: torch.exp(-SHARPNESS * x**2)),
            "rate": initial(domain.at(t=0.0), rate, order=1),
        },
        exact=exact,
    )


def _wrapped(y):
    """Return the distance from the nearest pulse; the others, at least 1 away, contribute exp(-100) = 4e-44 at most."""
    return y - 2 * torch.round(y / 2)
