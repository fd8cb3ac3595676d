r"""Perceptrons of one hidden layer whose activations are learned splines: $\sum_j \varphi_j(w_j \cdot x + b_j)$."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch

from kanpde.errors import InputError
from kanpde.models.inputs import Inputs
from kanpde.models.kan import KAN
from kanpde.models.mlp import MLPLayer
from kanpde.models.network import Network, check_hidden


@dataclass(frozen=True)
class SplineMLP:
    """A factory of sums of ridge functions; call it, or give it to `solve`, which knows the ranges.

    Every unit has a spline of its own for each output, which takes up the output weight (projection pursuit:
    J. Friedman, W. Stuetzle, Projection Pursuit Regression, 1981). The directions start normal with variance
    scale² / d_in, the biases at 0, and the splines like the edges of a `KAN`.

    Args:
        hidden: width of the one hidden layer, such as [16].
        scale: of the directions at the start.
        basis: family of the activations, as in `KAN`.
        degree: as in `KAN`.
        grid: cells of every activation at the start (schedules refine it).
        hidden_range: the grids lie on [-hidden_range, hidden_range]; the functions go on outside.
        gain: standard deviation of what the network gives out, about, at the start.
    """

    hidden: Sequence[int] = (16,)
    scale: float = 1.0
    basis: str = "bspline"
    degree: int = 9
    grid: int = 4
    hidden_range: float = 2.0
    gain: float = 0.5

    def __post_init__(self):
        if len(self.hidden) != 1:
            raise InputError(f"A SplineMLP has one hidden layer, got {list(self.hidden)}.", write={"hidden": [16]})
        check_hidden(self.hidden)
        self._activations()

    def _activations(self) -> KAN:
        return KAN((), self.basis, self.degree, self.grid, self.hidden_range, self.gain)

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
        """Builds the network for coordinates in ``ranges``."""
        inputs = Inputs(ranges, periodic, device, dtype)
        (width,) = self.hidden
        weight = torch.randn(inputs.size + 1, width, generator=generator, device=device, dtype=dtype)
        weight *= self.scale / sqrt(inputs.size)
        weight[-1] = 0.0
        half = torch.full((width,), self.hidden_range, device=device, dtype=dtype)
        return Network(inputs, [MLPLayer(weight, None), self._activations().layer(half, outputs, generator)])
