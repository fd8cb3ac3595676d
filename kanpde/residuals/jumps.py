r"""Discontinuous data of a problem: jumps of given values, conditions that disagree, jumps of coefficients.

A smooth network cannot have the discontinuous solution that a jump of boundary or initial values gives, and where the
coefficient of a derivative jumps, the equation at points does not say how the derivatives on both sides are related.
Training does not notice either, since points rarely lie where the jump is.

A jump is sought on segments between random points of a condition's region, by bisection: of the two halves the one is
kept across which a function changes more. If it still changes by a large part of its size across a part of
$2^{-30}$ of a segment, it jumps there. The function is, for given values, what is subtracted from the unknown, and
elsewhere the difference between the residuals of two functions with the value `PRESENT`, one of which has derivatives.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, product
from math import isfinite, nan

import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field
from kanpde.calculus.jet import JetSpace, Key
from kanpde.calculus.unknowns import unknown
from kanpde.conditions.condition import Condition
from kanpde.domains import Points, Region
from kanpde.domains.box import Box
from kanpde.problem import Problem
from kanpde.residuals.evaluation import residuals_of

SEGMENTS, BISECTIONS = 512, 30
LEAST = 1e-3  # change across the last part of a segment, relative to the largest value of the function
PRESENT, DERIVATIVE = 0.7, 1.3  # values that are neither 0 nor 1, for which terms could vanish
SMALLEST = 1e-10  # size of functions whose values are more than rounding errors
MEETING = 64  # points at which two conditions are compared
ROUNDING = 1e-14  # of coordinates, relative to the ends of their ranges
SHORTEST = 2  # powers of ten over which the lengths of the segments are spread


@dataclass(frozen=True)
class Jump:
    """A discontinuity of a condition's data.

    Attributes:
        what: what jumps, in words.
        where: the coordinates of a point on it, by name.
    """

    what: str
    where: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.what} at " + ", ".join(f"{name} = {value:.6g}" for name, value in self.where.items())


def find_jumps(problem: Problem, device: torch.device) -> list[Jump]:
    """Return one jump for every condition that has any, and for every pair of conditions that disagree.

    Only problems on a `Box` are examined, and no conditions at measured points. Given values may also jump at the
    edges of a face and at the ends of a periodic coordinate. Narrow regions between two jumps can be missed, and
    functions that change by `LEAST` within $2^{-30}$ of a segment are called discontinuous. All is computed in double
    precision.
    """
    if not isinstance(problem.domain, Box):
        return []
    box, problem, found = problem.domain, replace(problem, ansatz=None), []
    for name, condition in problem.conditions.items():
        if condition.region.is_measured or condition.integral is not None:
            continue
        is_given = _gives_values(condition)
        what, function = ("values", _values) if is_given else ("coefficients of derivatives", _coefficients)
        function = partial(function, problem, name)
        segments = _segments(box, condition.region, device)
        size = max((float(function(a).abs().max()) for a, _, _ in segments), default=nan)
        for a, b, steps in segments:
            where = discontinuity(function, a, b, steps, max(size, SMALLEST))
            if where is not None:
                found.append(Jump(f'the {what} of "{name}" jump', _named(problem, where)))
                break
    return found + disagreements(problem, device)


def _named(problem: Problem, x: Tensor) -> dict[str, float]:
    """Return the coordinates of a point by name."""
    return dict(zip(problem.domain.names, x.tolist(), strict=True))


def disagreements(problem: Problem, device: torch.device) -> list[Jump]:
    """Return pairs of conditions that prescribe different values of an unknown where their regions meet."""
    generator, found = torch.Generator(device).manual_seed(0), []
    given = {name: condition for name, condition in problem.conditions.items() if _gives_values(condition)}
    ranges = torch.tensor(problem.domain.ranges, device=device, dtype=torch.float64)
    for (name, one), (other, two) in combinations(given.items(), 2):
        rows = _common(problem, name, other)
        if not rows:
            continue
        size = max(
            float(_values(problem, each, given[each].region.sample("uniform", MEETING, device=device)).abs().max())
            for each in (name, other)
        )
        for first, second in product(one.region.fixed, two.region.fixed):
            if any(first[axis] != second[axis] for axis in first.keys() & second.keys()):
                continue  # they do not meet
            share = torch.rand(MEETING, len(ranges), generator=generator, device=device, dtype=torch.float64)
            x = ranges[:, 0] + share * (ranges[:, 1] - ranges[:, 0])
            for axis, value in {**first, **second}.items():
                x[:, axis] = value
            at = Points(x, torch.full_like(x[:, 0], 1 / len(x)))
            mine, others = _values(problem, name, at), _values(problem, other, at)
            gap = torch.stack([(mine[j] - others[k]).abs() for j, k in rows]).amax(dim=0)
            if float(gap.max()) > LEAST * size:
                what = f'the values of "{name}" and "{other}" differ by {float(gap.max()):.3g}'
                found.append(Jump(what, _named(problem, x[int(gap.argmax())])))
                break
    return found


def discontinuity(function: Callable[[Points], Tensor], a: Points, b: Points, steps: int, size: float) -> Tensor | None:
    """Return a point (dim,) at which a function (residuals, points) of points jumps, or None.

    Args:
        function: of points with normals.
        a, b: the ends of segments, with the same normals.
        steps: number of bisections; 0 compares the ends.
        size: of the function.
    """
    left, right = a.x, b.x
    at_left, at_right = function(a), function(b)
    for _ in range(steps):
        middle = 0.5 * (left + right)
        at_middle = function(replace(a, x=middle))
        is_left = ((at_middle - at_left).abs() > (at_right - at_middle).abs()).any(dim=0)
        left, right = torch.where(is_left[:, None], left, middle), torch.where(is_left[:, None], middle, right)
        at_left, at_right = torch.where(is_left, at_left, at_middle), torch.where(is_left, at_middle, at_right)
    is_jump = ((at_right - at_left).abs() > LEAST * size).any(dim=0)
    return left[int(is_jump.nonzero()[0])] if isfinite(size) and bool(is_jump.any()) else None


def _common(problem: Problem, name: str, other: str) -> list[tuple[int, int]]:
    """Return the pairs of residuals of two conditions that prescribe values of the same unknown."""
    own, others = ([each.unknown for each in problem.given(each)] for each in (name, other))
    return [(k, others.index(unknown)) for k, unknown in enumerate(own) if unknown in others]


def _gives_values(condition: Condition) -> bool:
    """Return whether a condition prescribes values of an unknown, not those of its rate."""
    return condition.given is not None and condition.given.order == 0


def _values(problem: Problem, name: str, points: Points) -> Tensor:
    """Return what a condition that prescribes values subtracts from the unknowns, (residuals, points)."""
    return _residuals(problem, name, points, 0.0) - PRESENT


def _coefficients(problem: Problem, name: str, points: Points) -> Tensor:
    """Return a function (residuals, points) that jumps where coefficients of derivatives do."""
    return _residuals(problem, name, points, DERIVATIVE) - _residuals(problem, name, points, 0.0)


def _residuals(problem: Problem, name: str, points: Points, slope: float) -> Tensor:
    """Return the residuals (residuals, points) of unknowns with the value `PRESENT` and all derivatives ``slope``."""

    def fields(context: Context, space: JetSpace) -> Sequence[Field]:
        def read(key: Key) -> Tensor:
            return torch.full_like(context.x[:, 0], slope if key else PRESENT)

        return [unknown(context, each, read) for each in problem.unknowns]

    return torch.stack(residuals_of(problem, name, fields, points))


def _segments(box: Box, region: Region, device: torch.device) -> list[tuple[Points, Points, int]]:
    """Return segments and numbers of bisections.

    They are random segments within each piece of a region, segments to its edges, and pairs of points that are equal
    because a coordinate is periodic.
    """
    generator = torch.Generator(device).manual_seed(0)
    points = region.sample("uniform", SEGMENTS * region.pieces, generator, device, torch.float64)
    found = []
    for piece in region.fixed:
        inside = torch.ones(len(points.x), dtype=torch.bool, device=device)
        for axis, value in piece.items():
            slack = ROUNDING * max(map(abs, box.ranges[axis]))
            inside &= (points.x[:, axis] - value).abs() <= slack
        x, normal = points.x[inside], None if points.normal is None else points.normal[inside]
        if len(x) < 2 or len(piece) == x.shape[1]:
            continue
        at = Points(x, torch.full_like(x[:, 0], 1 / len(x)), normal)
        share = 10 ** (-SHORTEST * torch.rand(len(x), 1, generator=generator, device=device, dtype=torch.float64))
        found.append((at, replace(at, x=x + share * (x.roll(1, dims=0) - x)), BISECTIONS))
        for axis in [axis for axis in range(x.shape[1]) if axis not in piece]:
            low, high = x.clone(), x.clone()
            low[:, axis], high[:, axis] = box.ranges[axis]
            if axis in box.periodic:
                found.append((replace(at, x=low), replace(at, x=high), 0))
            elif not region.is_interior:
                found += [(at, replace(at, x=low), BISECTIONS), (at, replace(at, x=high), BISECTIONS)]
    return found
