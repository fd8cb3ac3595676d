"""Functions that have one formula in each part of a domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kanpde.calculus.field import Field


@dataclass(frozen=True)
class Piecewise:
    """A function of the coordinates with one formula in each part, made by `kanpde.domains.parts.Parts.piecewise`.

    In a condition on one part, and on each side of an interface, it is the formula of that part alone, so that its
    derivatives are one-sided. Elsewhere the formula is chosen at every point; the others are computed there too, and
    what they give is not used.

    Attributes:
        formulas: by part, each a number or a function of the coordinates; with several unknowns it returns a tuple.
        part_of: returns the positions of the parts at points (points, dim).
    """

    formulas: tuple[Any, ...]
    part_of: Callable[[Tensor], Tensor]

    def __call__(self, *coords: Any) -> Any:
        first = next((c for c in coords if isinstance(c, Field)), None)
        if first is not None and first.context.side is not None:
            return _at(self.formulas[first.context.side], coords)
        if first is None:
            points = torch.stack(torch.broadcast_tensors(*(torch.as_tensor(c) for c in coords)), dim=-1)
            where = self.part_of(points.reshape(-1, len(coords))).reshape(points.shape[:-1])
        else:
            where = self.part_of(first.context.x)
        values = [_at(formula, coords) for formula in self.formulas]
        if not isinstance(values[0], tuple):
            return _chosen(where, values, coords)
        return tuple(_chosen(where, each, coords) for each in zip(*values, strict=True))


def _at(formula: Any, coords: Sequence[Any]) -> Any:
    return formula(*coords) if callable(formula) else formula


def _chosen(where: Tensor, values: Sequence[Any], coords: Sequence[Any]) -> Any:
    """Return at every point the value of its part."""
    result, *others = (coords[0] * 0.0 + value for value in values)
    for k, value in enumerate(others, start=1):
        result = torch.where(where == k, value, result)
    return result
