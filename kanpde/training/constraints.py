"""The choice between trained and built-in values: the argument ``constraints`` of `kanpde.solve`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf

from kanpde.domains.box import Box
from kanpde.errors import InputError
from kanpde.hard_constraints import SOFT, Prescribed, check_own, hardened, prescribed
from kanpde.hard_constraints.box import BoxValues, axes_of, values_at
from kanpde.hard_constraints.built_in import WithValues, describe
from kanpde.hard_constraints.interpolant import MOST_DEGREE, Interpolant, spread
from kanpde.hard_constraints.smooth_parts import built_on_shape, shape_of
from kanpde.problem import Problem

SMOOTH = 48  # highest degree of smooth values; pulses of degree 50 are too narrow for the default network either way
AGREE = 1e-9  # largest difference where faces meet; relative to the largest value on either, if that is below 1


@dataclass(frozen=True)
class Constrained:
    """The problem that is trained.

    Attributes:
        problem: with its values built in if they are hard.
        constraints: "soft" or "hard".
        line: what the log says about it; "" for nothing.
    """

    problem: Problem
    constraints: str
    line: str = ""


def constrained(problem: Problem, constraints: str, tolerance: float | None = None) -> Constrained:
    """Return the problem as "soft", "hard" or "auto" constraints make it.

    "auto" builds all values in if they are smooth on every face and agree where faces meet. Smooth are values that
    an interpolant of degree 48 resolves to rounding (`kanpde.hard_constraints.interpolant`). With a tolerance it is
    "soft": windows of time build initial values in themselves, and sums of products grow more slowly with a lift.

    Raises:
        InputError: "hard" constraints are impossible.
    """
    if constraints == "hard":
        if shape_of(problem.domain) is not None:
            return _on_shape(problem)
        hard = hardened(problem)
        doubt = unsmooth(hard)
        line = f"constraints: hard; {doubt}, so that loading the result will need the problem" if doubt else ""
        return Constrained(hard, "hard", line)
    if constraints != "auto":
        return Constrained(problem, constraints)
    if tolerance is not None:
        return Constrained(problem, "soft", "constraints: soft, because a tolerance is given")
    if shape_of(problem.domain) is not None:
        return Constrained(problem, "soft", "constraints: soft; on shapes values are built in on request only")
    try:
        box, given = prescribed(problem)
        hard = hardened(problem)
    except InputError as error:
        return Constrained(problem, "soft", f"constraints: soft. {error.message}")
    if doubt := unsmooth(hard, SMOOTH) or _disagreement(box, given):
        return Constrained(problem, "soft", f"constraints: soft, because {doubt}")
    return Constrained(hard, "hard", f"constraints: hard on {_places(problem, box, given)}")


def _on_shape(problem: Problem) -> Constrained:
    """Return the problem with the values on closed smooth walls of its shape built in, and what the log says."""
    check_own(problem)
    built = built_on_shape(problem, SOFT)
    assert built.problem.ansatz is not None
    line = f"constraints: hard for {', '.join(built.problem.ansatz.satisfies)}"
    if describe(built.problem.ansatz) is None:
        line += "; loading the result will need the problem, because a file cannot hold all of these values"
    line += "".join(f'; soft for "{name}". {reason}' for name, reason in built.reasons.items())
    return Constrained(built.problem, "hard", line)


def _places(problem: Problem, box: Box, given: Sequence[Prescribed]) -> str:
    """Return the faces, and what was checked, in words."""
    in_order = sorted(given, key=lambda each: each.face)
    by_unknown = {
        unknown: list(dict.fromkeys(_place(box, each) for each in in_order if each.unknown == unknown))
        for unknown in problem.unknowns
    }
    several = len(problem.unknowns) > 1
    faces = "; ".join(f"{', '.join(on)}{f' for {name}' if several else ''}" for name, on in by_unknown.items() if on)
    meet = any(_common(*pair) for pair in combinations(given, 2))
    return f"{faces} (values are smooth{' and agree at the edges' if meet else ''})"


def _place(box: Box, each: Prescribed) -> str:
    axis, side = each.face
    return f"{box.names[axis]}={box.ranges[axis][side]:g}"


def unsmooth(hard: Problem, most: float = inf) -> str:
    """Return the first built-in values that no interpolant of at most some degree resolves, in words; "" if none."""
    if hard.ansatz is None or not isinstance(hard.ansatz.function, WithValues) or shape_of(hard.domain) is not None:
        return ""
    parts = dict(zip(hard.unknowns, hard.ansatz.function.parts, strict=True))
    box, given = prescribed(replace(hard, ansatz=None))
    for each in given:
        part = parts[each.unknown]
        value = part.faces[each.face] if isinstance(part, BoxValues) else 0.0
        if callable(value) and not (isinstance(value, Interpolant) and value.degree <= most):
            why = "depend on too many coordinates for an interpolant" if is_of_many(box) else "are not smooth"
            return f'the values of "{each.condition}" at {_place(box, each)} {why}'
    return ""


def is_of_many(box: Box) -> bool:
    """Return whether faces of a box have more coordinates than an interpolant can have."""
    return len(box.names) - 1 >= len(MOST_DEGREE)


def _common(one: Prescribed, other: Prescribed) -> bool:
    """Return whether two conditions give values of an unknown at common points."""
    return one.unknown == other.unknown and (one.face == other.face or one.face[0] != other.face[0])


def _disagreement(box: Box, given: Sequence[Prescribed]) -> str:
    """Return the largest difference of two values at common points, in words; "" if all agree."""
    worst, words = 0.0, ""
    for one, other in combinations(given, 2):
        if not _common(one, other):
            continue
        held = {axis: box.ranges[axis][side] for axis, side in (one.face, other.face)}
        axes = axes_of(box, list(held))
        points = spread(axes)
        a, b = (values_at(each.value, box, held)(points) for each in (one, other))
        gap = (a - b).abs()
        if float(gap.max()) > max(worst, AGREE * min(1.0, max(_largest(box, one), _largest(box, other)))):
            worst, at = float(gap.max()), int(gap.argmax())
            where = held | {axis.position: float(points[at, k]) for k, axis in enumerate(axes)}
            place = ", ".join(f"{box.names[i]}={where[i]:g}" for i in sorted(where))
            names = f'"{one.condition}" and "{other.condition}"'
            names = f'"{one.condition}"' if one.condition == other.condition else names
            words = f"the values of {names} differ by {worst:.2g} at {place}"
    return words


def _largest(box: Box, each: Prescribed) -> float:
    """Return the largest absolute value on a face."""
    axis, side = each.face
    held = {axis: box.ranges[axis][side]}
    return float(values_at(each.value, box, held)(spread(axes_of(box, list(held)))).abs().max())
