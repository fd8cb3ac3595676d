"""How training goes: on which points, with which optimizer, on which grids."""

from dataclasses import dataclass, field

from kanpde.domains import Region
from kanpde.domains.rules import RULES
from kanpde.errors import InputError, suggest
from kanpde.optimizers import OptimizerFactory
from kanpde.optimizers.lm import LM

POINTS_PER_PARAMETER = 6
POINTS_PER_CELL = 2.5  # along each axis, so that no cell can do between its points what the equation forbids
LEAST_POINTS, MOST_POINTS, MOST_FOR_CELLS = 900, 20_000, 10_000


@dataclass(frozen=True)
class Sampling:
    """Which points are trained on.

    Args:
        rule: "auto" (tensor Gauss points in up to three coordinates, Sobol points in more), "gauss", "chebyshev",
            "sobol" or "uniform".
        interior: about how many points in conditions on the whole domain; None takes 6 for every parameter, and 2.5
            for every cell along each axis, within limits.
        boundary: about how many in every other condition; None takes twice as many on each face as the interior has
            across it, but no more than the interior in all.
    """

    rule: str = "auto"
    interior: int | None = None
    boundary: int | None = None

    def __post_init__(self):
        if self.rule not in RULES:
            raise InputError(f'Unknown sampling rule "{self.rule}". {suggest(self.rule, RULES)}')
        for name in ("interior", "boundary"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"A region needs at least one point, got {name}={value}. Write sampling.{name}=400.")

    def size(self, region: Region, parameters: int, grid: int = 0) -> int:
        """How many points a condition on the region gets, for a network with so many parameters and cells per input."""
        dim = len(region.names)
        along = min(POINTS_PER_CELL * grid, MOST_FOR_CELLS ** (1 / dim))
        wanted = max(POINTS_PER_PARAMETER * parameters, round(along**dim), LEAST_POINTS)
        interior = self.interior or min(wanted, MOST_POINTS)
        if region.is_interior:
            return interior
        return self.boundary or min(region.pieces * round(2 * interior ** ((dim - 1) / dim)), interior)


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    Args:
        optimizer: a factory, for example ``LM()``.
        steps: the most it takes.
        grid: cells per input from here on; the network is refined on entry. Models without grids keep their size.
        refine: instead of ``grid``, into how many cells each present one is split on entry.
        move_knots: on entry the cells of hidden layers are laid anew over the values that reach them.
        window: the phase ends as stagnated when the loss fell by less than ``least`` over so many steps; 0 never does.
        least: relative fall of the loss over the window that still counts as progress.
        sampling: other points from here on.
    """

    optimizer: OptimizerFactory = field(default_factory=LM)
    steps: int = 100
    grid: int | None = None
    refine: int | None = None
    move_knots: bool = False
    window: int = 0
    least: float = 0.1
    sampling: Sampling | None = None

    def __post_init__(self):
        for name in ("steps", "grid", "refine"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise InputError(f"A phase's {name} must be a positive whole number, got {value}. Write {name}=10.")
        if self.grid is not None and self.refine is not None:
            raise InputError("A phase takes a grid or a factor to refine by, not both. Leave grid or refine out.")
        if self.window < 0 or not 0 < self.least < 1:
            raise InputError(f"A phase needs window >= 0 and 0 < least < 1, got window={self.window}, "
                             f"least={self.least}. Write window=10, least=0.3.")  # fmt: skip

    def next_grid(self, grid: int) -> int:
        """Cells per input in this phase, for a network that comes with ``grid``."""
        return self.grid or grid * (self.refine or 1)

    def stagnates(self, losses: list[float]) -> bool:
        """Whether the last ``window`` losses show too little progress."""
        if not self.window or len(losses) <= self.window:
            return False
        return losses[-1] > (1 - self.least) * losses[-1 - self.window]


@dataclass(frozen=True)
class Progress:
    """What an observer of `solve` is told after every step; ``error`` is the last one measured."""

    phase: int
    phases: int
    step: int
    steps: int
    loss: float
    error: float
    grid: int | None
    parameters: int
    seconds: float


DEFAULT_STARTS = 5


def default_phases() -> list[Phase]:
    """A short phase for the starts, then Levenberg-Marquardt on the network's grid and on cells halved twice.

    Every level after the starts lays the hidden grids over the values that reach them, and ends when it stagnates.
    """
    levels = [Phase(LM(), steps=120, refine=refine, move_knots=True, window=20, least=0.5) for refine in (1, 2, 2)]
    return [Phase(LM(), steps=40), *levels]
