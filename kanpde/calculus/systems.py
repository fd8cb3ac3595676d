"""Unknowns that are vectors: their names, the arguments of residuals, and prescribed values by component."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

from kanpde.calculus.field import Field
from kanpde.calculus.vector import Vector
from kanpde.errors import InputError, suggest

Value = float | tuple[float, ...] | Callable[..., Any]
Scalar = float | Callable[..., Any]  # prescribed for one component


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


def spelled_out(unknowns: Sequence[str], space: Sequence[str]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return the names of all unknowns, and the components of vectors: "velocity:2" is velocity_x and velocity_y.

    Components have the names of the spatial coordinates, or numbers if there are not as many.

    Raises:
        InputError: a vector does not have two or three components.
    """
    names: list[str] = []
    vectors: dict[str, tuple[str, ...]] = {}
    for each in unknowns:
        name, colon, size = each.partition(":")
        if not colon:
            names.append(each)
            continue
        if size not in ("2", "3") or not name:
            raise InputError(
                f'A vector unknown is a name with two or three components, such as "velocity:2", got "{each}".',
                write={"unknowns": (f"{name or 'velocity'}:{min(max(len(space), 2), 3)}",)},
            )
        ends = space if len(space) == int(size) else range(1, int(size) + 1)
        vectors[name] = tuple(f"{name}_{end}" for end in ends)
        names += vectors[name]
    return tuple(names), vectors


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
        return self.residual(*grouped, *(a for a in arguments if not isinstance(a, Field)))


def layout_of(unknowns: Sequence[str], vectors: Mapping[str, Sequence[str]], grouped: Iterable[str]) -> tuple:
    """Return the arguments of residuals in which some vectors are grouped, as for `Grouped`.

    Raises:
        InputError: a vector does not exist, or its components are not consecutive unknowns.
    """
    layout: list[tuple[str, int]] = [(name, 0) for name in unknowns]
    for name in grouped:
        members = [(each, 0) for each in vectors.get(name, ())]
        at = layout.index(members[0]) if members and members[0] in layout else 0
        if not members or layout[at : at + len(members)] != members:
            raise InputError(
                f'"{name}" cannot be passed to residuals as a vector: its components must be consecutive unknowns '
                f"({', '.join(unknowns)}). Write the unknown as "
                f'"{name}:2", or name its components in `vectors`.'
            )
        layout[at : at + len(members)] = [(name, len(members))]
    return tuple(layout)


def flattened(values: Any) -> tuple[Any, ...]:
    """Return a value, or nested tuples and vectors of values, as one tuple."""
    if not isinstance(values, tuple):
        return (values,)
    return tuple(each for value in values for each in flattened(value))


def pick(arguments: Sequence[Any], unknown: str | None) -> Any:
    """Return the unknown, or vector of unknowns, of that name among the arguments of a residual; by default the first.

    Raises:
        InputError: there is no such unknown.
    """
    if unknown is None:
        return arguments[0]
    named: dict[str | None, Any] = {}
    for each in arguments:
        for entry in (each, *(each if isinstance(each, Vector) else ())):
            if isinstance(entry, (Field, Vector)):
                named.setdefault(entry.name, entry)
    if unknown not in named:
        raise InputError(f'The problem has no unknown "{unknown}". {suggest(unknown, [n for n in named if n])}')
    return named[unknown]


def value_at(value: Value, u: Field | Vector) -> Any:
    """Return a coefficient or prescribed value at the points of a field or vector."""
    return value(*u.coords) if callable(value) else value


def wanted_at(value: Value, u: Field | Vector) -> Any:
    """Return the prescribed value of a field or vector; a number is meant for all components."""
    found = value_at(value, u)
    return (found,) * len(u) if isinstance(u, Vector) and isinstance(found, Real) else found
