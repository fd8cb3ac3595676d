"""Solutions of classical solvers, with the same evaluation and error measures as for networks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kanpde.problem import Problem
from kanpde.residuals.accuracy import Errors
from kanpde.residuals.evaluation import Components
from kanpde.solution import Evaluable


@dataclass(frozen=True)
class ClassicalSolution(Evaluable):
    """Call it with coordinates, like a `Solution`: ``solution(x, y)``.

    Attributes:
        problem: the problem that was solved.
        method: name of the solver.
        degree: degree of the polynomials.
        unknowns: number of unknowns of the linear system.
        seconds: time for assembly and solution, without imports.
        found: computes values and derivatives at points.
        note: further information.
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
        """By unknown, relative L2, H1 and max errors on the test points; empty without ``exact``."""
        return Errors(self.problem, torch.device("cpu"), torch.float64).all(self.components)
