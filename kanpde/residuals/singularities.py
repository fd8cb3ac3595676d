"""Warnings of singular derivatives at re-entrant corners for which a problem provides nothing."""

from __future__ import annotations

from math import degrees

import torch

from kanpde.calculus.context import Context
from kanpde.calculus.jet import LAPLACIAN, JetSpace, Key
from kanpde.calculus.unknowns import unknown
from kanpde.domains.corners import Corner, CornerPoint, exponents, place
from kanpde.domains.families import family_of
from kanpde.domains.region import Points
from kanpde.errors import InputError, ResultWarning
from kanpde.problem import Problem
from kanpde.residuals.corners import corner_points, is_at
from kanpde.residuals.evaluation import residuals_of
from kanpde.residuals.sides import asked, kinds_at

ALIKE = 1e-6  # relative difference of coefficients of second derivatives that count as equal
MOST_NAMED = 4  # corners


def unprovided(problem: Problem) -> list[CornerPoint]:
    """Return the re-entrant vertices for which the problem has neither singular functions nor features.

    A function of the user among the features is taken to provide for all of them. There are none if no equation has
    second derivatives in space.
    """
    points = corner_points(problem)
    if not points or any(not isinstance(each, Corner) for each in problem.features):
        return []
    if not has_second_derivatives(problem):
        return []
    given = [each for each in (*problem.singular, *problem.features) if isinstance(each, Corner)]
    return [p for p in points if not any(is_at(problem, p, each.at) for each in given)]


def has_second_derivatives(problem: Problem) -> bool:
    """Return whether a condition on the whole domain has second derivatives in space."""
    space = problem.domain.space
    keys = (
        key
        for name, condition in problem.trained.items()
        if condition.region.is_interior and not condition.region.is_measured
        for key in asked(problem, name, condition)
    )
    return any(len(key) == 2 and (key == LAPLACIAN or set(key) <= set(space)) for key in keys)


def corner_warnings(problem: Problem) -> list[ResultWarning]:
    """Return a warning that names the corners of `unprovided`, the exponents to expect, and what to write."""
    found = unprovided(problem)
    if not found:
        return []
    told = [_told(problem, point) for point in found[:MOST_NAMED]]
    more = f" There are {len(found) - MOST_NAMED} more." if len(found) > MOST_NAMED else ""
    message = (
        f"The domain has re-entrant corners, where derivatives of the solution are infinite: {'; '.join(told)}.{more} "
        "A network resolves such a corner slowly."
    )
    corners = ", ".join(f"Corner(at={place(p.at)})" for p in found)
    code = f"({corners}{',' if len(found) == 1 else ''})"
    if problem.domain.time is None and not family_of(problem.domain):
        advice = (
            f"In the Problem, `singular={code}` adds the singular functions with trained factors; `features=` with "
        )
        advice += "the same corners makes them inputs of the network."
    else:
        advice = f"In the Problem, `features={code}` makes the singular functions inputs of the network."
    return [ResultWarning(message, advice=advice)]


def _told(problem: Problem, point: CornerPoint) -> str:
    """Return a corner in words."""
    text = f"{place(point.at)} with the interior angle {degrees(point.angle):.4g}°"
    exponent = expected(problem, point)
    if exponent is None:
        return f"{text}, with an exponent that depends on the equations and conditions"
    return f"{text}, where u behaves like r^{exponent:.4g}"


def expected(problem: Problem, point: CornerPoint) -> float | None:
    """Return the least exponent at a vertex; None if it is not known.

    It is known for one unknown, if the second derivatives in the equation there are a multiple of the Laplacian and the
    conditions on both sides give values or first derivatives.
    """
    first, second = kinds_at(problem, point, problem.unknowns[0])
    if first is None or second is None or not _is_laplacian(problem, point):
        return None
    return exponents(point.angle, (first, second), 1)[0]


def _is_laplacian(problem: Problem, point: CornerPoint) -> bool:
    """Return whether the second derivatives in the only equation near a vertex are a multiple of the Laplacian."""
    interior = [name for name, c in problem.trained.items() if c.region.is_interior and not c.region.is_measured]
    if len(problem.unknowns) != 1 or len(interior) != 1 or len(problem.domain.space) != 2:
        return False
    points = problem.conditions[interior[0]].region.sample("uniform", 512)
    space = list(problem.domain.space)
    gaps = (points.x[:, space] - torch.tensor(point.at, device=points.x.device, dtype=points.x.dtype)).norm(dim=1)
    one = gaps.argsort()[:1]
    nearest = Points(points.x[one], torch.ones_like(points.weight[one]))
    i, j = space

    def slope(values: dict[Key, float]) -> float:
        """Return the change of the residual for given second derivatives."""

        def fields(context: Context, _: JetSpace):
            def read(key: Key) -> torch.Tensor:
                given = values.get((i, i), 0.0) + values.get((j, j), 0.0) if key == LAPLACIAN else values.get(key, 0.0)
                return torch.full_like(context.x[:, 0], given)

            return [unknown(context, problem.unknowns[0], read)]

        return float(residuals_of(problem, interior[0], fields, nearest)[0][0])

    try:
        base, xx, yy, xy = (slope(v) for v in ({}, {(i, i): 1.0}, {(j, j): 1.0}, {(min(i, j), max(i, j)): 1.0}))
    except InputError:
        return False
    xx, yy, xy = xx - base, yy - base, xy - base
    return abs(xx) > 0 and abs(xx - yy) <= ALIKE * abs(xx) and abs(xy) <= ALIKE * abs(xx)
