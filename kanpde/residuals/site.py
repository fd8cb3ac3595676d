"""Conditions at points: the fields that a residual takes, and the components that it needs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from kanpde.calculus.calling import called
from kanpde.calculus.coefficients import as_coefficients, values_of
from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, constant
from kanpde.calculus.jet import JetSpace, Key
from kanpde.calculus.systems import call_residual, flattened
from kanpde.calculus.unknowns import unknown
from kanpde.conditions.condition import Condition
from kanpde.domains import Points
from kanpde.domains.parts import Parts
from kanpde.errors import InputError, suggest
from kanpde.problem import Problem
from kanpde.residuals.engines import Rows

T = TypeVar("T")

PIECE = {"cpu": 1024, "cuda": 8192}  # points per piece, so that intermediate results stay in the caches


def fields_of(problem: Problem, context: Context, read: Callable[[int], Callable[[Key], Tensor]]) -> tuple[Field, ...]:
    """Return the unknowns as fields, with the ansatz; ``read(i)`` reads components of the network's output i."""
    outputs = tuple(unknown(context, name, read(i)) for i, name in enumerate(problem.unknowns))
    if problem.ansatz is None:
        return outputs
    arguments = (outputs[0].coords, *outputs)
    built = called(problem.ansatz.function, arguments, "The ansatz", ("coords", *problem.unknowns))
    built = built if isinstance(built, tuple) else (built,)
    if len(built) != len(outputs) or not all(isinstance(f, Field) for f in built):
        raise InputError(f"The ansatz must return one field per unknown ({', '.join(problem.unknowns)}).")
    for f, name in zip(built, problem.unknowns, strict=True):
        f.name = name
    return built


@dataclass(frozen=True)
class Site:
    """A condition at some of its points: where the network is evaluated, and the components that are needed."""

    problem: Problem
    name: str
    condition: Condition
    points: Points
    contexts: tuple[Context, ...]  # the points, then their images; on an interface first all of one side
    space: JetSpace
    residuals: int  # per point

    @property
    def rows(self) -> int:
        """Number of entries of r."""
        return self.residuals * len(self.points.x)

    @property
    def sides(self) -> set[int | None]:
        """The parts of the domain whose functions are evaluated."""
        return {context.side for context in self.contexts}


@dataclass(frozen=True)
class IntegralSite:
    """A condition on an integral at all of its points, in pieces."""

    pieces: tuple[Site, ...]
    residuals: int = 1

    @property
    def name(self) -> str:
        """The name of the condition."""
        return self.pieces[0].name

    @property
    def condition(self) -> Condition:
        """The condition."""
        return self.pieces[0].condition

    @property
    def space(self) -> JetSpace:
        """The components that the integrand needs."""
        return self.pieces[0].space

    @property
    def rows(self) -> int:
        """Number of entries of r."""
        return self.residuals

    @property
    def sides(self) -> set[int | None]:
        """The parts of the domain whose functions are evaluated."""
        return set[int | None]().union(*(piece.sides for piece in self.pieces))

    def share(self, piece: Site, values: Tensor, weight: float) -> Tensor:
        """Return the share of a piece in the entry of r, from the integrand's values at its points."""
        assert self.condition.integral is not None
        return weight**0.5 * self.condition.integral.measure * (piece.points.weight @ values)

    def joined(self, shares: Sequence[Tensor], weight: float) -> Tensor:
        """Return the entry of r, (1,), from the shares of all pieces."""
        assert self.condition.integral is not None
        return (torch.stack(list(shares)).sum() - weight**0.5 * self.condition.integral.value)[None]


def site_of(problem: Problem, name: str, points: Points, side: int | None = None) -> Site:
    """Return a condition at points, with the components that its residual needs.

    Where its region does not say which part of the domain is meant, it is ``side``; None takes that around each point.
    """
    domain, condition = problem.domain, problem.conditions[name]
    at = [points.x, *(image(points.x) for image in condition.maps)]
    contexts = [
        Context(domain.names, domain.space, x, points.normal, points.data, side=each)
        for each in condition.region.sides or (side,)
        for x in at
    ]
    space, values = recorded(
        problem, contexts, lambda fields: residual_values(name, condition, fields, problem.parameters)
    )
    return Site(problem, name, condition, points, tuple(contexts), space, len(values))


def sites_of(problem: Problem, points: Mapping[str, Points]) -> list[Site | IntegralSite]:
    """Return all trained conditions, each at its points in pieces; those of an integral belong together.

    Raises:
        InputError: there is no trained condition.
    """
    if not problem.trained:
        raise InputError(
            "The problem has no condition to train on. Give it one: "
            '`Problem(domain, {"pde": Condition(domain.interior, residual)})`.'
        )
    found: list[Site | IntegralSite] = []
    for name, condition in problem.trained.items():
        sites = [
            site_of(problem, name, piece, side)
            for side, of_side in by_side(problem, name, points[name])
            for piece in pieces(of_side)
        ]
        found += sites if condition.integral is None else [IntegralSite(tuple(sites))]
    return found


def by_side(problem: Problem, name: str, points: Points) -> list[tuple[int | None, Points]]:
    """Return the points of a condition by the part of the domain, where its region does not say which one is meant."""
    if not isinstance(problem.domain, Parts) or problem.conditions[name].region.sides:
        return [(None, points)]
    where, found = problem.domain.part_of(points.x), []
    for k in where.unique().tolist():
        parts = (None if p is None else p[where == k] for p in (points.normal, points.data))
        found.append((k, Points(points.x[where == k], points.weight[where == k], *parts)))
    return found


def recorded(problem: Problem, contexts: Sequence[Context], use: Callable[[list[Field]], T]) -> tuple[JetSpace, T]:
    """Call ``use`` once with stand-ins for the unknowns; return the space of requested components, and the result."""
    asked: set[Key] = {()}

    def record(x: Tensor) -> Callable[[int], Callable[[Key], Tensor]]:
        def read(key: Key) -> Tensor:
            asked.add(key)
            return torch.linspace(0.1, 0.9, len(x), dtype=x.dtype, device=x.device) + 0.01 * len(asked)

        return lambda i: read

    result = use([f for context in contexts for f in fields_of(problem, context, record(context.x))])
    return JetSpace.spanned(asked, problem.domain.space), result


def site_residuals(site: Site, components: Iterable[Rows], coefficients: Sequence[Tensor] = ()) -> list[Tensor]:
    """Return a site's residuals, each (points,), from the network's components at its points and their images.

    ``coefficients`` are the trained numbers in the place of the problem's coefficients; () takes none.
    """
    problem, fields = site.problem, []
    for context, rows in zip(site.contexts, components, strict=True):
        columns = [r.unbind(1) for r in rows]
        fields += fields_of(problem, context, lambda i, columns=columns: lambda key: columns[site.space.row[key]][i])
    return residual_values(
        site.name, site.condition, fields, values_of(as_coefficients(problem.parameters), coefficients)
    )


def pieces(points: Points) -> Iterator[Points]:
    """Yield the points in order, in nearly equal pieces."""
    count = -(-len(points.x) // PIECE.get(points.x.device.type, PIECE["cuda"]))
    parts = [points.x, points.weight, points.normal, points.data]
    chunks = [[None] * count if part is None else part.chunk(count) for part in parts]
    for x, weight, normal, data in zip(*chunks, strict=True):
        assert x is not None and weight is not None
        yield Points(x, weight, normal, data)


def residual_values(
    name: str, condition: Condition, fields: Sequence[Field], parameters: Mapping[str, Tensor | float]
) -> list[Tensor]:
    """Return the condition's residuals at the points, each (points,), or raise an `InputError` with the reason."""
    context, values = fields[0].context, []
    try:
        results = [r.value if isinstance(r, Field) else r for r in results_of(condition, fields, parameters)]
    except InputError as error:
        raise error.about(f'Condition "{name}"') from error
    for value in results:
        expected = (len(context.x),)
        if not isinstance(value, Tensor) or tuple(value.shape) != expected:
            came = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"type {type(value).__name__}"
            raise InputError(
                f'Condition "{name}" returned a residual of {came}; expected a field or a tensor of shape {expected}, '
                "one number per point. A column was probably not selected, or `return` is missing. Use the fields: "
                "`return u - g`."
            )
        if not value.is_floating_point():
            raise InputError(
                f'Condition "{name}" returned a residual of {value.dtype}, as comparisons do; expected numbers. An '
                "equation is written as a difference: `laplacian(u) - f`, not `laplacian(u) == f`."
            )
        values.append(value)
    if condition.integral is not None and len(values) != 1:
        raise InputError(
            f'The integrand of "{name}" returned {len(values)} values; expected one. Give every integral a condition '
            "of its own: `integral(domain.interior, lambda u: u * u, 1.0)`."
        )
    return values


class Named(dict[str, Field]):
    """The coefficients by name, as residuals get them."""

    def __missing__(self, name: str) -> Field:
        raise InputError(f'The problem has no coefficient "{name}". {suggest(str(name), self)}')

    def __getattr__(self, name: str) -> Field:
        if name in self:
            raise InputError(f'The coefficients have their names in brackets: write `p["{name}"]`.')
        raise AttributeError(name)


def results_of(
    condition: Condition, fields: Sequence[Field], parameters: Mapping[str, Tensor | float]
) -> tuple[Any, ...]:
    """Return what the condition's function returns, fields or tensors, as one tuple; it is not checked."""
    context = fields[0].context
    extra = [Named({k: constant(context, v) for k, v in parameters.items()})] if parameters else []
    return flattened(call_residual(condition.residual, [*fields, *extra]))
