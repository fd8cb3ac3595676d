"""Inputs of a network that are functions of the coordinates, besides the coordinates themselves."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.calculus.jet import JetSpace
from kanpde.models.functions import Function, described, jets_of, values_of
from kanpde.models.inputs import Inputs


class FeatureInputs(Inputs):
    """The inputs of `Inputs`, followed by given functions of the coordinates, mapped affinely to [-1, 1].

    Args:
        ranges: of the coordinates, then of the functions.
        functions: of the coordinates, given as fields or as tensors (points,).
        periodic: positions of periodic coordinates.
    """

    def __init__(
        self,
        ranges: Sequence[tuple[float, float]],
        functions: Sequence[Function],
        periodic: Sequence[int],
        device: torch.device | str,
        dtype: torch.dtype,
    ):
        super().__init__(ranges, periodic, device, dtype)
        self.functions = tuple(functions)

    @property
    def extra(self) -> list[str]:
        return [f"feature {k + 1}" for k in range(len(self.functions))]

    def architecture(self) -> dict[str, Any]:
        """Return the arguments of the constructor; None for functions that are not of this package."""
        return {**super().architecture(), "functions": [described(function) for function in self.functions]}

    def forward(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points size"]:
        return super().forward(torch.cat([x, values_of(self.functions, x)], dim=1))

    def jet(self, x: Float[Tensor, "points dim"], space: JetSpace) -> Float[Tensor, "components points size"]:
        out, count = super().jet(x, space), len(self.functions)
        lower, width = self.lower[-count:], (self.upper - self.lower)[-count:]
        found = 2 * jets_of(self.functions, x, space) / width
        found[0] -= 2 * lower / width + 1
        out[..., -count:] = found
        return out


def ranges_of(functions: Sequence[Function], x: Float[Tensor, "points dim"]) -> list[tuple[float, float]]:
    """Return the least and the largest values of functions at points, apart by 1 at least if a function is constant."""
    values = values_of(functions, x)
    pairs = zip(values.amin(dim=0).tolist(), values.amax(dim=0).tolist(), strict=True)
    return [(low, high if high > low else low + 1.0) for low, high in pairs]
