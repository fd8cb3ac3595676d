r"""An estimate of the error from the linearized conditions, in the tangent space of an enlarged network.

With r the residuals of the approximation $u_h$, the error $e = u - u_h$ solves $r'(u_h)\, e = -r(u_h)$ up to
$O(e^2)$. It is sought among the functions $\sum_i \delta_i\, \partial u / \partial w_i$ that the weights of the network
generate, after its cells have been halved or nodes have been added, by least squares on fresh points: one undamped
Gauss-Newton step, whose change of the values is the estimate. It includes the parts of the error that training reaches
too slowly, and those that the next level will resolve, but nothing that the points do not see. The values must be
compared at points of the conditions: on cells that contain other points only, the functions are free. The share of the
loss that the step does not remove says how much of the residual no function of the space explains, as where conditions
contradict each other.

The same system tells how far the conditions determine the solution: with V the derivative of the values and J that of
the residuals, the largest $|V\delta| / |J\delta|$ is the largest change of the solution for a change of the residuals
by 1. Where the solution is not unique, it is limited only by the damping, and the estimate means nothing.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from math import nan
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kanpde.conditions.condition import Condition
from kanpde.domains import Points
from kanpde.models.network import Network
from kanpde.optimizers.damped import QR, DampedSystem, column_scale
from kanpde.problem import Problem
from kanpde.residuals.objective import Objective

OVERDETERMINED = 2  # least number of residuals per parameter
ITERATIONS = 4  # of the power method for the largest ratio
LEAST_DAMPING = 1e-15  # limits the ratio where the solution is not unique
DAMPING = 1e-13  # of the scaled normal equations; against directions that the residuals do not see at all
FLOOR = 1e-12


class Tangent(NamedTuple):
    """The linearized error, and what it leaves unexplained.

    Attributes:
        change: the error, multiplied by the roots of the weights of the points, (unknowns, points).
        left: the share of the loss that is left.
        rest: the root of the loss that is left.
        largest: the largest change of the values per residual; NaN if there are too few points to tell, or the residual
            jumps between the cells of the network.
        loosest: a change of the values with that ratio, as ``change``.
    """

    change: Tensor
    left: float
    rest: float
    largest: float
    loosest: Tensor


def tangent_change(
    network: Network,
    coefficients: nn.Parameter | None,
    make: Callable[[nn.Module, nn.Parameter | None, Mapping[str, Points]], Objective],
    points: Mapping[str, Points],
    of_values: Callable[[nn.Module], Objective],
    outputs: int,
    generator: torch.Generator,
    affordable: Callable[[tuple[int, int]], bool] = lambda size: True,
) -> Tangent | None:
    """Return the linearized error at the points of ``of_values``.

    It is the product of the derivative of the values with the step: differences of the values themselves are not
    accurate enough, because the step of a network that is not fully trained may be long.

    None if the least-squares problem has no solution in this precision, or is not affordable.

    Args:
        network: the approximation.
        coefficients: of an inverse problem.
        make: makes the objective of a network at points.
        points: fresh points by condition, more than the enlarged network has parameters.
        of_values: makes an objective of a network by `objective_of_values`, at points of the conditions.
        outputs: number of the unknowns.
        generator: for the weights of new nodes.
        affordable: whether there is time for so many residuals and parameters.
    """
    larger, coefficients = deepcopy(network), deepcopy(coefficients)
    if larger.grid is not None:
        larger.refine(2 * larger.grid)
    elif larger.nodes:
        larger.widen(larger.half_wider, generator)
    objective = make(larger, coefficients, points)
    if not affordable(objective.size):
        return None
    r, jacobian = objective.linearize()
    system = QR(jacobian, column_scale(jacobian.square().sum(dim=0), FLOOR))
    y = system.solve(DAMPING, r, system.transposed(r))
    if y is None:
        return None
    _, of_unknowns = of_values(larger).linearize()
    own = of_unknowns.shape[1]  # the coefficients of an inverse problem do not change the values
    change = (of_unknowns @ (y / system.scale)[:own]).view(outputs, -1)
    is_overdetermined = jacobian.shape[0] >= OVERDETERMINED * jacobian.shape[1]  # else the points, not the conditions,
    # leave freedom, as does a residual that jumps between cells, where a step of the values has no residual at points
    is_smooth = larger.smoothness > max(site.space.order for site in objective.sites)
    largest, loosest = nan, change.new_full((), nan)
    if is_overdetermined and is_smooth:
        largest, loosest = loosest_change(of_unknowns, system)
    rest = (r + system.forward(y)).norm()
    left = (rest / r.norm().clamp_min(torch.finfo(r.dtype).tiny)).square()
    return Tangent(change, float(left), float(rest), largest, loosest.expand_as(change.flatten()).view_as(change))


def objective_of_values(problem: Problem, network: nn.Module, x: Tensor, weight: Tensor) -> Objective:
    """Return an objective whose residuals are the unknowns of a network, with the problem's ansatz, at points x."""
    whole = replace(problem.domain.interior, is_interior=False)  # else a domain of parts would divide the condition
    own = {"values": Condition(whole, lambda *fields: fields[: len(problem.unknowns)])}
    ansatz = None if problem.ansatz is None else replace(problem.ansatz, satisfies=())
    problem = replace(problem, conditions=own, ansatz=ansatz, parameters={})
    return Objective(problem, network, {"values": Points(x, weight)})


def largest_change(jacobian: Tensor, system: DampedSystem) -> float:
    """Return the largest ratio of the root mean square change of the values to the change of the residuals, or NaN."""
    return loosest_change(jacobian, system)[0]


def loosest_change(jacobian: Tensor, system: DampedSystem) -> tuple[float, Tensor]:
    """Return the largest ratio of the root mean square change of the values to that of the residuals, and the change.

    Both are NaN if the system cannot be solved with so little damping.

    Args:
        jacobian: of the values, from an objective by `objective_of_values`.
        system: of the residuals.
    """
    own = jacobian.shape[1]  # the coefficients of an inverse problem do not change the values
    b = torch.nn.functional.pad(jacobian / system.scale[:own], (0, len(system.scale) - own))
    y, ratio, change = torch.ones_like(system.scale), 0.0, b.new_zeros(len(b))
    for _ in range(ITERATIONS):
        target = b.T @ (b @ y)
        solved = system.inverse(LEAST_DAMPING, target)
        if solved is None and (better := system.more_accurate()) is not None:
            system = better
            solved = system.inverse(LEAST_DAMPING, target)
        if solved is None:
            return nan, torch.full_like(change, nan)
        y = solved / solved.norm()
        tiny = torch.finfo(y.dtype).tiny
        change = b @ y
        ratio = float(change.norm() / system.forward(y).norm().clamp_min(tiny))
    return ratio, change
