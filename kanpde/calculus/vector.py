"""Vectors of fields."""

from collections.abc import Iterable
from typing import Any

from kanpde.errors import InputError


class Vector(tuple):
    """A tuple of fields with vector arithmetic: sums, products with scalars, `dot`."""

    def __add__(self, other):
        return Vector(a + b for a, b in zip(self, other, strict=True))

    def __sub__(self, other):
        return Vector(a - b for a, b in zip(self, other, strict=True))

    def __neg__(self):
        return Vector(-a for a in self)

    def __radd__(self, other):
        return self if isinstance(other, int) else NotImplemented  # sum() starts from 0

    def __mul__(self, scalar):
        if isinstance(scalar, tuple):
            raise InputError("The product of two vectors is ambiguous. Write `a.dot(b)` for the scalar product.")
        return Vector(a * scalar for a in self)

    __rmul__ = __mul__

    def __truediv__(self, scalar):
        return Vector(a / scalar for a in self)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        """Handle ``tensor * vector``, which torch would otherwise evaluate itself."""
        if function.__name__.strip("_") in ("mul", "multiply", "rmul") and len(args) == 2:
            a, b = args
            return b * a if isinstance(b, Vector) else a * b
        return NotImplemented

    def dot(self, other: Iterable) -> Any:
        """Return the sum of the products of the entries."""
        first, *rest = (a * b for a, b in zip(self, other, strict=True))
        return sum(rest, first)
