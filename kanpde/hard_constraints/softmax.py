r"""Probabilities of classes: $p_k = e^{z_k} / \sum_j e^{z_j}$ with the network's outputs z, the logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, compose, constant
from kanpde.calculus.functions import TABLES


class Probability(Field):
    """A probability p_k as a field, which also has the logits, because log p_k is more accurate from them."""

    def __init__(self, context: Context, field: Field, logits: Sequence[Field]):
        super().__init__(context, field.component)
        self.logits = logits


class Softmax:
    """The function of an `Ansatz` whose unknowns are positive and have the sum 1."""

    def __call__(self, coords: Sequence[Field], *logits: Field) -> tuple[Field, ...]:
        context = logits[0].context
        # the same number is subtracted from all logits, which changes neither the quotient nor its derivatives
        largest = constant(context, torch.stack([z.value.detach() for z in logits]).amax(dim=0))
        powers = [compose(TABLES["exp"], z - largest) for z in logits]
        total = 1 / sum(powers[1:], powers[0])
        return tuple(Probability(context, power * total, logits) for power in powers)

    def describe(self) -> list[dict[str, Any] | None]:
        """Return the description that a file holds."""
        return [{"kind": type(self).__name__}]


def logits_of(probabilities: Sequence[Field]) -> Tensor:
    """Return the logits of all classes at the points, (points, classes), up to a number for every point."""
    first = probabilities[0]
    if isinstance(first, Probability):
        return torch.stack([z.value for z in first.logits], dim=1)
    p = torch.stack([field.value for field in probabilities], dim=1)
    return p.clamp_min(torch.finfo(p.dtype).tiny).log()
