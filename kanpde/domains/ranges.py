"""Ranges of coordinates."""

from collections.abc import Sequence
from math import isfinite
from numbers import Real

from kanpde.errors import InputError


def check_range(name: str, limits: object) -> None:
    """Refuse a range that is not (lower, upper), finite, with lower < upper."""
    example = {name: (0.0, 1.0)}
    if not isinstance(limits, Sequence) or len(limits) != 2 or not all(isinstance(v, Real) for v in limits):
        raise InputError(f'The range of "{name}" must be two numbers (lower, upper), got {limits!r}.', write=example)
    lo, hi = limits
    if not (isfinite(lo) and isfinite(hi) and lo < hi):
        raise InputError(
            f'The range of "{name}" needs lower < upper, both finite, got ({lo:g}, {hi:g}).', write=example
        )
