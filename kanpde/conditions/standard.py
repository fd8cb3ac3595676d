"""The standard conditions: values, slopes, initial values, periodicity."""

from __future__ import annotations

from torch import Tensor

from kanpde.calculus.field import Field
from kanpde.calculus.operators import diff, gradient
from kanpde.calculus.systems import Given, Value, checked_value, pick, value_at, wanted_at
from kanpde.calculus.vector import Vector
from kanpde.conditions.condition import Condition
from kanpde.domains import Domain, Region
from kanpde.domains.box import require_box
from kanpde.errors import Code, InputError


def dirichlet(region: Region, value: Value = 0.0, unknown: str | None = None) -> Condition:
    """u = value on the region; ``unknown`` is the name of u (by default the first unknown).

    Of a vector, value is a tuple, a function that returns one, or a number for all components; "velocity_x" is one.
    """

    value = checked_value(value)

    def residual(*fields):
        u = pick(fields, unknown)
        return u - wanted_at(value, u)

    return Condition(region, residual, given=Given(unknown, value))


def neumann(region: Region, value: Value = 0.0, unknown: str | None = None) -> Condition:
    """∂u/∂n = value, n the outward unit normal."""
    return robin(region, 0.0, 1.0, value, unknown)


def robin(region: Region, a: Value, b: Value, value: Value = 0.0, unknown: str | None = None) -> Condition:
    """a u + b ∂u/∂n = value, n the outward unit normal."""

    a, b, value = checked_value(a), checked_value(b), checked_value(value)

    def residual(*fields):
        u = pick(fields, unknown)
        return value_at(a, u) * u + value_at(b, u) * gradient(u).dot(u.normal) - wanted_at(value, u)

    return Condition(region, residual)


def initial(region: Region, value: Value = 0.0, unknown: str | None = None, order: int = 0) -> Condition:
    """u = value on an initial slice ``domain.at(t=0)``; with ``order=1`` the time derivative is prescribed instead."""
    value = checked_value(value)
    if isinstance(region, Region) and "t" not in region.names:
        first = region.names[0]
        start = f'`dirichlet(domain.face("{first}", 0), value)`'
        if order:
            start = f'`Condition(domain.face("{first}", 0), lambda u: diff(u, "{first}") - value)`'
        raise InputError(
            'An initial condition needs a domain with the coordinate "t", such as `Box(x=(0.0, 1.0), t=(0.0, 1.0))`; '
            f"this one has {', '.join(region.names)}. "
            f"For an ordinary differential equation in {first} write {start}."
        )

    if order not in (0, 1, 2, 3):
        raise InputError(f"order is that of a derivative in time, 0 for the value, got {order!r}.", write={"order": 1})
    if isinstance(region, Region) and not any(region.names.index("t") in piece for piece in region.fixed):
        raise InputError(
            f'An initial condition is about one moment, got the region "{region.label}", which is about a range of t.',
            write={"region": Code("domain.at(t=0.0)")},
        )

    def residual(*fields):
        u = pick(fields, unknown)
        return diff(u, *["t"] * order) - wanted_at(value, u)

    return Condition(region, residual, given=Given(unknown, value, order))


def periodic(domain: Domain, name: str, unknown: str | None = None) -> Condition:
    """u and its derivative along ``name`` agree at both ends (weakly; ``Box(periodic=...)`` is exact).

    Raises:
        InputError: the domain is not a `Box`, or has no faces in that coordinate.
    """
    box = require_box(domain, f'periodic(domain, "{name}")', "Write a Condition with `maps` of your own.")
    face = box.face(name, 0)
    position = box.names.index(name)
    lower, upper = box.ranges[position]

    def shift(x: Tensor) -> Tensor:
        moved = x.clone()
        moved[:, position] += upper - lower
        return moved

    def residual(*fields):
        fields = tuple(f for f in fields if isinstance(f, (Field, Vector)))
        half = len(fields) // 2
        u, image = pick(fields[:half], unknown), pick(fields[half:], unknown)
        return u - image, diff(u, name) - diff(image, name)

    return Condition(face, residual, (shift,))
