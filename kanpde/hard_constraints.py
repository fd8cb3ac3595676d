r"""Boundary and initial values built into the solution, so that they hold exactly and need no training.

The unknown becomes $u = G + D N$ with the network's output N. G interpolates the given values transfinitely, one axis
after the other (W. Gordon, Blending-function methods of bivariate and multivariate interpolation, 1971):
$G_k = G_{k-1} + \sum_s \varphi_{ks}(x_k) (g_{ks} - G_{k-1})|_{x_k = e_{ks}}$ over the given faces s of axis k, with
$\varphi_{ks}$ linear between two given ends, and 1 for a single one. D is the product of the distances from these
faces. Only the values on the faces enter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from kanpde.calculus.field import Field, constant
from kanpde.domains import Region
from kanpde.domains.box import require_box
from kanpde.errors import InputError, suggest
from kanpde.problem import Ansatz, Problem, Value

SOFT = {"constraints": "soft"}
MOST_AXES = 3  # with values other than 0: the interpolation has 3^axes terms
Faces = Mapping[tuple[int, int], Value]  # (axis, side) -> the value there
Coords = Sequence[Field]


def hardened(problem: Problem) -> Problem:
    """Return the problem with all Dirichlet and initial values on whole faces of a box built in.

    Values of two faces must agree where these meet; `kanpde.training.checks.check_ansatz` tests this.

    Raises:
        InputError: the problem has an ansatz of its own, or no such condition, or values in too many coordinates, or
            its domain is not a `Box`.
    """
    if problem.ansatz is not None:
        raise InputError("The problem has an ansatz of its own, which hard constraints would replace.", write=SOFT)
    ranges = require_box(problem.domain, "A hard constraint", "Or give the problem an Ansatz of your own.", SOFT).ranges
    given: dict[str, dict[tuple[int, int], Value]] = {name: {} for name in problem.unknowns}
    satisfied = []
    for name, condition in problem.conditions.items():
        faces = _faces(condition.region, ranges)
        if condition.given is None or condition.given.order or not faces:
            continue
        unknown, value, _ = condition.given
        if unknown is not None and unknown not in given:
            raise InputError(f'"{name}" gives values of an unknown "{unknown}". {suggest(unknown, problem.unknowns)}')
        given[unknown or problem.unknowns[0]].update(dict.fromkeys(faces, value))
        satisfied.append(name)
    if not satisfied:
        raise InputError(
            "Hard constraints need a condition dirichlet(...) or initial(...) on whole faces of the box, and the "
            "problem has none.",
            write=SOFT,
        )
    for name, faces in given.items():
        if len({axis for axis, _ in faces}) > MOST_AXES and not all(_is_zero(value) for value in faces.values()):
            raise InputError(
                f"Hard constraints interpolate values other than the number 0 in at most {MOST_AXES} coordinates, and "
                f"{name} has them in more.",
                write=SOFT,
            )
    builders = [_built_in(faces, ranges) for faces in given.values()]

    def function(coords: Coords, *outputs: Field) -> tuple[Any, ...]:
        return tuple(build(coords, n) for build, n in zip(builders, outputs, strict=True))

    return replace(problem, ansatz=Ansatz(function, tuple(satisfied)))


def _faces(region: Region, ranges: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """Return (axis, side) of the region's pieces if all of them are whole faces of the box, else an empty list."""
    held = [(axis, value, len(piece)) for piece in region.fixed for axis, value in piece.items()]
    if not all(count == 1 and value in ranges[axis] for axis, value, count in held):
        return []
    return [(axis, ranges[axis].index(value)) for axis, value, _ in held]


def _is_zero(value: Value) -> bool:
    return not callable(value) and value == 0


def _built_in(faces: Faces, ranges: Sequence[tuple[float, float]]) -> Callable[[Coords, Field], Field]:
    """Return the function G + D N for one unknown; G and D are computed once for fixed points."""
    own = object()

    def build(coords: Coords, n: Field) -> Field:
        if not faces:
            return n
        known = n.context.known
        if own not in known:
            known[own] = _lift(faces, ranges, coords), _distance(faces, ranges, coords)
        lift, distance = known[own]
        return distance * n + lift

    return build


def _ends(faces: Faces, axis: int) -> list[int]:
    return [side for side in (0, 1) if (axis, side) in faces]


def _share(ranges: Sequence[tuple[float, float]], coords: Coords, axis: int, side: int) -> Field:
    """Return the distance from an end of an axis, as a fraction of its range."""
    lower, upper = ranges[axis]
    return (coords[axis] - lower) / (upper - lower) if side == 0 else (upper - coords[axis]) / (upper - lower)


def _distance(faces: Faces, ranges: Sequence[tuple[float, float]], coords: Coords) -> Field:
    """Return D; the fractions are doubled, so that D is 1 in the middle."""
    return reduce(lambda a, b: a * b, (2 * _share(ranges, coords, *face) for face in faces))


def _lift(faces: Faces, ranges: Sequence[tuple[float, float]], coords: Coords) -> Any:
    """Return G."""
    if all(_is_zero(value) for value in faces.values()):
        return 0.0
    axes = sorted({axis for axis, _ in faces})

    def up_to(k: int, at: Coords) -> Any:
        """Return G_k."""
        if k == 0:
            return 0.0
        axis = axes[k - 1]
        total = up_to(k - 1, at)
        ends = _ends(faces, axis)
        for side in ends:
            there = list(at)
            there[axis] = constant(at[axis].context, ranges[axis][side])
            value = faces[axis, side]
            gap = (value(*there) if callable(value) else value) - up_to(k - 1, there)
            total = total + (_share(ranges, at, axis, 1 - side) * gap if len(ends) == 2 else gap)
        return total

    return up_to(len(axes), coords)
