"""The points at which fields are evaluated, and sums and products that skip exact zeros."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from kanpde.errors import InputError, suggest


@dataclass(frozen=True, eq=False)
class Context:
    """The evaluation context of fields: names of coordinates, which are spatial, points, normals, measured values.

    On a domain of several parts, ``side`` is the position of the part whose functions are meant, which matters on
    interfaces; None takes at every point that of the part around it.
    """

    names: tuple[str, ...]
    space: tuple[int, ...]
    x: Tensor  # (points, dim)
    normal: Tensor | None = None  # (points, dim)
    data: Tensor | None = None  # (points, columns)
    known: dict[Any, Any] = field(default_factory=dict)  # cache of results for these points, by owner
    side: int | None = None

    def position(self, name: str) -> int:
        """Return the position of a coordinate among the names."""
        if not isinstance(name, str):
            raise InputError(
                f"A coordinate is given by its name, got a {type(name).__name__}. "
                f'Write `diff(u, "{self.names[0]}")`, and `diff(u, "{self.names[0]}", "{self.names[0]}")` for the '
                "second derivative."
            )
        if name not in self.names:
            if name and all(letter in self.names for letter in name):
                apart = ", ".join(f'"{letter}"' for letter in name)
                raise InputError(f'There is no coordinate "{name}". Write `diff(u, {apart})`.')
            raise InputError(f'There is no coordinate "{name}". {suggest(name, self.names)}')
        return self.names.index(name)


def plus(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    """Return a + b, without an operation if one is the Python number zero."""
    return b if is_zero(a) else a if is_zero(b) else a + b


def times(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    """Return a b; the Python number zero if one of them is."""
    return 0.0 if is_zero(a) or is_zero(b) else a * b


def is_zero(a: Tensor | float) -> bool:
    """Return whether a is the Python number zero."""
    return not isinstance(a, Tensor) and a == 0
