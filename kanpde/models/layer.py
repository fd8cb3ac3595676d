"""What a network consists of: layers ``features(x) @ weight``, and the nodes between them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import inf
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kanpde.calculus.jet import JetSpace, multiply


class Layer(nn.Module, ABC):
    """``features(x) @ weight``; ``weight`` is (features, d_out).

    A layer with a grid overrides `grid`, `breakpoints`, `smoothness`, `size_at`, `refine`, `refine_where` and
    `update_grid`; the others keep their size. If ``has_edges``, every output is a sum of functions of one input each,
    and `edges` returns these functions.
    """

    weight: nn.Parameter
    has_edges: ClassVar[bool] = False

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """Return sizes and options as numbers, strings, lists and dicts, without ``kind`` (of its class)."""

    @classmethod
    @abstractmethod
    def from_architecture(
        cls, architecture: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype
    ) -> "Layer":
        """Return a layer of that architecture with all weights zero."""

    @property
    def active(self) -> int:
        """Number of features that are non-zero at a point."""
        return self.weight.shape[0]

    @property
    def free(self) -> Int[Tensor, " free"] | None:
        """Return the positions in the flattened weight of those that are trained; None if all of them are."""
        return None

    @abstractmethod
    def forward(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_out"]:
        """Return the outputs by plain torch operations, which autograd differentiates to any order (the reference)."""

    @abstractmethod
    def features(
        self, data: Float[Tensor, "components points d_in"], space: JetSpace
    ) -> Float[Tensor, "components points features"]:
        """Return the jet of the features; it is differentiated at most once."""

    @property
    def groups(self) -> int:
        """Number of equal groups of features; output o depends only on the features of group o % groups."""
        return 1

    def outputs(
        self, features: Float[Tensor, "components points features"]
    ) -> Float[Tensor, "components points d_out"]:
        """Return the jet of the outputs."""
        return features @ self.weight

    def jet(self, data: Tensor, space: JetSpace) -> Float[Tensor, "components points d_out"]:
        """Return the jet of the outputs."""
        return self.outputs(self.features(data, space))

    def traced(self, data: Tensor, space: JetSpace) -> "Traced":
        """Return features without gradients, and outputs that are differentiable with respect to ``data``."""
        features = self.features(data, space)
        return features.detach(), self.outputs(features)

    def edges(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_in d_out"]:
        """Return every edge function at its own column of x; for layers with ``has_edges``."""
        raise NotImplementedError(f"{type(self).__name__} has no functions of one input each.")

    # sizes -----------------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def add_outputs(self, at: int, count: int, generator: torch.Generator | None) -> None:
        """Insert ``count`` outputs before output ``at``, with normal weights of the present weights' deviation."""
        old = self.weight
        new = torch.randn(len(old), count, generator=generator, device=old.device, dtype=old.dtype)
        self.weight = nn.Parameter(torch.cat([old[:, :at], old.square().mean().sqrt() * new, old[:, at:]], dim=1))

    def add_inputs(self, at: int, count: int) -> None:
        """Insert ``count`` inputs before input ``at``, with weights zero, so that the outputs do not change."""
        raise NotImplementedError(f"{type(self).__name__} has a fixed number of inputs.")

    # grids -----------------------------------------------------------------------------------------------------------
    @property
    def grid(self) -> int | None:
        """Cells per input; None for a layer without a grid."""
        return None

    @property
    def smoothness(self) -> float:
        """The highest order of bounded derivatives of the features."""
        return inf

    def smoother(self, order: int) -> Mapping[str, Any] | None:
        """Return arguments of the model that bound the derivatives beyond ``order``; None if none are known.

        Layers whose functions depend on a degree are treated in `kanpde.training.checks`.
        """
        return None

    @property
    def breakpoints(self) -> Float[Tensor, "d_in ends"]:
        """The ends of the cells; for layers with a grid."""
        raise NotImplementedError(f"{type(self).__name__} has no cells.")

    def size_at(self, grid: int) -> int:
        """Return the number of weights on that grid."""
        return self.weight.numel()

    def refine(self, grid: int) -> None:
        """Refine the grid; the layer stays the same function if that is possible."""

    def refine_where(self, samples: Float[Tensor, "points d_in"], shares: Float[Tensor, " points"], grid: int) -> None:
        """Refine to ``grid`` cells where input values have the largest shares; the layer stays the same function."""

    def update_grid(
        self, samples: Float[Tensor, "points d_in"], grid: int, uniform_share: float, min_gap: float, margin: float
    ) -> None:
        """Fit ``grid`` cells to ``samples``; as in `kanpde.models.kanlayer.KANLayer.update_grid`."""


Traced = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Nodes:
    """The nodes between two layers: ``sums`` outputs are passed on, then ``products`` of ``arity`` outputs each.

    Z. Liu et al., KAN 2.0: Kolmogorov-Arnold Networks Meet Science, 2024, section 3 (MultKAN).
    """

    sums: int
    products: int = 0
    arity: int = 2

    @property
    def outputs(self) -> int:
        """Number of outputs of the preceding layer."""
        return self.sums + self.arity * self.products

    @property
    def inputs(self) -> int:
        """Number of inputs of the following layer."""
        return self.sums + self.products

    def only(self, kept: Sequence[int]) -> "Nodes":
        """Return the nodes at the positions ``kept``, which ascend."""
        return Nodes(sum(i < self.sums for i in kept), sum(i >= self.sums for i in kept), self.arity)

    def values(self, y: Float[Tensor, "points outputs"]) -> Float[Tensor, "points inputs"]:
        if not self.products:
            return y
        return torch.cat([y[:, : self.sums], y[:, self.sums :].unflatten(1, (self.products, -1)).prod(2)], dim=1)

    def jet(self, data: Tensor, space: JetSpace) -> Float[Tensor, "components points inputs"]:
        """Return the jet of the following layer's inputs."""
        if not self.products:
            return data
        factors = data[..., self.sums :].unflatten(2, (self.products, self.arity)).unbind(3)
        return torch.cat([data[..., : self.sums], reduce(lambda a, b: multiply(a, b, space), factors)], dim=2)
