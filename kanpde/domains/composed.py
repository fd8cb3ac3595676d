"""Regions and meshes composed of those of several parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import meshio
import numpy as np
import torch
from torch import Tensor

from kanpde.domains.region import Points, Region
from kanpde.domains.touching import is_outward, size_of
from kanpde.errors import InputError

_MOST, _LEAST_CELLS = 100_000, 12


def united(label: str, regions: Sequence[tuple[Region, float]], is_interior: bool = False) -> Region:
    """Return several regions as one; each comes with its measure."""
    sizes = [size for _, size in regions]

    def draw(rule: str, n: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Points:
        counts = [max(1, round(n * size / sum(sizes))) for size in sizes]
        drawn = [r.draw(rule, c, generator, device, dtype) for (r, _), c in zip(regions, counts, strict=True)]
        weight = torch.cat([p.weight * (size / sum(sizes)) for p, size in zip(drawn, sizes, strict=True)])
        normals = [p.normal for p in drawn if p.normal is not None]
        normal = torch.cat(normals) if len(normals) == len(drawn) else None
        return Points(torch.cat([p.x for p in drawn]), weight, normal)

    fixed: tuple[Mapping[int, float], ...] = tuple(piece for region, _ in regions for piece in region.fixed)

    def extent() -> float:
        return sum(region.measure for region, _ in regions)

    return replace(regions[0][0], label=label, is_interior=is_interior, fixed=fixed, draw=draw, extent=extent)


def filtered(region: Region, share: float, keeps: Callable[[Tensor], Tensor]) -> Region:
    """Return the part of a boundary whose points ``keeps`` accepts, and which is that share of it."""

    def draw(rule: str, n: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Points:
        count = ceil(n / share)
        points = region.draw(rule, count, generator, device, dtype)
        while not bool((kept := keeps(points.x)).any()) and count < _MOST:  # few points may all lie elsewhere
            count *= 2
            points = region.draw(rule, count, generator, device, dtype)
        assert points.normal is not None
        return Points(points.x[kept], points.weight[kept] / points.weight[kept].sum(), points.normal[kept])

    fixed = ({},) * max(1, round(share * region.pieces))
    return replace(region, fixed=fixed, draw=draw, extent=lambda: share * region.measure)


def oriented(part: Any, region: Region) -> Region:
    """Return a region with normals, if it has any, that leave a part."""

    def draw(rule: str, n: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Points:
        points = region.draw(rule, n, generator, device, dtype)
        if points.normal is None:
            return points
        sign = torch.where(is_outward(part, points), 1.0, -1.0).to(points.x)
        return replace(points, normal=sign[:, None] * points.normal)

    return replace(region, draw=draw)


def joined_meshes(parts: Sequence[Any], n: int) -> meshio.Mesh:
    """Return the meshes of parts as one; every part has its own points, also where parts meet.

    The point data "part" have the position of the part. Quadrilaterals are halved if another part has triangles.

    Raises:
        InputError: the cells are of kinds that cannot be joined.
    """
    longest = max(size_of(part) for part in parts)
    meshes = [part.mesh(max(_LEAST_CELLS, round(n * size_of(part) / longest))) for part in parts]
    blocks = [mesh.cells[0] for mesh in meshes]
    kinds = {block.type for block in blocks}
    cells = [block.data for block in blocks]
    if kinds == {"quad", "triangle"}:
        kinds = {"triangle"}
        cells = [np.concatenate([c[:, [0, 1, 2]], c[:, [0, 2, 3]]]) if c.shape[1] == 4 else c for c in cells]
    if len(kinds) > 1:
        raise InputError(
            f"The meshes of parts must have one kind of cells, and they have {', '.join(sorted(kinds))}. Solve without "
            "pictures, or give parts of the same kind."
        )
    counts = [len(mesh.points) for mesh in meshes]
    starts = np.cumsum([0, *counts[:-1]])
    data: dict[str, Any] = {"part": np.repeat(np.arange(len(parts)), counts)}
    joined = np.concatenate([c + start for c, start in zip(cells, starts, strict=True)])
    return meshio.Mesh(np.concatenate([mesh.points for mesh in meshes]), [(kinds.pop(), joined)], point_data=data)
