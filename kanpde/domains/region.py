"""Regions, the parts of a domain, and the points sampled from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.errors import InputError


@dataclass(frozen=True)
class Points:
    """Sampled points of a region.

    ``weight`` are quadrature weights that sum to 1, positive for every rule; Σ weight f(x) is the mean of f over the
    region. ``normal`` is the outward unit normal on boundaries. ``data`` are measured values at the points.
    """

    x: Float[Tensor, "points dim"]
    weight: Float[Tensor, " points"]
    normal: Float[Tensor, "points dim"] | None = None
    data: Float[Tensor, "points columns"] | None = None


@dataclass(frozen=True, repr=False)
class Region:
    """A part of a domain that consists of pieces (faces).

    ``label`` is its key in `Domain.parts`; ``fixed`` has one entry per piece, the coordinates that are constant on it
    with their values, {} where no coordinate is constant (curved or slanted); ``draw(rule, n, generator, device,
    dtype)`` returns about ``n`` points of all pieces together. If the region consists of measured points, ``rows`` is
    their number, ``draw_fresh`` returns those that are kept back from training, and ``columns`` names the unknowns of
    which the first columns of their data are values. For a part of the interior, such as a material, ``share`` is its
    part of the measure. ``sides`` are the positions of the parts of a domain of `Parts`
    whose functions a condition on the region gets, two on an interface; () takes at every point those of the part
    around it. ``extent`` returns its length, area or volume, multiplied by the duration if it is about a range of t; of
    single points it is their number.
    """

    label: str
    names: tuple[str, ...]
    space: tuple[int, ...]
    is_interior: bool
    fixed: tuple[Mapping[int, float], ...]
    draw: Callable[[str, int, torch.Generator, torch.device, torch.dtype], Points]
    rows: int | None = None
    draw_fresh: Callable[[torch.device, torch.dtype], Points] | None = None
    share: float | None = None
    sides: tuple[int, ...] = ()
    extent: Callable[[], float] | None = None
    columns: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return what it is called; functions say nothing in print."""
        return f'Region("{self.label}" of {", ".join(self.names)})'

    @property
    def is_measured(self) -> bool:
        """Whether the region consists of measured points."""
        return self.rows is not None

    @property
    def measure(self) -> float:
        """The length, area or volume, multiplied by the duration if there is a range of t.

        Raises:
            InputError: the region does not say.
        """
        if self.extent is None:
            raise InputError(
                f'The measure of the region "{self.label}" is not known. Give it to a region of your own: '
                "`Region(..., extent=lambda: 3.14)`."
            )
        return self.extent()

    @property
    def pieces(self) -> int:
        """Number of pieces."""
        return len(self.fixed)

    def sample(
        self,
        rule: str,
        n: int,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> Points:
        """Sample about ``n`` points by ``rule``: "gauss", "chebyshev", "sobol" or "uniform"."""
        generator = generator or torch.Generator(device=device).manual_seed(0)
        return self.draw(rule, n, generator, torch.device(device), dtype)

    def sample_fresh(
        self, n: int, generator: torch.Generator, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float64
    ) -> Points:
        """Return points that are not used for training: about ``n`` random ones, or the measured ones kept back."""
        if self.draw_fresh is not None:
            return self.draw_fresh(torch.device(device), dtype)
        return self.sample("uniform", n, generator, device, dtype)
