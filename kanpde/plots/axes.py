"""What all pictures share: colours, logarithmic axes, ticks, and numbers that have a logarithm."""

from __future__ import annotations

from collections.abc import Iterable
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


DPI = 150


COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)  # Okabe & Ito, colour-blind-safe


def log_scale(axes: Axes, **values: NDArray) -> None:
    """Logarithmic axes, by name, for what has any logarithm; matplotlib refuses others."""
    for name, numbers in values.items():
        if np.isfinite(numbers).any():
            axes.set(**{f"{name}scale": "log"})


def tick_at(axes: Axes, values: NDArray, gap: float = 0.12) -> None:
    """Ticks at the sizes that there are, at least ``gap`` of the axis apart; a logarithmic axis would have few."""
    distinct = np.unique(values[np.isfinite(values)])
    kept: list[float] = []
    for value in distinct:
        if not kept or np.log(value / kept[-1]) > gap * np.log(distinct[-1] / distinct[0]):
            kept.append(value)
    if kept:
        axes.set_xticks(kept, [f"{v:g}" for v in kept])
        axes.set_xticks([], minor=True)


def number(value: Any) -> float:
    """The value as a float, nan for None."""
    return nan if value is None else float(value)


def positive(values: Iterable[Any]) -> NDArray:
    """The values as an array in which everything that has no logarithm is nan."""
    array = np.array([number(v) for v in values], dtype=float)
    return np.where(np.isfinite(array) & (array > 0), array, nan)
