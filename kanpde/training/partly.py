r"""Solutions that equations and measured values determine only partly, as an initial state known from later values.

The errors of the data leave the solution free in what changes no residual by more than they do. With V the derivative
of the values and J that of the residuals (`kanpde.training.tangent`), the largest such change is
$|V\delta| / |J\delta|$ times the root of the loss of the data. It is doubted if it is large, and much larger than the
errors themselves, which every solution of data with errors may follow.
"""

from collections.abc import Mapping
from math import isfinite, sqrt
from typing import Any

from torch import Tensor

from kanpde.errors import ResultWarning
from kanpde.problem import Problem
from kanpde.training.tangent import Tangent

LARGE, AMPLIFIED = 0.1, 5.0  # least change relative to the solution, and relative to the errors of the data
NEAR, MOST = 0.15, 0.6  # share of a range about a place, and share of the squared change that lies there


def left_open(
    problem: Problem, level: Mapping[str, Any], found: Tangent, x: Tensor, size: float
) -> tuple[float, str] | None:
    """Return the largest change that the data leave open, relative to the solution, and where it is; None if small.

    Args:
        problem: of the run; without measured values nothing is left open by them.
        level: its last row of the table of levels.
        found: the linearization of the residuals.
        x: the points of ``found``, (points, dim).
        size: root mean square of the solution.
    """
    names = [name for name, condition in problem.trained.items() if condition.region.rows]
    if not names or problem.is_fit or not isfinite(found.largest):
        return None
    change = found.largest * sqrt(sum(level[f"loss_{name}"] for name in names)) / max(size, 1e-300)
    errors = max(level.get(f"relative_{name}", 0.0) for name in names)
    return (change, place_of(problem, found.loosest, x)) if change >= max(LARGE, AMPLIFIED * errors) else None


def place_of(problem: Problem, change: Tensor, x: Tensor) -> str:
    """Return the coordinates near which most of a change (unknowns, points) lies, as "t = 0"; else ""."""
    square, parts = change.square().sum(dim=0), []
    for i, (name, (lower, upper)) in enumerate(zip(problem.domain.names, problem.domain.ranges, strict=True)):
        at = float(square @ x[:, i] / square.sum())
        at = next((end for end in (lower, upper) if abs(at - end) < NEAR / 2 * (upper - lower)), at)
        is_near = (x[:, i] - at).abs() < NEAR * (upper - lower)
        if float(square[is_near].sum() / square.sum()) > MOST:
            parts.append(f"{name} = {at:.2g}")
    return ", ".join(parts)


def partly_determined(change: float, place: str) -> ResultWarning:
    """Return the warning on what `left_open` found."""
    where = f", mostly near {place}," if place else ""
    return ResultWarning(
        f"The data determine the solution only partly: a change of it by {min(change, 1):.0%} of its size{where} "
        "changes the residuals by no more than the errors of the data.",
        advice="Measure there, or add what is known of the solution, such as initial or boundary values.",
    )
