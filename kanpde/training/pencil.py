"""The matrices of a linear eigenvalue problem with the functions of a network's last layer."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kanpde.domains import Points
from kanpde.domains.region import Region
from kanpde.errors import InputError
from kanpde.models.network import Network
from kanpde.problem import Problem
from kanpde.residuals.automatic_weights import LONG, automatic_weights, squared_gain
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import IntegralSite, Site, sites_of
from kanpde.training.sampling import Sampling

LINEAR = 1e-8  # largest relative departure of residuals from (A + λ B) c
SHORT = 1e4  # wave number beside which coefficients do not count
DECIDED = 0.5  # cosine of an angle above which it tells a sign
OFFSET = 0.1  # of the shift from the wanted eigenvalues, in units of the operator's size for long waves


class Pencil:
    """The residuals (A + λ B) c of a problem, c being the weights of the last layer and of singular functions.

    Args:
        problem: with the eigenvalue as its only parameter.
        network: with hidden layers, which stay as they are.
    """

    def __init__(self, problem: Problem, network: Network):
        self.problem, self.network = problem, network
        self.functions = sum(block.weight.numel() for block in self._last)
        self.rule = "auto" if len(problem.domain.names) > 1 else "chebyshev"  # Gauss rules of many points take long
        self.points = {name: self._drawn(c.region, self.rule) for name, c in problem.trained.items()}
        self.sites = sites_of(problem, self.points)
        lam = torch.zeros(1, dtype=torch.float64)
        self.weights = automatic_weights(network, self.sites, lam)

    @property
    def _last(self):
        return self.network.blocks[len(self.network.layers) - 1 :]

    def _drawn(self, region: Region, rule: str) -> Points:
        n = Sampling().size(region, self.functions)
        if rule == "uniform":
            return region.sample_fresh(n, torch.Generator().manual_seed(1))
        return region.sample(rule, n)

    @cached_property
    def fresh(self) -> dict[str, Points]:
        """Random points by condition, other ones than those of the matrices."""
        return {name: self._drawn(c.region, "uniform") for name, c in self.problem.trained.items()}

    def objective(self, value: float, points: Mapping[str, Points] | None = None) -> Objective:
        """Return the objective for an eigenvalue."""
        lam = nn.Parameter(torch.tensor([value], dtype=torch.float64))
        if points is None:
            return Objective(self.problem, self.network, self.points, self.weights, lam, sites=self.sites)
        return Objective(self.problem, self.network, points, self.weights, lam)

    @cached_property
    def matrices(self) -> tuple[NDArray, NDArray]:
        """A and B.

        Raises:
            InputError: the residuals are not (A + λ B) c.
        """
        at_0, at_1 = (self._matrix(value) for value in (0.0, 1.0))
        a, b = at_0, at_1 - at_0
        self._check_linear(a, b)
        return a.numpy(), b.numpy()

    @property
    def of_integrals(self) -> NDArray:
        """Which rows are conditions on integrals, which must hold exactly."""
        return np.repeat([isinstance(site, IntegralSite) for site in self.sites], [site.rows for site in self.sites])

    def _matrix(self, value: float) -> Tensor:
        objective, last = self.objective(value), slice(len(self.network.layers) - 1, None)
        blocks = [torch.empty(site.rows, self.functions, dtype=torch.float64) for site in self.sites]
        for site, block in zip(self.sites, blocks, strict=True):
            objective.linearize_site(site, block, last)
        return torch.cat(blocks)

    def _check_linear(self, a: Tensor, b: Tensor) -> None:
        names = [site.name for site in self.sites for _ in range(site.rows)]
        for value in (0.5, -3.0):
            c = torch.randn(self.functions, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
            found = Pencil.with_weights(self, c).objective(value).values()
            wanted = a @ c + value * (b @ c)
            gap, size = (found - wanted).abs(), float(found.abs().max())
            if float(gap.max()) > LINEAR * size:
                raise InputError(
                    f"An eigenvalue problem needs residuals that are linear in the unknowns without other terms, and "
                    f'linear in the eigenvalue; those of "{names[int(gap.argmax())]}" are not. Write them like '
                    '`lambda u, p: laplacian(u) + p["lam"] * u`, and give the boundary the values 0.'
                )
        if not bool((b != 0).any()):
            raise InputError("The eigenvalue occurs in none of the residuals. Use the parameter: `p[name] * u`.")

    def with_weights(self, c: Tensor) -> "Pencil":
        """Return a copy with these weights of the last layer."""
        other = object.__new__(Pencil)
        other.__dict__.update(self.__dict__)
        other.network = deepcopy(self.network)
        with torch.no_grad():
            for block, part in zip(other._last, c.split([block.weight.numel() for block in self._last]), strict=True):
                block.weight.copy_(part.view_as(block.weight))
        return other

    def shift(self, near: float) -> float:
        """Return a number a little below the wanted eigenvalues, at which the pencil is not singular.

        The distance is a part of the size of A, relative to B, for long waves, whose square is a parabola in λ.
        """
        at, of_b = self._sizes(0.0, LONG), self._squares_of_b
        ratios = [(at[name] / of_b[name]) ** 0.5 for name in at if of_b[name] > 0 and at[name] > 0]
        return near - OFFSET * (max(ratios) if ratios else 1.0)

    @cached_property
    def _squares_of_b(self) -> dict[str, float]:
        """|B w|² for long waves by condition, 0 where it is only rounding."""
        before, at, after = (self._sizes(value, LONG) for value in (-1.0, 0.0, 1.0))
        found = {name: (after[name] + before[name]) / 2 - at[name] for name in at}
        return {name: square if square > 1e-12 * at[name] else 0.0 for name, square in found.items()}

    @cached_property
    def side(self) -> int:
        """The sign of the eigenvalues of short waves: 1 if the spectrum has a smallest value, -1 if it has a largest.

        It is 0 if neither is clear. For a wave w it is that of -⟨A w, B w⟩, as |A w + λ B w|² tells for λ and -λ.
        """
        found, of_b = set(), self._squares_of_b
        for name, at in self._sizes(0.0, SHORT).items():
            if of_b[name] > 0 and at > 0:
                value = (at / of_b[name]) ** 0.5
                below, above = (self._sizes(sign * value, SHORT)[name] for sign in (-1.0, 1.0))
                cosine = 0.25 * (below - above) / (at * ((below + above) / 2 - at)) ** 0.5  # between -A w and B w
                found.add(0 if abs(cosine) < DECIDED else 1 if cosine > 0 else -1)
        return found.pop() if len(found) == 1 else 0

    def _sizes(self, value: float, number: float) -> dict[str, float]:
        """Return |A w + λ B w|² for waves of a number, by condition at points (`squared_gain`)."""
        lam, sizes = torch.tensor(value, dtype=torch.float64), {site.name: 0.0 for site in self.sites}
        for site in (each for each in self.sites if isinstance(each, Site)):
            present = [
                [row.detach() for row in self.network.jet(context.x, site.space).unbind(0)] for context in site.contexts
            ]
            sizes[site.name] += squared_gain(site, present, [lam], None, number)
        return sizes

    def bound(self, value: float) -> float:
        """Return |A c + λ B c| / |B c| of the present weights at other points, over the rows of B that are not zero."""
        at, ahead = (self.objective(each, self.fresh).values() for each in (value, value + max(1.0, abs(value))))
        of_b = (ahead - at) / max(1.0, abs(value))
        rows = of_b != 0
        return float(at[rows].norm() / of_b[rows].norm())
