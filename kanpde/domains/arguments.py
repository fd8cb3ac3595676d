"""Checks of the arguments of shapes."""

from collections.abc import Sequence
from math import isfinite
from numbers import Real

import numpy as np

from kanpde.errors import InputError

_RESERVED = ("interior", "boundary")


def check_numbers(shape: object, positive: Sequence[str] = (), points: Sequence[str] = ()) -> None:
    """Check arguments of a shape and make them floats: ``points`` are pairs or triples, ``positive`` are positive."""
    for name in (*points, *positive):
        value = getattr(shape, name)
        is_point = name in points
        numbers = tuple(value) if is_point and isinstance(value, Sequence | np.ndarray) else (value,)
        if not all(isinstance(v, Real) and isfinite(v) for v in numbers) or (is_point and len(numbers) not in (2, 3)):
            expected = "finite numbers" if is_point else "a finite number"
            raise InputError(f"{name} of a {type(shape).__name__} must be {expected}, got {value!r}.")
        if name in positive and min(numbers) <= 0:
            raise InputError(f"{name} of a {type(shape).__name__} must be positive, got {value}.")
        plain = tuple(float(v) for v in numbers)
        object.__setattr__(shape, name, plain if is_point else plain[0])


def check_name(name: str) -> None:
    """Refuse names of parts that every domain has."""
    if not isinstance(name, str) or not name or name in _RESERVED:
        raise InputError(f'A part of a boundary cannot be called "{name}".', write={"name": "outer"})


def check_dimensions(shape: object, name: str, dim: int) -> None:
    """Check that a point among the arguments of a shape has ``dim`` coordinates."""
    value = getattr(shape, name)
    if not isinstance(value, Sequence) or len(value) != dim:
        raise InputError(f"{name} of a {type(shape).__name__} has {dim} coordinates, got {value!r}.")


def check_increasing(shape: object, ranges: Sequence[str]) -> None:
    """Check arguments of a shape that are ranges (lower, upper)."""
    for name in ranges:
        check_dimensions(shape, name, 2)
        low, high = getattr(shape, name)
        if low >= high:
            raise InputError(
                f"A {type(shape).__name__} needs lower < upper, got {name}=({low:g}, {high:g}).",
                write={name: (0.0, 1.0)},
            )
