"""`prune`: a smaller network with the same accuracy, from a solution."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from math import inf, sqrt
from time import perf_counter
from typing import Any

import torch
from torch import nn

from kanpde.domains import Points
from kanpde.ends import End, Ending
from kanpde.errors import InputError
from kanpde.models.network import Network, trained_size
from kanpde.optimizers import OptimizerFactory
from kanpde.optimizers.lm import LM
from kanpde.solution import Errors, Solution
from kanpde.thinning.names import names_of
from kanpde.thinning.removal import edges_of, kan_layers, sizes_of
from kanpde.thinning.retraining import Retraining, Trained
from kanpde.thinning.scores import score_points
from kanpde.thinning.search import Found, searched

STEPS = 60  # most steps of training after a removal


def prune(
    solution: Solution,
    factor: float = 2.0,
    *,
    optimizer: OptimizerFactory = LM(),
    steps: int = STEPS,
    time_limit: float | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> Solution:
    """Return a solution with a smaller network that is about as accurate.

    The nodes and then the edges with the smallest scores (`kanpde.thinning.scores`) are removed, several at once at
    first. After each removal the network is trained on the points of the run. The removal is kept if the loss on fresh
    points (for a fit, on the rows for validation) is at most ``factor`` times what it was at the beginning, or is
    rounding errors; otherwise it is undone. At the end the network is trained once more.

    ``settings["pruned"]`` of the result has a row for every removal (`kanpde.thinning.search.Removal`), and
    ``levels`` a row for the whole. The given solution is not changed.

    Args:
        solution: of a KAN, with the problem that it solves.
        factor: by which the loss on fresh points may grow, at least 1. The error is about its root.
        optimizer: trains the network after each removal.
        steps: most steps after each removal.
        time_limit: in seconds; what has been found by then is returned.
        log: called with each line of the log.

    Raises:
        InputError: the model is not a KAN, or the solution was loaded without its problem.
    """
    check_factor(factor)
    kan_layers(solution.model)
    assert isinstance(solution.model, Network)
    if not solution.problem.trained:
        raise InputError(
            "Pruning trains the network, which needs the conditions of the problem, and a file does not hold them. "
            "Give the problem when loading: load(folder, problem)."
        )
    if time_limit is not None and not time_limit > 0:
        raise InputError(
            f"time_limit must be a positive number of seconds, got {time_limit}.", write={"time_limit": 60}
        )
    begun = perf_counter()
    limit = inf if time_limit is None else begun + time_limit
    retraining = retraining_of(solution, optimizer, steps, lambda: perf_counter() > limit)
    values = torch.tensor(list(solution.coefficients.values()), dtype=solution.like.dtype, device=solution.like.device)
    coefficients = nn.Parameter(values) if solution.coefficients else None
    found = pruned(retraining, retraining.judged(solution.model, coefficients), factor, log)
    return solution_with(solution, found, retraining, perf_counter() - begun)


def check_factor(factor: float) -> None:
    """Refuse factors below 1.

    Raises:
        InputError: it is below 1, NaN or infinite.
    """
    if not 1 <= factor < inf:
        raise InputError(
            f"The factor by which the loss may grow must be a number of at least 1, got {factor}.",
            write={"factor": 2.0},
        )


def pruned(retraining: Retraining, begin: Trained, factor: float, log: Callable[[str], None]) -> Found:
    """Return the smallest network that is found, trained once more."""
    problem, network = retraining.problem, begin.network
    most = max(factor * begin.fresh, retraining.rounding(network, begin.coefficients))
    points = score_points(problem, next(network.parameters()))
    log(f"pruning {sizes_of(network)}, {edges_of(network)} edges: loss on fresh points {begin.fresh:.2e}")
    found = searched(begin, names_of(problem, network), retraining, points, most, log)
    if found.removals:
        last = retraining.trained(found.best.network, found.best.coefficients)
        if last.fresh < found.best.fresh:
            found = replace(found, best=last)
    best = found.best
    log(
        f"pruned to {sizes_of(best.network)}, {edges_of(best.network)} edges, {trained_size(best.network)} parameters: "
        f"loss on fresh points {best.fresh:.2e}, root {sqrt(best.fresh / max(begin.fresh, 1e-300)):.2g} times that "
        "before"
    )
    return found


def retraining_of(
    solution: Solution, optimizer: OptimizerFactory, steps: int, is_over: Callable[[], bool]
) -> Retraining:
    """Return the training with the points and weights of the run that found a solution."""
    problem, facts, like = solution.problem, solution.settings, solution.like
    seed, rule = facts.get("seed", 0), facts.get("rule", "auto")
    points: dict[str, Points] = {}
    fresh: dict[str, Points] = {}
    for number, found in enumerate((points, fresh)):
        generator = torch.Generator(like.device).manual_seed(seed + number)
        for name, condition in problem.trained.items():
            n = facts["points"][name]
            arguments = n, generator, like.device, like.dtype
            found[name] = (
                condition.region.sample_fresh(*arguments) if number else condition.region.sample(rule, *arguments)
            )
    return Retraining(problem, points, fresh, facts["weights"], optimizer, steps, is_over)


def solution_with(solution: Solution, found: Found, retraining: Retraining, seconds: float) -> Solution:
    """Return the solution with the network that was found."""
    best, problem = found.best, solution.problem
    values = [] if best.coefficients is None else best.coefficients.tolist()
    new = replace(
        solution,
        model=best.network,
        coefficients=dict(zip(solution.coefficients, values, strict=True)),
        settings={**solution.settings, "fresh": best.fresh, "pruned": record(found)},
        finer=None,
    )
    errors = Errors(problem, solution.like.device, solution.like.dtype).all(new.components)
    steps = sum(removal.steps for removal in found.removals)
    ending = Ending(End.STEPS_DONE, f"pruned to {sizes_of(best.network)}")
    level = {
        **(solution.levels[-1] if solution.levels else {}),
        "optimizer": type(retraining.optimizer).__name__,
        "parameters": trained_size(best.network),
        "steps": steps,
        "loss": retraining.loss_at(retraining.points, best.network, best.coefficients),
        "fresh": best.fresh,
        "seconds": seconds,
        "reason": str(ending),
        "end": ending.end.name,
    }
    first = errors.get(problem.unknowns[0], {})
    level |= {kind: value for kind, value in first.items() if kind in level}
    return replace(new, errors=errors, levels=[*solution.levels, level])


def record(found: Found) -> list[Mapping[str, Any]]:
    """Return the removals as plain values."""
    return [{**asdict(removal), "parts": list(removal.parts)} for removal in found.removals]
