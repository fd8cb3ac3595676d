r"""Classification: the probability of every class as a function of the inputs, trained by its cross-entropy.

The unknowns are probabilities $p_k = e^{z_k} / \sum_j e^{z_j}$ (`kanpde.hard_constraints.softmax`). The loss is the
mean cross-entropy $-\log p_y$ of the rows with their classes y. It becomes a sum of squares, without which there is no
Gauss-Newton method, by the chain rule of probability: with the other classes k = 1, 2, ... in any order,

$$-\log p_y = \sum_k r_k^2, \quad r_k^2 = -\log(1 - q_k), \quad q_k = \frac{p_k}{p_y + p_1 + \dots + p_k},$$

where q_k is the probability of k among y and the classes up to k. The loss, its gradient and the gain ratio of
Levenberg-Marquardt are exact. Of each term $\log(1 + e^d)$ the matrix JᵀJ has the curvature σ²(d) / (2 log(1 + e^d))
(half of the second derivative where the row is classified correctly, and more than it where it is not) in place of
σ(d) (1 - σ(d)) of the generalised Gauss-Newton matrix.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from kanpde.calculus.field import Field
from kanpde.data.table import Table
from kanpde.errors import InputError
from kanpde.hard_constraints.softmax import logits_of

MOST_CLASSES = 100
LEAST_TERM = 1e-30  # of the cross-entropy, below which its root has no gradient


def labels_of(table: Table, output: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names of the classes in a column, and the number of every row's class.

    Raises:
        InputError: there is one class or too many, or a class has one row.
    """
    values = table.columns([output])[:, 0]
    found, labels = np.unique(values, return_inverse=True)
    names = table.texts.get(output) or tuple(f"{value:g}" for value in found)
    if not 2 <= len(found) <= MOST_CLASSES:
        raise InputError(
            f'{table.origin}: the column "{output}" has {len(found)} different values; expected 2 to {MOST_CLASSES} '
            "classes.",
            advice="Measured values are fitted without `classes`." if len(found) > 2 else "",
        )
    alone = [name for name, count in zip(names, np.bincount(labels), strict=True) if count < 2]
    if alone:
        row = int(np.flatnonzero(labels == names.index(alone[0]))[0]) + 1
        raise InputError(
            f'{table.origin}: the class "{alone[0]}" has one row, number {row}; expected at least 2. Leave it out, or '
            "join it with another class."
        )
    return names, labels


def indicators(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Return 1 in the column of every row's class, else 0, (rows, classes)."""
    return np.eye(classes)[labels]


def cross_entropy_residuals(probabilities: Sequence[Field], classes: Tensor) -> tuple[Tensor, ...]:
    """Return the r_k at the points, whose squares have the sum -log p_y; ``classes`` are `indicators`."""
    logits, is_class = logits_of(probabilities), classes.bool()
    others = logits[~is_class].view(len(logits), -1)
    before, residuals = logits[is_class], []
    for other in others.unbind(1):
        residuals.append(softplus(other - before).clamp_min(LEAST_TERM).sqrt())
        before = torch.logaddexp(before, other)
    return tuple(residuals)


def accuracy(found: Tensor, wanted: Tensor) -> float:
    """Return the share of the points whose most probable class is theirs; both (points, classes)."""
    return float((found.argmax(dim=1) == wanted.argmax(dim=1)).double().mean())


def cross_entropy(found: Tensor, wanted: Tensor) -> float:
    """Return the mean of -log p_y; both (points, classes)."""
    p = (found * wanted).sum(dim=1)
    return abs(float(p.clamp_min(torch.finfo(p.dtype).tiny).log().mean()))


MEASURES = {"accuracy": accuracy, "cross_entropy": cross_entropy}
