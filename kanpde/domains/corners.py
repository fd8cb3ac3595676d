r"""Re-entrant corners of plane domains, and the exponents of the singular functions there.

Near a corner with the interior angle ω, solutions of equations whose leading part is the Laplacian are sums of
$r^\lambda \sin \lambda\varphi$ (or of cosines) and smooth functions. If values, or derivatives, are given on both
sides, $\lambda = m\pi / \omega$; if values are given on one side and derivatives on the other,
$\lambda = (m - 1/2)\pi / \omega$ (m = 1, 2, ...). For ω > π the gradient is infinite at the corner. (P. Grisvard,
Elliptic Problems in Nonsmooth Domains, 1985, chapter 4.)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, pi

from kanpde.errors import InputError

VALUES, DERIVATIVES = "dirichlet", "neumann"  # what is given on a side


@dataclass(frozen=True)
class CornerPoint:
    """A re-entrant vertex of a plane domain.

    Attributes:
        at: its coordinates.
        angle: the interior angle in radians, above π.
        parts: labels of the two parts of the boundary that meet there, in any order.
        direction: of the side from which the domain is counterclockwise, as seen from the vertex, in radians from the
            x-axis; None if it is to be found from `Domain.contains`.
    """

    at: tuple[float, float]
    angle: float
    parts: tuple[str, str]
    direction: float | None = None


@dataclass(frozen=True)
class Corner:
    r"""Singular functions at a corner, which `Problem.singular` adds to the network with trained coefficients.

    $u = N(x, y) + \sum_m c_m\, r^{\lambda_m} \sin \lambda_m\varphi$ in polar coordinates around the corner; cosines if
    derivatives are given on the side φ = 0. The coefficients $c_m$, the intensity factors, are in
    ``solution.coefficients`` under the names ``corner(x,y)``, ``corner(x,y)#2``, ... At the re-entrant vertices of a
    domain that has ``corners()``, `at` is enough.

    Args:
        at: the corner.
        terms: number of exponents λ_1 < λ_2 < ...; integer ones are left out, because these functions are smooth.
        exponent: λ of a single function, instead of those that follow from angle and sides.
        angle: the interior angle in radians.
        direction: of the side φ = 0 as seen from the corner, in radians from the x-axis; the domain is counterclockwise
            of it.
        sides: "dirichlet" where values and "neumann" where derivatives are given, for the side φ = 0 and the other one;
            by default from the conditions of the problem.
        unknown: its name; the first one by default.
        radius: where the function is cut off smoothly, from half of the radius on. By default it is not, unless the ray
            on which it jumps meets the domain again, as behind a hole: then shortly before.
    """

    at: tuple[float, float]
    terms: int = 1
    exponent: float | None = None
    angle: float | None = None
    direction: float | None = None
    sides: tuple[str, str] | None = None
    unknown: str | None = None
    radius: float | None = None

    def __post_init__(self):
        if not isinstance(self.at, tuple) or len(self.at) != 2:
            raise InputError(
                f"A Corner is at a point of two coordinates, got at={self.at!r}.", write={"at": (0.0, 0.0)}
            )
        if not isinstance(self.terms, int) or self.terms < 1:
            raise InputError(f"terms must be a whole number of at least 1, got {self.terms}.", write={"terms": 1})
        if self.exponent is not None and not 0 < self.exponent < inf:
            raise InputError(
                f"The exponent of a Corner must be positive, got {self.exponent:g}; otherwise the energy near the "
                "corner is infinite.",
                write={"exponent": 2 / 3},
            )
        if self.exponent is not None and self.terms > 1:
            raise InputError(
                f"An exponent belongs to one function, got terms={self.terms}.",
                write={"terms": 1},
                instead={"exponent": None},
            )
        if self.angle is not None and not 0 < self.angle <= 2 * pi:
            raise InputError(
                f"The interior angle of a Corner is between 0 and 2π, got {self.angle:g}.", write={"angle": 1.5 * pi}
            )
        if self.radius is not None and not 0 < self.radius < inf:
            raise InputError(f"The radius of a Corner must be positive, got {self.radius:g}.", write={"radius": 0.5})
        if self.sides is not None and (len(self.sides) != 2 or not set(self.sides) <= {VALUES, DERIVATIVES}):
            raise InputError(
                f'sides must be "{VALUES}" or "{DERIVATIVES}" for each of two sides, got {self.sides!r}.',
                write={"sides": (VALUES, VALUES)},
            )

    @property
    def name(self) -> str:
        """The name of its first coefficient."""
        return f"corner({self.at[0]:g},{self.at[1]:g})"


def place(at: tuple[float, float]) -> str:
    """Return a point in words."""
    return f"({at[0]:.6g}, {at[1]:.6g})"


def exponents(angle: float, sides: tuple[str, str], terms: int) -> list[float]:
    """Return the first exponents of singular functions at a corner, without integers, whose functions are smooth."""
    shift, found, m = 0.0 if sides[0] == sides[1] else 0.5, [], 0
    while len(found) < terms:
        m += 1
        value = (m - shift) * pi / angle
        if abs(value - round(value)) > 1e-9:
            found.append(value)
        if m > 1000:
            raise InputError(f"Solutions at a corner with the interior angle {angle:g} are smooth. Leave it out.")
    return found
