# pyright: reportMissingImports=false
"""DeepXDE on the annulus and the L of `shapes.py`, with its own geometry (PyTorch backend, float64).

    python -m venv peer && peer/bin/pip install torch==2.13.0 && peer/bin/pip install deepxde==1.15.0
    OMP_NUM_THREADS=1 peer/bin/python benchmarks/peer_shapes_deepxde.py annulus lshape [--limit 900] [--adam 15000]

The recipe is that of its examples of Poisson's equation: a tanh network 4 x 50 with Glorot normal weights, 1200 points
inside and 120 on the boundary, Adam at 1e-3, then L-BFGS. Differences: the number of steps of Adam, float64, and L-BFGS
with tolerances of rounding, up to the limit of processor seconds of training. Every boundary weight is a run; the table
has all of them, and the best is the one to compare with. The error is the relative L2 norm on an equidistant grid.
"""

import argparse
import os
from time import perf_counter, process_time

os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde
import numpy as np
import torch


class Limit(dde.callbacks.Callback):
    """Stops the training after a number of processor seconds."""

    def __init__(self, seconds: float):
        super().__init__()
        self.end = process_time() + seconds

    def on_epoch_end(self) -> None:
        self.model.stop_training = self.model.stop_training or process_time() > self.end


def annulus():
    """Return the geometry, the solution (of arrays of NumPy), the source (of tensors), and points of a grid inside."""
    hole = dde.geometry.Disk([0.2, 0.1], 0.3)
    shape = dde.geometry.CSGDifference(dde.geometry.Disk([0, 0], 1), hole)

    def source(x, y):
        slope, bend = torch.cos(2 * x + y), torch.sin(2 * x + y)
        wave, slip = torch.cos(2 * x * y), torch.sin(2 * x * y)
        drift = 4 * slope * (2 * y + x) * slip + 4 * (x**2 + y**2) * wave
        return torch.exp(bend) * (5 * (slope**2 - bend) * wave - drift)

    x, y = grid()
    inside = (np.hypot(x, y) < 1) & (np.hypot(x - 0.2, y - 0.1) > 0.3)
    return shape, lambda x, y: np.exp(np.sin(2 * x + y)) * np.cos(2 * x * y), source, (x[inside], y[inside])


def lshape():
    """Return the same for the L, with the singular function of its corner."""
    shape = dde.geometry.Polygon([[0, 0], [1, 0], [1, 1], [-1, 1], [-1, -1], [0, -1]])

    def exact(x, y):
        angle = np.arctan2(y, x)
        angle = np.where(angle < -np.pi / 4, angle + 2 * np.pi, angle)
        return np.hypot(x, y) ** (2 / 3) * np.sin(2 / 3 * angle) + np.exp(x) * np.sin(2 * y)

    x, y = grid()
    inside = (x < 0) | (y > 0)
    return shape, exact, lambda x, y: -3 * torch.exp(x) * torch.sin(2 * y), (x[inside], y[inside])


def grid() -> tuple[np.ndarray, np.ndarray]:
    axis = (np.arange(120) + 0.5) / 60 - 1
    x, y = np.meshgrid(axis, axis)
    return x.ravel(), y.ravel()


SHAPES = {"annulus": annulus, "lshape": lshape}


def measure(name: str, weight: float, seed: int, limit: float, steps: int) -> tuple[float, float, float, float]:
    """Return the errors after Adam and at the end, and wall and processor seconds of training."""
    dde.config.set_random_seed(seed)
    dde.config.set_default_float("float64")
    shape, exact, source, (x, y) = SHAPES[name]()

    def equation(x, u):
        curvature = dde.grad.hessian(u, x, i=0, j=0) + dde.grad.hessian(u, x, i=1, j=1)
        return curvature - source(x[:, 0:1], x[:, 1:2])

    boundary = dde.icbc.DirichletBC(shape, lambda x: exact(x[:, 0:1], x[:, 1:2]), lambda x, on_boundary: on_boundary)
    data = dde.data.PDE(shape, equation, boundary, num_domain=1200, num_boundary=120)
    model = dde.Model(data, dde.nn.FNN([2, 50, 50, 50, 50, 1], "tanh", "Glorot normal"))
    wanted, points = exact(x, y), np.stack([x, y], axis=1)

    def error() -> float:
        return float(np.linalg.norm(model.predict(points)[:, 0] - wanted) / np.linalg.norm(wanted))

    began, busy, stop = perf_counter(), process_time(), Limit(limit)
    model.compile("adam", lr=1e-3, loss_weights=[1, weight], verbose=0)
    model.train(iterations=steps, display_every=steps, callbacks=[stop], verbose=0)
    first = error()
    dde.optimizers.set_LBFGS_options(maxcor=100, ftol=0, gtol=1e-14, maxiter=10**6)
    dde.optimizers.config.LBFGS_options.update(iter_per_step=50, fun_per_step=63)
    model.compile("L-BFGS", loss_weights=[1, weight], verbose=0)
    model.train(display_every=10**6, callbacks=[stop], verbose=0)
    return first, error(), perf_counter() - began, process_time() - busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", metavar="shape", help=f"of {', '.join(SHAPES)}; all by default")
    parser.add_argument("--weights", type=float, nargs="+", default=[1.0, 10.0, 100.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=900.0, help="processor seconds of training")
    parser.add_argument("--adam", type=int, default=15_000, metavar="STEPS", help="steps of Adam")
    chosen = parser.parse_args()
    if unknown := set(chosen.shapes) - set(SHAPES):
        parser.error(f"unknown shapes {', '.join(sorted(unknown))}; choose from {', '.join(SHAPES)}")
    torch.set_num_threads(1)
    print(
        f"deepxde {dde.__version__}, torch {torch.__version__}, one thread, seed {chosen.seed}, "
        f"{chosen.adam} steps of Adam"
    )
    print("| shape | boundary weight | error after Adam | error | time | processor time |\n|---|---|---|---|---|---|")
    for name in chosen.shapes or SHAPES:
        for weight in chosen.weights:
            first, last, seconds, busy = measure(name, weight, chosen.seed, chosen.limit, chosen.adam)
            print(f"| {name} | {weight:g} | {first:.1e} | {last:.1e} | {seconds:.0f} s | {busy:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
