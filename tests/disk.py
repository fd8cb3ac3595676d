"""A domain outside the package: a disk, with time if there is a range of t."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi

import meshio
import numpy as np
import torch
from scipy.spatial import Delaunay
from torch import Tensor

from kanpde import InputError, Points, Region
from kanpde.domains.meshes import box_mesh
from kanpde.domains.rules import TENSOR_RULES, unit_cube


@dataclass(frozen=True)
class OwnDisk:
    """|x - centre| <= radius, for t in the range ``t``.

    Points are mapped from (s, angle / 2π, share of t) with s = (r / radius)², which keeps areas: weights stay as they
    are. Tensor rules take equidistant angles, which are exact for trigonometric polynomials.
    """

    radius: float = 1.0
    centre: tuple[float, float] = (0.0, 0.0)
    t: tuple[float, float] | None = None

    space = (0, 1)
    periodic = ()

    @property
    def names(self):
        return ("x", "y") if self.t is None else ("x", "y", "t")

    @property
    def ranges(self):
        square = tuple((c - self.radius, c + self.radius) for c in self.centre)
        return square if self.t is None else (*square, self.t)

    @property
    def time(self):
        return None if self.t is None else 2

    @property
    def measure(self):
        return pi * self.radius**2 * (1.0 if self.t is None else self.t[1] - self.t[0])

    # regions ---------------------------------------------------------------------------------------------------------
    @property
    def interior(self):
        return self._region("interior", True, False, None)

    @property
    def boundary(self):
        return self._region("boundary", False, True, None)

    def at(self, **fixed: float):
        if self.t is None or list(fixed) != ["t"]:
            raise InputError(
                f"An OwnDisk holds only t fixed, got {', '.join(fixed)}. Write OwnDisk(t=(0.0, 1.0)).at(t=0.0)."
            )
        if not self.t[0] <= fixed["t"] <= self.t[1]:
            raise InputError(f"t={fixed['t']:g} is outside the domain's range {self.t}.")
        return self._region(f"t={fixed['t']:g}", False, False, fixed["t"])

    @property
    def parts(self):
        regions = [self.interior, self.boundary, *([] if self.t is None else [self.at(t=self.t[0])])]
        return {region.label: region for region in regions}

    def _region(self, label, is_interior, is_rim, moment):
        def draw(rule, n, generator, device, dtype):
            free = (not is_rim) + 1 + (self.t is not None and moment is None)
            unit, weight = _unit(rule, n, free, is_rim, generator, device, dtype)
            distance = torch.ones_like(unit[:, 0]) if is_rim else unit[:, 0].sqrt()
            angle = 2 * pi * unit[:, 0 if is_rim else 1]
            outward = torch.stack([angle.cos(), angle.sin()], dim=1)
            x = torch.empty(len(unit), len(self.names), device=device, dtype=dtype)
            x[:, :2] = torch.tensor(self.centre, device=device, dtype=dtype) + self.radius * distance[:, None] * outward
            if self.t is not None:
                x[:, 2] = self.t[0] + (self.t[1] - self.t[0]) * unit[:, -1] if moment is None else moment
            normal = torch.zeros_like(x)
            normal[:, :2] = outward
            return Points(x, weight, normal if is_rim else None)

        return Region(label, self.names, self.space, is_interior, ({} if moment is None else {2: moment},), draw)

    def contains(self, x: Tensor) -> Tensor:
        slack = 16 * torch.finfo(x.dtype).eps
        gap = (x[:, :2] - torch.tensor(self.centre, device=x.device, dtype=x.dtype)).norm(dim=1)
        inside = gap <= self.radius + slack * (self.radius + max(map(abs, self.centre)))
        if self.t is not None:
            inside &= (x[:, 2] >= self.t[0] - slack) & (x[:, 2] <= self.t[1] + slack)
        return inside

    def restricted(self, **ranges: tuple[float, float]):
        lower, upper = ranges.get("t", (0.0, 0.0))
        if self.t is None or list(ranges) != ["t"] or not self.t[0] <= lower < upper <= self.t[1]:
            raise InputError(f"An OwnDisk is narrowed in t alone, within {self.t}; got {ranges}.")
        return replace(self, t=(lower, upper))

    # output ----------------------------------------------------------------------------------------------------------
    def test_points(self, device, dtype) -> Tensor:
        """A sunflower's seeds (H. Vogel 1979), equally dense; with time at equidistant instants."""
        count = 10_000 if self.t is None else 1_000
        k = torch.arange(count, dtype=torch.float64)
        angle, distance = k * pi * (3 - 5**0.5), self.radius * ((k + 0.5) / count).sqrt()
        x = torch.stack([distance * angle.cos(), distance * angle.sin()], dim=1) + torch.tensor(self.centre).double()
        if self.t is not None:
            t = torch.linspace(*self.t, 11, dtype=torch.float64)
            x = torch.cat([x.repeat(len(t), 1), t.repeat_interleave(count)[:, None]], dim=1)
        return x.to(device=device, dtype=dtype)

    def mesh(self, n: int, only: Sequence[int] | None = None) -> meshio.Mesh:
        """Triangles between rings of 6, 12, 18, ... points around the centre."""
        if only is not None and tuple(only) != self.space:
            return box_mesh([self.ranges[i] for i in only], n)
        rings = -(-n // 2)
        points = [np.zeros((1, 2))]
        for k in range(1, rings + 1):
            angle = 2 * pi * np.arange(6 * k) / (6 * k)
            points.append(k / rings * np.stack([np.cos(angle), np.sin(angle)], axis=1))
        flat = np.concatenate(points)
        triangles = Delaunay(flat).simplices
        embedded = np.zeros((len(flat), 3))
        embedded[:, :2] = np.array(self.centre) + self.radius * flat
        return meshio.Mesh(embedded, [("triangle", triangles.astype(np.int64))])

    def describe(self):
        return {"kind": "OwnDisk", "radius": self.radius, "centre": list(self.centre), "t": self.t and list(self.t)}


def _unit(rule, n, free, is_rim, generator, device, dtype):
    """Points in the unit cube: s (not on the rim), share of the circle, share of t (if it is free); and weights."""
    if rule not in ("auto", *TENSOR_RULES) or n < 1:
        return unit_cube(rule, n, free, generator, device, dtype)
    along = max(1, round(n ** (1 / free)))
    x, w = TENSOR_RULES["chebyshev" if rule == "chebyshev" else "gauss"](along)
    circle = (np.arange(along) + 0.25) / along, np.full(along, 1 / along)
    axes = [(x, w)] * (not is_rim) + [circle]
    axes += [(x, w)] * (free - len(axes))
    nodes = np.stack(np.meshgrid(*[a[0] for a in axes], indexing="ij"), axis=-1).reshape(-1, free)
    weights = np.stack(np.meshgrid(*[a[1] for a in axes], indexing="ij"), axis=-1).reshape(-1, free).prod(axis=1)
    return torch.as_tensor(nodes, device=device, dtype=dtype), torch.as_tensor(weights, device=device, dtype=dtype)
