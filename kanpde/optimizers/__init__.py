"""Optimizers, one per file, and their protocols.

A factory is called with an `Objective` and returns an object whose ``step()`` returns a `Step`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from kanpde.ends import Ending
from kanpde.residuals.objective import Objective


@dataclass(frozen=True)
class Step:
    """The result of a step.

    Attributes:
        loss: the loss after the step; with one gradient a step, as in Adam, the loss before it, which costs no
            evaluation.
        end: why no further step can lower the loss; None if a further step may.
        method: the linear solver of the step, if the optimizer has several.
    """

    loss: float
    end: Ending | None = None
    method: str = ""


@runtime_checkable
class Optimizer(Protocol):
    """An optimizer, which changes the objective's parameters in place."""

    def step(self) -> Step:
        """Take one step, or a fixed number of the method's own iterations."""
        ...

    def state(self) -> dict[str, Any]:
        """Return everything that changes from step to step, except the parameters themselves.

        It consists of tensors, numbers, strings, None, and lists and dicts of them, which
        ``torch.load(weights_only=True)`` can read. Later steps do not change the tensors.
        """
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a result of `state`.

        On an objective with the same parameters, weights and points, further steps are then bitwise identical to those
        of the optimizer whose state it was.
        """
        ...


@runtime_checkable
class OptimizerFactory(Protocol):
    """Makes an optimizer for an objective with fixed points and a fixed grid.

    It may have ``needs_jacobian = True``, and a method ``check(objective, parameters)``. The method is called before
    training with a small objective and the number of parameters of the phase, and raises `InputError` if the optimizer
    is not applicable.
    """

    def __call__(self, objective: Objective) -> Optimizer: ...
