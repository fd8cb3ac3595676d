# pyright: reportMissingImports=false
"""Driver of `peers.py`: pykan as in its examples on PDEs, with a wider network.

KAN [2, 10, 1] of degree 3, speed(), grids 5, 10, 20 by refine(), its own L-BFGS (strong Wolfe, memory 10, 20
iterations per step), 25 steps per grid, of which every fifth of the first twenty adapts the grids to the samples; a
mesh of 51 x 51 points and 51 on each side. Differences from the examples: float64, ten hidden nodes instead of two, the
Laplacian by two passes of `torch.autograd.grad` (cheaper than their Jacobian of a Jacobian), and training on the last
grid up to the time limit.
"""

from time import perf_counter

IMPORTED = perf_counter()

import torch  # noqa: E402
from kan import KAN, LBFGS  # noqa: E402
from peer_clock import GRID, Clock, options  # noqa: E402
from reverse import laplacian  # noqa: E402

GRIDS, STEPS = (5, 10, 20), 25


def training_points() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mesh, and the points on the four sides."""
    axis = torch.linspace(-1, 1, 51)
    one = torch.ones_like(axis)
    sides = [torch.stack(pair, dim=1) for pair in ((axis, one), (axis, -one), (one, axis), (-one, axis))]
    return torch.cartesian_prod(axis, axis), torch.cat(sides)


def loss_of(model: torch.nn.Module, inside: torch.Tensor, sides: torch.Tensor, weight: float) -> torch.Tensor:
    """Return the loss: mean squares of the residual and of the boundary values."""
    source = -2 * torch.pi**2 * torch.sin(torch.pi * inside[:, 0]) * torch.sin(torch.pi * inside[:, 1])
    return (laplacian(model, inside) - source).square().mean() + weight * model(sides).square().mean()


def main() -> None:
    chosen = options(__doc__)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    clock = Clock(IMPORTED, chosen.limit, chosen.target)
    inside, sides = training_points()
    grid = torch.from_numpy(GRID)
    model = KAN(width=[2, 10, 1], grid=GRIDS[0], k=3, seed=chosen.seed, auto_save=False).speed()
    clock.start()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(model, inside, sides, chosen.weight)
        loss.backward()
        return loss

    def values():
        with torch.no_grad():
            return model(grid).numpy()

    is_over = False
    for cells in GRIDS:
        if cells != GRIDS[0]:
            model.save_act = True  # speed() switched it off, and refine() needs the stored activations
            model.get_act(inside)
            model = model.refine(cells).speed()
        optimizer = LBFGS(
            model.parameters(),
            lr=1,
            history_size=10,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-32,
            tolerance_change=1e-32,
            tolerance_ys=1e-32,
        )
        step = 0
        while not is_over and (step < STEPS or cells == GRIDS[-1]):
            if step % 5 == 0 and step < 20:
                model.update_grid_from_samples(inside)
            loss = optimizer.step(closure)
            is_over = clock.is_over(values) or not bool(torch.isfinite(loss))
            step += 1
        if is_over:
            break
    active = sum(p.numel() for p in model.act_fun.parameters() if p.requires_grad)  # speed() disables the others
    clock.report(active, "pykan", "torch")


if __name__ == "__main__":
    main()
