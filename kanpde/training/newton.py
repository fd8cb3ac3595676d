"""Newton's method for the equation on a window: Levenberg-Marquardt with hardly any damping, until it converges."""

from collections.abc import Callable
from math import isfinite

from kanpde.optimizers import Step
from kanpde.optimizers.lm import LM
from kanpde.residuals.objective import Objective

OPTIMIZER = LM(damping=1e-11, tolerance=1e-6)
STEPS = 12  # Newton's method has converged before, or does not
NEGLIGIBLE = 0.9  # a step that leaves more than this share of the loss is the last


def converged(objective: Objective, observe: Callable[[Step, Objective], bool]) -> bool:
    """Train until the loss falls no further, and return whether that happened within `STEPS` steps."""
    optimizer, before = OPTIMIZER(objective), float(objective.loss().detach())
    for _ in range(STEPS):
        step = optimizer.step()
        if not observe(step, objective) or not isfinite(step.loss):
            return False
        if step.end is not None or step.loss >= NEGLIGIBLE * before:
            return True
        before = step.loss
    return False
