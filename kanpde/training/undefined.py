"""Residuals and prescribed values that are no finite numbers: where they are."""

import torch

from kanpde.calculus.context import Context
from kanpde.calculus.field import coordinate
from kanpde.calculus.systems import flattened, value_at
from kanpde.domains.touching import place
from kanpde.errors import InputError
from kanpde.residuals.objective import Objective
from kanpde.training.settings import Settings

POINTS = 1000  # for each condition


def check_values(settings: Settings) -> None:
    """Check that the prescribed values are finite, at quadrature points with those near the edges.

    Raises:
        InputError: one of them is not.
    """
    problem, domain = settings.problem, settings.problem.domain
    for name, condition in problem.conditions.items():
        if condition.given is None or not any(map(callable, flattened(condition.given.value))):
            continue
        region = condition.region
        generator = torch.Generator(settings.device).manual_seed(0)
        points = region.sample(
            "gauss" if len(domain.names) <= 3 else "uniform", POINTS, generator, settings.device, settings.dtype
        )
        side = region.sides[0] if region.sides else None
        context = Context(domain.names, domain.space, points.x, points.normal, points.data, side=side)
        try:
            values = flattened(value_at(condition.given.value, coordinate(context, 0)))
        except InputError as error:
            raise error.about(f'Condition "{name}"') from error
        for value in values:
            number = getattr(value, "value", value)
            wrong = ~torch.as_tensor(number, device=points.x.device).isfinite().expand(len(points.x))
            if bool(wrong.any()):
                at = points.x[wrong][0]
                found = float(torch.as_tensor(number, device=points.x.device).expand(len(points.x))[wrong][0])
                raise InputError(
                    f'The prescribed values of condition "{name}" must be finite, got {found:g} at '
                    f"{place(domain, at)}. The function probably has a root or logarithm of a negative number there, "
                    "or divides by 0. Write `torch.where(condition, a, b)` where it has two formulas, or "
                    "`x.clamp(min=1e-12)` before a root."
                )


def where_undefined(objective: Objective, name: str) -> str:
    """Return a point at which a condition's residual is not finite, in words; "" if it is finite or at no point is."""
    for site in objective.sites:
        points = getattr(site, "points", None)
        if site.name != name or points is None:
            continue
        with torch.set_grad_enabled(objective.engine == "autograd"):
            wrong = ~objective.residuals(site).detach().view(-1, len(points.x)).isfinite().all(dim=0)
        if bool(wrong.any()) and not bool(wrong.all()):
            return place(objective.problem.domain, points.x[wrong][0])
    return ""
