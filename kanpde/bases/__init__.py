r"""Families of one-dimensional functions, one per file, and their base class.

A new file that defines a subclass of `Basis` is available as ``KAN(basis="class name in lower case")``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

import kanpde.bases
from kanpde.bases.table_jets import LocalFeatures, Place, consecutive
from kanpde.calculus.jet import JetSpace
from kanpde.errors import InputError, suggest
from kanpde.factories import families, kind_of


def uniform_knots(lower: Tensor, upper: Tensor, grid: int, outside: int = 0) -> Float[Tensor, "d_in knots"]:
    """Return the ends of ``grid`` equal cells on [lower, upper] for each input, with ``outside`` more on each side."""
    steps = torch.arange(-outside, grid + outside + 1, device=lower.device, dtype=lower.dtype) / grid
    return lower[:, None] + (upper - lower)[:, None] * steps


class Basis(nn.Module, ABC):
    """``size`` = ``cells`` + ``degree`` functions for each of d_in inputs, each input with its own range.

    Schedules refine ``cells``, the grid. ``local`` of the functions are non-zero at a point. The knots are stored with
    the weights; with ``degree`` they determine everything else. Families without cells of their own use only the ends
    of the range and the number of cells, so their cells are always equal.

    The functions extend beyond the range. ``smoothness`` is the highest order of bounded derivatives; the derivative
    one order lower is continuous. With ``nested``, a finer grid only adds functions. ``decay`` is the ratio of the
    initial standard deviations of successive coefficients. ``most_degree`` is the highest degree at which values,
    derivatives and refinement are accurate in float64.
    """

    knots: Float[Tensor, "d_in knots"]
    cells: int
    size: int
    local: int
    smoothness: float = inf
    nested = False
    decay = 1.0
    most_degree: float = inf

    def __init__(self, knots: Float[Tensor, "d_in knots"], degree: int):
        super().__init__()
        self.degree = degree
        self.register_buffer("knots", knots)
        self._prepare()

    def _prepare(self) -> None:
        """Compute the quantities derived from the knots, on construction and after loading."""
        self.cells = self.breakpoints.shape[1] - 1
        self.local = self.size = self.cells + self.degree

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        """Load the knots of any grid."""
        if (stored := state_dict.get(f"{prefix}knots")) is not None:
            self.knots = torch.empty_like(stored, dtype=self.knots.dtype, device=self.knots.device)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._prepare()

    def _apply(self, fn, recurse=True):
        """Recompute the quantities derived from the knots after a change of device or precision."""
        super()._apply(fn, recurse)
        self._prepare()
        return self

    # ranges ----------------------------------------------------------------------------------------------------------
    @classmethod
    def over(cls, lower: Tensor, upper: Tensor, grid: int, degree: int) -> "Basis":
        """Return the basis with ``grid`` equal cells on [lower, upper] for each input."""
        return cls(uniform_knots(lower, upper, grid), degree)

    def on(self, breakpoints: Float[Tensor, "d_in points"]) -> "Basis":
        """Return a basis of the same family on other cells."""
        return self.over(breakpoints[:, 0], breakpoints[:, -1], breakpoints.shape[1] - 1, self.degree)

    def architecture(self) -> dict[str, Any]:
        """Return the family and its sizes; the knots are stored with the weights."""
        return {"kind": kind_of(type(self)), "degree": self.degree, "cells": self.cells, "d_in": len(self.knots)}

    @property
    def breakpoints(self) -> Float[Tensor, "d_in points"]:
        """The ends of the cells."""
        return self.knots

    def mapped(self, x: Float[Tensor, "points d_in"], left: float, right: float) -> tuple[Tensor, Tensor]:
        """Map x affinely from each input's range to [left, right]; also return the slopes of the maps."""
        lower, upper = self.breakpoints[:, 0], self.breakpoints[:, -1]
        slope = (right - left) / (upper - lower)
        return left + (x - lower) * slope, slope

    # functions -------------------------------------------------------------------------------------------------------
    @abstractmethod
    def table(
        self, x: Float[Tensor, "points d_in"], order: int
    ) -> tuple[list[Float[Tensor, "points d_in local"]], Int[Tensor, "points d_in"]]:
        """Derivatives 0 ... ``order`` of the functions that are non-zero at x, and the index of the first of them."""

    def global_table(
        self,
        x: Float[Tensor, "points d_in"],
        order: int,
        functions: Callable[[Tensor, int], Sequence[Tensor]],
        left: float = -1.0,
        right: float = 1.0,
    ) -> tuple[list[Float[Tensor, "points d_in size"]], Int[Tensor, "points d_in"]]:
        """The table for globally supported functions, given on [left, right] together with their derivatives."""
        t, slope = self.mapped(x, left, right)
        values = [v if k == 0 else v * (slope**k)[:, None] for k, v in enumerate(functions(t, order))]
        return values, torch.zeros(x.shape, dtype=torch.long, device=x.device)

    def dense(self, x: Float[Tensor, "points d_in"]) -> Float[Tensor, "points d_in size"]:
        """Return all functions at x, in operations that autograd differentiates to any order."""
        table, first = self.table(x, 0)
        if self.local == self.size:
            return table[0]
        places = torch.zeros(*x.shape, self.size, dtype=x.dtype, device=x.device)
        return places.scatter(2, consecutive(first, self.local), table[0])

    # jets of edges ---------------------------------------------------------------------------------------------------
    def edge_features(
        self, data: Float[Tensor, "components points d_in"], space: JetSpace
    ) -> Float[Tensor, "components points features"]:
        """Return the jets of all functions of every input, and of its silu: size + 1 features per input."""
        splines, base, first = LocalFeatures.apply(data, self.table, space)
        return Place.apply(splines, base, first, self.size)

    def edge_sums(
        self, data: Tensor, weight: Float[Tensor, "features d_out"], space: JetSpace
    ) -> Float[Tensor, "components points d_out"]:
        """Return the jets of ``features @ weight``. A family with a faster method overrides it and `traced_sums`."""
        return self.edge_features(data, space) @ weight

    def traced_sums(self, data: Tensor, weight: Tensor, space: JetSpace) -> tuple[Tensor, Tensor]:
        """Return the features without gradients, and sums that are differentiable with respect to ``data``."""
        features = self.edge_features(data, space)
        return features.detach(), features @ weight

    # refinement ------------------------------------------------------------------------------------------------------
    def refined(self, grid: int) -> tuple["Basis", NDArray]:
        """Return the basis with ``grid`` cells and the matrices (d_in, new, old) that transfer the coefficients.

        The transfer is exact if the new functions span the old ones, otherwise a least-squares fit over the range.
        """
        if grid < self.cells:
            raise InputError(f"A grid can only be refined; it has {self.cells} cells, got {grid}.")
        inner = self.breakpoints.double().cpu().numpy()
        where = np.linspace(0, self.cells, grid + 1)
        points = np.stack([np.interp(where, np.arange(self.cells + 1), row) for row in inner])
        new = self.on(torch.as_tensor(points, dtype=self.knots.dtype, device=self.knots.device))
        exact = self.embedding(new)
        return new, self.transfer(new) if exact is None else exact

    def embedding(self, new: "Basis") -> NDArray | None:
        """Return the matrices (d_in, new, old) that express the functions exactly in a refinement, or None."""
        return np.stack([np.eye(new.size, self.size)] * len(self.knots)) if self.nested else None

    def transfer(self, new: "Basis") -> NDArray:
        """Return the least-squares matrices (d_in, new, old) from samples of the new range (gelsd).

        Samples outside that range would spoil the fit, because there only the extensions of the new functions matter.
        """
        lower, upper = new.breakpoints[:, 0], new.breakpoints[:, -1]
        n = 4 * (self.degree + 1) * max(self.cells, new.cells)
        share = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(n, dtype=lower.dtype, device=lower.device) + 0.5) / n)
        x = lower + share[:, None] * (upper - lower)
        cutoff = n * torch.finfo(lower.dtype).eps  # keeps coefficients small that are undetermined in single precision
        matrices = []
        for source, target in zip(self.dense(x).unbind(1), new.dense(x).unbind(1), strict=True):
            target, source = target.double().cpu(), source.double().cpu()
            matrices.append(torch.linalg.lstsq(target, source, rcond=cutoff, driver="gelsd").solution.numpy())
        return np.stack(matrices)


def basis_from(architecture: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype) -> Basis:
    """Return the basis of an architecture, with equal cells on [-1, 1] until ``load_state_dict`` replaces its knots."""
    known = families(kanpde.bases, Basis)
    if (name := architecture["kind"]) not in known:
        raise InputError(f'Unknown basis "{name}". {suggest(name, known)}')
    upper = torch.ones(architecture["d_in"], device=device, dtype=dtype)
    return known[name].over(-upper, upper, architecture["cells"], architecture["degree"])
