"""The solution of a run, which can be evaluated and differentiated anywhere, and its errors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.calculus.field import Field
from kanpde.calculus.operators import diff
from kanpde.domains import Points
from kanpde.domains.outside import inside_only
from kanpde.domains.parts import Parts
from kanpde.ends import Ending
from kanpde.errors import InputError, ResultWarning
from kanpde.models.held import Held
from kanpde.models.network import trained_size
from kanpde.problem import Problem
from kanpde.residuals.accuracy import Errors
from kanpde.residuals.evaluation import (
    Components,
    asked_of,
    components_of,
    from_components,
    residuals_of,
)
from kanpde.residuals.members import problem_at


class Evaluable(ABC):
    """A solution that can be evaluated and differentiated at all points of its domain: ``solution(x, y)``.

    Coordinates are numpy arrays, numbers or tensors. Outside the domain the values are NaN, with a Python warning; with
    ``extrapolate=True`` they are those of the network or the polynomials there, of which the problem says nothing.
    Points within rounding errors of the boundary are inside, and periodic coordinates have no outside.
    """

    problem: Problem

    @property
    @abstractmethod
    def components(self) -> Components:
        """The function for values and derivatives at points, without gradients, before the ansatz."""

    @property
    @abstractmethod
    def like(self) -> Tensor:
        """A tensor with the precision and device of the evaluation."""

    @property
    def known_coefficients(self) -> Mapping[str, float]:
        """The coefficients for residuals: those that training determined, else the problem's own."""
        return self.problem.parameters

    def __call__(self, *coords, extrapolate: bool = False):
        """Return the unknown (or a tuple of all unknowns) at the coordinates, which are broadcast."""
        return self._evaluated(lambda u: u, coords, extrapolate)

    def diff(self, *names: str) -> Callable[..., Any]:
        """Return a partial derivative as a function of the coordinates, ``solution.diff("x", "x")(x, y)``."""

        def derivative(*coords, extrapolate: bool = False):
            return self._evaluated(lambda u: diff(u, *names), coords, extrapolate)

        return derivative

    def _evaluated(self, transform: Callable[[Field], Field], coords: Sequence, extrapolate: bool) -> Any:
        """Return the transformed unknowns, as numpy arrays unless a coordinate is a tensor."""
        x, shape = stacked(self.problem, coords, self.like)
        values = self.fields(x, lambda *unknowns: [transform(u).value for u in unknowns])
        if not extrapolate:
            values = inside_only(self.problem.domain, x, values)
        is_torch = any(isinstance(c, Tensor) for c in coords)
        results = [v.reshape(shape) if is_torch else v.reshape(shape).cpu().numpy() for v in values]
        return results[0] if len(results) == 1 else tuple(results)

    def fields(self, x: Tensor, ask: Callable[..., Any], side: int | None = None) -> Any:
        """Return ``ask(*unknowns)`` with the unknowns as fields at the points x (points, dim), without gradients.

        On a domain of several parts they are those of part number ``side``; None takes the part around each point.
        """
        return asked_of(self.problem, self.components, x, ask, side)

    def residual(self, name: str, x: Tensor, normal: Tensor | None = None, side: int | None = None) -> list[Tensor]:
        """Return a condition's residuals at points x of its region, and of part number ``side`` of the domain.

        Those of an equation in one part of the domain are NaN in the other parts.
        """
        points = Points(x, torch.full((len(x),), 1 / len(x), dtype=x.dtype, device=x.device), normal)
        unknowns = from_components(self.problem, self.components)
        residuals = residuals_of(self.problem, name, unknowns, points, self.known_coefficients, side)
        region, domain = self.problem.conditions[name].region, self.problem.domain
        if not (region.is_interior and region.sides and isinstance(domain, Parts)):
            return residuals
        where = domain.part_of(x) if side is None else torch.full((len(x),), side, device=x.device)
        return [r.masked_fill(where != region.sides[0], nan) for r in residuals]


@dataclass(repr=False)
class Solution(Evaluable):
    """The solution of a run. Call it with numpy arrays, numbers or tensors as coordinates: ``solution(x, y)``.

    Attributes:
        problem, model: the problem that was solved, and the trained network.
        history: one row per step; ``error`` is the last measured relative L2 error, the largest of all unknowns.
        levels: one row per phase, and one for last steps on all measured rows: grid, parameters, steps, loss, errors,
            seconds, reason; ``fresh``, the loss on fresh points, and ``relative_NAME``, the residual of each condition
            there relative to its largest term (`kanpde.training.watch`).
        ending: how the run ended; ``reason`` is the same as text.
        errors: by unknown, and for vector unknowns, relative L2, H1 and max errors on points separate from the training
            points; empty without ``exact``.
        coefficients: of an inverse problem and of singular functions (`Corner`), as determined by the run.
        standard_errors: of the coefficients by name, if known (`kanpde.training.covariance` says what they mean).
        intervals, correlations: with 95 % probability, and of errors, by name (`kanpde.training.uncertainty`).
        settings: seed, device, dtype, threads, derivatives, weights and points of the last phase; ``fresh`` is the
            loss with these weights on random points that were used neither for training nor for any choice.
        derivatives: the engine that evaluates the model, "jets" or "autograd" (any module).
        warnings: why the solution may be wrong although its training loss is small; empty if nothing was found.
        finer: a more accurate network, whose distance from the model is the estimated error; None if there is none.
    """

    problem: Problem
    model: nn.Module
    history: list[dict[str, float]]
    levels: list[dict[str, Any]]
    ending: Ending
    errors: dict[str, dict[str, float]]
    coefficients: dict[str, float]
    settings: dict[str, Any]
    derivatives: str = "jets"
    warnings: list[ResultWarning] = field(default_factory=list)
    finer: nn.Module | None = None
    standard_errors: dict[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    correlations: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return in a few lines what was solved, by which network, with which error, and how the run ended."""
        unknowns, facts = self.problem.unknowns, self.settings
        network = (
            f"{facts.get('model', {}).get('name', type(self.model).__name__)}, {trained_size(self.model)} parameters"
        )
        lines = [f"Solution of {', '.join(unknowns)} on {self.problem.domain}", f"network: {network}"]
        lines += [f"{name} = {value:.8g}" for name, value in self.coefficients.items()]
        told = ", ".join(f"{name} {errors['l2']:.2e}" for name, errors in self.errors.items())
        lines += [f"relative L2 error: {told or 'not known, without an exact solution'}"]
        estimate = facts.get("estimate", nan)
        lines += [f"estimated relative L2 error: {estimate:.1e}"] if isfinite(estimate) else []
        after = f" after {len(self.history)} steps, {facts['seconds']:.1f} s" if "seconds" in facts else ""
        lines += [f"ended{after}: {self.reason}"]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n  ".join(lines)

    @property
    def reason(self) -> str:
        """How the run ended, as text."""
        return str(self.ending)

    @property
    def components(self) -> Components:
        return components_of(self.model, self.derivatives)

    def estimated_errors(self, x: Tensor, side: int | None = None) -> list[Tensor]:
        """Return the estimated errors of the unknowns, found minus exact, at points x (points, dim); [] without one.

        ``side`` is as for `fields`.
        """
        if self.finer is None:
            return []
        finer = components_of(self.finer, self.derivatives)

        def values(*unknowns: Field) -> list[Tensor]:
            return [u.value for u in unknowns]

        found, better = self.fields(x, values, side), asked_of(self.problem, finer, x, values, side)
        return [a - b for a, b in zip(found, better, strict=True)]

    def at(self, **values: float) -> "Solution":
        """Return the solution for given values of parameters of a family, ``solution.at(nu=0.03)``.

        It is a function of the other coordinates with the errors at these values; there is no estimate for them alone.

        Raises:
            InputError: the domain is not of a family, a name is not one of its parameters, or a value is outside its
                range.
        """
        problem = problem_at(self.problem, **values)
        held = {self.problem.domain.names.index(name): float(value) for name, value in values.items()}
        model, finer = (None if each is None else Held(each, held) for each in (self.model, self.finer))
        assert model is not None
        like, settings = self.like, {key: each for key, each in self.settings.items() if key != "estimate"}
        errors = Errors(problem, like.device, like.dtype).all(components_of(model, self.derivatives))
        return replace(self, problem=problem, model=model, finer=finer, errors=errors, settings=settings)

    @property
    def like(self) -> Tensor:
        return next(self.model.parameters())

    @property
    def known_coefficients(self) -> Mapping[str, float]:
        return {name: value for name, value in self.coefficients.items() if name in self.problem.parameters}


def stacked(problem: Problem, coords: Sequence, like: Tensor) -> tuple[Tensor, torch.Size]:
    """Return broadcast coordinates as points (points, dim), and their common shape."""
    names = problem.domain.names
    if len(coords) != len(names):
        raise InputError(
            f"The solution takes {len(names)} coordinates, `solution({', '.join(names)})`, got {len(coords)}."
        )
    try:
        tensors = [torch.as_tensor(c, dtype=like.dtype, device=like.device) for c in coords]
        shape = torch.broadcast_shapes(*[t.shape for t in tensors])
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The coordinates {', '.join(names)} must be numbers, or arrays of shapes that can be broadcast: {error}. "
            "Write `solution(*numpy.meshgrid(...))` for all pairs of two lists."
        ) from error
    return torch.stack([t.broadcast_to(shape).reshape(-1) for t in tensors], dim=1), shape
