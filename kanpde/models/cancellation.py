"""Large weights of silu that the basis functions cancel.

A coarse basis reproduces silu almost, not quite. Least squares then use what is left as one more function, with a
weight so much larger than the sum that its rounding errors bound the accuracy on every finer grid (1e6 for J0(20 x) on
five cells: 1e-10). Training does not lower it, because on fine grids the loss hardly depends on it.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.bases import Basis

LOST = 1e3  # cancellation by which silu counts as large: the values lose three digits
SAMPLES = 200
ROUNDING = 32  # multiple of the machine precision up to which silu counts as reproduced


@torch.no_grad()
def without_cancellation(
    basis: Basis, coefficients: Float[Tensor, "d_in size_and_one d_out"]
) -> Float[Tensor, "d_in size_and_one d_out"]:
    """Return the coefficients of the same functions, where the basis replaces a large silu that it reproduces.

    The functions change by no more than their rounding errors were. Where silu is not large, or the basis does not
    reproduce it to rounding, the coefficients are returned as they are.
    """
    ends = basis.breakpoints
    share = torch.linspace(0, 1, SAMPLES, dtype=ends.dtype, device=ends.device)[:, None]
    x = ends[:, 0] + share * (ends[:, -1] - ends[:, 0])
    base = nn.functional.silu(x)
    sums = torch.einsum("pig,igo->pio", basis.dense(x), coefficients[:, :-1])
    sizes = (sums + base[..., None] * coefficients[:, -1]).abs().amax(dim=0)
    parts = base.abs().amax(dim=0)[:, None] * coefficients[:, -1].abs()
    large, result = parts > LOST * sizes, coefficients
    for i in large.any(dim=1).nonzero()[:, 0].tolist():
        replacement = _silu_on(type(basis)(basis.knots[i : i + 1], basis.degree))
        if replacement is not None:
            result = result.clone() if result is coefficients else result
            weight = torch.where(large[i], coefficients[i, -1], 0.0)
            result[i, :-1] += replacement[:, None] * weight
            result[i, -1] -= weight
    return result


def _silu_on(basis: Basis) -> Float[Tensor, " size"] | None:
    """Return the coefficients with which the functions of one input reproduce silu to rounding; None if they do not."""
    lower, upper = basis.breakpoints[0, 0], basis.breakpoints[0, -1]
    n = 4 * basis.size
    angles = torch.pi * (torch.arange(n, dtype=lower.dtype, device=lower.device) + 0.5) / n
    x = (lower + (upper - lower) * (0.5 - 0.5 * torch.cos(angles)))[:, None]
    features, silu = basis.dense(x)[:, 0].cpu(), nn.functional.silu(x).cpu()
    found = torch.linalg.lstsq(features, silu, driver="gelsd").solution
    error = float((features @ found - silu).abs().max())
    if not error <= ROUNDING * torch.finfo(silu.dtype).eps * float(silu.abs().max()):
        return None
    return found[:, 0].to(lower.device)
