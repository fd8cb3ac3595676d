"""What a classical solver found, evaluated and measured like the networks' solutions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kanpde.calculus.operators import diff
from kanpde.problem import Problem
from kanpde.solution import Components, Errors, asked_of, evaluate


@dataclass(frozen=True)
class ClassicalSolution:
    """Call it with coordinates, like a `Solution`: ``solution(x, y)``.

    Attributes:
        problem: what was solved.
        method: the solver.
        degree: of the polynomials.
        unknowns: of the systems of equations.
        seconds: of assembly and solution, without imports.
        components: values and derivatives at points.
        note: what else there is to say.
    """

    problem: Problem
    method: str
    degree: int
    unknowns: int
    seconds: float
    components: Components
    note: str = ""

    def __call__(self, *coords):
        """The unknown (or a tuple of all of them) at the coordinates, which are broadcast against each other."""
        return evaluate(self.problem, coords, torch.empty(0, dtype=torch.float64), self.fields, lambda u: u)

    def diff(self, *names: str) -> Callable[..., Any]:
        """A function of the coordinates: the partial derivative, ``solution.diff("x", "x")(x, y)``."""
        like = torch.empty(0, dtype=torch.float64)
        return lambda *coords: evaluate(self.problem, coords, like, self.fields, lambda u: diff(u, *names))

    def fields(self, x: Tensor, ask: Callable[..., Any]) -> Any:
        """``ask(*unknowns)`` with the unknowns as fields at the points x (points, dim)."""
        return asked_of(self.problem, self.components, x, ask)

    def errors(self) -> dict[str, dict[str, float]]:
        """Per unknown, relative L2, H1 and max errors on the test points; empty without ``exact``."""
        return Errors(self.problem, torch.device("cpu"), torch.float64).of(self.components)
