r"""Jets: values and chosen derivatives, carried together through a network in one forward pass.

A jet is one tensor of shape (components, points, size). A `JetSpace` defines each component by a sorted tuple of
coordinate positions (``()`` the value, ``(0,)`` the first derivative along coordinate 0, ``(0, 1)`` a mixed one), or
``LAPLACIAN``, the sum of the second derivatives over the spatial coordinates carried as a single component.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations

import torch
from torch import Tensor

from kanpde.calculus.functions import Table

Key = tuple[int, ...]
LAPLACIAN: Key = (-1, -1)  # of length 2, like a second derivative


def set_partitions(items: tuple[int, ...]) -> Iterable[list[tuple[int, ...]]]:
    """Yield all partitions of ``items`` (equal items count as distinct) into non-empty blocks."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for size in range(len(rest) + 1):
        for chosen in combinations(range(len(rest)), size):
            block = (first, *(rest[i] for i in chosen))
            remaining = tuple(rest[i] for i in range(len(rest)) if i not in chosen)
            for others in set_partitions(remaining):
                yield [block, *others]


@cache
def bell_terms(key: Key, space: tuple[int, ...]) -> tuple[tuple[int, tuple[tuple[Key, ...], int]], ...]:
    r"""Terms of Faà di Bruno's formula $d^\alpha \varphi(g) = \sum_\pi \varphi^{(|\pi|)}(g) \prod_{B\in\pi} d^B g$.

    Returns pairs (order |π|, (blocks, multiplicity)); for the Laplacian
    $\Delta\varphi(g) = \varphi'(g)\,\Delta g + \varphi''(g) \sum_i (\partial_i g)^2$.
    """
    if key == LAPLACIAN:
        squares = tuple((2, (((i,), (i,)), 1)) for i in space)
        return ((1, ((LAPLACIAN,), 1)), *squares)
    counts = Counter(tuple(sorted(blocks)) for blocks in set_partitions(key))
    return tuple((len(blocks), (blocks, n)) for blocks, n in sorted(counts.items(), key=lambda c: len(c[0])))


@cache
def splits(key: Key, space: tuple[int, ...]) -> tuple[tuple[Key, Key, int], ...]:
    r"""Terms of the Leibniz rule for d^key (f g): (derivative of f, derivative of g, multiplicity).

    For the Laplacian $\Delta (fg) = f \Delta g + g \Delta f + 2 \nabla f \cdot \nabla g$.
    """
    if key == LAPLACIAN:
        return ((), LAPLACIAN, 1), (LAPLACIAN, (), 1), *(((i,), (i,), 2) for i in space)
    counts: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    for size in range(len(key) + 1):
        for chosen in combinations(range(len(key)), size):
            left = tuple(key[i] for i in chosen)
            counts[left, tuple(key[i] for i in range(len(key)) if i not in chosen)] += 1
    return tuple((left, right, n) for (left, right), n in counts.items())


@dataclass(frozen=True)
class JetSpace:
    """The components of a jet. ``space`` are the coordinates that ``LAPLACIAN`` sums over."""

    keys: tuple[Key, ...]
    space: tuple[int, ...]

    @staticmethod
    def spanned(requested: Iterable[Key], space: tuple[int, ...]) -> "JetSpace":
        """Return the smallest space that has the requested components and is closed under the chain rule."""
        keys: set[Key] = {()}
        for key in requested:
            if key == LAPLACIAN:
                keys.update([LAPLACIAN, *((i,) for i in space)])
            else:
                keys.update(tuple(sorted(c)) for n in range(len(key) + 1) for c in combinations(key, n))
        return JetSpace(tuple(sorted(keys, key=lambda k: (len(k), k == LAPLACIAN, k))), space)

    @cached_property
    def row(self) -> dict[Key, int]:
        return {key: i for i, key in enumerate(self.keys)}

    @cached_property
    def order(self) -> int:
        """Highest order of derivative among the components."""
        return max(len(key) for key in self.keys)

    @cached_property
    def terms(self) -> tuple[tuple[int, int, tuple[tuple[tuple[int, ...], int], ...]], ...]:
        """(row, order k, ((rows of the blocks, multiplicity), ...)) for every row except the value's."""
        result = []
        for row, key in enumerate(self.keys[1:], start=1):
            by_order: dict[int, list[tuple[tuple[int, ...], int]]] = {}
            for order, (blocks, count) in bell_terms(key, self.space):
                by_order.setdefault(order, []).append((tuple(self.row[b] for b in blocks), count))
            result += [(row, order, tuple(products)) for order, products in by_order.items()]
        return tuple(result)

    def bell(self, data: Tensor) -> list[Tensor]:
        """For each of ``terms``, the sum of products of derivatives that multiplies φ^(k): (points, size) each."""
        result = []
        for _, _, products in self.terms:
            total = None
            for rows, count in products:
                product = data[rows[0]]
                for r in rows[1:]:
                    product = product * data[r]
                product = product if count == 1 else count * product
                total = product if total is None else total + product
            assert total is not None
            result.append(total)
        return result

    def chain(self, values: Sequence[Tensor], bells: list[Tensor]) -> Tensor:
        """Return the jet of φ(g), from φ's derivatives ``values`` at g and the `bell` polynomials of g."""
        out = torch.empty(len(self.keys), *values[0].shape, dtype=values[0].dtype, device=values[0].device)
        out[0] = values[0]
        begun = 0
        for (row, order, _), bell in zip(self.terms, bells, strict=True):
            if row > begun:
                torch.mul(values[order], bell, out=out[row])
            else:
                out[row].addcmul_(values[order], bell)
            begun = row
        return out

    def add_bell_gradient(self, data: Tensor, gradients: list[Tensor], into: Tensor) -> None:
        """Add to ``into`` the pull-back of ``gradients`` (one per term) through `bell`."""
        for (_, _, products), gradient in zip(self.terms, gradients, strict=True):
            for rows, count in products:
                for position, r in enumerate(rows):
                    product = gradient
                    for other in rows[:position] + rows[position + 1 :]:
                        product = product * data[other]
                    into[r].add_(product, alpha=count)


def multiply(a: Tensor, b: Tensor, space: JetSpace) -> Tensor:
    """Return the jet of f g by the Leibniz rule, elementwise."""
    rows = []
    for key in space.keys:
        terms = splits(key, space.space)
        rows.append(torch.stack([n * a[space.row[left]] * b[space.row[right]] for left, right, n in terms]).sum(0))
    return torch.stack(rows)


def compose(table: Table, data: Tensor, space: JetSpace) -> Tensor:
    """Return the jet of φ(g), elementwise, from the jet ``data`` of g (components, points, size) and φ's table."""
    return _Compose.apply(data, table, space)


class _Compose(torch.autograd.Function):
    """Faà di Bruno's formula with an explicit gradient, so that a step needs no graph over the components."""

    @staticmethod
    def forward(ctx, data: Tensor, table: Table, space: JetSpace) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        needs_gradient = ctx.needs_input_grad[0]
        values = table(data[0], space.order + int(needs_gradient))
        bells = space.bell(data)
        out = space.chain(values, bells)
        if needs_gradient:
            ctx.save_for_backward(data, *values, *bells)
            ctx.space = space
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *grad_outputs: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient,) = grad_outputs
        space: JetSpace = ctx.space
        data, *saved = ctx.saved_tensors
        values, bells = saved[: space.order + 2], saved[space.order + 2 :]
        result = torch.zeros_like(data)
        torch.mul(gradient[0], values[1], out=result[0])
        pulled = []
        for (row, order, _), bell in zip(space.terms, bells, strict=True):
            result[0].addcmul_(gradient[row] * bell, values[order + 1])
            pulled.append(gradient[row] * values[order])
        space.add_bell_gradient(data, pulled, result)
        return result, None, None
