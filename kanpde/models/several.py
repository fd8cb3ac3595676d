"""What functions with several networks have in common: one for each part of a domain, or for each group of unknowns."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from kanpde.errors import InputError
from kanpde.factories import kind_of
from kanpde.models.network import Network


class SeveralNetworks(Network):
    """A function made of several networks.

    All layers together are its layers, so that the Jacobian has a block of columns for each network. It has no edge
    functions; a tolerance, which adds cells where the residual is, needs one network.

    Args:
        networks: in the order of their columns.
    """

    purpose: ClassVar[str]  # what each of the networks is for, in the plural

    def __init__(self, networks: Sequence[Network]):
        nn.Module.__init__(self)
        self.networks = cast(Sequence[Network], nn.ModuleList(networks))
        self.singular = None
        self._gather()

    def _gather(self) -> None:
        """List the layers and the nodes of all networks; the modules are registered in ``networks`` only."""
        self.layers = [layer for network in self.networks for layer in network.layers]
        self.nodes = [nodes for network in self.networks for nodes in network.nodes]

    def architecture(self) -> dict[str, Any]:
        return {"kind": kind_of(type(self)), "networks": [network.architecture() for network in self.networks]}

    @property
    def has_edges(self) -> bool:
        return False

    @property
    def is_separable(self) -> bool:
        return False

    @property
    def ends(self) -> list[Tensor]:
        return []

    @property
    def half_wider(self) -> int:
        return min(network.half_wider for network in self.networks)

    def widen(self, count: int, generator: torch.Generator | None = None) -> None:
        for network in self.networks:
            network.widen(count, generator)
        self._gather()

    @abstractmethod
    def each(self, x: Tensor) -> Iterable[tuple[Network, Tensor]]:
        """Return every network with those of the points x at which it counts."""

    @torch.no_grad()
    def update_grid(
        self,
        x: Tensor,
        grid: int | None = None,
        uniform_share: float = 1.0,
        min_gap: float = 0.2,
        margin: float = 0.05,
    ) -> None:
        """Fit the hidden knots of every network to its inputs at its points."""
        for network, own in self.each(x):
            network.update_grid(own, grid, uniform_share, min_gap, margin)


def require_one_network(model: object, what: str) -> None:
    """Refuse a function with several networks.

    Raises:
        InputError: it has several; ``what`` is what needs one.
    """
    if isinstance(model, SeveralNetworks):
        raise InputError(
            f"{what} needs one network, and the solution has a network for each of {len(model.networks)} "
            f"{model.purpose}; `solution.model.networks` are these."
        )
