"""Differential operators on fields, vectors and tensors: diff, gradient, divergence, Laplacian."""

from __future__ import annotations

from collections.abc import Iterable
from typing import overload

from torch import Tensor

from kanpde.calculus.context import plus
from kanpde.calculus.field import Field
from kanpde.calculus.jet import LAPLACIAN, Key
from kanpde.calculus.vector import Tensor2, Vector
from kanpde.errors import InputError


@overload
def diff(u: Field, *names: str) -> Field: ...


@overload
def diff(u: Vector, *names: str) -> Vector: ...


def diff(u: Field | Vector, *names: str) -> Field | Vector:
    """Partial derivative along the named coordinates: ``diff(u, "x", "x")`` is u_xx, ``diff(u, "x", "t")`` is u_xt.

    Of a vector or tensor it is that of every entry.
    """
    if isinstance(u, Vector):
        return type(u)(diff(f, *names) for f in u)
    _check_field(u, "diff")
    positions = tuple(u.context.position(n) for n in names)

    def rule(key: Key):
        if key == LAPLACIAN:
            return _total(u.component(_join((i, i), positions)) for i in u.context.space)
        return u.component(_join(key, positions))

    return Field(u.context, rule)


def _join(key: Key, positions: tuple[int, ...]) -> Key:
    return tuple(sorted((*key, *positions)))


def _total(values: Iterable[Tensor | float]) -> Tensor | float:
    total: Tensor | float = 0.0
    for value in values:
        total = plus(total, value)
    return total


def _check_field(u: object, operator: str) -> None:
    if not isinstance(u, Field):
        raise InputError(
            f"{operator} needs a field, got {type(u).__name__}. Differentiate expressions in the unknowns."
        )


def _check_space(u: Field, operator: str) -> None:
    """Refuse what is no field, and operators in space where time is the only coordinate.

    Raises:
        InputError: there is no spatial coordinate.
    """
    _check_field(u, operator)
    if not u.context.space:
        raise InputError(
            f"{operator} needs a spatial coordinate, and the domain has {', '.join(u.context.names)} alone. Write the "
            'derivatives in time: `diff(u, "t")`, `diff(u, "t", "t")`.'
        )


def slopes(u: Field) -> Vector:
    """The derivatives whose squares the H1 norm has: along the spatial coordinates, or along t if there are none."""
    along = u.context.space or (u.context.position("t"),)
    return Vector(diff(u, u.context.names[i]) for i in along)


@overload
def gradient(u: Field) -> Vector: ...


@overload
def gradient(u: Vector) -> Tensor2: ...


def gradient(u: Field | Vector) -> Vector | Tensor2:
    r"""The spatial gradient, one entry per spatial coordinate; of a vector its Jacobian, rows $\partial_j v_i$.

    Raises:
        InputError: there is no spatial coordinate.
    """
    if isinstance(u, Vector):
        return Tensor2(gradient(f) for f in u)
    _check_space(u, "gradient")
    return Vector(diff(u, u.context.names[i]) for i in u.context.space)


@overload
def divergence(v: Tensor2) -> Vector: ...


@overload
def divergence(v: Iterable[Field]) -> Field: ...


def divergence(v: Iterable[Field] | Tensor2) -> Field | Vector:
    r"""The spatial divergence $\sum_j \partial_j v_j$ of a vector of fields, one entry per spatial coordinate.

    Of a tensor it is taken row by row, $\sum_j \partial_j \sigma_{ij}$.

    Raises:
        InputError: the number of entries differs from that of the spatial coordinates.
    """
    if isinstance(v, Tensor2):
        return Vector(divergence(row) for row in v)
    if not isinstance(v, Iterable) or not (entries := list(v)):
        raise InputError(
            f"divergence takes a vector of fields, got a {'scalar field' if isinstance(v, Field) else type(v).__name__}"
            ". Of a scalar u there are `gradient(u)` and `laplacian(u)`; a vector of scalars is `divergence((u, v))`."
        )
    _check_space(entries[0], "divergence")
    context = entries[0].context
    if len(entries) != len(context.space):
        raise InputError(
            f"divergence needs one entry per spatial coordinate, {', '.join(context.names[i] for i in context.space)}, "
            f"got {len(entries)}."
        )
    first, *rest = (diff(f, context.names[i]) for f, i in zip(entries, context.space, strict=True))
    return sum(rest, first)


@overload
def laplacian(u: Field) -> Field: ...


@overload
def laplacian(u: Vector) -> Vector: ...


def laplacian(u: Field | Vector) -> Field | Vector:
    """The spatial Laplacian of a field (or of every entry of a vector), computed as one component if possible."""
    if isinstance(u, Vector):
        return type(u)(laplacian(f) for f in u)
    _check_space(u, "laplacian")

    def rule(key: Key):
        if key == ():
            return u.component(LAPLACIAN)
        if key == LAPLACIAN:
            pairs = [(i, i, j, j) for i in u.context.space for j in u.context.space]
        else:
            pairs = [(*key, i, i) for i in u.context.space]
        return _total(u.component(tuple(sorted(p))) for p in pairs)

    return Field(u.context, rule)
