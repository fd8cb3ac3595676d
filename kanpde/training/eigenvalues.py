r"""Eigenvalue problems: the eigenvalues nearest to a number, with their eigenfunctions.

The hidden layers of an untrained network stay as they are. The last layer is linear, so the residuals at points are
(A + λ B) c with its weights c, and `kanpde.training.subspace` finds the eigenvalues. Networks with twice as many hidden
nodes follow until the eigenvalues agree. (Random hidden layers for the equation itself: J. Chen et al., Bridging
traditional and machine learning-based algorithms for solving PDEs: the random feature method, J. Mach. Learn. 1, 2022.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.domains.families import family_of
from kanpde.domains.parts import Parts
from kanpde.ends import End, Ending
from kanpde.errors import Code, InputError, ResultWarning
from kanpde.factories import described
from kanpde.models.mlp import MLP, MLPLayer
from kanpde.models.network import Network, singular_coefficients
from kanpde.problem import Problem
from kanpde.residuals.evaluation import asked_of, components_of
from kanpde.residuals.misfit import misfit_of
from kanpde.residuals.uncovered import free_part_warnings
from kanpde.solution import Solution
from kanpde.training.building import built
from kanpde.training.pencil import Pencil
from kanpde.training.phases import Phase
from kanpde.training.sampling import Sampling
from kanpde.training.settings import Settings
from kanpde.training.subspace import Nearest, constrained, groups_of

MOST_FUNCTIONS = 1300  # of the last layer; the time grows with their cube
EXTRA = 6  # dimensions of the subspace beyond twice the number of eigenvalues
UNSCALED = 100  # functions of an MLP up to which its first layer is that of training
FACTS = {
    "device": "cpu",
    "dtype": "float64",
    "derivatives": "jets",
    "constraints": "soft",
    "satisfies": [],
    "start": None,
}
CURE = "Give the network more or steeper functions, or `features=` that resolve the eigenfunctions."
NORMS = 4000  # points for the norms of eigenfunctions
POOR = 0.01  # bound relative to the largest value, above which eigenvalues may be wrong or missing
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
    """

    values: tuple[float, ...]
    solutions: tuple[Solution, ...]
    estimates: tuple[float, ...]
    bounds: tuple[float, ...]
    groups: tuple[tuple[int, ...], ...]
    reached: bool

    @property
    def is_doubtful(self) -> bool:
        """Whether an eigenfunction fulfils the equation poorly."""
        return max(self.bounds) > POOR * max(map(abs, self.values))

    def __str__(self) -> str:
        lines = [f"{'':4}{'eigenvalue':>20}{'estimated error':>18}{'bound':>11}"]
        rows = zip(self.values, self.estimates, self.bounds, strict=True)
        group = {k: g for g in self.groups for k in g if len(g) > 1}
        for k, (value, estimate, bound) in enumerate(rows):
            note = f"  one of {len(group[k])}" if k in group else ""
            lines.append(f"{k + 1:4}{value:20.12g}{estimate:18.1e}{bound:11.1e}{note}")
        if not self.reached:
            lines.append("the estimated errors are not below the tolerance")
        if self.is_doubtful:
            lines.append(DOUBT)
        return "\n".join(lines)


def eigen(
    problem: Problem,
    count: int = 3,
    model: Any = None,
    *,
    near: float = 0.0,
    tolerance: float = 1e-9,
    seed: int = 0,
    threads: int | None = 1,
    log: Callable[[str], None] = lambda line: None,
) -> Eigenvalues:
    r"""Return the eigenvalues of a linear problem nearest to a number, with eigenfunctions.

    The eigenvalue is the problem's only parameter: for $-\Delta u = \lambda u$ the conditions are
    ``Condition(domain.interior, lambda u, p: laplacian(u) + p["lam"] * u)`` and ``dirichlet(domain.boundary)``, with
    ``parameters={"lam": 0.0}``. Conditions on integrals with another value than 0, which would normalize u, are left
    out; all others must be linear and homogeneous.

    With ``near=0.0`` these are the lowest eigenvalues if all are positive. The subspace from which they come begins at
    random, so that none is left out systematically, but nothing proves that none is missing.

    Args:
        problem: linear in the unknowns, and in the parameter.
        count: number of eigenvalues, multiple ones counted as often.
        model: a factory of networks with hidden layers; a small MLP by default. Its features are smooth, as are those
            of ``KAN([24], basis="chebyshev", grid=5, degree=7)``; untrained B-splines give few digits.
        near: the eigenvalues nearest to this number are sought.
        tolerance: of the estimated errors, relative to the largest of the eigenvalues.
        seed: of the networks' weights.
        threads, log: as in `kanpde.solve`.

    Raises:
        InputError: the problem is no eigenvalue problem of this kind, or eigenvalues are complex.
    """
    model = MLP([20, 100]) if model is None else model
    _check(problem, model, count, tolerance)
    for warning in free_part_warnings(problem):
        warning.emit()
    kept = {name: c for name, c in problem.conditions.items() if c.integral is None or c.integral.value == 0}
    (name,) = problem.parameters
    linear = replace(problem, conditions=kept, parameters={name: 0.0})
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads or threads_before)
    try:
        result = _widened(problem, linear, model, count, near, tolerance, seed, log)
    finally:
        torch.set_num_threads(threads_before)
    if result.is_doubtful:
        ResultWarning(DOUBT, advice=CURE).emit()
    return result


def _widened(
    problem: Problem,
    linear: Problem,
    model: Any,
    count: int,
    near: float,
    tolerance: float,
    seed: int,
    log: Callable[[str], None],
) -> Eigenvalues:
    """Return the eigenvalues of the first network, each twice as wide as the one before, that changes them little."""
    found, estimates, begin = None, np.full(count, inf), perf_counter()
    pencil = _pencil(linear, model, seed)
    while pencil.functions < 2 * count + EXTRA:
        model = _wider(model)
        pencil = _pencil(linear, model, seed)
    while True:
        before, found = found, _found(pencil, count, near)
        estimates = estimates if before is None else np.abs(found.values - before.values)
        is_reached = bool(estimates.max() <= tolerance * np.abs(found.values).max())
        log(f"{pencil.functions} functions: {', '.join(f'{value:.10g}' for value in found.values)}")
        if is_reached or 2 * pencil.functions > MOST_FUNCTIONS:
            break
        model = _wider(model)
        pencil = _pencil(linear, model, seed)
    facts = {**FACTS, "seed": seed, "model": described(model), "seconds": perf_counter() - begin}
    return _result(problem, pencil, found, estimates, is_reached, facts)


def _found(pencil: Pencil, count: int, near: float) -> Nearest:
    """Return the eigenvalues of a pencil.

    Raises:
        InputError: they are complex.
    """
    a, b = pencil.matrices
    found = constrained(a, b, a[pencil.of_integrals], count, pencil.shift(near), near, extra=count + EXTRA)
    if found.is_complex:
        raise InputError(
            f"The eigenvalues near {near:g} are complex, such as {found.values[0]:.6g} ± "
            f"{abs(found.imaginary[0]):.3g} i; only real ones are computed. Is a boundary condition missing?"
        )
    return found


def _result(
    problem: Problem, pencil: Pencil, found: Nearest, estimates: NDArray, is_reached: bool, facts: dict[str, Any]
) -> Eigenvalues:
    """Return the eigenvalues with normalized eigenfunctions."""
    values, coefficients = found.values.tolist(), torch.as_tensor(found.coefficients, dtype=torch.float64)
    each = [pencil.with_weights(c) for c in coefficients.T]
    groups = groups_of(found.values, [one.bound(value) for one, value in zip(each, values, strict=True)])
    weights = _orthonormal(pencil, coefficients, groups)
    each = [pencil.with_weights(c) for c in weights.T]
    bounds = [one.bound(value) for one, value in zip(each, values, strict=True)]
    facts |= {"weights": pencil.weights, "points": {name: len(points.x) for name, points in pencil.points.items()}}
    ending = Ending(End.TOLERANCE_REACHED if is_reached else End.NOT_REACHED)
    solutions = [
        _solution(
            problem, one, value, {**facts, "eigenvalue_estimate": float(estimate), "eigenvalue_bound": bound}, ending
        )
        for one, value, estimate, bound in zip(each, values, estimates, bounds, strict=True)
    ]
    return Eigenvalues(tuple(values), tuple(solutions), tuple(estimates.tolist()), tuple(bounds), groups, is_reached)


def _solution(problem: Problem, pencil: Pencil, value: float, facts: dict[str, Any], ending: Ending) -> Solution:
    """Return an eigenfunction as the solution of a run."""
    (name,), components = problem.parameters, components_of(pencil.network, "jets")
    misfits = {
        f"relative_{n}": misfit_of(pencil.problem, n, components, points, {name: value}).relative
        for n, points in pencil.fresh.items()
    }
    level = {"phase": 0, "optimizer": "eigen", "parameters": pencil.functions, "end": ending.end.name, **misfits}
    coefficients = {name: value} | singular_coefficients(pencil.network)
    problem = replace(problem, exact=None)  # of which eigenfunction it would be is not known
    return Solution(problem, pencil.network, [], [level], ending, {}, coefficients, facts)


def _orthonormal(pencil: Pencil, coefficients: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Return coefficients of which those of every group are orthonormal functions, positive where largest."""
    problem = pencil.problem
    points = problem.domain.interior.sample(pencil.rule, NORMS)
    root, columns = points.weight.sqrt(), []
    for c in coefficients.T:
        components = components_of(pencil.with_weights(c).network, "jets")
        values = asked_of(problem, components, points.x, lambda *u: [each.value for each in u])
        columns.append(torch.cat([root * each for each in values]))
    values, found = torch.stack(columns, dim=1), coefficients.clone()
    for group in map(list, groups):
        _, triangle = torch.linalg.qr(values[:, group])
        for each in (found, values):
            each[:, group] = torch.linalg.solve_triangular(triangle, each[:, group], upper=True, left=False)
    heights = values / root.repeat(len(values) // len(root))[:, None]
    signs = heights.gather(0, heights.abs().argmax(dim=0)[None])[0].sign()
    return found * signs / problem.domain.measure**0.5


def _pencil(problem: Problem, model: Any, seed: int) -> Pencil:
    """Return the pencil of an untrained network."""
    cpu = torch.device("cpu")
    settings = Settings(
        problem, model, (Phase(),), 1, Sampling(), {}, seed, cpu, torch.float64, None, None, "jets", "soft", 5.0
    )
    network = built(settings, torch.Generator().manual_seed(seed))
    if not isinstance(network, Network) or len(network.layers) < 2:
        raise InputError(
            "Eigenfunctions need the functions of a hidden layer, and the model has none.",
            write={"model": Code("MLP([20, 100])")},
        )
    if isinstance(first := network.layers[0], MLPLayer):  # more functions resolve shorter waves
        with torch.no_grad():
            functions = sum(layer.weight.numel() for layer in list(network.layers)[-1:])
            first.weight.mul_(max(1.0, functions / UNSCALED) ** (1 / len(problem.domain.names)))
    return Pencil(problem, network)


def _wider(model: Any) -> Any:
    """Return the factory with twice as many nodes in the last hidden layer."""
    *first, last = model.hidden
    wide = 2 * last if isinstance(last, int) else [2 * n for n in last]
    return replace(model, hidden=[*first, wide])


def _check(problem: Problem, model: Any, count: int, tolerance: float) -> None:
    if len(problem.parameters) != 1:
        raise InputError(
            f"An eigenvalue problem has one parameter, the eigenvalue, got {len(problem.parameters)}.",
            write={"parameters": {"lam": 0.0}},
            of="Problem",
        )
    if family_of(problem.domain):
        raise InputError("Eigenvalues are those of one problem, and this is a family. Take `problem_at(problem, ...)`.")
    if isinstance(problem.domain, Parts):
        raise InputError("Eigenvalues are computed with one network, and this domain has one for each part.")
    if not isinstance(count, int) or count < 1:
        raise InputError(f"count must be a whole number of at least 1, got {count}.", write={"count": 3})
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance must be between 0 and 1, got {tolerance:g}.", write={"tolerance": 1e-9})
    if not hasattr(model, "hidden"):
        raise InputError(
            f"The model must be a factory of networks with hidden layers, got a {type(model).__name__}.",
            write={"model": Code("MLP([20, 100])")},
        )
