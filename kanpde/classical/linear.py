r"""Linearization of residuals with respect to the unknowns, at every point.

For derivatives $d^\alpha u$ of the unknowns, $r(u + v) \approx r(u) + \sum_\alpha s_\alpha(x)\, d^\alpha v$ with slopes
$s_\alpha = \partial r / \partial (d^\alpha u)$, which reverse mode computes for all points at once because the residual
at a point depends on that point only.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kanpde.domains.box import require_box
from kanpde.domains.families import family_of, label_of, middle_of
from kanpde.errors import InputError
from kanpde.problem import Problem
from kanpde.residuals.engines import Rows
from kanpde.residuals.site import Site, fields_of, residual_values, site_of

Slot = tuple[int, int, tuple[int, ...]]  # image of the points (0: themselves), unknown, derivative
Slopes = Mapping[Slot, Tensor]  # per slot, one value per point


def linearised(site: Site, rows: Sequence[Rows], differentiable: bool = False) -> tuple[list[Tensor], list[Slopes]]:
    """Return the residuals of a site and their slopes.

    Args:
        site: a condition with points.
        rows: for every image of the points, the components of the network's outputs in the order of ``site.space``.
        differentiable: keep the graph, so that slopes can be differentiated with respect to the points.
    """
    leaves: dict[Slot, Tensor] = {}

    def read(image: int, unknown: int, key: tuple[int, ...]) -> Tensor:
        slot = (image, unknown, key)
        if slot not in leaves:
            leaves[slot] = rows[image][site.space.row[key]][:, unknown].detach().clone().requires_grad_()
        return leaves[slot]

    fields = []
    for image, context in enumerate(site.contexts):
        fields += fields_of(site.problem, context, lambda i, image=image: lambda key: read(image, i, key))
    values = residual_values(site.name, site.condition, fields, {})
    slopes = []
    for value in values:
        found = [None] * len(leaves)
        if value.requires_grad:
            found = torch.autograd.grad(
                value.sum(), list(leaves.values()), allow_unused=True, retain_graph=True, create_graph=differentiable
            )
        slopes.append({slot: g for slot, g in zip(leaves, found, strict=True) if g is not None})
    return [v if differentiable else v.detach() for v in values], slopes


def zeros(site: Site) -> list[Rows]:
    """Return the components of the zero function."""
    x = site.points.x
    return [[x.new_zeros(len(x), len(site.problem.unknowns)) for _ in site.space.keys] for _ in site.contexts]


def is_linear(problem: Problem, points: int = 8, tolerance: float = 1e-10) -> bool:
    """Return whether the slopes of all residuals agree at two random functions, so that the problem is linear."""
    generator = torch.Generator().manual_seed(0)
    for name, condition in problem.trained.items():
        site = site_of(problem, name, condition.region.sample("uniform", points, generator))
        seen: list[list[Slopes]] = []
        for _ in range(2):
            rows = [[torch.randn(z.shape, generator=generator, dtype=z.dtype) for z in image] for image in zeros(site)]
            seen.append(linearised(site, rows)[1])
        for first, second in zip(*seen, strict=True):
            largest = max((float(s.abs().max()) for s in first.values()), default=1.0)
            for slot, slope in first.items():
                if not float((slope - second[slot]).abs().max()) <= tolerance * largest:  # also true for NaN
                    return False
    return True


def check_solvable(problem: Problem, is_meshed: bool = False, most: int = 3) -> None:
    """Refuse problems that none of the classical solvers can solve; ``is_meshed`` is for solvers on such a domain.

    Raises:
        InputError: a domain that is not a `Box`, measured values, an integral, unknown coefficients, or too many
            coordinates for a tensor grid.
    """
    if family_of(problem.domain):
        raise InputError(
            "Classical solvers here solve one problem, and this is a family of them. Give values of its parameters: "
            f"problem_at(problem, {label_of(middle_of(problem.domain))})."
        )
    if not is_meshed:
        require_box(
            problem.domain,
            "A classical solver (Chebyshev collocation, finite elements)",
            "Measure errors against Problem(..., exact=...) instead.",
        )
    for name, condition in problem.conditions.items():
        if condition.region.is_measured:
            raise InputError(
                f'Classical solvers here take no measured values, and "{name}" has {condition.region.rows}.'
            )
        if condition.integral is not None:
            raise InputError(
                f'Classical solvers here take conditions at points only, and "{name}" prescribes an integral. Measure '
                "errors against Problem(..., exact=...) instead."
            )
    if problem.parameters:
        raise InputError(
            "Classical solvers here solve for the unknowns alone, and this is an inverse problem with the parameters "
            f"{', '.join(problem.parameters)}. Put their values into the residual and leave `parameters` out."
        )
    if len(problem.domain.names) > most:
        raise InputError(
            f"Classical solvers here take up to {most} coordinates, got {len(problem.domain.names)}; the grid would be "
            "too large. Choose a problem of fewer dimensions."
        )
