"""One network for every part of a domain (`kanpde.domains.parts`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.calculus.jet import JetSpace
from kanpde.domains.parts import Parts
from kanpde.errors import Code, InputError
from kanpde.models.architecture import network_from
from kanpde.models.network import Network
from kanpde.models.several import SeveralNetworks


class PartNetworks(SeveralNetworks):
    """A function with a network of its own in every part of a domain.

    In training each condition evaluates the networks of its own parts only (`on`). At other points the network is that
    of the part around the point.

    Args:
        networks: by position of the part, with equal numbers of outputs.
        part_of: returns the positions of the parts at points (points, dim).
    """

    purpose = "parts of the domain"

    def __init__(self, networks: Sequence[Network], part_of: Callable[[Tensor], Tensor] | None = None):
        super().__init__(networks)
        self.part_of = part_of

    def bound_to(self, domain: Any) -> "PartNetworks":
        """Return the function with the parts of a domain (a `kanpde.domains.parts.Parts`), which no file holds."""
        self.part_of = lambda x: domain.part_of(x)  # unlike a bound method, it is not copied with the network
        return self

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

    # values ----------------------------------------------------------------------------------------------------------
    def _chosen(self, x: Tensor) -> list[tuple[Network, Tensor]]:
        """Return the networks with the positions of their points."""
        assert self.part_of is not None, "bound_to(domain) first"
        where = self.part_of(x)
        return [(network, (where == k).nonzero()[:, 0]) for k, network in enumerate(self.networks)]

    def each(self, x: Tensor) -> list[tuple[Network, Tensor]]:
        return [(network, x[at]) for network, at in self._chosen(x)]

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
