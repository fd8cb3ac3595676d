r"""The linear problem inside Levenberg-Marquardt: $\min_y |Ay + w|^2 + \lambda |y|^2$, $A = J D^{-1}$, $y = D\delta$.

$D^2 = \mathrm{diag}(J^T J)$, with a floor, because cells without points give zero columns. Its solution
$-(A^T A + \lambda I)^{-1} A^T w$ is computed in one of three ways:

- "cholesky" of $A^T A + \lambda I$: the fastest; its accuracy ends where λ is as small as its rounding errors.
- "qr" of A over $\sqrt\lambda I$ with the corrected semi-normal equations (Å. Björck, Numerical Methods for Least
  Squares Problems, 1996, section 2.4.6): accurate, some three times as much work.
- "dual", $-A^T (A A^T + \lambda I)^{-1} w$: for more parameters than residuals.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

STRIPES = 4  # of columns in a symmetric product: more save up to half of the work, but make its parts thin

Product = Callable[[Tensor], Tensor]


class DampedSystem(ABC):
    """A linearization, ready to be solved for any damping and right-hand side.

    Attributes:
        method: its name.
        scale: D.
    """

    method: str

    def __init__(self, scale: Float[Tensor, " size"]):
        self.scale = scale

    @abstractmethod
    def forward(self, y: Tensor) -> Tensor:
        """Ay."""

    @abstractmethod
    def transposed(self, w: Tensor) -> Tensor:
        """Aᵀw."""

    @abstractmethod
    def solve(self, damping: float, w: Tensor, target: Tensor) -> Tensor | None:
        """y for a right-hand side w and target Aᵀw; None where the factorization breaks down."""

    def more_accurate(self) -> "DampedSystem | None":
        """The same system in a form that holds where this one breaks down, if there is one."""
        return None


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


class Normal(DampedSystem):
    """By the Cholesky factors of AᵀA + λI. ``normal`` is JᵀJ, which is overwritten; J is only used in products."""

    def __init__(self, normal: Float[Tensor, "size size"], scale: Float[Tensor, " size"]):
        super().__init__(scale)
        self.factors = Factors(normal.div_(scale).div_(scale[:, None]))

    def solve(self, damping: float, w: Tensor, target: Tensor) -> Tensor | None:
        lower = self.factors.at(damping)
        return None if lower is None else _checked(-torch.cholesky_solve(target[:, None], lower)[:, 0])


class Cholesky(Normal):
    """With J at hand."""

    method = "cholesky"

    def __init__(self, jacobian: Float[Tensor, "rows size"], normal: Tensor, scale: Tensor):
        super().__init__(normal, scale)
        self.jacobian = jacobian

    def forward(self, y: Tensor) -> Tensor:
        return self.jacobian @ (y / self.scale)

    def transposed(self, w: Tensor) -> Tensor:
        return self.jacobian.T @ w / self.scale

    def more_accurate(self) -> DampedSystem:
        return QR(self.jacobian, self.scale)


class CholeskyInPieces(Normal):
    """Where J does not fit into the memory: ``times`` and ``pull_back`` are its products with v and its transpose's."""

    method = "cholesky in pieces"

    def __init__(self, normal: Tensor, scale: Tensor, times: Product, pull_back: Product):
        super().__init__(normal, scale)
        self.times, self.pull_back = times, pull_back

    def forward(self, y: Tensor) -> Tensor:
        return self.times(y / self.scale)

    def transposed(self, w: Tensor) -> Tensor:
        return self.pull_back(w) / self.scale


class Scaled(DampedSystem):
    """With A itself at hand."""

    def __init__(self, jacobian: Float[Tensor, "rows size"], scale: Float[Tensor, " size"]):
        super().__init__(scale)
        self.a = jacobian / scale

    def forward(self, y: Tensor) -> Tensor:
        return self.a @ y

    def transposed(self, w: Tensor) -> Tensor:
        return self.a.T @ w


class Dual(Scaled):
    """For more parameters than residuals."""

    method = "dual"

    def __init__(self, jacobian: Tensor, scale: Tensor):
        super().__init__(jacobian, scale)
        self.factors = Factors(gram(self.a.T))

    def solve(self, damping: float, w: Tensor, target: Tensor) -> Tensor | None:
        lower = self.factors.at(damping)
        return None if lower is None else _checked(-(self.a.T @ torch.cholesky_solve(w[:, None], lower)[:, 0]))


class QR(Scaled):
    """For a damping so small that AᵀA is inaccurate beside it."""

    method = "qr"

    def __init__(self, jacobian: Tensor, scale: Tensor):
        super().__init__(jacobian, scale)
        self.upper = torch.linalg.qr(self.a, mode="r")[1]
        self.known: tuple[float, Tensor] | None = None

    def _factor(self, damping: float) -> Tensor:
        if self.known is None or self.known[0] != damping:
            eye = torch.eye(len(self.scale), dtype=self.a.dtype, device=self.a.device)
            self.known = damping, torch.linalg.qr(torch.cat([self.upper, damping**0.5 * eye]), mode="r")[1]
        return self.known[1]

    def _semi_normal(self, damping: float, t: Tensor) -> Tensor:
        return torch.cholesky_solve(t[:, None], self._factor(damping), upper=True)[:, 0]

    def solve(self, damping: float, w: Tensor, target: Tensor) -> Tensor | None:
        y = -self._semi_normal(damping, target)
        return _checked(y - self._semi_normal(damping, self.a.T @ (w + self.a @ y) + damping * y))


class Factors:
    """Cholesky factors of matrix + λI; the last one is kept."""

    def __init__(self, matrix: Float[Tensor, "size size"]):
        self.matrix = matrix
        self.known: tuple[float, Tensor | None] | None = None

    def at(self, damping: float) -> Tensor | None:
        """The factor, or None where there is none."""
        if self.known is None or self.known[0] != damping:
            shifted = self.matrix.clone()
            shifted.diagonal().add_(damping)
            lower, info = torch.linalg.cholesky_ex(shifted)
            self.known = damping, None if int(info) else lower
        return self.known[1]


def _checked(y: Tensor) -> Tensor | None:
    return y if bool(y.isfinite().all()) else None
