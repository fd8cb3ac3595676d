"""What turns an objective into better weights, one optimizer a file.

A factory is called with an `Objective` and gives an object whose ``step()`` returns a `Step`.
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
        loss: after the step.
        end: why no further step can lower the loss, if so.
        method: the way it was computed, where there are several.
    """

    loss: float
    end: Ending | None = None
    method: str = ""


@runtime_checkable
class Optimizer(Protocol):
    """Improves the objective's parameters in place."""

    def step(self) -> Step:
        """One step, or a fixed number of a method's own iterations."""
        ...

    def state(self) -> dict[str, Any]:
        """All that changes from step to step, apart from the parameters themselves.

        Tensors, numbers, strings, None, and lists and dicts of them, so that ``torch.load(weights_only=True)`` reads
        them. Later steps do not change the tensors.
        """
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over a `state`.

        On an objective with the same parameters, weights and points, further steps then give the same bits as if the
        optimizer that gave the state had gone on.
        """
        ...


@runtime_checkable
class OptimizerFactory(Protocol):
    """Makes an optimizer for an objective whose points and grid stay as they are.

    It may have ``needs_jacobian = True``, and ``check(objective, parameters)``, which is called before training with a
    small objective and the number of parameters that the phase will have, and raises `InputError` where it cannot work.
    """

    def __call__(self, objective: Objective) -> Optimizer: ...
