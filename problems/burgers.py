"""Burgers' equation: a sine wave that steepens into a thin front.

Source: C. Basdevant et al., Spectral and finite difference solutions of the Burgers equation, Comput. Fluids 14
(1986) 23-41.
"""

from math import ceil, pi, sqrt

import torch

from kanpde import Box, Condition, InputError, Problem, diff, dirichlet, initial, pointwise

SPACING = 0.1  # of the nodes of `cole_hopf`


def burgers(nu: float = 0.01 / pi) -> Problem:
    r"""$u_t + u u_x = \nu u_{xx}$ on $[-1, 1] \times [0, 1]$ with $u = -\sin \pi x$ initially, u = 0 at both ends.

    At the default viscosity the front at x = 0 is about 0.01 wide, and steepest at t = 0.51, where
    $u_x(0, t) = -152.00516$ (C. Basdevant et al., Computers & Fluids 14, 1986). ``exact`` is `cole_hopf`.

    Args:
        nu: viscosity ν, in length² / time, at least 1e-4.
    """
    if not nu >= 1e-4:
        raise InputError(
            f"nu must be at least 1e-4, got {nu}; below, the exact solution is expensive.", write={"nu": 0.01}
        )
    domain = Box(x=(-1.0, 1.0), t=(0.0, 1.0))

    def residual(u):
        return diff(u, "t") + u * diff(u, "x") - nu * diff(u, "x", "x")

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "initial": initial(domain.at(t=0.0), lambda x, t: -torch.sin(pi * x)),
            "boundary": dirichlet(domain.boundary, 0.0),
        },
        exact=lambda x, t: pointwise(lambda x, t: cole_hopf(nu, x, t), x, t),
    )


def cole_hopf(nu: float, x, t):
    r"""Return the exact solution by quadrature, to about 1e-13 (relative L2), for t up to 1.

    $u = \int u_0(y) e^{E(z)} dz / \int e^{E(z)} dz$ with $y = x - \sqrt{4 \nu t} z$, $u_0 = -\sin \pi y$ and
    $E = -z^2 - \cos(\pi y) / (2 \pi \nu)$ (J. D. Cole, Quart. Appl. Math. 9, 1951; E. Hopf, Comm. Pure Appl. Math. 3,
    1950). The curvature of E is at most $2 (1 + \pi t)$ for every ν, so the trapezoidal rule with a fixed spacing is
    accurate to rounding. E varies by $1 / (\pi \nu)$ besides $z^2$, which gives the range of z. All weights are
    positive and are divided by the largest before they are summed, so nothing overflows or cancels.
    """
    x, t = x.double(), t.double()
    count = ceil(sqrt(1 / (pi * nu) + 40) / SPACING)
    z = SPACING * torch.arange(-count, count + 1, device=x.device, dtype=x.dtype)
    y = x[:, None] - torch.sqrt(4 * nu * t)[:, None] * z
    weight = torch.softmax(-(z**2) - torch.cos(pi * y) / (2 * pi * nu), dim=1)
    return -(weight * torch.sin(pi * y)).sum(dim=1)
