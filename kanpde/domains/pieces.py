"""The boundary of a combination of solids: what is left of their patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.domains.crossings import Bounded
from kanpde.domains.patches import Piece

_TOUCH, _STEP = 1e-9, 1e-8  # in units of the size


def boundary_pieces(shape: Bounded, signs: Mapping[Any, frozenset[int]]) -> list[Piece]:
    """Return the pieces of the patches of solids that bound the combination ``shape`` of them.

    A point of a patch bounds the shape if the shape lies on one side of it only. Of pieces that coincide, the one of
    the first solid is taken.

    Args:
        shape: the combination.
        signs: for every solid 1 if the shape lies inside of its boundary, and -1 if it lies outside (or both).
    """
    size = float(np.ptp(shape.bounds, axis=1).max())
    leaves = list(signs)
    of = [[patch.surface for patch in leaf.patches()] for leaf in leaves]
    found = []
    for i, leaf in enumerate(leaves):
        part = partial(_is_part, shape, leaf, leaves[:i], size)
        near = [k for k, other in enumerate(leaves) if _boxes_meet(leaf.bounds, other.bounds, _STEP * size)]
        surfaces = list(dict.fromkeys(surface for k in near for surface in of[k]))
        for patch in leaf.patches():
            is_shared = any(patch.surface in of[k] for k in near if k != i)
            for sign in (1, -1) if is_shared else signs[leaf]:
                piece = Piece(patch, sign * patch.side, surfaces, part, size)
                if piece.panels:
                    found.append(piece)
    return found


def _is_part(shape: Bounded, leaf: Any, earlier: Sequence[Any], size: float, x: NDArray, normal: NDArray) -> NDArray:
    """Return which points x with outward normals (n, 3) bound the shape and belong to a leaf, but to no earlier one."""
    near, step = _TOUCH * size, _STEP * size * normal
    tests = [
        lambda own: np.abs(leaf.level(x[own])) < near,
        *(lambda own, other=other: np.abs(other.level(x[own])) >= near for other in earlier),
        lambda own: np.abs(shape.level(x[own])) < near,
        lambda own: shape.level(x[own] - step[own]) < 0,
        lambda own: shape.level(x[own] + step[own]) >= 0,
    ]
    kept = np.arange(len(x))
    for test in tests:
        kept = kept[test(kept)]
    return np.isin(np.arange(len(x)), kept, assume_unique=True)


def _boxes_meet(one: NDArray, two: NDArray, gap: float) -> bool:
    return bool((np.maximum(one[:, 0], two[:, 0]) <= np.minimum(one[:, 1], two[:, 1]) + gap).all())
