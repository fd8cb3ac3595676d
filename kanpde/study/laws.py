"""Sizes and errors of the levels of a study's runs by family, for scaling laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, nan

from kanpde.plots.axes import number
from kanpde.plots.slopes import last_of_each_size
from kanpde.study.csv_rows import Row
from kanpde.study.outcomes import Outcome, Study
from kanpde.study.scaling import Law, fit_law


@dataclass
class Points:
    """Levels of all runs of a family: sizes, errors and seeds, in the same order."""

    sizes: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)

    def law(self) -> Law:
        return fit_law(self.sizes, self.errors, self.seeds)


def families(study: Study) -> dict[str, list[Outcome]]:
    """Finished runs by family: arms that differ only in size name the same ``family`` in study.yaml."""
    found: dict[str, list[Outcome]] = {}
    for arm, about in study.arms.items():
        runs = [run for run in study.of(arm) if run.levels]
        found.setdefault(str(about.get("family") or arm), []).extend(runs)
    return {family: runs for family, runs in found.items() if runs}


def points(runs: list[Outcome], size: str, error: str) -> Points:
    """The last level of each size of each run, without levels whose weights were discarded.

    Args:
        runs: of one family.
        size: ``parameters`` or ``grid``.
        error: ``l2``, ``h1``, ``max``, or ``loss`` for its square root.
    """
    found = Points()
    for run in runs:
        for level in (run.levels[k] for k in last_of_each_size(run.levels, size)):
            reached = number(level.get(error))
            if isfinite(reached) and reached > 0:
                found.sizes.append(number(level.get(size)))
                found.errors.append(reached**0.5 if error == "loss" else reached)
                found.seeds.append(run.seed)
    return found


def step_costs(runs: list[Outcome]) -> Points:
    """Seconds of a step of every level with at least three steps, against parameters."""
    found = Points()
    for run in runs:
        for level in run.levels:
            steps, seconds = number(level.get("steps")), number(level.get("seconds"))
            if steps >= 3 and seconds > 0:
                found.sizes.append(number(level.get("parameters")))
                found.errors.append(seconds / steps)
                found.seeds.append(run.seed)
    return found


def several_sizes(collected: dict[str, Points]) -> bool:
    return any(len(set(found.sizes)) > 1 for found in collected.values())


def theory(runs: list[Outcome], kind: str) -> float:
    """Return the theoretical order of a KAN of B-splines: degree + 1, in H1 degree; nan for other networks and √loss.

    The error of the best spline of degree k on a grid of width h is of order h^(k+1) in L2, h^k in H1, if the functions
    on the edges are smooth (Liu et al. 2024, KAN: Kolmogorov-Arnold Networks, theorem 2.1, for any dimension). This
    assumes that the solution is exactly such a network, and that training finds the best one. A spline on a tensor grid
    in d dimensions would have the order (degree + 1) / d in its number of unknowns.
    """
    models: list[Row] = [run.settings.get("model") or {} for run in runs]
    degrees = {model.get("degree") if model.get("basis") == "bspline" else None for model in models}
    degree = degrees.pop() if len(degrees) == 1 else None
    order = {"l2": 1, "max": 1, "h1": 0}.get(kind, nan)
    return nan if degree is None else float(degree) + order


def grids(runs: list[Outcome], size: str) -> dict[float, float]:
    """Return the grid by size; at a fixed width the parameters grow like cells + degree, not in proportion to cells."""
    return {number(level.get(size)): number(level.get("grid")) for run in runs for level in run.kept}


def collect(study: Study, size: str, error: str) -> dict[str, Points]:
    """`points` of every family that has any."""
    return _with_any(study, lambda runs: points(runs, size, error))


def costs(study: Study) -> dict[str, Points]:
    """`step_costs` of every family that has any."""
    return _with_any(study, step_costs)


def _with_any(study: Study, pick: Callable[[list[Outcome]], Points]) -> dict[str, Points]:
    found = {family: pick(runs) for family, runs in families(study).items()}
    return {family: collected for family, collected in found.items() if collected.sizes}
