r"""Corners of the domain of a problem: the singular functions that it asks for, and those that it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import cos, degrees, hypot, pi, sin
from typing import Any

import torch

from kanpde.calculus.singular import SingularFunction, bisector_of_exterior
from kanpde.domains.corners import DERIVATIVES, VALUES, Corner, CornerPoint, exponents, place
from kanpde.domains.families import family_of
from kanpde.errors import Code, InputError, suggest
from kanpde.models.functions import Function
from kanpde.models.singular import Singular
from kanpde.problem import Problem
from kanpde.residuals.sides import direction_of, inside, sides_of, size_of, turned

CLOSE = 1e-5  # distance of a given corner from a vertex, relative to the domain; messages show six digits
RAY = 200  # points of the ray on which a singular function jumps


def corner_points(problem: Problem) -> list[CornerPoint]:
    """Return the re-entrant vertices of the domain; [] if it does not know any."""
    find = getattr(problem.domain, "corners", None)
    return [] if find is None else list(find())


def added_functions(problem: Problem, device: torch.device, dtype: torch.dtype) -> Singular | None:
    """Return the singular functions that are added to the network, with coefficients zero; None if there are none.

    Raises:
        InputError: the domain is not plane, has no such corner, or the corner is not described completely.
    """
    if not problem.singular:
        return None
    if problem.ansatz is not None:
        raise InputError(
            "Singular functions and values that are built in exclude each other, because the factor that vanishes on "
            "the boundary would multiply the singular functions too.",
            write={"constraints": "soft"},
        )
    if problem.domain.time is not None or family_of(problem.domain):
        what = "time" if problem.domain.time is not None else "the parameters of the family"
        raise InputError(
            f"The factors of singular functions depend on {what}, and those that are added to a network are constants. "
            "Let the functions be inputs of the network instead.",
            write={"features": Code(str(problem.singular)), "singular": ()},
        )
    functions: list[SingularFunction] = []
    names: list[str] = []
    owners: list[int] = []
    for corner in problem.singular:
        if corner.unknown is not None and corner.unknown not in problem.unknowns:
            raise InputError(
                f'A Corner belongs to the unknown "{corner.unknown}". {suggest(corner.unknown, problem.unknowns)}'
            )
        owner = problem.unknowns.index(corner.unknown or problem.unknowns[0])
        for k, function in enumerate(functions_at(problem, corner), start=1):
            if (function, owner) in zip(functions, owners, strict=True):
                raise InputError(
                    f"The singular function with the exponent {function.exponent:g} at {place(corner.at)} is given "
                    "twice. Leave one out."
                )
            functions.append(function)
            owners.append(owner)
            names.append(_name(corner, owner, k, problem, names))
    return Singular(functions, names, owners, len(problem.unknowns), device, dtype)


def _name(corner: Corner, owner: int, k: int, problem: Problem, taken: Sequence[str]) -> str:
    """Return a name of the coefficient that no other one has."""
    name = corner.name + (f"_{problem.unknowns[owner]}" if owner else "")
    while f"{name}#{k}" in taken or (k == 1 and name in taken):
        k += 1
    return name if k == 1 else f"{name}#{k}"


def functions_at(problem: Problem, corner: Corner) -> list[SingularFunction]:
    """Return the singular functions of a corner.

    Raises:
        InputError: as `added_functions`.
    """
    domain = problem.domain
    if len(domain.space) != 2:
        raise InputError(
            f"Corners have singular functions in plane domains, and this one has the coordinates "
            f"{', '.join(domain.names)}. Leave them out."
        )
    point, sides = _point(problem, corner), corner.sides
    if sides is None and (corner.exponent is None or point.parts[0]):
        sides = sides_of(problem, point, corner.unknown or problem.unknowns[0])
    sides = sides or (VALUES, VALUES)
    found = [corner.exponent] if corner.exponent is not None else exponents(point.angle, sides, corner.terms)
    direction = direction_of(problem, point)
    others = direction, point.angle, sides[0] == DERIVATIVES, corner.radius, (domain.space[0], domain.space[1])
    return [_within_ray(problem, SingularFunction(point.at, each, *others)) for each in found]


def _point(problem: Problem, corner: Corner) -> CornerPoint:
    """Return the vertex of a corner, with what the user gave instead of what the domain knows."""
    known, where = corner_points(problem), place(corner.at)
    own = next((p for p in known if is_at(problem, p, corner.at)), None)
    if own is not None:
        direction = own.direction if corner.direction is None else corner.direction
        return CornerPoint(own.at, corner.angle or own.angle, own.parts, direction)
    if not bool(inside(problem, torch.tensor([corner.at], device="cpu", dtype=torch.float64))):
        raise InputError(
            f"The corner {where} lies outside the domain {problem.domain}.{_known(known)}",
            write=_example(known),
            of="Corner",
        )
    angle = corner.angle
    if angle is None and corner.exponent is not None:
        mixed = corner.sides is not None and corner.sides[0] != corner.sides[1]
        angle = (0.5 if mixed else 1.0) * pi / corner.exponent
    if angle is None or corner.direction is None or angle > 2 * pi:
        raise InputError(
            f"The domain has no re-entrant vertex at {where}.{_known(known)} For another corner give the interior "
            "angle and the direction of its first side as well.",
            write={"angle": 1.5 * pi, "direction": 0.0},
            of="Corner",
        )
    return CornerPoint(corner.at, angle, ("", ""), corner.direction)


def is_at(problem: Problem, point: CornerPoint, at: tuple[float, float]) -> bool:
    """Return whether a vertex is at a point."""
    return hypot(point.at[0] - at[0], point.at[1] - at[1]) <= CLOSE * size_of(problem)


def _known(known: Sequence[CornerPoint]) -> str:
    return f" Its re-entrant vertices: {', '.join(place(p.at) for p in known)}." if known else ""


def _example(known: Sequence[CornerPoint]) -> dict[str, Any] | None:
    return {"at": known[0].at} if known else None


def _within_ray(problem: Problem, function: SingularFunction) -> SingularFunction:
    """Return the function, cut off if the ray on which it jumps meets the domain.

    Raises:
        InputError: the ray meets the domain at once, or within the radius that the user gave.
    """
    ray, reach = bisector_of_exterior(function), 2 * size_of(problem)
    cpu = {"device": "cpu", "dtype": torch.float64}
    distances = reach * ((torch.arange(RAY, **cpu) + 1) / RAY).square()
    along = torch.tensor([cos(ray), sin(ray)], **cpu)
    meets = inside(problem, torch.tensor(function.at, **cpu) + distances[:, None] * along)
    if function.angle >= 2 * pi * (1 - CLOSE) or not bool(meets.any()):
        return function
    first = int(meets.nonzero()[0])
    free = float(distances[first - 1]) if first else 0.0
    if first <= 1 or (function.radius is not None and function.radius > float(distances[first])):
        raise InputError(
            f"The singular function at {place(function.at)} jumps on the ray in the direction "
            f"{degrees(turned(ray)):.4g}°, which meets the domain at the distance {float(distances[first]):.3g}.",
            write={"direction": 0.0} if first <= 1 else {"radius": free},
            of="Corner",
        )
    return function if function.radius is not None else replace(function, radius=free)


def features_of(problem: Problem) -> list[Function]:
    """Return the functions that the network has as inputs besides the coordinates."""
    found: list[Function] = []
    for each in problem.features:
        found += functions_at(problem, each) if isinstance(each, Corner) else [each]
    return found
