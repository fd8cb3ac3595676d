"""Fewer equations inside a domain than unknowns: an unknown is then arbitrary, whatever the residuals are."""

from __future__ import annotations

from kanpde.domains.parts import Parts
from kanpde.domains.region import Region
from kanpde.errors import ResultWarning
from kanpde.hard_constraints.built_in import WithValues
from kanpde.problem import Problem
from kanpde.residuals.probes import probe

FEW = 8  # points of a region


def equations_of(problem: Problem) -> int | None:
    """Return the number of equations in the whole domain; None if something else may determine unknowns.

    That is measured values, a condition at places inside the domain or at a later time, an equation in a part of the
    domain, or a user's `Ansatz`.
    """
    domain, conditions = problem.domain, problem.conditions
    if isinstance(domain, Parts) or (problem.ansatz and not isinstance(problem.ansatz.function, WithValues)):
        return None
    inside = [name for name, c in conditions.items() if c.region.is_interior and not c.region.is_measured]
    others = [c.region for name, c in conditions.items() if name not in inside and c.integral is None]
    parts = {*domain.parts}
    if not inside or any(conditions[name].region.label != domain.interior.label for name in inside):
        return None
    if any(each.is_measured or (each.label not in parts and not _is_place(each)) for each in others):
        return None
    points = domain.interior.sample("uniform", FEW)
    return sum(len(probe(problem, name, points).residuals) for name in inside)


def _is_place(region: Region) -> bool:
    """Return whether a region is one place in space, which fixes a constant and no function of space."""
    x = region.sample("uniform", FEW).x[:, list(region.space)]
    return x.shape[1] > 0 and bool((x == x[0]).all())


def equation_warnings(problem: Problem) -> list[ResultWarning]:
    """Return a warning if there are fewer equations than unknowns."""
    names, needed = ", ".join(problem.unknowns), len(problem.unknowns)
    count = equations_of(problem) if needed > 1 else None
    if count is None or count >= needed:
        return []
    vector_of = {each: vector for vector, members in problem.vector_unknowns.items() for each in members}
    arguments = ", ".join(dict.fromkeys(vector_of.get(each, each) for each in problem.unknowns))
    equations = ", ".join(f"equation_{i + 1}" for i in range(needed))
    message = (
        f"{needed} unknowns ({names}), and the conditions inside give {count} equation{'s' * (count > 1)}; expected "
        f"{needed}. An equation was probably forgotten, and what is found is one solution of many."
    )
    advice = (
        f"Give the others, `Condition(domain.interior, lambda {arguments}: ({equations}))`, or measured values, "
        f'`data(domain, table, "{problem.unknowns[-1]}")`.'
    )
    return [ResultWarning(message, advice=advice)]
