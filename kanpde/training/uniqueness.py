"""How far the conditions determine the solution on a box, among polynomials added to it.

The tangent space of a sum of few products lacks most functions that could be added to a solution that is not unique,
such as harmonic ones where boundary values are missing. So changes of the solution are sought among polynomials.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan
from typing import Any

import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field
from kanpde.calculus.jet import JetSpace, Key
from kanpde.domains import Points
from kanpde.models.polynomials import polynomials
from kanpde.optimizers.damped import QR, column_scale
from kanpde.problem import Ansatz, Problem
from kanpde.residuals.evaluation import Components, components_of
from kanpde.residuals.objective import Objective
from kanpde.training.assessment import largest_term
from kanpde.training.settings import Settings
from kanpde.training.state import State
from kanpde.training.tangent import FLOOR, largest_change, objective_of_values

POLYNOMIALS = {1: 50, 2: 250}  # at most, for each unknown, by number of coordinates
MOST_POLYNOMIALS = 1000  # with more coordinates
VALUES = 2000  # points at which the change of the values is measured


def looseness(settings: Settings, state: State, points: Mapping[str, Points]) -> float:
    """Return the looseness (`kanpde.training.assessment.Estimate`) of the last level; NaN if a coordinate is periodic.

    Args:
        settings: with a problem on a box.
        state: with its network.
        points: by condition, several times as many as polynomials.
    """
    problem, network = settings.problem, state.network
    domain = problem.domain
    if domain.periodic:  # the polynomials are not
        return nan
    own = around_solution(problem, components_of(network, "jets"))
    most = POLYNOMIALS.get(len(domain.names), MOST_POLYNOMIALS)
    added = polynomials(domain.ranges, len(problem.unknowns), most, settings.device, settings.dtype)
    objective = Objective(own, added, points, state.used["weights"], state.coefficients)
    _, jacobian = objective.linearize()
    system = QR(jacobian, column_scale(jacobian.square().sum(dim=0), FLOOR))
    x = domain.interior.sample("sobol", VALUES, None, settings.device, settings.dtype).x
    of_values = objective_of_values(own, added, x, torch.full_like(x[:, 0], 1 / len(x)))
    size = float(of_values.values().square().sum().sqrt())
    return (
        largest_change(of_values.linearize()[1], system) * largest_term(problem, state.levels[-1]) / max(size, 1e-300)
    )


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
