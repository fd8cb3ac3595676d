r"""Spectral functions of one coordinate, their derivatives, and their tensor products.

Along a coordinate of a box the functions are Chebyshev polynomials $T_0 \dots T_n$, or
$1, \cos\theta, \sin\theta, \dots$ with $\theta = 2\pi (x - a)/(b - a)$ for a periodic coordinate.
(J. P. Boyd, Chebyshev and Fourier Spectral Methods, 2001.)
"""

from functools import cache
from math import pi

import numpy as np
import torch
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from torch import Tensor

from kanpde.calculus.jet import LAPLACIAN, JetSpace, Key
from kanpde.domains import Domain

CHUNK = 4096  # points evaluated at once


@cache
def _derivative(n: int, order: int) -> NDArray:
    """Return the matrix from coefficients of a Chebyshev series on [-1, 1] to those of its derivative of an order."""
    matrix = np.eye(n + 1)
    for _ in range(order):
        matrix = np.vstack([chebyshev.chebder(matrix), np.zeros((1, n + 1))]) if n else np.zeros((1, 1))
    return matrix


def table(x: NDArray, n: int, order: int, limits: tuple[float, float], is_periodic: bool = False) -> NDArray:
    """Return the derivatives of an order of all n + 1 functions at points (points,): (points, n + 1)."""
    lo, hi = limits
    if not is_periodic:
        values = chebyshev.chebvander((2 * x - lo - hi) / (hi - lo), n)
        return values if order == 0 else values @ _derivative(n, order) * (2 / (hi - lo)) ** order
    wave = 2 * pi / (hi - lo)
    angle = wave * (x - lo)[:, None] * np.arange(1, n // 2 + 1) + order * pi / 2  # f^(k)(θ) = f(θ + kπ/2)
    scale = (wave * np.arange(1, n // 2 + 1)) ** order
    result = np.empty((len(x), 2 * (n // 2) + 1))
    result[:, 0], result[:, 1::2], result[:, 2::2] = float(order == 0), scale * np.cos(angle), scale * np.sin(angle)
    return result


class Tensors:
    """Tensor products of the functions along every coordinate of a box.

    Args:
        domain: the box.
        degree: of the polynomials along every coordinate (2 ⌊degree / 2⌋ + 1 functions for a periodic coordinate).
    """

    def __init__(self, domain: Domain, degree: int):
        self.domain, self.degree = domain, degree
        self.shape = tuple(
            2 * (degree // 2) + 1 if i in domain.periodic else degree + 1 for i in range(len(domain.names))
        )
        self.size = int(np.prod(self.shape))

    def tables(self, x: NDArray, key: Key) -> list[NDArray]:
        """Return for each coordinate the functions, differentiated by the multi-index ``key``."""
        return [
            table(x[:, i], self.degree, key.count(i), limits, i in self.domain.periodic)
            for i, limits in enumerate(self.domain.ranges)
        ]

    def matrix(self, x: NDArray, key: Key) -> NDArray:
        """Return the derivative ``key`` of all products at points (points, dim): (points, size)."""
        if key == LAPLACIAN:
            return sum(
                (self.matrix(x, (i, i)) for i in self.domain.space[1:]), self.matrix(x, self.domain.space[:1] * 2)
            )
        first, *rest = self.tables(x, key)
        for values in rest:
            first = (first[:, :, None] * values[:, None, :]).reshape(len(x), -1)
        return first

    def components(self, coefficients: NDArray, x: Tensor, space: JetSpace) -> list[Tensor]:
        """Return the jet of Σ c T(x) T(y) ...; coefficients (unknowns, size), points (points, dim)."""
        points = np.array_split(x.cpu().numpy().astype(float), -(-len(x) // CHUNK))
        found = {}
        for part in {part for key in space.keys for part in self._parts(key)}:
            values = np.concatenate([self._sum(coefficients, some, part) for some in points])
            found[part] = torch.as_tensor(values, dtype=x.dtype, device=x.device)
        return [torch.stack([found[part] for part in self._parts(key)]).sum(0) for key in space.keys]

    def _parts(self, key: Key) -> list[Key]:
        return [(i, i) for i in self.domain.space] if key == LAPLACIAN else [key]

    def _sum(self, coefficients: NDArray, x: NDArray, key: Key) -> NDArray:
        """Return (points, unknowns) by summing over one coordinate after the other."""
        first, *rest = self.tables(x, key)
        columns = []
        for c in coefficients:
            values = first @ c.reshape(self.shape[0], -1)
            for other in rest:
                values = np.einsum("na,nab->nb", other, values.reshape(len(x), other.shape[1], -1))
            columns.append(values.reshape(len(x)))
        return np.stack(columns, axis=1)
