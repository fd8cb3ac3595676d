"""How far the conditions determine the solution on a box, among polynomials added to it.

The tangent space of a sum of few products lacks most functions that could be added to a solution that is not unique,
such as harmonic ones where boundary values are missing. So changes of the solution are sought among polynomials.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan, sqrt
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field
from kanpde.calculus.jet import JetSpace, Key
from kanpde.domains import Points
from kanpde.models.polynomials import polynomials
from kanpde.optimizers.damped import QR, column_scale
from kanpde.problem import Ansatz, Problem
from kanpde.residuals.evaluation import Components, components_of
from kanpde.residuals.objective import Objective
from kanpde.training.tangent import FLOOR, largest_change, objective_of_values

POLYNOMIALS = {1: 50, 2: 250}  # at most, for each unknown, by number of coordinates
MOST_POLYNOMIALS = 1000  # with more coordinates
VALUES = 2000  # points at which the change of the values is measured


def looseness(
    problem: Problem,
    network: nn.Module,
    coefficients: nn.Parameter | None,
    points: Mapping[str, Points],
    weights: Mapping[str, float],
    relative: Mapping[str, float],
    squares: Mapping[str, float],
) -> float:
    """Return the largest change of the solution for a change of the residuals, as `Estimate.looseness` is defined.

    Args:
        problem: on a box without periodic coordinates.
        network: the solution.
        coefficients: of an inverse problem.
        points: by condition.
        weights: by condition.
        relative: the size of the residuals relative to their largest terms, by condition.
        squares: the contribution of every condition to the loss.
    """
    components = components_of(network, "jets")
    own, like = around_solution(problem, components), next(network.parameters())
    domain = problem.domain
    most = POLYNOMIALS.get(len(domain.names), MOST_POLYNOMIALS)
    added = polynomials(domain.ranges, len(problem.unknowns), most, like.device, like.dtype)
    objective = Objective(own, added, points, weights, coefficients)
    _, jacobian = objective.linearize()
    system = QR(jacobian, column_scale(jacobian.square().sum(dim=0), FLOOR))
    x = domain.interior.sample("sobol", VALUES, None, like.device, like.dtype).x
    of_values = objective_of_values(own, added, x, torch.full_like(x[:, 0], 1 / len(x)))
    size = float(of_values.values().square().sum().sqrt())
    terms = [sqrt(squares[name]) / part for name, part in relative.items() if part > 0]
    return largest_change(of_values, system) * max(terms, default=nan) / max(size, 1e-300)


def around_solution(problem: Problem, components: Components) -> Problem:
    """Return the problem for what is added to the outputs of a network."""
    space, before = problem.domain.space, problem.ansatz

    def field(context: Context, i: int) -> Field:
        def component(key: Key) -> Tensor:
            wanted = JetSpace.spanned([key], space)
            return components(context.x, wanted)[wanted.row[key]][:, i]

        return Field(context, component)

    def function(coords: Sequence[Field], *added: Field) -> Any:
        total = [field(each.context, i) + each for i, each in enumerate(added)]
        if before is not None:
            return before.function(coords, *total)
        return tuple(total) if len(total) > 1 else total[0]

    return replace(problem, ansatz=Ansatz(function, before.satisfies if before is not None else ()))
