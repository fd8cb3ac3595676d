"""The two sides of a corner: what the conditions of a problem give on them, and their directions."""

from __future__ import annotations

from collections.abc import Iterable
from math import atan2, cos, pi, sin

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.conditions.condition import Condition
from kanpde.domains.corners import DERIVATIVES, VALUES, CornerPoint, place
from kanpde.errors import InputError
from kanpde.problem import Problem
from kanpde.residuals.site import recorded, residual_values

NEAR = 1e-3  # radius at which the sides of a corner are found, relative to the domain
BISECTIONS = 60


def inside(problem: Problem, x: Float[Tensor, "points 2"]) -> Bool[Tensor, " points"]:
    """Return whether points of the plane lie in the domain, with time and parameters at their lower ends."""
    domain = problem.domain
    whole = x.new_tensor([lower for lower, _ in domain.ranges]).repeat(len(x), 1)
    whole[:, list(domain.space)] = x
    return domain.contains(whole)


def size_of(problem: Problem) -> float:
    """Return the length of the longest side of the bounding box in space."""
    return max(problem.domain.ranges[i][1] - problem.domain.ranges[i][0] for i in problem.domain.space)


def sides_of(problem: Problem, point: CornerPoint, unknown: str) -> tuple[str, str]:
    """Return what the conditions of the problem give on the sides of a vertex.

    Raises:
        InputError: that is not known for a side.
    """
    first, second = kinds_at(problem, point, unknown)
    if first is None or second is None:
        raise InputError(
            f'What is given on the sides "{point.parts[0]}" and "{point.parts[1]}" of the corner {place(point.at)} is '
            "not known: expected conditions on these parts, or on the boundary, with values or first derivatives.",
            write={"sides": (VALUES, VALUES)},
            of="Corner",
        )
    return first, second


def kinds_at(problem: Problem, point: CornerPoint, unknown: str) -> tuple[str | None, str | None]:
    """Return what is given of an unknown on both sides of a vertex, first that with the domain counterclockwise of it.

    None where it is not known.
    """
    one, other = (_kind(problem, part, unknown) for part in point.parts)
    if one == other or _gap(problem, point, point.parts[0]) <= _gap(problem, point, point.parts[1]):
        return one, other
    return other, one


def _gap(problem: Problem, point: CornerPoint, part: str) -> float:
    """Return the angle between the first side of a vertex and the direction of the nearest of some points of a part."""
    x = problem.domain.parts[part].sample("gauss", 64).x[:, list(problem.domain.space)]
    steps = x - torch.tensor(point.at, device=x.device, dtype=x.dtype)
    along, across = steps[int(steps.norm(dim=1).argmin())].tolist()
    return abs(turned(atan2(across, along) - direction_of(problem, point)))


def _kind(problem: Problem, part: str, unknown: str) -> str | None:
    """Return what the conditions give on a part of the boundary: values, if a condition has no derivatives."""
    found = [
        _order(problem, name, condition)
        for name, condition in problem.conditions.items()
        if condition.region.label in (part, "boundary")
        and _concerns(problem, name, unknown)
        and condition.integral is None
    ]
    orders = [order for order in found if order in (0, 1)]
    return None if not orders else VALUES if min(orders) == 0 else DERIVATIVES


def _concerns(problem: Problem, name: str, unknown: str) -> bool:
    """Return whether a condition may concern an unknown: it gives values of it, or what it gives is not known."""
    given = problem.given(name)
    return not given or unknown in [each.unknown for each in given]


def _order(problem: Problem, name: str, condition: Condition) -> int:
    """Return the order of the highest derivative in a condition."""
    keys = asked(problem, name, condition)
    return max((len(key) for key in keys), default=0)


def asked(problem: Problem, name: str, condition: Condition) -> Iterable[tuple[int, ...]]:
    """Return the derivatives that a condition takes of the unknowns."""
    points = condition.region.sample("uniform", 8)
    at = [points.x, *(image(points.x) for image in condition.maps)]
    domain = problem.domain
    contexts = [Context(domain.names, domain.space, x, points.normal, points.data) for x in at]
    space, _ = recorded(problem, contexts, lambda fields: residual_values(name, condition, fields, problem.parameters))
    return space.keys


def direction_of(problem: Problem, point: CornerPoint) -> float:
    """Return the direction of the first side of a vertex, from which the domain is counterclockwise."""
    if point.direction is not None:
        return point.direction
    far, near = (_side_at(problem, point, share * NEAR * size_of(problem)) for share in (1.0, 0.5))
    return near + turned(near - far)  # the limit of chords of a curved side


def turned(angle: float) -> float:
    """Return an angle in (-π, π]."""
    return atan2(sin(angle), cos(angle))


def _side_at(problem: Problem, point: CornerPoint, radius: float) -> float:
    """Return the direction in which the circle around a vertex enters the domain, counterclockwise."""

    def within_at(angles: Tensor) -> Tensor:
        around = torch.stack([angles.cos(), angles.sin()], dim=1)
        return inside(problem, torch.tensor(point.at, device="cpu", dtype=torch.float64) + radius * around)

    angles = torch.linspace(0, 2 * pi, 721, device="cpu", dtype=torch.float64) + 0.01
    within = within_at(angles)
    enters = (~within[:-1] & within[1:]).nonzero()
    if len(enters) != 1:
        raise InputError(
            f"The sides of the corner {place(point.at)} are not found at the distance {radius:.1g} from it.",
            write={"direction": 0.0},
            of="Corner",
        )
    low, high = angles[enters[0, 0]], angles[enters[0, 0] + 1]
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if bool(within_at(middle[None])) else (middle, high)
    return turned(float(high))
