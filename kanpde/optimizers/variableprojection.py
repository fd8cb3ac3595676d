"""Variable projection: the last layer, in which the residuals are linear, always has its least-squares weights."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kanpde.errors import Code, InputError
from kanpde.models.layer import Layer
from kanpde.models.network import Network
from kanpde.optimizers.damped import Cholesky, column_scale, gram
from kanpde.optimizers.lm import LM, LevenbergMarquardt
from kanpde.residuals.objective import Objective

FREEDOM = 0.25  # D of the last layer's columns is multiplied by eps to this power
MOST_RIDGE = 1e-3  # largest relative ridge in the last layer's least squares, whose columns are nearly dependent


@dataclass(frozen=True)
class VariableProjection:
    r"""Levenberg-Marquardt on the inner layers, with $c = \arg\min_c |r(\theta, c)|^2$ at every trial point.

    c are the last layer's weights. The step solves the joint linear problem with c undamped (L. Kaufman, A variable
    projection method for solving separable nonlinear least squares problems, 1975). The residuals must be linear in the
    solution (G. Golub, V. Pereyra, 1973). The arguments are those of `LM`; the solver is always Cholesky.
    """

    damping: float = 1e-3
    floor: float = 1e-12
    tolerance: float = 1e-10
    acceleration: float = 0.75
    memory: float = 4.0

    needs_jacobian: ClassVar[bool] = True

    def __post_init__(self):
        self._inner()

    def _inner(self) -> LM:
        return LM(self.damping, self.floor, self.tolerance, self.acceleration, "cholesky", self.memory)

    def check(self, objective: Objective, parameters: int) -> None:
        """Refuse residuals that are not linear in the last layer's weights."""
        self._inner().check(objective, parameters)
        if isinstance(objective.model, Network) and objective.model.singular is not None:
            raise InputError(
                "VariableProjection solves for the weights of the last layer alone, and this network has the factors "
                "of singular functions besides.",
                instead={"phases": Code("[Phase(LM())]")},
            )
        if departure_from_linearity(objective) > torch.finfo(objective.parameters[0].dtype).eps ** 0.5:
            raise InputError(
                "VariableProjection needs residuals that are linear in the solution, and these are not.",
                instead={"phases": Code("[Phase(LM())]")},
            )

    def __call__(self, objective: Objective) -> LevenbergMarquardt:
        assert isinstance(objective.model, Network)
        sizes = [free_size(layer) for layer in objective.model.layers]
        start, end = sum(sizes[:-1]), sum(sizes)

        def scale(squares: Tensor) -> Tensor:
            d = column_scale(squares, self.floor)
            d[start:end] *= torch.finfo(d.dtype).eps ** FREEDOM
            return d

        return LevenbergMarquardt(objective, self._inner(), scale, lambda: solve_last_layer(objective, self.floor))


def free_size(layer: Layer) -> int:
    """Return the number of trained weights of a layer."""
    return layer.weight.numel() if layer.free is None else len(layer.free)


def last_layer(objective: Objective) -> Layer:
    """Return the layer whose weights are projected out."""
    assert isinstance(objective.model, Network)
    return objective.model.layers[-1]


@torch.no_grad()
def departure_from_linearity(objective: Objective) -> float:
    """Return max |r((a + b)/2) - (r(a) + r(b))/2| / max |r| for two sets a, b of weights of the last layer."""
    weight = last_layer(objective).weight
    kept = weight.clone()
    try:
        a = objective.values()
        weight.mul_(-2.0).add_(1.0)
        b = objective.values()
        weight.copy_(0.5 * (kept + weight))
        middle = objective.values()
    finally:
        weight.copy_(kept)
    largest = max(float(a.abs().max()), float(b.abs().max()), torch.finfo(a.dtype).tiny)
    return float((middle - 0.5 * (a + b)).abs().max()) / largest


def solve_last_layer(objective: Objective, floor: float) -> None:
    """Set the last layer's weights to their least-squares solution, if that lowers the loss."""
    layer = last_layer(objective)
    jacobian = layer.weight.new_empty(objective.size[0], free_size(layer))
    blocks = jacobian.split([site.rows for site in objective.sites])
    parts = zip(objective.sites, blocks, strict=True)
    r = torch.cat([objective.linearize_site(site, block, slice(-1, None)) for site, block in parts])
    normal = gram(jacobian)
    scale = column_scale(normal.diagonal().clone(), floor)
    system = Cholesky(jacobian, normal, scale)
    target, ridge, y = system.transposed(r), len(scale) * torch.finfo(r.dtype).eps, None
    while y is None and ridge <= MOST_RIDGE:
        y = system.solve(ridge, r, target)
        ridge *= 10.0
    if y is not None and float((r + system.forward(y)).square().sum()) < float(r @ r):
        step, free = y / scale, layer.free
        with torch.no_grad():
            if free is None:
                layer.weight.add_(step.view_as(layer.weight))
            else:
                layer.weight.view(-1)[free] += step
