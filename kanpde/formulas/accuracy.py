"""What a formula is compared with: the solution's values and its problem's conditions, and how accurate they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
import sympy
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.jet import JetSpace
from kanpde.domains import Points
from kanpde.formulas.evaluate import as_function
from kanpde.formulas.refine import Equations
from kanpde.models.network import trained_size
from kanpde.problem import Problem
from kanpde.residuals.evaluation import Components, formula_fields
from kanpde.residuals.misfit import component_values, misfit_of
from kanpde.solution import Evaluable, Solution

SAMPLES, POINTS, CHECKS = 1000, 300, 2000
MOST_ROWS = 4000
DEPENDENT = 4.0  # standard deviations of the mean product of residuals of neighbours
LEAST = 1e-13  # relative error that is assumed at least,
LOOSE, LOOSEST = 3e-10, 0.02  # with which the first comparison is made, and the last
EDGE = 0.05  # share of the ranges of a table at both ends, where networks are less accurate


@dataclass(frozen=True)
class Evidence:
    """A solution as the evidence for formulas.

    Attributes:
        solution: that is read.
        problem: its problem without an ansatz, or that of its values where coordinates are held fixed.
        at: the coordinates that are held fixed.
        components: of the solution, with the ansatz applied.
        whole: the evidence without coordinates that are held fixed, if some are.
    """

    solution: Evaluable
    problem: Problem
    at: dict[str, float]
    components: Components
    whole: "Evidence | None" = None

    @property
    def is_table(self) -> bool:
        """Whether the formula is compared with rows of a table, or with the solution's values, and no equation."""
        return self.problem.is_fit

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """The box in which values are compared: the domain; of a table its inner part, as corners have few rows."""
        share = EDGE if self.is_table and not self.at else 0.0
        return tuple((a + share * (b - a), b - share * (b - a)) for a, b in self.problem.domain.ranges)

    @cached_property
    def sample(self) -> NDArray:
        """Random points (n, dim)."""
        lower, upper = np.array(self.ranges).T
        return lower + (upper - lower) * np.random.default_rng(1).uniform(size=(SAMPLES, len(lower)))

    def values(self, k: int) -> Callable[[NDArray], NDArray]:
        """Return unknown number k as a function from points (n, dim) to values (n,)."""
        space = JetSpace.spanned([()], self.problem.domain.space)

        def at(x: NDArray) -> NDArray:
            return self.components(torch.as_tensor(x, dtype=torch.float64), space)[0][:, k].numpy()

        return at

    @property
    def warned(self) -> bool:
        """Whether the run has a warning."""
        return isinstance(self.solution, Solution) and bool(self.solution.warnings)

    @cached_property
    def fresh(self) -> dict[str, Points]:
        """Points of all conditions for the final check."""
        return self._points(CHECKS, 1, is_fresh=True)

    @cached_property
    def equations(self) -> Equations:
        """The conditions at the points on which constants are refined."""
        points = self._points(POINTS, 2, is_fresh=False)
        sizes = {
            name: misfit_of(self.problem, name, self.components, at, self._coefficients).size
            for name, at in points.items()
        }
        usable = {name: size if size > 0 else 1.0 for name, size in sizes.items()}
        return Equations(self.problem, points, usable, self._coefficients)

    def _points(self, n: int, seed: int, is_fresh: bool) -> dict[str, Points]:
        generator = torch.Generator().manual_seed(seed)
        cpu = torch.device("cpu")
        found = {}
        for name, condition in self.problem.conditions.items():
            region = condition.region
            if region.is_measured and not is_fresh:
                found[name] = region.sample("uniform", min(region.rows or 0, MOST_ROWS), generator, cpu)
            else:
                found[name] = region.sample_fresh(n, generator, cpu)
        return found

    @property
    def _coefficients(self) -> dict[str, float]:
        return dict(self.solution.known_coefficients)

    def relative(self, components: Components) -> dict[str, float]:
        """Return the residual of every condition at fresh points, relative to its largest term."""
        return {
            name: misfit_of(self.problem, name, components, points, self._coefficients).relative
            for name, points in self.fresh.items()
        }

    def residuals(self, expressions: Sequence[sympy.Expr], symbols: Sequence[sympy.Symbol]) -> dict[str, float]:
        """Return the residuals of a formula; inf where they are not finite.

        For rows of a table they are relative to the deviation of the data, else to the largest term of the condition.
        """
        function = as_function(expressions, symbols)
        if self.is_table:
            return {name: self._on_rows(name, function) for name in self.fresh}
        return self.relative(formula_components(self.problem, function)) | self.seams(function)

    def seams(self, function: Callable) -> dict[str, float]:
        """Return the differences of a formula between the ends of periodic coordinates, relative to its size."""
        domain, found = self.problem.domain, {}
        for i in getattr(domain, "periodic", ()):
            x = torch.as_tensor(self.sample)
            low, high = x.clone(), x.clone()
            low[:, i], high[:, i] = domain.ranges[i]
            components = formula_components(self.problem, function)
            space = JetSpace.spanned([(), (i,)], domain.space)
            ends = [components(at, space) for at in (low, high)]
            gaps = [
                float((a - b).square().mean().sqrt() / a.square().mean().sqrt().clamp_min(1e-300))
                for a, b in zip(*ends, strict=True)
            ]
            found[f"periodic in {domain.names[i]}"] = max(gaps)
        return found

    def _on_rows(self, name: str, function: Callable) -> float:
        points = self.fresh[name]
        context = Context(self.problem.domain.names, self.problem.domain.space, points.x)
        assert points.data is not None
        with torch.no_grad():
            found = torch.stack([field.value for field in formula_fields(self.problem, function, context)], dim=1)
        return relative_error(found, points.data)

    @cached_property
    def error(self) -> float:
        """The accuracy of the solution, relative: its largest relative residual, or its error on rows kept back.

        A residual that the run has seen at its own points, such as a narrow peak, counts too.
        """
        if self.whole is not None:
            return self.whole.error
        if not self.is_table:
            last = self.solution.levels[-1:] if isinstance(self.solution, Solution) else []
            seen = [row.get(f"relative_{name}", 0.0) for row in last for name in self.problem.conditions]
            return max([*self.relative(self.components).values(), *seen], default=1.0)
        space = JetSpace.spanned([()], self.problem.domain.space)
        found = [relative_error(self.components(at.x, space)[0], at.data) for at in self.fresh.values()]
        return max(found)

    def scatters(self, expressions: Sequence[sympy.Expr], symbols: Sequence[sympy.Symbol]) -> bool:
        """Return whether rows scatter around a formula at random: neighbouring rows have independent residuals.

        What a wrong formula leaves is smooth, so that it has the same sign in neighbours. Among many inputs rows have
        no near neighbours, and the test says little.
        """
        function = as_function(expressions, symbols)
        for points in self.equations.points.values():
            context = Context(self.problem.domain.names, self.problem.domain.space, points.x)
            assert points.data is not None
            with torch.no_grad():
                fields = formula_fields(self.problem, function, context)
            x = points.x.numpy()
            scaled = (x - x.mean(axis=0)) / x.std(axis=0)
            near = np.asarray(KDTree(scaled).query(scaled, k=2)[1])[:, 1]
            for k, field in enumerate(fields):
                left = (field.value - points.data[:, k]).numpy()
                left = left - left.mean()
                if abs(float(np.mean(left * left[near]))) > DEPENDENT / sqrt(len(left)) * float(np.mean(left**2)):
                    return False
        return True

    @property
    def noises(self) -> list[float]:
        """Relative errors of the solution's values to try, in this order."""
        known = max(self.error, LEAST)
        if self.is_table and not self.at:
            rows = sum(c.region.rows or 0 for c in self.problem.conditions.values())
            model = self.solution.model if isinstance(self.solution, Solution) else None
            parameters = rows if model is None else trained_size(model)
            averaged = known * sqrt(min(1.0, parameters / max(1, rows)))
            return [each for each in (averaged, known, 10 * known, 100 * known) if each <= max(LOOSEST, averaged)]
        loose = max(known, LOOSE)  # the refined constants decide in the end, so a loose comparison loses nothing
        return [each for each in (3 * loose, 30 * loose, 0.1 * known) if LEAST / 10 <= each <= LOOSEST]


def relative_error(values: Tensor, data: Tensor | None) -> float:
    """Return the root mean square error over the deviation of the data, of the worst column."""
    assert data is not None
    data = data[:, : values.shape[1]]  # standard errors may follow
    return float(((values - data).square().mean(dim=0).sqrt() / data.std(dim=0, correction=0)).max())


def formula_components(problem: Problem, function: Callable) -> Components:
    """Return the values and derivatives of a function of the coordinates, in the form of a network's."""

    def at(x: Tensor, space: JetSpace):
        context = Context(problem.domain.names, problem.domain.space, x)
        fields = formula_fields(problem, function, context)

        with torch.no_grad():
            return [torch.stack([component_values(field, key) for field in fields], dim=1) for key in space.keys]

    return at
