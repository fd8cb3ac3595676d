"""A condition at its points: the fields that its residual takes, and the components that it asks for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.calculus.field import Context, Field, constant, unknown
from kanpde.calculus.jet import JetSpace, Key
from kanpde.domains import Points
from kanpde.errors import InputError
from kanpde.problem import Condition, Problem

PIECE = {"cpu": 1024, "cuda": 8192}  # points worked on at a time: what is in between then stays in the caches


def fields_of(problem: Problem, context: Context, read: Callable[[int], Callable[[Key], Tensor]]) -> tuple[Field, ...]:
    """The unknowns as fields; ``read(i)`` reads components of the network's output i. The ansatz is applied."""
    outputs = tuple(unknown(context, name, read(i)) for i, name in enumerate(problem.unknowns))
    if problem.ansatz is None:
        return outputs
    built = problem.ansatz.function(outputs[0].coords, *outputs)
    built = built if isinstance(built, tuple) else (built,)
    if len(built) != len(outputs) or not all(isinstance(f, Field) for f in built):
        raise InputError(f"The ansatz must return one field per unknown ({', '.join(problem.unknowns)}).")
    for f, name in zip(built, problem.unknowns, strict=True):
        f.name = name
    return built


@dataclass(frozen=True)
class Site:
    """A condition at some of its points: where the network is evaluated and which components it must give there."""

    name: str
    condition: Condition
    points: Points
    contexts: tuple[Context, ...]  # the points, then their images
    space: JetSpace
    residuals: int  # per point

    @property
    def rows(self) -> int:
        """Entries of r."""
        return self.residuals * len(self.points.x)


def site_of(problem: Problem, name: str, condition: Condition, points: Points) -> Site:
    """Runs the residual once with stand-ins for the unknowns and notes the components that it asks for."""
    domain = problem.domain
    contexts = [Context(domain.names, domain.space, points.x, points.normal)]
    contexts += [Context(domain.names, domain.space, image(points.x), points.normal) for image in condition.maps]
    asked: set[Key] = {()}

    def record(x: Tensor) -> Callable[[int], Callable[[Key], Tensor]]:
        def read(key: Key) -> Tensor:
            asked.add(key)
            return torch.linspace(0.1, 0.9, len(x), dtype=x.dtype, device=x.device) + 0.01 * len(asked)

        return lambda i: read

    fields = [f for c in contexts for f in fields_of(problem, c, record(c.x))]
    values = residual_values(problem, name, condition, fields, dict(problem.parameters))
    space = JetSpace.spanned(asked, len(domain.names), domain.space)
    return Site(name, condition, points, tuple(contexts), space, len(values))


def pieces(points: Points) -> Iterator[Points]:
    """The points in order, in nearly equal pieces."""
    count = -(-len(points.x) // PIECE.get(points.x.device.type, PIECE["cuda"]))
    normals = [None] * count if points.normal is None else points.normal.chunk(count)
    for x, weight, normal in zip(points.x.chunk(count), points.weight.chunk(count), normals, strict=True):
        yield Points(x, weight, normal)


def residual_values(
    problem: Problem, name: str, condition: Condition, fields: Sequence[Field], parameters: Mapping[str, Tensor | float]
) -> list[Tensor]:
    """The condition's residuals at the points, each of shape (points,), or an `InputError` that says what is wrong."""
    context = fields[0].context
    extra = [{k: constant(context, v) for k, v in parameters.items()}] if parameters else []
    result = condition.residual(*fields, *extra)
    values = []
    for r in result if isinstance(result, tuple) else (result,):
        value = r.value if isinstance(r, Field) else r
        expected = (len(context.x),)
        if not isinstance(value, Tensor) or tuple(value.shape) != expected:
            came = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"type {type(value).__name__}"
            raise InputError(
                f'Condition "{name}" returned a residual of {came}; expected a field or a tensor of shape {expected}, '
                "one number per point. A column was probably not selected, or `return` is missing. Use the fields: "
                "`return u - g`."
            )
        values.append(value)
    return values
