"""Cost of a step of pykan, for comparison with `step.py`; to be run in the environment that `peers.py` creates.

    python benchmarks/peers.py --only pykan --cache DIR --limit 1 --seeds 1
    DIR/pykan/bin/python benchmarks/step_pykan.py [--grids 5 20] [--points 4096] [--repeats 5]

The KAN [2, 10, 10, 1] of degree 3 with `speed()`, float64, one thread: Laplacian by applying reverse mode twice, mean
square, gradient of all trained weights.
"""

import argparse
import tempfile
from time import perf_counter

import numpy as np
import reverse
import torch
from kan import KAN  # type: ignore[import-not-found]


def step(model, x: torch.Tensor) -> None:
    """Apply reverse mode twice with respect to the points, then once with respect to the weights."""
    trained = [p for p in model.parameters() if p.requires_grad]
    torch.autograd.grad(reverse.laplacian(model, x).square().mean(), trained, allow_unused=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    x = torch.rand(options.points, 2) * 2 - 1
    for grid in options.grids:
        with tempfile.TemporaryDirectory() as folder:
            model = KAN([2, 10, 10, 1], grid=grid, k=3, seed=0, auto_save=False, ckpt_path=folder)
        model.speed()
        times = []
        for turn in range(options.repeats + 1):
            began = perf_counter()
            step(model, x)
            if turn:
                times.append(1e3 * (perf_counter() - began))
        print(f"grid {grid}: pykan with speed() {np.median(times):.0f} ms", flush=True)


if __name__ == "__main__":
    main()
