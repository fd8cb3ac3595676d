r"""What a KAN and an MLP have in common: an input map, layers ``features(x) @ weight``, and jets through both."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from math import pi
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.calculus.jet import LAPLACIAN, JetSpace, multiply
from kanpde.errors import InputError


class Inputs(nn.Module):
    """Maps coordinates to network inputs: affinely to [-1, 1], or to (sin, cos) for periodic coordinates.

    Args:
        ranges: (lower, upper) of every coordinate.
        periodic: positions of the coordinates whose period is their range; the network is then exactly periodic.
    """

    lower: Tensor
    upper: Tensor

    def __init__(self, ranges: Sequence[tuple[float, float]], periodic: Sequence[int], device, dtype):
        super().__init__()
        self.periodic = tuple(periodic)
        self.register_buffer("lower", torch.tensor([lo for lo, _ in ranges], device=device, dtype=dtype))
        self.register_buffer("upper", torch.tensor([hi for _, hi in ranges], device=device, dtype=dtype))

    def architecture(self) -> dict[str, Any]:
        """The arguments from which it is built again, but for device and dtype."""
        ranges = [list(pair) for pair in zip(self.lower.tolist(), self.upper.tolist(), strict=True)]
        return {"ranges": ranges, "periodic": list(self.periodic)}

    @property
    def size(self) -> int:
        """Number of network inputs."""
        return len(self.lower) + len(self.periodic)

    def forward(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points size"]:
        columns = []
        for i in range(x.shape[1]):
            share = (x[:, i] - self.lower[i]) / (self.upper[i] - self.lower[i])
            columns += [torch.sin(2 * pi * share), torch.cos(2 * pi * share)] if i in self.periodic else [2 * share - 1]
        return torch.stack(columns, dim=1)

    def jet(self, x: Float[Tensor, "points dim"], space: JetSpace) -> Float[Tensor, "components points size"]:
        """The jet of the network inputs; each depends on one coordinate."""
        out = torch.zeros(len(space.keys), len(x), self.size, dtype=x.dtype, device=x.device)
        column = 0
        for i in range(x.shape[1]):
            width = self.upper[i] - self.lower[i]
            if i in self.periodic:
                angle, rate = 2 * pi * (x[:, i] - self.lower[i]) / width, 2 * pi / width
                for shift in (0.0, 0.5 * pi):  # cos is sin a quarter turn on; every derivative is another quarter turn
                    for row, key in enumerate(space.keys):
                        order = _order_along(key, i, space)
                        if order is not None:
                            out[row, :, column] = rate**order * torch.sin(angle + shift + order * 0.5 * pi)
                    column += 1
            else:
                out[0, :, column] = 2 * (x[:, i] - self.lower[i]) / width - 1
                if (i,) in space.row:
                    out[space.row[i,], :, column] = 2 / width
                column += 1
        return out


def _order_along(key, i: int, space: JetSpace) -> int | None:
    """The order of the derivative ``key`` of a function of coordinate i alone; None where it vanishes."""
    if key == LAPLACIAN:
        return len(key) if i in space.space else None
    return len(key) if all(k == i for k in key) else None


class Layer(nn.Module, ABC):
    """``features(x) @ weight``; ``weight`` is (features, d_out)."""

    weight: nn.Parameter

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """Sizes and options, as numbers, strings, lists and dicts, without ``kind``, the class's name in lower case."""

    @classmethod
    @abstractmethod
    def from_architecture(
        cls, architecture: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype
    ) -> "Layer":
        """A layer of that architecture with weights of zero."""

    @property
    def active(self) -> int:
        """How many of the features are not zero at a point."""
        return self.weight.shape[0]

    @abstractmethod
    def forward(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_out"]:
        """The layer in plain torch operations, which autograd differentiates to any order (the reference)."""

    @abstractmethod
    def features(
        self, data: Float[Tensor, "components points d_in"], space: JetSpace
    ) -> Float[Tensor, "components points features"]:
        """The jet of the features, whose gradient is taken once at most."""

    def jet(self, data: Tensor, space: JetSpace) -> Float[Tensor, "components points d_out"]:
        """The jet of the outputs."""
        return self.features(data, space) @ self.weight

    def traced(self, data: Tensor, space: JetSpace) -> "Traced":
        """Features without gradients, and outputs with the gradient with respect to ``data``."""
        features = self.features(data, space)
        return features.detach(), features @ self.weight


Traced = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Nodes:
    """What stands between two layers: the first ``sums`` outputs go on, then ``products`` of ``arity`` outputs each.

    Z. Liu et al., KAN 2.0: Kolmogorov-Arnold Networks Meet Science, 2024, section 3 (MultKAN).
    """

    sums: int
    products: int = 0
    arity: int = 2

    @property
    def outputs(self) -> int:
        """How many outputs the layer before has."""
        return self.sums + self.arity * self.products

    @property
    def inputs(self) -> int:
        """How many inputs the layer after has."""
        return self.sums + self.products

    def values(self, y: Float[Tensor, "points outputs"]) -> Float[Tensor, "points inputs"]:
        if not self.products:
            return y
        return torch.cat([y[:, : self.sums], y[:, self.sums :].unflatten(1, (self.products, -1)).prod(2)], dim=1)

    def jet(self, data: Tensor, space: JetSpace) -> Float[Tensor, "components points inputs"]:
        """The same for jets."""
        if not self.products:
            return data
        factors = data[..., self.sums :].unflatten(2, (self.products, self.arity)).unbind(3)
        return torch.cat([data[..., : self.sums], reduce(lambda a, b: multiply(a, b, space), factors)], dim=2)


class Network(nn.Module):
    """An input map and a stack of layers; made by the factories `KAN` and `MLP`.

    ``nodes`` stand between the layers; nothing happens there if they are left out.
    """

    def __init__(self, inputs: Inputs, layers: Sequence[Layer], nodes: Sequence[Nodes] | None = None):
        super().__init__()
        self.inputs = inputs
        self.layers = cast(Sequence[Layer], nn.ModuleList(layers))
        self.nodes = list(nodes or []) or [Nodes(layer.weight.shape[1]) for layer in layers[:-1]]

    def architecture(self) -> dict[str, Any]:
        """All that `kanpde.models.architecture.network_from` needs beside the weights; JSON can hold it."""
        return {
            "kind": type(self).__name__.lower(),
            "inputs": self.inputs.architecture(),
            "layers": [{"kind": type(layer).__name__.lower(), **layer.architecture()} for layer in self.layers],
            "nodes": [asdict(nodes) for nodes in self.nodes],
        }

    @property
    def rest(self) -> Iterable[tuple[Nodes, Layer]]:
        """Every layer but the first, with the nodes before it."""
        return zip(self.nodes, list(self.layers)[1:], strict=True)

    def forward(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points outputs"]:
        y = self.layers[0](self.inputs(x))
        for nodes, layer in self.rest:
            y = layer(nodes.values(y))
        return y

    def head(self, x: Float[Tensor, "points dim"], space: JetSpace) -> Float[Tensor, "components points features"]:
        """The first layer's features, which no weight changes: worth keeping while the points stay."""
        return self.layers[0].features(self.inputs.jet(x, space), space)

    def jet(
        self, x: Float[Tensor, "points dim"], space: JetSpace, head: Tensor | None = None
    ) -> Float[Tensor, "components points outputs"]:
        """Values and derivatives of all outputs in one pass; ``head`` saves the work of the first layer's features."""
        first = self.layers[0]
        data = first.jet(self.inputs.jet(x, space), space) if head is None else head @ first.weight
        for nodes, layer in self.rest:
            data = layer.jet(nodes.jet(data, space), space)
        return data

    def trace(self, x: Float[Tensor, "points dim"], space: JetSpace, head: Tensor | None = None) -> list[Traced]:
        """(features, outputs) of every layer, the outputs being nodes of the graph for adjoints.

        With λ = ∂r/∂outputs, the derivative of r with respect to a layer's weight is Σ_components features ⊗ λ.
        """
        features = self.head(x, space) if head is None else head
        steps = [(features, features @ self.layers[0].weight)]
        for nodes, layer in self.rest:
            steps.append(layer.traced(nodes.jet(steps[-1][1], space), space))
        return steps


def check_hidden(hidden: Sequence[int]) -> None:
    """Refuses widths that no network has."""
    if any(not isinstance(width, int) or width < 1 for width in hidden):
        raise InputError(f"hidden widths must be positive whole numbers, got {list(hidden)}. Write hidden=[8].")
