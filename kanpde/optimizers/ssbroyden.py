r"""Self-scaled Broyden: a dense quasi-Newton method whose inverse Hessian is rescaled at every iteration."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.ends import End, Ending
from kanpde.errors import Code, InputError
from kanpde.optimizers import Step
from kanpde.residuals.objective import Objective

MOST_MEMORY = 8.0  # GiB
VANISHED = 1e-14  # a gradient with all entries below it counts as zero

Square = Float[Tensor, "size size"]
Vector = Float[Tensor, " size"]


@dataclass(frozen=True)
class SSBroyden:
    """Self-scaled Broyden with a strong-Wolfe line search (`broyden_update` has the formulas and their sources).

    It stores a dense inverse Hessian, so it is limited to networks of some thousands of parameters.

    Args:
        iterations: iterations per step of a phase.
        decrease: c1 of the Wolfe conditions, f(x + αd) <= f(x) + c1 α f'(x)ᵀd.
        curvature: c2 of the Wolfe conditions, |f'(x + αd)ᵀd| <= c2 |f'(x)ᵀd|.
    """

    iterations: int = 20
    decrease: float = 1e-4
    curvature: float = 0.9

    def __post_init__(self):
        if self.iterations < 1:
            raise InputError(f"SSBroyden needs iterations >= 1, got {self.iterations}.", write={"iterations": 20})
        if not 0 < self.decrease < self.curvature < 1:
            raise InputError(
                f"SSBroyden needs 0 < decrease < curvature < 1, got {self.decrease:g} and {self.curvature:g}.",
                write={"decrease": 1e-4, "curvature": 0.9},
            )

    def check(self, objective: Objective, parameters: int) -> None:
        """Refuse a network for which the inverse Hessian and the arrays of an update need more than `MOST_MEMORY`."""
        needed = 4 * parameters**2 * objective.parameters[0].element_size() / 2**30
        if needed > MOST_MEMORY:
            raise InputError(
                f"SSBroyden needs {needed:.1f} GiB for {parameters} parameters.",
                instead={"phases": Code("[Phase(LBFGS())]")},
            )

    def __call__(self, objective: Objective) -> "_SSBroyden":
        return _SSBroyden(objective, self)


class _SSBroyden:
    def __init__(self, objective: Objective, options: SSBroyden):
        self.objective, self.options = objective, options
        self.inverse: Square | None = None  # None: the unscaled identity, initially and after a reset
        self.previous: float | None = None  # the loss of the previous iteration, which determines the first trial step

    def step(self) -> Step:
        """Take ``iterations`` iterations; repeat a failed one along the gradient, then end the phase."""
        loss, gradient = _value_and_gradient(self.objective)
        end = None
        for _ in range(self.options.iterations):
            if not isfinite(loss) or float(gradient.abs().max()) <= VANISHED:
                end = Ending(End.CONVERGED, "the gradient vanishes") if isfinite(loss) else None
                break
            moved = self._iterate(loss, gradient)
            if moved is None and self.inverse is not None:
                self.inverse = self.previous = None
                moved = self._iterate(loss, gradient)
            if moved is None:
                end = Ending(End.STAGNATED, "the line search finds no lower loss")
                break
            loss, gradient = moved
        return Step(loss, end)

    def state(self) -> dict[str, Any]:
        """Return the inverse Hessian, which updates replace rather than modify, and the loss of the last iteration."""
        return {"inverse": self.inverse, "previous": self.previous}

    def restore(self, state: Mapping[str, Any]) -> None:
        inverse = state["inverse"]
        self.inverse = None if inverse is None else inverse.to(self.objective.vector()).clone()
        self.previous = state["previous"]

    def _iterate(self, loss: float, gradient: Vector) -> tuple[float, Vector] | None:
        """Take one quasi-Newton step and update; None, with unchanged parameters, if no lower loss is found."""
        direction = -gradient if self.inverse is None else -(self.inverse @ gradient)
        slope = float(gradient @ direction)
        if not slope < 0:
            return None
        line = _Line(self.objective, direction, loss, gradient, slope)
        alpha = line.search(self.previous, self.options)
        if alpha is None:
            return None
        new_loss, new_gradient = line.at(alpha)
        self.previous = loss
        step, change = alpha * direction, new_gradient - gradient
        curvature = float(step @ change)
        if curvature > torch.finfo(step.dtype).eps * float(step.norm() * change.norm()):
            b = -alpha * alpha * slope / curvature  # sᵀBs = -α sᵀg, for Bs = -αg
            self.inverse = broyden_update(self.inverse, step, change, b)
        return new_loss, new_gradient


class _Line:
    """The loss along x + αd; loss and gradient are evaluated once for every trial α."""

    def __init__(self, objective: Objective, direction: Vector, loss: float, gradient: Vector, slope: float):
        self.objective, self.direction, self.slope = objective, direction, slope
        self.start, self.gradient = objective.vector(), gradient
        self.trials = {0.0: (loss, gradient)}

    def at(self, alpha: float) -> tuple[float, Vector]:
        """Return loss and gradient at x + αd, and leave the parameters there."""
        self.objective.assign(self.start + alpha * self.direction)
        if alpha not in self.trials:
            loss, gradient = _value_and_gradient(self.objective)
            self.trials[alpha] = (loss if isfinite(loss) else inf, gradient)
        return self.trials[alpha]

    def search(self, previous: float | None, options: SSBroyden) -> float | None:
        """Return an α that fulfils the strong Wolfe conditions, else the trial with the least loss if that is lower."""
        from scipy.optimize import line_search  # imported here because it is slow to import

        loss = self.trials[0.0][0]
        if previous is None:
            previous = loss + float(self.gradient.norm()) / 2  # the first trial step then has a length of about 1
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            alpha = line_search(
                lambda a: self.at(float(a[0]))[0],
                lambda a: np.array([float(self.at(float(a[0]))[1] @ self.direction)]),
                np.zeros(1),
                np.ones(1),
                np.array([self.slope]),
                loss,
                previous,
                c1=options.decrease,
                c2=options.curvature,
                maxiter=20,
            )[0]
        lowest = min(self.trials, key=lambda a: self.trials[a][0])
        alpha = lowest if alpha is None else float(alpha)
        if not self.trials[alpha][0] < loss:
            self.objective.assign(self.start)
            return None
        return alpha


def _value_and_gradient(objective: Objective) -> tuple[float, Vector]:
    loss, gradient = objective.gradient()
    return float(loss), gradient


def broyden_update(inverse: Square | None, s: Vector, y: Vector, b: float) -> Square:
    r"""Return the inverse Hessian after a step s with gradient change y; $H_+ y = s$, positive definite.

    $$H_+ = \frac1\tau\Big(H - \frac{Hyy^TH}{y^THy} + \phi\, y^THy\, vv^T\Big) + \frac{ss^T}{y^Ts},\quad
    v = \frac{s}{y^Ts} - \frac{Hy}{y^THy},\quad \phi = \frac{1-\theta}{1+a\theta}$$

    With $h = y^THy / y^Ts$, $b = s^TH^{-1}s / y^Ts$ and $a = hb - 1 \ge 0$, the member of the family is
    $\theta = \max(\theta_-, \min(1/\rho_-, (1-b)/b))$, $\theta_- = (\rho_- - 1)/a$,
    $\rho_- = \min(1, h(1 - \sqrt{a/(1+a)}))$, and with $\sigma = 1 + a\theta$ the scale is
    $\tau = \rho \min(\sigma^{1/(1-n)}, 1/\theta)$ for θ > 0, else $\min(\rho\,\sigma^{1/(1-n)}, \sigma)$, with
    $\rho = \min(1, 1/b)$; the first time, with H = I, it is $\tau = h/\sigma$. θ = 0 and τ = 1 would be BFGS.

    J. Urbán, P. Stefanou & J. Pons, J. Comput. Phys. 523 (2025) 113656; M. Al-Baali, Comput. Optim. Appl. 9 (1998) 191.

    Args:
        inverse: H, symmetric and positive definite; None for the identity before the first update.
        s: the step.
        y: the change of the gradient, $y^Ts > 0$.
        b: $s^TH^{-1}s / y^Ts$, which follows from the line search without H⁻¹.
    """
    hy = y if inverse is None else inverse @ y
    ys, yhy = float(y @ s), float(y @ hy)
    h = yhy / ys
    a = max(h * b - 1.0, 0.0)
    theta = _member(a, b, h)
    sigma = 1.0 + a * theta
    if inverse is None:
        tau = h / sigma
        inverse = torch.eye(len(s), dtype=s.dtype, device=s.device)
    else:
        shrunk = min(1.0, 1.0 / b)
        root = sigma ** (1.0 / (1 - len(s))) if len(s) > 1 else 1.0
        tau = shrunk * min(root, 1.0 / theta) if theta > 0 else min(shrunk * root, sigma)
    v = s / ys - hy / yhy
    phi = (1.0 - theta) / sigma
    update = torch.outer(hy, hy / -yhy) + torch.outer(v, (phi * yhy) * v)
    return (inverse + update) / tau + torch.outer(s, s / ys)


def _member(a: float, b: float, h: float) -> float:
    """Return θ of the Broyden family, within the bounds that keep the update positive definite and bounded."""
    lower = min(1.0, h / ((1.0 + a) * (1.0 + sqrt(a / (1.0 + a)))))  # = h (1 - sqrt(a / (1 + a))), not rounded to 0
    least = (lower - 1.0) / a if a > 0 else -inf
    return max(least, min(1.0 / lower, (1.0 - b) / b))
