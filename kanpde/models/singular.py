r"""Singular functions added to the outputs of a network: $u = N + \sum_k c_k s_k$."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kanpde.calculus.jet import JetSpace
from kanpde.calculus.singular import SingularFunction
from kanpde.models.functions import described, function_from, jets_of, values_of


class Singular(nn.Module):
    """The sum of some functions s_k, each for one output, with trained coefficients: ``features(x) @ weight``.

    Args:
        functions: s_k.
        names: of the coefficients.
        owners: for every function the number of its output.
        outputs: number of outputs.
    """

    def __init__(
        self,
        functions: Sequence[SingularFunction],
        names: Sequence[str],
        owners: Sequence[int],
        outputs: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ):
        super().__init__()
        self.functions, self.names, self.owners = tuple(functions), tuple(names), tuple(owners)
        self.weight = nn.Parameter(torch.zeros(len(functions), outputs, device=device, dtype=dtype))

    @property
    def groups(self) -> int:
        """All functions are features of all outputs; `free` says which weights are trained."""
        return 1

    @property
    def free(self) -> Int[Tensor, " functions"]:
        """The positions of the coefficients in the flattened weight."""
        outputs = self.weight.shape[1]
        return torch.tensor([k * outputs + o for k, o in enumerate(self.owners)], device=self.weight.device)

    @property
    def coefficients(self) -> dict[str, float]:
        """The coefficients by name."""
        values = self.weight.detach().flatten()[self.free].tolist()
        return dict(zip(self.names, values, strict=True))

    def forward(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points outputs"]:
        return values_of(self.functions, x) @ self.weight

    def features(self, x: Float[Tensor, "points dim"], space: JetSpace) -> Float[Tensor, "components points functions"]:
        """Return the jets of the functions at points."""
        return jets_of(self.functions, x, space)

    def architecture(self) -> dict[str, Any]:
        """Return the arguments of the constructor in a form for JSON, without device and dtype."""
        return {
            "functions": [described(function) for function in self.functions],
            "names": list(self.names),
            "owners": list(self.owners),
            "outputs": self.weight.shape[1],
        }

    @classmethod
    def from_architecture(
        cls, architecture: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype
    ) -> Singular:
        """Return the sum of that architecture with all coefficients zero."""
        functions = [function_from(each) for each in architecture["functions"]]
        others = (architecture[name] for name in ("names", "owners", "outputs"))
        return cls(functions, *others, device=device, dtype=dtype)
