"""Calls of a user's functions of fields, with a message where the function does not suit its arguments."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from kanpde.errors import InputError


def called(function: Callable[..., Any], arguments: Sequence[Any], what: str, names: Sequence[str]) -> Any:
    """Return ``function(*arguments)``.

    Args:
        function: of fields.
        arguments: its arguments.
        what: the function in words, with which a message begins, such as "A residual".
        names: of the arguments.

    Raises:
        InputError: it takes another number of arguments, branches on the values of a field, or takes something of a
            field that a field does not have.
    """
    try:
        return function(*arguments)
    except (TypeError, AttributeError, IndexError, RuntimeError) as error:
        reason = _arity(function, arguments, what, names) or _misuse(str(error))
        if reason is None:
            raise
        raise InputError(reason) from error


def _arity(function: Callable[..., Any], arguments: Sequence[Any], what: str, names: Sequence[str]) -> str | None:
    """Return a message if the function does not take that many arguments; None if it does, or does not say."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*arguments)
    except TypeError:
        of = f" of {', '.join(names)}" if names else ""
        return f"{what} is a function{of}, but this one takes {signature}. Write `lambda {', '.join(names)}: ...`."
    return None


def _misuse(said: str) -> str | None:
    """Return a message for what Python or torch say of a field that is used as if it were something else."""
    if "Boolean value of Tensor" in said:
        return (
            "A field has one value for each point, so that `if`, `and`, `max` and `min` cannot decide by it. Write "
            "`torch.where(u > 0, a, b)`, or `torch.relu(u)` for the positive part."
        )
    of_field = 'Derivatives are `diff(u, "x")`, coordinates `u.coords`, the values at the points `u.value`.'
    of_vector = 'Entries are `v[0]`, `v[1]`, derivatives `diff(v, "x")`, products `v.dot(w)`.'
    if found := re.match(r"'(Field|Vector|Tensor2)' object (.+)", said):
        kind = {"Field": "field", "Vector": "vector", "Tensor2": "tensor"}[found[1]]
        return f"A {kind} {found[2]}. {of_field if kind == 'field' else of_vector}"
    if re.search(r"'(Field|Vector|Tensor2)'", said):  # unsupported operand types, ...
        return f"{said}. {of_field if 'Field' in said else of_vector}"
    return None
