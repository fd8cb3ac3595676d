"""The trained parameters of a network and of a problem as one vector."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.models.network import Network


@dataclass(frozen=True)
class Trained:
    """What is trained: the network's weights, without those of removed edges, then the problem's coefficients.

    Attributes:
        model: a network, or any module.
        coefficients: the numbers trained in the place of the problem's coefficients.
    """

    model: nn.Module
    coefficients: nn.Parameter | None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters, the network's first."""
        if isinstance(self.model, Network):
            own = [block.weight for block in self.model.blocks]
        else:
            own = [p for p in self.model.parameters() if p.requires_grad]
        return own + ([self.coefficients] if self.coefficients is not None else [])

    @property
    def free(self) -> list[Tensor | None]:
        """For every one of `parameters` the positions of the entries that are trained; None if all are."""
        found = [block.free for block in self.model.blocks] if isinstance(self.model, Network) else []
        return found + [None] * (len(self.parameters) - len(found))

    def sizes(self) -> list[int]:
        """Return the number of trained entries of every one of `parameters`."""
        return [p.numel() if kept is None else len(kept) for p, kept in zip(self.parameters, self.free, strict=True)]

    def joined(self, parts: Iterable[Tensor]) -> Float[Tensor, " size"]:
        """Return the trained entries of tensors with the shapes of the parameters, as one vector."""
        flat = (part.reshape(-1) for part in parts)
        return torch.cat([t if kept is None else t[kept] for t, kept in zip(flat, self.free, strict=True)])

    def vector(self) -> Float[Tensor, " size"]:
        """Return a copy of the trained entries as one vector."""
        return self.joined(p.detach() for p in self.parameters)

    @torch.no_grad()
    def assign(self, vector: Float[Tensor, " size"]) -> None:
        """Set the trained entries."""
        for p, kept, part in zip(self.parameters, self.free, vector.split(self.sizes()), strict=True):
            if kept is None:
                p.copy_(part.view_as(p))
            else:
                p.view(-1)[kept] = part
