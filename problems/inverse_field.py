"""A conductivity that varies in the plane, from values of the potential.

Source: manufactured; the identification of a conductivity as in G. R. Richter, An inverse problem for the steady
state diffusion equation, SIAM J. Appl. Math. 41 (1981) 210-221.
"""

from math import inf, pi

import numpy as np
from torch import cos, sin

from kanpde import Box, Condition, InputError, Problem, dirichlet, divergence, gradient
from kanpde import data as measured


def inverse_field(
    data: str | None = None,
    errors: str | float | None = None,
    validation: float = 0.0,
    points: int = 40,
    noise: float = 0.0,
    seed: int = 0,
) -> Problem:
    r"""$-\nabla \cdot (a \nabla u) = f$ on [0, 1]² with u measured, and the field a known at x = 0 only.

    For a the equation is one of transport, $\nabla u \cdot \nabla a + a \Delta u = -f$, along the lines of steepest
    ascent of u. These enter at x = 0, and $|\nabla u| \ge 1$, so that a is determined. Without data they are values
    of $u = x + x^2 / 10 + \cos \pi y / 10$ on a grid, with $a = 1 + y / 5 + 2/5 \sin \pi x \cos \pi y$ (G. Richter, An
    inverse problem for the steady state diffusion equation, 1981).

    Args:
        data: a file with the columns x, y and u.
        errors: the standard error of all u in the file, or its column of standard errors.
        validation: part of the rows that is kept back; of all steps that with the least residuals there is kept.
        points: number of samples along each axis.
        noise: standard deviation of their errors; 0 for none.
        seed: of the errors.
    """
    if data is None and errors is not None:
        raise InputError("Samples have the standard error `noise`; errors are those of data.", write={"noise": 0.01})
    if not (points >= 2 and 0 <= noise < inf):
        raise InputError(
            f"Samples need two points along each axis and noise >= 0, got {points} and {noise:g}.",
            write={"points": 40, "noise": 0.01},
        )
    domain = Box(x=(0.0, 1.0), y=(0.0, 1.0))

    def exact(x, y):
        u = x + 0.1 * x**2 + 0.1 * cos(pi * y)
        return u, 1.0 + 0.2 * y + 0.4 * sin(pi * x) * cos(pi * y)

    def source(x, y):
        ux, uy, laplacian = 1.0 + 0.2 * x, -0.1 * pi * sin(pi * y), 0.2 - 0.1 * pi**2 * cos(pi * y)
        ax, ay = 0.4 * pi * cos(pi * x) * cos(pi * y), 0.2 - 0.4 * pi * sin(pi * x) * sin(pi * y)
        return -(ax * ux + ay * uy + exact(x, y)[1] * laplacian)

    def residual(u, a):
        return divergence(a * gradient(u)) + source(*u.coords)

    x, y = (each.ravel() for each in np.meshgrid(*2 * [np.linspace(0.0, 1.0, points)], indexing="ij"))
    errors_of_samples = noise * np.random.default_rng(seed).normal(size=x.size)
    samples = {"x": x, "y": y, "u": x + 0.1 * x**2 + 0.1 * np.cos(pi * y) + errors_of_samples}
    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "inflow": dirichlet(domain.face("x", 0), lambda x, y: 1.0 + 0.2 * y, unknown="a"),
            "data": measured(
                domain, data or samples, "u", errors=errors if data else noise or None, validation=validation, seed=seed
            ),
        },
        unknowns=("u", "a"),
        exact=None if data else exact,
    )
