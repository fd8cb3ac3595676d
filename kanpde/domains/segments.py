"""Which sides of closed polygons cross or touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 256  # segments that are compared with all others at once, which limits the memory


def meeting(corners: NDArray, tolerance: float = 0.0) -> NDArray:
    """Return the pairs of sides of a closed polygon that cross, (pairs, 2), ordered; neighbours are left out.

    Args:
        corners: (n, 2); side i goes from corner i to the next.
        tolerance: sides whose distance is smaller count too.
    """
    a, b, n = corners, np.roll(corners, -1, axis=0), len(corners)
    found = []
    for first in range(0, n, _BLOCK):
        p, q, r, s = a[first : first + _BLOCK, None], b[first : first + _BLOCK, None], a[None], b[None]
        meet = (_side(p, q, r) * _side(p, q, s) < 0) & (_side(r, s, p) * _side(r, s, q) < 0)
        if tolerance:
            for one, other in (((p, q), (r, s)), ((r, s), (p, q))):
                meet |= np.minimum(_gap(*one, other[0]), _gap(*one, other[1])) < tolerance
        i, j = np.nonzero(meet)
        i = i + first
        found.append(np.stack([i, j], axis=1)[(j - i > 1) & (j - i < n - 1)])
    return np.concatenate(found)


def _side(p: NDArray, q: NDArray, r: NDArray) -> NDArray:
    """Return twice the signed areas of triangles."""
    return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])


def _gap(a: NDArray, b: NDArray, x: NDArray) -> NDArray:
    """Return the distances of points x from segments ab."""
    step = b - a
    share = np.clip(((x - a) * step).sum(axis=-1) / (step * step).sum(axis=-1), 0.0, 1.0)
    return np.linalg.norm(x - a - share[..., None] * step, axis=-1)
