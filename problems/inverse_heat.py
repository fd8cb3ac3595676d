"""The diffusivity of a rod from temperatures that were measured inside it.

Source: made for this package: the decay of a sine, with random errors.
"""

from math import inf, pi

import numpy as np
from torch import exp, sin

from kanpde import Box, Coefficient, Condition, InputError, Problem, diff, dirichlet, initial, laplacian
from kanpde import data as measured


def inverse_heat(
    data: str | None = None,
    errors: str | float | None = None,
    first: float = 1.0,
    diffusivity: float = 0.1,
    rows: int = 200,
    noise: float = 0.01,
    seed: int = 0,
) -> Problem:
    r"""$u_t = \kappa \Delta u$ for x, t in [0, 1] with κ unknown, $u = 0$ at the ends and $u = \sin \pi x$ initially.

    Without data they are samples of the solution $e^{-\pi^2 \kappa t} \sin \pi x$ at random points, with normal errors.

    Args:
        data: a file with the columns x, t and u.
        errors: the standard error of all u in the file, or its column of standard errors.
        first: the value of κ with which training begins.
        diffusivity: the true κ of the samples, in length² / time.
        rows: number of samples.
        noise: standard deviation of their errors, relative to the largest initial value, which is 1; 0 for none.
        seed: of points and errors.
    """
    if data is None and errors is not None:
        raise InputError(
            "The samples have the standard error `noise`; errors are those of data.", write={"noise": 0.01}
        )
    if not (diffusivity > 0 and rows >= 2 and 0 <= noise < inf):
        raise InputError(
            f"Samples need a positive diffusivity, two rows and noise >= 0, got {diffusivity:g}, {rows} and {noise:g}.",
            write={"diffusivity": 0.1, "rows": 200, "noise": 0.01},
        )
    domain = Box(x=(0.0, 1.0), t=(0.0, 1.0))

    def residual(u, p):
        return diff(u, "t") - p["k"] * laplacian(u)

    def exact(x, t):
        return exp(-(pi**2) * diffusivity * t) * sin(pi * x)

    generator = np.random.default_rng(seed)
    x, t = generator.uniform(0.0, 1.0, (2, rows))
    values = np.exp(-(pi**2) * diffusivity * t) * np.sin(pi * x) + noise * generator.normal(size=rows)
    samples = {"x": x, "t": t, "u": values}
    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "initial": initial(domain.at(t=0.0), lambda x, t: sin(pi * x)),
            "ends": dirichlet(domain.boundary, 0.0),
            "data": measured(domain, data or samples, "u", errors=errors if data else noise or None),
        },
        parameters={"k": Coefficient(first, lower=0.0)},
        exact=None if data else exact,
    )
