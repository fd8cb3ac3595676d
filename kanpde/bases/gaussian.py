r"""Gaussians with equally spaced centres (FastKAN).

Z. Li, Kolmogorov-Arnold Networks are Radial Basis Function Networks, 2024. The Gaussians have the centres and the
widths of the B-splines of the same degree: the variance of a B-spline is (degree + 1) / 12 squared cells. At degree 5
this is the paper's exp(-(x - c)² / h²) with h the distance of the centres.

Refinement at a fixed degree does not converge: equal coefficients give a ripple of
$2\exp(-\pi^2 (\text{degree} + 1) / 6)$, 1e-4 at degree 5 and 5e-9 at degree 11, and a larger one in derivatives
(V. Maz'ya & G. Schmidt, On approximate approximations using Gaussian kernels, IMA J. Numer. Anal. 16, 1996). The
condition number grows with the degree: 2e3 at degree 5, 2e5 at 7, 3e9 at 11 (21 functions, measured). On a finer grid
the Gaussians reach less far beyond the range: if values leave it, refine with move_knots=True.
"""

from math import sqrt

import torch
from torch import Tensor

from kanpde.bases import Basis


def bell_derivatives(z: Tensor, order: int) -> list[Tensor]:
    """Derivatives 0 ... ``order`` of g(z) = exp(-z²/2), by g^(k+1) = -z g^(k) - k g^(k-1) (Hermite recurrence)."""
    found = [torch.exp(-0.5 * z * z)]
    for k in range(order):
        found.append(-z * found[k] - k * found[k - 1] if k else -z * found[0])
    return found


class Gaussian(Basis):
    """exp(-z²/2), z the distance from a centre in standard deviations; ``degree`` sets their width."""

    def table(self, x: Tensor, order: int) -> tuple[list[Tensor], Tensor]:
        return self.global_table(x, order, self._bells, 0.0, float(self.cells))

    def _bells(self, t: Tensor, order: int) -> list[Tensor]:
        """Derivatives 0 ... ``order`` of all functions at t, with one cell as the unit of length."""
        deviation = sqrt((self.degree + 1) / 12)
        centres = torch.arange(self.size, dtype=t.dtype, device=t.device) - (self.degree - 1) / 2
        bells = bell_derivatives((t[..., None] - centres) / deviation, order)
        return [bell / deviation**k for k, bell in enumerate(bells)]
