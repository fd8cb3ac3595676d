"""The unknowns of a problem as fields."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field
from kanpde.calculus.jet import Key
from kanpde.errors import InputError

MAX_ORDER = 4


def unknown(context: Context, name: str, read: Callable[[Key], Tensor]) -> Field:
    """Return the unknown ``name`` as a field whose components ``read`` returns."""

    def rule(key: Key) -> Tensor:
        if len(key) > MAX_ORDER:
            raise InputError(f"Derivatives are available up to order {MAX_ORDER}, got order {len(key)} of {name}.")
        return read(key)

    return Field(context, rule, name)
