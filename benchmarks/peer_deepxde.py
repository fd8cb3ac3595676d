# pyright: reportMissingImports=false
"""Driver of `peers.py`: DeepXDE as in its Poisson examples (PyTorch backend, float64).

tanh network 4 x 50 with Glorot normal weights; 1200 points inside and 120 on the boundary; 500 Adam steps at 1e-3,
then L-BFGS up to the time limit. Differences from the examples: float64 and tighter tolerances of L-BFGS, as the
documentation recommends if L-BFGS stops early; fewer steps of Adam, because L-BFGS is faster; L-BFGS returns after
every 50 iterations, so that the error can be measured.
"""

import os
from time import perf_counter

IMPORTED = perf_counter()
os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from peer_clock import GRID, Clock, options  # noqa: E402

ADAM_STEPS = 500


class Check(dde.callbacks.Callback):
    """Stops the training at the target error or the time limit."""

    def __init__(self, clock: Clock):
        super().__init__()
        self.clock, self.is_over = clock, False

    def on_epoch_end(self) -> None:
        self.is_over = self.is_over or self.clock.is_over(lambda: self.model.predict(GRID))
        self.model.stop_training = self.is_over


def equation(x, u):
    """Return Δu - f."""
    source = -2 * torch.pi**2 * torch.sin(torch.pi * x[:, 0:1]) * torch.sin(torch.pi * x[:, 1:2])
    return dde.grad.hessian(u, x, i=0, j=0) + dde.grad.hessian(u, x, i=1, j=1) - source


def main() -> None:
    chosen = options(__doc__)
    torch.set_num_threads(1)
    dde.config.set_random_seed(chosen.seed)
    dde.config.set_default_float("float64")
    clock = Clock(IMPORTED, chosen.limit, chosen.target)
    square = dde.geometry.Rectangle([-1, -1], [1, 1])
    boundary = dde.icbc.DirichletBC(square, lambda x: np.zeros((len(x), 1)), lambda x, on_boundary: on_boundary)
    data = dde.data.PDE(square, equation, boundary, num_domain=1200, num_boundary=120)
    model = dde.Model(data, dde.nn.FNN([2, 50, 50, 50, 50, 1], "tanh", "Glorot normal"))
    check = Check(clock)
    clock.start()
    model.compile("adam", lr=1e-3, loss_weights=[1, chosen.weight], verbose=0)
    model.train(iterations=ADAM_STEPS, display_every=ADAM_STEPS, callbacks=[check], verbose=0)
    if not check.is_over:
        dde.optimizers.set_LBFGS_options(maxcor=100, ftol=0, gtol=1e-14, maxiter=10**6)
        dde.optimizers.config.LBFGS_options.update(iter_per_step=50, fun_per_step=63)
        model.compile("L-BFGS", loss_weights=[1, chosen.weight], verbose=0)
        model.train(display_every=10**6, callbacks=[check], verbose=0)
    clock.is_over(lambda: model.predict(GRID), always=True)
    clock.report(sum(p.numel() for p in model.net.parameters()), "deepxde", "torch")


if __name__ == "__main__":
    main()
