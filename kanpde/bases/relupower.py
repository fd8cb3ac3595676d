r"""Powers of products of two ReLUs: $(\mathrm{relu}(e - x)\,\mathrm{relu}(x - s))^p\,(2 / (e - s))^{2p}$.

Q. Qiu et al., ReLU-KAN: New Kolmogorov-Arnold Networks that Only Need Matrix Addition, Dot Multiplication, and ReLU,
2024, use p = 2; C. C. So & S. P. Yung, Higher-order-ReLU-KANs, 2024, use any p, so that derivatives of order p are
bounded. Here p is the degree, and the supports [s, e] are those of the B-splines of that degree: degree + 1 cells.
"""

from math import comb, perm

import torch
from torch import Tensor

from kanpde.bases import Basis


class ReLUPower(Basis):
    """(1 - u²)^degree for |u| < 1, where u runs from -1 to 1 on a support; polynomials of degree 2 ``degree``.

    All functions vanish from ``degree`` cells outside the range on, where an edge consists of its silu only. This
    margin shrinks on a finer grid: if values leave the range, refine with move_knots=True.
    """

    def _prepare(self) -> None:
        super()._prepare()
        self.local = self.degree + 1
        self.smoothness = self.degree

    def table(self, x: Tensor, order: int) -> tuple[list[Tensor], Tensor]:
        cells, slope = self.mapped(x, 0.0, float(self.cells))  # integer part: cell; fraction: position in it
        cell = cells.detach().nan_to_num().floor().clamp(0, self.cells - 1)  # values stay NaN
        behind = torch.arange(self.local, dtype=x.dtype, device=x.device)
        half = 0.5 * self.local
        u = ((cells - cell)[..., None] + self.degree - behind) / half - 1  # support j begins at cell j - degree
        left, right = torch.relu(1 + u), torch.relu(1 - u)
        values = [(left * right) ** self.degree]
        inside = (u.abs() < 1).to(x.dtype)
        for k in range(1, order + 1):
            scale = (slope / half)[:, None] ** k
            values.append(_derivative(left, right, self.degree, k) * inside * scale)
        return values, cell.long()


def _derivative(left: Tensor, right: Tensor, p: int, k: int) -> Tensor:
    """Return the k-th derivative in u of ((1 + u) (1 - u))^p by the Leibniz rule; 0 for k > 2 p."""
    total = torch.zeros_like(left)
    for j in range(max(0, k - p), min(k, p) + 1):
        factor = (-1) ** j * comb(k, j) * perm(p, j) * perm(p, k - j)
        total = total + factor * right ** (p - j) * left ** (p - k + j)
    return total
