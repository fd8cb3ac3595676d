r"""Functions of several fields that act point by point and are given as programs, not as formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from kanpde.calculus.context import plus
from kanpde.calculus.field import Field
from kanpde.calculus.functions import moved, require_constant
from kanpde.calculus.jet import LAPLACIAN, Key
from kanpde.calculus.operators import diff
from kanpde.errors import InputError


def pointwise(function: Callable[..., Tensor], *values):
    r"""Return ``function(*values)`` as a field whose derivatives come from reverse-mode differentiation.

    Use it for what a program computes, such as a quadrature: ``def exact(x, t): return pointwise(program, x, t)``.
    The chain rule $\partial_i F(g_1, ...) = \sum_j \partial_i g_j \, (\partial_j F)(g_1, ...)$ gives all derivatives.

    Args:
        function: takes one tensor (points,) for each value and returns a tensor (points,). It must be differentiable
            by torch, and its value at a point must not depend on other points.
        values: fields or numbers. If there are tensors instead of fields, the function is just called.

    Raises:
        InputError: the function does not return one number per point.
    """
    first = next((v for v in values if isinstance(v, Field)), None)
    if first is None:
        like = next(v for v in values if isinstance(v, Tensor))
        return function(*[v if isinstance(v, Tensor) else torch.full_like(like, v) for v in values])
    fields = [v if isinstance(v, Field) else first * 0.0 + v for v in values]
    return chained(partial(_derivative, function), fields)


def chained(
    derivative: Callable[[Sequence[Tensor], tuple[int, ...]], Tensor], fields: Sequence[Field], by: tuple[int, ...] = ()
) -> Field:
    """Return a function of fields whose partial derivatives are known, or one of these, as a field by the chain rule.

    Args:
        derivative: returns the partial derivative by the arguments number ``by``, () for the value, at tensors
            (points,).
        fields: the arguments, at least one.
        by: the arguments by which to differentiate.
    """
    context = fields[0].context

    def rule(key: Key) -> Tensor | float:
        if key == ():
            return derivative([f.value for f in fields], by)
        total: Tensor | float = 0.0
        for first, *rest in [(i, i) for i in context.space] if key == LAPLACIAN else [key]:
            for j, g in enumerate(fields):
                term = diff(g, context.names[first]) * chained(derivative, fields, (*by, j))
                total = plus(total, term.component(tuple(rest)))
        return total

    return Field(context, rule)


def _derivative(function: Callable[..., Tensor], values: Sequence[Tensor], by: tuple[int, ...]) -> Tensor:
    """Return the partial derivative of the function by its arguments number ``by`` at tensors (points,)."""
    is_traced = any(v.requires_grad for v in values)
    with torch.set_grad_enabled(is_traced or bool(by)):
        points = [v.detach().requires_grad_() if i in by and not v.requires_grad else v for i, v in enumerate(values)]
        result = function(*points)
        if not isinstance(result, Tensor) or result.shape != values[0].shape:
            came = f"shape {tuple(result.shape)}" if isinstance(result, Tensor) else f"type {type(result).__name__}"
            raise InputError(
                f"The function for pointwise must return a tensor of shape {tuple(values[0].shape)}, one number per "
                f"point, like its arguments, got {came}. Sum over its own nodes along another dimension."
            )
        if by and not result.requires_grad:
            others = [moved(v) if i == by[0] else v for i, v in enumerate(points)]
            require_constant(result, function(*others), "the function for pointwise")
        for i in by:
            slope = None
            if result.requires_grad:
                (slope,) = torch.autograd.grad(result.sum(), points[i], create_graph=True, allow_unused=True)
            result = torch.zeros_like(values[i]) if slope is None else slope
    return result if is_traced else result.detach()
