"""Points of shapes by each of the sampling rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.domains.region import Points
from kanpde.domains.rules import TENSOR_RULES, along_line, unit_cube

_CPU = torch.device("cpu")


def draw_inside(
    geometry: Any, level: Callable[[NDArray], NDArray], rule: str, n: int, generator, device, dtype
) -> Points:
    """Return about n points inside a shape, where ``level`` is negative; ``geometry`` is that of a `Shape`."""
    name = _chosen(rule, n)
    if name in TENSOR_RULES:
        x, weight = geometry.inside(n, along_line(name))
    else:
        x = _random(geometry, level, name, n, generator)
        weight = np.ones(len(x))
    return _points(x, weight, None, device, dtype)


def draw_wall(geometry: Any, part: str | None, rule: str, n: int, generator, device, dtype) -> Points:
    """Return about n points on a part of the boundary (all of it for None) with outward normals."""
    name = _chosen(rule, n)
    if name in TENSOR_RULES:
        x, weight, normal = geometry.on_boundary(part, n, along_line(name))
    else:
        x, weight, normal = geometry.random_on_boundary(part, n, partial(_random_unit, name, generator))
    return _points(x, weight, normal, device, dtype)


def _random(geometry: Any, level: Callable[[NDArray], NDArray], rule: str, n: int, generator) -> NDArray:
    """Return those of random points of the bounding box that lie inside."""
    lower, upper = geometry.bounds.T
    found, count, share = [], 0, geometry.measure / float(np.prod(upper - lower))
    while count < n:
        wanted = max(16, round(1.1 * (n - count) / share))
        unit, _ = unit_cube(rule, wanted, len(lower), generator, _CPU, torch.float64)
        x = lower + unit.numpy() * (upper - lower)
        found.append(x[level(x) < 0])
        count += len(found[-1])
    return np.concatenate(found)[:n]


def _random_unit(rule: str, generator: torch.Generator, n: int, dim: int) -> NDArray:
    """Return about n points in the unit cube, (n, dim)."""
    return unit_cube(rule, n, dim, generator, _CPU, torch.float64)[0].numpy()


def _chosen(rule: str, n: int) -> str:
    """Return the rule, "gauss" for "auto"; `unit_cube` refuses an unknown rule and a number below 1."""
    unit_cube(rule, min(n, 1), 1, torch.Generator(), _CPU, torch.float64)
    return "gauss" if rule == "auto" else rule


def _points(x: NDArray, weight: NDArray, normal: NDArray | None, device, dtype) -> Points:
    def tensor(values: NDArray) -> Tensor:
        return torch.as_tensor(values, device=device, dtype=dtype)

    return Points(tensor(x), tensor(weight / weight.sum()), None if normal is None else tensor(normal))
