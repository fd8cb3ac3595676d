"""Linear elasticity of an isotropic cube, with a manufactured solution.

Source: manufactured.
"""

from math import pi

from torch import cos, exp, sin

from kanpde import Box, Condition, InputError, Problem, dirichlet, divergence, identity, strain, trace


def elasticity(lame: float = 1.0, shear: float = 0.5) -> Problem:
    r"""$\nabla \cdot \sigma = f$ in $[0, 1]^3$, $\sigma = \lambda\, \mathrm{tr}(\varepsilon) I + 2 \mu \varepsilon$.

    ε is the strain of the displacement u. The solution is
    $u = (\sin \pi x \cos \pi y\, e^{z/2},\; y^2 \sin \pi z + x^2 y,\; \cos \pi x\, e^{y/2} z^2)$. It is given on the
    boundary, except for the side x = 1, where its traction $\sigma \cdot n$ is.

    Args:
        lame: Lamé's first parameter λ.
        shear: the shear modulus μ.
    """
    if not (shear > 0 and lame + 2 * shear / 3 > 0):
        raise InputError(
            f"shear and lame + 2/3 shear must be positive, got shear={shear} and lame={lame}.",
            write={"lame": 1.0, "shear": 0.5},
        )
    domain = Box(x=(0.0, 1.0), y=(0.0, 1.0), z=(0.0, 1.0))

    def displacement(x, y, z):
        return sin(pi * x) * cos(pi * y) * exp(z / 2), y**2 * sin(pi * z) + x**2 * y, cos(pi * x) * exp(y / 2) * z**2

    def stress(u):
        e = strain(u)
        return lame * trace(e) * identity(3) + 2 * shear * e

    def force(x, y, z):
        """(λ + μ) ∇(∇·u) + μ Δu of the solution."""
        a, b = lame + shear, shear
        return (
            -a * pi**2 * sin(pi * x) * cos(pi * y) * exp(z / 2)
            - 2 * a * pi * sin(pi * x) * exp(y / 2) * z
            + 2 * a * x
            + b * (0.25 - 2 * pi**2) * sin(pi * x) * cos(pi * y) * exp(z / 2),
            -a * pi**2 * cos(pi * x) * sin(pi * y) * exp(z / 2)
            + 2 * a * sin(pi * z)
            + a * cos(pi * x) * exp(y / 2) * z
            + b * (2 - pi**2 * y**2) * sin(pi * z)
            + 2 * b * y,
            a * pi / 2 * cos(pi * x) * cos(pi * y) * exp(z / 2)
            + 2 * a * pi * y * cos(pi * z)
            + 2 * a * cos(pi * x) * exp(y / 2)
            + b * cos(pi * x) * exp(y / 2) * (2 + (0.25 - pi**2) * z**2),
        )

    def traction(x, y, z):
        """The stresses σxx, σxy, σxz at x = 1."""
        xx, yy, zz = -pi * cos(pi * y) * exp(z / 2), 2 * y * sin(pi * z) + 1, -2 * exp(y / 2) * z
        return lame * (xx + yy + zz) + 2 * shear * xx, 2 * shear * y, 0 * z

    sides = [domain.face(name, side) for name in "xyz" for side in (0, 1)]
    conditions = {
        "balance": Condition(domain.interior, lambda u: divergence(stress(u)) - force(*u.coords)),
        **{side.label: dirichlet(side, displacement) for side in sides if side.label != "x=1"},
        "traction": Condition(domain.face("x", 1), lambda u: stress(u).dot(u.normal) - traction(*u.coords)),
    }
    return Problem(domain, conditions, ("displacement:3",), exact=displacement)
