r"""Legendre polynomials, orthogonal on each input's range: $\int_{-1}^{1} P_m P_n\,dt = 2\,\delta_{mn} / (2n + 1)$."""

from torch import Tensor

from kanpde.bases import Basis
from kanpde.bases.recurrence import orthogonal_polynomials


class Legendre(Basis):
    """P_0 ... P_(grid + degree - 1) of t, the range mapped to [-1, 1]; refinement adds higher degrees.

    The polynomials extend beyond the range, where they grow like t^n.
    """

    nested = True
    decay = 0.5  # with 1.0, values slightly outside the range grow without bound from layer to layer

    def table(self, x: Tensor, order: int) -> tuple[list[Tensor], Tensor]:
        return self.global_table(x, order, self._polynomials)

    def _polynomials(self, t: Tensor, order: int) -> tuple[Tensor, ...]:
        # (n + 1) P_(n+1) = (2 n + 1) t P_n - n P_(n-1) (NIST DLMF 18.9.1)
        return orthogonal_polynomials(t, order, self.size, lambda n: ((2 * n + 1) / (n + 1), n / (n + 1)))
