"""The Laplacian by twice reverse mode, as usual PINN code takes it; needs torch only, for pykan's environment too."""

import torch


def laplacian(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Δu at the points x (points, dim) of a module with one output, ready for one more backward pass."""
    x = x.detach().requires_grad_()
    slope = torch.autograd.grad(model(x).sum(), x, create_graph=True)[0]
    rows = [torch.autograd.grad(slope[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(x.shape[1])]
    return torch.stack(rows).sum(dim=0)
