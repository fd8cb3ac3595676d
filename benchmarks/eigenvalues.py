"""Eigenvalues of several operators against exact or published ones: errors, estimates, bounds, seconds.

``python benchmarks/eigenvalues.py`` prints a line for each problem and seed; names after it choose problems.
"""

import sys
from math import pi
from time import perf_counter, process_time

import numpy as np
import torch
from accuracy import load_problem
from scipy.special import jn_zeros, jv, mathieu_a, mathieu_b

from kanpde import (
    KAN,
    Ball,
    Box,
    Condition,
    Corner,
    Disk,
    Polygon,
    Problem,
    diff,
    dirichlet,
    eigen,
    gradient,
    laplacian,
    neumann,
)

DRUM = load_problem("drum")
CHEBYSHEV = KAN([12], basis="chebyshev", grid=5, degree=7)
SQUARE, LINE, WELL, DISK = Box(x=(0, 1), y=(0, 1)), Box(x=(0, 1)), Box(x=(-8, 8)), Disk()
L = Polygon(((-1, -1), (1, -1), (1, 0), (0, 0), (0, 1), (-1, 1)))
HOLE, RADIUS = (0.2, 0.1), 0.3
HOLED = Box(x=(-1, 1), y=(-1, 1)) - Disk(HOLE, RADIUS)


def membrane(domain, ends=dirichlet, **options):
    """-Δu = λ u with fixed or free ends."""
    conditions = {
        "pde": Condition(domain.interior, lambda u, p: laplacian(u) + p["lam"] * u),
        "boundary": ends(domain.boundary),
    }
    return Problem(domain, conditions, parameters={"lam": 0.0}, **options)


def schroedinger(domain, potential):
    """-u'' + V u = λ u with u = 0 at the ends."""
    return on(
        domain,
        lambda u, p: diff(u, "x", "x") - potential(u.coords[0]) * u + p["lam"] * u,
        dirichlet(domain.boundary),
    )


def clamped(domain):
    """Δ²u = λ u with u = ∂u/∂n = 0."""
    conditions = {
        "pde": Condition(domain.interior, lambda u, p: laplacian(laplacian(u)) - p["lam"] * u),
        "boundary": dirichlet(domain.boundary),
        "slope": neumann(domain.boundary),
    }
    return Problem(domain, conditions, parameters={"lam": 0.0})


def mathieu(q):
    """-u'' + 2 q cos(2 x) u = λ u with period π."""
    circle = Box(x=(0, pi), periodic=["x"])
    residual = Condition(
        circle.interior, lambda u, p: diff(u, "x", "x") - 2 * q * torch.cos(2 * u.coords[0]) * u + p["lam"] * u
    )
    return Problem(circle, {"pde": residual}, parameters={"lam": 0.0})


def on(domain, residual, wall):
    return Problem(domain, {"pde": Condition(domain.interior, residual), "boundary": wall}, parameters={"lam": 0.0})


def inverted(k):
    """The coordinate number k of the point that the inversion in the hole's circle gives, divided by the radius."""

    def feature(x, y):
        square = (x - HOLE[0]) ** 2 + (y - HOLE[1]) ** 2
        return RADIUS * ((x, y)[k] - HOLE[k]) / square

    return feature


def inverse_of(k):
    """The coordinate number k of the inversion in the circle of radius ½ about 0."""
    return lambda x, y: 0.5 * (x, y)[k] / (x * x + y * y)


def products(first):
    return np.sort([(m * m + n * n) * pi**2 for m in range(first, 9) for n in range(first, 9)])


ZEROS = np.sort(np.concatenate([np.repeat(jn_zeros(n, 4) ** 2, 1 if n == 0 else 2) for n in range(8)]))
L_VALUES = [9.6397238440219, 15.197251926454, 19.739208802179, 29.521481114144]  # Trefethen and Betcke 2006
FINE = KAN([8], basis="chebyshev", grid=5, degree=19)
# by Chebyshev collocation of degree 400
GAUSSIAN, DOUBLE = [-3.140333969, -0.4059698148, 0.1644239903], [-16.13633072, -16.13481435, -9.126550204]
RING = Disk(name="outer") - Disk(radius=0.5, name="inner")
RING_VALUES = [39.0132884997, 40.8724533797, 40.8724533797]  # J_n(k) Y_n(k / 2) = Y_n(k) J_n(k / 2), n = 0, 1
CASES = {  # problem, count, exact values, options
    "disk": (DRUM, 3, ZEROS, {}),
    "disk, tolerance 1e-11": (DRUM, 3, ZEROS, {"tolerance": 1e-11}),
    "disk, Chebyshev KAN": (DRUM, 3, ZEROS, {"model": CHEBYSHEV}),
    "disk, ten": (DRUM, 10, ZEROS, {}),
    "square": (membrane(SQUARE), 6, products(1), {}),
    "square, free": (membrane(SQUARE, neumann), 6, products(0), {}),
    "ball": (membrane(Ball()), 4, [pi**2, *[4.493409457909064**2] * 3], {}),
    "oscillator": (
        on(WELL, lambda u, p: diff(u, "x", "x") - u.coords[0] ** 2 * u + p["lam"] * u, dirichlet(WELL.boundary)),
        6,
        2 * np.arange(6) + 1.0,
        {},
    ),
    "oscillator, Chebyshev KAN": (
        on(WELL, lambda u, p: diff(u, "x", "x") - u.coords[0] ** 2 * u + p["lam"] * u, dirichlet(WELL.boundary)),
        6,
        2 * np.arange(6) + 1.0,
        {"model": KAN([8], basis="chebyshev", grid=5, degree=19)},
    ),
    "convection": (
        on(LINE, lambda u, p: diff(u, "x", "x") - 6 * diff(u, "x") + p["lam"] * u, dirichlet(LINE.boundary)),
        4,
        (np.arange(1, 5) * pi) ** 2 + 9,
        {},
    ),
    "steklov": (
        on(
            DISK,
            lambda u, p: laplacian(u),
            Condition(DISK.boundary, lambda u, p: gradient(u).dot(u.normal) - p["lam"] * u),
        ),
        5,
        [0, 1, 1, 2, 2],
        {},
    ),
    "well -5 exp(-x²), Chebyshev KAN": (
        schroedinger(WELL, lambda x: -5 * torch.exp(-x * x)),
        3,
        GAUSSIAN,
        {"model": FINE},
    ),
    "double well, Chebyshev KAN": (
        schroedinger(Box(x=(-6, 6)), lambda x: (x * x - 4) ** 2 - 20),
        3,
        DOUBLE,
        {"model": FINE},
    ),
    "Mathieu, q = 5": (
        mathieu(5.0),
        4,
        np.sort([mathieu_a(0, 5), mathieu_a(2, 5), mathieu_b(2, 5), mathieu_b(4, 5)]),
        {},
    ),
    "disk, -Δu - 30 u": (
        on(DISK, lambda u, p: laplacian(u) + 30 * u + p["lam"] * u, dirichlet(DISK.boundary)),
        3,
        ZEROS - 30,
        {},
    ),
    "clamped disk": (clamped(DISK), 3, [3.1962206165825414**4, 4.610899879**4, 4.610899879**4], {}),
    "clamped beam": (clamped(LINE), 3, np.array([4.730040744862704, 7.853204624095838, 10.995607838001671]) ** 4, {}),
    "annulus, inverted": (membrane(RING, features=(inverse_of(0), inverse_of(1))), 3, RING_VALUES, {}),
    "L, plain": (membrane(L), 4, L_VALUES, {}),
    "L, singular functions": (membrane(L, singular=(Corner(at=(0.0, 0.0), terms=6),)), 4, L_VALUES, {}),
    "L, corner as feature": (membrane(L, features=(Corner(at=(0.0, 0.0), terms=2),)), 4, L_VALUES, {}),
    "square with hole": (membrane(HOLED), 4, None, {}),
    "square with hole, inverted": (membrane(HOLED, features=(inverted(0), inverted(1))), 4, None, {}),
}


def eigenspace_error(found):
    """The distance of the projectors on J_1(j r) cos φ and J_1(j r) sin φ, and on the second and third solution."""
    points = DISK.interior.sample("gauss", 3000)
    x, y = points.x.unbind(1)
    r, angle, root = torch.hypot(x, y), torch.atan2(y, x), points.weight.sqrt()[:, None]
    shape = torch.as_tensor(jv(1, jn_zeros(1, 1)[0] * r.numpy()))
    spaces = (
        torch.stack([shape * angle.cos(), shape * angle.sin()], dim=1),
        torch.stack([torch.as_tensor(each(x, y)) for each in found.solutions[1:3]], dim=1),
    )
    one, two = (torch.linalg.qr(root * space)[0] for space in spaces)
    return float(torch.linalg.matrix_norm(two - one @ (one.T @ two), 2))


def main(names):
    for name in names or CASES:
        problem, count, exact, options = CASES[name]
        for seed in range(3):
            begin, processor = perf_counter(), process_time()
            found = eigen(problem, count=count, seed=seed, **options)
            seconds = f"{perf_counter() - begin:.1f} s ({process_time() - processor:.1f} s of the processor)"
            values, size = np.array(found.values), max(map(abs, found.values))
            parts = [f"{name}; seed {seed}; {seconds}; {found.solutions[0].levels[0]['parameters']} functions"]
            if exact is None:
                parts.append("values " + ", ".join(f"{value:.10g}" for value in values))
            else:
                parts.append(f"largest error {np.abs(values - np.array(exact)[:count]).max() / size:.1e}")
            parts.append(f"estimate {max(found.estimates) / size:.1e}; bound {max(found.bounds) / size:.1e}")
            parts.append(f"groups {[len(group) for group in found.groups]}; reached {found.reached}")
            if name.startswith("disk"):
                parts.append(f"eigenspace {eigenspace_error(found):.1e}")
            print("; ".join(parts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
