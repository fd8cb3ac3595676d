r"""Kolmogorov-Arnold networks: a learned function on every edge, φ(x) = Σ_g c_g B_g(x) + w silu(x).

Z. Liu et al., KAN: Kolmogorov-Arnold Networks, 2024, eq. 2.10-2.12, with the grids and their refinement of section 2.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

import kanpde.bases
from kanpde.bases import Basis
from kanpde.errors import InputError, suggest
from kanpde.factories import families
from kanpde.models.inputs import Inputs
from kanpde.models.kanlayer import KANLayer
from kanpde.models.layer import Nodes
from kanpde.models.network import Network, check_hidden


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
        if not isinstance(self.hidden, Sequence) or isinstance(self.hidden, str):
            raise InputError(f"hidden must be a list of widths, got {self.hidden!r}.", write={"hidden": [8]})
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
            parts = tuple(width) if isinstance(width, Sequence) else (width, 0)
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
