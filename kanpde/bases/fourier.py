r"""Sines and cosines with a period longer than each input's range, and 1 and t: functions need not be periodic.

A smooth function on [-1, 1] is approached geometrically by a Fourier series of the longer period 2 `MARGIN`, but the
functions are nearly dependent for it, the more so the longer the period (B. Adcock & D. Huybrechs, On the resolution
power of Fourier extensions for oscillatory functions, 2014). Least squares on [-1, 1] with 21 functions, measured:
period 2.5 leaves 4e-5 of exp(t) at a condition of 4e3, period 3 6e-7 at 5e5, period 4 2e-9 at 5e8.
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

    Refinement adds higher frequencies. The range is mapped to t in [-1, 1]; outside, all but t go on periodically.
    """

    nested = True

    def table(self, x: Tensor, order: int) -> tuple[list[Tensor], Tensor]:
        return self.global_table(x, order, self._waves)

    def _waves(self, t: Tensor, order: int) -> list[Tensor]:
        index = torch.arange(2, self.size, device=t.device)
        frequency = (pi / MARGIN) * (index // 2).to(t.dtype)
        phase = 0.5 * pi * (index % 2).to(t.dtype)  # cos is sin a quarter turn on
        waves = sin(t[..., None] * frequency + phase, order)
        lines = orthogonal_polynomials(t, order, 2, powers)
        return [torch.cat([line, waves[k] * frequency**k], dim=-1) for k, line in enumerate(lines)]
