r"""Errors relative to a classical reference solution with an estimated error, if no exact solution is known.

The reference is solved on meshes of size h, h/2 and h/4. From the differences $d_1 = |u_h - u_{h/2}|$ and
$d_2 = |u_{h/2} - u_{h/4}|$ come the observed order $p = \log_2(d_1 / d_2)$ and the finest solution's error
$d_2 / (2^p - 1)$, which is multiplied by a safety factor of 1.25 (P. J. Roache, Perspective: a method for uniform
reporting of grid refinement studies, J. Fluids Eng. 116, 1994). Collocation converges faster than any order, and its
estimate is $d_2$ itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, log2
from typing import Any

import torch
from torch import Tensor

from kanpde.classical.collocation import collocate
from kanpde.classical.elements import finite_elements
from kanpde.classical.shape_elements import is_meshed
from kanpde.classical.solution import ClassicalSolution
from kanpde.errors import InputError
from kanpde.problem import Problem
from kanpde.residuals.accuracy import distances, value_and_gradient
from kanpde.residuals.evaluation import Components, asked_of

KINDS = ("l2", "h1", "max")
SAFETY = 1.25
MARGIN = 10.0  # a reference must be more accurate than the compared solution by this factor
GROWTH = {1: 2.0, 2: 8.0, 3: 64.0}  # approximate factor of the run time when h is halved, by number of coordinates
ROUNDING = 1e-13  # lower bound for the estimated error of a reference
DEGREES = (8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64)

Figures = dict[str, dict[str, float]]  # errors by unknown and kind


@dataclass(frozen=True)
class Reference:
    """A reference solution.

    Attributes:
        solution: the finest solution.
        own: by unknown, its estimated relative L2, H1 and max errors.
        order: observed order in L2 of the first unknown; inf for collocation.
        x: the test points.
        values: by unknown, the value and the spatial derivatives at the test points.
    """

    solution: ClassicalSolution
    own: Figures
    order: float
    x: Tensor
    values: list[list[Tensor]]

    @property
    def accuracy(self) -> float:
        """The largest of the reference's own errors."""
        return max(error for errors in self.own.values() for error in errors.values())

    def distances(self, components: Components) -> Figures:
        """Return relative L2, H1 and max distances of a function, given by its components, from the reference."""
        return self.distances_of(asked_of(self.solution.problem, components, self.x, value_and_gradient))

    def distances_of(self, found: Sequence[Sequence[Tensor]]) -> Figures:
        """Return the distances for values and derivatives at the test points."""
        names = self.solution.problem.unknowns
        return {n: distances(got, wanted) for n, got, wanted in zip(names, found, self.values, strict=True)}


@dataclass(frozen=True)
class Compared:
    """Distances from a reference; ``reliable`` if its own errors are at least ten times smaller, see ``text``."""

    errors: Figures
    own: Figures
    reliable: bool
    text: str


def reference(problem: Problem, target: float = 1e-6, seconds: float = 30.0, method: str = "auto") -> Reference:
    """Refine until the largest of the estimated relative L2, H1 and max errors is at most ``target``.

    Args:
        problem: suitable for `finite_elements` or `collocate`; ``exact`` is not used.
        target: error of the reference, a tenth of the smallest error to be compared with it.
        seconds: time limit of one solve; the finest solution within it is returned.
        method: "fem" (P4; in three coordinates, on shapes and on read meshes P2), "collocation", or "auto": finite
            elements, and on a box collocation if they cannot solve the problem or do not reach the target.

    Raises:
        InputError: neither solver can solve the problem.
    """
    if method not in ("auto", "fem", "collocation"):
        raise InputError(f'Unknown method "{method}". Choices: auto, fem, collocation.', write={"method": "auto"})
    dim, is_on_shape = len(problem.domain.names), is_meshed(problem.domain)
    if is_on_shape and method == "auto":
        method = "fem"
    found = None
    if method != "collocation":
        try:
            sizes = [2**k for k in range(2, 13)] if dim < 3 else [2, 4, 8, 16]
            order = 4 if dim < 3 and not is_on_shape else 2
            found = _refined(problem, lambda n: finite_elements(problem, order, n), sizes, target, seconds, True)
        except InputError:
            if method == "fem":
                raise
    if method != "fem" and (found is None or found.accuracy > target):
        try:
            other = _refined(problem, lambda n: collocate(problem, n), DEGREES, target, seconds, False)
            found = min((r for r in (found, other) if r), key=lambda r: r.accuracy)
        except InputError:
            if found is None:
                raise
    assert found is not None
    return found


def _refined(
    problem: Problem,
    solve: Callable[[int], ClassicalSolution],
    sizes: Sequence[int],
    target: float,
    seconds: float,
    halves: bool,
) -> Reference:
    x = problem.domain.test_points(torch.device("cpu"), torch.float64)
    values: list[list[list[Tensor]]] = []
    result, before = None, 0
    for size in sizes:
        solution = solve(size)
        if solution.unknowns <= before:
            continue  # a narrow shape has the same mesh for several sizes
        before = solution.unknowns
        values.append(solution.fields(x, value_and_gradient))
        if len(values) >= 3:
            own, order = _own_errors(problem, values[-3:], halves)
            result = Reference(solution, own, order, x, values[-1])
            if result.accuracy <= target:
                break
        if result is not None and solution.seconds * (GROWTH[len(problem.domain.names)] if halves else 3.0) > seconds:
            break
    assert result is not None
    return result


def _own_errors(problem: Problem, values: Sequence[list[list[Tensor]]], halves: bool) -> tuple[Figures, float]:
    """Return the estimated errors of the last of three solutions, and the observed order."""
    own: Figures = {}
    orders = []
    for name, coarse, middle, fine in zip(problem.unknowns, *values, strict=True):
        first, second = distances(coarse, middle), distances(middle, fine)
        own[name] = {}
        for kind in KINDS:
            order = log2(first[kind] / second[kind]) if first[kind] > 0 and second[kind] > 0 else inf
            orders.append(order)
            # below order one convergence is not established, so the difference itself is the estimate
            share = 1 / (2**order - 1) if halves and order >= 1 else 1.0
            own[name][kind] = max(SAFETY * second[kind] * share if halves else second[kind], ROUNDING)
    return own, orders[0] if halves else inf


def reference_error(solution: Any, reference: Reference) -> Compared:
    """Return the errors of a run (or any object with ``fields``) relative to a reference, and their reliability."""
    like = next(solution.model.parameters()) if hasattr(solution, "model") else reference.x
    found = solution.fields(reference.x.to(like), value_and_gradient)
    errors = reference.distances_of([[t.to(reference.x) for t in values] for values in found])
    doubtful = [
        f"{kind} of {name} ({errors[name][kind]:.1e}, its own {reference.own[name][kind]:.1e})"
        for name in errors
        for kind in KINDS
        if not MARGIN * reference.own[name][kind] <= errors[name][kind]
    ]
    own = reference.solution
    text = f"against {own.method} with {own.unknowns} unknowns"
    if doubtful:
        text += f"; not reliable, as the reference is not {MARGIN:g} times as accurate: {', '.join(doubtful)}"
    else:
        text += f", whose own errors are estimated to be at least {MARGIN:g} times smaller"
    return Compared(errors, reference.own, not doubtful, text)
