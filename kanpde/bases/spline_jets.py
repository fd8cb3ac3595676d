"""Jets through the edges of a KAN layer, for bases of which only a few functions are non-zero at a point.

On a cell a spline is a polynomial. The jets of the powers t^k / k! of the local coordinate are the cheapest, because
each power is the derivative of the next; small matrices convert them to the non-zero splines. The outputs are then
computed in one of two ways: from all features of every input by one matrix product (`Products`), or as sums of edge
functions from the coefficients of the non-zero splines (`Sums`). Internally the points are the last dimension, so that
elementwise operations run along contiguous memory.
"""

from collections.abc import Callable
from functools import cache
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from kanpde.calculus.functions import silu
from kanpde.calculus.jet import JetSpace


@runtime_checkable
class PiecewisePolynomials(Protocol):
    """A basis whose functions are polynomials on every cell: `kanpde.bases.bspline.BSpline`."""

    degree: int
    size: int

    def taylor(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return matrices, powers t^k / k! and the index of the first non-zero function at x (points, d_in)."""
        ...


def combine(matrices: Tensor, powers: Tensor) -> Tensor:
    """Multiply matrices (d_in, a, b), or one for every point (d_in, a, b, points), by (..., d_in, b, points)."""
    if matrices.ndim == 3:
        return matrices @ powers
    total = matrices[:, :, 0] * powers[..., :1, :]
    for k in range(1, matrices.shape[2]):
        total.addcmul_(matrices[:, :, k], powers[..., k : k + 1, :])
    return total


class LocalSplines:
    """Values of the splines and silus at inputs with the jet ``data`` (components, d_in, points).

    ``powers`` are t^k / k! (d_in, degree + 1, points), ``silus`` the derivatives (d_in, order + 1, points), ``index``
    the non-zero splines (d_in, local, points).
    """

    def __init__(self, data: Tensor, basis: PiecewisePolynomials, space: JetSpace, order: int):
        self.data, self.space, self.size = data, space, basis.size + 1
        self.matrices, self.powers, first = basis.taylor(data[0].T)
        self.silus = torch.stack(silu(data[0], order), dim=1)
        self.index = first[:, None] + torch.arange(basis.degree + 1, device=data.device)[:, None]
        self.bells = space.bell(data)

    # features ----------------------------------------------------------------------------------------------------
    def local_jets(self) -> tuple[Tensor, Tensor]:
        """Return the jets of the non-zero splines (components, d_in, local, points) and of the silus."""
        space, q = self.space, self.powers
        jets = torch.zeros(len(self.data), *q.shape, dtype=q.dtype, device=q.device)
        jets[0] = q
        torch.mul(q[:, :-1], self.data[1:, :, None], out=jets[1:, :, 1:])  # the terms of order 1 for all rows at once
        for (row, order, _), bell in zip(space.terms, self.bells, strict=True):
            if 1 < order < q.shape[1]:
                jets[row, :, order:].addcmul_(q[:, :-order], bell[:, None])
        return combine(self.matrices, jets), space.chain(self.silus.unbind(1), self.bells)

    def features(self) -> Tensor:
        """Return the jets of all features: (components, d_in, size + 1, points)."""
        splines, silus = self.local_jets()
        components, d_in, points = silus.shape
        out = torch.zeros(components, d_in, self.size, points, dtype=silus.dtype, device=silus.device)
        out.scatter_(2, self.index.expand(splines.shape), splines)
        out[:, :, -1] = silus
        return out

    def features_points_first(self) -> Tensor:
        """Return the jets of all features as (components, points, d_in, size + 1)."""
        splines, silus = self.local_jets()
        components, d_in, points = silus.shape
        out = torch.zeros(components, points, d_in, self.size, dtype=silus.dtype, device=silus.device)
        index = self.index.permute(2, 0, 1).contiguous().expand(components, -1, -1, -1)
        out.scatter_(3, index, splines.permute(0, 3, 1, 2).contiguous())
        out[..., -1] = silus.mT
        return out

    def pull_features(self, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to ``data`` from that with respect to `features`."""
        of_splines = gradient.gather(2, self.index.expand(len(gradient), -1, -1, -1))
        return self._pull_local_jets(of_splines, gradient[:, :, -1])

    def pull_features_points_first(self, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to ``data`` from that with respect to `features_points_first`."""
        index = self.index.permute(2, 0, 1).contiguous().expand(len(gradient), -1, -1, -1)
        of_splines = gradient.gather(3, index).permute(0, 2, 3, 1).contiguous()
        return self._pull_local_jets(of_splines, gradient[..., -1].mT)

    def _pull_local_jets(self, of_splines: Tensor, of_silus: Tensor) -> Tensor:
        of_powers = combine(self.matrices.transpose(1, 2), of_splines)

        @cache
        def slopes(order: int) -> Tensor:
            total = of_silus * self.silus[:, order]
            for k, part in enumerate(of_powers.unbind(2)[order:]):
                total = total.add_(part) if k == 0 else total.addcmul_(part, self.powers[:, k])
            return total

        return self._pull_back(slopes)

    # edge functions ----------------------------------------------------------------------------------------------
    def functions(self, weight: Tensor) -> Tensor:
        """Derivatives of the edge functions (d_out, d_in, orders, points) from the weight (d_out, d_in, size + 1)."""
        index = self.index.flatten(1).expand(len(weight), -1, -1)
        local = weight.gather(2, index).unflatten(2, self.index.shape[1:])
        taylor = combine(self.matrices.transpose(1, 2), local)
        out = weight[:, :, -1, None, None] * self.silus
        orders = min(out.shape[2], taylor.shape[2])
        out[:, :, :orders] += taylor[:, :, :orders]
        for k in range(1, taylor.shape[2]):
            part = taylor[:, :, k : k + orders]
            out[:, :, : part.shape[2]].addcmul_(part, self.powers[:, k, None])
        return out

    def pull_weight(self, gradient: Tensor, into: Tensor) -> None:
        """Add the gradient with respect to the weight (d_out, d_in, size + 1), given that of the outputs' jets."""
        d_in, local, points = self.index.shape
        orders = self.space.order + 1
        of_functions = torch.zeros(len(into), d_in, orders, points, dtype=into.dtype, device=into.device)
        of_functions[:, :, 0] = gradient[0][:, None]
        for (row, order, _), bell in zip(self.space.terms, self.bells, strict=True):
            of_functions[:, :, order].addcmul_(gradient[row][:, None], bell)
        of_taylor = torch.zeros(len(into), d_in, local, points, dtype=into.dtype, device=into.device)
        for k in range(local):
            part = of_taylor[:, :, k : k + orders]
            part.addcmul_(of_functions[:, :, : part.shape[2]], self.powers[:, k, None])
        of_local = combine(self.matrices, of_taylor).flatten(2)
        into.scatter_add_(2, self.index.flatten(1).expand(len(into), -1, -1), of_local)
        into[:, :, -1] += torch.einsum("oijp,ijp->oi", of_functions, self.silus[:, :orders])

    def pull_sums(self, gradient: Tensor, functions: Tensor) -> Tensor:
        """Return the gradient with respect to ``data``, given that of the outputs' jets."""

        @cache
        def slopes(order: int) -> Tensor:
            total = gradient[:, :1] * functions[0, :, order]
            for o in range(1, len(functions)):
                total.addcmul_(gradient[:, o : o + 1], functions[o, :, order])
            return total

        return self._pull_back(slopes)

    def _pull_back(self, slopes: Callable[[int], Tensor]) -> Tensor:
        """Differentiate the chain rule; ``slopes(k)`` are the gradients at all rows times the k-th derivative."""
        result = torch.zeros_like(self.data)
        result[0] = slopes(1)[0]
        for (row, order, _), bell in zip(self.space.terms, self.bells, strict=True):
            result[0].addcmul_(slopes(order + 1)[row], bell)
        pulled = [slopes(order)[row] for row, order, _ in self.space.terms]
        self.space.add_bell_gradient(self.data, pulled, result)
        return result


def _local_splines(ctx, data: Tensor, basis: PiecewisePolynomials, space: JetSpace) -> LocalSplines:
    order = space.order + int(ctx.needs_input_grad[0])
    return LocalSplines(data.mT.contiguous(), basis, space, order)


class Features(torch.autograd.Function):
    """The jets of all features of a layer's inputs: (components, points, features)."""

    @staticmethod
    def forward(ctx, data: Tensor, basis: PiecewisePolynomials, space: JetSpace) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.splines = _local_splines(ctx, data, basis, space)
        return ctx.splines.features_points_first().flatten(2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *grad_outputs: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient = grad_outputs[0].unflatten(2, (-1, ctx.splines.size))
        return ctx.splines.pull_features_points_first(gradient).mT, None, None


class Products(torch.autograd.Function):
    """The jets of a layer's outputs: all features times the weight (features, d_out)."""

    @staticmethod
    def forward(ctx, data: Tensor, weight: Tensor, basis: PiecewisePolynomials, space: JetSpace) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.splines = _local_splines(ctx, data, basis, space)
        ctx.features = ctx.splines.features().flatten(1, 2)
        ctx.save_for_backward(weight)
        return torch.bmm(weight.T.expand(len(data), -1, -1), ctx.features).mT

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *grad_outputs: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        (weight,), gradient = ctx.saved_tensors, grad_outputs[0].mT.contiguous()
        of_weight = torch.bmm(ctx.features, gradient.mT).sum(0) if ctx.needs_input_grad[1] else None
        if not ctx.needs_input_grad[0]:
            return None, of_weight, None, None
        of_features = torch.bmm(weight.expand(len(gradient), -1, -1), gradient)
        of_data = ctx.splines.pull_features(of_features.unflatten(1, (-1, ctx.splines.size)))
        return of_data.mT, of_weight, None, None


class Sums(torch.autograd.Function):
    """The jets of a layer's outputs as sums of edge functions, from the weight (d_out, d_in, size + 1).

    The cost does not grow with the grid.
    """

    @staticmethod
    def forward(ctx, data: Tensor, weight: Tensor, basis: PiecewisePolynomials, space: JetSpace) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.splines = _local_splines(ctx, data, basis, space)
        ctx.functions = ctx.splines.functions(weight)
        ctx.shape = weight.shape
        return space.chain(ctx.functions.unbind(2), ctx.splines.bells).sum(2).mT

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *grad_outputs: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient = grad_outputs[0].mT.contiguous()
        of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = gradient.new_zeros(ctx.shape)
            ctx.splines.pull_weight(gradient, of_weight)
        of_data = ctx.splines.pull_sums(gradient, ctx.functions).mT if ctx.needs_input_grad[0] else None
        return of_data, of_weight, None, None
