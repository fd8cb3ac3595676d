r"""The components of sums, products and compositions of expressions, from the components of their parts.

Every function returns a rule: a function from a derivative (`kanpde.calculus.jet.Key`) to its values at the points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from kanpde.calculus.context import Context, is_zero, plus, times
from kanpde.calculus.functions import Table
from kanpde.calculus.jet import Key, bell_terms, splits

Rule = Callable[[Key], Tensor | float]


class Expression(Protocol):
    """What has components at the points of a context, such as a `kanpde.calculus.field.Field`."""

    context: Context

    def component(self, key: Key) -> Tensor | float: ...

    @property
    def value(self) -> Tensor: ...


def linear(f: Expression, g: Expression, a: float, b: float) -> Rule:
    """Return the rule of a f + b g."""

    def rule(key: Key) -> Tensor | float:
        left, right = f.component(key) if a else 0.0, g.component(key) if b else 0.0
        if a == 1.0 and b == -1.0 and isinstance(left, Tensor) and isinstance(right, Tensor):
            return left - right
        scaled = [t if c == 1.0 else times(c, t) for c, t in ((a, left), (b, right))]
        return plus(*scaled)

    return rule


def product(f: Expression, g: Expression) -> Rule:
    """Return the rule of f g, the Leibniz rule."""

    def rule(key: Key) -> Tensor | float:
        total: Tensor | float = 0.0
        for left, right, count in splits(key, f.context.space):
            a = f.component(left)
            if is_zero(a):
                continue
            part = times(a, g.component(right))
            total = plus(total, part if count == 1 else times(float(count), part))
        return total

    return rule


def composition(table: Table, g: Expression) -> Rule:
    """Return the rule of φ(g), Faà di Bruno's formula, for an elementwise φ given by its table of derivatives."""
    values: list[Tensor] = []

    def derivative(order: int) -> Tensor:
        if len(values) <= order:
            values[:] = table(g.value, order)
        return values[order]

    def rule(key: Key) -> Tensor | float:
        if key == ():
            return derivative(0)
        total: Tensor | float = 0.0
        order = len(key)
        for k, (blocks, count) in bell_terms(key, g.context.space):
            factor: Tensor | float = float(count)
            for block in blocks:
                factor = times(factor, g.component(block))
            if not is_zero(factor):
                derivative(order)
                total = plus(total, times(derivative(k), factor))
        return total

    return rule


def choice(condition: Callable[[], Any], f: Expression, g: Expression) -> Rule:
    """Return the rule of f where the condition that is returned holds, and g elsewhere."""

    def rule(key: Key) -> Tensor:
        like = f.context.x
        a, b = (torch.as_tensor(h.component(key), dtype=like.dtype, device=like.device) for h in (f, g))
        return torch.where(torch.as_tensor(condition(), device=like.device), a, b)

    return rule
