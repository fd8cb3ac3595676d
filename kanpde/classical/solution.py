"""What a classical solver found, evaluated and measured like the networks' solutions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.problem import Problem
from kanpde.residuals.evaluation import Components
from kanpde.solution import Errors, Evaluable


@dataclass(frozen=True)
class ClassicalSolution(Evaluable):
    """Call it with coordinates, like a `Solution`: ``solution(x, y)``.

    Attributes:
        problem: what was solved.
        method: the solver.
        degree: of the polynomials.
        unknowns: of the systems of equations.
        seconds: of assembly and solution, without imports.
        found: values and derivatives at points.
        note: what else there is to say.
    """

    problem: Problem
    method: str
    degree: int
    unknowns: int
    seconds: float
    found: Components
    note: str = ""

    @property
    def components(self) -> Components:
        return self.found

    @property
    def like(self) -> Tensor:
        return torch.empty(0, dtype=torch.float64)

    def errors(self) -> dict[str, dict[str, float]]:
        """Per unknown, relative L2, H1 and max errors on the test points; empty without ``exact``."""
        return Errors(self.problem, torch.device("cpu"), torch.float64).of(self.components)
