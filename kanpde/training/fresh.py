"""Losses on points that training never saw: they choose among starts, and decide whether a phase is taken back."""

from collections.abc import Mapping
from math import inf, isfinite

import torch
from torch import nn

from kanpde.domains import Points
from kanpde.ends import End, Ending
from kanpde.models.network import grid_of
from kanpde.residuals.objective import Objective
from kanpde.training.sampling import Sampling
from kanpde.training.settings import Settings
from kanpde.training.state import Candidate, State

WORSE = 2.0  # times the loss on fresh points before a phase: more than chance and a step of the path would make it


def draw(settings: Settings, network: nn.Module, sampling: Sampling, generator: torch.Generator) -> dict[str, Points]:
    """New points of every trained condition, as many as the network asks for."""
    parameters, grid = sum(p.numel() for p in network.parameters()), grid_of(network) or 0
    points: dict[str, Points] = {}
    for name, condition in settings.problem.trained.items():
        n = sampling.size(condition.region, parameters, grid)
        points[name] = condition.region.sample(sampling.rule, n, generator, settings.device, settings.dtype)
    return points


def fresh_points(settings: Settings, state: State, phase: int, seed: int) -> dict[str, Points]:
    """Random points for the present network, as many as the phase trains on; the run's own generator is not used."""
    sampling = settings.phases[phase].sampling or settings.sampling
    uniform = Sampling("uniform", sampling.interior, sampling.boundary)
    return draw(settings, state.network, uniform, torch.Generator(settings.device).manual_seed(seed))


def losses(objective: Objective) -> dict[str, float]:
    """Per condition, its share of the loss as a number."""
    with torch.set_grad_enabled(objective.engine == "autograd"):
        return {name: float(value.detach()) for name, value in objective.losses().items()}


def loss_at(
    settings: Settings, candidate: Candidate | State, points: Mapping[str, Points], weights: Mapping[str, float]
) -> float:
    """The loss of a network at other points; infinite where it is not finite."""
    problem, derivatives = settings.problem, settings.derivatives
    objective = Objective(problem, candidate.network, points, weights, candidate.coefficients, derivatives)
    loss = sum(losses(objective).values())
    return loss if isfinite(loss) else inf


def taken_back(trained: float, before: float, after: float, rounding: float) -> Ending | None:
    """How a phase ended whose loss on fresh points grew; None for one that is kept.

    Args:
        trained: the loss on the phase's own points.
        before: the loss on fresh points when the phase began.
        after: the same when it ended.
        rounding: a loss that is rounding.
    """
    if after <= WORSE * before or after <= rounding:
        return None
    end = End.OVERFITTED if trained < before else End.DIVERGED  # its own points better, or those too worse
    return Ending(end, f"on fresh points the loss grew from {before:.1e} to {after:.1e}")
