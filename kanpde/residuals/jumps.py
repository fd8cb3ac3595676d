r"""Jumps of the data of a problem: of given values, where these meet others, and of the coefficients of derivatives.

A smooth network cannot have the discontinuous solution that a jump of boundary or initial values gives, and where the
coefficient of a derivative jumps, the equation at points does not say how the derivatives on both sides are related.
Training does not notice either, since points rarely lie where the jump is.

A jump is sought on segments between random points of a condition's region, by bisection: of the two halves the one is
kept across which a function changes more. If it still changes by a large part of its size across a part of
$2^{-30}$ of a segment, it jumps there. The function is the residual of the constant `PRESENT`, for given values, and
the difference between the residuals of two functions with this value, one of which has derivatives, for coefficients.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from math import isfinite

import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field
from kanpde.calculus.jet import JetSpace, Key
from kanpde.calculus.unknowns import unknown
from kanpde.domains import Points, Region
from kanpde.domains.box import Box
from kanpde.problem import Problem
from kanpde.residuals.evaluation import Unknowns, residuals_of

SEGMENTS, BISECTIONS = 512, 30
LEAST = 1e-3  # change across the last part of a segment, relative to the largest value of the function
PRESENT, DERIVATIVE = 0.7, 1.3  # values that are neither 0 nor 1, for which terms could vanish
MEETING = 64  # points at which two conditions are compared
SHORTEST = 2  # powers of ten over which the lengths of the segments are spread


@dataclass(frozen=True)
class Jump:
    """A discontinuity of a condition's data.

    Attributes:
        name: of the condition.
        what: what jumps, in words.
        where: the coordinates of a point on it, by name.
    """

    name: str
    what: str
    where: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.what} at " + ", ".join(f"{name} = {value:.6g}" for name, value in self.where.items())


def find_jumps(problem: Problem, device: torch.device, dtype: torch.dtype) -> list[Jump]:
    """Return a jump of every trained condition that has one; none on other domains than a `Box`.

    Narrow regions between two jumps can be missed, and functions that change by `LEAST` within $2^{-30}$ of a segment
    are called discontinuous.
    """
    if not isinstance(problem.domain, Box):
        return []
    problem, found = replace(problem, ansatz=None, conditions=problem.trained), []
    for name, condition in problem.conditions.items():
        present = _residual(problem, name, 0.0)
        sloped = _residual(problem, name, DERIVATIVE)

        def coefficients(points: Points, present=present, sloped=sloped) -> Tensor:
            return sloped(points) - present(points)

        for a, b in _segments(condition.region, device, dtype) if condition.region.rows is None else ():
            is_given = not condition.region.is_interior
            what, function = ("values", present) if is_given else ("coefficients of derivatives", coefficients)
            where = discontinuity(function, a, b)
            if where is not None:
                found.append(Jump(name, f'the {what} of "{name}" jump', named(problem, where)))
                break
    return found + disagreements(problem, device, dtype)


def named(problem: Problem, x: Tensor) -> dict[str, float]:
    """Return the coordinates of a point by name."""
    return dict(zip(problem.domain.names, x.tolist(), strict=True))


def disagreements(problem: Problem, device: torch.device, dtype: torch.dtype) -> list[Jump]:
    """Return pairs of conditions that prescribe different values of an unknown where their regions meet."""
    generator, found = torch.Generator(device).manual_seed(0), []
    given = {n: c for n, c in problem.conditions.items() if c.given is not None and c.given.order == 0}
    ranges = torch.tensor(problem.domain.ranges, device=device, dtype=dtype)
    for (name, one), (other, two) in combinations(given.items(), 2):
        assert one.given is not None and two.given is not None
        if (one.given.unknown or problem.unknowns[0]) != (two.given.unknown or problem.unknowns[0]):
            continue
        residuals = [_residual(problem, each, 0.0) for each in (name, other)]
        sizes = [
            float((residual(condition.region.sample("uniform", MEETING, None, device, dtype)) - PRESENT).abs().max())
            for residual, condition in zip(residuals, (one, two), strict=True)
        ]
        for first, second in product(one.region.fixed, two.region.fixed):
            if any(first[axis] != second[axis] for axis in first.keys() & second.keys()):
                continue  # they do not meet
            share = torch.rand(MEETING, len(ranges), generator=generator, device=device, dtype=dtype)
            x = ranges[:, 0] + share * (ranges[:, 1] - ranges[:, 0])
            for axis, value in {**first, **second}.items():
                x[:, axis] = value
            at = Points(x, torch.full_like(x[:, 0], 1 / len(x)))
            gap = (residuals[0](at) - residuals[1](at)).abs()[0]
            if float(gap.max()) > LEAST * max(sizes):
                what = f'the values of "{name}" and "{other}" differ by {float(gap.max()):.3g}'
                found.append(Jump(name, what, named(problem, x[int(gap.argmax())])))
                break
    return found


def discontinuity(function: Callable[[Points], Tensor], a: Points, b: Points) -> Tensor | None:
    """Return a point (dim,) at which a function (residuals, points) of points jumps, or None.

    Args:
        function: of points with normals.
        a, b: the ends of segments, with the same normals.
    """
    left, right, first = a.x, b.x, function(a)
    at_left, at_right = first, function(b)
    for _ in range(BISECTIONS):
        middle = 0.5 * (left + right)
        at_middle = function(replace(a, x=middle))
        is_left = ((at_middle - at_left).abs() > (at_right - at_middle).abs()).any(dim=0)
        left, right = torch.where(is_left[:, None], left, middle), torch.where(is_left[:, None], middle, right)
        at_left, at_right = torch.where(is_left, at_left, at_middle), torch.where(is_left, at_middle, at_right)
    changes = (at_right - at_left).abs()
    sizes = first.abs().amax(dim=1, keepdim=True)
    is_jump = (changes > LEAST * sizes).any(dim=0) & (changes > 0).any(dim=0)
    if not bool(is_jump.any()) or not isfinite(float(sizes.sum())):
        return None
    return left[int(is_jump.nonzero()[0])]


def _residual(problem: Problem, name: str, slope: float) -> Callable[[Points], Tensor]:
    """Return the residuals (residuals, points) of unknowns with the value `PRESENT` and all derivatives ``slope``."""

    def fields(context: Context, space: JetSpace) -> Sequence[Field]:
        def read(key: Key) -> Tensor:
            return torch.full_like(context.x[:, 0], slope if key else PRESENT)

        return [unknown(context, each, read) for each in problem.unknowns]

    at: Unknowns = fields
    return lambda points: torch.stack(residuals_of(problem, name, at, points))


def _segments(region: Region, device: torch.device, dtype: torch.dtype) -> list[tuple[Points, Points]]:
    """Return random segments within each piece of a region."""
    generator = torch.Generator(device).manual_seed(0)
    points = region.sample("uniform", SEGMENTS * region.pieces, generator, device, dtype)
    found = []
    for piece in region.fixed:
        inside = torch.ones(len(points.x), dtype=torch.bool, device=device)
        for axis, value in piece.items():
            inside &= points.x[:, axis] == value
        x, normal = points.x[inside], None if points.normal is None else points.normal[inside]
        if len(x) < 2 or len(piece) == x.shape[1]:
            continue
        share = 10 ** (-SHORTEST * torch.rand(len(x), 1, generator=generator, device=device, dtype=dtype))
        weight = torch.full_like(x[:, 0], 1 / len(x))
        ends = x + share * (x.roll(1, dims=0) - x)
        found.append((Points(x, weight, normal), Points(ends, weight, normal)))
    return found
