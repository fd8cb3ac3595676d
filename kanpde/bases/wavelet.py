r"""Mexican-hat wavelets on dyadic scales, with 1 and t (Z. Bozorgasl & H. Chen, Wav-KAN, 2024, with fixed scales).

Level l has 2^l wavelets side by side. Wav-KAN instead learns scale and translation of one wavelet per edge; here the
features of a layer must not depend on trained parameters. Mexican hats at all scales are a frame of L2 on the line
(I. Daubechies, Ten Lectures on Wavelets, 1992, section 3.3.5); on an interval they are nearly dependent: least squares
for exp(t) with 21 functions has an error of 2e-6 at a condition number of 9e5 (measured).
"""

from math import pi, sqrt

import torch
from torch import Tensor

from kanpde.bases import Basis
from kanpde.bases.gaussian import bell_derivatives
from kanpde.bases.recurrence import orthogonal_polynomials, powers

REACH = 1.25  # the centres lie in [-1.25, 1.25], because functions have arbitrary slopes at the ends of [-1, 1]
WIDTH = 0.75  # standard deviation of a wavelet divided by the distance of its level's centres
NORM = 2 / (sqrt(3) * pi**0.25)  # for a norm of 1 in L2


def dyadic(count: int) -> list[tuple[float, float]]:
    """Return centres in (0, 1) and spacings of the first ``count`` wavelets, level by level.

    A level is in van der Corput's order (bits reversed), so that an incomplete level is evenly distributed.
    """
    found = []
    for m in range(1, count + 1):
        level = m.bit_length() - 1
        place = sum((m >> bit & 1) << (level - 1 - bit) for bit in range(level))
        found.append(((place + 0.5) / 2**level, 1 / 2**level))
    return found


class Wavelet(Basis):
    """1, t, and wavelets (1 - z²) exp(-z²/2) from wide to narrow; refinement adds narrower ones.

    The range is mapped to t in [-1, 1]; outside it all functions except 1 and t decay.
    """

    nested = True

    def table(self, x: Tensor, order: int) -> tuple[list[Tensor], Tensor]:
        return self.global_table(x, order, self._hats)

    def _hats(self, t: Tensor, order: int) -> list[Tensor]:
        hats = torch.tensor(dyadic(self.size - 2), dtype=t.dtype, device=t.device).view(self.size - 2, 2)
        centres, deviation = REACH * (2 * hats[:, 0] - 1), WIDTH * REACH * 2 * hats[:, 1]
        bells = bell_derivatives((t[..., None] - centres) / deviation, order + 2)
        lines = orthogonal_polynomials(t, order, 2, powers)  # a wavelet is minus the second derivative of a Gaussian
        return [torch.cat([line, -NORM * bells[k + 2] / deviation**k], dim=-1) for k, line in enumerate(lines)]
