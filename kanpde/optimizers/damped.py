r"""The linear problem inside Levenberg-Marquardt: $\min_y |Ay + w|^2 + \lambda |y|^2$, $A = J D^{-1}$, $y = D\delta$.

$D^2 = \mathrm{diag}(J^T J)$, with a lower bound because cells without points give zero columns. The solution
$-(A^T A + \lambda I)^{-1} A^T w$ is computed by one of three methods:

- "cholesky" of $A^T A + \lambda I$: the fastest; inaccurate if λ is as small as the rounding errors of $A^T A$.
- "qr" of A over $\sqrt\lambda I$ with the corrected semi-normal equations (Å. Björck, Numerical Methods for Least
  Squares Problems, 1996, section 2.4.6): accurate, about three times as much work.
- "dual", $-A^T (A A^T + \lambda I)^{-1} w$: for more parameters than residuals.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

STRIPES = 4  # blocks of columns in a symmetric product: more save up to half of the work, but are less efficient each

Product = Callable[[Tensor], Tensor]


class DampedSystem(ABC):
    """A linearized problem that can be solved for any damping and right-hand side.

    Attributes:
        method: name of the method.
        scale: D.
    """

    method: str

    def __init__(self, scale: Float[Tensor, " size"]):
        self.scale = scale

    @abstractmethod
    def forward(self, y: Tensor) -> Tensor:
        """Return Ay."""

    @abstractmethod
    def transposed(self, w: Tensor) -> Tensor:
        """Return Aᵀw."""

    @abstractmethod
    def solve(self, damping: float, w: Tensor, target: Tensor) -> Tensor | None:
        """Return y for a right-hand side w and target Aᵀw; None if the factorization breaks down."""

    @abstractmethod
    def inverse(self, damping: float, target: Tensor) -> Tensor | None:
        """Return (AᵀA + λI)⁻¹ target for any target; None if the factorization breaks down."""

    def more_accurate(self) -> "DampedSystem | None":
        """Return the same system in a more accurate form, or None if there is none."""
        return None


def gram(a: Float[Tensor, "rows size"], parts: Sequence[tuple[slice, slice]] = ()) -> Float[Tensor, "size size"]:
    """Return aᵀa, of which only the blocks on and above the diagonal are computed.

    ``parts`` are rows and columns of a such that every row belongs to one of them and is zero outside of its columns.
    """
    size = a.shape[1]
    if len(parts) > 1:
        total = a.new_zeros(size, size)
        for rows, columns in parts:
            total[columns, columns] += gram(a[rows, columns])
        return total
    out = torch.empty(size, size, dtype=a.dtype, device=a.device)
    ends = [round(i * size / STRIPES) for i in range(STRIPES + 1)]
    for begin, end in pairwise(ends):
        stripe = a[:, begin:end].T @ a[:, begin:]
        out[begin:end, begin:] = stripe
        out[begin:, begin:end] = stripe.T
    return out


def column_scale(squares: Float[Tensor, " size"], floor: float) -> Float[Tensor, " size"]:
    """Return D from the squared norms of J's columns; ``floor`` is relative to the largest of them."""
    largest = squares.max()
    return (squares + floor * largest).sqrt() if float(largest) > 0 else torch.ones_like(squares)


class Normal(DampedSystem):
    """Solves by Cholesky factors of AᵀA + λI. ``normal`` is JᵀJ and is overwritten; J is used only in products."""

    def __init__(self, normal: Float[Tensor, "size size"], scale: Float[Tensor, " size"]):
        super().__init__(scale)
        self.factors = Factors(normal.div_(scale).div_(scale[:, None]))

    def solve(self, damping: float, w: Tensor, target: Tensor) -> Tensor | None:
        return self.inverse(damping, -target)

    def inverse(self, damping: float, target: Tensor) -> Tensor | None:
        lower = self.factors.at(damping)
        return None if lower is None else _checked(torch.cholesky_solve(target[:, None], lower)[:, 0])


class Cholesky(Normal):
    """Cholesky's method with the whole J in memory."""

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
    """Cholesky's method without J in memory: ``times`` and ``pull_back`` compute products with J and with Jᵀ."""

    method = "cholesky in pieces"

    def __init__(self, normal: Tensor, scale: Tensor, times: Product, pull_back: Product):
        super().__init__(normal, scale)
        self.times, self.pull_back = times, pull_back

    def forward(self, y: Tensor) -> Tensor:
        return self.times(y / self.scale)

    def transposed(self, w: Tensor) -> Tensor:
        return self.pull_back(w) / self.scale


class Scaled(DampedSystem):
    """A system with the whole A in memory."""

    def __init__(self, jacobian: Float[Tensor, "rows size"], scale: Float[Tensor, " size"]):
        super().__init__(scale)
        self.a = jacobian / scale

    def forward(self, y: Tensor) -> Tensor:
        return self.a @ y

    def transposed(self, w: Tensor) -> Tensor:
        return self.a.T @ w


class Dual(Scaled):
    """The dual form, for more parameters than residuals."""

    method = "dual"

    def __init__(self, jacobian: Tensor, scale: Tensor):
        super().__init__(jacobian, scale)
        self.factors = Factors(gram(self.a.T))

    def solve(self, damping: float, w: Tensor, target: Tensor) -> Tensor | None:
        lower = self.factors.at(damping)
        return None if lower is None else _checked(-(self.a.T @ torch.cholesky_solve(w[:, None], lower)[:, 0]))

    def inverse(self, damping: float, target: Tensor) -> Tensor | None:
        y = self.solve(damping, self.a @ target, target)  # -Aᵀ(AAᵀ + λI)⁻¹ A target
        return None if y is None else (target + y) / damping


class QR(Scaled):
    """The QR factorization, for a damping as small as the rounding errors of AᵀA."""

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

    def inverse(self, damping: float, target: Tensor) -> Tensor | None:
        return _checked(self._semi_normal(damping, target))


class Factors:
    """Cholesky factors of matrix + λI; the last one is cached."""

    def __init__(self, matrix: Float[Tensor, "size size"]):
        self.matrix = matrix
        self.known: tuple[float, Tensor | None] | None = None

    def at(self, damping: float) -> Tensor | None:
        """Return the factor, or None if the matrix is not positive definite."""
        if self.known is None or self.known[0] != damping:
            shifted = self.matrix.clone()
            shifted.diagonal().add_(damping)
            lower, info = torch.linalg.cholesky_ex(shifted)
            self.known = damping, None if int(info) else lower
        return self.known[1]


def _checked(y: Tensor) -> Tensor | None:
    return y if bool(y.isfinite().all()) else None
