"""Points of a region times an interval, which is a further coordinate: time, or a parameter of a family."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.domains.region import Points, Region
from kanpde.domains.rules import TENSOR_RULES, along_line, unit_cube


@dataclass(frozen=True)
class Extended:
    """The sampling rule ``Region.draw`` of a region times an interval, whose coordinate is the last one.

    Attributes:
        part: the region.
        limits: ends of the interval.
        free: number of dimensions of the region.
    """

    part: Region
    limits: tuple[float, float]
    free: int

    def __call__(
        self, rule: str, n: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype
    ) -> Points:
        """Return about n points: all pairs for tensor rules, and else a random number at each random point."""
        begin, end = self.limits
        if rule not in ("auto", *TENSOR_RULES):
            points = self.part.draw(rule, n, generator, device, dtype)
            unit, _ = unit_cube(rule, len(points.x), 1, generator, torch.device(device), dtype)
            order = torch.randperm(len(unit), generator=generator, device=generator.device).to(device)
            return _with_last(points, begin + (end - begin) * unit[order[: len(points.x)]])
        instants = max(2, round(n ** (1 / (self.free + 1))))
        nodes, weights = along_line("gauss" if rule == "auto" else rule)(instants)
        points = self.part.draw(rule, max(2, round(n / len(nodes))), generator, device, dtype)
        t = torch.as_tensor(begin + (end - begin) * nodes, device=device, dtype=dtype)
        share = torch.as_tensor(weights, device=device, dtype=dtype)
        every = Points(
            points.x.repeat(len(t), 1),
            (share[:, None] * points.weight).flatten(),
            None if points.normal is None else points.normal.repeat(len(t), 1),
        )
        return _with_last(every, t.repeat_interleave(len(points.x))[:, None])


def _with_last(points: Points, t: Tensor) -> Points:
    """Return points with a last coordinate t (points, 1)."""
    normal = None if points.normal is None else torch.cat([points.normal, torch.zeros_like(t)], dim=1)
    return Points(torch.cat([points.x, t], dim=1), points.weight, normal)
