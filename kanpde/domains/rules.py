"""Sampling rules on the unit cube, each with its quadrature weights."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.errors import InputError, suggest


def _gauss(n: int) -> tuple[NDArray, NDArray]:
    """Gauss-Legendre nodes and weights on [0, 1]: exact for polynomials of degree 2n - 1."""
    x, w = np.polynomial.legendre.leggauss(n)
    return 0.5 + 0.5 * x, 0.5 * w


def _chebyshev(n: int) -> tuple[NDArray, NDArray]:
    """Chebyshev nodes of the first kind on [0, 1] with Fejér's weights (W. Gautschi 1967): exact for degree n - 1."""
    angle = np.pi * (np.arange(n) + 0.5) / n
    k = np.arange(1, n // 2 + 1)
    w = (2 / n) * (1 - 2 * (np.cos(2 * np.outer(angle, k)) / (4 * k**2 - 1)).sum(axis=1))
    return 0.5 - 0.5 * np.cos(angle), 0.5 * w


TENSOR_RULES = {"gauss": _gauss, "chebyshev": _chebyshev}
RULES = ("auto", *TENSOR_RULES, "sobol", "uniform")
Rule = Callable[[int], tuple[NDArray, NDArray]]  # from about how many points to nodes and weights on [0, 1]

_MOST_IN_PANEL = 16
MOST_TENSOR = 3  # most coordinates for a tensor grid; with more there are too few points along each


def along_line(name: str) -> Rule:
    """Return a tensor rule on [0, 1] for any number of points: equal panels with at most 16 points each."""
    rule = TENSOR_RULES[name]

    @cache
    def composite(n: int) -> tuple[NDArray, NDArray]:
        panels = max(1, -(-n // _MOST_IN_PANEL))
        nodes, weights = rule(max(1, round(n / panels)))
        return ((np.arange(panels)[:, None] + nodes) / panels).ravel(), np.tile(weights / panels, panels)

    return composite


def unit_cube(
    rule: str, n: int, dim: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points (points, dim) in [0, 1]^dim and weights that sum to 1.

    "gauss" and "chebyshev" use the tensor grid whose size is nearest to ``n``, with equally many points along each
    coordinate; "sobol" (scrambled, `scipy.stats.qmc`) uses the next power of two, which balance requires; "uniform"
    uses exactly ``n``; "auto" is "gauss" in up to three dimensions and "sobol" in more.
    """
    if rule not in RULES:
        raise InputError(f'Unknown sampling rule "{rule}". {suggest(rule, RULES)}')
    if n < 1:
        raise InputError(f"A region needs at least one point, got {n}.", write={"n": 1600})
    if dim == 0:
        return torch.zeros(1, 0, device=device, dtype=dtype), torch.ones(1, device=device, dtype=dtype)
    if rule == "auto":
        rule = "gauss" if dim <= MOST_TENSOR else "sobol"
    if rule in TENSOR_RULES:
        nodes, weights = TENSOR_RULES[rule](max(1, round(n ** (1 / dim))))
        x = np.stack(np.meshgrid(*[nodes] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
        w = np.stack(np.meshgrid(*[weights] * dim, indexing="ij"), axis=-1).reshape(-1, dim).prod(axis=1)
        return torch.as_tensor(x, device=device, dtype=dtype), torch.as_tensor(w, device=device, dtype=dtype)
    if rule == "sobol":
        from scipy.stats import qmc  # imported here because it is as slow to import as torch

        seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device).item())
        sequence = qmc.Sobol(dim, scramble=True, rng=seed)
        x = torch.as_tensor(sequence.random_base2((n - 1).bit_length()), device=device, dtype=dtype)
    else:
        x = torch.rand(n, dim, generator=generator, device=generator.device, dtype=dtype).to(device)
    return x, torch.full((len(x),), 1 / len(x), device=device, dtype=dtype)
