"""The columns of the Jacobian that belong to one layer."""

from jaxtyping import Float
from torch import Tensor

from kanpde.models.network import Block


def add_columns(block: Tensor, features: Tensor, adjoint: Tensor, layer: Block) -> None:
    """Add a layer's columns of the Jacobian, as `_add_outer`, for the weights that are trained."""
    if (free := layer.free) is None:
        return _add_outer(block, features, adjoint, layer.groups)
    whole = block.new_zeros(len(block), layer.weight.numel())
    _add_outer(whole, features, adjoint, layer.groups)
    block += whole[:, free]


def _add_outer(
    block: Float[Tensor, "points size"],
    features: Float[Tensor, "components points features"],
    adjoint: Float[Tensor, "components points d_out"],
    groups: int = 1,
) -> None:
    """block[n, (f, o)] += Σ_c features[c, n, f] adjoint[c, n, o]."""
    if groups > 1:
        for g, (b, f) in enumerate(zip(block.chunk(groups, dim=1), features.chunk(groups, dim=2), strict=True)):
            _add_outer(b, f, adjoint[:, :, g::groups])
        return
    by_output = features.new_zeros(adjoint.shape[2], *features.shape[1:])  # contiguous memory for the summation
    for row, of_row in zip(features, adjoint, strict=True):
        by_output.addcmul_(row, of_row.T[..., None])
    block.unflatten(1, (features.shape[2], adjoint.shape[2])).add_(by_output.permute(1, 2, 0))
