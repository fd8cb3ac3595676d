"""Errors of functions against the exact solution or measured values."""

from collections.abc import Callable, Mapping, Sequence
from math import nan

import numpy as np
import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field
from kanpde.calculus.operators import slopes
from kanpde.calculus.unknowns import unknown
from kanpde.problem import Problem
from kanpde.residuals.evaluation import Components, asked_of, exact_fields

MOST_AT_ONCE = 4_000_000  # points · inputs · components for which errors are computed at once


def value_and_gradient(*unknowns: Field) -> list[list[Tensor]]:
    """Return for each unknown its value and its derivatives in space (or else in time), for the errors."""
    return [[u.value, *(g.value for g in slopes(u))] for u in unknowns]


def values_of(*unknowns: Field) -> list[list[Tensor]]:
    """Return for each unknown its value, from which errors against measured values are computed."""
    return [[u.value] for u in unknowns]


def distances(got: Sequence[Tensor], wanted: Sequence[Tensor]) -> dict[str, float]:
    """Return relative L2 and H1 (value and derivatives, `slopes`) distances, and the max distance over max |wanted|."""
    gaps = [a - b for a, b in zip(got, wanted, strict=True)]
    return {
        "l2": float(gaps[0].norm() / wanted[0].norm()),
        "h1": float(torch.stack(gaps).norm() / torch.stack(list(wanted)).norm()),
        "max": float(gaps[0].abs().max() / wanted[0].abs().max()),
    }


def _stacked(components: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return values and derivatives of the components of a vector, one component after the other."""
    return [torch.cat(each) for each in zip(*components, strict=True)]


def largest(errors: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return by kind the largest of the errors of all unknowns; {} without errors."""
    each = list(errors.values())
    return {kind: float(np.max([by_kind[kind] for by_kind in each])) for kind in (each[0] if each else ())}


def _measured(context: Context, name: str, values: Tensor) -> Field:
    """Return measured values as a field, whose derivatives are NaN."""
    return unknown(context, name, lambda key: torch.full_like(values, nan) if key else values)


class Errors:
    """Relative errors against the exact solution or measured values, on points that are not used for training.

    Attributes:
        x: test points all over the domain, (points, dim).
        at: where the errors are measured: the test points, or measured ones.
        exact: the unknowns there; empty if they are not known.
    """

    def __init__(self, problem: Problem, device: torch.device, dtype: torch.dtype):
        self.problem, measured = problem, problem.test if problem.exact is None else None
        self.x = problem.domain.test_points(device, dtype)
        self.at = self.x if measured is None else measured.x.to(device, dtype)
        context = Context(problem.domain.names, problem.domain.space, self.at)
        self.exact = exact_fields(problem, context)
        if measured is not None and measured.data is not None:
            columns = measured.data.to(self.at).unbind(1)
            self.exact = [_measured(context, *pair) for pair in zip(problem.unknowns, columns, strict=True)]

    def measures(self, components: Components) -> dict[str, float]:
        """Return the problem's own measures by name; {} without measured values."""
        if not (self.problem.measures and self.exact):
            return {}
        found = torch.stack([value for (value,) in self._found(components, values_of)], dim=1)
        wanted = torch.stack([each.value for each in self.exact], dim=1)
        return {name: measure(found, wanted) for name, measure in self.problem.measures.items()}

    def l2(self, components: Components) -> float:
        """Return the relative L2 error, the largest of all unknowns."""
        found = [value for (value,) in self._found(components, values_of)]
        pairs = [(value, exact.value) for value, exact in zip(found, self.exact, strict=True)]
        known = [pair for pair in pairs if pair[1].any()] or pairs
        return float(np.max([float((value - exact).norm() / exact.norm()) for value, exact in known]))

    def _found(self, components: Components, ask: Callable[..., list[list[Tensor]]]) -> list[list[Tensor]]:
        """Return what is asked of the unknowns where errors are measured, piece by piece to limit the memory."""
        dim = self.at.shape[1]
        parts = [asked_of(self.problem, components, x, ask) for x in self.at.split(MOST_AT_ONCE // (dim * (dim + 1)))]
        return [[torch.cat(pieces) for pieces in zip(*of, strict=True)] for of in zip(*parts, strict=True)]

    def all(self, components: Components) -> dict[str, dict[str, float]]:
        """Return by unknown: relative L2, relative H1 (value, `slopes`), and max error over max |exact|.

        Vector unknowns have errors as a whole too. Of several unknowns those that vanish have none.
        """
        if not self.exact:
            return {}
        is_measured = self.problem.exact is None  # then derivatives are not known
        ask = values_of if is_measured else value_and_gradient
        found, wanted, errors = self._found(components, ask), ask(*self.exact), {}
        pairs = dict(zip(self.problem.unknowns, zip(found, wanted, strict=True), strict=True))
        for name, own in self.problem.vector_unknowns.items():
            members = [pairs[member] for member in own]
            pairs[name] = _stacked([got for got, _ in members]), _stacked([of for _, of in members])
        for name, (got, of) in pairs.items():
            if (is_measured or len(pairs) > 1) and not bool(of[0].any()):  # as for a class without test rows
                continue
            errors[name] = distances(got, of) | ({"h1": nan} if is_measured else {})
        return errors
