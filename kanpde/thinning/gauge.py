r"""A normal form of a KAN: the same function, with edges whose constants and sizes mean something.

Two changes leave the function of a KAN as it is. A constant can move from one edge to another that enters the same sum.
And a sum y may be replaced by $z = (y - m) / s$ if the next layer's functions are replaced by
$z \mapsto \varphi(m + s z)$. For a basis on a range this is exact: its knots are mapped by the same affine map, and its
coefficients stay. The function silu has no such rule. Its part of the next layer's edges is therefore first expressed
by their basis, by least squares on the grid. Nodes whose values leave the grid, or for whose silu the grid is too
coarse to do so to rounding, keep their mean and their size.

In the normal form edges have mean zero, apart from one edge of each sum that carries its constant, and nodes that add
have mean zero and variance one over the domain. Factors of products have variance one, but keep their means. A family
that does not contain the constant 1 keeps all means. (A penalty on the sizes of edges could otherwise be lowered by
making a layer smaller and the next one larger; that of `kanpde.thinning.penalty` has the same value in all forms.)
"""

from copy import deepcopy

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kanpde.domains import Points
from kanpde.models.kanlayer import KANLayer
from kanpde.models.layer import Nodes
from kanpde.models.network import Network
from kanpde.thinning.removal import by_edge, constants, fitted, kan_layers

CONSTANT = 1e3  # sums that vary by less than this multiple of their rounding errors keep their size


@torch.no_grad()
def gauged(network: Network, points: Points) -> Network:
    """Return the same function, to rounding, in the normal form above.

    Args:
        network: a KAN, which is not changed.
        points: with quadrature weights, which define means and standard deviations.

    Raises:
        InputError: another network.
    """
    new = deepcopy(network)
    layers = kan_layers(new)
    y = new.inputs(points.x)
    for k, layer in enumerate(layers):
        centre(layer, y, points.weight)
        if k + 1 < len(layers):
            normalize(layer, new.nodes[k], layers[k + 1], y, points.weight)
            y = new.nodes[k].values(layer(y))
    return new


def centre(layer: KANLayer, x: Float[Tensor, "points d_in"], weight: Float[Tensor, " points"]) -> None:
    """Move the means of the edges to that edge of each sum which varies most."""
    ones = constants(layer.basis)
    if ones is None:
        return
    edges = layer.edges(x)
    means = torch.einsum("n,nio->io", weight, edges)
    carriers = carriers_of(layer, edges, means, weight)
    moved = means * layer.existing
    moved[carriers, torch.arange(len(carriers))] = 0.0
    by_edge(layer)[:, :-1] -= moved[:, None] * ones[..., None]
    add(layer, carriers, moved.sum(dim=0), ones)


def carriers_of(layer: KANLayer, edges: Tensor, means: Tensor, weight: Tensor) -> Tensor:
    """Return for every output the edge that varies most."""
    spread = torch.einsum("n,nio->io", weight, (edges - means).square())
    return spread.masked_fill(~layer.existing, -1.0).argmax(dim=0)


def add(layer: KANLayer, carriers: Tensor, constant: Float[Tensor, " d_out"], ones: Tensor) -> None:
    """Add a constant to every output, by its carrier."""
    for o, carrier in enumerate(carriers.tolist()):
        if bool(layer.existing[carrier, o]):
            by_edge(layer)[carrier, :-1, o] += constant[o] * ones[carrier]


def normalize(layer: KANLayer, nodes: Nodes, following: KANLayer, x: Tensor, weight: Tensor) -> None:
    """Scale the outputs of a layer with inputs x, and the knots of the next one."""
    edges, y, ones = layer.edges(x), layer(x), constants(layer.basis)
    mean = weight @ y
    spread = (weight @ (y - mean).square()).sqrt()
    may = spread > CONSTANT * torch.finfo(y.dtype).eps * y.abs().amax(dim=0)
    may = of_nodes(nodes, may.double()) > 0.5
    may &= without_silu(following, nodes.values(y))
    of_sums = torch.cat([may[: nodes.sums], may[nodes.sums :].repeat_interleave(nodes.arity)])
    scale = torch.where(of_sums, spread, torch.ones_like(spread))
    shift = torch.where(of_sums, mean, torch.zeros_like(mean))
    shift[nodes.sums :] = 0.0  # products have no rule for shifts
    if ones is None:
        shift.zero_()
    else:
        add(layer, carriers_of(layer, edges, torch.einsum("n,nio->io", weight, edges), weight), -shift, ones)
    by_edge(layer)[:] /= scale
    shift = torch.cat([shift[: nodes.sums], shift.new_zeros(nodes.products)])
    knots = (following.basis.knots - shift[:, None]) / of_nodes(nodes, scale)[:, None]
    following.basis = type(following.basis)(knots, following.basis.degree)


def of_nodes(nodes: Nodes, of_sums: Float[Tensor, " outputs"]) -> Float[Tensor, " inputs"]:
    """Return the products of the factors of every node."""
    return nodes.values(of_sums[None])[0]


def without_silu(layer: KANLayer, x: Float[Tensor, "points d_in"]) -> Bool[Tensor, " d_in"]:
    """Express silu by the basis wherever that is exact to rounding; return the inputs that no longer have it."""
    ends, weight = layer.basis.breakpoints, by_edge(layer)
    inside = (x.amin(dim=0) >= ends[:, 0]) & (x.amax(dim=0) <= ends[:, -1])
    has_none = ~(weight[:, -1] != 0).any(dim=1)
    if bool((inside & ~has_none).any()):
        found = fitted(layer.basis, nn.functional.silu)
        may = inside & found.isfinite().all(dim=1) & ~has_none
        weight[may, :-1] += found[may, :, None] * weight[may, -1:]
        weight[may, -1] = 0.0
        has_none |= may
    return has_none
