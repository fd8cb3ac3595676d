"""Names of the nodes and edges of a network, which stay when others are removed."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from kanpde.models.network import Network
from kanpde.problem import Problem
from kanpde.thinning.removal import Node, Part, nodes_left, sums_of


@dataclass(frozen=True)
class Names:
    """Names by layer.

    Attributes:
        nodes: of the inputs of every layer; the first are the coordinates. "1.3" is the third node of the first hidden
            layer of the network with which the removal began.
        sums: of its outputs; those that form a product are "1.3 factor 1", ...; the last are the unknowns.
    """

    nodes: Sequence[Sequence[str]]
    sums: Sequence[Sequence[str]]

    def of(self, part: Part) -> str:
        """Return a part in words."""
        if isinstance(part, Node):
            return f"node {self.nodes[part.layer + 1][part.index]}"
        return f"edge {self.nodes[part.layer][part.start]} to {self.sums[part.layer][part.end]}"

    def kept(self, network: Network, kept: Sequence[Tensor]) -> "Names":
        """Return the names of what is left of a network; ``kept`` from `kanpde.thinning.removal.kept_without`."""
        nodes: list[Sequence[str]] = [self.nodes[0]]
        sums: list[Sequence[str]] = []
        for k in range(len(network.nodes)):
            left: list[int] = nodes_left(network, kept, k).nonzero()[:, 0].tolist()
            nodes.append([self.nodes[k + 1][i] for i in left])
            sums.append([self.sums[k][o] for i in left for o in sums_of(network, k, i)])
        return Names(nodes, [*sums, self.sums[-1]])


def names_of(problem: Problem, network: Network) -> Names:
    """Return the names of all nodes and sums."""
    first = []
    for i, name in enumerate(problem.domain.names):
        first += [f"sin {name}", f"cos {name}"] if i in network.inputs.periodic else [name]
    nodes: list[Sequence[str]] = [[*first, *network.inputs.extra]]
    sums: list[Sequence[str]] = []
    for k, between in enumerate(network.nodes):
        names = [f"{k + 1}.{i + 1}" for i in range(between.inputs)]
        factors = [f"{name} factor {a + 1}" for name in names[between.sums :] for a in range(between.arity)]
        nodes.append(names)
        sums.append([*names[: between.sums], *factors])
    return Names(nodes, [*sums, list(problem.unknowns)])
