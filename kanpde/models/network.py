r"""What a KAN and an MLP have in common: an input map, layers ``features(x) @ weight``, and jets through both."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from math import inf
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.calculus.jet import JetSpace, multiply
from kanpde.errors import InputError
from kanpde.models.inputs import Inputs


class Layer(nn.Module, ABC):
    """``features(x) @ weight``; ``weight`` is (features, d_out).

    A layer with a grid overrides `grid`, `smoothness`, `size_at`, `refine` and `update_grid`; the others keep their
    size. ``has_edges`` says that every output is a sum of functions of one input each, which `edges` then gives.
    """

    weight: nn.Parameter
    has_edges: ClassVar[bool] = False

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

    def edges(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_in d_out"]:
        """Every edge function at its own column of x; for layers with ``has_edges``."""
        raise NotImplementedError(f"{type(self).__name__} has no functions of one input each.")

    # grids -----------------------------------------------------------------------------------------------------------
    @property
    def grid(self) -> int | None:
        """Cells per input; None where there are none."""
        return None

    @property
    def smoothness(self) -> float:
        """The highest order of bounded derivatives of the features."""
        return inf

    def size_at(self, grid: int) -> int:
        """How many weights the layer has on that grid."""
        return self.weight.numel()

    def refine(self, grid: int) -> None:
        """More cells; the layer stays the same function where that is possible."""

    def update_grid(
        self, samples: Float[Tensor, "points d_in"], grid: int, uniform_share: float, min_gap: float, margin: float
    ) -> None:
        """Lays ``grid`` cells where ``samples`` are; the arguments are explained at `kanpde.models.kan.KANLayer`."""


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

    # grids -----------------------------------------------------------------------------------------------------------
    @property
    def grid(self) -> int | None:
        """Cells per input, of the finest layer; None for a network without grids."""
        return max((layer.grid for layer in self.layers if layer.grid is not None), default=None)

    @property
    def smoothness(self) -> float:
        """The highest order of bounded derivatives of all layers; infinity for analytic ones."""
        return min(layer.smoothness for layer in self.layers)

    @property
    def has_edges(self) -> bool:
        """Whether every layer consists of functions of one input each, of which some have a grid."""
        return self.grid is not None and all(layer.has_edges for layer in self.layers)

    def size_at(self, grid: int) -> int:
        """How many parameters the network has on that grid."""
        return sum(layer.size_at(grid) for layer in self.layers)

    def refine(self, grid: int) -> None:
        """Gives every layer ``grid`` cells per input; layers without a grid stay as they are."""
        for layer in self.layers:
            layer.refine(grid)

    @torch.no_grad()
    def update_grid(
        self,
        x: Float[Tensor, "points dim"],
        grid: int | None = None,
        uniform_share: float = 1.0,
        min_gap: float = 0.2,
        margin: float = 0.05,
    ) -> None:
        """Moves the knots of the hidden layers to the values that reach them from the points x.

        The first layer keeps the coordinates' own range. ``grid`` is the number of cells per input from now on; the
        other arguments are those of `kanpde.models.kan.KANLayer.update_grid`. A network without grids stays as it is.
        """
        if (grid := grid or self.grid) is None:
            return
        y = self.inputs(x)
        for i, layer in enumerate(self.layers):
            if i:
                y = self.nodes[i - 1].values(y)
                layer.update_grid(y, grid, uniform_share, min_gap, margin)
            else:
                layer.refine(grid)
            y = layer(y)


def grid_of(model: nn.Module) -> int | None:
    """Cells per input of a network; None for one without grids, and for a module that is none of this package's."""
    return model.grid if isinstance(model, Network) else None


def check_hidden(hidden: Sequence[int]) -> None:
    """Refuses widths that no network has."""
    if any(not isinstance(width, int) or width < 1 for width in hidden):
        raise InputError(f"hidden widths must be positive whole numbers, got {list(hidden)}.", write={"hidden": [8]})
