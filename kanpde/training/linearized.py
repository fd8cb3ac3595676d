"""The linearized residuals of a trained network, reduced to triangular factors: for covariances and for a last step."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kanpde.domains import Points
from kanpde.models.network import Network, singular_coefficients, trained_size
from kanpde.problem import Problem
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import IntegralSite, Site, sites_of
from kanpde.training.covariance import Found, Group, covariance, of_residuals, triangle_of
from kanpde.training.settings import Settings
from kanpde.training.state import State

ROWS = 4096  # of J that are treated at once
MOST_PARAMETERS = 2000  # the cost grows with their square, times the number of points


def is_linearizable(settings: Settings, network: nn.Module) -> bool:
    """Return whether the residuals have a Jacobian that is not too large."""
    is_known = settings.derivatives == "jets" and isinstance(network, Network) and bool(network.layers)
    return is_known and trained_size(network) <= MOST_PARAMETERS


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
        names: of the coefficients, the last columns of J; those of singular functions come before the problem's.
        rows: number of the residuals without measured values.
    """

    rest: NDArray[np.float64]
    data: Sequence[Group]
    names: Sequence[str]
    rows: int = 0

    def found(self, held: Sequence[str] = ()) -> Found | None:
        """Return what is known of the coefficients that are not held fixed; None if nothing is."""
        count = len(self.names) - len(held)
        first = self.rest.shape[1] - 1 - len(self.names)
        columns = [first + self.names.index(name) for name in held]
        if not count:
            return None
        rest = np.delete(self.rest, columns, axis=1)
        if not self.data:
            return of_residuals(rest, self.rows, count)
        data = [replace(group, triangle=np.delete(group.triangle, columns, axis=1)) for group in self.data]
        return covariance(rest, data, count)

    def whole(self) -> NDArray[np.float64]:
        """Return the triangle of all rows, (at most parameters + 1, parameters + 1)."""
        return triangle_of([self.rest, *(group.triangle for group in self.data)], self.rest.shape[1])


def linearized(settings: Settings, state: State, points: Mapping[str, Points]) -> Linearized:
    """Linearize the residuals of all conditions at points, in pieces."""
    problem, weights = settings.problem, state.used["weights"]
    sites = sites_of(problem, points)

    def part(*own: Site | IntegralSite) -> Objective:
        """An objective keeps the features of its points, so every site has one of its own."""
        known = {site.name: weights[site.name] for site in own}
        return Objective(problem, state.network, points, known, state.coefficients, sites=own)

    columns = part().size[1] + 1
    triangles = {
        name: triangle_of(_blocks(part(site) for site in sites if site.name == name), columns) for name in points
    }
    rows = {name: sum(site.rows for site in sites if site.name == name) for name in points}
    groups = [
        Group(triangles[name], rows[name], weights[name] / len(points[name].x) if problem.trained[name].noise else nan)
        for name in _measured(problem)
    ]
    others = [name for name in points if name not in _measured(problem)]
    rest = triangle_of((triangles[name] for name in others), columns)
    names = (*singular_coefficients(state.network), *problem.parameters)
    return Linearized(rest, groups, names, sum(rows[name] for name in others))


def _measured(problem: Problem) -> list[str]:
    return [name for name, condition in problem.trained.items() if condition.region.is_measured]


def _blocks(parts: Iterable[Objective]) -> Iterator[NDArray[np.float64]]:
    """Yield blocks of rows of [J, r] of a condition."""
    block = []
    for part in parts:
        (site,) = part.sites
        jacobian = part.parameters[0].new_empty(part.size)
        r = part.linearize_site(site, jacobian)
        block.append(np.concatenate([jacobian.double().cpu().numpy(), r.double().cpu().numpy()[:, None]], axis=1))
        if sum(map(len, block)) >= ROWS:
            yield np.concatenate(block)
            block = []
    if block:
        yield np.concatenate(block)
