"""How training goes: on which points, with which optimizer, on which grids."""

from dataclasses import dataclass, field

from kanpde.errors import InputError
from kanpde.optimizers import OptimizerFactory
from kanpde.optimizers.lm import LM
from kanpde.training.sampling import Sampling


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
                raise InputError(f"A phase's {name} must be a positive whole number, got {value}.", write={name: 10})
        if self.grid is not None and self.refine is not None:
            raise InputError(
                f"A phase takes a grid or a factor of refinement, not both, got {self.grid} and {self.refine}.",
                write={"refine": None},
            )
        if self.window < 0 or not 0 < self.least < 1:
            raise InputError(
                f"A phase needs window >= 0 and 0 < least < 1, got window={self.window}, least={self.least}.",
                write={"window": 10, "least": 0.3},
            )

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
