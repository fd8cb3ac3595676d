"""The stored fields of a solution, their mesh and times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import meshio
import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.calculus.field import Field
from kanpde.calculus.systems import check_vectors
from kanpde.domains.facets import boundary_mesh
from kanpde.domains.families import members_of, middle_of
from kanpde.errors import InputError, suggest
from kanpde.problem import Problem
from kanpde.residuals.evaluation import exact_fields
from kanpde.solution import Solution
from kanpde.storage.vtkhdf import check_mesh

_BATCH = 20_000  # points evaluated at once, to limit the memory
_PART = "part"  # the position of the part, on a domain of several
_RESERVED = ("exact", "error", "estimated_error", "residual")


@dataclass(frozen=True)
class Output:
    """Resolution of the stored fields, which are for pictures; elsewhere the stored network is evaluated.

    Args:
        cells: cells of the mesh along every axis; None takes 100 in one and two dimensions, 24 in three, and 1000 over
            time alone.
        times: number of times over the range of t, both ends included, if the problem has t besides space.
        slices: coordinate -> the value at which it is held fixed. A mesh has at most three dimensions; coordinates
            beyond the third that are not named here are held at three quarters of their range
            (many test solutions vanish in the middle).
        members: of a family, parameter -> values; each combination of them has a file of its own, with the other
            parameters in the middle of their ranges. Without them these are the ends and the middles of all ranges.
        vectors: name -> one to three unknowns that are also stored as one vector, besides `Problem.vectors`.
        film: whether a run of the command line also writes film.gif (`kanpde.plots.film`).
    """

    cells: int | None = None
    times: int = 21
    slices: Mapping[str, float] = field(default_factory=dict)
    members: Mapping[str, Sequence[float]] = field(default_factory=dict)
    vectors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    film: bool = False

    def __post_init__(self):
        if self.cells is not None and (not isinstance(self.cells, int) or self.cells < 1):
            raise InputError(f"cells must be a positive whole number, got {self.cells}.", write={"cells": 100})
        if not isinstance(self.times, int) or self.times < 2:
            raise InputError(f"times must be a whole number of at least 2, got {self.times}.", write={"times": 21})
        if not isinstance(self.film, bool):
            raise InputError(f"film must be true or false, got {self.film}.", write={"film": True})

    def count(self, dim: int, over_time: bool = False) -> int:
        """Return the number of cells along every axis of a mesh with ``dim`` dimensions, or over time alone."""
        return self.cells or (1000 if over_time else 24 if dim == 3 else 100)

    def axes(self, problem: Problem) -> tuple[list[int], dict[int, float]]:
        """Return the positions of the coordinates that the mesh spans, and the values of the fixed ones by position.

        Without space the mesh is the interval of time.
        """
        domain = problem.domain
        if domain.time is not None and not domain.space and not self.slices:
            return [domain.time], {}
        space = [domain.names[i] for i in domain.space]
        fixed = {}
        for name, value in self.slices.items():
            if name in middle_of(domain):
                raise InputError(
                    f'slices has "{name}", which is a parameter of the family.',
                    write={"members": {name: [value]}},
                    of="output",
                )
            if name not in space:
                raise InputError(f'slices has "{name}", which is not a spatial coordinate. {suggest(name, space)}')
            lower, upper = domain.ranges[domain.names.index(name)]
            if not lower <= value <= upper:
                raise InputError(f"The slice {name}={value:g} is outside the domain's range [{lower:g}, {upper:g}].")
            fixed[domain.names.index(name)] = float(value)
        free = [i for i in domain.space if i not in fixed]
        if not free:
            raise InputError(f"slices holds all of {', '.join(space)} fixed. Leave at least one of them out.")
        return free[:3], fixed | {
            i: domain.ranges[i][0] + 0.75 * (domain.ranges[i][1] - domain.ranges[i][0]) for i in free[3:]
        }

    def check(self, problem: Problem) -> None:
        """Check that the output is possible for the problem.

        Raises:
            InputError: a slice, a vector, a name or the domain's mesh is invalid.
        """
        members_of(problem.domain, self.members)
        mesh = problem.domain.mesh(1, self.axes(problem)[0])
        check_mesh(mesh)
        check_vectors(self.vectors, problem.unknowns, least=1, of="output")
        names = [*problem.unknowns, *problem.vectors, *self.vectors]
        for name in names:
            is_part = name == _PART and _PART in mesh.point_data
            if is_part or names.count(name) > 1 or _is_taken(name, [*problem.unknowns, *problem.conditions]):
                raise InputError(f'Two stored fields would be called "{name}". Choose another name for it.')
        for name in (*names, *problem.conditions, *problem.parameters):
            if "/" in name or not name:
                raise InputError(f'The name "{name}" cannot be stored. Use letters, digits and "_".')


def _is_taken(name: str, others: Sequence[str]) -> bool:
    """Return whether a stored field other than an unknown can have that name, such as error_v or residual_pde_1."""
    for kind in _RESERVED:
        rest = name.removeprefix(f"{kind}_")
        if name == kind or (rest != name and any(rest == other or rest.startswith(f"{other}_") for other in others)):
            return True
    return False


def sample(solution: Solution, output: Output) -> tuple[meshio.Mesh, NDArray | None, dict[str, NDArray]]:
    """Return the mesh, the times, and the fields, (steps, points) or for vectors (steps, points, 3).

    The times are None without t, and where the mesh is the interval of time.

    A slice has NaN at mesh points outside the domain.
    """
    domain = solution.problem.domain
    free, _ = output.axes(solution.problem)
    mesh = domain.mesh(output.count(len(free), not domain.space), free)
    times = None if domain.time in (None, *free) else np.linspace(*domain.ranges[domain.time], output.times)
    return mesh, times, _series(solution, output, mesh, times)


def sample_boundary(
    solution: Solution, output: Output, times: NDArray | None
) -> tuple[meshio.Mesh, dict[str, NDArray]] | None:
    """Return a mesh of the boundary with the numbers of its parts, and the fields there.

    Its cell data are those of `kanpde.domains.facets.boundary_mesh`. None if the stored mesh is a slice, or the domain
    has no boundary of lines or faces.
    """
    free, fixed = output.axes(solution.problem)
    mesh = None if fixed else boundary_mesh(solution.problem.domain, output.count(len(free)))
    if mesh is None:
        return None
    return mesh, _series(solution, output, mesh, times)


def _series(solution: Solution, output: Output, mesh: meshio.Mesh, times: NDArray | None) -> dict[str, NDArray]:
    """Return the fields at mesh points and all times."""
    domain = solution.problem.domain
    free, fixed = output.axes(solution.problem)
    x = torch.empty(len(mesh.points), len(domain.names)).to(next(solution.model.parameters()))
    x[:, free] = torch.as_tensor(mesh.points[:, : len(free)]).to(x)
    for position, value in fixed.items():
        x[:, position] = value
    own = mesh.point_data.get(_PART)  # of a domain of several parts
    sides = None if own is None else torch.as_tensor(own, device=x.device)
    steps = []
    for time in [None] if times is None else times:
        if time is not None:
            x[:, domain.time] = float(time)
        steps.append(_fields(solution, output, x, sides, is_slice=bool(fixed)))
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def _fields(
    solution: Solution, output: Output, x: torch.Tensor, sides: torch.Tensor | None, is_slice: bool
) -> dict[str, NDArray]:
    """Return all stored fields at the points x; ``sides`` are the parts of the domain to which they belong."""
    if sides is None:
        fields = _joined([_batch(solution, piece) for piece in x.split(_BATCH)])
    else:  # mesh points on an interface belong to one part
        kinds = [(k, piece) for k in sides.unique().tolist() for piece in (sides == k).nonzero()[:, 0].split(_BATCH)]
        found = _joined([_batch(solution, x[at], k) for k, at in kinds])
        order = torch.cat([at for _, at in kinds]).argsort().cpu().numpy()
        fields = {name: values[order] for name, values in found.items()} | {_PART: sides.cpu().numpy()}
    if is_slice:
        outside = ~solution.problem.domain.contains(x).cpu().numpy()
        for values in fields.values():
            values[outside] = np.nan
    for name, members in {**solution.problem.vectors, **output.vectors}.items():
        columns = [fields[m] for m in members]
        fields[name] = np.stack([*columns, *[np.zeros_like(columns[0])] * (3 - len(columns))], axis=1)
    return fields


def _joined(batches: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, NDArray]:
    return {name: torch.cat([b[name] for b in batches]).cpu().numpy() for name in batches[0]}


def _batch(solution: Solution, x: torch.Tensor, side: int | None = None) -> dict[str, torch.Tensor]:
    problem = solution.problem

    def ask(*unknowns: Field):
        return [u.value for u in unknowns], [e.value for e in exact_fields(problem, unknowns[0].context)]

    values, exact = solution.fields(x, ask, side)
    fields = dict(zip(problem.unknowns, values, strict=True))
    for name, value, wanted in zip(problem.unknowns, values, exact, strict=False):
        suffix = f"_{name}" if len(problem.unknowns) > 1 else ""
        fields |= {f"exact{suffix}": wanted, f"error{suffix}": value - wanted}
    for name, error in zip(problem.unknowns, solution.estimated_errors(x, side), strict=False):
        fields["estimated_error" + (f"_{name}" if len(problem.unknowns) > 1 else "")] = error
    inside = [name for name, c in problem.conditions.items() if c.region.is_interior]
    with torch.no_grad():
        for name in inside:
            residuals = solution.residual(name, x, side=side)
            several = len(inside) > 1 or len(residuals) > 1
            for k, residual in enumerate(residuals, start=1):
                number = f"_{k}" if len(residuals) > 1 else ""
                fields[f"residual_{name}{number}" if several else "residual"] = residual
    return fields
