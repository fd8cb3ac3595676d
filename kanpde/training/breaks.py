"""Times at which the equations of a window jump, and points that see what lies between others or near its ends.

A polynomial does not fit a solution whose derivative jumps, as where ``torch.where(t > 0.37, 1.0, 0.0)`` is in the
equation, or ``sign(u)``. The jump is sought in the residuals of a smooth function: of the intervals between equally
spaced points the first is taken across which they change far more than in both its neighbours, and bisected to two
neighbouring numbers. The next window then ends there.
"""

from itertools import pairwise

import torch
from torch import Tensor

from kanpde.domains import Points
from kanpde.domains.box import Box
from kanpde.models.trajectory import Trajectory
from kanpde.problem import Problem
from kanpde.residuals.evaluation import components_of, from_components, residuals_of
from kanpde.residuals.misfit import misfit_of

SAMPLES, BISECTIONS = 2001, 60
SHARP = 4.0  # ratio of the change across an interval to those of its neighbours
ROUNDING = 4e-15  # of times
LEAST = 1e-6  # jump, relative to the largest term of the condition
DECADES, PER_DECADE = 12, 3  # of distances to the ends of a window, as parts of it, and Gauss points in each


def first_jump(problem: Problem, path: Trajectory, window: tuple[float, float]) -> float | None:
    """Return the first time inside a window at which the residuals of a function jump; None if there is none.

    Args:
        problem: without an ansatz.
        path: a smooth function in the window.
        window: beginning and end.
    """
    begin, end = window
    t = torch.linspace(begin, end, SAMPLES, dtype=path.weight.dtype, device=path.weight.device)
    found = [each for name in problem.conditions if (each := _first_of(problem, name, path, t)) is not None]
    slack = ROUNDING * max(abs(begin), abs(end))
    inside = [each for each in found if begin + slack < each < end - slack]
    return min(inside, default=None)


def _first_of(problem: Problem, name: str, path: Trajectory, t: Tensor) -> float | None:
    """Return the first time at which the residuals of a condition jump."""
    components = components_of(path, "jets")
    unknowns = from_components(problem, components)

    def values(at: Tensor) -> Tensor:
        points = Points(at[:, None], torch.full_like(at, 1 / len(at)))
        return torch.stack(residuals_of(problem, name, unknowns, points))

    least = LEAST * misfit_of(problem, name, components, Points(t[:, None], torch.full_like(t, 1 / len(t))), {}).size
    change = values(t).diff(dim=1).abs()
    around = torch.nn.functional.pad(change, (1, 1))
    is_sharp = (change > least) & (change > SHARP * torch.maximum(around[:, :-2], around[:, 2:]))
    places = is_sharp.any(dim=0).nonzero()[:, 0]
    if not len(places):
        return None
    row = torch.where(is_sharp, change, 0.0).argmax(dim=0)[places]  # smooth residuals must not lead the bisection

    def sharp(at: Tensor) -> Tensor:
        return values(at).gather(0, row[None])[0]

    left, right = t[places], t[places + 1]
    at_left, at_right = sharp(left), sharp(right)
    for _ in range(BISECTIONS):
        middle = 0.5 * (left + right)
        at_middle = sharp(middle)
        is_left = (at_middle - at_left).abs() > (at_right - at_middle).abs()
        left, right = torch.where(is_left, left, middle), torch.where(is_left, middle, right)
        at_left, at_right = torch.where(is_left, at_left, at_middle), torch.where(is_left, at_middle, at_right)
    jumps = ((at_right - at_left).abs() > least).nonzero()[:, 0]
    return float(right[jumps[0]]) if len(jumps) else None


def graded(box: Box, count: int, device: torch.device) -> Points:
    """Return ``count`` Gauss points of a window of time, and Gauss points in every decade of the distances to its ends.

    The equations may jump so near an end that none of the usual points sees it.
    """
    begin, end = box.ranges[0]
    near = [0.0, *(10.0**-k for k in range(DECADES, 0, -1))]
    parts, weights = [], []
    for first, last in pairwise([*near, *(1 - each for each in reversed(near))]):
        wanted = count if first == near[-1] else PER_DECADE
        inside = box.interior.sample("gauss", wanted, None, device)
        s = (inside.x - begin) / (end - begin)
        parts.append(begin + (first + s * (last - first)) * (end - begin))
        weights.append(inside.weight * (last - first))
    return Points(torch.cat(parts), torch.cat(weights))
