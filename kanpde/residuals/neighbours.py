r"""Whether residuals at neighbouring points are alike, as where a model does not describe what was measured.

Every point is joined to its two nearest ones, with every coordinate divided by its standard deviation. Independent
errors with symmetric distributions, whatever their sizes, may change their signs one by one. Then

$$z = \sum_{pairs} r_i r_j \Big/ \Big(\sum_{pairs} r_i^2 r_j^2\Big)^{1/2}$$

has the mean 0 and the variance 1, because the products of different pairs are uncorrelated. It is Moran's statistic for
errors of mean zero (P. Moran, Biometrika 37, 1950), with its variance from changes of signs.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEAREST = 2


class Likeness(NamedTuple):
    """How alike residuals are at neighbouring points.

    Attributes:
        correlation: the mean of the products of neighbours over the mean square.
        deviations: z, in standard deviations of what independent errors give.
    """

    correlation: float
    deviations: float


def likeness(x: NDArray[np.float64], r: NDArray[np.float64]) -> Likeness:
    """Return how alike residuals r (points,) at x (points, dim) are; 0 for few points or residuals that are all 0."""
    square = float(np.mean(r**2))
    if len(r) <= NEAREST or not square > 0:
        return Likeness(0.0, 0.0)
    from scipy.spatial import KDTree  # here, because it takes a moment to import

    spread = x.std(axis=0)
    scaled = x / np.where(spread > 0, spread, 1.0)
    near = KDTree(scaled).query(scaled, NEAREST + 1)[1]
    itself = np.arange(len(r))[:, None]
    joined = np.stack([np.broadcast_to(itself, near.shape), near], axis=-1).reshape(-1, 2)
    pairs = np.unique(np.sort(joined[joined[:, 0] != joined[:, 1]], axis=1), axis=0)
    products = r[pairs[:, 0]] * r[pairs[:, 1]]
    size = float(np.sqrt(np.sum(products**2)))
    return Likeness(float(products.mean()) / square, float(products.sum()) / size if size > 0 else 0.0)
