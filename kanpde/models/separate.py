"""Unknowns with networks of their own: ``Separate({"u": KAN([10]), "a": MLP([20])})``."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.calculus.jet import JetSpace
from kanpde.errors import Code, InputError, suggest
from kanpde.models.architecture import network_from
from kanpde.models.kan import KAN
from kanpde.models.layer import Traced
from kanpde.models.network import Network, NetworkFactory
from kanpde.models.several import SeveralNetworks


@dataclass(frozen=True)
class Separate:
    """Networks of their own for unknowns, such as a field that is sought beside the solution.

    Args:
        networks: factories by unknown, or by vector; one network for several unknowns has their names with commas,
            ``"u, v"``. An unknown that is left out has a `KAN` with default arguments; None gives each unknown one.

    Raises:
        InputError: an unknown has two networks.
    """

    networks: Mapping[str, NetworkFactory] | None = None

    def __post_init__(self):
        example = {"networks": Code('{"u": KAN([8]), "v": MLP([16])}')}
        if self.networks is not None and not isinstance(self.networks, Mapping):
            came = type(self.networks).__name__
            raise InputError(f"Separate needs a dictionary of networks by unknown, got a {came}.", write=example)
        for key, factory in (self.networks or {}).items():
            if isinstance(factory, type) or not callable(factory):
                raise InputError(f'The network for "{key}" must be a factory, got {factory!r}.', write=example)
        names = [name for key in self.networks or {} for name in _names(key)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f'The unknown "{twice[0]}" has two networks. Leave one out.')

    def for_unknowns(
        self, unknowns: Sequence[str], vectors: Mapping[str, Sequence[str]] | None = None
    ) -> Callable[..., "SeparateNetworks"]:
        """Return the factory for unknowns of these names, in this order.

        Args:
            unknowns: all of them, one by one.
            vectors: the components of vectors, whose names stand for these.

        Raises:
            InputError: a network is for something that is no unknown, or an unknown has two networks.
        """
        groups: list[tuple[NetworkFactory, tuple[int, ...]]] = []
        rest, known = list(unknowns), {**(vectors or {}), **{name: (name,) for name in unknowns}}
        for key, factory in (self.networks or {}).items():
            own: list[str] = []
            for name in _names(key):
                if name not in known:
                    raise InputError(f'A network is for "{name}", which is no unknown. {suggest(name, known)}')
                own += known[name]
            for name in own:
                if name not in rest:
                    raise InputError(f'The unknown "{name}" has two networks. Leave one out.')
                rest.remove(name)
            groups.append((factory, tuple(unknowns.index(name) for name in own)))
        groups += [(KAN(), (unknowns.index(name),)) for name in rest]
        return partial(_made, groups)

    def __call__(self, ranges: Sequence[tuple[float, float]], outputs: int = 1, **options: Any) -> "SeparateNetworks":
        """Return networks for unknowns without names.

        Raises:
            InputError: networks are given by name.
        """
        if self.networks:
            raise InputError("Networks by unknown need the names of the unknowns: Separate(...).for_unknowns(names).")
        return self.for_unknowns([str(i) for i in range(outputs)])(ranges, outputs, **options)


def _names(key: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", key) if name]


def _made(
    groups: Sequence[tuple[NetworkFactory, tuple[int, ...]]],
    ranges: Sequence[tuple[float, float]],
    outputs: int,
    **options: Any,
) -> "SeparateNetworks":
    """Return untrained networks; ``options`` are those of a factory."""
    made = [factory(ranges, len(places), **options) for factory, places in groups]
    return SeparateNetworks(made, [places for _, places in groups])


class SeparateNetworks(SeveralNetworks):
    """A function whose outputs belong to several networks.

    Args:
        networks: with the same inputs.
        places: the positions of the outputs of every network among all outputs.
    """

    purpose = "groups of unknowns"

    def __init__(self, networks: Sequence[Network], places: Sequence[Sequence[int]]):
        super().__init__(networks)
        self.places = tuple(tuple(each) for each in places)
        together = [place for each in self.places for place in each]
        self.order = [together.index(place) for place in range(len(together))]

    def architecture(self) -> dict[str, Any]:
        return {**super().architecture(), "places": [list(each) for each in self.places]}

    @classmethod
    def from_architecture(
        cls, architecture: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype
    ) -> "SeparateNetworks":
        """Return the function of that architecture with all weights zero."""
        return cls([network_from(each, device, dtype) for each in architecture["networks"]], architecture["places"])

    @property
    def outputs(self) -> int:
        return len(self.order)

    def scale_outputs(self, sizes: Tensor) -> None:
        for network, places in zip(self.networks, self.places, strict=True):
            network.scale_outputs(sizes[list(places)])

    # values ----------------------------------------------------------------------------------------------------------
    def each(self, x: Tensor) -> list[tuple[Network, Tensor]]:
        return [(network, x) for network in self.networks]

    def forward(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points outputs"]:
        return torch.cat([network(x) for network in self.networks], dim=1)[:, self.order]

    def head(self, x: Tensor, space: JetSpace) -> Float[Tensor, "components points features"]:
        """Return the features of the first layers of all networks, one after the other."""
        return torch.cat([network.head(x, space) for network in self.networks], dim=2)

    def _heads(self, head: Tensor | None) -> Sequence[Tensor | None]:
        """Return the part of `head` of every network."""
        if head is None:
            return [None] * len(self.networks)
        return head.split([network.layers[0].weight.shape[0] for network in self.networks], dim=2)

    def jet(self, x: Tensor, space: JetSpace, head: Tensor | None = None) -> Float[Tensor, "components points outputs"]:
        pairs = zip(self.networks, self._heads(head), strict=True)
        return torch.cat([network.jet(x, space, each) for network, each in pairs], dim=2)[:, :, self.order]

    def trace(self, x: Tensor, space: JetSpace, head: Tensor | None = None) -> list[Traced]:
        pairs = zip(self.networks, self._heads(head), strict=True)
        return [step for network, each in pairs for step in network.trace(x, space, each)]

    def outputs_of(self, steps: Sequence[Traced]) -> Float[Tensor, "components points outputs"]:
        last, found = -1, []
        for network in self.networks:
            last += len(network.layers)
            found.append(steps[last][1])
        return torch.cat(found, dim=2)[:, :, self.order]
