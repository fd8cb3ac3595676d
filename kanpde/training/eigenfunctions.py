"""Normalized eigenfunctions, with the bounds of their eigenvalues, as solutions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kanpde.ends import End, Ending
from kanpde.models.network import singular_coefficients
from kanpde.problem import Problem
from kanpde.residuals.evaluation import asked_of, components_of
from kanpde.residuals.misfit import misfit_of
from kanpde.solution import Solution
from kanpde.training.pencil import Pencil
from kanpde.training.subspace import groups_of
from kanpde.training.widening import Level

POOR = 0.01  # bound relative to the largest value, above which eigenvalues may be wrong or missing
NORMS = 4000  # points for the norms of eigenfunctions
BEYOND = 6  # further eigenvalues among which those are sought that belong to the same eigenspace


class Eigenfunctions(NamedTuple):
    """Eigenfunctions, the bounds and groups of their eigenvalues, and how many make all eigenspaces complete."""

    solutions: tuple[Solution, ...]
    bounds: tuple[float, ...]
    groups: tuple[tuple[int, ...], ...]
    complete: int


def eigenfunctions(problem: Problem, level: Level, facts: dict[str, Any]) -> Eigenfunctions:
    """Return the normalized eigenfunctions with the last network, an orthonormal basis of every group.

    Args:
        problem: that of the user.
        level: the eigenvalues.
        facts: of the run.
    """
    pencil, found = level.pencil, level.found
    values, coefficients = found.values.tolist(), torch.as_tensor(found.coefficients, dtype=torch.float64)
    each = [pencil.with_weights(c) for c in coefficients.T]
    groups = groups_of(found.values, [one.bound(value) for one, value in zip(each, values, strict=True)])
    weights = _orthonormal(pencil, coefficients, groups)
    each = [pencil.with_weights(c) for c in weights.T]
    bounds = [one.bound(value) for one, value in zip(each, values, strict=True)]
    facts |= {"weights": pencil.weights, "points": {name: len(points.x) for name, points in pencil.points.items()}}
    ending = Ending(End.TOLERANCE_REACHED if level.is_reached else End.NOT_REACHED)
    solutions = [
        _solution(
            problem, one, value, {**facts, "eigenvalue_estimate": float(estimate), "eigenvalue_bound": bound}, ending
        )
        for one, value, estimate, bound in zip(each, values, level.estimates, bounds, strict=True)
    ]
    return Eigenfunctions(tuple(solutions), tuple(bounds), groups, complete_count(level, bounds))


def complete_count(level: Level, bounds: Sequence[float]) -> int:
    """Return the number of eigenvalues that holds all of the eigenspaces of which some are among those found.

    Further values belong to an eigenspace if they are nearer to the one before than its bound.
    """
    found = level.found.values
    if max(bounds) > POOR * level.size:  # these bounds tell nothing about multiplicity
        return len(found)
    more = level.more(BEYOND)
    complete, ends = len(found), {-1: (found[0], bounds[0]), 1: (found[-1], bounds[-1])}
    order = np.argsort(np.abs(more.values - level.near), kind="stable")
    for k in order[len(found) :]:
        value = float(more.values[k])
        side = min(ends, key=lambda each: abs(value - ends[each][0]))
        if abs(value - ends[side][0]) <= ends[side][1]:
            complete += 1
            one = level.pencil.with_weights(torch.as_tensor(more.coefficients[:, k]))
            ends[side] = value, one.bound(value)
    return complete


def _solution(problem: Problem, pencil: Pencil, value: float, facts: dict[str, Any], ending: Ending) -> Solution:
    """Return an eigenfunction as the solution of a run."""
    (name,), components = problem.parameters, components_of(pencil.network, "jets")
    misfits = {
        f"relative_{n}": misfit_of(pencil.problem, n, components, points, {name: value}).relative
        for n, points in pencil.fresh.items()
    }
    level = {"phase": 0, "optimizer": "eigen", "parameters": pencil.functions, "end": ending.end.name, **misfits}
    coefficients = {name: value} | singular_coefficients(pencil.network)
    problem = replace(problem, exact=None)  # of which eigenfunction it would be is not known
    return Solution(problem, pencil.network, [], [level], ending, {}, coefficients, facts)


def _orthonormal(pencil: Pencil, coefficients: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Return coefficients of which those of every group are orthonormal functions, positive where largest."""
    problem = pencil.problem
    points = problem.domain.interior.sample(pencil.rule, NORMS)
    root, columns = points.weight.sqrt(), []
    for c in coefficients.T:
        components = components_of(pencil.with_weights(c).network, "jets")
        values = asked_of(problem, components, points.x, lambda *u: [each.value for each in u])
        columns.append(torch.cat([root * each for each in values]))
    values, found = torch.stack(columns, dim=1), coefficients.clone()
    for group in map(list, groups):
        _, triangle = torch.linalg.qr(values[:, group])
        for each in (found, values):
            each[:, group] = torch.linalg.solve_triangular(triangle, each[:, group], upper=True, left=False)
    heights = values / root.repeat(len(values) // len(root))[:, None]
    signs = heights.gather(0, heights.abs().argmax(dim=0)[None])[0].sign()
    return found * signs / problem.domain.measure**0.5
