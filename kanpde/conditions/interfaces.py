"""The standard conditions on interfaces, where two parts of a domain meet."""

from __future__ import annotations

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, coordinate
from kanpde.calculus.operators import gradient
from kanpde.calculus.systems import Value, checked_value, pick, value_at, wanted_at
from kanpde.calculus.vector import Vector
from kanpde.conditions.condition import Condition
from kanpde.domains import Region
from kanpde.errors import InputError


def jump(region: Region, value: Value = 0.0, unknown: str | None = None) -> Condition:
    """u₂ - u₁ = value on an interface ``domain.interface("one", "two")``; 0 makes u continuous.

    Raises:
        InputError: the region is not an interface.
    """
    _require_interface(region, "jump")
    value = checked_value(value)

    def residual(*fields):
        one, two = _both(fields, unknown)
        return two - one - wanted_at(value, one)

    return Condition(region, residual)


def flux_jump(
    region: Region, coefficients: Value | tuple[Value, Value] = 1.0, value: Value = 0.0, unknown: str | None = None
) -> Condition:
    """k₂ ∂u₂/∂n - k₁ ∂u₁/∂n = value on an interface ``domain.interface("one", "two")``, n from one to two.

    Args:
        region: the interface.
        coefficients: (k₁, k₂), numbers or functions of the coordinates, all positive; or one function of both parts,
            such as ``domain.piecewise(one=1.0, two=1000.0)``.
        value: 0 makes the flux k ∂u/∂n continuous.
        unknown: the name of u; by default the first unknown.

    Raises:
        InputError: the region is not an interface, or a coefficient is not positive.
    """
    _require_interface(region, "flux_jump")
    coefficients, value = checked_value(coefficients), checked_value(value)
    pair = coefficients if isinstance(coefficients, tuple) else (coefficients, coefficients)
    if len(pair) != 2:
        raise InputError(
            f"flux_jump needs two coefficients, one for each side, got {len(pair)}.", write={"coefficients": (1.0, 2.0)}
        )
    for k, side in zip(pair, region.sides, strict=True):
        _require_positive(k, region, side)

    def residual(*fields):
        one, two = _both(fields, unknown)
        flux_one, flux_two = (value_at(k, u) * gradient(u).dot(u.normal) for k, u in zip(pair, (one, two), strict=True))
        return flux_two - flux_one - wanted_at(value, one)

    return Condition(region, residual)


def _both(fields: tuple, unknown: str | None) -> tuple:
    """Return the unknown on both sides."""
    fields = tuple(f for f in fields if isinstance(f, (Field, Vector)))
    half = len(fields) // 2
    return pick(fields[:half], unknown), pick(fields[half:], unknown)


def _require_interface(region: Region, what: str) -> None:
    if len(region.sides) != 2:
        raise InputError(
            f'{what} needs an interface, where two parts meet, and "{region.label}" is a region of one function. Take '
            'it from the parts: `Parts(inner=disk, outer=hull - disk).interface("inner", "outer")`.'
        )


def _require_positive(k: Value, region: Region, side: int) -> None:
    """Require that a coefficient is positive at points of the interface."""
    points = region.sample("chebyshev", 64)
    context = Context(region.names, region.space, points.x, points.normal, side=side)
    field = coordinate(context, 0) * 0.0 + (
        k(*(coordinate(context, i) for i in range(len(region.names)))) if callable(k) else k
    )
    if not bool((field.value > 0).all()):
        raise InputError(
            f"The coefficients of flux_jump must be positive, got {float(field.value.min()):g}.",
            write={"coefficients": (1.0, 2.0)},
        )
