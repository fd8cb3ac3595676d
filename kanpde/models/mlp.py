"""Multilayer perceptrons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, pi, sqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.calculus.functions import TABLES
from kanpde.calculus.jet import JetSpace, compose
from kanpde.errors import InputError, suggest
from kanpde.models.inputs import Inputs
from kanpde.models.layer import Layer
from kanpde.models.network import Network, check_hidden

ACTIVATIONS = {
    "tanh": torch.tanh,
    "sine": torch.sin,
    "silu": nn.functional.silu,
    "gelu": nn.functional.gelu,
    "relu": torch.relu,
}
TABLE_NAMES = {"tanh": "tanh", "sine": "sin", "silu": "silu", "gelu": "gelu", "relu": "relu"}


class MLPLayer(Layer):
    """Features [σ(x_1), ..., σ(x_d_in), 1]; in the first layer σ is the identity."""

    has_edges = True

    def __init__(self, weight: Tensor, activation: str | None):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.activation = activation

    def architecture(self) -> dict[str, Any]:
        d_in, d_out = self.weight.shape[0] - 1, self.weight.shape[1]
        return {"activation": self.activation, "d_in": d_in, "d_out": d_out}

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any], device, dtype) -> "MLPLayer":
        size = architecture["d_in"] + 1, architecture["d_out"]
        return cls(torch.zeros(size, device=device, dtype=dtype), architecture["activation"])

    @property
    def smoothness(self) -> float:
        return 1 if self.activation == "relu" else inf

    def smoother(self, order: int) -> Mapping[str, Any]:
        return {"activation": "tanh"}

    @torch.no_grad()
    def add_inputs(self, at: int, count: int) -> None:
        old = self.weight
        self.weight = nn.Parameter(torch.cat([old[:at], old.new_zeros(count, old.shape[1]), old[at:]]))

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.activation is None else ACTIVATIONS[self.activation](x)
        return y @ self.weight[:-1] + self.weight[-1]

    def _hidden(self, data: Tensor, space: JetSpace) -> Tensor:
        return data if self.activation is None else compose(TABLES[TABLE_NAMES[self.activation]], data, space)

    def edges(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_in d_out"]:
        """Return σ(x_i) w_iq for every pair of an input and an output."""
        return (x if self.activation is None else ACTIVATIONS[self.activation](x))[:, :, None] * self.weight[:-1]

    def features(self, data: Tensor, space: JetSpace) -> Tensor:
        return torch.cat([self._hidden(data, space), one_jet(data)], dim=2)

    def jet(self, data: Tensor, space: JetSpace) -> Tensor:
        out = self._hidden(data, space) @ self.weight[:-1]
        constant = torch.zeros(len(out), 1, 1, dtype=out.dtype, device=out.device)
        constant[0] = 1.0
        return out + constant * self.weight[-1]


class FourierLayer(Layer):
    """Features [sin(x B), cos(x B), 1] with fixed frequencies B (d_in, waves), used as the first layer.

    M. Tancik et al., Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains, 2020.
    """

    frequencies: Tensor

    def __init__(self, weight: Tensor, frequencies: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.register_buffer("frequencies", frequencies)

    def architecture(self) -> dict[str, Any]:
        d_in, waves = self.frequencies.shape
        return {"d_in": d_in, "waves": waves, "d_out": self.weight.shape[1]}

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any], device, dtype) -> "FourierLayer":
        d_in, waves, d_out = (architecture[name] for name in ("d_in", "waves", "d_out"))
        sizes = (2 * waves + 1, d_out), (d_in, waves)
        return cls(*(torch.zeros(size, device=device, dtype=dtype) for size in sizes))

    def forward(self, x: Tensor) -> Tensor:
        angle = x @ self.frequencies
        return torch.cat([torch.sin(angle), torch.cos(angle)], dim=1) @ self.weight[:-1] + self.weight[-1]

    def features(self, data: Tensor, space: JetSpace) -> Tensor:
        angle = data @ self.frequencies
        waves = [compose(TABLES[name], angle, space) for name in ("sin", "cos")]
        return torch.cat([*waves, one_jet(data)], dim=2)


def one_jet(data: Float[Tensor, "components points d_in"]) -> Float[Tensor, "components points 1"]:
    """Return the jet of the constant 1."""
    one = torch.zeros(*data.shape[:2], 1, dtype=data.dtype, device=data.device)
    one[0] = 1.0
    return one


@dataclass(frozen=True)
class MLP:
    """A factory of multilayer perceptrons; call it with coordinate ranges, or pass it to `solve`.

    Args:
        hidden: widths of the hidden layers.
        activation: tanh, sine, silu, gelu, or relu (for fits and equations with derivatives of order 1).
        scale: factor of the first layer's weights (the frequency ω_0 of sine networks, Sitzmann et al. 2020); with
            Fourier features it is a factor of their frequencies instead.
        fourier: number of random waves whose sines and cosines replace the inputs; 0 for none. Their angular
            frequencies are normal with standard deviation π ``scale`` on inputs in [-1, 1], and are not trained.

    Initial weights are Glorot-normal (Glorot & Bengio 2010, eq. 12) with variance 2 / (d_in + d_out). Initial biases
    are uniform in [-1, 1] in the first layer, so that the units' transitions spread over the domain, and 0 elsewhere.
    """

    hidden: Sequence[int] = (16, 16)
    activation: str = "tanh"
    scale: float = 1.0
    fourier: int = 0

    def __post_init__(self):
        check_hidden(self.hidden)
        if not isinstance(self.fourier, int) or self.fourier < 0:
            raise InputError(f"fourier must be a whole number of waves, got {self.fourier}.", write={"fourier": 32})
        if self.activation not in ACTIVATIONS:
            raise InputError(f'Unknown activation "{self.activation}". {suggest(self.activation, ACTIVATIONS)}')

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
        widths = [2 * self.fourier or inputs.size, *self.hidden, outputs]
        frequencies = torch.randn(inputs.size, self.fourier, generator=generator, device=device, dtype=dtype)
        layers: list[Layer] = []
        for i, (d_in, d_out) in enumerate(pairwise(widths)):
            weight = torch.randn(d_in + 1, d_out, generator=generator, device=device, dtype=dtype)
            is_plain = i == 0 and not self.fourier
            weight *= sqrt(2 / (d_in + d_out)) * (self.scale if is_plain else 1.0)
            weight[-1] = 0.0
            if is_plain:
                weight[-1].uniform_(-1.0, 1.0, generator=generator).mul_(self.scale)
            if i == 0 and self.fourier:
                layers.append(FourierLayer(weight, pi * self.scale * frequencies))
            else:
                layers.append(MLPLayer(weight, None if i == 0 else self.activation))
        return Network(inputs, layers)
