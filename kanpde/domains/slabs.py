"""Points of parts of boxes on which some coordinates are held fixed."""

from collections.abc import Mapping, Sequence
from math import prod

import torch

from kanpde.domains.region import Points
from kanpde.domains.rules import unit_cube

Ranges = Sequence[tuple[float, float]]
Slab = Mapping[int, float]  # position of a coordinate -> the fraction of its range at which it is fixed


def draw_slabs(
    ranges: Ranges,
    slabs: Sequence[Slab],
    is_face: Sequence[bool],
    rule: str,
    n: int,
    generator: torch.Generator | None,
    device: torch.device,
    dtype: torch.dtype,
) -> Points:
    """Return about n points of the union of slabs of a box, with normals if all are faces.

    Args:
        ranges: of the box.
        slabs: disjoint but for edges.
        is_face: whether each is a spatial face.
        rule: see `kanpde.domains.rules.unit_cube`.
        n: number of points.
        generator: of random points.
        device: of the points.
        dtype: of the points.
    """
    parts = [
        _drawn(ranges, s, f, rule, -(-n // len(slabs)), generator, device, dtype)
        for s, f in zip(slabs, is_face, strict=True)
    ]
    areas = [prod(hi - lo for i, (lo, hi) in enumerate(ranges) if i not in s) for s in slabs]
    weight = torch.cat([p.weight * (a / sum(areas)) for p, a in zip(parts, areas, strict=True)])
    normals = [p.normal for p in parts if p.normal is not None]
    normal = torch.cat(normals) if len(normals) == len(parts) else None
    return Points(torch.cat([p.x for p in parts]), weight, normal)


def _drawn(ranges: Ranges, fixed: Slab, is_face: bool, rule, n, generator, device, dtype) -> Points:
    free = [i for i in range(len(ranges)) if i not in fixed]
    unit, weight = unit_cube(rule, n, len(free), generator, device, dtype)
    share = torch.empty(len(unit), len(ranges), device=device, dtype=dtype)
    share[:, free] = unit
    for i, value in fixed.items():
        share[:, i] = value
    lower = torch.tensor([lo for lo, _ in ranges], device=device, dtype=dtype)
    upper = torch.tensor([hi for _, hi in ranges], device=device, dtype=dtype)
    normal = None
    if is_face:
        (axis, side) = next(iter(fixed.items()))
        normal = torch.zeros_like(share)
        normal[:, axis] = 2.0 * side - 1.0
    return Points(lower + share * (upper - lower), weight, normal)
