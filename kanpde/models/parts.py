"""One network for every part of a domain (`kanpde.domains.parts`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from kanpde.calculus.jet import JetSpace
from kanpde.domains.parts import Parts
from kanpde.errors import Code, InputError
from kanpde.factories import kind_of
from kanpde.models.architecture import network_from
from kanpde.models.network import Network
from kanpde.models.separate import SeparateNetworks


class PartNetworks(Network):
    """A function with a network of its own in every part of a domain.

    In training each condition evaluates the networks of its own parts only (`on`). All layers together are its layers,
    so that the Jacobian has a block of columns for each network. At other points the network is that of the part
    around the point.

    Args:
        networks: by position of the part, with equal numbers of outputs.
        part_of: returns the positions of the parts at points (points, dim).
    """

    def __init__(self, networks: Sequence[Network], part_of: Callable[[Tensor], Tensor] | None = None):
        nn.Module.__init__(self)
        self.networks = cast(Sequence[Network], nn.ModuleList(networks))
        self.part_of = part_of
        self.singular = None
        self._gather()

    def _gather(self) -> None:
        """List the layers and the nodes of all networks; the modules are registered in ``networks`` only."""
        self.layers = [layer for network in self.networks for layer in network.layers]
        self.nodes = [nodes for network in self.networks for nodes in network.nodes]

    def bound_to(self, domain: Any) -> "PartNetworks":
        """Return the function with the parts of a domain (a `kanpde.domains.parts.Parts`), which no file holds."""
        self.part_of = lambda x: domain.part_of(x)  # unlike a bound method, it is not copied with the network
        return self

    def architecture(self) -> dict[str, Any]:
        return {"kind": kind_of(type(self)), "networks": [network.architecture() for network in self.networks]}

    @classmethod
    def from_architecture(
        cls, architecture: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype
    ) -> "PartNetworks":
        """Return the function of that architecture with all weights zero, for `bound_to`."""
        return cls([network_from(each, device, dtype) for each in architecture["networks"]])

    @property
    def outputs(self) -> int:
        return self.networks[0].outputs

    def on(self, side: int | None) -> Network:
        return self if side is None else self.networks[side]

    def first_layer(self, side: int | None) -> int:
        return sum(len(network.layers) for network in self.networks[: side or 0])

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

    # values ----------------------------------------------------------------------------------------------------------
    def _chosen(self, x: Tensor) -> list[tuple[Network, Tensor]]:
        """Return the networks with the positions of their points."""
        assert self.part_of is not None, "bound_to(domain) first"
        where = self.part_of(x)
        return [(network, (where == k).nonzero()[:, 0]) for k, network in enumerate(self.networks)]

    def forward(self, x: Tensor) -> Tensor:
        out = x.new_empty(len(x), self.outputs)
        for network, at in self._chosen(x):
            out = out.index_copy(0, at, network(x[at]))
        return out

    def jet(self, x: Tensor, space: JetSpace, head: Tensor | None = None) -> Tensor:
        assert head is None, "only the networks of the parts have heads"
        out = x.new_empty(len(space.keys), len(x), self.outputs)
        for network, at in self._chosen(x):
            out = out.index_copy(1, at, network.jet(x[at], space))
        return out

    def head(self, x: Tensor, space: JetSpace) -> Tensor:
        raise TypeError("The networks of the parts have a first layer each: on(side).head(x, space).")

    @torch.no_grad()
    def update_grid(
        self,
        x: Tensor,
        grid: int | None = None,
        uniform_share: float = 1.0,
        min_gap: float = 0.2,
        margin: float = 0.05,
    ) -> None:
        """Fit the hidden knots of every network to its inputs at the points x in its part."""
        for network, at in self._chosen(x):
            network.update_grid(x[at], grid, uniform_share, min_gap, margin)


def bound(model: nn.Module, domain: Any) -> nn.Module:
    """Return a ready or a stored model for a domain: with its parts, if it has any.

    Raises:
        InputError: the domain has parts, and the model has not a network for each.
    """
    networks = len(model.networks) if isinstance(model, PartNetworks) else None
    parts = len(domain.each) if isinstance(domain, Parts) else None
    if networks != parts:
        wanted = "one network" if parts is None else f"a network for each of {', '.join(domain.by_name)}"
        came = f"a {type(model).__name__}" if networks is None else f"{networks} networks of parts"
        raise InputError(
            f"The domain needs {wanted}, got {came}. A factory makes what is needed.", write={"model": Code("KAN()")}
        )
    return model.bound_to(domain) if isinstance(model, PartNetworks) else model


def require_one_network(model: object, what: str) -> None:
    """Refuse a function with a network for each part of a domain, or for each unknown.

    Raises:
        InputError: it has several networks; ``what`` is what needs one.
    """
    if isinstance(model, (PartNetworks, SeparateNetworks)):
        of = "parts of the domain" if isinstance(model, PartNetworks) else "groups of unknowns"
        raise InputError(
            f"{what} needs one network, and the solution has a network for each of {len(model.networks)} {of}; "
            "`solution.model.networks` are these."
        )
