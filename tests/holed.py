"""Domains outside the package with named parts: a disk with a hole, and a ball with a ball cut out."""

from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from disk import OwnDisk

from kanpde import Points, Region
from kanpde.domains.meshes import box_mesh
from kanpde.domains.rules import unit_cube
from kanpde.domains.triangulation import tetrahedralize, triangulate


@dataclass(frozen=True)
class Holed(OwnDisk):
    """A disk with a round hole, whose parts are "outer" and "hole"."""

    hole: float = 0.35
    at_x: float = 0.3

    @property
    def _small(self):
        return OwnDisk(self.hole, (self.centre[0] + self.at_x, self.centre[1]), self.t)

    @property
    def measure(self):
        return OwnDisk.measure.fget(self) - self._small.measure

    @property
    def interior(self):
        whole = OwnDisk.interior.fget(self)

        def draw(rule, n, generator, device, dtype):
            points = whole.draw(rule, n, generator, device, dtype)
            kept = ~self._small.contains(points.x)
            return Points(points.x[kept], points.weight[kept] / points.weight[kept].sum())

        return Region("interior", self.names, self.space, True, ({},), draw)

    @property
    def parts(self):
        outer, hole = OwnDisk(self.radius, self.centre, self.t).boundary, self._small.boundary

        def inward(rule, n, generator, device, dtype):
            points = hole.draw(rule, n, generator, device, dtype)
            return Points(points.x, points.weight, -points.normal)

        def both(*arguments):
            a, b = outer.draw(*arguments), inward(*arguments)
            share = self.radius / (self.radius + self.hole)
            weight = torch.cat([share * a.weight, (1 - share) * b.weight])
            return Points(torch.cat([a.x, b.x]), weight, torch.cat([a.normal, b.normal]))

        draws = {"boundary": both, "outer": outer.draw, "hole": inward}
        regions = {k: Region(k, self.names, self.space, False, ({},), draw) for k, draw in draws.items()}
        start = {} if self.t is None else {f"t={self.t[0]:g}": self.at(t=self.t[0])}
        return {"interior": self.interior, **regions, **start}

    @property
    def boundary(self):
        return self.parts["boundary"]

    def contains(self, x):
        return super().contains(x) & ~OwnDisk(self.hole - 1e-12, self._small.centre, self.t).contains(x)

    def test_points(self, device, dtype):
        x = super().test_points(device, dtype)
        return x[self.contains(x)]

    def loops(self, n):
        """The polygons of the mesh with n cells along the diameter."""
        spacing = 2 * self.radius / n
        return [_circle(self.centre, self.radius, spacing), _circle(self._small.centre, self.hole, spacing)]

    def mesh(self, n, only=None):
        if only is not None and tuple(only) != self.space:
            return box_mesh([self.ranges[i] for i in only], n)
        flat = Holed(self.radius, self.centre, hole=self.hole, at_x=self.at_x)
        return triangulate(self.loops(n), lambda x: flat.contains(torch.as_tensor(x)).numpy(), 2 * self.radius / n)


def _circle(centre, radius, spacing):
    count = max(6, int(np.ceil(2 * pi * radius / spacing)))
    angle = 2 * pi * np.arange(count) / count
    return np.array(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


@dataclass(frozen=True)
class Shell:
    """inner <= |x| <= 1, with the parts "outer" and "inner"."""

    inner: float = 0.4

    names, space, time, periodic = ("x", "y", "z"), (0, 1, 2), None, ()
    ranges = ((-1.0, 1.0),) * 3

    @property
    def measure(self):
        return 4 / 3 * pi * (1 - self.inner**3)

    def _sphere(self, label, radii):
        def draw(rule, n, generator, device, dtype):
            unit = torch.as_tensor(_sphere(max(4, n // len(radii))), dtype=dtype)
            area = sum(r**2 for r in radii)
            weight = torch.cat([torch.full((len(unit),), r**2 / area / len(unit), dtype=dtype) for r in radii])
            return Points(torch.cat([r * unit for r in radii]), weight, torch.cat([unit * _side(r) for r in radii]))

        return Region(label, self.names, self.space, False, ({},), draw)

    @property
    def boundary(self):
        return self._sphere("boundary", (1.0, self.inner))

    @property
    def interior(self):
        def draw(rule, n, generator, device, dtype):
            unit, _ = unit_cube("uniform" if rule == "uniform" else "sobol", 2 * n, 3, generator, device, dtype)
            x = 2 * unit - 1
            x = x[self.contains(x)]
            return Points(x, torch.full((len(x),), 1 / len(x), dtype=dtype))

        return Region("interior", self.names, self.space, True, ({},), draw)

    @property
    def parts(self):
        walls = [self._sphere("outer", (1.0,)), self._sphere("inner", (self.inner,))]
        return {region.label: region for region in (self.interior, self.boundary, *walls)}

    def contains(self, x):
        distance = x.norm(dim=1)
        return (distance <= 1 + 1e-12) & (distance >= self.inner - 1e-12)

    def test_points(self, device, dtype):
        return self.interior.sample("uniform", 3000, torch.Generator().manual_seed(5), dtype=dtype).x

    def mesh(self, n, only=None):
        if only is not None and tuple(only) != self.space:
            return box_mesh([self.ranges[i] for i in only], n)
        spacing = 2 / n
        surface = [r * _sphere(max(20, int(14.5 * (r / spacing) ** 2))) for r in (1.0, self.inner)]
        return tetrahedralize(np.concatenate(surface), lambda x: self.contains(torch.as_tensor(x)).numpy(), spacing)

    def describe(self):
        return {"kind": "Shell", "inner": self.inner}


def _side(radius):
    """1 on the outer sphere, whose normal points outwards, else -1."""
    return 1 if radius == 1 else -1


def _sphere(count):
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, pi * (3 - 5**0.5) * k
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=1)
