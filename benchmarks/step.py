"""Cost of one optimizer step: Laplacian of the network at 4096 points, mean square, gradient of all weights.

    python benchmarks/step.py [--grids 5 20] [--points 4096] [--repeats 40]

Compares the KAN [2, 10, 10, 1] of degree 3 with tanh MLPs of the same depth and (within 3 %) the same number of
parameters, by forward jets and by reverse-mode autograd. One core, float64, nothing cached between steps. Candidates
alternate, so that other load on the machine affects all of them alike; medians and quartiles are printed.
"""

import argparse
from collections.abc import Callable
from time import perf_counter

import numpy as np
import reverse
import torch

from kanpde import KAN, MLP
from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.models.network import Network

RANGES = [(-1.0, 1.0), (-1.0, 1.0)]
SPACE = JetSpace.spanned([LAPLACIAN], (0, 1))


def size(network: torch.nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(p.numel() for p in network.parameters())


def matched_mlp(parameters: int) -> Network:
    """Return the tanh MLP with two hidden layers and the nearest number of parameters."""

    def count(width: int) -> int:
        return 3 * width + (width + 1) * width + width + 1

    width = min(range(1, 500), key=lambda w: abs(count(w) - parameters))
    return MLP([width, width])(RANGES, generator=torch.Generator().manual_seed(0))


def step_by_jets(network: Network, x: torch.Tensor) -> None:
    """Take a step by forward jets with the collapsed Laplacian."""
    laplacian = network.jet(x, SPACE)[SPACE.row[LAPLACIAN]]
    torch.autograd.grad(laplacian.square().mean(), list(network.parameters()))


def step_by_autograd(network: Network, x: torch.Tensor) -> None:
    """Take a step by reverse mode twice, as usual PINN code: a backward pass for the gradient, one per coordinate."""
    torch.autograd.grad(reverse.laplacian(network, x).square().mean(), list(network.parameters()), allow_unused=True)


def compare(candidates: dict[str, Callable[[], None]], repeats: int) -> dict[str, np.ndarray]:
    """Return the milliseconds of all candidates, measured alternately."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(repeats + 3):
        for name, run in candidates.items():
            began = perf_counter()
            run()
            if turn >= 3:  # the first rounds fill caches and allocators
                times[name].append(1e3 * (perf_counter() - began))
    return {name: np.array(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x = torch.rand(options.points, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    print(f"torch {torch.__version__}, {options.points} points, float64, one thread")
    for grid in options.grids:
        kan = KAN([10, 10], degree=3, grid=grid)(RANGES, generator=torch.Generator().manual_seed(0))
        mlp = matched_mlp(size(kan))
        assert abs(size(mlp) / size(kan) - 1) <= 0.03
        times = compare(
            {
                f"KAN jets ({size(kan)} parameters)": lambda kan=kan: step_by_jets(kan, x),
                f"MLP jets ({size(mlp)} parameters)": lambda mlp=mlp: step_by_jets(mlp, x),
                f"MLP autograd ({size(mlp)} parameters)": lambda mlp=mlp: step_by_autograd(mlp, x),
            },
            options.repeats,
        )
        print(f"grid {grid}")
        for name, values in times.items():
            low, middle, high = np.percentile(values, [25, 50, 75])
            print(f"  {name:32s} {middle:7.1f} ms  (quartiles {low:.1f} to {high:.1f})")
        kan_time, *others = (float(np.median(values)) for values in times.values())
        print(f"  KAN / fastest MLP: {kan_time / min(others):.2f}")


if __name__ == "__main__":
    main()
