r"""What is known of a level when it has ended: the loss on fresh points, where points are missing, the error.

There are three estimates of the error. `kanpde.training.tangent` solves the linearized conditions in the tangent space
of a larger network, wherever the Jacobian can be assembled. `kanpde.classical.estimate` solves them with polynomials,
which takes longer, on boxes of up to two coordinates. The cheapest follows from successive levels: with
$d = |u_k - u_{k-1}| / |u_k|$ and $q$ the ratio of the roots of their fresh losses, the error before the level is about
$d / (1 - q)$ and after it $d q / (1 - q)$, as for a geometric sequence. It is too small where the residual falls faster
than the error, and only decides whether the polynomials are tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf, nan, sqrt
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.domains import Points
from kanpde.domains.box import Box
from kanpde.domains.cells import Cells, equal_cells
from kanpde.domains.families import family_of
from kanpde.errors import InputError
from kanpde.models.network import Network, trained_size
from kanpde.problem import Problem
from kanpde.residuals.evaluation import asked_of, components_of, from_components, residuals_of
from kanpde.residuals.objective import Objective
from kanpde.training.fresh import fresh_points, loss_at, quadrature_points
from kanpde.training.partly import left_open
from kanpde.training.settings import Settings
from kanpde.training.state import Assessed, State
from kanpde.training.surroundings import Surroundings, affordable
from kanpde.training.tangent import objective_of_values, tangent_change
from kanpde.training.watch import LOOSE, kept

ALONG = {1: 6, 2: 5, 3: 4}  # Gauss points along each coordinate of a cell, by number of coordinates
UNSEEN = 3.0  # fresh loss over training loss above which points are missing
LEAST_GAIN = 4.0  # a level that lowers the fresh loss by less is idle
LEFT, RELATIVE = 0.5, 1e-4  # share of the loss left unexplained, and size of the residual relative to its terms
MOST_PARAMETERS = 2000  # for an estimate in the tangent space, whose cost grows with their cube
VALUES = 2000  # points at which the largest change of the values is sought
CONVERGES = 0.5  # largest q for an extrapolation


@dataclass(frozen=True)
class Seen:
    """The loss on fresh points.

    Attributes:
        loss: of all conditions, with the weights of the run.
        trained: the loss on the training points.
        shares: by condition with cells, the shares of the cells in the loss, on fresh points and on training points.
    """

    loss: float
    trained: float
    shares: Mapping[str, tuple[Tensor, Tensor]]

    @property
    def lacks_points(self) -> bool:
        """Whether the residual between the training points is clearly larger than at them."""
        return self.loss > UNSEEN * self.trained


def first_cells(settings: Settings, state: State) -> dict[str, Cells]:
    """Return equal cells for the conditions on the whole domain; none unless it is a box of up to three coordinates."""
    problem = settings.problem
    if not isinstance(problem.domain, Box) or len(problem.domain.names) not in ALONG:
        return {}
    ranges = torch.tensor(problem.domain.ranges, device=settings.device, dtype=settings.dtype)
    numbers = {name: n for name, n in state.used["points"].items() if problem.trained[name].region.is_interior}
    return {name: equal_cells(ranges, n, ALONG[len(ranges)]) for name, n in numbers.items()}


def squares(settings: Settings, state: State, name: str, along: int) -> tuple[Tensor, Tensor]:
    """Return a condition's squared residuals at Gauss points of its cells, ``along`` per coordinate, and their weights.

    The residuals are multiplied by the weight of the condition, so that the sum of the products is its loss.
    """
    problem, points = settings.problem, state.cells[name].points(along)
    unknowns = from_components(problem, components_of(state.network, settings.derivatives))
    residuals = residuals_of(problem, name, unknowns, points, state.named_coefficients(problem))
    square = torch.stack([r.detach().square() for r in residuals]).sum(dim=0)
    return state.used["weights"][name] * square, points.weight


def shares(settings: Settings, state: State, name: str, along: int) -> Tensor:
    """Return the shares of the cells in the loss of a condition."""
    square, weight = squares(settings, state, name, along)
    return state.cells[name].sums(weight * square)


def seen(settings: Settings, state: State) -> Seen:
    """Return the loss of the last level on fresh points."""
    trained = {name: shares(settings, state, name, cells.along) for name, cells in state.cells.items()}
    loss, fresh = fresh_loss(settings, state)
    return Seen(loss, state.levels[-1]["loss"], {name: (fresh[name], each) for name, each in trained.items()})


def fresh_loss(settings: Settings, state: State) -> tuple[float, dict[str, Tensor]]:
    """Return the loss on fresh points, and by condition with cells the cells' shares in it.

    The fresh points are finer Gauss points in the cells, and random points elsewhere.
    """
    by_cell = {name: shares(settings, state, name, cells.along + 2) for name, cells in state.cells.items()}
    points = fresh_points(settings, state, state.phase - 1, settings.seed + state.phase)
    others = {name: each for name, each in points.items() if name not in by_cell}
    loss = sum(float(fresh.sum()) for fresh in by_cell.values())
    if others:
        problem = settings.problem
        kept = {name: c for name, c in problem.conditions.items() if name in others or name not in problem.trained}
        weights = {name: state.used["weights"][name] for name in others}
        loss += loss_at(replace(settings, problem=replace(problem, conditions=kept)), state, others, weights)
    return loss, by_cell


def values_of(settings: Settings, x: Tensor, network: nn.Module) -> Tensor:
    """Return the unknowns at points x (points, dim), (unknowns, points)."""
    components = components_of(network, settings.derivatives)
    return torch.stack(asked_of(settings.problem, components, x, lambda *u: [each.value for each in u]))


def assessed(settings: Settings, state: State, around: Surroundings, found: Seen) -> Assessed:
    """Return the assessment of the level that has just ended."""
    values = values_of(settings, around.errors.x, state.network)
    before, found_estimate = state.before, tangent_estimate(settings, state, around)
    estimate, looseness = found_estimate.error, found_estimate.looseness
    if before is None:
        return Assessed(values, found.loss, estimate, looseness=looseness)
    q = sqrt(found.loss / before.fresh) if before.fresh > 0 else inf
    d = relative_change(values - before.values, values, settings.floor)
    extrapolated = d * q / (1 - q) if q <= CONVERGES else nan
    idle = 0 if q * q * LEAST_GAIN <= 1 else before.idle + 1
    # if points are missing, the size of the network is not the reason
    idle = before.idle if found.lacks_points else idle
    return Assessed(values, found.loss, estimate, extrapolated, idle, looseness)


@dataclass(frozen=True)
class Estimate:
    """An estimate of the error.

    Attributes:
        error: relative L2 error, the largest of all unknowns; NaN if there is no estimate.
        looseness: the largest change of the solution, relative to it, for a change of the residuals by the size of
            their largest terms; NaN if unknown. From `LOOSE` on the conditions do not determine the solution.
        is_above_1: whether the error is NaN because it would exceed 1, where a linearization means nothing.
        open: what the errors of the data leave open (`kanpde.training.partly`), and where; None without.
    """

    error: float = nan
    looseness: float = nan
    is_above_1: bool = False
    open: tuple[float, str] | None = None

    def row(self) -> dict[str, float]:
        """Return error and looseness under the names of their columns in tables."""
        return {"estimate": self.error, "looseness": self.looseness}


def tangent_estimate(settings: Settings, state: State, around: Surroundings) -> Estimate:
    """Return the relative L2 error estimated by `kanpde.training.tangent`.

    There is no estimate for a sum of products, whose tangent space lacks further products, or if the Jacobian cannot
    be assembled or is too large, if most of a residual that is not small
    remains unexplained, if it would exceed 1, or if the conditions do not determine the solution.
    """
    if not isinstance(state.network, Network) or settings.derivatives != "jets" or state.network.is_separable:
        return Estimate()
    if trained_size(state.network) > MOST_PARAMETERS:
        return Estimate()
    domain = settings.problem.domain  # random points of a boundary leave gaps along the parameters of a family
    chosen = fresh_points if isinstance(domain, Box) and not family_of(domain) else quadrature_points
    points = chosen(settings, state, state.phase - 1, settings.seed + state.phase)
    points |= {name: cells.points(cells.along + 2) for name, cells in state.cells.items()}
    problem, weights, level = settings.problem, state.used["weights"], state.levels[-1]

    def make(network: nn.Module, coefficients: nn.Parameter | None, at: Mapping[str, Points]) -> Objective:
        return Objective(problem, network, at, weights, coefficients)

    generator = torch.Generator(settings.device).manual_seed(settings.seed)
    inside = points_inside(problem, points, around)
    some = torch.randperm(len(inside.x), generator=generator, device=settings.device)[:VALUES]
    x, weight = inside.x[some], inside.weight[some] / inside.weight[some].sum()

    def of_values(network: nn.Module) -> Objective:
        return objective_of_values(problem, network, x, weight)

    outputs, fits = len(problem.unknowns), partial(affordable, settings, around, "the estimate of the error")
    found = tangent_change(state.network, state.coefficients, make, points, of_values, outputs, generator, fits)
    if found is None:
        return Estimate()
    now = values_of(settings, x, state.network)
    size = float((now.square() @ weight).mean().sqrt())
    looseness = found.largest * largest_term(problem, level) / max(size, 1e-300)
    relative = max(level.get(f"relative_{name}", 0.0) for name in problem.trained)
    part = left_open(problem, level, found, x, size)
    if looseness >= LOOSE or (found.left > LEFT and relative > RELATIVE):
        return Estimate(nan, looseness, open=part)
    change = relative_change(found.change / weight.sqrt(), now, settings.floor, weight)
    if found.left > LEFT:  # the larger network explains little: what is left may be a change of the solution too
        change = max(change, found.largest * found.rest / max(size, 1e-300))
    return Estimate(resolved_size(change), looseness, change > 1, part)


def points_inside(problem: Problem, points: Mapping[str, Points], around: Surroundings) -> Points:
    """Return the points of all conditions inside the domain; the test points if there are none.

    At other points a function whose small support contains no point of the conditions would change the values, but no
    residual.
    """
    found = [each for name, each in points.items() if problem.trained[name].region.is_interior]
    if not found:
        x = around.errors.x
        return Points(x, torch.full_like(x[:, 0], 1 / len(x)))
    return Points(torch.cat([each.x for each in found]), torch.cat([each.weight for each in found]) / len(found))


def largest_term(problem: Problem, level: Mapping[str, Any]) -> float:
    """Return the root mean square of the largest term of all conditions, as it enters the loss; NaN if all are zero."""
    relative = {name: level.get(f"relative_{name}", 0.0) for name in problem.trained}
    return max((sqrt(level[f"loss_{name}"]) / size for name, size in relative.items() if size > 0), default=nan)


def relative_change(change: Tensor, values: Tensor, floor: float, weight: Tensor | None = None) -> float:
    """Return the relative size of a change of the unknowns, the largest of all.

    Args:
        change: (unknowns, points).
        values: of the unknowns at the same points.
        floor: as `kanpde.training.settings.Settings.floor`.
        weight: of the points, (points,); by default all count alike.
    """
    changed, sizes = (
        (each.square().mean(dim=1) if weight is None else each.square() @ weight).sqrt() for each in (change, values)
    )
    tiny = torch.finfo(values.dtype).tiny  # a solution that is 0 and does not change has no error
    return float((changed / (sizes + floor).clamp_min(tiny)).max())


def resolved(change: Tensor, values: Tensor, floor: float, weight: Tensor | None = None) -> float:
    """Return the `relative_change`; NaN above 1, where it means nothing."""
    return resolved_size(relative_change(change, values, floor, weight))


def resolved_size(error: float) -> float:
    """Return a relative error; NaN above 1, where it means nothing."""
    return error if error <= 1 else nan


def with_estimate(settings: Settings, state: State, around: Surroundings) -> State:
    """Record the estimated error of the final network, NaN if there is none.

    It is not computed after a signal, which is urgent, nor for fits, whose errors are measured on rows kept back.
    """
    if state.used.get("estimate") is not None or state.ending.end.is_requested or settings.problem.is_fit:
        return state
    level = kept(state.levels)
    if not level or "fresh" not in level:
        return state
    estimate = tangent_estimate(settings, replace(state, levels=(level,)), around)
    above = {"estimate_above_1": True} if estimate.is_above_1 else {}
    left = {"left_open": list(estimate.open)} if estimate.open is not None else {}
    return replace(state, used={**state.used, **estimate.row(), **above, **left})


def confirmed(settings: Settings, state: State) -> float | None:
    """Return the estimate from the linearized conditions (`kanpde.classical.estimate`), or None where there is none.

    It exists on boxes of one and two coordinates, if the problem has no unknown coefficients and polynomials resolve
    the error.
    """
    if not isinstance(settings.problem.domain, Box) or len(settings.problem.domain.names) > 2:
        return None
    from kanpde.classical.estimate import estimate_error  # here, because few runs use it

    solution = SimpleNamespace(problem=settings.problem, components=components_of(state.network, settings.derivatives))
    try:
        found = estimate_error(solution)
    except InputError:
        return None
    return max(errors["l2"] for errors in found.errors.values()) if found.settled else None
