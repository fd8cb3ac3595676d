"""Residuals with stand-ins for the unknowns, which show what an equation contains."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.jet import LAPLACIAN, Key
from kanpde.calculus.unknowns import unknown
from kanpde.domains import Points
from kanpde.problem import Problem
from kanpde.residuals.site import residual_values

Shift = Callable[[int, Key], float]


class Probe(NamedTuple):
    """The residuals of a condition for stand-ins, each (points,), and the derivatives taken of each unknown."""

    residuals: list[Tensor]
    asked: frozenset[tuple[int, Key]]

    @property
    def unknowns(self) -> set[int]:
        """The positions of the unknowns that the condition contains."""
        return {i for i, _ in self.asked}


def stand_in(x: Tensor, i: int, key: Key) -> Tensor:
    """Return made-up values of a derivative of unknown number i."""
    return torch.linspace(0.1, 0.9, len(x), dtype=x.dtype, device=x.device) + 0.01 * len(key) + 0.1 * i


def probe(problem: Problem, name: str, points: Points, shift: Shift = lambda i, key: 0.0) -> Probe:
    """Return what a condition makes of stand-ins, without the ansatz; ``shift(i, key)`` is added to each of them."""
    condition, domain = problem.conditions[name], problem.domain
    asked: set[tuple[int, Key]] = set()

    def read(x: Tensor, i: int) -> Callable[[Key], Tensor]:
        def component(key: Key) -> Tensor:
            asked.add((i, key))
            return stand_in(x, i, key) + shift(i, key)

        return component

    at = [points.x, *(image(points.x) for image in condition.maps)]
    contexts = [Context(domain.names, domain.space, x, points.normal, points.data) for x in at]
    fields = [unknown(c, what, read(c.x, i)) for c in contexts for i, what in enumerate(problem.unknowns)]
    return Probe(residual_values(name, condition, fields, problem.parameters), frozenset(asked))


def order_along(key: Key, axis: int) -> int:
    """Return how often a derivative goes along a spatial coordinate."""
    return 2 if key == LAPLACIAN else key.count(axis)
