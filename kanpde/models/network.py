r"""The common structure of KANs and MLPs: an input map, layers ``features(x) @ weight``, and jets through both."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.calculus.jet import JetSpace
from kanpde.errors import InputError
from kanpde.factories import kind_of
from kanpde.models.inputs import Inputs
from kanpde.models.layer import Layer, Nodes, Traced
from kanpde.models.singular import Singular

Block = Layer | Singular


@runtime_checkable
class NetworkFactory(Protocol):
    """Makes an untrained network for coordinates in some ranges, such as `KAN`."""

    def __call__(
        self,
        ranges: Sequence[tuple[float, float]],
        outputs: int = 1,
        *,
        periodic: Sequence[int] = (),
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> "Network": ...


class Network(nn.Module):
    """An input map and a stack of layers; made by the factories `KAN` and `MLP`.

    ``nodes`` are between the layers; without them outputs are passed on unchanged. ``singular``, if it is set, is added
    to the outputs.
    """

    def __init__(self, inputs: Inputs, layers: Sequence[Layer], nodes: Sequence[Nodes] | None = None):
        super().__init__()
        self.inputs = inputs
        self.singular: Singular | None = None
        self.layers = cast(Sequence[Layer], nn.ModuleList(layers))
        self.nodes = list(nodes or []) or [Nodes(layer.weight.shape[1]) for layer in layers[:-1]]

    def architecture(self) -> dict[str, Any]:
        """Return all that `kanpde.models.architecture.network_from` needs besides the weights, in a form for JSON."""
        return {
            "kind": kind_of(type(self)),
            "inputs": self.inputs.architecture(),
            "layers": [{"kind": kind_of(type(layer)), **layer.architecture()} for layer in self.layers],
            "nodes": [asdict(nodes) for nodes in self.nodes],
            **({} if self.singular is None else {"singular": self.singular.architecture()}),
        }

    @property
    def blocks(self) -> list[Block]:
        """All that has trained weights and ``features @ weight``: the layers, then the singular functions, if any."""
        return [*self.layers, *([] if self.singular is None else [self.singular])]

    @property
    def rest(self) -> Iterable[tuple[Nodes, Layer]]:
        """Return every layer except the first, with the nodes before it."""
        return zip(self.nodes, list(self.layers)[1:], strict=True)

    def on(self, side: int | None) -> "Network":
        """Return the network of a part of the domain, which is this one unless every part has one of its own."""
        return self

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.layers[-1].weight.shape[1]

    def first_layer(self, side: int | None) -> int:
        """Return the position among the layers of the first one of the network `on` that part."""
        return 0

    def forward(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points outputs"]:
        y = self.layers[0](self.inputs(x))
        for nodes, layer in self.rest:
            y = layer(nodes.values(y))
        return y if self.singular is None else y + self.singular(x)

    def head(self, x: Float[Tensor, "points dim"], space: JetSpace) -> Float[Tensor, "components points features"]:
        """Return the features that depend only on the points and can be cached.

        They are those of the first layer, followed by the singular functions, if there are any.
        """
        features = self.layers[0].features(self.inputs.jet(x, space), space)
        return features if self.singular is None else torch.cat([features, self.singular.features(x, space)], dim=2)

    def _parts_of(self, head: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the first layer's features, and the singular functions, from the result of `head`."""
        if self.singular is None:
            return head, None
        own = len(self.singular.functions)
        return head[..., :-own], head[..., -own:]

    def jet(
        self, x: Float[Tensor, "points dim"], space: JetSpace, head: Tensor | None = None
    ) -> Float[Tensor, "components points outputs"]:
        """Return values and derivatives of all outputs from one pass; ``head`` is the cached result of `head`."""
        first, added = self.layers[0], None
        if head is None:
            data = first.jet(self.inputs.jet(x, space), space)
            added = None if self.singular is None else self.singular.features(x, space)
        else:
            features, added = self._parts_of(head)
            data = first.outputs(features)
        for nodes, layer in self.rest:
            data = layer.jet(nodes.jet(data, space), space)
        return data if self.singular is None or added is None else data + added @ self.singular.weight

    def trace(self, x: Float[Tensor, "points dim"], space: JetSpace, head: Tensor | None = None) -> list[Traced]:
        """Return (features, outputs) of all `blocks`, with the outputs as nodes of the autograd graph for adjoints.

        With λ = ∂r/∂outputs, the derivative of r with respect to a block's weight is Σ_components features ⊗ λ. The
        outputs of the network are those of the last block; they are also given for the last layer, because λ is equal.
        """
        features, added = self._parts_of(self.head(x, space) if head is None else head)
        steps = [(features, self.layers[0].outputs(features))]
        for nodes, layer in self.rest:
            steps.append(layer.traced(nodes.jet(steps[-1][1], space), space))
        if self.singular is not None and added is not None:
            last, outputs = steps.pop()
            total = outputs + added @ self.singular.weight
            steps += [(last, total), (added, total)]
        return steps

    def outputs_of(self, steps: Sequence[Traced]) -> Float[Tensor, "components points outputs"]:
        """Return the network's outputs from the result of `trace`."""
        return steps[-1][1]

    @torch.no_grad()
    def scale_outputs(self, sizes: Float[Tensor, " outputs"]) -> None:
        """Multiply every output of an untrained network by a size."""
        self.layers[-1].weight.mul_(sizes)

    @property
    def half_wider(self) -> int:
        """Half of the number of nodes of the narrowest hidden layer, without products beside sums; at least 1."""
        return max(1, min(nodes.sums or nodes.products for nodes in self.nodes) // 2)

    @torch.no_grad()
    def widen(self, count: int, generator: torch.Generator | None = None) -> None:
        """Add ``count`` nodes to every hidden layer; the network remains the same function.

        They add their edges, or multiply them in a layer of which all nodes do.

        The new nodes have random inputs and weights zero after them (T. Chen, I. Goodfellow, J. Shlens, Net2Net:
        Accelerating Learning via Knowledge Transfer, 2016, keep the function by copies instead).
        """
        for i, nodes in enumerate(self.nodes):
            if nodes.sums:
                self.layers[i].add_outputs(nodes.sums, count, generator)
                self.layers[i + 1].add_inputs(nodes.sums, count)
                self.nodes[i] = replace(nodes, sums=nodes.sums + count)
            else:
                self.layers[i].add_outputs(nodes.outputs, count * nodes.arity, generator)
                self.layers[i + 1].add_inputs(nodes.inputs, count)
                if self.is_separable:  # the new products vanish, so the weights after them need not
                    new = self.layers[i + 1].weight[nodes.inputs : nodes.inputs + count]
                    new.normal_(generator=generator)
                self.nodes[i] = replace(nodes, products=nodes.products + count)

    # grids -----------------------------------------------------------------------------------------------------------
    @property
    def grid(self) -> int | None:
        """Cells per input of the finest layer; None for a network without grids."""
        return max((layer.grid for layer in self.layers if layer.grid is not None), default=None)

    @property
    def ends(self) -> list[Tensor]:
        """The ends of the first layer's cells by coordinate; none if all are equal, or if a coordinate is periodic."""
        first = self.layers[0] if len(self.layers) else None
        if first is None or first.grid is None or self.inputs.periodic:
            return []
        widths = first.breakpoints.diff(dim=1)
        if bool((widths.amax(dim=1) <= (1 + 1e-9) * widths.amin(dim=1)).all()):
            return []
        middle, half = 0.5 * (self.inputs.upper + self.inputs.lower), 0.5 * (self.inputs.upper - self.inputs.lower)
        return list((middle[:, None] + half[:, None] * first.breakpoints).unbind(0))

    @property
    def is_separable(self) -> bool:
        """Whether the network is a sum of products of functions of one input each."""
        return len(self.layers) == 2 and self.layers[0].groups > 1

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
        return sum(layer.size_at(grid) for layer in self.layers) + (len(self.singular.names) if self.singular else 0)

    def refine(self, grid: int) -> None:
        """Refine every layer to ``grid`` cells per input; layers without a grid are unchanged."""
        for layer in self.layers:
            layer.refine(grid)

    @torch.no_grad()
    def refine_where(self, x: Float[Tensor, "points dim"], shares: Float[Tensor, " points"], grid: int) -> None:
        """Refine every layer where its inputs at points x have the largest shares of something, such as a residual."""
        y = self.inputs(x)
        for i, layer in enumerate(self.layers):
            if i:
                y = self.nodes[i - 1].values(y)
            layer.refine_where(y, shares, grid)
            y = layer(y)

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
        are those of `kanpde.models.kanlayer.KANLayer.update_grid`. A network without grids is unchanged.
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


def trained_size(model: nn.Module) -> int:
    """Return the number of trained parameters; the weights of edges that have been removed do not count."""
    total = sum(p.numel() for p in model.parameters() if p.requires_grad)
    free = [(layer.weight, layer.free) for layer in model.modules() if isinstance(layer, (Layer, Singular))]
    return total - sum(weight.numel() - len(kept) for weight, kept in free if kept is not None)


def singular_coefficients(model: nn.Module) -> dict[str, float]:
    """Return the coefficients of the singular functions that are added to a network, by name."""
    return model.singular.coefficients if isinstance(model, Network) and model.singular is not None else {}


def grid_of(model: nn.Module) -> int | None:
    """Return the cells per input of a network; None without grids, and for modules from outside this package."""
    return model.grid if isinstance(model, Network) else None


def on_side(model: nn.Module, side: int | None) -> nn.Module:
    """Return the network of a part of the domain; modules from outside this package serve all parts."""
    return model.on(side) if isinstance(model, Network) else model


def is_separable(model: nn.Module) -> bool:
    """Return whether a model is a sum of products of functions of one input each; False for modules from outside."""
    return isinstance(model, Network) and model.is_separable


def check_hidden(hidden: Sequence[int]) -> None:
    """Refuse invalid widths of hidden layers."""
    is_list = isinstance(hidden, Sequence) and not isinstance(hidden, str)
    if not is_list or any(not isinstance(width, int) or width < 1 for width in hidden):
        came = list(hidden) if is_list else repr(hidden)
        raise InputError(f"hidden widths must be positive whole numbers, got {came}.", write={"hidden": [8]})
