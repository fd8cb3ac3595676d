"""Why splines train better than ReLUs that span the same functions: condition numbers, and what they do to training.

    python benchmarks/conditions.py [--seeds 3] [--steps 200]

The splines of degree p on G cells of [-1, 1] are spanned by B-splines (hats for p = 1) and by truncated powers: 1, ...,
(x + 1)^p and max(x - t, 0)^p at the inner ends t of the cells (ReLUs for p = 1). Printed are the condition numbers of
the matrix that takes coefficients in the one basis to those in the other, and of least squares at 20 points a cell;
those of the normal equations, on which gradient methods depend, are their squares.

Then the hats start from random values, and a ReLU perceptron from the same function (`kanpde.relu_mlp_of`). Both are
fitted to the same rows of sin 3πx + x / 2 by the same method: "hats", "ReLUs" (the kinks stay, so that both have the
same functions, the same start and the same best fit), and "ReLUs, kinks free" (all weights of the perceptron are
trained). Printed are mean squared errors above the best fit of fixed kinks, relative to the variance of the rows
(medians over the seeds); negative where free kinks do better.
"""

import argparse
from collections.abc import Callable, Mapping
from copy import deepcopy
from math import pi
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kanpde import KAN, LBFGS, LM, Adam, fit_problem, relu_mlp_of, without_silu
from kanpde.bases.bspline import BSpline
from kanpde.calculus.jet import JetSpace
from kanpde.data.fitting import DATA
from kanpde.models.kan import KANLayer
from kanpde.models.layer import Layer
from kanpde.models.network import Network
from kanpde.residuals.objective import Objective

GRIDS, DEGREES = (4, 16, 64, 256), (1, 3)
RATES = (1e-1, 1e-2, 1e-3)  # of Adam; the best one is printed
METHODS = {**{f"Adam {lr:g}": Adam(lr=lr) for lr in RATES}, "L-BFGS": LBFGS(iterations=1), "LM": LM()}


# condition numbers ---------------------------------------------------------------------------------------------------
def splines(cells: int, degree: int) -> BSpline:
    one = torch.ones(1, dtype=torch.float64)
    return BSpline.over(-one, one, cells, degree)


def derivatives(basis: BSpline, x: Tensor) -> NDArray:
    """Return derivatives 0 to p of all B-splines: (p + 1, points, functions)."""
    table, first = basis.table(x[:, None], basis.degree)
    places = first[:, 0, None] + torch.arange(basis.local)
    return torch.stack([torch.zeros(len(x), basis.size).double().scatter(1, places, t[:, 0]) for t in table]).numpy()


def truncated_powers(basis: BSpline, x: NDArray) -> NDArray:
    """Return (points, functions)."""
    ends, p = basis.breakpoints[0].numpy(), basis.degree
    powers = [(x - ends[0]) ** k for k in range(p + 1)]
    return np.stack([*powers, *(np.maximum(x - t, 0.0) ** p for t in ends[1:-1])], axis=1)


def change_of_basis(basis: BSpline) -> NDArray:
    """Return the matrix from coefficients of B-splines to those of truncated powers: Taylor's, then jumps."""
    ends, p = basis.breakpoints[0], basis.degree
    factorial = np.cumprod([1.0, *range(1, p + 1)])
    taylor = derivatives(basis, ends[:1])[:, 0] / factorial[:, None]
    highest = derivatives(basis, 0.5 * (ends[1:] + ends[:-1]))[p]  # constant in every cell
    return np.concatenate([taylor, np.diff(highest, axis=0) / factorial[p]])


def matrices(cells: int, degree: int) -> tuple[NDArray, NDArray, NDArray]:
    """Return the change of basis, and all functions of both bases at 20 points a cell, (points, functions)."""
    basis, x = splines(cells, degree), np.linspace(-1, 1, 20 * cells + 1)
    return change_of_basis(basis), derivatives(basis, torch.as_tensor(x))[0], truncated_powers(basis, x)


def print_conditions() -> None:
    columns = ("B-splines to truncated powers", "least squares, B-splines", "least squares, truncated powers")
    print(f"| degree | cells | {' | '.join(columns)} |")
    print("|---|---|---|---|---|")
    for degree in DEGREES:
        for cells in GRIDS:
            numbers = " | ".join(f"{np.linalg.cond(matrix):.1e}" for matrix in matrices(cells, degree))
            print(f"| {degree} | {cells} | {numbers} |")


# training ------------------------------------------------------------------------------------------------------------
class Linear(Layer):
    """Given functions of one coordinate with trained weights, for values only."""

    def __init__(self, functions: Callable[[Tensor], Tensor], weight: Tensor):
        super().__init__()
        self.functions, self.weight = functions, nn.Parameter(weight)

    def architecture(self) -> dict[str, Any]:
        raise NotImplementedError("this layer is never stored")

    @classmethod
    def from_architecture(cls, architecture: Mapping[str, Any], device, dtype) -> "Linear":
        raise NotImplementedError("this layer is never stored")

    def forward(self, x: Tensor) -> Tensor:
        return self.functions(x) @ self.weight

    def features(self, data: Tensor, space: JetSpace) -> Tensor:
        return self.functions(data[0])[None]


def three_networks(cells: int, seed: int) -> dict[str, Network]:
    """Return three networks that are the same function."""
    kan = without_silu(KAN([], degree=1, grid=cells)([(-1.0, 1.0)], generator=torch.Generator().manual_seed(seed)))
    mlp, hats = relu_mlp_of(kan), kan.layers[0]
    assert isinstance(hats, KANLayer)
    first, last = deepcopy(mlp.layers[0]).requires_grad_(False), mlp.layers[1].weight

    def units(x: Tensor) -> Tensor:
        hidden = torch.relu(first(x))
        return torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1)

    basis = hats.basis
    by_hats = Linear(lambda x: basis.dense(x).flatten(1), hats.coefficients[0, :-1].detach().clone())
    by_units = Linear(units, last.detach().clone())
    return {
        "hats": Network(kan.inputs, [by_hats]),
        "ReLUs": Network(kan.inputs, [by_units]),
        "ReLUs, kinks free": mlp,
    }


def rows() -> tuple[NDArray, NDArray]:
    x = np.linspace(-1, 1, 2001)
    return x, np.sin(3 * pi * x) + x / 2


def excess(cells: int, seed: int, steps: int) -> dict[tuple[str, str], float]:
    """Return mean squared errors above that of the best fit, by network and method."""
    x, y = rows()
    problem = fit_problem({"x": x, "u": y}, validation=0.01, test=0.0)
    region = problem.conditions[DATA].region
    points = {DATA: region.sample("auto", region.rows or 0)}
    matrix = splines(cells, 1).dense(points[DATA].x)[:, 0].numpy()
    data = points[DATA].data
    assert data is not None
    wanted = data.numpy()[:, 0]
    best = np.mean((matrix @ np.linalg.lstsq(matrix, wanted, rcond=None)[0] - wanted) ** 2) / np.var(wanted)
    found = {}
    for name, network in three_networks(cells, seed).items():
        for method, optimizer in METHODS.items():
            objective = Objective(problem, deepcopy(network), points)
            stepper = optimizer(objective)
            for _ in range(steps):
                if stepper.step().end is not None:
                    break
            found[name, method] = float(objective.loss().detach()) - best
        found[name, "Adam"] = min(found.pop((name, f"Adam {lr:g}")) for lr in RATES)
        found[name, "start"] = float(Objective(problem, network, points).loss().detach()) - best
    found["best fit", ""] = float(best)
    return found


def print_training(seeds: int, steps: int) -> None:
    columns = ("start", "Adam", "L-BFGS", "LM")
    print(f"\n| cells | best fit | network | {' | '.join(columns)} |\n|---|---|---|---|---|---|---|")
    for cells in GRIDS:
        runs = [excess(cells, seed, steps) for seed in range(seeds)]
        for name in ("hats", "ReLUs", "ReLUs, kinks free"):
            values = " | ".join(f"{median(run[name, column] for run in runs):.1e}" for column in columns)
            print(f"| {cells} | {runs[0]['best fit', '']:.1e} | {name} | {values} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    print_conditions()
    print_training(options.seeds, options.steps)


if __name__ == "__main__":
    main()
