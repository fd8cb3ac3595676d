"""A residual that must vanish on a region."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from kanpde.calculus.systems import Given
from kanpde.domains import Region
from kanpde.errors import Code, InputError


class Integral(NamedTuple):
    """The measure of the region of an integral, and the value that the integral has."""

    measure: float
    value: float


@dataclass(frozen=True)
class Condition:
    """A residual that must vanish on a region.

    Args:
        region: the region on which the residual must vanish.
        residual: called with one field per unknown at the points, then one per unknown at each image of the points
            (and last the problem's parameters, if it has any); returns a field or tensor, or a tuple of them. It is
            called for subsets of the points, so its value at a point must not depend on other points.
        maps: images of the points, each a function from points (points, dim) to points of the same shape.
        given: if the condition prescribes values of an unknown or its rate, these, so that they can be built in
            (``constraints=hard``) or handed over in time (``tolerance``).
        noise: the sum over its residuals of their mean squares below which measured values determine nothing more,
            because they have errors or are few; 0 if it is not known.
        integral: if the integral of the residual is prescribed instead (`kanpde.integral`), its measure and value.
    """

    region: Region
    residual: Callable[..., Any]
    maps: tuple[Callable[[Tensor], Tensor], ...] = ()
    given: Given | None = None
    noise: float = 0.0
    integral: Integral | None = None

    def __repr__(self) -> str:
        """Return the region, and the noise and the integral if there are any; functions say nothing in print."""
        given = {"noise": self.noise, "integral": self.integral}
        return f"Condition({self.region}{''.join(f', {name}={value}' for name, value in given.items() if value)})"

    def __post_init__(self):
        if not isinstance(self.region, Region):
            what = "a function" if callable(self.region) else f"a {type(self.region).__name__}"
            raise InputError(
                f"A condition is about a region of the domain, got {what}. Regions are `domain.interior`, "
                '`domain.boundary`, `domain.face("x", 0)`, `domain.at(t=0.0)`.',
                write={"region": Code("domain.interior")},
            )
        if not callable(self.residual):
            raise InputError(
                f"The residual of a condition is a function of the unknowns, got {self.residual!r}. Values are "
                "prescribed by `dirichlet(domain.boundary, 0.0)`.",
                write={"residual": Code("lambda u: laplacian(u)")},
            )
