r"""How much every edge and every node of a network contributes to its outputs.

With the standard deviations over the domain (or over the training rows of a fit), an edge $\varphi_{io}$ into a sum
$y_o = \sum_i \varphi_{io}$ has the share $\mathrm{std}(\varphi_{io}) / \mathrm{std}(y_o)$. The scores go backwards from
the outputs, each of which has the score 1:

- an edge has its share times the score of the sum that it belongs to;
- a node has the sum of the scores of the edges that leave it;
- a factor $f_k$ of a product $p = \prod_k f_k$ has the score of the product times
  $\mathrm{std}((f_k - \bar f_k) \prod_{j \ne k} f_j) / \mathrm{std}(p)$, the part of the product that is lost if the
  factor is replaced by its mean.

A score of 0.01 means: to first order, one hundredth of the output's standard deviation depends on it. Constants added
to an edge and factors that one layer gains and the next one loses change no score (the gauge of
`kanpde.thinning.gauge`). Opposite edges that nearly cancel have large scores: none can be removed alone. The scores of
Z. Liu et al., KAN 2.0, 2024, section 4.1, are also shares that go backwards; there products are not decomposed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.domains import Points
from kanpde.errors import InputError
from kanpde.models.layer import Nodes
from kanpde.models.network import Network
from kanpde.problem import Problem
from kanpde.solution import Solution

SAMPLES = 1000  # points for means and standard deviations


@dataclass(frozen=True)
class Scores:
    """The scores of a network.

    Attributes:
        edges: by layer, (d_in, d_out).
        nodes: by layer, of its inputs, (d_in,); the first are the network's inputs.
        sums: by layer, of its outputs, (d_out,): nodes that add, factors of products, outputs of the network.
    """

    edges: Sequence[Float[Tensor, "d_in d_out"]]
    nodes: Sequence[Float[Tensor, " d_in"]]
    sums: Sequence[Float[Tensor, " d_out"]]


def scores(network: Network, points: Points) -> Scores:
    """Return the scores of a network whose layers consist of edges; they can be differentiated by its weights.

    Args:
        network: `Network.has_edges`.
        points: with quadrature weights, which define means and standard deviations.

    Raises:
        InputError: the network has no functions of one input each on its edges.
    """
    require_edges(network)
    values, functions = [network.inputs(points.x)], []
    for k, layer in enumerate(network.layers):
        functions.append(layer.edges(values[-1] if k == 0 else network.nodes[k - 1].values(values[-1])))
        values.append(layer(values[-1] if k == 0 else network.nodes[k - 1].values(values[-1])))
    of_sums, of_edges, of_nodes, of_ends = torch.ones_like(values[-1][0]), [], [], []
    for k in reversed(range(len(functions))):
        shares = deviation(functions[k], points.weight) / deviation(values[k + 1], points.weight)
        of_ends.append(of_sums)
        of_edges.append(shares * of_sums)
        of_nodes.append(of_edges[-1].sum(dim=1))
        if k:
            of_sums = scores_of_sums(network.nodes[k - 1], values[k], points.weight, of_nodes[-1])
    return Scores(of_edges[::-1], of_nodes[::-1], of_ends[::-1])


def scores_of_sums(nodes: Nodes, y: Tensor, weight: Tensor, of_nodes: Tensor) -> Tensor:
    """Return the scores of a layer's outputs y (points, outputs), given those of the nodes that they form."""
    if not nodes.products:
        return of_nodes
    factors = y[:, nodes.sums :].unflatten(1, (nodes.products, nodes.arity))
    centred = factors - torch.einsum("n,npa->pa", weight, factors)
    others = [factors[:, :, [j for j in range(nodes.arity) if j != a]].prod(dim=2) for a in range(nodes.arity)]
    lost = deviation(centred * torch.stack(others, dim=2), weight)
    shares = lost / deviation(factors.prod(dim=2), weight)[:, None]
    return torch.cat([of_nodes[: nodes.sums], (shares * of_nodes[nodes.sums :, None]).flatten()])


def deviation(values: Float[Tensor, "points *shape"], weight: Float[Tensor, " points"]) -> Float[Tensor, "*shape"]:
    """Return standard deviations over the points, smooth at 0 and at least as large as the rounding errors."""
    mean = torch.tensordot(weight, values, dims=1)
    variance = torch.tensordot(weight, (values - mean).square(), dims=1)
    info = torch.finfo(values.dtype)
    return (variance + (info.eps * mean.detach()).square() + info.tiny**0.5).sqrt()


def require_edges(network: object) -> None:
    """Refuse models without functions on edges.

    Raises:
        InputError: the network has none.
    """
    if not isinstance(network, Network) or not network.has_edges:
        layers = [type(layer).__name__ for layer in network.layers] if isinstance(network, Network) else []
        kind = ", ".join(dict.fromkeys(layers)) or type(network).__name__
        raise InputError(
            f"Scores need a network with a learned function on every edge, got a model of {kind}, which has none. "
            "Solve the problem with a KAN: solve(problem, KAN())."
        )


# of a solution -------------------------------------------------------------------------------------------------------
def score_points(problem: Problem, like: Tensor, count: int = SAMPLES) -> Points:
    """Return the points over which scores are means: the training rows of a fit, else points of the whole domain."""
    generator = torch.Generator(like.device).manual_seed(0)
    if problem.is_fit:
        region = next(iter(problem.trained.values())).region
        return region.sample("auto", count, generator, like.device, like.dtype)
    return problem.domain.interior.sample("auto", count, generator, like.device, like.dtype)


def scores_of(solution: Solution) -> Scores:
    """Return the scores of a solution's network.

    Raises:
        InputError: it has no edges.
    """
    require_edges(solution.model)
    assert isinstance(solution.model, Network)
    with torch.no_grad():
        return scores(solution.model, score_points(solution.problem, solution.like))


def input_scores(solution: Solution) -> Mapping[str, float]:
    """Return the score of every coordinate, the largest first; an input without influence has a score near 0.

    Raises:
        InputError: the network has no edges.
    """
    found = scores_of(solution).nodes[0]
    assert isinstance(solution.model, Network)
    by_name, column = {}, 0
    for i, name in enumerate(solution.problem.domain.names):
        width = 2 if i in solution.model.inputs.periodic else 1  # a periodic coordinate has a sine and a cosine
        by_name[name] = float(found[column : column + width].sum())
        column += width
    return dict(sorted(by_name.items(), key=lambda item: -item[1]))
