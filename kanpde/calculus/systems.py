"""Unknowns that are vectors: their names, the arguments of residuals, and prescribed values by component."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from kanpde.calculus.calling import called
from kanpde.calculus.field import Field
from kanpde.calculus.vector import Vector
from kanpde.errors import InputError, suggest

Scalar = float | Callable[..., Any]  # prescribed for one component
Value = Scalar | tuple[Scalar, ...]


class Given(NamedTuple):
    """Prescribed values of an unknown, the first one for None, or of its derivative of some ``order`` in time."""

    unknown: str | None
    value: Value
    order: int = 0

    @property
    def scalar(self) -> Scalar:
        """The value, of one component."""
        assert not isinstance(self.value, tuple)
        return self.value

    def by_component(self, members: Sequence[str]) -> tuple[Given, ...]:
        """Return the values of every component of a vector."""
        return tuple(self._replace(unknown=name, value=_entry(self.value, k)) for k, name in enumerate(members))


def _entry(value: Any, k: int) -> Any:
    """Return component k of a prescribed vector; a number is meant for all components."""
    if callable(value):
        whole: Callable[..., Any] = value
        return lambda *coords: whole(*coords)[k]
    return value[k] if isinstance(value, tuple) else value


class Unknowns(tuple[str, ...]):
    """The names of all unknowns one by one, and which of them are the components of a vector.

    Attributes:
        vectors: the components by the name of the vector, consecutive names.
    """

    vectors: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    @classmethod
    def read(cls, given: Sequence[str], space: Sequence[str]) -> Unknowns:
        """Return the unknowns as a user names them: "velocity:2" is velocity_x and velocity_y, "flow:u,v" u and v.

        Components without names of their own have those of the spatial coordinates, or numbers if there are not as
        many.

        Raises:
            InputError: a name is no text, none is given, two agree, or a vector has not two or three components.
        """
        if isinstance(given, cls):
            return given
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            write = {"unknowns": (given or "u",) if isinstance(given, str) else ("u",)}
            raise InputError(f"unknowns must be a tuple of names, got {given!r}.", write=write)
        names: list[str] = []
        vectors: dict[str, tuple[str, ...]] = {}
        for each in given:
            if not isinstance(each, str) or not each.strip():
                raise InputError(f"The name of an unknown is text, got {each!r}.", write={"unknowns": ("u", "v")})
            name, colon, after = each.partition(":")
            if colon:
                vectors[name] = _components(name, after, space)
            names += vectors[name] if colon else [name]
        every = [*names, *vectors]
        if twice := [name for k, name in enumerate(every) if name in every[:k]]:
            raise InputError(f"The names of unknowns must differ, got {', '.join(given)}: {twice[0]} occurs twice.")
        found = cls(names)
        found.vectors = vectors
        return found

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """(name, number of components) of the arguments of residuals; 0 components for a scalar."""
        first = {members[0]: (name, len(members)) for name, members in self.vectors.items()}
        later = {member for members in self.vectors.values() for member in members[1:]}
        return tuple(first.get(name, (name, 0)) for name in self if name not in later)


def _components(name: str, after: str, space: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the components of a vector from what follows the colon: their number, or their names."""
    after = after.strip()
    if name and after in ("2", "3"):
        ends = space if len(space) == int(after) else range(1, int(after) + 1)
        return tuple(f"{name}_{end}" for end in ends)
    own = tuple(each.strip() for each in after.split(","))
    if not name or not 2 <= len(own) <= 3 or not all(own):
        raise InputError(
            f'A vector unknown is a name with two or three components, such as "velocity:2", got "{name}:{after}".',
            write={"unknowns": (f"{name or 'velocity'}:{min(max(len(space), 2), 3)}",)},
            advice='Components with names of their own are "velocity:u,v".',
        )
    return own


def check_vectors(vectors: Mapping[str, Sequence[str]], unknowns: Sequence[str], least: int, of: str = "") -> None:
    """Check that every vector consists of ``least`` to three unknowns; ``of`` is the object that has them.

    Raises:
        InputError: a vector has too few or too many components, or one that is no unknown.
    """
    for name, members in vectors.items():
        if isinstance(members, str) or not least <= len(members) <= 3:
            raise InputError(
                f'The vector "{name}" needs a list of {("one", "two")[least - 1]} to three unknowns, got {members!r}.',
                write={"vectors": {name: list(unknowns[:3])}},
                of=of,
            )
        for member in members:
            if member not in unknowns:
                raise InputError(
                    f'The vector "{name}" names an unknown "{member}" that the problem does not '
                    f"have. {suggest(member, unknowns)}"
                )


@dataclass(frozen=True)
class Grouped:
    """A residual that receives some unknowns as vectors, as a function of all unknowns one by one.

    Attributes:
        residual: called with one `Field` or `Vector` per entry of ``layout``, for the points and for each image.
        layout: (name, number of components) of its arguments; 0 components for a scalar.
    """

    residual: Callable[..., Any]
    layout: tuple[tuple[str, int], ...]

    def __call__(self, *arguments: Any) -> Any:
        fields = iter([a for a in arguments if isinstance(a, Field)])
        grouped: list[Any] = []
        for first in fields:
            for k, (name, size) in enumerate(self.layout):
                head = next(fields) if k else first
                if not size:
                    grouped.append(head)
                    continue
                vector = Vector([head, *(next(fields) for _ in range(size - 1))])
                vector.name = name
                grouped.append(vector)
        return call_residual(self.residual, [*grouped, *(a for a in arguments if not isinstance(a, Field))])


def call_residual(residual: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Return what a residual returns for fields and vectors, and last the coefficients by name, if there are any.

    Raises:
        InputError: the function does not suit these arguments.
    """
    names = [a.name or "u" if isinstance(a, (Field, Vector)) else "p" for a in arguments]
    seen = [f"{name}_{names[:k].count(name) + 1}" if name in names[:k] else name for k, name in enumerate(names)]
    return called(residual, arguments, "The residual", seen)


def flattened(values: Any) -> tuple[Any, ...]:
    """Return a value, or nested tuples, lists and vectors of values, as one tuple."""
    if not isinstance(values, (tuple, list)):
        return (values,)
    return tuple(each for value in values for each in flattened(value))


def pick(arguments: Sequence[Any], unknown: str | None) -> Any:
    """Return the unknown, or vector of unknowns, of that name among the arguments of a residual; by default the first.

    Raises:
        InputError: there is no such unknown.
    """
    if unknown is None:
        return arguments[0]
    if not isinstance(unknown, str):
        raise InputError(
            f"unknown is the name of an unknown, got {unknown!r}. A derivative in time is prescribed by `order=1`."
        )
    named: dict[str | None, Any] = {}
    for each in arguments:
        for entry in (each, *(each if isinstance(each, Vector) else ())):
            if isinstance(entry, (Field, Vector)):
                named.setdefault(entry.name, entry)
    if unknown not in named:
        raise InputError(f'The problem has no unknown "{unknown}". {suggest(unknown, [n for n in named if n])}')
    return named[unknown]


def checked_value(value: Any) -> Any:
    """Return a prescribed value if it is a function, a finite number or a tuple of such values; a list as a tuple.

    Raises:
        InputError: it is something else.
    """
    if isinstance(value, (tuple, list)):
        return tuple(checked_value(each) for each in value)
    if callable(value) or isinstance(value, Tensor) or (isinstance(value, Real) and isfinite(value)):
        return value
    raise InputError(
        "A prescribed value is a finite number, or a function of the coordinates such as `lambda x, y: torch.sin(x)`; "
        f"of a vector it is a tuple of such values. Got {value!r}.",
        write={"value": 0.0},
    )


def value_at(value: Value, u: Field | Vector) -> Any:
    """Return a coefficient or prescribed value at the points of a field or vector."""
    if isinstance(value, tuple):
        return tuple(value_at(each, u) for each in value)
    return called(value, u.coords, "A prescribed value", u.context.names) if callable(value) else value


def wanted_at(value: Value, u: Field | Vector) -> Any:
    """Return the prescribed value of a field or vector; a number is meant for all components."""
    found = value_at(value, u)
    if isinstance(u, Field) and isinstance(found, tuple):
        raise InputError(
            f"The unknown {u.name or 'u'} has one value at a point, got {len(found)}. A vector unknown is written "
            f'"{u.name or "u"}:{max(len(found), 2)}" in `unknowns`.'
        )
    return (found,) * len(u) if isinstance(u, Vector) and isinstance(found, Real) else found
