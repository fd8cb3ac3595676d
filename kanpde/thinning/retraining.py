"""The training of a network from which something has been removed."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import inf, isfinite

import torch
from torch import nn

from kanpde.domains import Points
from kanpde.models.network import Network
from kanpde.optimizers import OptimizerFactory
from kanpde.optimizers.lm import LM, ROUNDING
from kanpde.problem import Problem
from kanpde.residuals.objective import Objective

WINDOW, LEAST = 10, 0.1  # training ends if the loss fell by less than this fraction over so many steps,
FASTER = 2.0  # or if this power of its present rate of decrease will not bring it down far enough in the remaining ones


@dataclass(frozen=True)
class Trained:
    """A network with its coefficients, and its loss on fresh points; ``steps`` were taken to get there."""

    network: Network
    coefficients: nn.Parameter | None
    fresh: float
    steps: int = 0


@dataclass(frozen=True)
class Retraining:
    """How networks are trained and judged.

    Attributes:
        problem: the problem.
        points: training points by condition.
        fresh: points by condition on which networks are judged.
        weights: weights by condition.
        optimizer: factory of the optimizer.
        steps: most steps of it.
        is_over: whether no time is left.
    """

    problem: Problem
    points: Mapping[str, Points]
    fresh: Mapping[str, Points]
    weights: Mapping[str, float]
    optimizer: OptimizerFactory = field(default_factory=LM)
    steps: int = 60
    is_over: Callable[[], bool] = lambda: False

    def judged(self, network: Network, coefficients: nn.Parameter | None) -> Trained:
        """Return the network as it is, with its loss on fresh points."""
        return Trained(network, coefficients, self.loss(network, coefficients))

    def loss(self, network: Network, coefficients: nn.Parameter | None) -> float:
        """Return the loss on fresh points; inf if it is not finite."""
        return self.loss_at(self.fresh, network, coefficients)

    @torch.no_grad()
    def loss_at(self, points: Mapping[str, Points], network: Network, coefficients: nn.Parameter | None) -> float:
        """Return the loss at any points; inf if it is not finite."""
        loss = float(Objective(self.problem, network, points, self.weights, coefficients).loss())
        return loss if isfinite(loss) else inf

    @torch.no_grad()
    def rounding(self, network: Network, coefficients: nn.Parameter | None) -> float:
        """Return the loss that counts as zero: that of rounding errors, relative to the function zero."""
        zero = deepcopy(network)
        for block in zero.blocks:
            block.weight.zero_()
        eps = torch.finfo(zero.layers[0].weight.dtype).eps
        return (ROUNDING * eps) ** 2 * self.loss(zero, coefficients)

    def trained(self, network: Network, coefficients: nn.Parameter | None, enough: float = 0.0) -> Trained:
        """Train a copy of the network until the loss on fresh points is at most ``enough``, or falls no more."""
        network, coefficients = deepcopy(network), deepcopy(coefficients)
        if (loss := self.loss(network, coefficients)) <= enough:
            return Trained(network, coefficients, loss)
        objective = Objective(self.problem, network, self.points, self.weights, coefficients)
        optimizer, losses = self.optimizer(objective), []
        while len(losses) < self.steps and not self.is_over():
            before, result = objective.vector(), optimizer.step()
            if not isfinite(result.loss) or not bool(objective.vector().isfinite().all()):
                objective.assign(before)
                break
            losses.append(result.loss)
            if result.loss <= enough and self.loss(network, coefficients) <= enough:
                break
            if result.end is not None or is_hopeless(losses, self.steps, enough):
                break
        return Trained(network, coefficients, self.loss(network, coefficients), len(losses))


def is_hopeless(losses: Sequence[float], steps: int, enough: float) -> bool:
    """Return whether further steps will hardly lower the loss to ``enough``.

    Args:
        losses: after every step so far.
        steps: most steps.
        enough: the loss that is wanted; 0 for as little as possible.
    """
    if len(losses) <= WINDOW:
        return False
    rate = losses[-1] / losses[-1 - WINDOW]
    return rate > 1 - LEAST or losses[-1] * rate ** (FASTER * (steps - len(losses)) / WINDOW) > enough > 0
