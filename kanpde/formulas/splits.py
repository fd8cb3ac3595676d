r"""Functions of several variables split into functions of fewer.

For two groups of coordinates S and T the values $M_{ij} = u(S_i, T_j)$ at random points form a matrix. If the matrix
without its row means has rank one, $u = P(S) + Q(S)\, C(T)$, and

- $u = A(S) + B(T)$ if Q is constant,
- $u = c + A(S)\, B(T)$ if P is an affine function of Q.

The parts are slices of u, so that they are as accurate as u itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from kanpde.formulas.target import Target

ROWS = 40  # of the matrix, and columns
WITHIN = 5.0  # a structure is accepted if it holds up to this times the noise


@dataclass(frozen=True)
class Split:
    """A structure of a function.

    Attributes:
        kind: "sum" (first + second), "product" (c + first · second) or "affine" (the function is P + Q · first).
        first, second: of the groups S and T; for "affine" first is C(T) and second is None.
        c: of a product.
        slope, row, base: of "affine": Q(S), the slice u(S, T_1) and the value C(T_1), from which `remainder` makes P.
    """

    kind: str
    first: Target
    second: Target | None
    c: float = 0.0
    slope: Target | None = None
    base: float = 0.0
    row: Target | None = None


def splits(target: Target) -> Iterator[Split]:
    """Yield the structures of a function, sums first, then products, then P + Q C with few coordinates in S."""
    found: list[Split] = []
    everything = range(len(target.symbols))
    for size in range(1, len(target.symbols)):
        for chosen in combinations(everything, size):
            rest = tuple(i for i in everything if i not in chosen)
            found += _split(target, chosen, rest)
    order = {"sum": 0, "product": 1, "affine": 2}
    seen = set()
    for each in sorted(found, key=lambda split: (order[split.kind], len(split.first.symbols))):
        if each.second is not None:
            if (each.kind, frozenset(each.second.symbols)) in seen:
                continue
            seen.add((each.kind, frozenset(each.first.symbols)))
        yield each


def _split(target: Target, s: Sequence[int], t: Sequence[int]) -> list[Split]:
    """Return the structures for two groups of coordinates, at most one."""
    at_s = target.random(ROWS)[:, list(s)]
    at_t = target.random(3 * ROWS)[-ROWS:, list(t)]
    x = np.empty((ROWS, ROWS, len(target.symbols)))
    x[:, :, list(s)], x[:, :, list(t)] = at_s[:, None], at_t[None]
    m = target.at(x.reshape(ROWS * ROWS, -1)).reshape(ROWS, ROWS)
    allowed = WITHIN * target.noise(x.reshape(ROWS * ROWS, -1))
    if not np.isfinite(m).all():
        return []
    centred = m - m.mean(axis=1, keepdims=True)
    left, sizes, right = np.linalg.svd(centred)
    left_over = float(np.sqrt((sizes[1:] ** 2).mean() / ROWS))
    if not left_over <= allowed or sizes[0] / ROWS <= 2 * allowed:
        return []
    q, p, c = left[:, 0] * sizes[0], m.mean(axis=1), right[0]
    k, low, high = int(np.abs(q).argmax()), int(c.argmin()), int(c.argmax())
    rest_s, rest_t = dict(zip(s, at_s[k], strict=True)), dict(zip(t, at_t[high], strict=True))
    along_s, along_t = target.slice(s, rest_t), target.slice(t, rest_s)
    additive = m - m.mean(axis=1, keepdims=True) - m.mean(axis=0, keepdims=True) + m.mean()
    if float(np.sqrt(np.mean(additive**2))) <= allowed:
        here = float(m[k, high])
        shifted = along_t.transformed(lambda y: y - here, 1.0)
        return [Split("sum", along_s, shifted)]
    columns = np.stack([np.ones(ROWS), q], axis=1)
    (c0, slope), *_ = np.linalg.lstsq(columns, p, rcond=None)
    if float(np.sqrt(np.mean((columns @ (c0, slope) - p) ** 2))) <= allowed:
        c0 = float(c0) if abs(c0) > allowed else 0.0
        top = float(m[k, high]) - c0
        if abs(top) <= allowed:
            return []
        first = along_s.transformed(lambda y: y - c0, 1.0)
        second = along_t.transformed(lambda y: (y - c0) / top, 1 / top)
        return [Split("product", first, second, c0)]
    lowest = target.slice(s, dict(zip(t, at_t[low], strict=True)))
    gap = float(m[k, high] - m[k, low])
    q_of_s = target.part(
        s,
        lambda y: (along_s.at(y) - lowest.at(y)) / gap,
        lambda y: np.hypot(along_s.errors(y), lowest.errors(y)) / abs(gap),
    )
    return [Split("affine", along_t, None, slope=q_of_s, base=float(m[k, high]), row=along_s)]


def remainder(split: Split, beta: float) -> Target:
    r"""Return P(S) of $u = P + Q (C - \beta)$."""
    assert split.row is not None and split.slope is not None
    row, slope, over = split.row, split.slope, split.base - beta
    return Target(
        lambda y: row.at(y) - slope.at(y) * over,
        row.symbols,
        row.ranges,
        lambda y: row.errors(y) + abs(over) * slope.errors(y),
    )
