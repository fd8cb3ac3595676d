"""The conditions on a shape whose values can be built in: on whole closed smooth walls that meet no other part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.calculus.context import Context
from kanpde.calculus.systems import Scalar
from kanpde.domains import Region
from kanpde.domains.ball import Ball
from kanpde.domains.shape import Shape
from kanpde.domains.spacetime import SpaceTime
from kanpde.errors import InputError, suggest
from kanpde.hard_constraints.built_in import WithValues
from kanpde.hard_constraints.shape import Begin, ShapeValues, nested
from kanpde.hard_constraints.walls import Smooth, Wall, evaluated
from kanpde.problem import Ansatz, Problem

_SAMPLES, _STEP = 720, 1e-6  # points on a wall, and the distance from it at which both sides are told, of its size
_MEETS = 1e-4  # distance of two walls that counts as contact, of the size of the shape
_ON = 1e-9  # distance from the boundary that counts as none
_AGREES = 1e-8  # largest difference of the values on a wall from the initial ones, as for every ansatz


@dataclass(frozen=True)
class Built:
    """What can be built in, and why the rest cannot.

    Attributes:
        problem: with its values built in.
        reasons: by condition with given values that stays trained, why.
    """

    problem: Problem
    reasons: Mapping[str, str]


def shape_of(domain: object) -> tuple[Shape, tuple[float, float] | None] | None:
    """Return the shape of a domain, and its times; None if it is none."""
    if isinstance(domain, SpaceTime):
        return (domain.shape, domain.t) if isinstance(domain.shape, Shape) else None
    return (domain, None) if isinstance(domain, Shape) else None


def built_on_shape(problem: Problem, write: Mapping[str, Any]) -> Built:
    """Return the problem on a shape with the values built in for which this is possible.

    Args:
        problem: on a shape, or on one for an interval of time.
        write: arguments of the caller for which nothing is built in.

    Raises:
        InputError: there is nothing that can be built in, or two conditions give values of an unknown on one wall.
    """
    found = shape_of(problem.domain)
    assert found is not None
    shape, times = found
    reasons: dict[str, str] = {}
    walls: dict[str, dict[Smooth, tuple[str, Scalar]]] = {unknown: {} for unknown in problem.unknowns}
    begins: dict[str, tuple[str, Scalar]] = {}
    for name, condition in problem.conditions.items():
        for given in problem.given(name):
            unknown, _, order = given
            if order or unknown is None:
                continue
            if unknown not in problem.unknowns:
                choices = suggest(unknown, problem.unknowns)
                raise InputError(f'"{name}" gives values of an unknown "{unknown}". {choices}')
            if times is not None and _is_begin(condition.region, times):
                begins[unknown] = name, given.scalar
                continue
            leaves, reason = _walls_of(shape, condition.region)
            if reason:
                reasons[name] = reason
                continue
            for leaf in leaves:
                if leaf in walls[unknown]:
                    raise InputError(
                        f'"{walls[unknown][leaf][0]}" and "{name}" both give values of {unknown} on the part '
                        f'"{leaf.name}". Leave one of them out.',
                        write=write,
                    )
                walls[unknown][leaf] = name, given.scalar
    if not begins and not any(walls.values()):
        why = next(iter(reasons.values()), "The problem has no condition dirichlet(...) or initial(...).")
        raise InputError(f"No values can be built in on this shape. {why}", write=write)
    for unknown, (name, value) in begins.items():
        for leaf, given in walls[unknown].items():
            _check_agreement(problem.domain, leaf, given, (name, value), write)
    parts = tuple(_part(shape, times, walls[unknown], begins.get(unknown)) for unknown in problem.unknowns)
    names = [name for each in walls.values() for name, _ in each.values()] + [name for name, _ in begins.values()]
    satisfied = tuple(name for name in problem.conditions if name in names)
    return Built(replace(problem, ansatz=Ansatz(WithValues(parts), satisfied)), reasons)


def _is_begin(region: Region, times: tuple[float, float]) -> bool:
    """Return whether a region is the initial slice."""
    held = [list(piece.values()) for piece in region.fixed]
    return held == [[times[0]]]


def _part(
    shape: Shape,
    times: tuple[float, float] | None,
    walls: Mapping[Smooth, tuple[str, Scalar]],
    begin: tuple[str, Scalar] | None,
) -> ShapeValues | None:
    """Return lift and distance of one unknown; None if nothing is built in."""
    if not walls and begin is None:
        return None
    start = None if begin is None or times is None else Begin(times, begin[1])
    values = []
    for leaf, (_, value) in walls.items():
        wall = Wall.of(leaf, -1 in shape.signs[leaf], shape.ranges)
        values.append((wall, _on_wall(wall, value, start, times)))
    coefficients = nested(values) if times is None else None
    return ShapeValues(coefficients or values, start, coefficients is not None)


def _on_wall(wall: Wall, value: Scalar, start: Begin | None, times: tuple[float, float] | None) -> Scalar:
    """Return the values on a wall, with initial ones minus what they are at the beginning, interpolated if possible."""
    if not callable(value):
        return float(value) if start is None else 0.0
    before = None if start is None else Begin(start.times, value)

    def change(*coords: Any) -> Any:
        return value(*coords) if before is None else value(*coords) - before.at_begin(coords)

    return (wall.interpolant(change, times) if len(wall.centre) == 2 else None) or change


def _check_agreement(
    domain: Any, leaf: Smooth, on_wall: tuple[str, Scalar], begin: tuple[str, Scalar], write: Mapping[str, Any]
) -> None:
    """Require that values on a wall are the initial ones at the beginning."""
    points = torch.as_tensor(_sampled(leaf)[0])
    x = torch.cat([points, torch.full_like(points[:, :1], domain.t[0])], dim=1)
    context = Context(domain.names, domain.space, x)
    values, first = (evaluated(value, context) for _, value in (on_wall, begin))
    k = int((values - first).abs().argmax())
    if not float((values - first)[k].abs()) <= _AGREES:
        place = ", ".join(
            f"{name}={coordinate:.4g}" for name, coordinate in zip(domain.names, x[k].tolist(), strict=True)
        )
        raise InputError(
            f'Built-in values must agree where they meet: "{on_wall[0]}" should satisfy the condition "{begin[0]}", '
            f"but at {place} it gives {float(values[k]):.4g} instead of {float(first[k]):.4g}. Correct one of them, or "
            "train the values.",
            write=write,
        )


def _walls_of(shape: Shape, region: Region) -> tuple[list[Smooth], str]:
    """Return the closed smooth walls of which a region consists, or why it does not consist of such walls."""
    leaves = [leaf for leaf in shape.leaves if set(_labels(leaf)) & set(shape.parts)]
    wanted = [leaf for leaf in leaves if region.label == "boundary" or region.label in _labels(leaf)]
    if not wanted or region.is_interior:
        return [], f'"{region.label}" is no part of the boundary of the shape.'
    found = []
    for leaf in wanted:
        if reason := _unsuitable(shape, leaf, [other for other in leaves if other is not leaf]):
            return [], reason
        found.append(leaf)
    return found, ""


def _labels(leaf: Shape) -> list[str]:
    return [label for wall in (*leaf.arcs(), *leaf.patches()) for label in wall.labels]


def _unsuitable(shape: Shape, leaf: Any, others: Sequence[Any]) -> str:
    """Return why values on the boundary of a leaf cannot be built in; "" if they can."""
    what = f'The part "{leaf.name}" is the boundary of a {type(leaf).__name__}'
    if not isinstance(leaf, Smooth):
        corners = "which has edges or corners, where" if len(leaf.arcs()) != 1 else "for which"
        return f"{what}, {corners} no smooth function is known that vanishes on it and nowhere else."
    points, normals = _sampled(leaf)
    size = float(np.ptp(shape.bounds, axis=1).max())
    step = _STEP * max(Wall.of(leaf, False).semi_axes)
    inner, outer = (shape.level(points + sign * step * normals) < 0 for sign in (-1.0, 1.0))
    is_hole = -1 in shape.signs[leaf]
    near = min((float(np.abs(other.level(points)).min()) for other in others), default=np.inf)
    if near < _MEETS * size:
        return f"{what}, and it meets another part, so that it is not closed or values may contradict each other."
    if not (outer & ~inner if is_hole else inner & ~outer).all() or np.abs(shape.level(points)).max() > _ON * size:
        return f"{what}, of which only a piece bounds the domain. Only whole closed walls can be built in."
    return ""


def _sampled(leaf: Smooth) -> tuple[NDArray, NDArray]:
    """Return points on the boundary of a leaf, (n, dim), and outward directions there."""
    wall = Wall.of(leaf, False)
    if isinstance(leaf, Ball):
        k = np.arange(_SAMPLES) + 0.5  # on a spiral
        z, angle = 1 - 2 * k / _SAMPLES, np.pi * (1 + 5**0.5) * k
        ring = np.sqrt(1 - z * z)
        normals = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
        return np.array(leaf.centre) + leaf.radius * normals, normals
    points = np.concatenate([arc.points((np.arange(_SAMPLES // 4) + 0.5) / (_SAMPLES // 4)) for arc in leaf.arcs()])
    gap = points - np.array(wall.centre)
    return points, gap / np.linalg.norm(gap, axis=1)[:, None]
