r"""Networks one after another in time, each of which begins with the state that the one before it has reached.

On the window from $t_k$ to $t_{k+1}$, with $s = (t - t_k) / (t_{k+1} - t_k)$,

$$u(x, t) = p_k(x) + s^m N_k(x, t) \quad (m = 1), \qquad
u(x, t) = p_k(x) + (t - t_k)\, q_k(x) + s^m N_k(x, t) \quad (m = 2),$$

where m is the order of the equation in time, and p and q are splines, fitted to $u(\cdot, t_k)$ and
$u_t(\cdot, t_k)$ of the window before. If both windows have the same cells they agree exactly. Otherwise the fit
removes what the new cells do not resolve, which would stay in the solution for ever, because N could not cancel it.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.calculus.jet import LAPLACIAN, JetSpace, Key, multiply
from kanpde.models.architecture import network_from
from kanpde.models.network import Network

ROUNDING = 1e-12  # of the whole interval: points so little after its end belong to it


class Windows(Network):
    """The function u above of one coordinate x and time, with as many components as the problem has unknowns.

    After the end of the last window it is NaN.

    Args:
        order: m.
        axis: position of x among the two coordinates; the other one is time.
        times: ends of the windows, ascending, one more than networks.
        begins: networks of the same coordinates that do not depend on time; their outputs are p, followed by q if
            m = 2.
        networks: N_k.
    """

    def __init__(
        self,
        order: int,
        axis: int,
        times: Sequence[float],
        begins: Sequence[Network] = (),
        networks: Sequence[Network] = (),
    ):
        nn.Module.__init__(self)
        self.order, self.axis, self.times = order, axis, tuple(times)
        self.begins = cast(Sequence[Network], nn.ModuleList(begins))
        self.networks = cast(Sequence[Network], nn.ModuleList(networks))
        self.layers, self.nodes, self.singular = cast(Sequence[Any], nn.ModuleList()), [], None  # none of its own

    def architecture(self) -> dict[str, Any]:
        return {
            "kind": "windows",
            "order": self.order,
            "axis": self.axis,
            "times": list(self.times),
            "begins": [network.architecture() for network in self.begins],
            "networks": [network.architecture() for network in self.networks],
        }

    @classmethod
    def from_architecture(
        cls, architecture: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype
    ) -> "Windows":
        """Return the function of that architecture with all weights zero."""
        begins, networks = (
            [network_from(each, device, dtype) for each in architecture[key]] for key in ("begins", "networks")
        )
        return cls(architecture["order"], architecture["axis"], architecture["times"], begins, networks)

    def followed_by(self, begin: Network, network: Network, end: float) -> "Windows":
        """Return the function with one more window."""
        begins, networks = [*self.begins, begin], [*self.networks, network]
        return Windows(self.order, self.axis, (*self.times, end), begins, networks)

    @property
    def count(self) -> int:
        """Number of windows."""
        return len(self.networks)

    @property
    def end(self) -> float:
        """The end of the last window."""
        return self.times[-1]

    @property
    def has_edges(self) -> bool:
        return False

    @property
    def smoothness(self) -> float:
        return min((each.smoothness for each in (*self.begins, *self.networks)), default=inf)

    def forward(self, x: Tensor) -> Tensor:
        return self.jet(x, JetSpace.spanned([()], (self.axis,)))[0]

    def head(self, x: Tensor, space: JetSpace) -> Tensor:
        """Return the whole jet: no weights of it are trained."""
        return self.jet(x, space)

    @torch.no_grad()
    def jet(self, x: Tensor, space: JetSpace, head: Tensor | None = None) -> Tensor:
        if head is not None:
            return head
        time = x[:, 1 - self.axis].contiguous()
        where = torch.bucketize(time, torch.tensor(self.times[1:], dtype=x.dtype, device=x.device))
        slack = ROUNDING * (self.times[-1] - self.times[0])
        where[(time > self.end) & (time <= self.end + slack)] = len(self.networks) - 1
        out = x.new_full((len(space.keys), len(x), self.outputs), torch.nan)
        for k in where.unique().tolist():
            if 0 <= k < len(self.networks):
                out[:, where == k] = self._window_jet(k, x[where == k], space)
        return out

    @property
    def outputs(self) -> int:
        """Number of unknowns; 1 before the first window."""
        return self.networks[0].layers[-1].weight.shape[1] if self.networks else 1

    def _window_jet(self, k: int, x: Tensor, space: JetSpace) -> Tensor:
        window = self.times[k], self.times[k + 1]
        state = state_of(self.begins[k], x[:, self.axis], space.order, self.order, self.axis)
        base = base_jet(state, x, space, window[0], self.axis)
        weight = power_jet(x, space, window, self.order, self.axis).expand(-1, -1, base.shape[2])
        return base + multiply(weight, self.networks[k].jet(x, space), space)

    @torch.no_grad()
    def state(self, x: Float[Tensor, " points"]) -> Float[Tensor, "order points unknowns"]:
        """Return u and, for m = 2, u_t at the end of the last window."""
        space = JetSpace.spanned([(1 - self.axis,)], (self.axis,))
        jet = self._window_jet(len(self.networks) - 1, points_at(x, self.end, self.axis), space)
        return jet[: self.order]


def points_at(x: Float[Tensor, " points"], time: Tensor | float, axis: int) -> Float[Tensor, "points 2"]:
    """Return the points (x, time), x in the position ``axis``; ``time`` is one number for all, or one for each."""
    columns = [x, torch.as_tensor(time, device=x.device, dtype=x.dtype).expand_as(x)]
    return torch.stack(columns if axis == 0 else columns[::-1], dim=1)


@torch.no_grad()
def state_of(
    begin: Network, x: Float[Tensor, " points"], most: int, order: int, axis: int
) -> Float[Tensor, "order derivatives points unknowns"]:
    """Return p and, for m = 2, q with their derivatives 0 to ``most`` in x, from one of `Windows.begins`."""
    space = JetSpace.spanned([(axis,) * most], (axis,))
    lower = float(begin.inputs.lower[1 - axis])
    return torch.stack(begin.jet(points_at(x, lower, axis), space).chunk(order, dim=2))


def orders_of(key: Key, axis: int) -> tuple[int, int]:
    """Return the orders of a derivative in x and in time."""
    return (2, 0) if key == LAPLACIAN else (key.count(axis), key.count(1 - axis))


def base_jet(
    state: Float[Tensor, "order derivatives points unknowns"], x: Tensor, space: JetSpace, begin: float, axis: int
) -> Float[Tensor, "components points unknowns"]:
    """Return the jet of $p + (t - t_k) q$, of p alone for m = 1, at points (points, 2)."""
    out = state.new_zeros(len(space.keys), *state.shape[2:])
    for row, key in enumerate(space.keys):
        in_x, in_t = orders_of(key, axis)
        if in_t == 0:
            out[row] = state[0, in_x]
        if len(state) == 2 and in_t == 0:
            out[row] += (x[:, 1 - axis] - begin)[:, None] * state[1, in_x]
        elif len(state) == 2 and in_t == 1:
            out[row] = state[1, in_x]
    return out


def power_jet(
    x: Tensor, space: JetSpace, window: tuple[float, float], order: int, axis: int
) -> Float[Tensor, "components points 1"]:
    """Return the jet of $s^m$ at points (points, 2)."""
    begin, end = window
    s, out = (x[:, 1 - axis] - begin) / (end - begin), x.new_zeros(len(space.keys), len(x), 1)
    for row, key in enumerate(space.keys):
        in_x, in_t = orders_of(key, axis)
        if in_x == 0 and in_t <= order:
            factor = 1.0
            for k in range(in_t):
                factor *= (order - k) / (end - begin)
            out[row, :, 0] = factor * s ** (order - in_t)
    return out
