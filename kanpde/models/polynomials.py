r"""Polynomials of several coordinates as a network that is linear in its weights, $\sum_k w_k \prod_i P_{k_i}(x_i)$."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import comb
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.bases.legendre import Legendre
from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.models.inputs import Inputs
from kanpde.models.layer import Layer
from kanpde.models.network import Network


class PolynomialLayer(Layer):
    """Features are the products of Legendre polynomials of a total degree of at most ``degree``.

    It is a first layer: every input must be an affine function of one coordinate of its own.
    """

    def __init__(self, inputs: int, degree: int, weight: Tensor):
        super().__init__()
        self.degree = degree
        self.weight = nn.Parameter(weight)
        one = torch.ones(inputs, device=weight.device, dtype=weight.dtype)
        self.basis = Legendre.over(-one, one, 1, degree)
        powers = [k for k in product(range(degree + 1), repeat=inputs) if sum(k) <= degree]
        self.register_buffer("powers", torch.tensor(powers, device=weight.device), persistent=False)

    powers: Tensor

    def architecture(self) -> dict[str, Any]:
        return {"inputs": self.powers.shape[1], "degree": self.degree, "d_out": self.weight.shape[1]}

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any], device, dtype) -> "PolynomialLayer":
        inputs, degree = architecture["inputs"], architecture["degree"]
        weight = torch.zeros(number_of(inputs, degree), architecture["d_out"], device=device, dtype=dtype)
        return cls(inputs, degree, weight)

    def forward(self, x: Tensor) -> Tensor:
        return self._product(self.basis.table(x, 0)[0], [0] * x.shape[1]) @ self.weight

    def features(self, data: Tensor, space: JetSpace) -> Tensor:
        count = data.shape[2]
        tables, _ = self.basis.table(data[0], max(len(key) for key in space.keys))
        if any(space.keys):
            slope = torch.stack(
                [data[space.row[i,], :, i] if (i,) in space.row else 0 * data[0, :, i] for i in range(count)], 1
            )
            tables = [table * slope[..., None] ** n for n, table in enumerate(tables)]
        rows = []
        for key in space.keys:
            keys = [(i, i) for i in space.space] if key == LAPLACIAN else [key]
            rows.append(sum(self._product(tables, [each.count(i) for i in range(count)]) for each in keys))
        return torch.stack(rows)

    def _product(self, tables: Sequence[Tensor], orders: Sequence[int]) -> Tensor:
        """Return the products of derivatives of these orders in the inputs, (points, features)."""
        found = tables[0].new_ones(())
        for i, order in enumerate(orders):
            found = found * tables[order][:, i, self.powers[:, i]]
        return found


def number_of(inputs: int, degree: int) -> int:
    """Return the number of monomials of several variables of a total degree of at most ``degree``."""
    return comb(inputs + degree, degree)


def polynomials(ranges: Sequence[tuple[float, float]], outputs: int, most: int, device, dtype) -> Network:
    """Return the polynomials of the largest total degree that has at most ``most`` of them, all weights zero.

    Args:
        ranges: of the coordinates.
        outputs: number of unknowns.
        most: number of polynomials for each unknown.
        device, dtype: of the weights.
    """
    inputs, degree = len(ranges), 1
    while number_of(inputs, degree + 1) <= most:
        degree += 1
    weight = torch.zeros(number_of(inputs, degree), outputs, device=device, dtype=dtype)
    return Network(Inputs(ranges, (), device, dtype), [PolynomialLayer(inputs, degree, weight)])
