"""`prune`: a smaller network with the same accuracy, from a solution."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from math import inf
from time import perf_counter
from typing import Any

import torch
from torch import nn

from kanpde.domains import Points
from kanpde.ends import End, Ending
from kanpde.errors import InputError
from kanpde.models.network import Network, singular_coefficients, trained_size
from kanpde.optimizers import OptimizerFactory
from kanpde.optimizers.lm import LM
from kanpde.residuals.accuracy import Errors, largest
from kanpde.residuals.misfit import misfit_of
from kanpde.residuals.objective import Objective
from kanpde.solution import Solution
from kanpde.thinning.names import names_of
from kanpde.thinning.removal import edges_of, kan_layers, sizes_of
from kanpde.thinning.retraining import Retraining, Trained
from kanpde.thinning.scores import score_points
from kanpde.thinning.search import Found, searched

STEPS = 60  # most steps of training after a removal
OF_THE_NETWORK = ("estimate", "looseness")  # facts of a run that do not hold for another network


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
    if steps < 1:
        raise InputError(f"steps must be at least 1, got {steps}.", write={"steps": STEPS})
    begun = perf_counter()
    limit = inf if time_limit is None else begun + time_limit
    retraining = retraining_of(solution, optimizer, steps, lambda: perf_counter() > limit)
    known = solution.known_coefficients
    values = torch.tensor(list(known.values()), dtype=solution.like.dtype, device=solution.like.device)
    coefficients = nn.Parameter(values) if known else None
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


def pruned(
    retraining: Retraining, begin: Trained, factor: float, log: Callable[[str], None], is_trained: bool = True
) -> Found:
    """Return the smallest network that is found, trained once more.

    Args:
        retraining: trains and judges networks.
        begin: the network to begin with.
        factor: by which the loss on fresh points may exceed that of the network.
        log: called with each line of the log.
        is_trained: whether the network has been trained without a penalty; else a trained copy of it is the measure.
    """
    problem, network = retraining.problem, begin.network
    reference = begin.fresh if is_trained else retraining.trained(network, begin.coefficients).fresh
    most = max(factor * reference, retraining.rounding(network, begin.coefficients))
    points = score_points(problem, next(network.parameters()))
    log(f"pruning {sizes_of(network)}, {edges_of(network)} edges: loss on fresh points up to {most:.2e} is allowed")
    found = searched(begin, names_of(problem, network), retraining, points, most, log)
    if found.removals:
        last = retraining.trained(found.best.network, found.best.coefficients)
        if last.fresh < found.best.fresh:
            found = replace(found, best=last)
    best = found.best
    log(
        f"pruned to {sizes_of(best.network)}, {edges_of(best.network)} edges, {trained_size(best.network)} parameters: "
        f"loss on fresh points {best.fresh:.2e}, {best.fresh / max(reference, 1e-300):.2g} times that before"
    )
    return found


def retraining_of(
    solution: Solution, optimizer: OptimizerFactory, steps: int, is_over: Callable[[], bool]
) -> Retraining:
    """Return the training with the points and weights of the run that found a solution."""
    facts = solution.settings
    points, fresh = drawn(solution, facts.get("rule", "auto"), 0), drawn(solution, None, 1)
    return Retraining(solution.problem, points, fresh, facts["weights"], optimizer, steps, is_over)


def drawn(solution: Solution, rule: str | None, number: int) -> dict[str, Points]:
    """Return as many points as the run of a solution had; random ones that it does not train on if ``rule`` is None.

    ``number`` makes the random numbers different from others.
    """
    like, found = solution.like, {}
    generator = torch.Generator(like.device).manual_seed(solution.settings.get("seed", 0) + number)
    for name, condition in solution.problem.trained.items():
        arguments = solution.settings["points"][name], generator, like.device, like.dtype
        region = condition.region
        found[name] = region.sample_fresh(*arguments) if rule is None else region.sample(rule, *arguments)
    return found


def solution_with(solution: Solution, found: Found, retraining: Retraining, seconds: float) -> Solution:
    """Return the solution with the network that was found, and a row for it in the table of levels."""
    best, problem = found.best, solution.problem
    values = [] if best.coefficients is None else best.coefficients.tolist()
    facts = {key: value for key, value in solution.settings.items() if key not in OF_THE_NETWORK}
    new = replace(
        solution,
        model=best.network,
        coefficients=dict(zip(solution.known_coefficients, values, strict=True)) | singular_coefficients(best.network),
        standard_errors={},
        finer=None,
    )
    ending = Ending(End.STEPS_DONE, f"pruned to {sizes_of(best.network)}")
    level = {
        "phase": len(solution.levels),
        "optimizer": type(retraining.optimizer).__name__,
        "grid": best.network.grid,
        "parameters": trained_size(best.network),
        "points": sum(len(each.x) for each in retraining.points.values()),
        "steps": sum(removal.steps for removal in found.removals),
        **losses_of(new, retraining, best),
        "seconds": seconds,
        "reason": str(ending),
        "end": ending.end.name,
    }
    errors = Errors(problem, solution.like.device, solution.like.dtype).all(new.components)
    level |= largest(errors)
    settings = {**facts, "fresh": level["fresh"], "pruned": record(found)}
    return replace(new, errors=errors, levels=[*solution.levels, level], settings=settings)


def losses_of(solution: Solution, retraining: Retraining, best: Trained) -> dict[str, float]:
    """Return the losses on the training points, and loss and relative residuals on points not used for any choice."""
    problem, points = retraining.problem, drawn(solution, None, 2)
    with torch.no_grad():
        own = Objective(problem, best.network, retraining.points, retraining.weights, best.coefficients).losses()
    found = {
        name: misfit_of(problem, name, solution.components, each, solution.known_coefficients)
        for name, each in points.items()
    }
    return {
        "loss": sum(float(value) for value in own.values()),
        **{f"loss_{name}": float(value) for name, value in own.items()},
        "fresh": sum(retraining.weights[name] * misfit.square for name, misfit in found.items()),
        **{f"relative_{name}": misfit.relative for name, misfit in found.items()},
    }


def record(found: Found) -> list[Mapping[str, Any]]:
    """Return the removals as plain values."""
    return [{**asdict(removal), "parts": list(removal.parts)} for removal in found.removals]
