"""Rows of measured values, divided into parts for training, validation and test, and the region that they form."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.domains import Domain, Points, Region
from kanpde.errors import InputError

DATA = "data"  # name of the condition
MOST_FOR_VALIDATION = 10_000  # rows, which are evaluated after every step


@dataclass(frozen=True)
class Rows:
    """Inputs (rows, inputs), targets (rows, targets), and if they are known standard errors (rows, targets)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    errors: NDArray[np.float64] | None = None

    def part(self, index: NDArray[np.int64]) -> "Rows":
        return Rows(self.x[index], self.y[index], None if self.errors is None else self.errors[index])

    def points(self, device: torch.device, dtype: torch.dtype) -> Points:
        """Return the rows as points with equal weights, and the targets and standard errors as their data."""
        given = self.y if self.errors is None else np.concatenate([self.y, self.errors], axis=1)
        x, data = (torch.as_tensor(part, device=device, dtype=dtype) for part in (self.x, given))
        return Points(x, torch.full_like(x[:, 0], 1 / len(x)), data=data)

    def known(self) -> Points | None:
        """Return the rows with the targets alone as their data, on the CPU; None without rows."""
        if not len(self.x):
            return None
        return Rows(self.x, self.y).points(torch.device("cpu"), torch.float64)


def divided(
    rows: Rows, validation: float, test: float, seed: int, labels: NDArray[np.int64] | None = None
) -> tuple[Rows, Rows, Rows]:
    """Divide rows at random into training, validation and test; with ``labels``, in equal shares of every class."""
    count = len(rows.x)
    if not (0 < validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise InputError(
            f"validation and test are parts of the rows, validation > 0, got {validation:g} and {test:g}.",
            write={"validation": 0.1, "test": 0.1},
        )
    order = np.random.default_rng(seed).permutation(count)
    n_test, n_validation = round(test * count), min(round(validation * count), MOST_FOR_VALIDATION)
    if labels is None:
        parts = np.split(order, [count - n_test - n_validation, count - n_test])
    else:
        rest, tested = _split(order[np.argsort(labels[order], kind="stable")], n_test)
        parts = *_split(rest, n_validation), tested
    if not len(parts[0]) or not len(parts[1]):
        raise InputError(
            f"Of {count} rows, {len(parts[0])} are for training and {len(parts[1])} for validation; expected at least "
            "one each."
        )
    first, second, third = (rows.part(np.sort(part)) for part in parts)
    return first, second, third


def _split(order: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order without ``count`` of its entries at equal distances, and these."""
    is_taken = np.zeros(len(order), dtype=bool)
    is_taken[((np.arange(count) + 0.5) * len(order) / max(count, 1)).astype(np.int64)] = True
    return order[~is_taken], order[is_taken]


def rows_region(domain: Domain, training: Rows, held_back: Rows | None) -> Region:
    """Return the region that consists of the rows; its fresh points are those held back, if there are any."""

    def draw(rule: str, n: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Points:
        if n >= len(training.x):
            return training.points(device, dtype)
        order = torch.randperm(len(training.x), generator=generator, device=generator.device)[:n]
        return training.part(order.sort().values.cpu().numpy()).points(device, dtype)

    whole = replace(domain.interior, label=DATA, is_interior=False, draw=draw)
    fresh = None if held_back is None else held_back.points
    return replace(whole, rows=len(training.x), draw_fresh=fresh, share=None)


def data_of(unknowns: Sequence[Any]) -> Tensor:
    """Return the measured values at the points, (points, columns)."""
    data = unknowns[0].context.data
    if data is None:
        raise InputError("Measured values are known at the rows of their table only. Elsewhere there is no residual.")
    return data
