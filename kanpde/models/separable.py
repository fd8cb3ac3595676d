r"""Separable KANs of one coordinate and time, $N(x, t) = \sum_k f_k(x) P_k(t)$, with splines f and polynomials P.

They are KANs whose nodes multiply a learned function of x and a function of t (B. Jacob et al., SPIKANs: Separable
Physics-Informed Kolmogorov-Arnold Networks, 2024). Here the functions of t are the Legendre polynomials, so that N is
linear in its weights, and its training on a short window of time is nearly a linear problem.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.bases import Basis, basis_from
from kanpde.bases.bspline import BSpline, knots_from_breakpoints
from kanpde.bases.legendre import Legendre
from kanpde.bases.table_jets import consecutive
from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.models.inputs import Inputs
from kanpde.models.layer import Layer
from kanpde.models.network import Network


class ProductLayer(Layer):
    """Features B_g(x_1) C_k(x_2) for all pairs of functions of two inputs; ``weight`` is (pairs, d_out).

    It is a first layer: every input must be an affine function of one coordinate of its own. ``bases`` has a family for
    each input. In the inputs of ``wrapped`` the functions have the range of the grid as period.
    """

    def __init__(self, bases: Sequence[Basis], wrapped: Sequence[int], weight: Tensor):
        super().__init__()
        self.bases = cast(Sequence[Basis], nn.ModuleList(bases))
        self.wrapped = tuple(wrapped)
        self.weight = nn.Parameter(weight)

    def architecture(self) -> dict[str, Any]:
        bases = [basis.architecture() for basis in self.bases]
        return {"bases": bases, "wrapped": list(self.wrapped), "d_out": self.weight.shape[1]}

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any], device, dtype) -> "ProductLayer":
        bases, wrapped = [basis_from(each, device, dtype) for each in architecture["bases"]], architecture["wrapped"]
        size = number_of(bases[0], 0 in wrapped) * number_of(bases[1], 1 in wrapped)
        return cls(bases, wrapped, torch.zeros(size, architecture["d_out"], device=device, dtype=dtype))

    @property
    def smoothness(self) -> float:
        return min(basis.smoothness for basis in self.bases)

    def forward(self, x: Tensor) -> Tensor:
        first, second = (self.derivatives(x[:, i], i, 0)[0] for i in (0, 1))
        return (first[:, :, None] * second[:, None]).flatten(1) @ self.weight

    def features(self, data: Tensor, space: JetSpace) -> Tensor:
        pairs = self._pairs(data, space)
        return torch.stack([(first[:, :, None] * second[:, None]).flatten(1) for first, second in pairs])

    def jet(self, data: Tensor, space: JetSpace) -> Tensor:
        sizes = [number_of(basis, i in self.wrapped) for i, basis in enumerate(self.bases)]
        by_first, count = self.weight.view(sizes[0], -1), self.weight.shape[1]
        rows = []
        for first, second in self._pairs(data, space):
            rows.append(torch.einsum("nk,nko->no", second, (first @ by_first).view(len(first), -1, count)))
        return torch.stack(rows)

    def _pairs(self, data: Tensor, space: JetSpace) -> list[tuple[Tensor, Tensor]]:
        """Return for every component the functions of both inputs whose products are the features."""
        keys = [space.space * 2 if key == LAPLACIAN else key for key in space.keys]
        orders = [(key.count(0), key.count(1)) for key in keys]
        tables = []
        for i in (0, 1):
            most = max(order[i] for order in orders)
            slope = data[space.row[i,], :, i, None] if most else data.new_ones(())
            tables.append([d * slope**n for n, d in enumerate(self.derivatives(data[0, :, i], i, most))])
        return [(tables[0][m], tables[1][n]) for m, n in orders]

    def derivatives(self, x: Float[Tensor, " points"], i: int, most: int) -> list[Float[Tensor, "points size"]]:
        """Return the functions of input i at its values x, and their derivatives up to the order ``most``."""
        basis = self.bases[i]
        if i in self.wrapped:
            lower, upper = basis.breakpoints[0, 0], basis.breakpoints[0, -1]
            x = x - (upper - lower) * torch.floor((x - lower) / (upper - lower))
        tables, first = basis.table(x[:, None], most)
        index = consecutive(first[:, 0], basis.local)
        found = [x.new_zeros(len(x), basis.size).scatter(1, index, table[:, 0]) for table in tables]
        return [_folded(each, basis.cells) for each in found] if i in self.wrapped else found


def number_of(basis: Basis, wraps: bool) -> int:
    """Return the number of functions of one input, of which ``degree`` agree with others if they are periodic."""
    return basis.cells if wraps else basis.size


def _folded(features: Tensor, cells: int) -> Tensor:
    """Add the functions that agree up to a period: function g and function g + cells."""
    parts = features.split(cells, dim=-1)
    padded = [nn.functional.pad(part, (0, cells - part.shape[-1])) for part in parts[1:]]
    return sum(padded, start=parts[0])


def separable(
    ranges: Sequence[tuple[float, float]],
    axis: int,
    outputs: int,
    ends: Float[Tensor, " ends"],
    degree: int,
    modes: int,
    wraps: bool = False,
) -> Network:
    """Return a separable KAN with all weights zero.

    Args:
        ranges: of both coordinates.
        axis: position of x.
        outputs: number of unknowns.
        ends: of the cells in x.
        degree: of the splines in x.
        modes: number of polynomials of time, of the degrees 0 to modes - 1.
        wraps: whether x is periodic; its period is the range.
    """
    device, dtype = ends.device, ends.dtype
    (lower, upper), one = ranges[axis], torch.ones(1, device=device, dtype=dtype)
    ends = 2 * (ends - lower) / (upper - lower) - 1
    in_x = BSpline(_periodic(ends, degree) if wraps else knots_from_breakpoints(ends[None], degree), degree)
    in_t = Legendre.over(-one, one, 1, modes - 1)
    size = number_of(in_x, wraps) * modes
    layer = ProductLayer(
        [in_x, in_t] if axis == 0 else [in_t, in_x],
        [axis] if wraps else [],
        torch.zeros(size, outputs, device=device, dtype=dtype),
    )
    return Network(Inputs(ranges, (), device, dtype), [layer])


@torch.no_grad()
def fit_factors(
    network: Network, axis: int, x: Float[Tensor, " points"], wanted: Float[Tensor, "points modes outputs"]
) -> None:
    """Fit the functions of x of a network from `separable` to values at points, by least squares."""
    layer, dense = _splines(network, axis, x)
    found = torch.linalg.lstsq(dense, wanted.flatten(1), driver="gels").solution.view(-1, *wanted.shape[1:])
    layer.weight.copy_((found if axis == 0 else found.transpose(0, 1)).flatten(0, 1))


@torch.no_grad()
def factors(network: Network, axis: int, x: Float[Tensor, " points"]) -> Float[Tensor, "points modes outputs"]:
    """Return the functions of x of a network from `separable`."""
    layer, dense = _splines(network, axis, x)
    sizes = (dense.shape[1], -1) if axis == 0 else (-1, dense.shape[1])
    return torch.einsum("ng,gko->nko" if axis == 0 else "ng,kgo->nko", dense, layer.weight.unflatten(0, sizes))


def _splines(network: Network, axis: int, x: Float[Tensor, " points"]) -> tuple[ProductLayer, Tensor]:
    """Return the layer, and its functions of x at points, (points, size)."""
    layer, inputs = network.layers[0], network.inputs
    assert isinstance(layer, ProductLayer)
    share = (x - inputs.lower[axis]) / (inputs.upper[axis] - inputs.lower[axis])
    return layer, layer.derivatives(2 * share - 1, axis, 0)[0]


def _periodic(breakpoints: Float[Tensor, " points"], degree: int) -> Float[Tensor, "1 knots"]:
    """Return knots that repeat with the range as period, ``degree`` more on each side."""
    period, cells = breakpoints[-1] - breakpoints[0], len(breakpoints) - 1
    index = torch.arange(-degree, cells + degree + 1, device=breakpoints.device)
    return (breakpoints[index % cells] + period * index.div(cells, rounding_mode="floor"))[None]
