r"""The layer of a KAN: a learned function on every edge, φ(x) = Σ_g c_g B_g(x) + w silu(x).

Z. Liu et al., KAN: Kolmogorov-Arnold Networks, 2024, eq. 2.10, with the grids and their refinement of section 2.4.
"""

from bisect import bisect
from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kanpde.bases import Basis, basis_from
from kanpde.calculus.jet import JetSpace
from kanpde.models.cancellation import without_cancellation
from kanpde.models.layer import Layer

AFTER = 0.1  # by which a halving lowers the squared residual in a cell; cautious, as the residual may not be smooth


class KANLayer(Layer):
    """Features [B_1(x_i) ... B_n(x_i), silu(x_i)] for every input i; ``weight`` is (d_in (n + 1), d_out).

    ``mask`` (d_in, d_out) is False for edges that have been removed (`kanpde.thinning`), None if there are none. Their
    functions are zero, and their weights are neither used nor trained.
    """

    has_edges = True
    mask: Tensor | None

    def __init__(self, basis: Basis, weight: Tensor, mask: Tensor | None = None):
        super().__init__()
        self.basis = basis
        self.weight = nn.Parameter(weight)
        self.register_buffer("mask", mask)

    def architecture(self) -> dict[str, Any]:
        return {"basis": self.basis.architecture(), "d_out": self.weight.shape[1]}

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any], device, dtype) -> "KANLayer":
        basis = basis_from(architecture["basis"], device, dtype)
        size = len(basis.knots) * (basis.size + 1), architecture["d_out"]
        return cls(basis, torch.zeros(size, device=device, dtype=dtype))

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        """Load a weight of any grid, together with the knots of its basis and with the mask if there is one."""
        of_basis = f"{prefix}basis."
        stored = {key.removeprefix(of_basis): t for key, t in state_dict.items() if key.startswith(of_basis)}
        self.basis.load_state_dict(stored, strict=False)  # first, because it determines the number of weights
        shape = len(self.basis.knots) * (self.basis.size + 1), self.weight.shape[1]
        if f"{prefix}weight" in state_dict and self.weight.shape != shape:
            self.weight = nn.Parameter(self.weight.new_empty(shape))
        mask = state_dict.get(f"{prefix}mask")
        self.mask = None if mask is None else torch.ones_like(mask, device=self.weight.device)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    # edges -----------------------------------------------------------------------------------------------------------
    @property
    def used(self) -> Float[Tensor, "features d_out"]:
        """Return the weight, with zeros for removed edges."""
        if self.mask is None:
            return self.weight
        return (self.weight.unflatten(0, (len(self.mask), -1)) * self.mask[:, None]).flatten(0, 1)

    @property
    def free(self) -> Tensor | None:
        if self.mask is None:
            return None
        return self.mask[:, None].expand(-1, self.basis.size + 1, -1).flatten().nonzero()[:, 0]

    @property
    def coefficients(self) -> Float[Tensor, "d_in size d_out"]:
        """Return the weight by edge: the basis coefficients, then that of silu."""
        return self.used.view(-1, self.basis.size + 1, self.weight.shape[1])

    @property
    def existing(self) -> Bool[Tensor, "d_in d_out"]:
        """Return which edges exist."""
        if self.mask is not None:
            return self.mask
        shape = len(self.basis.knots), self.weight.shape[1]
        return torch.ones(shape, dtype=torch.bool, device=self.weight.device)

    @torch.no_grad()
    def without(self, gone: Bool[Tensor, "d_in d_out"]) -> None:
        """Remove edges."""
        self.mask = self.existing & ~gone
        self.weight = nn.Parameter(self.used.detach().clone())

    @torch.no_grad()
    def select(self, inputs: Int[Tensor, " inputs"], outputs: Int[Tensor, " outputs"]) -> None:
        """Keep only some inputs and outputs, given by their positions."""
        self.weight = nn.Parameter(self.coefficients[inputs][:, :, outputs].flatten(0, 1).contiguous())
        mask = self.existing[inputs][:, outputs]
        self.mask = None if bool(mask.all()) else mask
        self.basis = type(self.basis)(self.basis.knots[inputs].clone(), self.basis.degree)

    @property
    def grid(self) -> int:
        return self.basis.cells

    @property
    def breakpoints(self) -> Tensor:
        return self.basis.breakpoints

    @property
    def smoothness(self) -> float:
        return self.basis.smoothness

    def size_at(self, grid: int) -> int:
        return int(self.existing.sum()) * (self.basis.size + 1 + grid - self.basis.cells)

    @property
    def active(self) -> int:
        return len(self.basis.knots) * (self.basis.local + 1)

    def forward(self, x: Tensor) -> Tensor:
        return self._plain_features(x).flatten(1) @ self.used

    def features(self, data: Tensor, space: JetSpace) -> Tensor:
        return self.basis.edge_features(data, space)

    def outputs(self, features: Tensor) -> Tensor:
        return features @ self.used

    def jet(self, data: Tensor, space: JetSpace) -> Tensor:
        return self.basis.edge_sums(data, self.used, space)

    def traced(self, data: Tensor, space: JetSpace) -> tuple[Tensor, Tensor]:
        return self.basis.traced_sums(data, self.used, space)

    def edges(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_in d_out"]:
        """Return every edge function at its own column of x."""
        return torch.einsum("pif,ifo->pio", self._plain_features(x), self.coefficients)

    def _plain_features(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_in features"]:
        """Return all features of every input, in operations that autograd differentiates to any order."""
        return torch.cat([self.basis.dense(x), nn.functional.silu(x)[..., None]], dim=-1)

    @torch.no_grad()
    def _change_basis(self, basis: Basis, matrices) -> None:
        transfer = torch.as_tensor(matrices, dtype=self.weight.dtype, device=self.weight.device)
        old = self.coefficients
        spline = torch.einsum("ing,igo->ino", transfer, old[:, :-1])
        self.basis = basis
        new = without_cancellation(basis, torch.cat([spline, old[:, -1:]], dim=1))
        self.weight = nn.Parameter(new.flatten(0, 1))

    @torch.no_grad()
    def add_inputs(self, at: int, count: int) -> None:
        old, ends = self.coefficients, self.basis.breakpoints
        zero, mean = old.new_zeros(count, *old.shape[1:]), ends.mean(dim=0, keepdim=True).expand(count, -1)
        self.basis = self.basis.on(torch.cat([ends[:at], mean, ends[at:]]))
        self.weight = nn.Parameter(torch.cat([old[:at], zero, old[at:]]).flatten(0, 1))
        if self.mask is not None:
            self.mask = torch.cat([self.mask[:at], self.mask.new_ones(count, self.mask.shape[1]), self.mask[at:]])

    def add_outputs(self, at: int, count: int, generator: torch.Generator | None) -> None:
        super().add_outputs(at, count, generator)
        if self.mask is not None:
            new = self.mask.new_ones(len(self.mask), count)
            self.mask = torch.cat([self.mask[:, :at], new, self.mask[:, at:]], dim=1)

    def refine(self, grid: int) -> None:
        """Refine the grid; the functions are unchanged where `Basis.refined` is exact."""
        if grid != self.basis.cells:
            self._change_basis(*self.basis.refined(grid))

    def refine_where(self, samples: Float[Tensor, "points d_in"], shares: Float[Tensor, " points"], grid: int) -> None:
        """Halve the cells with the largest shares until there are ``grid``; the functions are unchanged.

        Families whose cells are equal refine all of them.
        """
        new = self.basis.on(
            torch.stack(
                [halved(ends, x, shares, grid) for ends, x in zip(self.basis.breakpoints, samples.T, strict=True)]
            )
        )
        exact = self.basis.embedding(new)
        self._change_basis(new, self.basis.transfer(new) if exact is None else exact)

    @torch.no_grad()
    def update_grid(
        self, samples: Float[Tensor, "points d_in"], grid: int, uniform_share: float, min_gap: float, margin: float
    ) -> None:
        """Fit ``grid`` cells to ``samples``: equal cells blended with quantiles (KAN paper, section 2.4).

        Only B-splines have cells of unequal widths; other families use only the range and the number of cells.

        Args:
            samples: input values of this layer.
            grid: cells per input.
            uniform_share: 1 gives equal cells over the samples' range, 0 gives quantiles.
            min_gap: least width of a cell, as a fraction of an equal cell.
            margin: extension of the grid beyond the samples on each side, as a fraction of their range.
        """
        ordered = samples.sort(dim=0).values
        where = torch.linspace(0, len(samples) - 1, grid + 1, device=samples.device).round().long()
        quantiles = ordered[where].T
        lower, upper = quantiles[:, :1], quantiles[:, -1:]
        middle = 0.5 * (lower + upper)
        least = 1e-3 * (self.basis.breakpoints[:, -1:] - self.basis.breakpoints[:, :1])
        span = (upper - lower).clamp_min(least) * (1 + 2 * margin)
        gaps = (quantiles.diff(dim=1) / (upper - lower)).nan_to_num(1 / grid)
        gaps = uniform_share / grid + (1 - uniform_share) * gaps
        gaps = min_gap / grid + (1 - min_gap) * gaps
        points = torch.cat([torch.zeros_like(lower), gaps.cumsum(dim=1)], dim=1) * span + (middle - 0.5 * span)
        new = self.basis.on(points)
        self._change_basis(new, self.basis.transfer(new))


def halved(
    ends: Float[Tensor, " ends"], x: Float[Tensor, " points"], shares: Float[Tensor, " points"], cells: int
) -> Float[Tensor, " new_ends"]:
    """Return the ends of ``cells`` cells, which result from halving the one with the largest share again and again.

    Args:
        ends: of the present cells.
        x, shares: points, and their shares in what is to be reduced. A halving multiplies them by `AFTER`.
        cells: number of the new cells, at least that of the present ones.
    """
    order = x.argsort()
    place, sums = x[order].tolist(), [0.0, *shares[order].cumsum(0).tolist()]

    def cell(a: float, b: float, halvings: int) -> tuple[float, float, float, float, int]:
        share = sums[bisect(place, b)] - sums[bisect(place, a)]
        return -share * AFTER**halvings, a - b, a, b, halvings

    found = [cell(a, b, 0) for a, b in pairwise(ends.tolist())]
    heapify(found)
    while len(found) < cells:
        _, _, a, b, halvings = heappop(found)
        for half in ((a, 0.5 * (a + b)), (0.5 * (a + b), b)):
            heappush(found, cell(*half, halvings + 1))
    inner = sorted(a for _, _, a, _, _ in found)[1:]
    return torch.cat([ends[:1], ends.new_tensor(inner), ends[-1:]])
