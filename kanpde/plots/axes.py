"""Helpers for all pictures: colours, logarithmic axes, ticks, and conversion to positive numbers."""

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
    """Make the named axes logarithmic if they have positive values; matplotlib refuses others."""
    for name, numbers in values.items():
        if np.isfinite(numbers).any():
            axes.set(**{f"{name}scale": "log"})


def tick_at(axes: Axes, values: NDArray, gap: float = 0.12) -> None:
    """Set ticks at the given sizes, at least ``gap`` of the axis apart; a logarithmic axis has few by default."""
    distinct = np.unique(values[np.isfinite(values)])
    kept: list[float] = []
    for value in distinct:
        if not kept or np.log(value / kept[-1]) > gap * np.log(distinct[-1] / distinct[0]):
            kept.append(value)
    if kept:
        axes.set_xticks(kept, [f"{v:g}" for v in kept])
        axes.set_xticks([], minor=True)


def number(value: Any) -> float:
    """Return the value as a float; nan for None."""
    return nan if value is None else float(value)


def positive(values: Iterable[Any]) -> NDArray:
    """Return the values as an array in which all non-positive ones are nan."""
    array = np.array([number(v) for v in values], dtype=float)
    return np.where(np.isfinite(array) & (array > 0), array, nan)
