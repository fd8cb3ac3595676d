"""Networks without some of their nodes and edges.

A node that is removed takes its rows and columns of weights with it. A single edge leaves a mark in
`kanpde.models.kanlayer.KANLayer.mask`. What is removed is replaced by its mean over the domain, as a constant that
another edge of the same sum carries.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import nan

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanpde.bases import Basis
from kanpde.bases.bspline import BSpline
from kanpde.domains import Points
from kanpde.errors import Code, InputError
from kanpde.models.kanlayer import KANLayer
from kanpde.models.network import Network
from kanpde.models.several import require_one_network

POINTS, LEAST = (
    500,
    1e3,
)  # points and largest error, as a multiple of the machine precision, of the constant 1 in a basis


@dataclass(frozen=True, order=True)
class Node:
    """Node ``index`` between the layers ``layer`` and ``layer + 1``: one that adds, or one that multiplies."""

    layer: int
    index: int


@dataclass(frozen=True, order=True)
class Edge:
    """The edge of a layer from its input ``start`` to its output ``end``."""

    layer: int
    start: int
    end: int


Part = Node | Edge


def kan_layers(network: object) -> list[KANLayer]:
    """Return the layers of a KAN.

    Raises:
        InputError: the model is not a network all of whose layers are those of a KAN.
    """
    require_one_network(network, "Removing edges")
    layers = list(network.layers) if isinstance(network, Network) else []
    found = [layer for layer in layers if isinstance(layer, KANLayer) and type(layer) is KANLayer]
    if not found or len(found) < len(layers):
        kind = ", ".join(dict.fromkeys(type(layer).__name__ for layer in layers)) or type(network).__name__
        raise InputError(
            f"Edges can be removed from a KAN; expected layers of the kind KANLayer, got a model of {kind}. Solve the "
            "problem with a KAN.",
            write={"model": Code("KAN()")},
        )
    return found


def without(network: Network, parts: Iterable[Part], points: Points) -> Network:
    """Return the network without some parts; the given one is unchanged.

    Hidden nodes that lose all edges on one side are removed too.

    Args:
        network: a KAN.
        parts: its nodes and edges that are removed.
        points: with quadrature weights, over which means are taken.

    Raises:
        InputError: a hidden layer or an output would be left without edges, or a part does not exist.
    """
    return reduced(network, kept_without(network, parts), points)


def kept_without(network: Network, parts: Iterable[Part]) -> list[Bool[Tensor, "d_in d_out"]]:
    """Return by layer which edges are left if some parts are removed.

    Raises:
        InputError: as `without`.
    """
    kept = [layer.existing.clone() for layer in kan_layers(network)]
    for part in parts:
        _refuse_missing(network, part)
        _cut(network, kept, part)
    _refuse_empty(network, kept)
    return kept


@torch.no_grad()
def reduced(network: Network, kept: Sequence[Bool[Tensor, "d_in d_out"]], points: Points) -> Network:
    """Return the network with the edges of `kept_without` only."""
    new = deepcopy(network)
    layers = kan_layers(new)
    x = new.inputs(points.x)
    for k, layer in enumerate(layers):
        edges = layer.edges(x)
        means = torch.einsum("n,nio->io", points.weight, edges)
        spread = torch.einsum("n,nio->io", points.weight, (edges - means).square())
        x = layer(x) if k + 1 == len(layers) else new.nodes[k].values(layer(x))
        _move_constants(layer, kept[k], means, spread)
    _keep(new, layers, kept)
    return new


def nodes_left(network: Network, kept: Sequence[Bool[Tensor, "d_in d_out"]], k: int) -> Bool[Tensor, " nodes"]:
    """Return which nodes between the layers k and k + 1 have edges on both sides."""
    nodes, before, after = network.nodes[k], kept[k].any(dim=0), kept[k + 1].any(dim=1)
    of_products = before[nodes.sums :].unflatten(0, (nodes.products, nodes.arity)).all(dim=1)
    return torch.cat([before[: nodes.sums], of_products]) & after


def sums_of(network: Network, k: int, node: int) -> range:
    """Return the outputs of layer k that form a node behind it."""
    nodes = network.nodes[k]
    if node < nodes.sums:
        return range(node, node + 1)
    first = nodes.sums + (node - nodes.sums) * nodes.arity
    return range(first, first + nodes.arity)


def _cut(network: Network, kept: list[Tensor], part: Part) -> None:
    """Mark a part, and all nodes that lose their edges by that, as removed."""
    if isinstance(part, Node):
        kept[part.layer][:, list(sums_of(network, part.layer, part.index))] = False
        kept[part.layer + 1][part.index] = False
    else:
        kept[part.layer][part.start, part.end] = False
    is_new = True
    while is_new:
        before = [int(each.sum()) for each in kept]
        for k in range(len(network.nodes)):
            for node in (~nodes_left(network, kept, k)).nonzero()[:, 0].tolist():
                kept[k][:, list(sums_of(network, k, node))] = False
                kept[k + 1][node] = False
        is_new = before != [int(each.sum()) for each in kept]


def _refuse_missing(network: Network, part: Part) -> None:
    layers = kan_layers(network)
    if isinstance(part, Node):
        is_there = 0 <= part.layer < len(network.nodes) and 0 <= part.index < network.nodes[part.layer].inputs
    else:
        shape = layers[part.layer].existing.shape if 0 <= part.layer < len(layers) else (0, 0)
        is_there = 0 <= part.start < shape[0] and 0 <= part.end < shape[1]
    if not is_there:
        raise InputError(f"The network has no {part}; its layers have the sizes {sizes_of(network)}.")


def _refuse_empty(network: Network, kept: Sequence[Tensor]) -> None:
    empty = [k + 1 for k in range(len(network.nodes)) if not bool(nodes_left(network, kept, k).any())]
    bare = (~kept[-1].any(dim=0)).nonzero()[:, 0].tolist()
    if empty or bare:
        what = f"hidden layer {empty[0]} without nodes" if empty else f"output {bare[0]} without edges"
        raise InputError(
            f"The removal would leave {what}; a network of the sizes {sizes_of(network)} must keep at least one node "
            "in every hidden layer and one edge to every output. Remove fewer parts."
        )


def _move_constants(layer: KANLayer, kept: Tensor, means: Tensor, spread: Tensor) -> None:
    """Let the strongest edge that is left of every sum carry the means of those that are removed."""
    ones = constants(layer.basis)
    lost = (means * (layer.existing & ~kept)).sum(dim=0)
    for o in kept.any(dim=0).nonzero()[:, 0].tolist():
        if ones is not None and bool((layer.existing & ~kept)[:, o].any()):
            carrier = int(spread[:, o].masked_fill(~kept[:, o], -1.0).argmax())
            by_edge(layer)[carrier, :-1, o] += lost[o] * ones[carrier]


def _keep(network: Network, layers: Sequence[KANLayer], kept: Sequence[Tensor]) -> None:
    """Remove edges and nodes that are marked."""
    left = [nodes_left(network, kept, k).nonzero()[:, 0] for k in range(len(network.nodes))]
    every = [torch.arange(n, device=kept[0].device) for n in (kept[0].shape[0], kept[-1].shape[1])]
    for k, layer in enumerate(layers):
        layer.without(~kept[k])
        inputs, outputs = left[k - 1] if k else every[0], every[1]
        if k < len(left):
            outputs = torch.tensor([o for node in left[k].tolist() for o in sums_of(network, k, node)])
        layer.select(inputs, outputs.to(inputs.device))
    network.nodes = [between.only(each.tolist()) for between, each in zip(network.nodes, left, strict=True)]


# constants -----------------------------------------------------------------------------------------------------------
def by_edge(layer: KANLayer) -> Float[Tensor, "d_in features d_out"]:
    """Return the weight by edge, as a view into which one can write."""
    return layer.weight.detach().view(layer.existing.shape[0], -1, layer.existing.shape[1])


def constants(basis: Basis) -> Float[Tensor, "d_in size"] | None:
    """Return the coefficients of the constant 1 for every input; None if the family does not contain it."""
    if isinstance(basis, BSpline):
        return torch.ones(len(basis.knots), basis.size, dtype=basis.knots.dtype, device=basis.knots.device)
    found = fitted(basis, torch.ones_like)
    return found if bool(found.isfinite().all()) else None


def fitted(basis: Basis, function: Callable[[Tensor], Tensor]) -> Float[Tensor, "d_in size"]:
    """Return the coefficients of a function of one variable on the grid of every input.

    They are NaN for inputs whose basis does not contain the function to rounding.
    """
    lower, upper = basis.breakpoints[:, 0], basis.breakpoints[:, -1]
    share = torch.linspace(0, 1, max(POINTS, 4 * basis.size), dtype=lower.dtype, device=lower.device)[:, None]
    x = lower + share * (upper - lower)
    wanted = function(x)
    matrix = basis.dense(x).transpose(0, 1)
    found = torch.linalg.lstsq(matrix.cpu(), wanted.T[..., None].cpu(), driver="gelsd").solution.to(matrix.device)
    error = (matrix @ found - wanted.T[..., None]).abs().amax(dim=(1, 2))
    is_exact = error <= LEAST * torch.finfo(x.dtype).eps * wanted.abs().amax(dim=0)
    return found[..., 0].masked_fill(~is_exact[:, None], nan)


# words ---------------------------------------------------------------------------------------------------------------
def sizes_of(network: Network) -> str:
    """Return the sizes of the layers, [2, [4, 2], 1] with four nodes that add and two that multiply."""
    hidden = [f"[{n.sums}, {n.products}]" if n.products else str(n.sums) for n in network.nodes]
    shapes = [layer.existing.shape for layer in kan_layers(network)]
    return f"[{', '.join([str(shapes[0][0]), *hidden, str(shapes[-1][1])])}]"


def edges_of(network: Network) -> int:
    """Return the number of edges."""
    return sum(int(layer.existing.sum()) for layer in kan_layers(network))
