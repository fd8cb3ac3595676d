r"""Perceptrons with one hidden layer and learned spline activations: $\sum_j \varphi_j(w_j \cdot x + b_j)$."""

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
    """A factory of sums of ridge functions; call it with coordinate ranges, or pass it to `solve`.

    Every unit has its own spline for each output, which includes the output weight (projection pursuit:
    J. Friedman, W. Stuetzle, Projection Pursuit Regression, 1981). The initial directions are normal with variance
    scale² / d_in, the biases are 0, and the splines are initialized like the edges of a `KAN`.

    Args:
        hidden: width of the one hidden layer, such as [16].
        scale: scale of the initial directions.
        basis: family of the activations, as in `KAN`.
        degree: as in `KAN`.
        grid: initial number of cells of every activation (schedules refine it).
        hidden_range: the initial grids cover [-hidden_range, hidden_range]; the functions extend beyond them.
        gain: approximate initial standard deviation of the network's outputs.
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
        """Build the network for coordinates in ``ranges``."""
        inputs = Inputs(ranges, periodic, device, dtype)
        (width,) = self.hidden
        weight = torch.randn(inputs.size + 1, width, generator=generator, device=device, dtype=dtype)
        weight *= self.scale / sqrt(inputs.size)
        weight[-1] = 0.0
        half = torch.full((width,), self.hidden_range, device=device, dtype=dtype)
        return Network(inputs, [MLPLayer(weight, None), self._activations().layer(half, outputs, generator)])
