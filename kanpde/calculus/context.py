"""Where fields live, and sums and products in which exact zeros cost nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from kanpde.errors import InputError, suggest


@dataclass(frozen=True, eq=False)
class Context:
    """Where fields live: the names of the coordinates, which of them are space, the points, the outward normals."""

    names: tuple[str, ...]
    space: tuple[int, ...]
    x: Tensor  # (points, dim)
    normal: Tensor | None = None  # (points, dim)
    known: dict[Any, Any] = field(default_factory=dict)  # what others have worked out for these points, by owner

    def position(self, name: str) -> int:
        """Of a coordinate, among the names."""
        if name not in self.names:
            raise InputError(f'There is no coordinate "{name}". {suggest(name, self.names)}')
        return self.names.index(name)


def plus(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    """a + b, in which an exact Python zero costs nothing."""
    return b if is_zero(a) else a if is_zero(b) else a + b


def times(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    """a b, in which an exact Python zero stays one."""
    return 0.0 if is_zero(a) or is_zero(b) else a * b


def is_zero(a: Tensor | float) -> bool:
    """Whether a is the Python number zero."""
    return not isinstance(a, Tensor) and a == 0
