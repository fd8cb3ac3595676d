"""A domain outside the package with a re-entrant corner: [-1, 1]² without the quadrant x > 0, y < 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import meshio
import numpy as np
import torch
from torch import Tensor

from kanpde import Condition, InputError, Points, Problem, Region, dirichlet, laplacian, pointwise
from kanpde.domains.corners import CornerPoint
from kanpde.domains.meshes import box_mesh
from kanpde.domains.rules import unit_cube

SQUARES = ((-1.0, -1.0), (-1.0, 0.0), (0.0, 0.0))  # lower left corners
VERTICES = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (0.0, -1.0))  # counterclockwise


@dataclass(frozen=True)
class LShape:
    """Three unit squares; side k leads from vertex k to the next one."""

    names = ("x", "y")
    ranges = ((-1.0, 1.0), (-1.0, 1.0))
    time = None
    space = (0, 1)
    periodic = ()
    measure = 3.0

    # regions ---------------------------------------------------------------------------------------------------------
    @property
    def interior(self):
        def draw(rule, n, generator, device, dtype):
            parts = [unit_cube(rule, -(-n // 3), 2, generator, torch.device(device), dtype) for _ in SQUARES]
            x = [unit + torch.tensor(lower).to(unit) for (unit, _), lower in zip(parts, SQUARES, strict=True)]
            return Points(torch.cat(x), torch.cat([weight for _, weight in parts]) / 3)

        return Region("interior", self.names, self.space, True, ({},), draw)

    @property
    def boundary(self):
        return self._sides("boundary", range(6))

    def side(self, k: int):
        return self._sides(f"side {k}", [k])

    @property
    def parts(self):
        regions = [self.interior, self.boundary, *map(self.side, range(6))]
        return {region.label: region for region in regions}

    def _sides(self, label: str, chosen: Sequence[int]):
        ends = torch.tensor(VERTICES, dtype=torch.float64)
        steps = (ends.roll(-1, dims=0) - ends)[list(chosen)]
        lengths = steps.norm(dim=1)

        def draw(rule, n, generator, device, dtype):
            found = []
            for k, step, length in zip(chosen, steps, lengths, strict=True):
                count = max(1, round(n * float(length / lengths.sum())))
                unit, weight = unit_cube(rule, count, 1, generator, torch.device(device), dtype)
                normal = torch.stack([step[1], -step[0]]) / length
                x = ends[k].to(unit) + unit * step.to(unit)
                found.append((x, weight * float(length / lengths.sum()), normal.to(unit).expand(len(x), 2)))
            return Points(*(torch.cat(each) for each in zip(*found, strict=True)))

        return Region(label, self.names, self.space, False, ({},) * len(chosen), draw)

    def at(self, **fixed: float):
        raise InputError(f"An LShape holds no coordinate fixed, got {fixed}.")

    def restricted(self, **ranges: tuple[float, float]):
        raise InputError(f"An LShape cannot be narrowed, got {ranges}.")

    def contains(self, x: Tensor) -> Tensor:
        slack = 8 * torch.finfo(x.dtype).eps
        in_square = (x.abs() <= 1 + slack).all(dim=1)
        return in_square & ~((x[:, 0] > slack) & (x[:, 1] < -slack))

    def corners(self):
        return [CornerPoint(at=(0.0, 0.0), angle=1.5 * pi, parts=("side 5", "side 0"))]

    # output ----------------------------------------------------------------------------------------------------------
    def test_points(self, device, dtype) -> Tensor:
        axis = torch.linspace(-1, 1, 120, dtype=torch.float64)  # without the corner, where the gradient is infinite
        x = torch.cartesian_prod(axis, axis)
        return x[self.contains(x)].to(device=device, dtype=dtype)

    def mesh(self, n: int, only: Sequence[int] | None = None) -> meshio.Mesh:
        whole = box_mesh([self.ranges[i] for i in (only or self.space)], n + n % 2)
        if only is not None and tuple(only) != self.space:
            return whole
        cells = whole.cells[0].data
        middle = whole.points[cells].mean(axis=1)
        kept = cells[~((middle[:, 0] > 0) & (middle[:, 1] < 0))]
        used, numbers = np.unique(kept, return_inverse=True)
        return meshio.Mesh(whole.points[used], [("quad", numbers.reshape(kept.shape))])

    def describe(self):
        return {"kind": "LShape"}


def singular(x, y):
    """r^(2/3) sin(2θ/3) with the angle θ from the side y = 0."""
    angle = torch.atan2(y, x)
    angle = torch.where(angle < -pi / 4, angle + 2 * pi, angle)
    return torch.hypot(x, y) ** (2 / 3) * torch.sin(2 / 3 * angle)


def smooth(x, y):
    return torch.exp(x) * torch.sin(2 * y)


def poisson(factor: Any = 1.0, domain: Any = LShape(), **options: Any) -> Problem:
    """Δu = f, u given on the boundary: a smooth function and ``factor`` times the singular one."""

    def exact(x, y):
        return smooth(x, y) + factor * pointwise(singular, x, y)

    def residual(u):
        x, y = u.coords
        return laplacian(u) + 3 * smooth(x, y)

    conditions = {"pde": Condition(domain.interior, residual), "boundary": dirichlet(domain.boundary, exact)}
    return Problem(domain, conditions, exact=exact, **options)
