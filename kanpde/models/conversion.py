r"""Piecewise linear KANs as ReLU perceptrons, and back; both are the same function up to rounding.

An edge of degree 1 with values c_g at the ends t_0 < ... < t_G of its cells and slopes s_g between them is, from a
middle end t_m outwards,

$$\varphi(x) = c_m + s_m\,r(x - t_m) - s_{m-1}\,r(t_m - x) + \sum_{m<j<G} (s_j - s_{j-1})\,r(x - t_j)
  + \sum_{0<j<m} (s_j - s_{j-1})\,r(t_j - x), \qquad r(z) = \max(z, 0),$$

so that a layer is max(G, 2) units per input and a linear map. The units on the way to an end are at most G/2, and their
weights are jumps of slopes, which are small for smooth functions; rounding errors grow like G times the slope. A hidden
layer of n nodes becomes one of n G units, and weights between two such layers (n G times m G numbers) have rank m.
The correspondence is classical; see Y. Wang et al., On the expressiveness and spectral bias of KANs, 2024.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.bases.bspline import BSpline
from kanpde.errors import Code, InputError
from kanpde.models.kan import KANLayer
from kanpde.models.layer import Layer
from kanpde.models.mlp import MLPLayer
from kanpde.models.network import Network
from kanpde.models.several import require_one_network

SAMPLES = 256  # points at which the ranges of hidden values are measured


@torch.no_grad()
def relu_mlp_of(network: Network) -> Network:
    """Return the ReLU perceptron that is the same function everywhere, also outside the grids.

    Args:
        network: a KAN of B-splines of degree 1 on any knots, with any number of layers, whose weights of silu are zero.

    Returns:
        The network of `MLP(activation="relu")` whose hidden layers have max(G, 2) units for each input of a layer
        with G cells.

    Raises:
        InputError: the network is not piecewise linear, or has nodes that multiply.
    """
    edges, layers = _piecewise_linear(network), []
    matrix = torch.eye(network.inputs.size).to(edges[0].weight)  # values before a layer as a linear map ...
    shift = matrix.new_zeros(len(matrix))  # ... of the units before, plus constants
    for layer in edges:
        side, ends, weight, constant = _units(layer)
        count = side.shape[1]
        into = matrix.repeat_interleave(count, dim=1) * side.flatten()
        at = (shift.repeat_interleave(count) - ends.flatten()) * side.flatten()
        layers.append(MLPLayer(torch.cat([into, at[None]]), "relu" if layers else None))
        matrix, shift = weight.flatten(0, 1), constant
    layers.append(MLPLayer(torch.cat([matrix, shift[None]]), "relu"))
    return _like(network, layers)


@torch.no_grad()
def kan_of(mlp: Network) -> Network:
    """Return the KAN of degree 1 that is the same function as a ReLU perceptron, everywhere.

    The first layer has linear edges (one cell), the others have edges w relu(x) (two cells that meet at 0). The widths
    stay the same. Biases are shared by the edges of a node.

    Args:
        mlp: a network of `MLP(activation="relu")`, without Fourier features.

    Raises:
        InputError: the network has other layers or another activation.
    """
    layers = list(mlp.layers) if isinstance(mlp, Network) else []
    kinds = [layer.activation if isinstance(layer, MLPLayer) else type(layer).__name__ for layer in layers]
    if not layers or kinds[0] is not None or any(kind != "relu" for kind in kinds[1:]):
        raise InputError(
            f"kan_of needs a ReLU perceptron, got {_called(mlp)}. Other activations are not piecewise linear.",
            write={"mlp": Code('MLP([16], activation="relu")(ranges)')},
        )
    y, found = mlp.inputs(_samples(mlp)), []
    for i, layer in enumerate(layers):
        largest = y.abs().amax(dim=0)
        half = torch.where(largest > 0, largest, 1.0) if i else torch.ones_like(largest)
        values = torch.stack([-half, half] if i == 0 else [0 * half, 0 * half, half], dim=1)  # of x, or of relu(x)
        basis = BSpline.over(-half, half, values.shape[1] - 1, 1)
        share = layer.weight[-1] / len(half)
        on_edges = values[..., None] * layer.weight[:-1, None] + share
        silu = torch.zeros_like(on_edges[:, :1])
        found.append(KANLayer(basis, torch.cat([on_edges, silu], dim=1).flatten(0, 1)))
        y = layer(y)
    return _like(mlp, found)


@torch.no_grad()
def without_silu(network: Network) -> Network:
    """Return a copy of a KAN of degree 1 with silu replaced by its linear interpolant at the ends of the cells.

    An edge w silu(x) changes by at most |w| h² / 16 in a cell of width h (silu'' is at most 1/2), and by more outside
    the grid. Refine first (`network.refine(64)`) to keep this small.

    Raises:
        InputError: the network is not a KAN of B-splines of degree 1.
    """
    copied = deepcopy(network)
    for layer in _of_degree_one(copied):
        part = layer.weight.detach().view(len(layer.breakpoints), -1, layer.weight.shape[1])
        part[:, :-1] += torch.nn.functional.silu(layer.breakpoints)[..., None] * part[:, -1:]
        part[:, -1] = 0.0
    return copied


def _units(layer: KANLayer) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return sides (1: relu(x - t), -1: relu(t - x)) and ends t of the units, their weights, and the constants.

    Their shapes are (d_in, units) twice, (d_in, units, d_out) and (d_out,).
    """
    values, ends = layer.coefficients[:, :-1], layer.breakpoints
    slopes = values.diff(dim=1) / ends.diff(dim=1)[..., None]
    jumps, cells = slopes.diff(dim=1), slopes.shape[1]  # jump j - 1 is at end j
    middle = cells // 2  # an inner end, except of a single cell, where it is the left one
    left, right = list(range(1, middle)), list(range(middle + 1, cells))
    places = [*left, middle, middle, *right]
    weights = [
        *(jumps[:, j - 1] for j in left),
        -slopes[:, max(middle - 1, 0)],
        slopes[:, middle],
        *(jumps[:, j - 1] for j in right),
    ]
    side = torch.ones(len(places)).to(ends)
    side[: len(left) + 1] = -1.0
    return side.expand(len(ends), -1), ends[:, places], torch.stack(weights, dim=1), values[:, middle].sum(dim=0)


def _samples(network: Network) -> Float[Tensor, "points dim"]:
    """Return points that fill the box of the coordinates."""
    coordinates = len(network.inputs.lower) - len(network.inputs.extra)
    lower, upper = network.inputs.lower[:coordinates], network.inputs.upper[:coordinates]
    return lower + (upper - lower) * torch.quasirandom.SobolEngine(len(lower)).draw(SAMPLES).to(lower)


def _like(network: Network, layers: Sequence[Layer]) -> Network:
    """Return a network with other layers, the same inputs, and the same singular functions, if there are any."""
    new = Network(deepcopy(network.inputs), layers)
    new.singular = deepcopy(network.singular)
    return new


def _called(network: object) -> str:
    if not isinstance(network, Network):
        return f"a {type(network).__name__}"
    kinds = [
        f"MLPLayer ({layer.activation or 'linear'})" if isinstance(layer, MLPLayer) else type(layer).__name__
        for layer in network.layers
    ]
    return f"the layers {', '.join(kinds)}"


def _of_degree_one(network: object) -> list[KANLayer]:
    """Return the layers of a KAN of B-splines of degree 1, and refuse other networks."""
    right = {"network": Code("KAN([4], degree=1)(ranges)")}
    require_one_network(network, "The conversion")
    layers = list(network.layers) if isinstance(network, Network) else []
    found = [layer for layer in layers if isinstance(layer, KANLayer)]
    if not layers or len(found) < len(layers):
        advice = "" if isinstance(network, Network) else "Of a solution take `solution.model`."
        raise InputError(f"A KAN is needed, got {_called(network)}.", write=right, advice=advice)
    for layer in found:
        kind, degree = type(layer.basis), layer.basis.degree
        if kind is not BSpline or degree != 1:
            raise InputError(
                f"Only edges of B-splines of degree 1 are piecewise linear, got {kind.__name__} of degree {degree}.",
                write=right,
            )
    return found


def _piecewise_linear(network: Network) -> list[KANLayer]:
    """Return the layers of a KAN that some ReLU perceptron equals, and refuse other networks."""
    layers = _of_degree_one(network)
    if products := sum(nodes.products for nodes in network.nodes):
        raise InputError(
            f"The network has {products} nodes that multiply, and a product of piecewise linear functions is not "
            "piecewise linear.",
            write={"network": Code("KAN([4], degree=1)(ranges)")},
        )
    largest = max(float(layer.coefficients[:, -1].abs().max()) for layer in layers)
    if largest > 0:
        raise InputError(
            f"The edges have silu (largest weight {largest:.2g}), which is not piecewise linear.",
            write={"network": Code("without_silu(network)")},
            advice="It interpolates silu between the knots, which changes the function less on a finer grid.",
        )
    return layers
