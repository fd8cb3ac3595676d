"""Slopes of errors against sizes: the selection of levels, and the least-squares fit in logarithms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, nan, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kanpde.ends import End
from kanpde.plots.axes import number, positive


class Slope(NamedTuple):
    """A fitted slope with its standard error; ``freedom`` is the error's number of degrees of freedom."""

    value: float
    error: float
    freedom: int

    def __str__(self) -> str:
        return f"slope {self.value:.2f}" + (f" ± {self.error:.2f}" if isfinite(self.error) else "")


def fitted_slope(x: Iterable[Any], y: Iterable[Any], groups: Iterable[Any] | None = None) -> Slope:
    r"""Return the least-squares slope of log y against log x, with a separate constant for every group.

    With X, Y the logarithms minus their means within the group, the slope is $\sum XY / \sum X^2$. With one group its
    standard error comes from the residuals. The points of one group are not independent, so with n > 1 groups it comes
    from the scatter between groups, $u_g = \sum_{\text{points of } g} X (Y - \text{slope} X)$: the error is
    $\sqrt{n/(n-1) \sum u_g^2} / \sum X^2$ with n - 1 degrees of freedom (Cameron & Miller 2015,
    doi:10.3368/jhr.50.2.317).

    Args:
        x, y: numbers, shape (points,). Pairs that are not finite and positive are left out.
        groups: the group of each point, such as its seed; one group by default.

    Returns:
        The slope, nan if no group has two distinct x; its error is nan if no degree of freedom is left.
    """
    logs = np.log(np.stack([positive(x), positive(y)]))
    used = np.isfinite(logs).all(axis=0)
    a, b = logs[:, used]
    names = np.zeros(len(a)) if groups is None else np.asarray(list(groups))[used]
    members = [names == name for name in np.unique(names)]
    informative = [own for own in members if np.ptp(a[own]) > 0]
    if not informative:
        return Slope(nan, nan, 0)
    for own in members:
        a[own] -= a[own].mean()
        b[own] -= b[own].mean()
    spread = float(a @ a)
    slope = float(a @ b) / spread
    rest = b - slope * a
    n = len(informative)
    if n > 1:
        scores = np.array([a[own] @ rest[own] for own in informative])
        return Slope(slope, sqrt(n / (n - 1) * float(scores @ scores)) / spread, n - 1)
    freedom = int(informative[0].sum()) - 2
    return Slope(slope, sqrt(float(rest @ rest) / freedom / spread) if freedom > 0 else nan, max(freedom, 0))


def is_kept(level: Mapping[str, Any]) -> bool:
    """Return whether the weights of a phase were kept, not replaced by those of the phase before."""
    end = level.get("end") or ""
    name = end.decode() if isinstance(end, bytes) else end
    return not name or not End[name].is_taken_back


def last_of_each_size(levels: Sequence[Mapping[str, Any]], size: str) -> NDArray:
    """Return the indices of the last kept level of every size.

    Earlier levels of the same size are unfinished, because a later phase continued with the same network.

    Args:
        levels: one row per phase, in the order of training.
        size: the column with the size, ``parameters`` or ``grid``.
    """
    last: dict[float, int] = {}
    for index, level in enumerate(levels):
        value = number(level.get(size))
        if isfinite(value) and is_kept(level):
            last[value] = index
    return np.array(sorted(last.values()), dtype=int)
