"""Points in cells or on facets, by quadrature rules or random, with positive weights that sum to 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.domains.region import Points
from kanpde.domains.rules import MOST_TENSOR, RULES, TENSOR_RULES, unit_cube
from kanpde.domains.unstructured.patches import Patch, Placed
from kanpde.domains.unstructured.reference import rule_on, spread
from kanpde.errors import InputError, suggest

_BITS = 16  # of a coordinate in an order along a curve
_PER_POINT = 4  # candidates for a point of equal density


class Sampler:
    """Draws points of patches of equal dimension, which together are a region."""

    def __init__(self, patches: Sequence[Patch], has_normals: bool):
        self.patches, self.has_normals = [p for p in patches if len(p.nodes)], has_normals
        self.sizes = np.concatenate([p.measures() for p in self.patches])
        self.owner = np.repeat(np.arange(len(self.patches)), [len(p.nodes) for p in self.patches])
        self.local = np.concatenate([np.arange(len(p.nodes)) for p in self.patches])
        self.order = along_curve(np.concatenate([p.centres() for p in self.patches]))

    @property
    def measure(self) -> float:
        """The length, area or volume of the region; of vertices their number."""
        return float(self.sizes.sum())

    def draw(self, rule: str, n: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Points:
        """Return about n points.

        "gauss" (and "auto") and "chebyshev" take as many points in every cell as n allows, one more along each axis in
        the largest cells; with fewer points than cells, the centres of some (`_of_some`). "sobol" (the next power of
        two) and "uniform" take cells in proportion to their measures, and positions in them.
        """
        if rule not in RULES:
            raise InputError(f'Unknown sampling rule "{rule}". {suggest(rule, RULES)}')
        if n < 1:
            raise InputError(f"A region needs at least one point, got {n}.", write={"n": 1600})
        dim = self.patches[0].own.dim
        if dim == 0:
            x, weight, normal = self._ruled("gauss", np.ones(len(self.sizes), dtype=int))
        elif rule == "auto" or rule in TENSOR_RULES:
            assert dim <= MOST_TENSOR
            name = "gauss" if rule == "auto" else rule
            x, weight, normal = self._of_some(n) if n < len(self.sizes) else self._ruled(name, self._along(n, dim))
        else:
            unit, _ = unit_cube(rule, n, dim + 1, generator, torch.device("cpu"), torch.float64)
            x, weight, normal = self.scattered(unit.numpy())
        values = (x, weight / weight.sum(), *([normal] if normal is not None else []))
        return Points(*(torch.as_tensor(v, dtype=dtype, device=device) for v in values))

    # rules -----------------------------------------------------------------------------------------------------------
    def _along(self, n: int, dim: int) -> NDArray:
        """Return for every cell the number of points along each axis, so that about n points result."""
        cells = len(self.sizes)
        low = int((n / cells) ** (1 / dim) + 1e-9)
        more = round((n - cells * low**dim) / ((low + 1) ** dim - low**dim))
        along = np.full(cells, low)
        along[np.argsort(-self.sizes, kind="stable")[:more]] += 1
        return along

    def _ruled(self, rule: str, along: NDArray) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return the points of a rule in all cells, their weights and normals, cell by cell."""
        found = []
        for number, patch in enumerate(self.patches):
            wanted = along[self.owner == number]
            for count in np.unique(wanted):
                points, weights = rule_on(rule, int(count), patch.own.dim, patch.own.is_simplex)
                placed = patch.chosen(wanted == count).at(points)
                found.append((placed, placed.density * weights * patch.own.size))
        return self._joined(found)

    def _of_some(self, n: int) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return n < cells points: of consecutive cells along a space-filling curve one centre represents all.

        The curve is cut into n stretches of nearly equal measure, and the weight of a stretch goes to the cell nearest
        to its centroid. Then the weights are changed so that moments up to degree 2 (or 1) are those of all cells,
        unless one would become negative.
        """
        x, weight, normal = self._ruled("gauss", np.ones(len(self.sizes), dtype=int))
        x, weight = x[self.order], weight[self.order]
        middle = np.cumsum(weight) - 0.5 * weight
        label = np.minimum((middle / weight.sum() * n).astype(int), n - 1)
        label = np.unique(label, return_inverse=True)[1]
        share = np.bincount(label, weight)
        centroid = np.stack([np.bincount(label, weight * c) for c in x.T], axis=1) / share[:, None]
        distance = np.linalg.norm(x - centroid[label], axis=1)
        nearest = np.lexsort((distance, label))
        first = nearest[np.unique(label[nearest], return_index=True)[1]]
        chosen = x[first]
        if normal is not None:
            normal = normal[self.order][first]
        return chosen, _balanced(chosen, share, x, weight), normal

    # random ----------------------------------------------------------------------------------------------------------
    def scattered(self, unit: NDArray) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return points from those of the unit cube (points, 1 + dim), in their order.

        The first coordinate chooses the cell in proportion to its measure, the others the position. The weights are
        the density within cells whose Jacobian varies, and equal on straight simplices.
        """
        ends = np.cumsum(self.sizes[self.order])
        cell = self.order[np.minimum(np.searchsorted(ends, unit[:, 0] * ends[-1], side="right"), len(ends) - 1)]
        found, places = [], []
        for number, patch in enumerate(self.patches):
            rows = np.flatnonzero(self.owner[cell] == number)
            reference = spread(unit[rows, 1:], patch.own.is_simplex)
            placed = patch.chosen(self.local[cell[rows]]).at(reference[:, None, :])
            found.append((placed, placed.density * (patch.own.size / self.sizes[cell[rows]])[:, None]))
            places.append(rows)
        back = np.argsort(np.concatenate(places))
        x, weight, normal = self._joined(found)
        return x[back], weight[back] / len(unit), None if normal is None else normal[back]

    def even(self, n: int) -> NDArray:
        """Return about n points (points, dim) of nearly equal density, the same in every call.

        Of more candidates with weights those are kept at which the sum of the weights passes a multiple of 1 / n.
        """
        generator = torch.Generator().manual_seed(20_011)
        dim = 1 + self.patches[0].own.dim
        unit, _ = unit_cube("sobol", _PER_POINT * n, dim, generator, torch.device("cpu"), torch.float64)
        x, weight, _ = self.scattered(unit.numpy())
        passed = np.floor(np.cumsum(weight) / weight.sum() * n + 0.5)
        return x[np.diff(passed, prepend=0) > 0]

    def _joined(self, found: list[tuple[Placed, NDArray]]) -> tuple[NDArray, NDArray, NDArray | None]:
        dim = found[0][0].x.shape[-1]
        x = np.concatenate([placed.x.reshape(-1, dim) for placed, _ in found])
        weight = np.concatenate([w.ravel() for _, w in found])
        if not self.has_normals:
            return x, weight, None
        return x, weight, np.concatenate([p.normal.reshape(-1, dim) for p, _ in found if p.normal is not None])


def _balanced(x: NDArray, weight: NDArray, every: NDArray, full: NDArray) -> NDArray:
    """Return positive weights near the given ones for which the moments of points x are those of all points.

    The change is the weight times a polynomial, for degree 2, or 1, or 0.
    """
    centre = (full @ every) / full.sum()
    extent = np.abs(every - centre).max()
    for degree in (2, 1):
        few, all_ = (_monomials((p - centre) / extent, degree) for p in (x, every))
        gap = full @ all_ - weight @ few
        change = np.linalg.lstsq(few.T @ (weight[:, None] * few), gap, rcond=1e-10)[0]
        found = weight * (1 + few @ change)
        if (found > 0.1 * weight).all():
            return found
    return weight


def _monomials(x: NDArray, degree: int) -> NDArray:
    columns = [np.ones(len(x)), *x.T]
    if degree == 2:
        columns += [x[:, i] * x[:, k] for i in range(x.shape[1]) for k in range(i + 1)]
    return np.stack(columns, axis=1)


def along_curve(x: NDArray) -> NDArray:
    """Return the order of points along Morton's space-filling curve (G. M. Morton 1966)."""
    low, high = x.min(axis=0), x.max(axis=0)
    steps = ((x - low) / max((high - low).max(), np.finfo(float).tiny) * (2**_BITS - 1)).astype(np.uint64)
    key = np.zeros(len(x), dtype=np.uint64)
    for bit in range(_BITS):
        for axis in range(x.shape[1]):
            key |= ((steps[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(bit * x.shape[1] + axis)
    return np.argsort(key, kind="stable")
