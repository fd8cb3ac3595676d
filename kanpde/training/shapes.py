"""The sizes of the networks of a window, and networks of one size fitted to those of another."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.models.network import Network
from kanpde.models.separable import fit_factors
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
    columns = [x.repeat_interleave(len(t)), (lower + (t + 1) / 2 * (upper - lower)).repeat(len(x))]
    values = network(torch.stack(columns if axis == 0 else columns[::-1], dim=1)).unflatten(0, (len(x), len(t)))
    legendre = [(2 * k + 1) * torch.special.legendre_polynomial_p(t, k) for k in range(shape.modes)]
    fit_factors(new, axis, x, torch.einsum("xto,t,tk->xko", values, weight, torch.stack(legendre, dim=1)))
    return new
