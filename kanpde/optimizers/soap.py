"""Adapter for SOAP from the optional package pytorch-optimizer."""

from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

from kanpde.errors import InputError
from kanpde.optimizers import Optimizer
from kanpde.optimizers.first_order import one_gradient_a_step
from kanpde.residuals.objective import Objective


@dataclass(frozen=True)
class SOAP:
    """Adam in the eigenbasis of Shampoo's preconditioner (N. Vyas et al., arXiv:2409.11321), without weight decay.

    For physics-informed networks: S. Wang et al., arXiv:2502.00604. The first step only computes the preconditioner.

    Args:
        lr: initial learning rate.
        half_life: number of steps in which the rate halves; None keeps it constant.
        frequency: number of steps between two updates of the eigenbasis.
    """

    lr: float = 3e-3
    half_life: int | None = None
    frequency: int = 2

    needs_package: ClassVar[str] = "pytorch_optimizer"

    def __post_init__(self):
        if not self.lr > 0 or (self.half_life is not None and self.half_life < 1) or self.frequency < 1:
            raise InputError(
                f"SOAP needs lr > 0, half_life >= 1 and frequency >= 1, got {self.lr:g}, {self.half_life} and "
                f"{self.frequency}.",
                write={"lr": 0.003, "half_life": 1000, "frequency": 2},
            )

    def __call__(self, objective: Objective) -> Optimizer:
        optimizer = import_module(self.needs_package).SOAP(
            objective.parameters, lr=self.lr, weight_decay=0.0, precondition_frequency=self.frequency
        )
        return one_gradient_a_step(objective, optimizer, self.half_life)
