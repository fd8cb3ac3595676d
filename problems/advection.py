"""Advection of a sine wave at a high speed.

Source: S. Krishnapriyan et al., Characterizing possible failure modes in physics-informed neural networks, NeurIPS
2021, section 4 (β = 30).
"""

from math import pi

import torch

from kanpde import Box, Condition, Problem, diff, initial


def advection(c: float = 30.0) -> Problem:
    r"""$u_t + c u_x = 0$, periodic on $[0, 2\pi] \times [0, 1]$, with $u = \sin x$ initially.

    The solution is $u = \sin(x - ct)$. It is hard for networks at c = 30 (A. S. Krishnapriyan et al., NeurIPS 2021) and
    harder at c = 80 (S. Wang, S. Sankaran, H. Wang and P. Perdikaris, arXiv:2308.08468).

    Args:
        c: speed, in length / time.
    """
    domain = Box(x=(0.0, 2 * pi), t=(0.0, 1.0), periodic=["x"])
    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, lambda u: diff(u, "t") + c * diff(u, "x")),
            "initial": initial(domain.at(t=0.0), lambda x, t: torch.sin(x)),
        },
        exact=lambda x, t: torch.sin(x - c * t),
    )
