r"""Separable Kolmogorov-Arnold networks, $u_o(x) = b_o + \sum_r a_{ro} \prod_i \varphi_{ri}(x_i)$.

Every product has one learned function of each coordinate (B. Jacob et al., SPIKANs: Separable Physics-Informed
Kolmogorov-Arnold Networks, 2024). In two coordinates a sum of products is what the singular value decomposition is for
matrices: few products suffice for a function whose coordinates nearly separate, in any number of dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

import kanpde.bases
from kanpde.bases import Basis
from kanpde.errors import InputError
from kanpde.factories import families
from kanpde.models.inputs import Inputs
from kanpde.models.kan import KAN
from kanpde.models.kanlayer import KANLayer
from kanpde.models.layer import Layer, Nodes
from kanpde.models.mlp import MLPLayer
from kanpde.models.network import Network

WAVES = 5  # random values from which a function is interpolated


class FactorLayer(KANLayer):
    """A layer with one edge to every output: output r d_in + i is a learned function of input i.

    ``weight`` is (d_in (n + 1), products), with the features of a `KANLayer`.
    """

    jet, traced = Layer.jet, Layer.traced  # KANLayer's are for sums over all inputs

    @property
    def groups(self) -> int:
        return len(self.basis.knots)

    @property
    def active(self) -> int:
        return self.basis.local + 1

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nif,ifr->nri", self._plain_features(x), self.coefficients).flatten(1)

    def outputs(self, features: Tensor) -> Tensor:
        by_input = features.unflatten(2, (self.groups, -1))
        return torch.einsum("cnif,ifr->cnri", by_input, self.coefficients).flatten(2)

    def edges(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_in d_out"]:
        """Return every edge function at its own column of x; those that do not exist are zero."""
        found = torch.einsum("nif,ifr->nir", self._plain_features(x), self.coefficients)
        here = torch.eye(self.groups, device=x.device, dtype=x.dtype)
        return (found[..., None] * here[:, None]).flatten(2)

    @torch.no_grad()
    def add_outputs(self, at: int, count: int, generator: torch.Generator | None) -> None:
        """Insert the outputs of ``count / d_in`` products, which vanish.

        One factor of each, of another coordinate in turn, is zero; the others are random and smooth. A step of
        Gauss-Newton's method then finds the best function of that coordinate, in which the product is linear.
        """
        old, at, count = self.coefficients, at // self.groups, count // self.groups
        new = smooth(self.basis, count, generator)
        product = torch.arange(at, at + count, device=old.device)
        new[product % self.groups, :, product - at] = 0.0
        self.weight = nn.Parameter(torch.cat([old[..., :at], new, old[..., at:]], dim=2).flatten(0, 1))

    def add_inputs(self, at: int, count: int) -> None:
        raise NotImplementedError("The inputs of a FactorLayer are the coordinates, whose number is fixed.")


def smooth(basis: Basis, products: int, generator: torch.Generator | None) -> Float[Tensor, "d_in features products"]:
    """Return coefficients of random functions that vary slowly: interpolated between `WAVES` random values."""
    knots = basis.knots
    values = torch.randn(len(knots), products, WAVES, generator=generator, device=knots.device, dtype=knots.dtype)
    found = nn.functional.interpolate(values, basis.size + 1, mode="linear", align_corners=True).transpose(1, 2)
    found[:, -1] = 0.0  # the weight of silu
    return found


@dataclass(frozen=True)
class SPIKAN:
    """A factory of separable KANs; call it with coordinate ranges, or pass it to `solve`.

    Args:
        products: number of products.
        basis: family of the functions of one coordinate, as in `KAN`.
        degree: degree of the splines, as in `KAN`.
        grid: initial number of cells per coordinate; schedules and tolerances refine it.

    The functions are initially random and smooth, with a standard deviation of about 1. A periodic coordinate is
    represented by its sine and cosine, as in all networks; its function is then a product of one function of each.
    """

    products: int = 2
    basis: str = "bspline"
    degree: int = 9
    grid: int = 4

    def __post_init__(self):
        if not isinstance(self.products, int) or self.products < 1:
            raise InputError(
                f"products must be a whole number of at least 1, got {self.products}.", write={"products": 2}
            )
        KAN(basis=self.basis, degree=self.degree, grid=self.grid)  # checks them

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
        one = torch.ones(inputs.size, device=device, dtype=dtype)
        basis = families(kanpde.bases, Basis)[self.basis].over(-one, one, self.grid, self.degree)
        weight = smooth(basis, self.products, generator).flatten(0, 1)
        last = torch.randn(self.products + 1, outputs, generator=generator, device=device, dtype=dtype)
        last *= sqrt(2 / (self.products + outputs))
        last[-1] = 0.0
        nodes = Nodes(0, self.products, inputs.size)
        return Network(inputs, [FactorLayer(basis, weight), MLPLayer(last, None)], [nodes])
