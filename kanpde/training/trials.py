"""Larger networks tried for a few steps, to see which enlargement pays most."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from math import inf, isfinite, log

import torch
from torch import Tensor, nn

from kanpde.domains import Points
from kanpde.models.network import Network, trained_size
from kanpde.residuals.objective import Objective
from kanpde.training.settings import Settings
from kanpde.training.state import State
from kanpde.training.surroundings import Surroundings, affordable, limit

STEPS = 10


@dataclass(frozen=True)
class Trial:
    """A network tried: what was changed, its parameters, and the loss on fresh points after a few steps."""

    what: str
    network: nn.Module
    coefficients: nn.Parameter | None
    size: int
    fresh: float

    def gain(self, before: float, size: int) -> float:
        """Return the fall of the logarithm of the loss, divided by the relative size, to which the time is related."""
        return (log(max(before, 1e-300)) - log(max(self.fresh, 1e-300))) * size / self.size


def enlarged(network: Network, everywhere: Tensor, most: int, generator: torch.Generator) -> dict[str, Network]:
    """Return enlarged copies of a network by what was changed; those above ``most`` parameters are left out.

    Args:
        network: the present network.
        everywhere: points with nearly uniform density in the domain.
        most: largest number of parameters.
        generator: for the weights of new nodes.
    """
    changes: dict[str, Callable[[Network], None]] = {}
    grid = network.grid
    if grid is not None:
        fine = 2 * grid
        changes[f"grid {fine}"] = lambda new: new.refine(fine)
        changes[f"grid {fine} on the reached ranges"] = lambda new: new.update_grid(everywhere, fine)
    if network.nodes:
        count = network.half_wider
        changes[f"{count} more nodes in each hidden layer"] = lambda new: new.widen(count, generator)
    found = {}
    for what, change in changes.items():
        new = deepcopy(network)
        change(new)
        if trained_size(new) <= most:
            found[what] = new
    return found


def best_trial(
    settings: Settings,
    state: State,
    around: Surroundings,
    networks: Mapping[str, Network],
    points: Mapping[str, Points],
    fresh: Callable[[State], float],
    before: float,
) -> Trial | None:
    """Train every network for a few steps; return the one with the largest gain, or None if the time is used up."""
    best, size = None, trained_size(state.network)
    for what, network in networks.items():
        if limit(settings, around) is not None:
            return None
        trial = tried(settings, state, around, what, network, points, fresh)
        if best is None or trial.gain(before, size) > best.gain(before, size):
            best = trial
    return best


def tried(
    settings: Settings,
    state: State,
    around: Surroundings,
    what: str,
    network: Network,
    points: Mapping[str, Points],
    fresh: Callable[[State], float],
    least: float = -inf,
    enough: float = 0.0,
) -> Trial:
    """Train a network for a few steps, and fewer if a limit is met.

    A step that lowers the loss by less than the fraction ``least`` is the last one, as is one that lowers it to the
    part ``enough`` of the first loss.
    """
    coefficients, weights = deepcopy(state.coefficients), state.used["weights"]
    objective = Objective(settings.problem, network, points, weights, coefficients, settings.derivatives)
    method, good = state.plan[-1].optimizer(objective), objective.vector()
    first = before = float(objective.loss().detach())
    is_late = limit(settings, around) is not None and not affordable(settings, around, "the next trial", objective.size)
    for _ in range(0 if is_late else STEPS):
        step = method.step()
        if not isfinite(step.loss):
            objective.assign(good)
            break
        good = objective.vector()
        is_last = step.loss > (1 - least) * before or step.loss <= enough * first
        if step.end is not None or is_last or limit(settings, around) is not None:
            break
        before = step.loss
    found = fresh(replace(state, network=network, coefficients=coefficients))
    trial = Trial(what, network, coefficients, len(good), found if isfinite(found) else inf)
    around.log(f"  tried {what}: {trial.size} parameters, fresh loss {trial.fresh:.2e}")
    return trial
