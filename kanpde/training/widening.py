"""Networks, each twice as wide as the one before, until the eigenvalues with their last layers agree."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.errors import Code, InputError
from kanpde.models.mlp import MLPLayer
from kanpde.models.network import Network
from kanpde.problem import Problem
from kanpde.training.building import built
from kanpde.training.pencil import Pencil
from kanpde.training.phases import Phase
from kanpde.training.sampling import Sampling
from kanpde.training.settings import Settings
from kanpde.training.subspace import Nearest, Shifted

MOST_FUNCTIONS = 1300  # of the last layer; the time grows with their cube
EXTRA = 6  # dimensions of the subspace beyond twice the number of eigenvalues
UNSCALED = 100  # functions of an MLP up to which its first layer is that of training
SAME = 1e-3  # relative difference of eigenvalues that are the same
ENDS = 4  # attempts to find the end of the spectrum at two shifts; values of no eigenfunction depend on the shift
RESOLVED = 0.1  # residual relative to an eigenvalue, below which it counts when the end of the spectrum is sought


@dataclass(frozen=True)
class Level:
    """The eigenvalues with one network.

    Attributes:
        pencil: its matrices.
        shifted: they at the shift.
        near: the number to which the eigenvalues are the nearest ones.
        found: the wanted ones.
        estimates: differences from those with the network before, infinite if there is none.
        model: the factory of the network.
        left_out: the smallest eigenvalue, if it is not found because the side of the spectrum's end is not clear.
        is_reached: whether the estimates are below the tolerance.
    """

    pencil: Pencil
    shifted: Shifted
    near: float
    found: Nearest
    estimates: NDArray
    model: Any
    left_out: float | None = None
    is_reached: bool = False

    @property
    def size(self) -> float:
        """The largest absolute value of the eigenvalues, or of the distance to the shift if they vanish."""
        return max(float(np.abs(self.found.values).max()), abs(self.near - self.shifted.shift))

    def more(self, further: int) -> Nearest:
        """Return the wanted eigenvalues and further ones."""
        count = len(self.found.values)
        return self.shifted.nearest(count + further, self.near, extra=count + further + EXTRA)


def widened(
    problem: Problem,
    model: Any,
    count: int,
    near: float | None,
    tolerance: float,
    seed: int,
    log: Callable[[str], None],
) -> Level:
    """Return the eigenvalues of the first network, each twice as wide as the one before, that changes them little.

    Args:
        problem: linear.
        near: the eigenvalues nearest to it are wanted; None for those at the end of the spectrum.
        model, count, tolerance, seed, log: as in `kanpde.eigen`.

    Raises:
        InputError: the eigenvalues are complex, or the model has no hidden layer.
    """
    pencil = pencil_of(problem, model, seed)
    while pencil.functions < 2 * count + EXTRA:
        model = _wider(model)
        pencil = pencil_of(problem, model, seed)
    before = None
    while True:
        level = _level(pencil, count, near, model)
        found = level.found.values
        if before is not None:
            estimates = np.abs(found - before.found.values)
            is_reached = bool(estimates.max() <= tolerance * level.size)
            level = replace(level, estimates=estimates, is_reached=is_reached)
        log(f"{pencil.functions} functions: {', '.join(f'{value:.10g}' for value in found)}")
        if level.is_reached or 2 * pencil.functions > MOST_FUNCTIONS:
            return level
        before, model = level, _wider(model)
        pencil = pencil_of(problem, model, seed)


def _level(pencil: Pencil, count: int, near: float | None, model: Any) -> Level:
    """Return the eigenvalues of a pencil.

    Raises:
        InputError: they are complex, or there are not as many.
    """
    a, b = pencil.matrices
    exact = a[pencil.of_integrals]
    shifted, lowest = Shifted(a, b, pencil.shift(near or 0.0), exact), 0.0
    if count > shifted.most:
        raise InputError(
            f"The eigenvalue occurs at {shifted.most} points only, so that there are no {count} eigenvalues.",
            write={"count": shifted.most},
        )
    if near is None:
        near, lowest = 0.0, 0.0 if pencil.side else end_of(shifted, 1)
        for _ in range(ENDS if pencil.side else 0):
            before, near = near, end_of(shifted, pencil.side)
            if abs(near - before) <= SAME * abs(near):
                break
            shifted = Shifted(a, b, pencil.shift(near), exact)
    found = shifted.nearest(count, near, extra=count + EXTRA)
    if found.is_complex:
        raise InputError(
            f"The eigenvalues near {near:g} are complex, such as {found.values[0]:.6g} ± "
            f"{abs(found.imaginary[0]):.3g} i; only real ones are computed. Is a boundary condition missing?"
        )
    is_missed = lowest < min(0.0, found.values[0] - SAME * np.abs(found.values).max())
    return Level(pencil, shifted, near, found, np.full(count, inf), model, lowest if is_missed else None)


def end_of(shifted: Shifted, side: int) -> float:
    """Return the smallest eigenvalue if it is negative, 0 if none is; with side -1 the largest one if it is positive.

    Values of the pencil that belong to no eigenfunction have residuals as large as they are, or are complex.
    """
    values, residuals = shifted.spectrum()
    sizes = -side * np.real(values)  # positive where an end is sought
    ends = sizes[np.maximum(residuals / RESOLVED, np.abs(np.imag(values))) < sizes]
    return -side * float(ends.max()) if len(ends) else 0.0


def pencil_of(problem: Problem, model: Any, seed: int) -> Pencil:
    """Return the pencil of an untrained network."""
    settings = Settings(
        problem=problem,
        model=model,
        phases=(Phase(),),
        starts=1,
        sampling=Sampling(),
        weights={},
        seed=seed,
        device=torch.device("cpu"),
        dtype=torch.float64,
        threads=None,
        time_limit=None,
        derivatives="jets",
        constraints="soft",
        checkpoint=5.0,
    )
    network = built(settings, torch.Generator().manual_seed(seed))
    if not isinstance(network, Network) or len(network.layers) < 2:
        raise InputError(
            "Eigenfunctions need the functions of a hidden layer, and the model has none.",
            write={"model": Code("MLP([20, 100])")},
        )
    if isinstance(first := network.layers[0], MLPLayer):  # more functions resolve shorter waves
        with torch.no_grad():
            functions = sum(layer.weight.numel() for layer in list(network.layers)[-1:])
            first.weight.mul_(max(1.0, functions / UNSCALED) ** (1 / len(problem.domain.names)))
    return Pencil(problem, network)


def _wider(model: Any) -> Any:
    """Return the factory with twice as many nodes in the last hidden layer."""
    *first, last = model.hidden
    wide = 2 * last if isinstance(last, int) else [2 * n for n in last]
    return replace(model, hidden=[*first, wide])
