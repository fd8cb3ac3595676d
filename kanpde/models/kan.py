r"""Kolmogorov-Arnold networks: a learned function on every edge, φ(x) = Σ_g c_g B_g(x) + w silu(x).

Z. Liu et al., KAN: Kolmogorov-Arnold Networks, 2024, eq. 2.10-2.12, with the grids and their refinement of section 2.4.
"""

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

import kanpde.bases
from kanpde.bases import Basis, basis_from
from kanpde.calculus.jet import JetSpace
from kanpde.errors import InputError, suggest
from kanpde.factories import families
from kanpde.models.inputs import Inputs
from kanpde.models.layer import Layer, Nodes
from kanpde.models.network import Network, check_hidden

AFTER = 0.1  # by which a halving lowers the squared residual in a cell; cautious, as the residual may not be smooth


class KANLayer(Layer):
    """Features [B_1(x_i) ... B_n(x_i), silu(x_i)] for every input i; ``weight`` is (d_in (n + 1), d_out)."""

    has_edges = True

    def __init__(self, basis: Basis, weight: Tensor):
        super().__init__()
        self.basis = basis
        self.weight = nn.Parameter(weight)

    def architecture(self) -> dict[str, Any]:
        return {"basis": self.basis.architecture(), "d_out": self.weight.shape[1]}

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any], device, dtype) -> "KANLayer":
        basis = basis_from(architecture["basis"], device, dtype)
        size = len(basis.knots) * (basis.size + 1), architecture["d_out"]
        return cls(basis, torch.zeros(size, device=device, dtype=dtype))

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        """Load a weight of any grid, together with the knots of its basis."""
        of_basis = f"{prefix}basis."
        stored = {key.removeprefix(of_basis): t for key, t in state_dict.items() if key.startswith(of_basis)}
        self.basis.load_state_dict(stored, strict=False)  # first, because it determines the number of weights
        shape = len(self.basis.knots) * (self.basis.size + 1), self.weight.shape[1]
        if f"{prefix}weight" in state_dict and self.weight.shape != shape:
            self.weight = nn.Parameter(self.weight.new_empty(shape))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    @property
    def coefficients(self) -> Float[Tensor, "d_in size d_out"]:
        """Return the weight by edge: the basis coefficients, then that of silu."""
        return self.weight.view(-1, self.basis.size + 1, self.weight.shape[1])

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
        return self.weight.numel() + (grid - self.basis.cells) * self.coefficients[:, 0].numel()

    @property
    def active(self) -> int:
        return len(self.basis.knots) * (self.basis.local + 1)

    def forward(self, x: Tensor) -> Tensor:
        return self._plain_features(x).flatten(1) @ self.weight

    def features(self, data: Tensor, space: JetSpace) -> Tensor:
        return self.basis.edge_features(data, space)

    def jet(self, data: Tensor, space: JetSpace) -> Tensor:
        return self.basis.edge_sums(data, self.weight, space)

    def traced(self, data: Tensor, space: JetSpace) -> tuple[Tensor, Tensor]:
        return self.basis.traced_sums(data, self.weight, space)

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
        self.weight = nn.Parameter(torch.cat([spline, old[:, -1:]], dim=1).flatten(0, 1))

    @torch.no_grad()
    def add_inputs(self, at: int, count: int) -> None:
        old, ends = self.coefficients, self.basis.breakpoints
        zero, mean = old.new_zeros(count, *old.shape[1:]), ends.mean(dim=0, keepdim=True).expand(count, -1)
        self.basis = self.basis.on(torch.cat([ends[:at], mean, ends[at:]]))
        self.weight = nn.Parameter(torch.cat([old[:at], zero, old[at:]]).flatten(0, 1))

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


@dataclass(frozen=True)
class KAN:
    """A factory of KANs; call it with coordinate ranges, or pass it to `solve`.

    Args:
        hidden: widths of the hidden layers; [6] is the KAN [d_in, 6, outputs]. [[4, 2]] has four nodes that add
            their edges as usual, and two that multiply (Z. Liu et al., KAN 2.0, 2024, section 3).
        basis: family of the functions on the edges: bspline, chebyshev or another file of `kanpde.bases`.
        degree: degree of the splines; at least the order of the highest derivative in the residuals, better higher.
            Every family has grid + degree functions per input; its file explains any further meaning of the degree.
        grid: initial number of cells per input (schedules refine it).
        hidden_range: initial grids of hidden layers cover [-hidden_range, hidden_range]; functions extend beyond them.
        gain: initial standard deviation of a layer's outputs for standard-normal inputs.
        mult_arity: number of sums of edges that a multiplying node multiplies.

    Coefficients are initialized as in Glorot's scheme: normal, with the variance that gives outputs the deviation
    ``gain``, shared equally between the basis and the silu branch (S. Rigas et al., Initialization Schemes for
    Kolmogorov-Arnold Networks: An Empirical Study, 2025, section 3; the moments of the basis are measured on the grid
    instead of bounded).
    """

    hidden: Sequence[int | Sequence[int]] = (6,)
    basis: str = "bspline"
    degree: int = 9
    grid: int = 4
    hidden_range: float = 2.0
    gain: float = 0.5
    mult_arity: int = 2

    def __post_init__(self):
        if not isinstance(self.mult_arity, int) or self.mult_arity < 2:
            raise InputError(
                f"mult_arity must be a whole number of at least 2, got {self.mult_arity}.", write={"mult_arity": 2}
            )
        check_hidden([n.inputs for n in self._nodes()])
        if self.basis not in (choices := families(kanpde.bases, Basis)):
            raise InputError(f'Unknown basis "{self.basis}". {suggest(str(self.basis), choices)}')
        for name, least in (("degree", 1), ("grid", 1)):
            if not isinstance(value := getattr(self, name), int) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}, got {value}.", write={name: 5})
        if self.degree > (most := choices[self.basis].most_degree):
            raise InputError(
                f"degree must be at most {most} with the basis {self.basis}, got {self.degree}. Above it rounding "
                "errors spoil the refinement of the grid.",
                write={"degree": 9},
            )
        for name in ("hidden_range", "gain"):
            if not (value := getattr(self, name)) > 0:
                raise InputError(f"{name} must be positive, got {value}.", write={name: 1.0})

    def __call__(
        self,
        ranges: Sequence[tuple[float, float]],
        outputs: int = 1,
        *,
        periodic: Sequence[int] = (),
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> Network:
        """Build the network for coordinates in ``ranges``."""
        inputs = Inputs(ranges, periodic, device, dtype)
        nodes = self._nodes()
        ends = [Nodes(inputs.size), *nodes, Nodes(outputs)]
        layers = []
        for i, (before, after) in enumerate(pairwise(ends)):
            half = torch.full((before.inputs,), 1.0 if i == 0 else self.hidden_range, device=device, dtype=dtype)
            layers.append(self.layer(half, after.outputs, generator))
            with torch.no_grad():  # gives products the same standard deviation as sums
                layers[-1].weight[:, after.sums :] *= self.gain ** (1 / after.arity - 1)
        return Network(inputs, layers, nodes)

    def layer(self, half: Float[Tensor, " d_in"], outputs: int, generator: torch.Generator | None) -> KANLayer:
        """Return an untrained layer with grids on [-half, half]."""
        basis = families(kanpde.bases, Basis)[self.basis].over(-half, half, self.grid, self.degree)
        return KANLayer(basis, self._start(basis, len(half), outputs, generator))

    def _nodes(self) -> list[Nodes]:
        """Return the nodes between the layers."""
        found = []
        for width in self.hidden:
            parts = (width, 0) if isinstance(width, int) else tuple(width)
            if len(parts) != 2 or any(not isinstance(n, int) or n < 0 for n in parts):
                raise InputError(
                    f"A hidden width must be a whole number, or two for sums and products such as [4, 2], got {width}.",
                    write={"hidden": [8]},
                )
            found.append(Nodes(*parts, self.mult_arity))
        return found

    def _start(self, basis: Basis, d_in: int, d_out: int, generator: torch.Generator | None) -> Tensor:
        knots = basis.knots
        ends = basis.breakpoints[:1, [0, -1]]
        x = (
            ends[:, :1]
            + (ends[:, 1:] - ends[:, :1]) * torch.linspace(0, 1, 200, dtype=knots.dtype, device=knots.device)
        ).T
        spread = basis.decay ** torch.arange(basis.size, dtype=knots.dtype, device=knots.device)
        power = (basis.dense(x.expand(-1, d_in))[:, 0] * spread).square().sum(-1).mean()
        base = nn.functional.silu(x).square().mean()
        weight = torch.randn(d_in, basis.size + 1, d_out, generator=generator, device=knots.device, dtype=knots.dtype)
        weight[:, :-1] *= self.gain / torch.sqrt(2 * d_in * power) * spread[:, None]
        weight[:, -1] *= self.gain / torch.sqrt(2 * d_in * base)
        return weight.flatten(0, 1)
