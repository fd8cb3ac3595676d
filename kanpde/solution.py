"""What a run reached: a solution that can be evaluated and differentiated anywhere, and its errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.calculus.field import Context, Field, coordinate
from kanpde.calculus.jet import JetSpace, Key
from kanpde.calculus.operators import diff, gradient
from kanpde.domains import Points
from kanpde.ends import Ending
from kanpde.errors import InputError
from kanpde.problem import Problem
from kanpde.residuals.engines import ENGINES, Rows
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import fields_of

Components = Callable[[Tensor, JetSpace], Rows]  # what is known of a function: its components at points (points, dim)


@dataclass
class Solution:
    """What was reached. Call it with coordinates, on numpy arrays, numbers or tensors: ``solution(x, y)``.

    Attributes:
        problem, model: what was solved and the trained network.
        history: one row per step; ``error`` is the relative L2 error of the first unknown where it was measured.
        levels: one row per phase: grid, parameters, steps, loss, errors, seconds, reason.
        ending: how the run ended; ``reason`` is the same in words.
        errors: per unknown, relative L2, H1 and max errors on points apart from the training points; empty without
            ``exact``.
        coefficients: of an inverse problem, as found.
        settings: what made the run: seed, device, dtype, threads, derivatives, weights and points of the last phase;
            ``fresh`` is the loss with these weights on random points that trained and chose nothing.
    """

    problem: Problem
    model: nn.Module
    history: list[dict[str, float]]
    levels: list[dict[str, Any]]
    ending: Ending
    errors: dict[str, dict[str, float]]
    coefficients: dict[str, float]
    settings: dict[str, Any]

    @property
    def reason(self) -> str:
        """How the run ended, in words."""
        return str(self.ending)

    def __call__(self, *coords):
        """The unknown (or a tuple of all of them) at the coordinates, which are broadcast against each other."""
        return self._evaluate(coords, lambda u: u)

    def diff(self, *names: str) -> Callable[..., Any]:
        """A function of the coordinates: the partial derivative, ``solution.diff("x", "x")(x, y)``."""
        return lambda *coords: self._evaluate(coords, lambda u: diff(u, *names))

    def fields(self, x: Tensor, ask: Callable[..., Any]) -> Any:
        """``ask(*unknowns)`` with the unknowns as fields at the points x (points, dim), without gradients."""
        return at_points(self.problem, self.model, self.settings.get("derivatives", "jets"), x, ask)

    def residual(self, name: str, x: Tensor, normal: Tensor | None = None) -> list[Tensor]:
        """A condition's residuals at points x of its region."""
        points = Points(x, torch.full((len(x),), 1 / len(x), dtype=x.dtype, device=x.device), normal)
        ansatz = replace(self.problem.ansatz, satisfies=()) if self.problem.ansatz else None
        problem = replace(self.problem, conditions={name: self.problem.conditions[name]}, ansatz=ansatz)
        coefficients = torch.tensor(list(self.coefficients.values()), dtype=x.dtype, device=x.device)
        objective = Objective(
            problem,
            self.model,
            {name: points},
            coefficients=nn.Parameter(coefficients) if self.coefficients else None,
            derivatives=self.settings.get("derivatives", "jets"),
        )
        parts = [objective.residuals(site).detach().view(site.residuals, -1) for site in objective.sites]
        return list((torch.cat(parts, dim=1) * len(x) ** 0.5).unbind(0))

    @property
    def components(self) -> Components:
        """Values and derivatives of the network's outputs at points, without gradients."""
        engine = ENGINES[self.settings.get("derivatives", "jets")]

        def at(x: Tensor, space: JetSpace) -> Rows:
            like = next(self.model.parameters())
            with torch.no_grad():
                return [row.detach().to(x) for row in engine(self.model, x.to(like), space)]

        return at

    def _evaluate(self, coords: Sequence, transform: Callable[[Field], Field]):
        return evaluate(self.problem, coords, next(self.model.parameters()), self.fields, transform)


def evaluate(problem: Problem, coords: Sequence, like: Tensor, fields: Callable[..., Any], transform: Callable):
    """The unknowns, transformed, at coordinates that are broadcast against each other; numpy unless a tensor came."""
    names = problem.domain.names
    if len(coords) != len(names):
        raise InputError(
            f"The solution takes {len(names)} coordinates, solution({', '.join(names)}); got {len(coords)}."
        )
    tensors = [torch.as_tensor(c, dtype=like.dtype, device=like.device) for c in coords]
    shape = torch.broadcast_shapes(*[t.shape for t in tensors])
    x = torch.stack([t.broadcast_to(shape).reshape(-1) for t in tensors], dim=1)
    values = fields(x, lambda *unknowns: [transform(u).value for u in unknowns])
    is_torch = any(isinstance(c, Tensor) for c in coords)
    results = [v.reshape(shape) if is_torch else v.reshape(shape).cpu().numpy() for v in values]
    return results[0] if len(results) == 1 else tuple(results)


def at_points(problem: Problem, model: nn.Module, derivatives: str, x: Tensor, ask: Callable[..., Any]) -> Any:
    """``ask(*unknowns)`` with a model's unknowns as fields at x, without gradients."""
    return asked_of(problem, lambda x, space: ENGINES[derivatives](model, x, space), x, ask)


def asked_of(problem: Problem, components: Components, x: Tensor, ask: Callable[..., Any]) -> Any:
    """``ask(*unknowns)`` with the unknowns as fields at x; the components that it needs are found by asking twice."""
    context = Context(problem.domain.names, problem.domain.space, x)
    asked: set[Key] = {()}

    def record(key: Key) -> Tensor:
        asked.add(key)
        return x[:, 0] * 0.0 + 0.5

    ask(*fields_of(problem, context, lambda i: record))
    space = JetSpace.spanned(asked, len(problem.domain.names), problem.domain.space)
    with torch.no_grad():
        rows: Rows = [r.detach() for r in components(x, space)]
        return ask(*fields_of(problem, context, lambda i: lambda key: rows[space.row[key]][:, i]))


def value_and_gradient(*unknowns: Field) -> list[list[Tensor]]:
    """Per unknown its value and spatial derivatives, what errors are measured in; to be asked."""
    return [[u.value, *(g.value for g in gradient(u))] for u in unknowns]


def distances(got: Sequence[Tensor], wanted: Sequence[Tensor]) -> dict[str, float]:
    """Relative L2, relative H1 (value and spatial gradient) and max distance over max |wanted|, of equal points."""
    gaps = [a - b for a, b in zip(got, wanted, strict=True)]
    return {
        "l2": float(gaps[0].norm() / wanted[0].norm()),
        "h1": float(torch.stack(gaps).norm() / torch.stack(list(wanted)).norm()),
        "max": float(gaps[0].abs().max() / wanted[0].abs().max()),
    }


class Errors:
    """Relative errors against the exact solution on test points, which training never sees."""

    def __init__(self, problem: Problem, device: torch.device, dtype: torch.dtype):
        self.problem = problem
        self.x = problem.domain.test_points(device, dtype)
        self.exact: list[Field] = []
        if problem.exact is not None:
            context = Context(problem.domain.names, problem.domain.space, self.x)
            coords = [coordinate(context, i) for i in range(len(problem.domain.names))]
            exact = problem.exact(*coords)
            exact = exact if isinstance(exact, tuple) else (exact,)
            if len(exact) != len(problem.unknowns):
                raise InputError(
                    f"exact returned {len(exact)} values; expected one per unknown ({', '.join(problem.unknowns)})."
                )
            self.exact = [e if isinstance(e, Field) else coords[0] * 0.0 + e for e in exact]

    def l2(self, model: nn.Module, derivatives: str) -> float:
        """Relative L2 error of the first unknown."""
        value = at_points(self.problem, model, derivatives, self.x, lambda *u: u[0].value)
        exact = self.exact[0].value
        return float((value - exact).norm() / exact.norm())

    def all(self, model: nn.Module, derivatives: str) -> dict[str, dict[str, float]]:
        """Per unknown: relative L2, relative H1 (value and spatial gradient) and max error over max |exact|."""
        return self.of(lambda x, space: ENGINES[derivatives](model, x, space))

    def of(self, components: Components) -> dict[str, dict[str, float]]:
        """The same of anything whose components are known."""
        if not self.exact:
            return {}
        found = asked_of(self.problem, components, self.x, value_and_gradient)
        wanted = value_and_gradient(*self.exact)
        return {name: distances(*pair) for name, *pair in zip(self.problem.unknowns, found, wanted, strict=True)}
