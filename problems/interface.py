"""Two materials that meet at a circle.

Source: a cylinder in a uniform field (J. D. Jackson, Classical Electrodynamics, 1999, section 4.4 for a sphere),
with manufactured parts added.
"""

from torch import cos, sin

from kanpde import Condition, Disk, Parts, Problem, Rectangle, dirichlet, flux_jump, jump, laplacian


def interface(inside: float = 1000.0, outside: float = 1.0, radius: float = 0.5) -> Problem:
    r"""$\nabla\cdot(k \nabla u) + f = 0$ on $[-1, 1]^2$ with $k = k_1$ (``inside``) in a disk and $k_2$ around it.

    It is a cylinder in a field that is uniform far away, plus a smooth part on either side:
    $A x + \cos(x + 2y)$ inside and $(1 + (A - 1)\, a^2 / r^2)\, x + \sin(2x + y)$ outside. With
    $A = 2 k_2 / (k_1 + k_2)$ the first terms and their flux are continuous at the circle $r = a$; u and the flux jump
    there by what the others give.
    """
    disk = Disk((0.0, 0.0), radius, name="interface")
    domain = Parts(inner=disk, outer=Rectangle((-1.0, 1.0), (-1.0, 1.0)) - disk)
    share = 2 * outside / (inside + outside)

    def inner(x, y):
        return share * x + cos(x + 2 * y)

    def outer(x, y):
        return (1 + (share - 1) * radius**2 / (x**2 + y**2)) * x + sin(2 * x + y)

    def gap(x, y):
        return sin(2 * x + y) - cos(x + 2 * y)

    def flux_gap(x, y):  # the normal is (x, y) / radius
        of_outer, of_inner = cos(2 * x + y) * (2 * x + y), -sin(x + 2 * y) * (x + 2 * y)
        return (outside * of_outer - inside * of_inner) / radius

    k = domain.piecewise(inner=inside, outer=outside)
    source = domain.piecewise(
        inner=lambda x, y: 5 * inside * cos(x + 2 * y), outer=lambda x, y: 5 * outside * sin(2 * x + y)
    )
    circle, exact = domain.interface("inner", "outer"), domain.piecewise(inner=inner, outer=outer)
    conditions = {
        "pde": Condition(domain.interior, lambda u: k(*u.coords) * laplacian(u) + source(*u.coords)),
        "jump": jump(circle, gap),
        "flux": flux_jump(circle, k, flux_gap),
        "boundary": dirichlet(domain.boundary, exact),
    }
    return Problem(domain, conditions, exact=exact)
