"""The training points of a condition: which rule, and how many."""

from dataclasses import dataclass, replace
from math import log2
from numbers import Real

from kanpde.domains import Region
from kanpde.domains.rules import RULES
from kanpde.errors import InputError, suggest

POINTS_PER_PARAMETER = 6


POINTS_PER_CELL = 2.5  # along each axis; with fewer, the solution can violate the equation between the points of a cell


ROWS_PER_PARAMETER, LEAST_ROWS = 3, 5000  # in the first phase of a fit to more rows than MOST_POINTS
LEAST_POINTS, MOST_POINTS, MOST_FOR_CELLS = 900, 20_000, 10_000
PER_PARAMETER_OF_PRODUCTS, LEAST_OF_PRODUCTS = 8, 4096  # they have few parameters


@dataclass(frozen=True)
class Sampling:
    """The training points.

    Args:
        rule: "auto" (tensor Gauss points in up to three coordinates, Sobol points in more, and on shapes with a
            family or with values built in), "gauss", "chebyshev", "sobol" or "uniform".
        interior: approximate number of points for a condition on the whole domain; None takes 6 for every parameter,
            and 2.5 for every cell along each axis, within limits. A part of the domain gets its share.
        boundary: approximate number of points for every other condition; None takes on each face twice as many as the
            interior has across it, but in total no more than the interior.
        rows: most rows of a table of measured values, drawn anew for every phase; None takes all, up to 20,000.
    """

    rule: str = "auto"
    interior: int | None = None
    boundary: int | None = None
    rows: int | None = None

    def __post_init__(self):
        if self.rule not in RULES:
            raise InputError(f'Unknown sampling rule "{self.rule}". {suggest(self.rule, RULES)}')
        for name in ("interior", "boundary", "rows"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Real):
                raise InputError(f"{name} must be a number of points or None, got {value!r}.", write={name: 400})
            if value is not None and value < 1:
                raise InputError(f"A condition needs at least one point, got {name}={value}.", write={name: 400})

    def size(self, region: Region, parameters: int, grid: int = 0) -> int:
        """Return the number of points for a condition on the region; ``grid`` is the number of cells per input."""
        if region.rows is not None:
            return min(region.rows, self.rows or MOST_POINTS)
        dim = len(region.names)
        along = min(POINTS_PER_CELL * grid, MOST_FOR_CELLS ** (1 / dim))
        wanted = max(POINTS_PER_PARAMETER * parameters, round(along**dim), LEAST_POINTS)
        interior = self.interior or min(wanted, MOST_POINTS)
        if region.is_interior:
            return interior
        if region.share is not None:
            return max(1, round(region.share * interior))
        return self.boundary or min(region.pieces * round(2 * interior ** ((dim - 1) / dim)), interior)

    def for_first_phase(self, region: Region, parameters: int) -> "Sampling":
        """Return the sampling for the first phase of several: of a large table fewer rows than in the next ones."""
        if region.rows is None or region.rows <= MOST_POINTS or self.rows:
            return self
        return replace(self, rows=min(max(ROWS_PER_PARAMETER * parameters, LEAST_ROWS), MOST_POINTS))

    def for_products(self, parameters: int) -> "Sampling":
        """Return the sampling for a sum of products of functions of one coordinate each.

        Points with many different values of every coordinate serve such functions better than a grid does.
        """
        wanted = min(max(PER_PARAMETER_OF_PRODUCTS * parameters, LEAST_OF_PRODUCTS), MOST_POINTS)
        interior = self.interior or 2 ** int(log2(wanted))  # powers of two suit Sobol points
        return Sampling("sobol" if self.rule == "auto" else self.rule, interior, self.boundary or interior // 4)
