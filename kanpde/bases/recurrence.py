"""Orthogonal polynomials and their derivatives from three-term recurrences."""

from collections.abc import Callable

import torch
from torch import Tensor

Coefficients = Callable[[int], tuple[float, float]]


def powers(n: int) -> tuple[float, float]:
    """Return the recurrence coefficients of the monomials, t^(n+1) = t t^n."""
    return 1.0, 0.0


def orthogonal_polynomials(t: Tensor, order: int, count: int, coefficients: Coefficients) -> tuple[Tensor, ...]:
    """Derivatives 0 ... ``order`` of p_0 ... p_(count - 1) in a new last dimension.

    With (a, c) = ``coefficients(n)``, p_(n+1) = a t p_n - c p_(n-1), p_0 = 1 and p_(-1) = 0; by the Leibniz rule
    p_(n+1)^(k) = a (t p_n^(k) + k p_n^(k-1)) - c p_(n-1)^(k) for all t. Forward recursion is stable on [-1, 1]
    (W. Gautschi, Computational aspects of three-term recurrence relations, SIAM Review 9, 1967).
    """
    k = torch.arange(1, order + 1, dtype=t.dtype, device=t.device).view(-1, *[1] * t.ndim)
    none = torch.zeros_like(t)
    before = torch.stack([none] * (order + 1))
    now = torch.stack([torch.ones_like(t)] + [none] * order)
    found = [now]
    for n in range(count - 1):
        a, c = coefficients(n)
        lowered = torch.cat([none[None], k * now[:-1]])
        before, now = now, a * (t * now + lowered) - c * before
        found.append(now)
    return torch.stack(found, dim=-1).unbind(0)
