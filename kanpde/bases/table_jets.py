"""Jets of the features of a KAN layer for any basis; `spline_jets` is faster for piecewise polynomials."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from kanpde.calculus.functions import silu
from kanpde.calculus.jet import JetSpace


def consecutive(first: Tensor, count: int) -> Tensor:
    """Return first, first + 1, ... in a new last dimension."""
    return first[..., None] + torch.arange(count, device=first.device)


class Place(torch.autograd.Function):
    """Scatter the jets of the non-zero functions, and of the silus, into all features of their edges."""

    @staticmethod
    def forward(ctx, splines: Tensor, base: Tensor, first: Tensor, size: int):  # pyright: ignore[reportIncompatibleMethodOverride]
        index = consecutive(first, splines.shape[-1]).expand(splines.shape)
        out = torch.zeros(*base.shape, size + 1, dtype=base.dtype, device=base.device)
        out.scatter_(3, index, splines)
        out[..., -1] = base
        ctx.save_for_backward(first)
        ctx.shape = splines.shape
        return out.flatten(2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *grad_outputs: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient = grad_outputs[0].unflatten(2, (ctx.shape[2], -1))
        index = consecutive(ctx.saved_tensors[0], ctx.shape[-1]).expand(ctx.shape)
        return gradient.gather(3, index), gradient[..., -1], None, None


class LocalFeatures(torch.autograd.Function):
    """Jets of the non-zero functions (components, points, d_in, local) and of the silus, and the first one's index.

    Faà di Bruno's formula with an explicit gradient. ``table_of`` is the method `kanpde.bases.Basis.table`.
    """

    @staticmethod
    def forward(ctx, data: Tensor, table_of: Callable, space: JetSpace):  # pyright: ignore[reportIncompatibleMethodOverride]
        order = space.order + int(ctx.needs_input_grad[0])
        table, first = table_of(data[0], order)
        base, bells = silu(data[0], order), space.bell(data)
        ctx.mark_non_differentiable(first)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(data, *base, *table, *bells)
            ctx.space = space
        splines = space.chain(table, [bell[..., None] for bell in bells])
        return splines, space.chain(base, bells), first

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *grad_outputs: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        space: JetSpace = ctx.space
        data, *saved = ctx.saved_tensors
        orders = space.order + 2
        base, table, bells = saved[:orders], saved[orders : 2 * orders], saved[2 * orders :]
        of_splines, of_base = grad_outputs[0].contiguous(), grad_outputs[1]
        ones = torch.ones(of_splines.shape[-1], dtype=data.dtype, device=data.device)

        @cache
        def slope(row: int, order: int) -> Tensor:
            """Contract the gradient at a row with the features' derivatives of an order: (points, d_in)."""
            # a product with ones sums a short last dimension faster than sum() does
            return ((of_splines[row] * table[order]) @ ones).addcmul_(of_base[row], base[order])

        result = torch.zeros_like(data)
        result[0] = slope(0, 1)
        for (row, order, _), bell in zip(space.terms, bells, strict=True):
            result[0].addcmul_(slope(row, order + 1), bell)
        space.add_bell_gradient(data, [slope(row, order) for row, order, _ in space.terms], result)
        return result, None, None
