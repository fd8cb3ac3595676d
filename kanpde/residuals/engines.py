"""Two methods for values and derivatives of a network at points: jets, and reverse-mode autograd as the reference."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.calculus.jet import LAPLACIAN, JetSpace, Key
from kanpde.errors import InputError
from kanpde.models.network import Network

Rows = Sequence[Tensor]  # one tensor (points, unknowns) per component


def jets(model: nn.Module, x: Float[Tensor, "points dim"], space: JetSpace) -> Rows:
    """Compute components by forward jets; for networks of this package."""
    assert isinstance(model, Network)
    return model.jet(x, space).unbind(0)


def autograd(model: nn.Module, x: Float[Tensor, "points dim"], space: JetSpace) -> Rows:
    """Compute components by repeated reverse-mode differentiation, for any module; the slower reference."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        output = model(x)
        if output.ndim != 2 or len(output) != len(x):
            raise InputError(
                f"{type(model).__name__} must return one row per point and one column per unknown, got shape "
                f"{tuple(output.shape)} for {len(x)} points. For a single unknown, return `u[:, None]`."
            )
        columns = output.unbind(1)
        known: dict[tuple[Key, int], Tensor] = {((), u): column for u, column in enumerate(columns)}

        def component(key: tuple[int, ...], u: int) -> Tensor:
            if (key, u) not in known:
                lower = component(key[:-1], u)
                slopes = torch.zeros_like(x)
                if lower.requires_grad:
                    found = torch.autograd.grad(lower.sum(), x, create_graph=True, allow_unused=True)[0]
                    slopes = slopes if found is None else found
                for i in range(x.shape[1]):
                    known.setdefault((tuple(sorted((*key[:-1], i))), u), slopes[:, i])
            return known[key, u]

        def rows(key: Key) -> Tensor:
            keys = [(i, i) for i in space.space] if key == LAPLACIAN else [key]
            return torch.stack(
                [sum((component(k, u) for k in keys[1:]), component(keys[0], u)) for u in range(len(columns))], dim=1
            )

        return [rows(key) for key in space.keys]


ENGINES: dict[str, Callable[[nn.Module, Tensor, JetSpace], Rows]] = {"jets": jets, "autograd": autograd}
