"""Adam, with an exponentially falling rate."""

from dataclasses import dataclass

import torch

from kanpde.errors import InputError
from kanpde.optimizers import Optimizer
from kanpde.optimizers.first_order import one_gradient_a_step
from kanpde.residuals.objective import Objective


@dataclass(frozen=True)
class Adam:
    """`torch.optim.Adam` (D. Kingma & J. Ba 2015).

    Args:
        lr: initial learning rate.
        half_life: number of steps in which the rate halves; None keeps it constant.
    """

    lr: float = 1e-2
    half_life: int | None = None

    def __post_init__(self):
        if not self.lr > 0 or (self.half_life is not None and self.half_life < 1):
            raise InputError(
                f"Adam needs lr > 0 and half_life >= 1, got {self.lr:g} and {self.half_life}.",
                write={"lr": 0.01, "half_life": 1000},
            )

    def __call__(self, objective: Objective) -> Optimizer:
        return one_gradient_a_step(objective, torch.optim.Adam(objective.parameters, lr=self.lr), self.half_life)
