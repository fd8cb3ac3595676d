"""The sizes of the networks of a window, and networks of one size fitted to those of another."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.models.network import Network
from kanpde.models.separable import ProductLayer, fit_factors
from kanpde.models.windows import points_at
from kanpde.training.evolution import gauss


@dataclass(frozen=True)
class Shape:
    """The size of a window's network: the cells' ends in x, the degree of the splines, polynomials in time."""

    ends: Float[Tensor, " ends"]
    degree: int
    modes: int


def refined(ends: Float[Tensor, " ends"], factor: float) -> Float[Tensor, " ends"]:
    """Return ``factor`` times as many cells, whose widths vary alike."""
    cells = len(ends) - 1
    where = torch.linspace(0, cells, round(factor * cells) + 1, device=ends.device, dtype=ends.dtype)
    left = where.long().clamp(max=cells - 1)
    return torch.lerp(ends[left], ends[left + 1], where - left)


@torch.no_grad()
def transferred(network: Network, new: Network, axis: int, shape: Shape) -> Network:
    """Fit a new separable network of a given shape to another network."""
    lower, upper = new.inputs.lower[1 - axis], new.inputs.upper[1 - axis]
    x, _ = gauss(shape.ends, 5)
    t, weight = gauss(shape.ends.new_tensor([-1.0, 1.0]), shape.modes + 2)
    times = lower + (t + 1) / 2 * (upper - lower)
    at = points_at(x.repeat_interleave(len(t)), times.repeat(len(x)), axis)
    values = network(at).unflatten(0, (len(x), len(t)))
    layer = new.layers[0]
    assert isinstance(layer, ProductLayer)
    norms = 2 * torch.arange(shape.modes, device=x.device, dtype=x.dtype) + 1  # 1 over the mean squares on [-1, 1]
    legendre = norms * layer.derivatives(t, 1 - axis, 0)[0]
    fit_factors(new, axis, x, torch.einsum("xto,t,tk->xko", values, weight, legendre))
    return new
