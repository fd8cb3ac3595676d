"""The map from coordinates to network inputs of about unit size."""

from collections.abc import Sequence
from math import pi
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.calculus.jet import LAPLACIAN, JetSpace


class Inputs(nn.Module):
    """Maps coordinates to network inputs: affinely to [-1, 1], or to (sin, cos) for periodic coordinates.

    Args:
        ranges: (lower, upper) of every coordinate.
        periodic: positions of the coordinates whose period is their range; the network is then exactly periodic.
    """

    lower: Tensor
    upper: Tensor

    def __init__(self, ranges: Sequence[tuple[float, float]], periodic: Sequence[int], device, dtype):
        super().__init__()
        self.periodic = tuple(periodic)
        self.register_buffer("lower", torch.tensor([lo for lo, _ in ranges], device=device, dtype=dtype))
        self.register_buffer("upper", torch.tensor([hi for _, hi in ranges], device=device, dtype=dtype))

    def architecture(self) -> dict[str, Any]:
        """Return the arguments of the constructor, without device and dtype."""
        ranges = [list(pair) for pair in zip(self.lower.tolist(), self.upper.tolist(), strict=True)]
        return {"ranges": ranges, "periodic": list(self.periodic)}

    @property
    def extra(self) -> list[str]:
        """Names of the network inputs that do not belong to one coordinate; they are the last ones."""
        return []

    @property
    def size(self) -> int:
        """Number of network inputs."""
        return len(self.lower) + len(self.periodic)

    def forward(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points size"]:
        columns = []
        for i in range(x.shape[1]):
            share = (x[:, i] - self.lower[i]) / (self.upper[i] - self.lower[i])
            columns += [torch.sin(2 * pi * share), torch.cos(2 * pi * share)] if i in self.periodic else [2 * share - 1]
        return torch.stack(columns, dim=1)

    def jet(self, x: Float[Tensor, "points dim"], space: JetSpace) -> Float[Tensor, "components points size"]:
        """Return the jet of the network inputs; each input depends on one coordinate."""
        out = torch.zeros(len(space.keys), len(x), self.size, dtype=x.dtype, device=x.device)
        column = 0
        for i in range(x.shape[1]):
            width = self.upper[i] - self.lower[i]
            if i in self.periodic:
                angle, rate = 2 * pi * (x[:, i] - self.lower[i]) / width, 2 * pi / width
                for shift in (0.0, 0.5 * pi):  # cos x = sin(x + π/2), and each derivative adds π/2
                    for row, key in enumerate(space.keys):
                        order = _order_along(key, i, space)
                        if order is not None:
                            out[row, :, column] = rate**order * torch.sin(angle + shift + order * 0.5 * pi)
                    column += 1
            else:
                out[0, :, column] = 2 * (x[:, i] - self.lower[i]) / width - 1
                if (i,) in space.row:
                    out[space.row[i,], :, column] = 2 / width
                column += 1
        return out


def _order_along(key, i: int, space: JetSpace) -> int | None:
    """Return the order of the derivative ``key`` for a function of coordinate i alone; None if it vanishes."""
    if key == LAPLACIAN:
        return len(key) if i in space.space else None
    return len(key) if all(k == i for k in key) else None
