r"""Chebyshev polynomials of the first kind, $T_n(\cos\theta) = \cos n\theta$, on each input's range.

S. Sidharth et al., Chebyshev Polynomial-Based Kolmogorov-Arnold Networks, 2024, map values into [-1, 1] by tanh; here
the polynomials extend beyond the range, where they grow like $(2t)^n$.
"""

from torch import Tensor

from kanpde.bases import Basis
from kanpde.bases.recurrence import orthogonal_polynomials


class Chebyshev(Basis):
    """T_0 ... T_(grid + degree - 1) of t, the range mapped to [-1, 1]; refinement adds higher degrees."""

    nested = True
    decay = 0.5  # with 1.0, values slightly outside the range grow without bound from layer to layer

    def table(self, x: Tensor, order: int) -> tuple[list[Tensor], Tensor]:
        return self.global_table(x, order, self._polynomials)

    def _polynomials(self, t: Tensor, order: int) -> tuple[Tensor, ...]:
        # T_(n+1) = 2 t T_n - T_(n-1), but T_1 = t (NIST DLMF 18.9.1)
        return orthogonal_polynomials(t, order, self.size, lambda n: (2.0 if n else 1.0, 1.0))
