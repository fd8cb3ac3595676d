# pyright: reportMissingImports=false
"""DeepXDE on the diffusivity of `problems/inverse_heat.py`, from the same 200 values (PyTorch backend, float64).

    python -m venv peer && peer/bin/pip install torch==2.13.0 && peer/bin/pip install deepxde==1.15.0
    OMP_NUM_THREADS=1 peer/bin/python benchmarks/peer_inverse_deepxde.py [--noise 0.01] [--limit 300]

The recipe is that of its example of an inverse problem of diffusion: a tanh network 3 x 32 with Glorot uniform weights,
40 points inside, 20 at the ends and 10 initial ones besides the measured points, and Adam at 1e-3, up to 50,000 steps
or the limit of processor seconds. It gives no standard error.
"""

import argparse
import os
from time import process_time

os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde
import numpy as np
import torch
from peer_shapes_deepxde import Limit

TRUE = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=300.0, help="processor seconds of training")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    dde.config.set_random_seed(chosen.seed)
    dde.config.set_default_float("float64")
    k = dde.Variable(1.0, dtype=torch.float64)
    generator = np.random.default_rng(chosen.seed)  # as in the problem's file
    x, t = generator.uniform(0.0, 1.0, (2, 200))
    u = np.exp(-(np.pi**2) * TRUE * t) * np.sin(np.pi * x) + chosen.noise * generator.normal(size=200)
    measured = np.stack([x, t], axis=1)

    def equation(x, u):
        return dde.grad.jacobian(u, x, i=0, j=1) - k * dde.grad.hessian(u, x, i=0, j=0)

    domain = dde.geometry.GeometryXTime(dde.geometry.Interval(0, 1), dde.geometry.TimeDomain(0, 1))
    conditions = [
        dde.icbc.DirichletBC(domain, lambda x: 0.0, lambda _, on_boundary: on_boundary),
        dde.icbc.IC(domain, lambda x: np.sin(np.pi * x[:, 0:1]), lambda _, on_initial: on_initial),
        dde.icbc.PointSetBC(measured, u[:, None], component=0),
    ]
    points = {"num_domain": 40, "num_boundary": 20, "num_initial": 10, "anchors": measured}
    data = dde.data.TimePDE(domain, equation, conditions, **points)
    model = dde.Model(data, dde.nn.FNN([2, 32, 32, 32, 1], "tanh", "Glorot uniform"))
    model.compile("adam", lr=1e-3, external_trainable_variables=k, verbose=0)
    began = process_time()
    model.train(iterations=50_000, display_every=10_000, callbacks=[Limit(chosen.limit)], verbose=0)
    steps = model.train_state.epoch
    found = float(k.detach())
    print(
        f"deepxde {dde.__version__}, noise {chosen.noise:g}, seed {chosen.seed}: k = {found:.6f}, relative error "
        f"{abs(found / TRUE - 1):.1e}, {steps} steps, {process_time() - began:.0f} processor seconds"
    )


if __name__ == "__main__":
    main()
