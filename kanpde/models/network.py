r"""The common structure of KANs and MLPs: an input map, layers ``features(x) @ weight``, and jets through both."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from math import inf
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.calculus.jet import JetSpace, multiply
from kanpde.errors import InputError
from kanpde.factories import kind_of
from kanpde.models.inputs import Inputs


class Layer(nn.Module, ABC):
    """``features(x) @ weight``; ``weight`` is (features, d_out).

    A layer with a grid overrides `grid`, `smoothness`, `size_at`, `refine` and `update_grid`; the others keep their
    size. If ``has_edges``, every output is a sum of functions of one input each, and `edges` returns these functions.
    """

    weight: nn.Parameter
    has_edges: ClassVar[bool] = False

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """Return sizes and options as numbers, strings, lists and dicts, without ``kind`` (of its class)."""

    @classmethod
    @abstractmethod
    def from_architecture(
        cls, architecture: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype
    ) -> "Layer":
        """Return a layer of that architecture with all weights zero."""

    @property
    def active(self) -> int:
        """Number of features that are non-zero at a point."""
        return self.weight.shape[0]

    @abstractmethod
    def forward(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_out"]:
        """Return the outputs by plain torch operations, which autograd differentiates to any order (the reference)."""

    @abstractmethod
    def features(
        self, data: Float[Tensor, "components points d_in"], space: JetSpace
    ) -> Float[Tensor, "components points features"]:
        """Return the jet of the features; it is differentiated at most once."""

    def jet(self, data: Tensor, space: JetSpace) -> Float[Tensor, "components points d_out"]:
        """Return the jet of the outputs."""
        return self.features(data, space) @ self.weight

    def traced(self, data: Tensor, space: JetSpace) -> "Traced":
        """Return features without gradients, and outputs that are differentiable with respect to ``data``."""
        features = self.features(data, space)
        return features.detach(), features @ self.weight

    def edges(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_in d_out"]:
        """Return every edge function at its own column of x; for layers with ``has_edges``."""
        raise NotImplementedError(f"{type(self).__name__} has no functions of one input each.")

    # sizes -----------------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def add_outputs(self, at: int, count: int, generator: torch.Generator | None) -> None:
        """Insert ``count`` outputs before output ``at``, with normal weights of the present weights' deviation."""
        old = self.weight
        new = torch.randn(len(old), count, generator=generator, device=old.device, dtype=old.dtype)
        self.weight = nn.Parameter(torch.cat([old[:, :at], old.square().mean().sqrt() * new, old[:, at:]], dim=1))

    def add_inputs(self, at: int, count: int) -> None:
        """Insert ``count`` inputs before input ``at``, with weights zero, so that the outputs do not change."""
        raise NotImplementedError(f"{type(self).__name__} has a fixed number of inputs.")

    # grids -----------------------------------------------------------------------------------------------------------
    @property
    def grid(self) -> int | None:
        """Cells per input; None for a layer without a grid."""
        return None

    @property
    def smoothness(self) -> float:
        """The highest order of bounded derivatives of the features."""
        return inf

    def size_at(self, grid: int) -> int:
        """Return the number of weights on that grid."""
        return self.weight.numel()

    def refine(self, grid: int) -> None:
        """Refine the grid; the layer stays the same function if that is possible."""

    def update_grid(
        self, samples: Float[Tensor, "points d_in"], grid: int, uniform_share: float, min_gap: float, margin: float
    ) -> None:
        """Fit ``grid`` cells to ``samples``; the arguments are those of `kanpde.models.kan.KANLayer.update_grid`."""


Traced = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Nodes:
    """The nodes between two layers: ``sums`` outputs are passed on, then ``products`` of ``arity`` outputs each.

    Z. Liu et al., KAN 2.0: Kolmogorov-Arnold Networks Meet Science, 2024, section 3 (MultKAN).
    """

    sums: int
    products: int = 0
    arity: int = 2

    @property
    def outputs(self) -> int:
        """Number of outputs of the preceding layer."""
        return self.sums + self.arity * self.products

    @property
    def inputs(self) -> int:
        """Number of inputs of the following layer."""
        return self.sums + self.products

    def values(self, y: Float[Tensor, "points outputs"]) -> Float[Tensor, "points inputs"]:
        if not self.products:
            return y
        return torch.cat([y[:, : self.sums], y[:, self.sums :].unflatten(1, (self.products, -1)).prod(2)], dim=1)

    def jet(self, data: Tensor, space: JetSpace) -> Float[Tensor, "components points inputs"]:
        """Return the jet of the following layer's inputs."""
        if not self.products:
            return data
        factors = data[..., self.sums :].unflatten(2, (self.products, self.arity)).unbind(3)
        return torch.cat([data[..., : self.sums], reduce(lambda a, b: multiply(a, b, space), factors)], dim=2)


class Network(nn.Module):
    """An input map and a stack of layers; made by the factories `KAN` and `MLP`.

    ``nodes`` are between the layers; without them outputs are passed on unchanged.
    """

    def __init__(self, inputs: Inputs, layers: Sequence[Layer], nodes: Sequence[Nodes] | None = None):
        super().__init__()
        self.inputs = inputs
        self.layers = cast(Sequence[Layer], nn.ModuleList(layers))
        self.nodes = list(nodes or []) or [Nodes(layer.weight.shape[1]) for layer in layers[:-1]]

    def architecture(self) -> dict[str, Any]:
        """Return all that `kanpde.models.architecture.network_from` needs besides the weights, in a form for JSON."""
        return {
            "kind": kind_of(type(self)),
            "inputs": self.inputs.architecture(),
            "layers": [{"kind": kind_of(type(layer)), **layer.architecture()} for layer in self.layers],
            "nodes": [asdict(nodes) for nodes in self.nodes],
        }

    @property
    def rest(self) -> Iterable[tuple[Nodes, Layer]]:
        """Return every layer except the first, with the nodes before it."""
        return zip(self.nodes, list(self.layers)[1:], strict=True)

    def forward(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points outputs"]:
        y = self.layers[0](self.inputs(x))
        for nodes, layer in self.rest:
            y = layer(nodes.values(y))
        return y

    def head(self, x: Float[Tensor, "points dim"], space: JetSpace) -> Float[Tensor, "components points features"]:
        """Return the first layer's features, which depend only on the points and can be cached."""
        return self.layers[0].features(self.inputs.jet(x, space), space)

    def jet(
        self, x: Float[Tensor, "points dim"], space: JetSpace, head: Tensor | None = None
    ) -> Float[Tensor, "components points outputs"]:
        """Return values and derivatives of all outputs from one pass; ``head`` is the cached result of `head`."""
        first = self.layers[0]
        data = first.jet(self.inputs.jet(x, space), space) if head is None else head @ first.weight
        for nodes, layer in self.rest:
            data = layer.jet(nodes.jet(data, space), space)
        return data

    def trace(self, x: Float[Tensor, "points dim"], space: JetSpace, head: Tensor | None = None) -> list[Traced]:
        """Return (features, outputs) of every layer, with the outputs as nodes of the autograd graph for adjoints.

        With λ = ∂r/∂outputs, the derivative of r with respect to a layer's weight is Σ_components features ⊗ λ.
        """
        features = self.head(x, space) if head is None else head
        steps = [(features, features @ self.layers[0].weight)]
        for nodes, layer in self.rest:
            steps.append(layer.traced(nodes.jet(steps[-1][1], space), space))
        return steps

    @property
    def half_wider(self) -> int:
        """Half of the number of adding nodes of the narrowest hidden layer, at least 1."""
        return max(1, min(nodes.sums for nodes in self.nodes) // 2)

    def widen(self, count: int, generator: torch.Generator | None = None) -> None:
        """Add ``count`` nodes that add their edges to every hidden layer; the network remains the same function.

        The new nodes have random inputs and weights zero after them (T. Chen, I. Goodfellow, J. Shlens, Net2Net:
        Accelerating Learning via Knowledge Transfer, 2016, keep the function by copies instead).
        """
        for i, nodes in enumerate(self.nodes):
            self.layers[i].add_outputs(nodes.sums, count, generator)
            self.layers[i + 1].add_inputs(nodes.sums, count)
            self.nodes[i] = replace(nodes, sums=nodes.sums + count)

    # grids -----------------------------------------------------------------------------------------------------------
    @property
    def grid(self) -> int | None:
        """Cells per input of the finest layer; None for a network without grids."""
        return max((layer.grid for layer in self.layers if layer.grid is not None), default=None)

    @property
    def smoothness(self) -> float:
        """The highest order of bounded derivatives of all layers; infinity for analytic ones."""
        return min(layer.smoothness for layer in self.layers)

    @property
    def has_edges(self) -> bool:
        """Whether every layer consists of functions of one input each, and some layer has a grid."""
        return self.grid is not None and all(layer.has_edges for layer in self.layers)

    def size_at(self, grid: int) -> int:
        """Return the number of parameters on that grid."""
        return sum(layer.size_at(grid) for layer in self.layers)

    def refine(self, grid: int) -> None:
        """Refine every layer to ``grid`` cells per input; layers without a grid are unchanged."""
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
        """Fit the knots of the hidden layers to their input values at the points x.

        The first layer keeps the coordinate ranges. ``grid`` is the new number of cells per input; the other arguments
        are those of `kanpde.models.kan.KANLayer.update_grid`. A network without grids is unchanged.
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
    """Return the cells per input of a network; None without grids, and for modules from outside this package."""
    return model.grid if isinstance(model, Network) else None


def check_hidden(hidden: Sequence[int]) -> None:
    """Refuse invalid widths of hidden layers."""
    if any(not isinstance(width, int) or width < 1 for width in hidden):
        raise InputError(f"hidden widths must be positive whole numbers, got {list(hidden)}.", write={"hidden": [8]})
