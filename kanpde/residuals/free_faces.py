r"""Faces of a box on which a problem gives no condition, although its equations need one there.

An equation of order m >= 2 in x needs m conditions at both ends of x together, and in general some at each end: without
them a network continues the solution somehow, with residuals and an estimate that are small. First order in x, as of
advection, leaves the face of the outflow free. So do m conditions elsewhere, such as value and slope at the other end,
and coefficients of the highest derivatives that vanish or are infinite on the face, as of $u_{rr} + u_r / r$ at r = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.jet import Key
from kanpde.domains import Points
from kanpde.domains.box import Box
from kanpde.domains.ranges import label_at
from kanpde.domains.region import Region
from kanpde.problem import Problem
from kanpde.residuals.probes import Probe, order_along, probe, stand_in
from kanpde.residuals.site import fields_of

FEW, SAMPLES = 8, 24  # points on a face; points of a piece of a region
ON_FACE = 1e-9  # distance from a face that counts as none, relative to the range
ROUNDING = 1e-12  # change of a residual that counts as none


class FreeFace(NamedTuple):
    """A face without a condition, and the unknown that has none; None if there is only one."""

    label: str
    coordinate: str
    side: int
    unknown: str | None


class _Given(NamedTuple):
    """A condition at its points: x are they and their images."""

    region: Region
    is_trained: bool
    x: Tensor
    probe: Probe


def free_faces(problem: Problem) -> list[FreeFace]:
    """Return the faces of a box on which conditions are missing.

    It is empty where this cannot be known or may be intended: with measured values, with equations on a part of the
    box, or with more equations than unknowns.
    """
    box = problem.domain
    conditions = problem.conditions
    if not isinstance(box, Box) or any(c.region.is_measured for c in conditions.values()):
        return []
    inside = [name for name, c in conditions.items() if c.region.is_interior]
    walls = [i for i in box.space if i not in box.periodic]
    if not inside or not walls or not all(box.has_part(conditions[name].region) for name in inside):
        return []
    equations = {name: probe(problem, name, box.interior.sample("uniform", FEW)) for name in inside}
    if sum(len(each.residuals) for each in equations.values()) > len(problem.unknowns):
        return []
    if not any(order_along(key, axis) >= 2 for each in equations.values() for _, key in each.asked for axis in walls):
        return []
    given = [_given(problem, name) for name, c in conditions.items() if name not in inside and c.integral is None]
    return [face for axis in walls for face in _free_along(problem, box, inside, given, axis)]


def _given(problem: Problem, name: str) -> _Given:
    condition = problem.conditions[name]
    points = condition.region.sample("uniform", SAMPLES * max(condition.region.pieces, 1))
    x = torch.cat([points.x, *(image(points.x) for image in condition.maps)])
    return _Given(condition.region, name in problem.trained, x, probe(problem, name, points))


def _free_along(problem: Problem, box: Box, inside: list[str], given: list[_Given], axis: int) -> list[FreeFace]:
    """Return the faces at both ends of a coordinate on which conditions are missing."""
    faces, found = [box.face(box.names[axis], side) for side in (0, 1)], []
    built = [_built_in(problem, face.sample("uniform", FEW), axis) for face in faces]
    known = _known_along(problem, given, axis) + sum(map(len, built))
    for side, face in enumerate(faces):
        orders = _orders(problem, inside, face.sample("uniform", FEW), axis)
        there = [each for each in given if _touches(box, each, axis, side)]
        covered = {i for each in there for i in each.probe.unknowns} | {i for i, _ in built[side]}
        rows = sum(len(each.probe.residuals) for each in there if each.is_trained) + len(built[side])
        if known >= sum(orders.values()) or (covered and rows >= len(orders)):
            continue
        label, name = label_at(box.names[axis], box.ranges[axis][side]), box.names[axis]
        several = len(problem.unknowns) > 1
        found += [
            FreeFace(label, name, side, problem.unknowns[i] if several else None) for i in orders if i not in covered
        ]
    return found


def _orders(problem: Problem, inside: list[str], points: Points, axis: int) -> dict[int, int]:
    """Return by unknown the highest derivative along a coordinate, if it is at least 2, in equations on a face.

    Derivatives count whose coefficients are finite and not 0 at all of some points of the face.
    """
    found: dict[int, int] = {}
    for name in inside:
        before = probe(problem, name, points)
        for i in sorted(before.unknowns):
            order = max(order_along(key, axis) for j, key in before.asked if j == i)
            if order < 2:
                continue

            def shift(j: int, key: Key, i: int = i) -> float:
                return float(j == i and order_along(key, axis) >= 2)

            after = probe(problem, name, points, shift)
            pairs = zip(before.residuals, after.residuals, strict=True)
            changed = [bool(((a - b).abs() > ROUNDING * (1 + a.abs())).all() & b.isfinite().all()) for a, b in pairs]
            if any(changed):
                found[i] = max(order, found.get(i, 0))
    return found


def _touches(box: Box, given: _Given, axis: int, side: int) -> bool:
    """Return whether points of a condition lie on a face, and not all at one place of it."""
    lower, upper = box.ranges[axis]
    there = given.x[(given.x[:, axis] - box.ranges[axis][side]).abs() <= ON_FACE * (upper - lower)]
    across = [i for i in box.space if i != axis] or [i for i in range(len(box.names)) if i != axis]
    return len(there) > 0 and (not across or bool((there[:, across] != there[0, across]).any()))


def _known_along(problem: Problem, given: list[_Given], axis: int) -> int:
    """Return how many trained conditions hold where only this coordinate is fixed; equal ones at one place count once.

    In one coordinate alone an integral is such a condition.
    """
    rows: dict[object, int] = {}
    for each in given:
        for piece in each.region.fixed:
            if set(piece) == {axis} and each.is_trained:
                key = piece[axis], each.probe.asked
                rows[key] = max(rows.get(key, 0), len(each.probe.residuals))
    integrals = [c for c in problem.conditions.values() if c.integral is not None]
    return sum(rows.values()) + (len(integrals) if len(problem.domain.names) == 1 else 0)


def _built_in(problem: Problem, points: Points, axis: int) -> set[tuple[int, Key]]:
    """Return the values and slopes on a face, by unknown, that do not depend on the network's output N."""
    if problem.ansatz is None:
        return set()
    context = Context(problem.domain.names, problem.domain.space, points.x, points.normal)

    def fields(size: float):
        return fields_of(problem, context, lambda i: lambda key: size * stand_in(points.x, i, key))

    def values(size: float, key: Key) -> list[Tensor]:
        return [torch.as_tensor(u.component(key), device=points.x.device).expand(len(points.x)) for u in fields(size)]

    return {
        (i, key)
        for key in ((), (axis,))
        for i, (one, other) in enumerate(zip(values(1.0, key), values(-1.0, key), strict=True))
        if bool(((one - other).abs() <= ROUNDING * (1 + one.abs())).all())
    }
