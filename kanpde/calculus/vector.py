"""Vectors and tensors of fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kanpde.errors import InputError


class Vector(tuple):
    """A tuple of fields with vector arithmetic: sums, products with scalars, `dot`.

    Attributes:
        name: of the unknown, for vector unknowns.
    """

    name: str | None = None

    def __getitem__(self, key):
        try:
            return super().__getitem__(key)
        except (IndexError, TypeError):
            entries = ", ".join(f"`v[{k}]`" for k in range(len(self)))
            raise InputError(f"A vector of {len(self)} entries has {entries}, got {key!r} in brackets.") from None

    def __add__(self, other):
        return type(self)(a + b for a, b in self._pairs(other))

    def __sub__(self, other):
        return type(self)(a - b for a, b in self._pairs(other))

    def __rsub__(self, other):
        return -self + other

    def __neg__(self):
        return type(self)(-a for a in self)

    def __radd__(self, other):
        return self if isinstance(other, int) else self + other  # sum() starts from 0

    def __mul__(self, scalar):
        if isinstance(scalar, tuple):
            raise InputError("The product of two vectors is ambiguous. Write `a.dot(b)` for the scalar product.")
        return type(self)(a * scalar for a in self)

    def __rmul__(self, scalar):
        return self * scalar

    def __truediv__(self, scalar):
        return type(self)(a / scalar for a in self)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        """Handle ``tensor * vector``, and elementwise functions, which act on every entry."""
        name = function.__name__.strip("_")
        if name in ("mul", "multiply", "rmul") and len(args) == 2:
            a, b = args
            return b * a if isinstance(b, Vector) else a * b
        if len(args) == 1 and isinstance(args[0], Vector):
            return type(args[0])(function(entry, **(kwargs or {})) for entry in args[0])
        raise InputError(
            f"torch.{name} is not defined for these vectors. Functions of one vector act on its entries; for others "
            "write the entries, `v[0]` and `v[1]`, or `v.dot(w)`."
        )

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        """Do the same for the functions of numpy, which would otherwise make an array of the entries."""
        if method != "__call__" or kwargs:
            return NotImplemented
        if len(inputs) == 1:
            return type(self)(ufunc(entry) for entry in self)
        return self * inputs[0] if ufunc.__name__ == "multiply" else NotImplemented  # numbers on the left

    def __abs__(self):
        return type(self)(abs(entry) for entry in self)

    def __pow__(self, exponent):
        raise InputError(
            "The power of a vector is ambiguous. Write `v.dot(v)` for its square, or powers of its entries."
        )

    def __matmul__(self, other):
        raise InputError("Products of vectors and tensors are written with dot: `v.dot(w)`, `sigma.dot(u.normal)`.")

    def dot(self, other: Iterable) -> Any:
        """Return the sum of the products of the entries.

        Raises:
            InputError: the other one has not as many entries, or is a tensor, whose sum over rows is rarely meant.
        """
        if isinstance(other, Tensor2) and not isinstance(self, Tensor2):
            raise InputError(
                "A vector times a tensor sums over the rows, and (v · ∇) w over the columns. Write "
                "`gradient(w).dot(v)` or `material_derivative(w, v)` for (v · ∇) w, `sigma.dot(n)` for σ·n, and "
                "`a.T.dot(v)` for the sum over rows."
            )
        first, *rest = (a * b for a, b in self._pairs(other))
        return sum(rest, first)

    @property
    def coords(self) -> Any:
        """The coordinates as fields, as those of every entry."""
        return self[0].coords

    @property
    def context(self) -> Any:
        """The points, as those of every entry."""
        return self[0].context

    @property
    def normal(self) -> Vector:
        """The outward unit normal on a boundary, as that of every entry."""
        return self[0].normal

    def _pairs(self, other: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the entries of both."""
        entries = list(other) if isinstance(other, Iterable) else None
        if entries is None or len(entries) != len(self):
            came = f"a {type(other).__name__}" if entries is None else f"{len(entries)} entries"
            raise InputError(
                f"A vector or tensor of {len(self)} entries is combined with one of as many, got {came}. Products with "
                "scalars are written with `*`; a vector that is given is a tuple, such as `v - (1.0, 0.0)`."
            )
        return zip(self, entries, strict=True)


class Tensor2(Vector):
    """A tensor of second order: a tuple of rows, each a `Vector`; sums, products with scalars, `dot` with a vector.

    ``a[i][j]`` is the entry of row i and column j.
    """

    def __new__(cls, rows: Iterable[Iterable[Any]]):
        return super().__new__(cls, (Vector(row) for row in rows))

    @property
    def T(self) -> Tensor2:
        """The transpose."""
        return Tensor2(zip(*self, strict=True))

    def dot(self, other: Iterable) -> Any:
        """Return the product with a vector, row by row: σ·n is ``sigma.dot(u.normal)``; with a tensor its product."""
        if isinstance(other, Tensor2):
            return Tensor2((row.dot(column) for column in other.T) for row in self)
        vector = tuple(other)
        return Vector(row.dot(vector) for row in self)


def identity(size: int) -> Tensor2:
    """Return the unit tensor: the stress of an isotropic material is ``lam * trace(e) * identity(3) + 2 * mu * e``."""
    return Tensor2([float(i == j) for j in range(size)] for i in range(size))
