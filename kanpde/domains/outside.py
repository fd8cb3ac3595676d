"""Values at points outside a domain: NaN, with a warning."""

from collections.abc import Sequence
from math import nan
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanpde.errors import ResultWarning


def inside_only(
    domain: Any, x: Float[Tensor, "points dim"], values: Sequence[Float[Tensor, " points"]]
) -> list[Float[Tensor, " points"]]:
    """Return the values with NaN at the points outside the domain (a `Domain`), and warn once if there are any."""
    x = wrapped(domain, x)
    outside = ~domain.contains(x)
    if not bool(outside.any()):
        return list(values)
    lost = outside & ~x.isnan().any(dim=1)  # at a coordinate NaN the value is NaN in any case
    if bool(lost.any()):
        ResultWarning(
            f"{int(lost.sum())} of {len(x)} points lie outside the domain, where the values are NaN: "
            f"{_where(domain, x[lost])}.",
            fixes=[("", {"extrapolate": True})],
            advice="That gives values there, which the problem does not determine.",
        ).emit()
    return [value.masked_fill(outside, nan) for value in values]


def wrapped(domain: Any, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points dim"]:
    """Return the points with periodic coordinates moved into their range."""
    if not domain.periodic:
        return x
    x = x.clone()
    for i in domain.periodic:
        lower, upper = domain.ranges[i]
        x[:, i] = lower + torch.remainder(x[:, i] - lower, upper - lower)
    return x


def _where(domain: Any, x: Float[Tensor, "points dim"]) -> str:
    """Return the farthest values of the coordinates that leave their ranges; the domain if none does."""
    found = []
    for i, (name, (lower, upper)) in enumerate(zip(domain.names, domain.ranges, strict=True)):
        column = x[:, i]
        beyond: Bool[Tensor, " points"] = (column < lower) | (column > upper)
        if bool(beyond.any()):
            gaps = torch.maximum(lower - column, column - upper)
            found.append(f"{name} = {float(column[gaps.argmax()]):.6g} is outside [{lower:g}, {upper:g}]")
    return ", ".join(found) or f"they are not in {domain}"
