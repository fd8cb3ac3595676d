"""Newton's method for the equation on a window: Levenberg-Marquardt with hardly any damping, until it converges."""

from collections.abc import Callable, Sequence
from math import isfinite

from kanpde.optimizers import Step
from kanpde.optimizers.damped import Cholesky, DampedSystem, column_scale, gram
from kanpde.optimizers.lm import LM
from kanpde.residuals.objective import Objective

OPTIMIZER = LM(damping=1e-11, tolerance=1e-6)
STEPS = 12  # Newton's method has converged before, or does not
DAMPING, CHORDS = 1e-13, 3
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


def corrected(objectives: Sequence[Objective], chords: int = CHORDS) -> DampedSystem | None:
    """Take some Newton steps in every objective with one Jacobian, that of the first; return its system.

    None if the linear problem has no solution.
    """
    _, jacobian = objectives[0].linearize()
    normal = gram(jacobian)
    system: DampedSystem = Cholesky(jacobian, normal, column_scale(normal.diagonal().clone(), OPTIMIZER.floor))
    for each in objectives:
        for _ in range(chords):
            r = each.values()
            y = system.solve(DAMPING, r, system.transposed(r))
            if y is None and (better := system.more_accurate()) is not None:
                system = better
                y = system.solve(DAMPING, r, system.transposed(r))
            if y is None:
                return None
            each.assign(each.vector() + y / system.scale)
    return system
