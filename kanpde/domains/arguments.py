"""Checks of the arguments of shapes."""

from collections.abc import Sequence
from math import isfinite
from numbers import Real

from kanpde.errors import InputError

_RESERVED = ("interior", "boundary")


def check_numbers(shape: object, positive: Sequence[str] = (), points: Sequence[str] = ()) -> None:
    """Check arguments of a shape: ``points`` are pairs or triples of finite numbers, ``positive`` are positive."""
    for name in (*points, *positive):
        value = getattr(shape, name)
        numbers = value if name in points and isinstance(value, Sequence) else (value,)
        dim = len(numbers) if name in points else 1
        if not all(isinstance(v, Real) and isfinite(v) for v in numbers) or (name in points and dim not in (2, 3)):
            expected = "finite numbers" if name in points else "a finite number"
            raise InputError(f"{name} of a {type(shape).__name__} must be {expected}, got {value!r}.")
        if name in positive and min(numbers) <= 0:
            raise InputError(f"{name} of a {type(shape).__name__} must be positive, got {value}.")


def check_name(name: str) -> None:
    """Refuse names of parts that every domain has."""
    if not name or name in _RESERVED:
        raise InputError(f'A part of a boundary cannot be called "{name}".', write={"name": "outer"})
