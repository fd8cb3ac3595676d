r"""Boundary and initial values built into the solution, so that they hold exactly and need no training.

The unknown becomes $u = G + D N$ with the network's output N: G has the given values, and D vanishes where they are
given. `kanpde.hard_constraints.box` does this for whole faces of boxes, `kanpde.hard_constraints.shape` for closed
smooth walls of shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kanpde.calculus.systems import Scalar
from kanpde.domains import Region
from kanpde.domains.box import Box, require_box
from kanpde.errors import InputError, suggest
from kanpde.hard_constraints.box import BoxValues, Face, is_zero, on_face
from kanpde.hard_constraints.built_in import WithValues
from kanpde.hard_constraints.smooth_parts import built_on_shape, shape_of
from kanpde.problem import Ansatz, Problem

SOFT = {"constraints": "soft"}
MOST_AXES = 3  # with values other than 0: the interpolation has 3^axes terms


@dataclass(frozen=True)
class Prescribed:
    """The values that a condition prescribes on a whole face of a box."""

    condition: str
    unknown: str
    face: Face
    value: Scalar


def check_own(problem: Problem) -> None:
    """Refuse a problem with an ansatz of its own."""
    if problem.ansatz is not None:
        raise InputError("The problem has an ansatz of its own, which hard constraints would replace.", write=SOFT)


def prescribed(problem: Problem) -> tuple[Box, list[Prescribed]]:
    """Return the box of a problem, and all Dirichlet and initial values on whole faces of it.

    Raises:
        InputError: the problem has an ansatz of its own, or no such condition, or its domain is not a `Box`.
    """
    check_own(problem)
    box = require_box(problem.domain, "A hard constraint", "Or give the problem an Ansatz of your own.", SOFT)
    found = []
    for name, condition in problem.conditions.items():
        faces = _faces(condition.region, box)
        for given in problem.given(name) if faces else ():
            unknown, _, order = given
            if order or unknown is None:
                continue
            if unknown not in problem.unknowns:
                choices = suggest(unknown, problem.unknowns)
                raise InputError(f'"{name}" gives values of an unknown "{unknown}". {choices}')
            found += [Prescribed(name, unknown, face, given.scalar) for face in faces]
    if not found:
        raise InputError(
            "Hard constraints need a condition dirichlet(...) or initial(...) on whole faces of the box, and the "
            "problem has none.",
            write=SOFT,
        )
    return box, found


def hardened(problem: Problem) -> Problem:
    """Return the problem with all Dirichlet and initial values on whole faces of a box built in.

    Values of two faces must agree where these meet; `kanpde.training.checks.check_ansatz` tests this. On a shape they
    are built in on its closed smooth walls; those of other conditions stay trained.

    Raises:
        InputError: as `prescribed`, or there are values in too many coordinates; on a shape, nothing can be built in.
    """
    check_own(problem)
    if shape_of(problem.domain) is not None:
        return built_on_shape(problem, SOFT).problem
    box, found = prescribed(problem)
    parts = []
    for unknown in problem.unknowns:
        given = {each.face: each.value for each in found if each.unknown == unknown}
        if len({axis for axis, _ in given}) > MOST_AXES and not all(is_zero(value) for value in given.values()):
            raise InputError(
                f"Hard constraints interpolate values other than the number 0 in at most {MOST_AXES} coordinates, and "
                f"{unknown} has them in more.",
                write=SOFT,
            )
        faces = {face: on_face(value, box, face) for face, value in given.items()}
        parts.append(BoxValues(box.ranges, faces) if faces else None)
    satisfied = tuple(dict.fromkeys(each.condition for each in found))
    return replace(problem, ansatz=Ansatz(WithValues(tuple(parts)), satisfied))


def _faces(region: Region, box: Box) -> list[Face]:
    """Return (axis, side) of the region's pieces if all of them are whole faces of the box, else an empty list."""
    held = [(axis, value, len(piece)) for piece in region.fixed for axis, value in piece.items()]
    if not all(n == 1 and value in box.ranges[axis] and axis not in box.periodic for axis, value, n in held):
        return []
    return [(axis, box.ranges[axis].index(value)) for axis, value, _ in held]
