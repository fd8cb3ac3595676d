"""What turns an objective into better weights, one optimizer a file.

A factory is called with an `Objective` and gives an object whose ``step()`` returns a `Step`.
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from kanpde.objective import Objective


@dataclass(frozen=True)
class Step:
    """What a step reached.

    Attributes:
        loss: after the step.
        reason: why no further step can help, if so ("converged ...", "stagnated ...").
        details: numbers worth a column in the history, such as the damping.
    """

    loss: float
    reason: str | None = None
    details: dict[str, float] = field(default_factory=dict)


@runtime_checkable
class Optimizer(Protocol):
    """Improves the objective's parameters in place."""

    def step(self) -> Step: ...


@runtime_checkable
class OptimizerFactory(Protocol):
    """Makes an optimizer for an objective whose points and grid stay as they are."""

    def __call__(self, objective: Objective) -> Optimizer: ...
