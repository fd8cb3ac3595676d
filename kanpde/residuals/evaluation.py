"""Fields and residuals of functions that are given as networks, as formulas or by their components."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.calculus.calling import called
from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, coordinate
from kanpde.calculus.jet import JetSpace, Key
from kanpde.calculus.systems import flattened
from kanpde.calculus.unknowns import unknown
from kanpde.domains import Points
from kanpde.errors import InputError, suggest
from kanpde.models.network import on_side
from kanpde.problem import Problem
from kanpde.residuals.engines import ENGINES, Rows
from kanpde.residuals.site import fields_of, pieces, recorded, residual_values, site_of

# values and derivatives at points (points, dim), before the ansatz; of `components_of` also those of one part alone
Components = Callable[..., Rows]
Unknowns = Callable[[Context, JetSpace], Sequence[Field]]  # one field per unknown, for the components that are needed


def components_of(model: nn.Module, derivatives: str) -> Components:
    """Return the function for values and derivatives of a model's outputs, without gradients.

    Precision and device are those of the points.

    Args:
        model: (points, dim) -> (points, unknowns).
        derivatives: the engine, "jets" or "autograd".
    """

    def at(x: Tensor, space: JetSpace, side: int | None = None) -> Rows:
        like = next(model.parameters())
        with torch.no_grad():
            return [row.detach().to(x) for row in ENGINES[derivatives](on_side(model, side), x.to(like), space)]

    return at


def from_components(problem: Problem, components: Components) -> Unknowns:
    """Return the unknowns of a network or a classical solution; the problem's ansatz is applied."""

    def at(context: Context, space: JetSpace) -> Sequence[Field]:
        of_part = () if context.side is None else (context.side,)
        rows = components(context.x, space, *of_part)
        return fields_of(problem, context, lambda i: lambda key: rows[space.row[key]][:, i])

    return at


def formula_fields(problem: Problem, formula: Callable[..., Any], context: Context) -> list[Field]:
    """Return the values of a function of the coordinates, like ``Problem.exact``, at points: one field per unknown.

    Raises:
        InputError: the number of values differs from the number of unknowns.
    """
    coords = [coordinate(context, i) for i in range(len(context.names))]
    values = flattened(called(formula, coords, "exact", context.names))
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


def asked_of(
    problem: Problem, components: Components, x: Tensor, ask: Callable[..., Any], side: int | None = None
) -> Any:
    """Return ``ask(*unknowns)`` with the unknowns as fields at x, without gradients, after a dry run with stand-ins.

    The dry run determines the components that are needed. The functions are those of the part number ``side`` of the
    domain; None takes at every point those of its part.
    """
    context = Context(problem.domain.names, problem.domain.space, x, side=side)
    space, _ = recorded(problem, [context], lambda fields: ask(*fields))
    with torch.no_grad():
        return ask(*from_components(problem, components)(context, space))


def residuals_of(
    problem: Problem,
    name: str,
    unknowns: Unknowns,
    points: Points,
    coefficients: Mapping[str, float] | None = None,
    side: int | None = None,
) -> list[Tensor]:
    """Return a condition's residuals for any function, each (points,), without weights and gradients.

    The only residual of a condition on an integral is the difference of the integral and its value, (1,).

    Args:
        problem: the problem with the condition, which may be one that the ansatz satisfies.
        name: of the condition.
        unknowns: from `from_components`, or `formula_fields` of a function.
        points: of the condition's region.
        coefficients: of an inverse problem; by default their initial values.
        side: the part of the domain, as in `asked_of`, where the condition's region does not say which one is meant.

    Raises:
        InputError: the condition does not exist, or does not return one number per point.
    """
    if name not in problem.conditions:
        raise InputError(f'There is no condition "{name}". {suggest(name, problem.conditions)}')
    parts = []
    named = problem.parameters if coefficients is None else coefficients
    for piece in pieces(points):
        site = site_of(problem, name, piece, side)
        with torch.no_grad():
            fields = [field for context in site.contexts for field in unknowns(context, site.space)]
            values = residual_values(name, site.condition, fields, named)
        if problem.conditions[name].integral is not None:
            values = [piece.weight @ values[0]]
        parts.append(values)
    if (integral := problem.conditions[name].integral) is not None:
        return [integral.measure * torch.stack([share for (share,) in parts]).sum()[None] - integral.value]
    return [torch.cat(part) for part in zip(*parts, strict=True)]
