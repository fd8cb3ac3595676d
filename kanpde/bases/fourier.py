r"""Sines and cosines with a period longer than each input's range, with 1 and t, for functions that are not periodic.

The Fourier series of the longer period 2 `MARGIN` converges geometrically for a smooth function on [-1, 1], but the
functions become nearly dependent as the period grows (B. Adcock & D. Huybrechs, On the resolution power of Fourier
extensions for oscillatory functions, 2014). Measured errors and condition numbers of least squares for exp(t) on
[-1, 1] with 21 functions: 4e-5 and 4e3 for period 2.5, 6e-7 and 5e5 for period 3, 2e-9 and 5e8 for period 4.
"""

from math import pi

import torch
from torch import Tensor

from kanpde.bases import Basis
from kanpde.bases.recurrence import orthogonal_polynomials, powers
from kanpde.calculus.functions import sin

MARGIN = 1.5  # period over the length of the range


class Fourier(Basis):
    r"""1, t, $\sin\omega t$, $\cos\omega t$, $\sin 2\omega t$, ... with $\omega = \pi / 1.5$.

    Refinement adds higher frequencies. The range is mapped to t in [-1, 1]; outside it all but t continue periodically.
    """

    nested = True

    def table(self, x: Tensor, order: int) -> tuple[list[Tensor], Tensor]:
        return self.global_table(x, order, self._waves)

    def _waves(self, t: Tensor, order: int) -> list[Tensor]:
        index = torch.arange(2, self.size, device=t.device)
        frequency = (pi / MARGIN) * (index // 2).to(t.dtype)
        phase = 0.5 * pi * (index % 2).to(t.dtype)  # cos x = sin(x + π/2)
        waves = sin(t[..., None] * frequency + phase, order)
        lines = orthogonal_polynomials(t, order, 2, powers)
        return [torch.cat([line, waves[k] * frequency**k], dim=-1) for k, line in enumerate(lines)]
