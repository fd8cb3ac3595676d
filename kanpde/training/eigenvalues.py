r"""Eigenvalue problems: the smallest eigenvalues or those nearest to a number, with their eigenfunctions.

The hidden layers of an untrained network stay as they are. The last layer is linear, so the residuals at points are
(A + λ B) c with its weights c, and `kanpde.training.subspace` finds the eigenvalues. Networks with twice as many hidden
nodes follow until the eigenvalues agree. (Random hidden layers for the equation itself: J. Chen et al., Bridging
traditional and machine learning-based algorithms for solving PDEs: the random feature method, J. Mach. Learn. 1, 2022.)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from numbers import Integral, Real
from time import perf_counter
from typing import Any

import torch

from kanpde.calculus.coefficients import Coefficient
from kanpde.domains.families import family_of
from kanpde.domains.parts import Parts
from kanpde.errors import Code, InputError, ResultWarning
from kanpde.factories import described
from kanpde.models.mlp import MLP
from kanpde.problem import Problem
from kanpde.residuals.equations import equation_warnings
from kanpde.residuals.uncovered import free_part_warnings
from kanpde.solution import Solution
from kanpde.training.eigenfunctions import POOR, eigenfunctions
from kanpde.training.widening import Level, widened

FACTS = {
    "device": "cpu",
    "dtype": "float64",
    "derivatives": "jets",
    "constraints": "soft",
    "satisfies": [],
    "start": None,
}
MISSED = "The estimated errors are not below the tolerance."
CURE = (
    "Give the network more or steeper functions, or `features=` (a `Corner` where the shape has one) that resolve the "
    "eigenfunctions. Values without meaning, as a pressure may bring, are avoided by `near=` the wanted ones."
)
DOUBT = "The eigenfunctions fulfil the equation poorly (see the bounds): eigenvalues may be wrong or missing."


@dataclass(frozen=True)
class Eigenvalues:
    """Eigenvalues in ascending order.

    Attributes:
        values: the eigenvalues.
        solutions: the eigenfunctions; the integral of the sum of their squares is 1, and where the absolute value is
            largest, it is positive.
        estimates: of the errors: differences from the values of the network before, which had half as many hidden
            nodes.
        bounds: |A u + λ B u| / |B u| at other points than those used. If the operator is self-adjoint and u fulfils
            the other conditions exactly, an eigenvalue lies so near. It is much larger than the error, which is
            quadratic in it.
        groups: numbers of values that are nearer to each other than their bounds: a multiple eigenvalue, or several
            that are close. Of a group the space is determined, and its functions are one orthonormal basis of it.
        reached: whether all estimates are below the tolerance.
        complete: the least number of eigenvalues that splits no multiple one. If it is more than those wanted, an
            eigenspace is incomplete.
        size: the largest absolute value; where all are nearly 0, a tenth of the operator's size for long waves.
        left_out: a smaller eigenvalue, if these are the nearest to 0 because it was not clear whether there is a
            smallest one; else None.
    """

    values: tuple[float, ...]
    solutions: tuple[Solution, ...]
    estimates: tuple[float, ...]
    bounds: tuple[float, ...]
    groups: tuple[tuple[int, ...], ...]
    reached: bool
    complete: int
    size: float
    left_out: float | None

    @property
    def is_doubtful(self) -> bool:
        """Whether an eigenfunction fulfils the equation poorly."""
        return max(self.bounds) > POOR * self.size

    @property
    def doubts(self) -> list[ResultWarning]:
        """What may be wrong or is missing."""
        found, count = [], len(self.values)
        if self.complete > count:
            what = f"An eigenvalue is multiple or nearly so, and {count} values hold a part of its eigenspace only."
            found.append(ResultWarning(what, [("", {"count": self.complete})]))
        if self.left_out is not None:
            what = "It is not clear whether there is a smallest eigenvalue: these are nearest to 0, and others smaller."
            found.append(ResultWarning(what, [("", {"near": float(f"{self.left_out:.4g}")})]))
        if self.is_doubtful or not self.reached:
            found.append(ResultWarning(DOUBT if self.is_doubtful else MISSED, advice=CURE))
        return found

    def __str__(self) -> str:
        lines = [f"{'':4}{'eigenvalue':>20}{'estimated error':>18}{'bound':>11}"]
        rows = zip(self.values, self.estimates, self.bounds, strict=True)
        group = {k: g for g in self.groups for k in g if len(g) > 1}
        for k, (value, estimate, bound) in enumerate(rows):
            note = f"  one of {len(group[k])}" if k in group else ""
            lines.append(f"{k + 1:4}{value:20.12g}{estimate:18.1e}{bound:11.1e}{note}")
        lines += [each.message for each in self.doubts]
        return "\n".join(lines)


def eigen(
    problem: Problem,
    model: Any = None,
    count: int = 3,
    *,
    near: float | None = None,
    tolerance: float = 1e-9,
    seed: int = 0,
    threads: int | None = 1,
    log: Callable[[str], None] = lambda line: None,
) -> Eigenvalues:
    r"""Return the smallest eigenvalues of a linear problem, or those nearest to a number, with eigenfunctions.

    The eigenvalue is the problem's only parameter: for $-\Delta u = \lambda u$ the conditions are
    ``Condition(domain.interior, lambda u, p: laplacian(u) + p["lam"] * u)`` and ``dirichlet(domain.boundary)``, with
    ``parameters={"lam": 0.0}``. Conditions on integrals with another value than 0, which would normalize u, are left
    out; all others must be linear and homogeneous.

    Without ``near`` they are those at the end of the spectrum: the smallest, or the largest where short waves have
    negative eigenvalues ($\Delta u = \lambda u$). If that sign is not clear, as for
    $\partial u / \partial n = \lambda u$ on the boundary, they are those nearest to 0. The subspace from which they
    come begins at random, so that none is left out systematically, but nothing proves that none is missing: one that
    the network does not resolve is not seen.

    Args:
        problem: linear in the unknowns, and in the parameter.
        model: a factory of networks with hidden layers; a small MLP by default. Its features are smooth, as are those
            of ``KAN([24], basis="chebyshev", grid=5, degree=7)``; untrained B-splines give few digits.
        count: number of eigenvalues, multiple ones counted as often.
        near: the eigenvalues nearest to this number are sought. By default it is the first value of the parameter,
            which is a guess for training too, if that is not 0; ``parameters={"lam": 0.0}`` means the end of the
            spectrum.
        tolerance: of the estimated errors, relative to the largest of the eigenvalues (`Eigenvalues.size`).
        seed: of the networks' weights.
        threads, log: as in `kanpde.solve`.

    Raises:
        InputError: the problem is no eigenvalue problem of this kind, or eigenvalues are complex.
    """
    model = MLP([20, 100]) if model is None else model
    _check(problem, model, count, near, tolerance)
    for warning in (*free_part_warnings(problem), *equation_warnings(problem)):
        warning.emit()
    kept = {name: c for name, c in problem.conditions.items() if c.integral is None or c.integral.value == 0}
    ((name, first),) = problem.parameters.items()
    near = near if near is not None else float(first) or None
    linear = replace(problem, conditions=kept, parameters={name: 0.0})
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads or threads_before)
    try:
        begin = perf_counter()
        level = widened(linear, model, count, near, tolerance, seed, log)
        result = _result(problem, level, {**FACTS, "seed": seed, "seconds": perf_counter() - begin})
    finally:
        torch.set_num_threads(threads_before)
    for warning in result.doubts:
        warning.emit()
    return result


def _result(problem: Problem, level: Level, facts: dict[str, Any]) -> Eigenvalues:
    functions = eigenfunctions(problem, level, facts | {"model": described(level.model)})
    return Eigenvalues(
        values=tuple(level.found.values.tolist()),
        solutions=functions.solutions,
        estimates=tuple(level.estimates.tolist()),
        bounds=functions.bounds,
        groups=functions.groups,
        reached=level.is_reached,
        complete=functions.complete,
        size=level.size,
        left_out=level.left_out,
    )


def _check(problem: Problem, model: Any, count: int, near: float | None, tolerance: float) -> None:
    if len(problem.parameters) != 1:
        raise InputError(
            f"An eigenvalue problem has one parameter, the eigenvalue, got {len(problem.parameters)}.",
            write={"parameters": {"lam": 0.0}},
            of="Problem",
        )
    ((name, first),) = problem.parameters.items()
    if isinstance(first, Coefficient) and (isfinite(first.lower) or isfinite(first.upper)):
        raise InputError(
            f'Bounds of an eigenvalue have no effect here, and "{name}" has the bounds {first.lower:g} and '
            f"{first.upper:g}. Leave them out, and ask for the eigenvalues nearest to a number.",
            write={"near": float(first)},
        )
    if family_of(problem.domain):
        raise InputError("Eigenvalues are those of one problem, and this is a family. Take `problem_at(problem, ...)`.")
    if isinstance(problem.domain, Parts):
        raise InputError("Eigenvalues are computed with one network, and this domain has one for each part.")
    if not isinstance(count, Integral) or count < 1:
        raise InputError(f"count must be a whole number of at least 1, got {count}.", write={"count": 3})
    if near is not None and not (isinstance(near, Real) and isfinite(near)):
        raise InputError(f"near must be a finite number or None, got {near!r}.", write={"near": 0.0})
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance must be between 0 and 1, got {tolerance:g}.", write={"tolerance": 1e-9})
    if not hasattr(model, "hidden"):
        raise InputError(
            f"The model must be a factory of networks with hidden layers, got {model!r}.",
            write={"model": Code("MLP([20, 100])"), "count": 3},
        )
