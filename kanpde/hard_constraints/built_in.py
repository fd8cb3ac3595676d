"""Values built into the unknowns, and how a file holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kanpde.calculus.field import Field
from kanpde.hard_constraints.softmax import Softmax
from kanpde.problem import Ansatz


class BuiltIn(Protocol):
    """Lift G and distance D of one unknown u = G + D N. Where values are given, G equals them and D is 0.

    A class in ``kanpde.hard_constraints`` with these members and ``from_description``, the inverse of ``describe``, is
    found by its name (`kanpde.hard_constraints.kinds`).
    """

    def lift(self, coords: Sequence[Field]) -> Field | float:
        """Return G at points."""
        ...

    def distance(self, coords: Sequence[Field]) -> Field:
        """Return D at points."""
        ...

    def describe(self) -> dict[str, Any] | None:
        """Return a description of numbers, texts, lists and dictionaries, the class's name under "kind".

        None if the values are functions of the user, which a file cannot hold.
        """
        ...


@dataclass(frozen=True)
class WithValues:
    """The function of an `Ansatz`: every unknown with its built-in values, None for an unknown without any."""

    parts: tuple[BuiltIn | None, ...]

    def __call__(self, coords: Sequence[Field], *outputs: Field) -> tuple[Field, ...]:
        return tuple(self._built(part, coords, n) for part, n in zip(self.parts, outputs, strict=True))

    def _built(self, part: BuiltIn | None, coords: Sequence[Field], n: Field) -> Field:
        if part is None:
            return n
        known: dict[Any, Any] = n.context.known  # G and D are computed once for fixed points
        if part not in known:
            known[part] = part.lift(coords), part.distance(coords)
        lift, distance = known[part]
        return distance * n + lift


def describe(ansatz: Ansatz | None) -> list[dict[str, Any] | None] | None:
    """Return the descriptions of what is built into every unknown; None if a file cannot hold the ansatz."""
    if ansatz is not None and isinstance(ansatz.function, Softmax):
        return ansatz.function.describe()
    if ansatz is None or not isinstance(ansatz.function, WithValues):
        return None
    parts = ansatz.function.parts
    found = [None if part is None else part.describe() for part in parts]
    is_complete = all(part is None or each is not None for part, each in zip(parts, found, strict=True))
    return found if is_complete else None
