r"""Mexican hats on dyadic scales, and 1 and t (Z. Bozorgasl & H. Chen, Wav-KAN, 2024, with fixed scales and places).

Level l has 2^l hats side by side. Wav-KAN learns scale and translation of one hat an edge instead; here the features of
a layer must not depend on what is learned. Hats at all scales are a frame of the functions on the line (I. Daubechies,
Ten Lectures on Wavelets, 1992, section 3.3.5); on a range they are nearly dependent: with 21 functions least squares
leaves 2e-6 of exp(t) at a condition of 9e5 (measured).
"""

from math import pi, sqrt

import torch
from torch import Tensor

from kanpde.bases import Basis
from kanpde.bases.gaussian import bell_derivatives
from kanpde.bases.recurrence import orthogonal_polynomials, powers

REACH = 1.25  # the hats stand on [-1.25, 1.25], because functions leave the range [-1, 1] with any slope
WIDTH = 0.75  # standard deviation of a hat over the distance of its level's centres
NORM = 2 / (sqrt(3) * pi**0.25)  # for a norm of 1 in L2


def dyadic(count: int) -> list[tuple[float, float]]:
    """Centres in (0, 1) and spacings of the first ``count`` hats, level by level.

    Within a level in van der Corput's order (bits reversed), so that an unfinished level is evenly spread.
    """
    found = []
    for m in range(1, count + 1):
        level = m.bit_length() - 1
        place = sum((m >> bit & 1) << (level - 1 - bit) for bit in range(level))
        found.append(((place + 0.5) / 2**level, 1 / 2**level))
    return found


class Wavelet(Basis):
    """1, t, and hats (1 - z²) exp(-z²/2) from wide to narrow; refinement adds narrower ones.

    The range is mapped to t in [-1, 1]; outside, all but t and 1 decay.
    """

    nested = True

    def table(self, x: Tensor, order: int) -> tuple[list[Tensor], Tensor]:
        return self.global_table(x, order, self._hats)

    def _hats(self, t: Tensor, order: int) -> list[Tensor]:
        hats = torch.tensor(dyadic(self.size - 2), dtype=t.dtype, device=t.device).view(self.size - 2, 2)
        centres, deviation = REACH * (2 * hats[:, 0] - 1), WIDTH * REACH * 2 * hats[:, 1]
        bells = bell_derivatives((t[..., None] - centres) / deviation, order + 2)
        lines = orthogonal_polynomials(t, order, 2, powers)  # a hat is minus the second derivative of a bell
        return [torch.cat([line, -NORM * bells[k + 2] / deviation**k], dim=-1) for k, line in enumerate(lines)]
