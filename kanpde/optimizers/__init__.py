"""What turns an objective into better weights, one optimizer a file.

A factory is called with an `Objective` and gives an object whose ``step()`` returns a `Step`.
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from kanpde.residuals.objective import Objective


@dataclass(frozen=True)
class Step:
    """What a step reached.

    Attributes:
        loss: after the step.
        reason: why no further step can help, if so ("converged ...", "stagnated ...").
        details: numbers that tell how it went, such as the damping.
        method: the way it was computed, where there are several.
    """

    loss: float
    reason: str | None = None
    details: dict[str, float] = field(default_factory=dict)
    method: str = ""


@runtime_checkable
class Optimizer(Protocol):
    """Improves the objective's parameters in place."""

    def step(self) -> Step: ...


@runtime_checkable
class OptimizerFactory(Protocol):
    """Makes an optimizer for an objective whose points and grid stay as they are.

    It may have ``needs_jacobian = True``, and ``check(objective, parameters)``, which is called before training with a
    small objective and the number of parameters that the phase will have, and raises `InputError` where it cannot work.
    """

    def __call__(self, objective: Objective) -> Optimizer: ...
