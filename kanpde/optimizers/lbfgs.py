"""L-BFGS, the adapter for torch's."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch

from kanpde.ends import End, Ending
from kanpde.errors import InputError
from kanpde.optimizers import Step
from kanpde.residuals.objective import Objective


@dataclass(frozen=True)
class LBFGS:
    """`torch.optim.LBFGS` with a strong-Wolfe line search and tolerances at the limit of the precision.

    Args:
        iterations: L-BFGS iterations per step of a phase.
        memory: number of stored pairs of steps and gradient changes.
    """

    iterations: int = 20
    memory: int = 50

    def __post_init__(self):
        if self.iterations < 1 or self.memory < 1:
            raise InputError(
                f"LBFGS needs iterations >= 1 and memory >= 1, got {self.iterations} and {self.memory}.",
                write={"iterations": 20, "memory": 100},
            )

    def __call__(self, objective: Objective) -> "_LBFGS":
        return _LBFGS(objective, self)


class _LBFGS:
    def __init__(self, objective: Objective, options: LBFGS):
        self.objective, self.options = objective, options
        self.optimizer = torch.optim.LBFGS(
            objective.parameters,
            lr=1.0,
            max_iter=options.iterations,
            max_eval=4 * options.iterations,
            history_size=options.memory,
            tolerance_grad=1e-14,
            tolerance_change=1e-16,
            line_search_fn="strong_wolfe",
        )

    def step(self) -> Step:
        """Take ``iterations`` iterations; if they ended early, find the reason, which torch does not report."""

        def closure() -> torch.Tensor:
            self.optimizer.zero_grad()
            loss = self.objective.loss()
            loss.backward()
            return loss

        state = self.optimizer.state[self.optimizer._params[0]]
        before = state.get("n_iter", 0)
        first = self.optimizer.step(closure).item()
        with torch.no_grad():
            loss = float(self.objective.loss())
        done = state["n_iter"] - before
        end = None
        if done < self.options.iterations:
            largest = max(float(p.grad.abs().max()) for p in self.objective.parameters if p.grad is not None)
            if largest <= 1e-14:
                end = Ending(End.CONVERGED, "the gradient vanishes")
            elif done <= 1 and loss >= first * (1 - 1e-12):
                end = Ending(End.STAGNATED, "the line search finds no lower loss")
        return Step(loss, end)

    def state(self) -> dict[str, Any]:
        """Return the state of torch's optimizer: stored pairs, last gradient, direction and loss."""
        return deepcopy(self.optimizer.state_dict())

    def restore(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(deepcopy(dict(state)))  # torch keeps the tensors and changes them in place
