"""One member of a family: the problem of the other coordinates for given values of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, constant, coordinate
from kanpde.calculus.jet import LAPLACIAN, Key
from kanpde.calculus.systems import Grouped, Value
from kanpde.calculus.vector import Vector
from kanpde.conditions.condition import Condition
from kanpde.domains.corners import Corner
from kanpde.domains.families import check_values
from kanpde.errors import InputError
from kanpde.models.held import filled, free_of
from kanpde.problem import Ansatz, Problem


def problem_at(problem: Problem, **values: float) -> Problem:
    """Return the problem for given values of parameters of a family, ``problem_at(problem, nu=0.03)``.

    It has the other coordinates, and can be solved like any other. Left out are conditions at measured points, on
    integrals (which are over all values of the parameters), and at a fixed value of a parameter that is given.

    Raises:
        InputError: the domain is not of a family, a name is not one of its parameters, or a value is outside its range.
    """
    domain: Any = problem.domain
    held = check_values(domain, values)
    at = _Held(tuple(domain.names), tuple(domain.space), held)
    conditions = {}
    for name, condition in problem.conditions.items():
        region = condition.region
        is_of_all = region.is_measured or condition.integral is not None
        if not is_of_all and not any(i in piece for i in held for piece in region.fixed):
            conditions[name] = _condition(condition, domain.region_holding(region, list(values)), at)
    ansatz = problem.ansatz
    satisfied = () if ansatz is None else tuple(name for name in ansatz.satisfies if name in conditions)
    return replace(
        problem,
        domain=domain.holding(list(values)),
        conditions=conditions,
        exact=_of_others(problem.exact, at),
        test=None,
        ansatz=None if ansatz is None else Ansatz(at.ansatz(ansatz.function), satisfied),
        features=tuple(each if isinstance(each, Corner) else _of_others(each, at) for each in problem.features),
    )


@dataclass(frozen=True, eq=False)
class _Held:
    """What is held fixed, and the fields of all coordinates that functions of the whole problem take.

    Attributes:
        names, space: of the whole domain.
        held: values by position.
    """

    names: tuple[str, ...]
    space: tuple[int, ...]
    held: Mapping[int, float]

    def whole(self, context: Context) -> Context:
        """Return the context of all coordinates at the points of one of the others; always the same one for it."""
        if self not in context.known:
            normal = context.normal
            normal = None if normal is None else filled(normal, dict.fromkeys(self.held, 0.0))
            x = filled(context.x, self.held)
            context.known[self] = Context(self.names, self.space, x, normal, context.data, side=context.side)
        return context.known[self]

    def up(self, field: Field) -> Field:
        """Return a field of the others as one of all coordinates."""
        context = self.whole(field.context)
        back = {i: k for k, i in enumerate(free_of(field.context.x.shape[1], self.held))}

        def rule(key: Key) -> Tensor | float:
            if key == LAPLACIAN:
                return field.component(key)
            for i in key:
                if i in self.held:
                    raise InputError(
                        f"A derivative by {self.names[i]} is taken, which is not known where {self.names[i]} is held "
                        "fixed. Use the solution of the whole family."
                    )
            return field.component(tuple(back[i] for i in key))

        return Field(context, rule, field.name)

    def down(self, field: Field, context: Context) -> Field:
        """Return a field of all coordinates as one of the others."""
        free = free_of(context.x.shape[1], self.held)

        def rule(key: Key) -> Tensor | float:
            return field.component(key if key == LAPLACIAN else tuple(free[i] for i in key))

        return Field(context, rule, field.name)

    def ansatz(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function of an `Ansatz` for the others."""

        def built(coords: Sequence[Field], *outputs: Field) -> Any:
            whole = self.whole(coords[0].context)
            found = function([coordinate(whole, i) for i in range(len(self.names))], *map(self.up, outputs))
            found = found if isinstance(found, tuple) else (found,)
            return tuple(self.down(each, coords[0].context) for each in found)

        return built


def _of_others(function: Any, at: _Held) -> Any:
    """Return a function of all coordinates as one of the others, fields or tensors; numbers and None as they are."""
    if not callable(function):
        return function

    def inserted(*coords: Any) -> Any:
        first, every = coords[0], dict(zip(free_of(len(coords), at.held), coords, strict=True))
        for i, value in at.held.items():
            known = isinstance(first, Field)
            every[i] = constant(first.context, value) if known else torch.full_like(torch.as_tensor(first), value)
        return function(*(every[i] for i in range(len(every))))

    return inserted


def _condition(condition: Condition, region: Any, at: _Held) -> Condition:
    """Return a condition for the others, on a region of theirs."""

    own = condition.residual
    function = own.residual if isinstance(own, Grouped) else own

    def residual(*fields: Any) -> Any:
        """Call the function with fields of all coordinates; its values at the points are the same."""
        return function(*(_lifted(each, at) for each in fields))

    def moved(image: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: image(filled(x, at.held))[:, free_of(x.shape[1], at.held)]

    given = condition.given
    if given is not None:
        value: Value = _of_others(given.value, at)
        given = given._replace(value=value)
    known = Grouped(residual, own.layout) if isinstance(own, Grouped) else residual
    return replace(condition, region=region, residual=known, maps=tuple(map(moved, condition.maps)), given=given)


def _lifted(each: Any, at: _Held) -> Any:
    """Return a field, a vector of fields, or the trained coefficients by name, with all coordinates."""
    if isinstance(each, Vector):
        lifted = Vector(at.up(field) for field in each)
        lifted.name = each.name
        return lifted
    return {name: at.up(field) for name, field in each.items()} if isinstance(each, dict) else at.up(each)
