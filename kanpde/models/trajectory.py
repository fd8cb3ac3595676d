r"""Polynomials one after another in time, the functions of t that solve ordinary differential equations.

On the window from $t_k$ to $t_{k+1}$, with $s = 2 (t - t_k) / (t_{k+1} - t_k) - 1$ and the Legendre polynomials P,

$$u(t) = \sum_j w_{kj} P_j(s).$$
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.bases.legendre import Legendre
from kanpde.calculus.jet import JetSpace
from kanpde.models.network import Network
from kanpde.models.windows import ROUNDING


class Trajectory(Network):
    """The function u above of time, with as many components as the problem has unknowns.

    After the end of the last window it is NaN; before the first one it is the first polynomial.

    Args:
        times: ends of the windows, ascending, one more than windows.
        weight: w, (windows, polynomials, unknowns).
        state: u and its derivatives at the end, from which the next window begins, (order, unknowns). Derivatives of
            the polynomials have rounding errors that grow with their number and in short windows. None if no window
            follows.
    """

    state: Float[Tensor, "order unknowns"]

    def __init__(
        self,
        times: Sequence[float],
        weight: Float[Tensor, "windows polynomials unknowns"],
        state: Float[Tensor, "order unknowns"] | None = None,
    ):
        nn.Module.__init__(self)
        self.times, self.weight = tuple(times), nn.Parameter(weight)
        self.register_buffer("state", weight.new_zeros(0, weight.shape[2]) if state is None else state)
        self.layers, self.nodes, self.singular = cast(Sequence[Any], nn.ModuleList()), [], None  # none of its own

    def architecture(self) -> dict[str, Any]:
        return {
            "kind": "trajectory",
            "times": list(self.times),
            "shape": list(self.weight.shape),
            "order": len(self.state),
        }

    @classmethod
    def from_architecture(
        cls, architecture: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype
    ) -> "Trajectory":
        """Return the function of that architecture with all weights zero."""
        shape, made = architecture["shape"], {"device": device, "dtype": dtype}
        state = torch.zeros(architecture["order"], shape[2], **made)
        return cls(architecture["times"], torch.zeros(shape, **made), state)

    def followed_by(
        self, weight: Float[Tensor, "polynomials unknowns"], end: float, state: Float[Tensor, "order unknowns"]
    ) -> "Trajectory":
        """Return the function with one more window, and the state at its end."""
        before = self.weight.detach() if self.count else weight.new_zeros(0, *weight.shape)
        return Trajectory((*self.times, end), torch.cat([before, weight[None]]), state)

    @property
    def count(self) -> int:
        """Number of windows."""
        return len(self.times) - 1

    @property
    def end(self) -> float:
        """The end of the last window."""
        return self.times[-1]

    @property
    def has_edges(self) -> bool:
        return False

    @property
    def smoothness(self) -> float:
        return inf

    def forward(self, x: Tensor) -> Tensor:
        return self.jet(x, JetSpace.spanned([()], ()))[0]

    def head(self, x: Tensor, space: JetSpace) -> Tensor:
        """Return the whole jet: no weights of it are trained."""
        return self.jet(x, space)

    @torch.no_grad()
    def jet(self, x: Tensor, space: JetSpace, head: Tensor | None = None) -> Tensor:
        if head is not None:
            return head
        time, ends = x[:, 0].contiguous(), torch.tensor(self.times, dtype=x.dtype, device=x.device)
        slack = ROUNDING * (self.times[-1] - self.times[0])
        where = torch.bucketize(time, ends[1:]).clamp_max(self.count - 1)
        tables = polynomials_at(time, ends[where], ends[where + 1], self.weight.shape[1], space.order)
        values = [torch.einsum("np,npu->nu", tables[len(key)], self.weight[where]) for key in space.keys]
        return torch.stack(values).masked_fill((time > self.end + slack)[None, :, None], torch.nan)


def polynomials_at(
    time: Float[Tensor, " points"], begin: Tensor, end: Tensor, count: int, order: int
) -> list[Float[Tensor, "points polynomials"]]:
    """Return ``count`` Legendre polynomials of the windows around points in time, and their derivatives by t."""
    one = torch.ones(1, dtype=time.dtype, device=time.device)
    slope = 2 / (end - begin)
    tables, _ = Legendre.over(-one, one, 1, count - 1).table(((time - begin) * slope - 1)[:, None], order)
    return [table[:, 0] * slope.expand_as(time)[:, None] ** k for k, table in enumerate(tables)]
