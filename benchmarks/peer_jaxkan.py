# pyright: reportMissingImports=false
"""Driver of `peers.py`: jaxKAN as in its tutorials on PIKANs and on optimizers.

Chebyshev layers [2, 6, 6, 1] of degree 5 ("exact", glorot_fine), Adam at 1e-3, then the library's L-BFGS up to the time
limit; 4096 Sobol points inside and 64 on each side, everything compiled. Differences from the tutorials: float64; 300
steps of Adam instead of 5000, because L-BFGS is faster after them; the Laplacian by forward-over-forward mode, whose
cost per step is that of the library's own residual, and which compiles three times as fast.
"""

from time import perf_counter

IMPORTED = perf_counter()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from flax import nnx  # noqa: E402
from jaxkan.models.KAN import KAN  # noqa: E402
from jaxkan.models.utils import count_params, get_adam, get_lbfgs  # noqa: E402
from jaxkan.pikan.sampling import get_collocs_sobol  # noqa: E402
from peer_clock import GRID, Clock, options  # noqa: E402

ADAM_STEPS, RATE = 300, 1e-3


def network(seed: int) -> KAN:
    """Return the tutorial's network with double-precision parameters."""
    layer = {
        "D": 5,
        "flavor": "exact",
        "residual": None,
        "external_weights": False,
        "init_scheme": {"type": "glorot_fine"},
        "add_bias": True,
    }
    model = KAN(layer_dims=[2, 6, 6, 1], layer_type="chebyshev", required_parameters=layer, seed=seed)
    state = nnx.state(model, nnx.Param)
    nnx.update(model, jax.tree.map(lambda p: p.astype(jnp.float64), state))
    return model


def loss_function(seed: int, weight: float):
    """Return the loss: mean squares of the residual and of the boundary values at the training points."""
    inside = get_collocs_sobol(ranges=[(-1, 1), (-1, 1)], total_points=2**12, seed=seed)
    ranges = ([(-1, 1), (-1, -1)], [(-1, 1), (1, 1)], [(-1, -1), (-1, 1)], [(1, 1), (-1, 1)])
    sides = jnp.concatenate([get_collocs_sobol(ranges=r, total_points=2**6, seed=seed) for r in ranges])
    inside, sides = inside.astype(jnp.float64), sides.astype(jnp.float64)
    source = -2 * jnp.pi**2 * jnp.prod(jnp.sin(jnp.pi * inside), axis=1)

    def loss(model: KAN):
        def bend(axis: int):  # points are independent, so one direction suffices for all of them
            ahead = jnp.zeros_like(inside).at[:, axis].set(1.0)
            return jax.jvp(lambda y: jax.jvp(model, (y,), (ahead,))[1], (inside,), (ahead,))[1][:, 0]

        return jnp.mean((bend(0) + bend(1) - source) ** 2) + weight * jnp.mean(model(sides) ** 2)

    return loss


def main() -> None:
    chosen = options(__doc__)
    jax.config.update("jax_enable_x64", True)
    clock = Clock(IMPORTED, chosen.limit, chosen.target)
    model, loss = network(chosen.seed), loss_function(chosen.seed, chosen.weight)
    grid = jnp.asarray(GRID)
    forward = nnx.jit(lambda model: model(grid))
    clock.start()

    @nnx.jit
    def adam_step(model, optimizer):
        value, slopes = nnx.value_and_grad(loss)(model)
        optimizer.update(model, slopes)
        return value

    @nnx.jit
    def lbfgs_step(model, optimizer):
        value, slopes = nnx.value_and_grad(loss)(model)
        optimizer.update(model, slopes, value=value, value_fn=loss)
        return value

    is_over = False
    for steps, rule, step in ((ADAM_STEPS, get_adam(RATE), adam_step), (10**9, get_lbfgs(), lbfgs_step)):
        optimizer = nnx.Optimizer(model, rule, wrt=nnx.Param)
        for _ in range(steps):
            if is_over:
                break
            value = step(model, optimizer).block_until_ready()
            is_over = clock.is_over(lambda: forward(model)) or not bool(jnp.isfinite(value))
    clock.report(count_params(model), "jaxkan", "jax")


if __name__ == "__main__":
    main()
