"""What all pictures share: colours, logarithmic axes, ticks, fitted slopes."""

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


def fitted_slope(x: Iterable[Any], y: Iterable[Any]) -> tuple[float, float]:
    """Least-squares slope of log y against log x with its standard error.

    Pairs that are not finite and positive are left out. The slope is nan with fewer than two distinct x, the error
    with fewer than three points.
    """
    pairs = np.log(np.stack([positive(x), positive(y)]))
    a, b = pairs[:, np.isfinite(pairs).all(axis=0)]
    if len(a) < 2 or np.ptp(a) == 0:
        return nan, nan
    spread = np.square(a - a.mean()).sum()
    slope = float(((a - a.mean()) * (b - b.mean())).sum() / spread)
    if len(a) < 3:
        return slope, nan
    rest = b - b.mean() - slope * (a - a.mean())
    return slope, float(np.sqrt(np.square(rest).sum() / (len(a) - 2) / spread))


def slope_text(slope: float, error: float = nan) -> str:
    """A slope for a legend."""
    return f"slope {slope:.2f}" + (f" ± {error:.2f}" if np.isfinite(error) else "")


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
