"""A network with some of its coordinates held fixed, such as the parameters of a family."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.errors import InputError
from kanpde.factories import kind_of
from kanpde.models.architecture import network_from
from kanpde.models.network import Network


class Held(Network):
    """The function of the other coordinates, in their order.

    Args:
        network: a function of all coordinates; with derivatives by autograd any module.
        held: the values of the coordinates that are held fixed, by position.
    """

    def __init__(self, network: nn.Module, held: Mapping[int, float]):
        nn.Module.__init__(self)
        self.network, self.held = network, dict(sorted(held.items()))
        self.layers, self.nodes, self.singular = cast(Any, nn.ModuleList()), [], None  # none of its own

    def architecture(self) -> dict[str, Any]:
        parts = self.network.architecture() if isinstance(self.network, Network) else None
        if parts is None or None in parts.get("inputs", {}).get("functions", ()):
            raise InputError(
                "The solution for given values of a family's parameters cannot be stored, because its network is not "
                "of this package or has functions of its own among its inputs. Save the solution of the whole family."
            )
        return {"kind": kind_of(type(self)), "network": parts, "held": [[i, v] for i, v in self.held.items()]}

    @classmethod
    def from_architecture(
        cls, architecture: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype
    ) -> "Held":
        """Return the function of that architecture with all weights zero."""
        return cls(network_from(architecture["network"], device, dtype), dict(architecture["held"]))

    @property
    def has_edges(self) -> bool:
        return False

    @property
    def is_separable(self) -> bool:
        return False

    @property
    def smoothness(self) -> float:
        return cast(Network, self.network).smoothness

    def forward(self, x: Tensor) -> Tensor:
        return self.network(filled(x, self.held))

    def head(self, x: Tensor, space: JetSpace) -> Tensor:
        """Return the whole jet: no weights of it are trained."""
        return self.jet(x, space)

    def jet(self, x: Tensor, space: JetSpace, head: Tensor | None = None) -> Tensor:
        if head is not None:
            return head
        free = free_of(x.shape[1], self.held)
        keys = [key if key == LAPLACIAN else tuple(free[i] for i in key) for key in space.keys]
        whole = JetSpace.spanned(keys, tuple(free[i] for i in space.space))
        jet = cast(Network, self.network).jet(filled(x, self.held), whole)
        return jet[[whole.row[key] for key in keys]]


def free_of(count: int, held: Mapping[int, float]) -> list[int]:
    """Return the positions of ``count`` coordinates among all of them, of which some are held fixed."""
    return [i for i in range(count + len(held)) if i not in held]


def filled(x: Tensor, held: Mapping[int, float]) -> Tensor:
    """Return points with all coordinates, from those (points, count) of the coordinates that are not held fixed."""
    columns = dict(zip(free_of(x.shape[1], held), x.unbind(1), strict=True))
    columns |= {i: torch.full_like(x[:, 0], value) for i, value in held.items()}
    return torch.stack([columns[i] for i in range(len(columns))], dim=1)
