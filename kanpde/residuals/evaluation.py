"""Fields and residuals of functions that are given as networks, as formulas or by their components."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, coordinate
from kanpde.calculus.jet import JetSpace, Key
from kanpde.calculus.unknowns import unknown
from kanpde.domains import Points
from kanpde.errors import InputError, suggest
from kanpde.problem import Problem
from kanpde.residuals.engines import ENGINES, Rows
from kanpde.residuals.site import fields_of, pieces, recorded, residual_values, site_of

Components = Callable[[Tensor, JetSpace], Rows]  # values and derivatives at points (points, dim), before the ansatz
Unknowns = Callable[[Context, JetSpace], Sequence[Field]]  # one field per unknown, for the components that are needed


def components_of(model: nn.Module, derivatives: str) -> Components:
    """Return the function for values and derivatives of a model's outputs, without gradients.

    Precision and device are those of the points.

    Args:
        model: (points, dim) -> (points, unknowns).
        derivatives: the engine, "jets" or "autograd".
    """

    def at(x: Tensor, space: JetSpace) -> Rows:
        like = next(model.parameters())
        with torch.no_grad():
            return [row.detach().to(x) for row in ENGINES[derivatives](model, x.to(like), space)]

    return at


def from_components(problem: Problem, components: Components) -> Unknowns:
    """Return the unknowns of a network or a classical solution; the problem's ansatz is applied."""

    def at(context: Context, space: JetSpace) -> Sequence[Field]:
        rows = components(context.x, space)
        return fields_of(problem, context, lambda i: lambda key: rows[space.row[key]][:, i])

    return at


def formula_fields(problem: Problem, formula: Callable[..., Any], context: Context) -> list[Field]:
    """Return the values of a function of the coordinates, like ``Problem.exact``, at points: one field per unknown.

    Raises:
        InputError: the number of values differs from the number of unknowns.
    """
    coords = [coordinate(context, i) for i in range(len(context.names))]
    values = formula(*coords)
    values = values if isinstance(values, tuple) else (values,)
    if len(values) != len(problem.unknowns):
        raise InputError(f"exact must return one value per unknown ({', '.join(problem.unknowns)}), got {len(values)}.")
    return [_leaf(coords[0] * 0.0 + v, name) for v, name in zip(values, problem.unknowns, strict=True)]


def _leaf(field: Field, name: str) -> Field:
    """Return the field with the name of an unknown."""
    x = field.context.x

    def read(key: Key) -> Tensor:
        return torch.as_tensor(field.component(key), dtype=x.dtype, device=x.device).expand(len(x))

    return unknown(field.context, name, read)


def exact_fields(problem: Problem, context: Context) -> list[Field]:
    """Return the exact solution, one field per unknown; an empty list if it is not known."""
    return [] if problem.exact is None else formula_fields(problem, problem.exact, context)


def asked_of(problem: Problem, components: Components, x: Tensor, ask: Callable[..., Any]) -> Any:
    """Return ``ask(*unknowns)`` with the unknowns as fields at x, without gradients, after a dry run with stand-ins.

    The dry run determines the components that are needed.
    """
    context = Context(problem.domain.names, problem.domain.space, x)
    space, _ = recorded(problem, [context], lambda fields: ask(*fields))
    with torch.no_grad():
        return ask(*from_components(problem, components)(context, space))


def residuals_of(
    problem: Problem, name: str, unknowns: Unknowns, points: Points, coefficients: Mapping[str, float] | None = None
) -> list[Tensor]:
    """Return a condition's residuals for any function, each (points,), without weights and gradients.

    Args:
        problem: the problem with the condition, which may be one that the ansatz satisfies.
        name: of the condition.
        unknowns: from `from_components`, or `formula_fields` of a function.
        points: of the condition's region.
        coefficients: of an inverse problem; by default their initial values.

    Raises:
        InputError: the condition does not exist, or does not return one number per point.
    """
    if name not in problem.conditions:
        raise InputError(f'There is no condition "{name}". {suggest(name, problem.conditions)}')
    parts = []
    named = problem.parameters if coefficients is None else coefficients
    for piece in pieces(points):
        site = site_of(problem, name, piece)
        with torch.no_grad():
            fields = [field for context in site.contexts for field in unknowns(context, site.space)]
            parts.append(residual_values(name, site.condition, fields, named))
    return [torch.cat(part) for part in zip(*parts, strict=True)]
