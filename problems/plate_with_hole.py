"""A plate with a circular hole under tension: Kirsch's problem of plane elasticity.

Source: E. G. Kirsch, Die Theorie der Elastizität und die Bedürfnisse der Festigkeitslehre, Z. VDI 42 (1898)
797-807.
"""

import torch

from kanpde import Condition, Disk, InputError, Problem, Rectangle, Vector, diff, dirichlet, divergence


def plate_with_hole(
    width: float = 2.0, radius: float = 1.0, young: float = 1.0, ratio: float = 0.3, tension: float = 1.0
) -> Problem:
    r"""$\nabla \cdot \sigma = 0$ in a quarter of the square $[-w, w]^2$ with a hole, in plane stress.

    The displacements $(u_x, u_y)$ are those of an infinite plate under the tension S along x (E. G. Kirsch 1898): its
    tractions act on the outer sides x = w and y = w, the hole is free, and x = 0 and y = 0 are lines of symmetry.

    Args:
        width: w, half the side of the square.
        radius: radius of the hole, a < w.
        young: Young's modulus E, in units of the stress.
        ratio: Poisson's ratio ν, from 0 to 0.5.
        tension: S, far from the hole along x.
    """
    if not 0 < radius < width:
        raise InputError(f"The hole needs 0 < radius < width, got radius={radius}, width={width}.")
    if not (young > 0 and tension > 0 and 0 <= ratio <= 0.5):
        raise InputError(
            f"young and tension must be positive and ratio from 0 to 0.5, got {young}, {tension} and {ratio}.",
            write={"young": 1.0, "tension": 1.0, "ratio": 0.3},
        )
    domain = Rectangle((0.0, width), (0.0, width)) - Disk((0.0, 0.0), radius, name="hole")
    shear = young / (2 * (1 + ratio))

    def stress(ux, uy):
        """Hooke's law in plane stress."""
        xx, yy = diff(ux, "x"), diff(uy, "y")
        share = young / (1 - ratio**2)
        return share * (xx + ratio * yy), share * (yy + ratio * xx), shear * (diff(ux, "y") + diff(uy, "x"))

    def balance(ux, uy):
        xx, yy, xy = stress(ux, uy)
        return divergence(Vector((xx, xy))), divergence(Vector((xy, yy)))

    def traction(given):
        """The condition σ·n = the traction of the stress (xx, yy, xy) that ``given`` returns."""

        def residual(ux, uy):
            (xx, yy, xy), (p, q, s), n = stress(ux, uy), given(*ux.coords), ux.normal
            return (xx - p) * n[0] + (xy - s) * n[1], (xy - s) * n[0] + (yy - q) * n[1]

        return residual

    def kirsch(x, y):
        return stress_of_kirsch(x, y, radius, tension)

    sides = {"right": f"x={width:g}", "top": f"y={width:g}"}
    conditions = {
        "balance": Condition(domain.interior, balance),
        **{name: Condition(domain.part(side), traction(kirsch)) for name, side in sides.items()},
        "hole": Condition(domain.part("hole"), traction(lambda x, y: (0.0, 0.0, 0.0))),
    }
    for name, unknown, side in (("left", "ux", "x=0"), ("bottom", "uy", "y=0")):
        conditions[name] = dirichlet(domain.part(side), 0.0, unknown)
        conditions[f"{name} shear"] = Condition(domain.part(side), lambda ux, uy: stress(ux, uy)[2])

    def exact(x, y):
        kappa, share = (3 - ratio) / (1 + ratio), (radius**2) / (x**2 + y**2)
        cosine = 4 * x**3 / (x**2 + y**2) - 3 * x  # r cos 3θ
        sine = 3 * y - 4 * y**3 / (x**2 + y**2)  # r sin 3θ
        ux = (kappa + 1) * x + 2 * share * ((1 + kappa) * x + cosine) - 2 * share**2 * cosine
        uy = (kappa - 3) * y + 2 * share * ((1 - kappa) * y + sine) - 2 * share**2 * sine
        return tension / (8 * shear) * ux, tension / (8 * shear) * uy

    size = tension / young * width
    return Problem(domain, conditions, unknowns=("ux", "uy"), exact=exact, scale=(size, size))


def stress_of_kirsch(x, y, radius: float, tension: float):
    """Return σxx, σyy and σxy around a hole in an infinite plate under tension along x."""
    square = x**2 + y**2
    share = radius**2 / square
    cosine, sine = (x**2 - y**2) / square, 2 * x * y / square  # of 2θ
    cosine4, sine4 = cosine**2 - sine**2, 2 * cosine * sine
    xx = 1 - share * (1.5 * cosine + cosine4) + 1.5 * share**2 * cosine4
    yy = -share * (0.5 * cosine - cosine4) - 1.5 * share**2 * cosine4
    xy = -share * (0.5 * sine + sine4) + 1.5 * share**2 * sine4
    return tension * xx, tension * yy, tension * xy


def concentration(solution, tension: float = 1.0, young: float = 1.0, ratio: float = 0.3) -> float:
    """Return the largest hoop stress on the hole divided by the tension, from a solution's derivatives; exactly 3."""
    points = solution.problem.domain.part("hole").sample("gauss", 400)
    (x, y), (nx, ny) = points.x.unbind(1), points.normal.unbind(1)
    (xx, yx), (xy, yy) = solution.diff("x")(x, y), solution.diff("y")(x, y)
    share, shear = young / (1 - ratio**2), young / (2 * (1 + ratio)) * (xy + yx)
    hoop = share * ((xx + ratio * yy) * ny**2 + (yy + ratio * xx) * nx**2) - 2 * shear * nx * ny
    return float(torch.max(hoop)) / tension
