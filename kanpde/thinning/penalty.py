r"""The penalty on the sizes of edges, which makes most of them vanish, as rows of the residual vector.

The penalty of Z. Liu et al., KAN, 2024, eq. 2.18 and 2.20, is

$$P = \sum_l \Big( \sum_e s_e + S_l \Big), \qquad
S_l = -\sum_e p_e \log p_e, \quad p_e = s_e / \textstyle\sum_e s_e,$$

over the edges e of every layer l. There $s_e$ is the mean of $|\varphi_e|$, which becomes small without any edge being
less needed, if one layer is scaled down and the next one up. Here $s_e$ is the score of the edge
(`kanpde.thinning.scores`): the standard deviation of $\varphi_e$ relative to the sum that it enters, times the score of
that sum. It is the same in all forms of a network that are the same function by such scalings and by constants.

P is not a sum of squares, as Levenberg-Marquardt needs. At the present weights, with $g_e = \partial P / \partial s_e$,
it is replaced by $\sum_e g_e (s_e^2 / s_e^0 + s_e^0) / 2$, which has the same gradient, and where $g_e > 0$ bounds
$\sum_e g_e s_e$ from above: iteratively reweighted least squares for group sparsity (I. Daubechies et al., Iteratively
Reweighted Least Squares Minimization for Sparse Recovery, 2010). Every linearization takes new weights $s_e^0$. An edge
has one row, $\sqrt{\lambda g_e / 2 s_e^0}\, s_e$, and the constants make one more row, so that the squares add up to
$\lambda P$ at the weights of the linearization.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.domains import Points
from kanpde.models.network import Network
from kanpde.problem import Problem
from kanpde.residuals.objective import Objective
from kanpde.thinning.removal import kan_layers
from kanpde.thinning.scores import score_points, scores

FLOOR = 1e-6  # s⁰ is at least this large, so that the weights of edges that vanish remain finite
SAMPLES = 300  # points for the scores


def penalty_of(sizes: list[Float[Tensor, " edges"]]) -> Tensor:
    """Return P of the sizes of the edges of every layer."""
    total = sizes[0].new_zeros(())
    for of_layer in sizes:
        share = of_layer / of_layer.sum()
        total = total + of_layer.sum() - torch.special.xlogy(share, share).sum()
    return total


class Penalised(Objective):
    r"""An objective with the rows of the penalty, $|r|^2 + \lambda P$.

    λ is ``penalty`` times the loss of the function zero, so that the size of the solution does not matter.

    Args:
        problem, model, points, weights, coefficients, derivatives: as in `Objective`; the model is a KAN.
        penalty: 0.001 to 0.01 in the paper.
    """

    def __init__(
        self,
        problem: Problem,
        model: Network,
        points: Mapping[str, Points],
        weights: Mapping[str, float],
        coefficients: nn.Parameter | None,
        derivatives: str,
        penalty: float,
    ):
        super().__init__(problem, model, points, weights, coefficients, derivatives)
        self.layers = kan_layers(model)
        self.at = score_points(problem, model.layers[0].weight, SAMPLES)
        self.existing = [layer.existing for layer in self.layers]
        self.factor = penalty * self._loss_of_zero()
        self._frozen: tuple[Tensor, Tensor] | None = None

    def _loss_of_zero(self) -> float:
        before = self.vector()
        self.assign(torch.zeros_like(before))
        if self.coefficients is not None:
            with torch.no_grad():
                self.coefficients.copy_(before[-self.coefficients.numel() :])
        found = sum(float(value.detach()) for value in super().losses().values())
        self.assign(before)
        return found

    def sizes_of_edges(self) -> list[Float[Tensor, " edges"]]:
        """Return the scores of the existing edges by layer."""
        assert isinstance(self.model, Network)
        of = scores(self.model, self.at).edges
        return [each[there] for each, there in zip(of, self.existing, strict=True)]

    @property
    def edges(self) -> int:
        """Number of edges."""
        return sum(int(there.sum()) for there in self.existing)

    @property
    def size(self) -> tuple[int, int]:
        rows, size = super().size
        return rows + self.edges + 1, size

    def losses(self) -> dict[str, Tensor]:
        return {**super().losses(), "penalty": self.factor * penalty_of(self.sizes_of_edges())}

    @torch.no_grad()
    def values(self) -> Float[Tensor, " rows"]:
        weight, constant = self._weights()
        return torch.cat([super().values(), weight * torch.cat(self.sizes_of_edges()), constant])

    def pull_back(self, w: Float[Tensor, " rows"]) -> Float[Tensor, " size"]:
        own, of_edges = w[: -self.edges - 1], w[-self.edges - 1 : -1]
        weight, _ = self._weights()
        return super().pull_back(own) + self._gradient_of((of_edges * weight) @ torch.cat(self.sizes_of_edges()))

    def parts(self) -> list[tuple[int, Callable[[Tensor], Tensor]]]:
        self._frozen = None
        return [*super().parts(), (self.edges + 1, self._linearize_edges)]

    def _linearize_edges(self, jacobian: Tensor) -> Float[Tensor, " rows"]:
        sizes = torch.cat(self.sizes_of_edges())
        weight, constant = self._weights()
        jacobian.zero_()
        for row, value in zip(jacobian[:-1], weight * sizes, strict=True):
            row += self._gradient_of(value, keep_graph=True)
        return torch.cat([weight * sizes.detach(), constant])

    def _weights(self) -> tuple[Float[Tensor, " edges"], Float[Tensor, "1"]]:
        """Return the factors of the edges' rows and the constant row, of the last linearization."""
        if self._frozen is None:
            sizes = [each.detach().requires_grad_() for each in self.sizes_of_edges()]
            with torch.enable_grad():
                total = penalty_of(sizes)
                slope = torch.cat(torch.autograd.grad(total, sizes)).clamp_min(0.0)
            flat = torch.cat(sizes).detach()
            half = 0.5 * slope / flat.clamp_min(FLOOR)
            constant = (total.detach() - half @ flat.square()).clamp_min(0.0)
            self._frozen = (self.factor * half).sqrt(), (self.factor * constant).sqrt()[None]
        return self._frozen
