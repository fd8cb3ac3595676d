"""Solutions as programs of torch.export and as ONNX models."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor, nn

from kanpde.calculus.context import Context
from kanpde.errors import InputError
from kanpde.models.several import require_one_network
from kanpde.models.trajectory import Trajectory
from kanpde.models.windows import Windows
from kanpde.residuals.site import fields_of
from kanpde.solution import Solution
from kanpde.storage.folders import writable

EXAMPLES = 50  # about so many points are evaluated while the operations are recorded


class Values(nn.Module):
    """The unknowns of a solution at points: (points, dim) -> (points, unknowns), with the problem's ansatz."""

    def __init__(self, solution: Solution):
        super().__init__()
        self.model, self.problem = deepcopy(solution.model).cpu().eval().requires_grad_(False), solution.problem

    def forward(self, points: Tensor) -> Tensor:
        outputs, domain = self.model(points), self.problem.domain
        context = Context(domain.names, domain.space, points)
        unknowns = fields_of(self.problem, context, lambda i: lambda key: outputs[:, i])
        return torch.stack([u.value for u in unknowns], dim=1)


def to_torch(solution: Solution, path: str | Path | None = None) -> torch.export.ExportedProgram:
    """Return the solution as a program of torch.export: points (points, dim) -> values (points, unknowns).

    ``program.module()`` is called with the coordinates as columns, in the precision of the network, for any number of
    points from 1 on. It includes built-in values and ansatz. Outside the domain the values are those of
    ``solution(..., extrapolate=True)``. Its operations are plain, so ``torch.autograd.grad`` differentiates it as often
    as the network is differentiable; `Solution.diff` is faster.

    Args:
        solution: of any one network.
        path: a file .pt2 to which the program is also saved; ``torch.export.load(path).module()`` loads it without this
            package.

    Raises:
        InputError: the solution consists of windows of time, or the file's name does not end with .pt2, or it cannot be
            written.
    """
    if path is not None and Path(path).suffix != ".pt2":
        raise InputError(f'The file must have a name that ends with .pt2, got "{path}".', write={"path": "model.pt2"})
    program = exported(solution)
    if path is not None:
        path = writable(path)
        with catch_warnings():
            simplefilter("ignore")  # on parts of tensors, which are saved correctly
            torch.export.save(program, path)
    return program


def exported(solution: Solution) -> torch.export.ExportedProgram:
    """Return the program of `to_torch`."""
    require_one_network(solution.model, "An exported function")
    if isinstance(solution.model, (Windows, Trajectory)):
        raise InputError(
            "The solution consists of windows of time, chosen by the values of t, which torch.export cannot record.",
            advice="Use `to_numpy` or `write_numpy`, which have windows of time.",
        )
    with catch_warnings():
        simplefilter("ignore")  # on the inside of PyTorch
        return torch.export.export(Values(solution), (example(solution),), dynamic_shapes=(dynamic(),))


def example(solution: Solution) -> Tensor:
    """Return points all over the domain, (points, dim)."""
    dtype = next(solution.model.parameters()).dtype
    points = solution.problem.domain.test_points(torch.device("cpu"), dtype)
    return points[:: max(1, len(points) // EXAMPLES)].contiguous()


def dynamic() -> dict[int, Any]:
    """Return the dynamic shape of the points: their number is free."""
    return {0: torch.export.Dim("points", min=1)}
