"""Adapter for SOAP from the optional package pytorch-optimizer."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import torch

from kanpde.errors import InputError
from kanpde.optimizers import Optimizer
from kanpde.optimizers.first_order import one_gradient_a_step
from kanpde.residuals.objective import Objective

LEAST_EPS = 1e-8  # in the denominator of Adam
ROUNDING = 4.0  # units of rounding of the largest gradient, below which its components mean nothing


def above_rounding(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Set the eps of the denominators above the rounding errors of the gradient.

    The gradient of a layer has components of zero in most directions of the eigenbasis. Divided by their own size, the
    rounding errors in their place would become steps of full length, which matters in single precision.
    """
    for group in optimizer.param_groups:
        gradients = [p.grad for p in group["params"] if p.grad is not None]
        largest = max((float(g.norm()) for g in gradients), default=0.0)
        unit = max((torch.finfo(g.dtype).eps for g in gradients), default=0.0)
        group["eps"] = max(LEAST_EPS, ROUNDING * unit * largest)


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
        optimizer.register_step_pre_hook(above_rounding)
        return one_gradient_a_step(objective, optimizer, self.half_life)
