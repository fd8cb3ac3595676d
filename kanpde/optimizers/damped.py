r"""The linear problem inside Levenberg-Marquardt: $\min_y |Ay + w|^2 + \lambda |y|^2$, $A = J D^{-1}$, $y = D\delta$.

$D^2 = \mathrm{diag}(J^T J)$, with a floor, because cells without points give zero columns. Its solution
$-(A^T A + \lambda I)^{-1} A^T w$ is computed in one of three ways:

- "cholesky" of $A^T A + \lambda I$: the fastest; its accuracy ends where λ is as small as its rounding errors.
- "qr" of A over $\sqrt\lambda I$ with the corrected semi-normal equations (Å. Björck, Numerical Methods for Least
  Squares Problems, 1996, section 2.4.6): accurate, some three times as much work.
- "dual", $-A^T (A A^T + \lambda I)^{-1} w$: for more parameters than residuals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

STRIPES = 4  # of columns in a symmetric product: more save up to half of the work, but make its parts thin

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class DampedSystem:
    """A linearization, ready to be solved for any damping and right-hand side.

    Attributes:
        method: "cholesky", "qr" or "dual".
        scale: D.
        forward: y -> Ay.
        transposed: w -> Aᵀw.
        solve: (damping, w, Aᵀw) -> y, or None where the factorization breaks down. The last factors are kept.
    """

    method: str
    scale: Float[Tensor, " size"]
    forward: Product
    transposed: Product
    solve: Callable[[float, Tensor, Tensor], Tensor | None]


def gram(a: Float[Tensor, "rows size"]) -> Float[Tensor, "size size"]:
    """aᵀa, of which only the blocks on and above the diagonal are computed."""
    size = a.shape[1]
    out = torch.empty(size, size, dtype=a.dtype, device=a.device)
    ends = [round(i * size / STRIPES) for i in range(STRIPES + 1)]
    for begin, end in pairwise(ends):
        stripe = a[:, begin:end].T @ a[:, begin:]
        out[begin:end, begin:] = stripe
        out[begin:, begin:end] = stripe.T
    return out


def column_scale(squares: Float[Tensor, " size"], floor: float) -> Float[Tensor, " size"]:
    """D from the squared norms of J's columns; ``floor`` is relative to the largest."""
    largest = squares.max()
    return (squares + floor * largest).sqrt() if float(largest) > 0 else torch.ones_like(squares)


def cholesky_system(
    normal: Float[Tensor, "size size"], scale: Float[Tensor, " size"], forward: Product, transposed: Product
) -> DampedSystem:
    """From JᵀJ (which is overwritten) and the products with J and Jᵀ."""
    factor = _cholesky_of(normal.div_(scale).div_(scale[:, None]))

    def solve(damping: float, w: Tensor, target: Tensor) -> Tensor | None:
        lower = factor(damping)
        return None if lower is None else _checked(-torch.cholesky_solve(target[:, None], lower)[:, 0])

    return DampedSystem("cholesky", scale, lambda y: forward(y / scale), lambda w: transposed(w) / scale, solve)


def dual_system(jacobian: Float[Tensor, "rows size"], scale: Float[Tensor, " size"]) -> DampedSystem:
    """For more parameters than residuals."""
    a = jacobian / scale
    factor = _cholesky_of(gram(a.T))

    def solve(damping: float, w: Tensor, target: Tensor) -> Tensor | None:
        lower = factor(damping)
        return None if lower is None else _checked(-(a.T @ torch.cholesky_solve(w[:, None], lower)[:, 0]))

    return DampedSystem("dual", scale, lambda y: a @ y, lambda w: a.T @ w, solve)


def qr_system(jacobian: Float[Tensor, "rows size"], scale: Float[Tensor, " size"]) -> DampedSystem:
    """For a damping so small that AᵀA is inaccurate beside it."""
    a = jacobian / scale
    upper = torch.linalg.qr(a, mode="r")[1]
    eye = torch.eye(a.shape[1], dtype=a.dtype, device=a.device)

    @lru_cache(maxsize=1)
    def factor(damping: float) -> Tensor:
        return torch.linalg.qr(torch.cat([upper, damping**0.5 * eye]), mode="r")[1]

    def solve(damping: float, w: Tensor, target: Tensor) -> Tensor | None:
        def semi_normal(t: Tensor) -> Tensor:
            return torch.cholesky_solve(t[:, None], factor(damping), upper=True)[:, 0]

        y = -semi_normal(target)
        return _checked(y - semi_normal(a.T @ (w + a @ y) + damping * y))

    return DampedSystem("qr", scale, lambda y: a @ y, lambda w: a.T @ w, solve)


def _cholesky_of(matrix: Tensor) -> Callable[[float], Tensor | None]:
    """damping -> the Cholesky factor of matrix + damping I, or None where there is none."""

    @lru_cache(maxsize=1)
    def factor(damping: float) -> Tensor | None:
        shifted = matrix.clone()
        shifted.diagonal().add_(damping)
        lower, info = torch.linalg.cholesky_ex(shifted)
        return None if int(info) else lower

    return factor


def _checked(y: Tensor) -> Tensor | None:
    return y if bool(y.isfinite().all()) else None
