"""A domain outside the package: a rectangle without a disk, and a problem of two materials on both."""

from dataclasses import dataclass
from math import pi

import meshio
import numpy as np
import torch
from disk import OwnDisk

from kanpde import (
    Box,
    Condition,
    InputError,
    Parts,
    Points,
    Problem,
    Region,
    diff,
    dirichlet,
    flux_jump,
    jump,
    laplacian,
)
from kanpde.domains.meshes import box_mesh
from kanpde.domains.rules import TENSOR_RULES, unit_cube


@dataclass(frozen=True)
class Holed:
    """The square |x|, |y| <= half without the disk x² + y² < radius².

    Each of the four sectors between the diagonals is mapped from (s, share of the side).
    """

    radius: float = 0.5
    half: float = 1.0

    names = ("x", "y")
    space = (0, 1)
    time = None
    periodic = ()

    @property
    def ranges(self):
        return ((-self.half, self.half),) * 2

    @property
    def measure(self):
        return 4 * self.half**2 - pi * self.radius**2

    def _map(self, s, share):
        """Points of the four sectors and the Jacobian of the map; the first sector is that around the positive x."""
        angle = pi / 2 * (share - 0.5)
        out = self.half / np.cos(angle)
        r = self.radius + s * (out - self.radius)
        first = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=-1)
        jacobian = r * (out - self.radius) * pi / 2
        return [first @ _turn(k).T for k in range(4)], jacobian

    # regions ---------------------------------------------------------------------------------------------------------
    @property
    def interior(self):
        def draw(rule, n, generator, device, dtype):
            if rule in ("auto", *TENSOR_RULES):
                along = max(1, round((n / 4) ** 0.5))
                nodes, w = TENSOR_RULES["chebyshev" if rule == "chebyshev" else "gauss"](along)
                s, share = (a.ravel() for a in np.meshgrid(nodes, nodes, indexing="ij"))
                sectors, jacobian = self._map(s, share)
                weight = np.tile(np.outer(w, w).ravel() * jacobian, 4)
                x = torch.as_tensor(np.concatenate(sectors), device=device, dtype=dtype)
                weight = torch.as_tensor(weight / weight.sum(), device=device, dtype=dtype)
                return Points(x, weight)
            found = torch.empty(0, 2, device=device, dtype=dtype)
            while len(found) < n:
                unit, _ = unit_cube(rule, max(n, 64), 2, generator, device, dtype)
                x = (2 * unit - 1) * self.half
                found = torch.cat([found, x[x.norm(dim=1) > self.radius]])
            return Points(found[:n], torch.full((n,), 1 / n, device=device, dtype=dtype))

        return Region("interior", self.names, self.space, True, ({},), draw)

    @property
    def boundary(self):
        """The four sides, then the circle."""
        return self._wall("boundary", 5)

    @property
    def hole(self):
        return self._wall("hole", 1)

    def _wall(self, label, pieces):
        def draw(rule, n, generator, device, dtype):
            along = max(2, -(-n // pieces))
            share, w = unit_cube(rule, along, 1, generator, device, dtype)
            share, w = share[:, 0].double().cpu().numpy(), w.double().cpu().numpy()
            angle = 2 * pi * (np.arange(along) + 0.25) / along if rule in ("auto", *TENSOR_RULES) else 2 * pi * share
            around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            size = np.ones(len(angle)) / len(angle)
            parts = [(self.radius * around, -around, 2 * pi * self.radius * size)]
            if pieces == 5:
                side = np.stack([np.full(len(share), self.half), (2 * share - 1) * self.half], axis=1)
                normal = np.tile([1.0, 0.0], (len(share), 1))
                sides = [(side @ _turn(k).T, normal @ _turn(k).T, 2 * self.half * w) for k in range(4)]
                parts = [*sides, *parts]
            x, normal, weight = (
                torch.as_tensor(np.concatenate(each), device=device, dtype=dtype) for each in zip(*parts, strict=True)
            )
            return Points(x, weight / weight.sum(), normal)

        return Region(label, self.names, self.space, False, ({},) * pieces, draw)

    @property
    def parts(self):
        return {region.label: region for region in (self.interior, self.boundary, self.hole)}

    def at(self, **fixed):
        raise InputError("A Holed has no slices.")

    def restricted(self, **ranges):
        raise InputError("A Holed is not narrowed.")

    def contains(self, x):
        slack = 16 * torch.finfo(x.dtype).eps * self.half
        return (x.abs().amax(dim=1) <= self.half + slack) & (x.norm(dim=1) >= self.radius - slack)

    # output ----------------------------------------------------------------------------------------------------------
    def test_points(self, device, dtype):
        axis = torch.linspace(-self.half, self.half, 101, device=device, dtype=dtype)
        x = torch.cartesian_prod(axis, axis)
        return x[x.norm(dim=1) > self.radius]

    def mesh(self, n, only=None):
        """Triangles between the circle and the square."""
        if only is not None and tuple(only) != self.space:
            return box_mesh([self.ranges[i] for i in only], n)
        across = -(-n // 4)
        s, share = (
            a.ravel() for a in np.meshgrid(np.linspace(0, 1, across + 1), np.linspace(0, 1, n + 1), indexing="ij")
        )
        sectors, _ = self._map(s, share)
        flat = box_mesh([(0, 1), (0, 1)], 1).cells[0].data  # the order of a cell's corners
        assert flat.shape == (1, 4)
        i, j = (a.ravel() for a in np.meshgrid(np.arange(across), np.arange(n), indexing="ij"))
        first = i * (n + 1) + j
        corners = np.stack([first, first + n + 1, first + n + 2, first + 1], axis=1)
        corners = np.concatenate([corners + k * len(s) for k in range(4)])
        points = np.zeros((4 * len(s), 3))
        points[:, :2] = np.concatenate(sectors)
        return meshio.Mesh(points, [("triangle", np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]]))])

    def describe(self):
        return {"kind": "Holed", "radius": self.radius, "half": self.half}


def _turn(k):
    """The rotation by k quarter turns."""
    return np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), k)


def two_materials(k=(1000.0, 1.0), radius=0.5, is_harmonic=False):
    """-div(k grad u) = f in a square with a disk, where u and the flux jump by given functions.

    With z = x + iy and ρ = a⁴ / |z|⁴, the part u₁ = A Re z² in the disk, u₂ = (1 + (A - 1) ρ) Re z² around it, with
    A = 2 k₂ / (k₁ + k₂), is harmonic, and it and its flux are continuous at |z| = a. To this, eˣ cos y is added in the
    disk and sin(2x + y) around it, except if ``is_harmonic``.
    """
    inner, outer = OwnDisk(radius=radius), Holed(radius=radius)
    domain, (k1, k2), more = Parts(inner=inner, outer=outer), k, float(not is_harmonic)
    share = 2 * k2 / (k1 + k2)

    def exact_inner(x, y):
        return share * (x**2 - y**2) + more * torch.exp(x) * torch.cos(y)

    def exact_outer(x, y):
        return (x**2 - y**2) * (1 + (share - 1) * radius**4 / (x**2 + y**2) ** 2) + more * torch.sin(2 * x + y)

    def gap(x, y):
        return more * (torch.sin(2 * x + y) - torch.exp(x) * torch.cos(y))

    def flux_gap(x, y):
        around = torch.cos(2 * x + y) * (2 * x + y)
        inside = torch.exp(x) * (torch.cos(y) * x - torch.sin(y) * y)
        return more * (k2 * around - k1 * inside) / radius

    def around(u):
        x, y = u.coords
        return -k2 * laplacian(u) - more * 5 * k2 * torch.sin(2 * x + y)

    interface = domain.interface("inner", "outer")
    exact = domain.piecewise(inner=exact_inner, outer=exact_outer)
    conditions = {
        "pde inner": Condition(inner.interior, lambda u: -k1 * laplacian(u)),
        "pde outer": Condition(outer.interior, around),
        "jump": jump(interface, gap),
        "flux": flux_jump(interface, k, flux_gap),
        "wall": dirichlet(domain.boundary, exact),
    }
    return Problem(domain, conditions, exact=exact)


def bar(k=(1.0, 1000.0), t=None):
    """A bar of two materials, (k u')' = -2 k₁ left of x = 1 and 0 right of it, u(0) = 0, u(2) = 0; steady for all t."""
    time = {} if t is None else {"t": t}
    left, right = Box(x=(0.0, 1.0), **time), Box(x=(1.0, 2.0), **time)
    domain = Parts(left=left, right=right)
    k1, k2 = k
    slope = k1 / (k1 + k2)  # u = a x - x² left, b (x - 2) right: a - 1 = -b, k₁ (a - 2) = k₂ b
    b = -slope

    def residual(u):
        return domain.piecewise(left=k1, right=k2)(*u.coords) * diff(u, "x", "x") + domain.piecewise(
            left=2.0 * k1, right=0.0
        )(*u.coords)

    conditions = {
        "pde": Condition(domain.interior, residual),
        "jump": jump(domain.interface("left", "right")),
        "flux": flux_jump(domain.interface("left", "right"), domain.piecewise(left=k1, right=k2)),
        "ends": dirichlet(domain.boundary),
    }
    exact = domain.piecewise(left=lambda x, *t: (1 - b) * x - x**2, right=lambda x, *t: b * (x - 2))
    return Problem(domain, conditions, exact=exact)
