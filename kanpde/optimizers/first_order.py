"""The adapter for optimizers of torch's interface that need one gradient a step, such as Adam and SOAP."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch

from kanpde.optimizers import Optimizer, Step
from kanpde.residuals.objective import Objective


def one_gradient_a_step(objective: Objective, optimizer: torch.optim.Optimizer, half_life: int | None) -> Optimizer:
    """Return the adapter for an optimizer that needs only the gradient, with an optional half-life of its rate."""
    return _OneGradient(objective, optimizer, half_life)


class _OneGradient:
    def __init__(self, objective: Objective, optimizer: torch.optim.Optimizer, half_life: int | None):
        self.objective, self.optimizer = objective, optimizer
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5 ** (1 / half_life) if half_life else 1.0)

    def step(self) -> Step:
        """Take one gradient step; the loss is that before the step, which costs no extra evaluation."""
        self.optimizer.zero_grad()
        loss = self.objective.loss()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return Step(loss.item())

    def state(self) -> dict[str, Any]:
        """Return the state of torch's optimizer and of its learning-rate schedule."""
        return deepcopy({"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()})

    def restore(self, state: Mapping[str, Any]) -> None:
        state = deepcopy(dict(state))  # torch keeps the tensors and changes them in place
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
