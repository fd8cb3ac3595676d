"""Operators of fluid and solid mechanics on vectors and tensors of fields."""

from __future__ import annotations

from typing import Any, overload

from kanpde.calculus.field import Field
from kanpde.calculus.operators import diff, gradient
from kanpde.calculus.vector import Tensor2, Vector
from kanpde.errors import InputError


def curl(v: Field | Vector) -> Field | Vector:
    r"""The spatial curl.

    In three coordinates $(\partial_y v_z - \partial_z v_y, \partial_z v_x - \partial_x v_z, \partial_x v_y -
    \partial_y v_x)$; in two that of a vector is the field $\partial_x v_y - \partial_y v_x$, and that of a field ψ the
    vector $(\partial_y \psi, -\partial_x \psi)$, whose divergence is 0.

    Raises:
        InputError: there are not two or three spatial coordinates, or not as many entries.
    """
    if not isinstance(v, (Field, Vector)):
        raise InputError(f"curl takes a vector or a field, got a {type(v).__name__}. Write `curl(Vector((u, v)))`.")
    context = (v[0] if isinstance(v, Vector) else v).context
    names = [context.names[i] for i in context.space]
    if isinstance(v, Field) and len(names) == 2:
        return Vector((diff(v, names[1]), -diff(v, names[0])))
    if isinstance(v, Vector) and not isinstance(v, Tensor2) and len(v) == len(names) in (2, 3):
        turns = [(1, 2), (2, 0), (0, 1)] if len(names) == 3 else [(0, 1)]
        entries = [diff(v[j], names[i]) - diff(v[i], names[j]) for i, j in turns]
        return Vector(entries) if len(names) == 3 else entries[0]
    came = f"{len(v)} entries" if isinstance(v, Vector) else "a scalar field"
    raise InputError(
        "curl takes a vector with one entry per spatial coordinate, two or three, or in two coordinates a scalar "
        f"field; got {came} with the coordinates {', '.join(names)}."
    )


def strain(v: Vector) -> Tensor2:
    r"""The symmetric gradient $\varepsilon_{ij} = \frac12 (\partial_i v_j + \partial_j v_i)$ of a vector.

    Raises:
        InputError: it is not a vector with one entry per spatial coordinate.
    """
    if not isinstance(v, Vector) or len(v) != len(v[0].context.space):
        raise InputError(
            "strain takes a vector with one entry per spatial coordinate, such as a vector unknown or "
            f"`Vector((u, v))`; got {f'{len(v)} entries' if isinstance(v, tuple) else f'a {type(v).__name__}'}."
        )
    slopes = gradient(v)
    return (slopes + slopes.T) * 0.5


def trace(a: Tensor2) -> Any:
    r"""The sum of the diagonal $\sum_i a_{ii}$; that of the gradient of a vector is its divergence."""
    _require_tensor(a, "trace")
    first, *rest = (row[i] for i, row in enumerate(a))
    return sum(rest, first)


def inner(a: Tensor2, b: Tensor2) -> Any:
    r"""The contraction $\sum_{ij} a_{ij} b_{ij}$ of two tensors, such as the energy of a stress in a strain."""
    _require_tensor(a, "inner")
    _require_tensor(b, "inner")
    first, *rest = (p.dot(q) for p, q in zip(a, b, strict=True))
    return sum(rest, first)


def _require_tensor(a: object, what: str) -> None:
    if not isinstance(a, Tensor2):
        raise InputError(
            f"{what} takes a tensor, such as gradient(v) or strain(v) of a vector v, got a {type(a).__name__}."
        )


@overload
def material_derivative(u: Field, velocity: Vector) -> Field: ...


@overload
def material_derivative(u: Vector, velocity: Vector) -> Vector: ...


def material_derivative(u: Field | Vector, velocity: Vector) -> Field | Vector:
    r"""The rate of change along a flow, $u_t + (v \cdot \nabla) u$, of a field or of every entry of a vector.

    Without a coordinate t, as for stationary flows, it is $(v \cdot \nabla) u$.
    """
    if isinstance(u, Vector):
        return type(u)(material_derivative(f, velocity) for f in u)
    if not isinstance(velocity, Vector):
        raise InputError(
            f"material_derivative(u, velocity) needs a vector as velocity, got a {type(velocity).__name__}. Write "
            "`material_derivative(u, Vector((a, b)))`, or with a vector unknown v `material_derivative(v, v)`."
        )
    carried = velocity.dot(gradient(u))
    return diff(u, "t") + carried if "t" in u.context.names else carried
