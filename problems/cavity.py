"""The flow in a square cavity whose lid moves.

Source: U. Ghia, K. N. Ghia, C. T. Shin, High-Re solutions for incompressible flow using the Navier-Stokes equations
and a multigrid method, J. Comput. Phys. 48 (1982) 387-411; the reference is made by benchmarks/cavity_reference.py.
"""

from math import pi, sqrt

import numpy as np
import torch

from kanpde import (
    Ansatz,
    Box,
    Condition,
    InputError,
    Points,
    Problem,
    dirichlet,
    divergence,
    gradient,
    laplacian,
    material_derivative,
)

BESIDE = f"{__file__.removesuffix('py')}csv"  # the reference for Re = 100
TURN = 1 / (1 - pi**2 / 4)  # factor of the flow in a corner
TINY = 1e-30  # squared distance from a corner below which the flow there is that of the corner


def cavity(reynolds: float = 100.0) -> Problem:
    r"""$(v \cdot \nabla) v + \nabla p = \Delta v / Re$, $\nabla \cdot v = 0$ on $[0, 1]^2$, $v = (1, 0)$ on the lid.

    The lid is y = 1; on the other walls v = 0, and p = 0 in the middle of the floor. In the upper corners the velocity
    jumps and p is infinite. There the solution is that of Stokes' equations for a wall that slides along another one
    (G. I. Taylor 1962; G. K. Batchelor, An Introduction to Fluid Dynamics, section 4.8), with the stream function
    $\psi = B Y + \theta (C X + D Y)$ of the distances X and Y from wall and lid, θ = arctan(Y/X),
    $C = 1 / (1 - \pi^2/4)$, $D = C \pi / 2$, $B = 1 - C$. It is added to the network for both corners. What is left
    depends on the angle even in a corner, so that angles and distances are features. The equation of motion is
    multiplied by both distances, and by √Re, so that errors of the velocity are seen. For Re = 100 errors are
    differences from the elements of Taylor and Hood in ``cavity.csv`` (``benchmarks/cavity_reference.py --write``), at
    points with a distance of at least 0.1 from the upper corners.

    Args:
        reynolds: Re, with the speed and the length of the lid.
    """
    if not reynolds > 0:
        raise InputError(f"reynolds must be positive, got {reynolds}.", write={"reynolds": 100.0})
    domain = Box(x=(0.0, 1.0), y=(0.0, 1.0))

    def flow(v, p):
        x, y = p.coords
        near = distance(x, 1 - y) * distance(1 - x, 1 - y)
        motion = material_derivative(v, v) + gradient(p) - laplacian(v) / reynolds
        return sqrt(reynolds) * near * motion, divergence(v)

    def added(coords, *outputs):
        x, y = coords
        (u1, v1, p1), (u2, v2, p2) = corner(x, 1 - y, reynolds), corner(1 - x, 1 - y, reynolds)
        return outputs[0] + u1 + u2, outputs[1] - v1 + v2, outputs[2] + p1 - p2

    lid, floor = domain.face("y", 1), domain.face("y", 0)
    conditions = {
        "flow": Condition(domain.interior, flow),
        "lid": dirichlet(lid, (1.0, 0.0)),
        **{side.label: dirichlet(side, 0.0) for side in (floor, domain.face("x", 0), domain.face("x", 1))},
        "pressure": dirichlet(domain.at(x=0.5, y=0.0), 0.0, "p"),
    }
    test = reference() if reynolds == 100.0 else None
    return Problem(domain, conditions, ("velocity:2", "p"), ansatz=Ansatz(added, ()), test=test, features=FEATURES)


def distance(x, y):
    """Return the distance from a corner, of which x and y are the distances from wall and lid."""
    return torch.sqrt(x**2 + y**2 + TINY)


def angle(x, y):
    """Return the angle from the lid."""
    return 2 * torch.atan(y / (distance(x, y) + x))


FEATURES = (
    lambda x, y: distance(x, 1 - y),
    lambda x, y: distance(1 - x, 1 - y),
    lambda x, y: angle(x, 1 - y),
    lambda x, y: angle(1 - x, 1 - y),
)


def corner(x, y, reynolds: float):
    """Return velocities along x and y and the pressure in a corner whose wall y = 0 moves along x, away from it."""
    across, turned = (TURN * x + TURN * pi / 2 * y) / distance(x, y) ** 2, TURN * angle(x, y)
    return 1 - TURN + pi / 2 * turned + across * x, -turned + across * y, 2 / reynolds * across


def reference() -> Points:
    """Return the reference in the centres of 40 x 40 squares."""
    values = torch.as_tensor(np.loadtxt(BESIDE, delimiter=",", skiprows=1))
    return Points(values[:, :2], torch.full_like(values[:, 0], 1 / len(values)), data=values[:, 2:])
