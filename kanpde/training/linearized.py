"""The linearized residuals of a trained network, reduced to triangular factors: for covariances and for a last step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
from numpy.typing import NDArray

from kanpde.domains import Points
from kanpde.problem import Problem
from kanpde.residuals.objective import Objective
from kanpde.training.covariance import Found, Group, covariance, triangle_of
from kanpde.training.settings import Settings
from kanpde.training.state import State

ROWS = 4096  # of J that are treated at once


def all_rows(settings: Settings) -> dict[str, Points]:
    """Return all measured points by condition, however many."""
    measured = {name: c.region for name, c in settings.problem.trained.items() if c.region.rows}
    return {
        name: region.sample("auto", region.rows or 0, None, settings.device, settings.dtype)
        for name, region in measured.items()
    }


@dataclass(frozen=True)
class Linearized:
    """The triangles of [J, r].

    Attributes:
        rest: of the conditions without measured values.
        data: of those with them.
        names: of the coefficients, the last columns of J.
    """

    rest: NDArray[np.float64]
    data: Sequence[Group]
    names: Sequence[str]

    def found(self, held: Sequence[str] = ()) -> Found | None:
        """Return what is known of the coefficients that are not held fixed; None if nothing is."""
        count = len(self.names) - len(held)
        first = self.rest.shape[1] - 1 - len(self.names)
        columns = [first + self.names.index(name) for name in held]
        if not count:
            return None
        data = [replace(group, triangle=np.delete(group.triangle, columns, axis=1)) for group in self.data]
        return covariance(np.delete(self.rest, columns, axis=1), data, count)

    def whole(self) -> NDArray[np.float64]:
        """Return the triangle of all rows, (at most parameters + 1, parameters + 1)."""
        return triangle_of([self.rest, *(group.triangle for group in self.data)], self.rest.shape[1])


def linearized(settings: Settings, state: State, points: Mapping[str, Points]) -> Linearized:
    """Linearize the residuals of all conditions at points."""
    problem, weights = settings.problem, state.used["weights"]
    objective = Objective(problem, state.network, points, weights, state.coefficients)
    columns = objective.size[1] + 1
    triangles = {name: triangle_of(_blocks(objective, name), columns) for name in points}
    groups = [_group(problem, objective, name, triangles[name]) for name in _measured(problem)]
    rest = [triangle for name, triangle in triangles.items() if name not in _measured(problem)]
    return Linearized(triangle_of(rest, columns), groups, tuple(problem.parameters))


def _measured(problem: Problem) -> list[str]:
    return [name for name, condition in problem.trained.items() if condition.region.is_measured]


def _group(problem: Problem, objective: Objective, name: str, triangle: NDArray[np.float64]) -> Group:
    """Return the rows of a condition with measured values."""
    rows = sum(site.rows for site in objective.sites if site.name == name)
    is_known = problem.trained[name].noise > 0
    return Group(triangle, rows, objective.weights[name] / len(objective.points[name].x) if is_known else nan)


def _blocks(objective: Objective, name: str) -> Iterator[NDArray[np.float64]]:
    """Yield blocks of rows of [J, r] of a condition."""
    size, block = objective.size[1], []
    for site in objective.sites:
        if site.name != name:
            continue
        jacobian = objective.parameters[0].new_empty(site.rows, size)
        r = objective.linearize_site(site, jacobian)
        block.append(np.concatenate([jacobian.double().cpu().numpy(), r.double().cpu().numpy()[:, None]], axis=1))
        if sum(map(len, block)) >= ROWS:
            yield np.concatenate(block)
            block = []
    if block:
        yield np.concatenate(block)
