"""The Laplacian by applying reverse mode twice, as in usual PINN code; it needs only torch, also for pykan's runs."""

import torch


def laplacian(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return Δu at the points x (points, dim) for a module with one output, ready for one more backward pass."""
    x = x.detach().requires_grad_()
    slope = torch.autograd.grad(model(x).sum(), x, create_graph=True)[0]
    rows = [torch.autograd.grad(slope[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(x.shape[1])]
    return torch.stack(rows).sum(dim=0)
