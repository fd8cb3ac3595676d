"""Eigenvalues and eigenfunctions of a circular drum.

Source: Lord Rayleigh, The Theory of Sound, 1877, chapter IX: eigenvalues are squares of zeros of Bessel functions.
"""

from math import pi

import torch
from scipy.special import jn_zeros

from kanpde import Condition, Disk, InputError, Problem, dirichlet, integral, laplacian, pointwise

MODES = ((0, "cos"), (1, "cos"), (1, "sin"), (2, "cos"), (2, "sin"))  # order of the Bessel function, kind of the angle


def drum(mode: int = 1, start: float | None = None) -> Problem:
    r"""$-\Delta u = \lambda u$ in the unit disk, u = 0 on the boundary, with λ as a trained coefficient.

    The eigenvalues are the squares of the zeros $j_n$ of the Bessel functions $J_n$: 5.7832 for n = 0, then 14.6820 for
    n = 1 and 26.3746 for n = 2, both twice. $u = J_n(j_n r) \cos n\varphi$, or with the sine, divided by its integral
    with $r^n \cos n\varphi$, which an integral condition makes 1; another one makes the integral with the other
    function of the pair 0.

    Args:
        mode: 1 to 5, in the order of the eigenvalues.
        start: of λ in training; near another eigenvalue it may lead there. By default 0.9 times the eigenvalue.
    """
    if mode not in range(1, len(MODES) + 1):
        raise InputError(f"mode must be 1 to {len(MODES)}, got {mode}.", write={"mode": 1})
    order, kind = MODES[mode - 1]
    zero = float(jn_zeros(order, 1)[0])
    domain = Disk()
    one = torch.ones((), dtype=torch.float64)
    whole = (1 + (order == 0)) * pi * float(bessel(order + 1, zero, one)) / zero  # ∫ J_n(j r) r^n cos² nφ

    def wave(x, y, kind):
        """Return $r^n \\cos n\\varphi$ or the sine."""
        if order == 0:
            return 1.0 + 0.0 * x
        even, odd = (x, y) if order == 1 else (x * x - y * y, 2 * x * y)
        return even if kind == "cos" else odd

    def exact(x, y):
        def radial(x, y):
            return bessel(order, zero, x * x + y * y)

        return pointwise(radial, x, y) * wave(x, y, kind) / whole

    def projection(kind):
        def integrand(u, p):
            x, y = u.coords
            return wave(x, y, kind) * u

        return integrand

    twin = {"twin": integral(domain.interior, projection("sin" if kind == "cos" else "cos"), 0.0)} if order else {}
    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, lambda u, p: laplacian(u) + p["lam"] * u),
            "boundary": dirichlet(domain.boundary),
            "norm": integral(domain.interior, projection(kind), 1.0),
            **twin,
        },
        parameters={"lam": 0.9 * zero**2 if start is None else start},
        exact=exact,
    )


def bessel(order: int, zero: float, squares: torch.Tensor) -> torch.Tensor:
    r"""Return $J_n(j r) / r^n$ by its power series in r²."""
    term = torch.full_like(squares, (zero / 2) ** order)
    for k in range(1, order + 1):
        term = term / k
    total = term
    for k in range(1, 30):
        term = term * (-(zero**2) / 4 * squares) / (k * (k + order))
        total = total + term
    return total
