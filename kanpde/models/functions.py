"""Given functions of the coordinates with their derivatives, as inputs of a network or as additions to its outputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, coordinate
from kanpde.calculus.jet import JetSpace
from kanpde.calculus.singular import SingularFunction
from kanpde.errors import InputError

Function = Callable[..., Any]  # of the coordinates, given as fields or as tensors (points,)


def jets_of(
    functions: Sequence[Function], x: Float[Tensor, "points dim"], space: JetSpace
) -> Float[Tensor, "components points functions"]:
    """Return values and derivatives of functions of the coordinates at points."""
    context = Context(tuple(map(str, range(x.shape[1]))), space.space, x)
    coords = [coordinate(context, i) for i in range(x.shape[1])]
    out = x.new_empty(len(space.keys), len(x), len(functions))
    for k, function in enumerate(functions):
        field = function(*coords)
        if not isinstance(field, Field):
            raise InputError(
                f"A feature is a function of the coordinates, such as `lambda x, y: x * y`; {function} returned a "
                f"{type(field).__name__}."
            )
        for row, key in enumerate(space.keys):
            out[row, :, k] = field.component(key)
    return out


def values_of(functions: Sequence[Function], x: Float[Tensor, "points dim"]) -> Float[Tensor, "points functions"]:
    """Return values of functions of the coordinates, which autograd can differentiate."""
    return torch.stack([function(*x.unbind(1)).expand_as(x[:, 0]) for function in functions], dim=1)


def described(function: Function) -> dict[str, Any] | None:
    """Return the arguments of a singular function as plain values; None for a function of the user."""
    if not isinstance(function, SingularFunction):
        return None
    return {**asdict(function), "at": list(function.at), "axes": list(function.axes)}


def function_from(description: Mapping[str, Any]) -> SingularFunction:
    """Return the function from the result of `described`."""
    return SingularFunction(**{**description, **{name: tuple(description[name]) for name in ("at", "axes")}})
