# pyright: reportMissingImports=false
"""DeepXDE on the cavity of `problems/cavity.py`, Re = 100, against the same reference (PyTorch backend, float64).

    python -m venv peer && peer/bin/pip install torch==2.13.0 && peer/bin/pip install deepxde==1.15.0
    OMP_NUM_THREADS=1 peer/bin/python benchmarks/peer_cavity_deepxde.py [--weight 1] [--limit 600] [--adam 8000]

The recipe is that of its example of Kovasznay's flow: a tanh network 4 x 50 with Glorot normal weights, 2601 points
inside and 400 on the boundary, Adam at 1e-3, then L-BFGS. Differences: the number of steps of Adam, float64, and L-BFGS
with tolerances of rounding, up to the limit of processor seconds of training. The pressure is 0 in the middle of the
floor. Errors are relative L2 differences at the points of `problems/cavity.csv`.
"""

import argparse
import os
from pathlib import Path
from time import process_time

os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde
import numpy as np
import torch
from peer_shapes_deepxde import Limit

REYNOLDS = 100.0
REFERENCE = Path(__file__).parents[1] / "problems" / "cavity.csv"


def equation(x, outputs):
    """Return the residuals of both momentum equations and of continuity."""
    u, v = outputs[:, 0:1], outputs[:, 1:2]
    slope = [[dde.grad.jacobian(outputs, x, i=i, j=j) for j in (0, 1)] for i in (0, 1, 2)]
    bend = [sum(dde.grad.hessian(outputs, x, component=i, i=j, j=j) for j in (0, 1)) for i in (0, 1)]
    motion = [u * slope[i][0] + v * slope[i][1] + slope[2][i] - bend[i] / REYNOLDS for i in (0, 1)]
    return [*motion, slope[0][0] + slope[1][1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weight", type=float, default=1.0, help="of the boundary values")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=600.0, help="processor seconds of training")
    parser.add_argument("--adam", type=int, default=8000, help="steps of Adam")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    dde.config.set_random_seed(chosen.seed)
    dde.config.set_default_float("float64")
    domain = dde.geometry.Rectangle([0, 0], [1, 1])

    def wall(_, on_boundary):
        return on_boundary

    conditions = [
        dde.icbc.DirichletBC(domain, lambda x: np.isclose(x[:, 1:2], 1) * 1.0, wall, component=0),
        dde.icbc.DirichletBC(domain, lambda x: 0.0, wall, component=1),
        dde.icbc.PointSetBC(np.array([[0.5, 0.0]]), 0.0, component=2),
    ]
    data = dde.data.PDE(domain, equation, conditions, num_domain=2601, num_boundary=400)
    model = dde.Model(data, dde.nn.FNN([2, 50, 50, 50, 50, 3], "tanh", "Glorot normal"))
    weights = [1.0] * 3 + [chosen.weight] * 3
    values = np.loadtxt(REFERENCE, delimiter=",", skiprows=1)

    def report(stage: str) -> None:
        gaps = np.linalg.norm(model.predict(values[:, :2]) - values[:, 2:], axis=0)
        errors = gaps / np.linalg.norm(values[:, 2:], axis=0)
        told = ", ".join(f"{name} {each:.1e}" for name, each in zip("uvp", errors, strict=True))
        steps, seconds = model.train_state.step, process_time() - began
        head = f"deepxde {dde.__version__}, weight {chosen.weight:g}, seed {chosen.seed}, {stage}"
        print(f"{head}: {told}, {steps} steps, {seconds:.0f} processor seconds", flush=True)

    began = process_time()
    limit = Limit(chosen.limit)
    model.compile("adam", lr=1e-3, loss_weights=weights, verbose=0)
    model.train(iterations=chosen.adam, display_every=chosen.adam, callbacks=[limit], verbose=0)
    report("Adam")
    dde.optimizers.set_LBFGS_options(maxcor=100, ftol=0, gtol=1e-14, maxiter=10**6)
    dde.optimizers.config.LBFGS_options.update(iter_per_step=50, fun_per_step=63)
    model.compile("L-BFGS", loss_weights=weights, verbose=0)
    model.train(display_every=10**6, callbacks=[limit], verbose=0)
    report("L-BFGS")


if __name__ == "__main__":
    main()
