r"""ReLUs of shifted inputs: $y_o = b_o + \sum_i (w_{i1o} (x_i + s_1) + \sum_{j=2}^{k} w_{ijo} \max(x_i + s_j, 0)^p)$.

Every layer repeats its inputs k times, adds the fixed shifts s_1 = -1, ..., s_k = 1 in equal steps, leaves the first
copy linear, applies ReLU to the others, and is a linear map of the result (the article "KAN is just MLP", 2024, with
p = 1). An output is a sum of functions of one input each with kinks at the -s_j: a KAN in the basis of truncated
powers. The last kink is at -1, so that on [-1, 1] its copy is a polynomial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.calculus.functions import relu_power
from kanpde.calculus.jet import JetSpace, compose
from kanpde.errors import InputError
from kanpde.models.inputs import Inputs
from kanpde.models.layer import Layer
from kanpde.models.mlp import one_jet
from kanpde.models.network import Network, check_hidden


class ShiftReLULayer(Layer):
    """Features [x_i + s_1, max(x_i + s_2, 0)^p, ..., max(x_i + s_k, 0)^p] for every input i, then 1."""

    has_edges = True

    def __init__(self, weight: Float[Tensor, "features d_out"], copies: int, power: int):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.copies, self.power = copies, power

    def architecture(self) -> dict[str, Any]:
        d_in, d_out = (self.weight.shape[0] - 1) // self.copies, self.weight.shape[1]
        return {"copies": self.copies, "power": self.power, "d_in": d_in, "d_out": d_out}

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any], device, dtype) -> "ShiftReLULayer":
        copies, power, d_in, d_out = (architecture[name] for name in ("copies", "power", "d_in", "d_out"))
        return cls(torch.zeros(d_in * copies + 1, d_out, device=device, dtype=dtype), copies, power)

    @property
    def smoothness(self) -> float:
        return self.power

    def smoother(self, order: int) -> Mapping[str, Any]:
        return {"power": order + 2}

    @torch.no_grad()
    def add_inputs(self, at: int, count: int) -> None:
        old, place = self.weight, at * self.copies
        zero = old.new_zeros(count * self.copies, old.shape[1])
        self.weight = nn.Parameter(torch.cat([old[:place], zero, old[place:]]))

    def forward(self, x: Tensor) -> Tensor:
        return self._bent(x).flatten(1) @ self.weight[:-1] + self.weight[-1]

    def features(self, data: Tensor, space: JetSpace) -> Tensor:
        shifted = data[..., None].repeat(1, 1, 1, self.copies)
        shifted[0] += self._shifts
        bent = compose(relu_power(self.power), shifted[..., 1:].flatten(2), space)
        bent = bent.unflatten(2, (data.shape[2], self.copies - 1))
        return torch.cat([torch.cat([shifted[..., :1], bent], dim=3).flatten(2), one_jet(data)], dim=2)

    def edges(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_in d_out"]:
        """Return the sum of the terms of every input for every output, without the bias."""
        weight = self.weight[:-1].unflatten(0, (x.shape[1], self.copies))
        return torch.einsum("pij,ijo->pio", self._bent(x), weight)

    @property
    def _shifts(self) -> Float[Tensor, " copies"]:
        return torch.linspace(-1.0, 1.0, self.copies).to(self.weight)

    def _bent(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_in copies"]:
        shifted = x[..., None] + self._shifts
        return torch.cat([shifted[..., :1], torch.relu(shifted[..., 1:]) ** self.power], dim=2)


@dataclass(frozen=True)
class ShiftReLU:
    """A factory of networks of shifted ReLUs; call it with coordinate ranges, or pass it to `solve`.

    Args:
        hidden: widths of the hidden layers.
        copies: k, the number of copies of every input; a layer has d_in k d_out weights and d_out biases.
        power: p, of the ReLUs. Derivatives up to order p are bounded, so that an equation of order m needs p >= m.
        gain: approximate initial standard deviation of the outputs of a layer for inputs in [-1, 1].

    Initial weights are normal with variance gain² / Σ (mean square of the features on [-1, 1]); biases are 0.
    """

    hidden: Sequence[int] = (8,)
    copies: int = 8
    power: int = 1
    gain: float = 0.5

    def __post_init__(self):
        check_hidden(self.hidden)
        for name, least, usual in (("copies", 2, 8), ("power", 1, 4)):
            if not isinstance(value := getattr(self, name), int) or value < least:
                raise InputError(
                    f"{name} must be a whole number of at least {least}, got {value}.", write={name: usual}
                )
        if not self.gain > 0:
            raise InputError(f"gain must be positive, got {self.gain}.", write={"gain": 0.5})

    def __call__(
        self,
        ranges: Sequence[tuple[float, float]],
        outputs: int = 1,
        *,
        periodic: Sequence[int] = (),
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> Network:
        """Build the network for coordinates in ``ranges``."""
        inputs = Inputs(ranges, periodic, device, dtype)
        layers: list[Layer] = []
        for d_in, d_out in pairwise([inputs.size, *self.hidden, outputs]):
            weight = torch.randn(d_in * self.copies + 1, d_out, generator=generator, device=device, dtype=dtype)
            weight[:-1] *= self.gain / self._size() / d_in**0.5
            weight[-1] = 0.0
            layers.append(ShiftReLULayer(weight, self.copies, self.power))
        return Network(inputs, layers)

    def _size(self) -> float:
        """Return the root of the sum of the mean squares of an input's features, by their integrals over [-1, 1]."""
        shifts = [-1 + 2 * j / (self.copies - 1) for j in range(self.copies)]
        linear = 1 / 3 + shifts[0] ** 2
        degree = 2 * self.power + 1
        return (linear + sum((1 + s) ** degree / (2 * degree) for s in shifts[1:])) ** 0.5
