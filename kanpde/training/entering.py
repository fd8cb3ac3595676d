"""The beginning of a leg: refine the network, draw the points, set the weights."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from statistics import geometric_mean
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.calculus.coefficients import as_coefficients, first_values
from kanpde.models.network import Network, grid_of, is_separable
from kanpde.problem import Problem
from kanpde.residuals.automatic_weights import EXACTNESS, automatic_weights, weights_of_data
from kanpde.residuals.evaluation import asked_of, components_of
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import sites_of
from kanpde.thinning.penalty import Penalised
from kanpde.training.building import built
from kanpde.training.fresh import draw, rule_of, size_of
from kanpde.training.phases import Phase
from kanpde.training.sampling import MOST_POINTS
from kanpde.training.settings import Settings
from kanpde.training.state import Candidate, Leg, State
from kanpde.training.surroundings import Surroundings


def new_network(
    settings: Settings, generator: torch.Generator, start: int = 0
) -> tuple[nn.Module, nn.Parameter | None]:
    """Return an untrained network and the first values of the problem's coefficients."""
    return built(settings, generator), first_coefficients(settings, start)


def first_coefficients(settings: Settings, start: int = 0) -> nn.Parameter | None:
    """Return the numbers trained in the place of the coefficients, as one of several starts begins.

    Beside measured values every start has other first values. Without them, as for an eigenvalue, the solution nearest
    to the given ones is wanted.
    """
    problem = settings.problem
    if not problem.parameters:
        return None
    number = start if _has_data(problem) else 0
    known = first_values(problem.parameters, number, settings.starts, settings.seed)
    first = [coefficient.trained for coefficient in known.values()]
    return nn.Parameter(torch.tensor(first, device=settings.device, dtype=settings.dtype))


def _has_data(problem: Problem) -> bool:
    return any(condition.region.is_measured for condition in problem.trained.values())


def first_state(settings: Settings) -> State:
    """Return the initial state of a run."""
    generator = torch.Generator(device=settings.device).manual_seed(settings.seed)
    network, coefficients = new_network(settings, generator)
    plan = settings.phases
    if settings.tolerance is not None:
        plan = plan[:1]
        if is_separable(network):
            plan = [replace(plan[0], sampling=settings.sampling.for_products(size_of(network)))]
    return State(network, coefficients, generator, tuple(plan))


def enter(settings: Settings, state: State, around: Surroundings) -> State:
    """Begin a leg: bring the network to the phase's grid, draw points and set weights."""
    began, phase, before = around.clock.seconds(), state.plan[state.phase], None
    if state.phase:
        before = Candidate(*deepcopy((state.network, state.coefficients)))
        _free(settings.problem, state.coefficients)
    elif state.start:
        network, coefficients = new_network(settings, state.generator, state.start)
        state = replace(state, network=network, coefficients=coefficients)
    regrid(settings, state.network, phase, around)
    sampling = phase.sampling or settings.sampling
    if settings.problem.is_fit and not state.phase and len(state.plan) > 1:
        region = next(iter(settings.problem.trained.values())).region
        sampling = sampling.for_first_phase(region, size_of(state.network))
    least = state.used["points"] if "pruned" in state.used else None  # a small network of high degree needs as many
    points = draw(settings, state.network, sampling, state.generator, least=least)
    points |= {name: cells.points() for name, cells in state.cells.items()}
    # all starts use the weights of the first one, so that their losses can be compared; so do all levels of a tolerance
    keeps = state.start or (state.phase and settings.tolerance is not None)
    weights = state.used["weights"] if keeps else chosen_weights(settings, state, points)
    counts = {name: len(p.x) for name, p in points.items()}
    used = {"rule": rule_of(settings, sampling), "points": counts, "weights": dict(weights)}
    used |= {key: value for key, value in state.used.items() if key == "pruned"}
    return replace(state, leg=Leg(points, weights, began, before), used=used)


@torch.no_grad()
def _free(problem: Problem, coefficients: nn.Parameter | None) -> None:
    """Move coefficients that have reached a bound inside again; only if the data ask for it they return there."""
    if coefficients is not None:
        own = as_coefficients(problem.parameters).values()
        freed = [c.freed(z) for c, z in zip(own, coefficients.tolist(), strict=True)]
        coefficients.copy_(coefficients.new_tensor(freed))


def objective_of(settings: Settings, state: State, leg: Leg) -> Objective:
    """Return the objective of a leg, with the penalty of its phase if there is one."""
    penalty, network = state.plan[state.phase].penalty, state.network
    if penalty and isinstance(network, Network):
        others = leg.points, leg.weights, state.coefficients, settings.derivatives
        return Penalised(settings.problem, network, *others, penalty)
    return Objective(settings.problem, network, leg.points, leg.weights, state.coefficients, settings.derivatives)


def chosen_weights(settings: Settings, state: State, points: Mapping[str, Any]) -> dict[str, float]:
    """Return the user's weights, and automatic ones for the other conditions.

    Starts whose coefficients have different first values share the geometric means of their weights. If a further phase
    follows them, data with known standard errors count in these as much as an equation: where it already holds exactly,
    coefficients reach only the nearest local minimum.
    """
    sites, problem = sites_of(settings.problem, points), settings.problem
    coefficients: list[Tensor | None] = [state.coefficients]
    exactness = EXACTNESS
    if not state.phase and settings.starts > 1 and problem.parameters and _has_data(problem):
        coefficients = [first_coefficients(settings, k) for k in range(settings.starts)]
        exactness = 1.0 if len(state.plan) > 1 else EXACTNESS
    found = []
    for each in coefficients:
        automatic = automatic_weights(state.network, sites, each, settings.derivatives)
        found.append({**automatic, **weights_of_data(problem, automatic, exactness)})
    means = found[0] if len(found) == 1 else {n: geometric_mean([each[n] for each in found]) for n in found[0]}
    return {**means, **settings.weights}


def spread_points(settings: Settings, around: Surroundings) -> Tensor:
    """Return points all over the domain, or the measured points if the problem has no others, (points, dim)."""
    if not settings.problem.is_fit:
        return around.errors.x
    regions = [condition.region for condition in settings.problem.trained.values()]
    generator = torch.Generator(settings.device).manual_seed(settings.seed)
    return regions[0].sample("auto", MOST_POINTS, generator, settings.device, settings.dtype).x


def regrid(settings: Settings, network: Any, phase: Phase, around: Surroundings) -> None:
    """Bring the network to the phase's grid, and log the largest change of its values if there is one."""
    grid = grid_of(network)
    if grid is None:
        return
    new = max(phase.next_grid(grid), grid)  # a stored network may be finer than the schedule
    if new == grid and not phase.move_knots:
        return
    x = spread_points(settings, around)

    def values() -> Tensor:
        components = components_of(network, settings.derivatives)
        return asked_of(settings.problem, components, x, lambda *u: u[0].value)

    before = values()
    if phase.move_knots:
        network.update_grid(x, new)
    else:
        network.refine(new)
    change = float((values() - before).abs().max())
    if change > torch.finfo(before.dtype).eps ** 0.5 * float(before.abs().max()):
        around.log(f"grid {new}: regridding changed the network by at most {change:.1e}")
