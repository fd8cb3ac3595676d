"""Solutions as evidence for formulas, on their domain or where some coordinates are held fixed."""

from dataclasses import replace
from math import isfinite

import torch
from torch import Tensor

from kanpde.calculus.field import Field
from kanpde.calculus.jet import JetSpace
from kanpde.conditions.condition import Condition
from kanpde.domains import Points
from kanpde.domains.box import Box, require_box
from kanpde.errors import InputError, suggest
from kanpde.formulas.accuracy import CHECKS, SAMPLES, Evidence
from kanpde.problem import Problem
from kanpde.residuals.evaluation import Components
from kanpde.residuals.misfit import component_values
from kanpde.solution import Evaluable

VALUES = "values"  # condition "u = the solution's values" where coordinates are held fixed


def evidence_of(solution: Evaluable, at: dict[str, float]) -> Evidence:
    """Return a solution as evidence, on its domain or where some coordinates are held fixed.

    Raises:
        InputError: the domain is not a box, or a coordinate to be held fixed does not exist.
    """
    problem = solution.problem
    if not problem.conditions:
        raise InputError(
            "The stored run has no equations, with which a formula could be compared. Give them to load: "
            '`load("outputs/...", problem)`.'
        )
    box = require_box(problem.domain, "A formula", "Formulas are sought on boxes only.")
    like = solution.like

    def values_at(x: Tensor, space: JetSpace):
        def ask(*unknowns: Field) -> list[list[Tensor]]:
            return [[component_values(u, key) for u in unknowns] for key in space.keys]

        rows = solution.fields(x.to(like), ask)
        return [torch.stack(row, dim=1).to(x) for row in rows]

    whole = Evidence(solution, replace(problem, ansatz=None), {}, values_at)
    if not at:
        return whole
    for name, value in at.items():
        if not isinstance(value, (int, float)) or not isfinite(value):
            raise InputError(f"at must have a number for each coordinate, got {value!r} for {name}.")
        if name not in box.names:
            raise InputError(f'There is no coordinate "{name}" to hold fixed. {suggest(name, box.names)}')
        low, high = box.ranges[box.names.index(name)]
        if not low <= value <= high:
            raise InputError(f"{name} must be from {low:g} to {high:g}, got {value:g}.", write={"at": {name: high}})
    free = [i for i, name in enumerate(box.names) if name not in at]
    if not free:
        raise InputError("All coordinates are held fixed; leave one out of `at`.")

    def inserted(x: Tensor) -> Tensor:
        whole = x.new_empty(len(x), len(box.names))
        whole[:, free] = x
        for name, value in at.items():
            whole[:, box.names.index(name)] = value
        return whole

    def restricted(x: Tensor, space: JetSpace):
        return values_at(inserted(x), JetSpace.spanned([()], box.space))

    smaller = Box(**{box.names[i]: box.ranges[i] for i in free})
    return Evidence(solution, _problem_of_values(problem, smaller, restricted), at, restricted, whole)


def _problem_of_values(problem: Problem, box: Box, components: Components) -> Problem:
    """Return the problem u = the solution's values, on a box."""

    def draw(n: int, seed: int) -> Points:
        points = box.interior.sample("uniform", n, torch.Generator().manual_seed(seed), torch.device("cpu"))
        return replace(points, data=components(points.x, JetSpace.spanned([()], box.space))[0])

    region = replace(
        box.interior,
        label=VALUES,
        is_interior=False,
        rows=SAMPLES,
        draw=lambda rule, n, generator, device, dtype: draw(n, 3),
        draw_fresh=lambda device, dtype: draw(CHECKS, 4),
    )

    def residual(*unknowns: Field):
        data = unknowns[0].context.data
        assert data is not None
        return tuple(u - data[:, k] for k, u in enumerate(unknowns))

    return Problem(box, {VALUES: Condition(region, residual)}, problem.unknowns)
