"""Parts of a boundary on which a problem gives no condition.

An equation of second order needs a condition on the whole boundary. Without one a network continues the solution
smoothly through the part, for example across a hole as if it were not there, with residuals and an estimate that are
small. Which faces of a box need one, `kanpde.residuals.free_faces` says.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kanpde.domains.box import Box
from kanpde.domains.parts import Parts
from kanpde.domains.region import Region
from kanpde.errors import ResultWarning
from kanpde.problem import Problem
from kanpde.residuals.free_faces import FreeFace, free_faces
from kanpde.residuals.singularities import has_second_derivatives

WHOLE = "boundary"
SAMPLES, DENSE = 24, 1000  # points of a part that are looked for among those of others


def free_parts(problem: Problem) -> list[str]:
    """Return the names of the parts of the boundary that no condition is about.

    It is empty where this cannot be known or may be intended: on several parts, with regions of the user on shapes,
    with a user's `Ansatz` there, with measured values, and for equations without second derivatives in space.
    """
    if isinstance(problem.domain, Box):
        return list(dict.fromkeys(face.label for face in free_faces(problem)))
    domain, conditions = problem.domain, list(problem.conditions.values())
    parts = {} if isinstance(domain, Parts) else dict(domain.parts)
    own = {*parts, WHOLE, domain.interior.label}
    is_unknown = any(c.region.is_measured or c.region.label not in own for c in conditions)
    if not parts or is_unknown or (problem.ansatz is not None and not problem.ansatz.satisfies):
        return []
    given = {c.region.label for c in conditions if c.integral is None and not c.region.is_interior}
    walls = {name: part for name, part in parts.items() if name != WHOLE and _few(part).normal is not None}
    if WHOLE in given or not walls.keys() - given or not has_second_derivatives(problem):
        return []
    known = [walls[name] for name in walls if name in given]
    free = [name for name in walls if not _is_covered(walls[name], known)]
    return [name for name in free if not any(_is_within(walls[other], walls[name]) for other in free if other != name)]


def _few(part: Region):
    return part.sample("gauss", SAMPLES)


def _is_covered(part: Region, others: list[Region]) -> bool:
    """Return whether at least half of some points of a part lie on others."""
    x = _few(part).x
    on_any = torch.stack([_lies_on(x, other) for other in others]).any(dim=0) if others else torch.zeros(len(x))
    return bool(2 * on_any.sum() >= len(x))


def _is_within(part: Region, whole: Region) -> bool:
    """Return whether a part lies on another one that is larger."""
    return _is_covered(part, [whole]) and not _is_covered(whole, [part])


def _lies_on(x: Tensor, part: Region) -> Tensor:
    """Return whether points are as near to points of a part as these are to each other."""
    dense = part.sample("gauss", DENSE).x
    nearest = torch.cdist(dense, dense).fill_diagonal_(torch.inf).amin(dim=1)
    return torch.cdist(x, dense).amin(dim=1) <= 2 * nearest.max()


def free_part_warnings(problem: Problem) -> list[ResultWarning]:
    """Return a warning that names the parts of the boundary without a condition."""
    if isinstance(problem.domain, Box):
        return _face_warnings(free_faces(problem))
    found = free_parts(problem)
    return [_warning(", ".join(f'"{name}"' for name in found), f'domain.part("{found[0]}")')] if found else []


def _face_warnings(found: list[FreeFace]) -> list[ResultWarning]:
    """Return a warning for every group of unknowns without a condition on the same faces."""
    by_unknown: dict[str | None, list[FreeFace]] = {}
    for face in found:
        by_unknown.setdefault(face.unknown, []).append(face)
    return [
        _warning(
            ", ".join(f'"{face.label}"' for face in faces),
            f'domain.face("{faces[0].coordinate}", {faces[0].side})',
            unknown,
        )
        for unknown, faces in by_unknown.items()
    ]


def _warning(named: str, region: str, unknown: str | None = None) -> ResultWarning:
    """Return the warning of some parts, with the condition to write on the first of them."""
    equations, about, of = "the equation has second derivatives", "", ""
    if unknown is not None:
        equations, about, of = f"{unknown} has second derivatives", f" for {unknown}", f', unknown="{unknown}"'
    message = (
        f"No condition{about} is about {named} of the boundary, and {equations}. The conditions do not determine the "
        "solution; what is found continues smoothly through there."
    )
    zero_flux = f"neumann({region}, 0.0{of})"
    return ResultWarning(message, advice=f"Give its flux, `{zero_flux}`, or its values by `dirichlet`.")
