"""The phases of the training: optimizer, grid and stopping rule of each."""

from dataclasses import dataclass, field
from math import inf

from torch import nn

from kanpde.errors import Code, InputError
from kanpde.optimizers import OptimizerFactory
from kanpde.optimizers.lm import LM
from kanpde.training.sampling import Sampling


@dataclass(frozen=True)
class Phase:
    """One phase of the training.

    Args:
        optimizer: a factory, for example ``LM()``.
        steps: maximal number of optimizer steps.
        grid: cells per input from this phase on; the network is refined first. Models without grids keep their size.
        refine: instead of ``grid``, the number of cells into which every present cell is split.
        move_knots: fit the knots of the hidden layers to the range of their present input values first.
        window: number of steps over which stagnation is tested; 0 switches the test off.
        least: the phase ends as stagnated if the loss fell by less than this fraction over the window.
        sampling: the sampling from this phase on; None keeps the present one.
        penalty: factor of the penalty on the sizes of edges (`kanpde.thinning.penalty`), relative to the loss of the
            function zero; 0.001 to 0.01 lets most edges vanish. Such a phase is not taken back.
        prune: at the end of the phase nodes and edges are removed as long as the loss on fresh points stays below
            this multiple of what it was (`kanpde.thinning`), at least 1; None removes none. The first phase cannot. In
            a phase with a penalty "it" is the loss after training a copy without the penalty.
    """

    optimizer: OptimizerFactory = field(default_factory=LM)
    steps: int = 100
    grid: int | None = None
    refine: int | None = None
    move_knots: bool = False
    window: int = 0
    least: float = 0.1
    sampling: Sampling | None = None
    penalty: float = 0.0
    prune: float | None = None

    def __post_init__(self):
        if isinstance(self.optimizer, type) or not callable(self.optimizer):
            made = self.optimizer.__name__ if isinstance(self.optimizer, type) else "LM"
            raise InputError(
                f"A phase's optimizer is an object such as LM() or Adam(lr=0.01), got {self.optimizer!r}.",
                write={"optimizer": Code(f"{made}()")},
            )
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

        if not 0 <= self.penalty < inf:
            raise InputError(f"A phase's penalty must be a number >= 0, got {self.penalty}.", write={"penalty": 0.001})
        if self.prune is not None and not 1 <= self.prune < inf:
            raise InputError(
                f"prune is the factor by which the loss may grow, a number of at least 1, got {self.prune}.",
                write={"prune": 2.0},
            )

    @property
    def needs_edges(self) -> bool:
        """Whether the phase is for KANs only."""
        return self.penalty > 0 or self.prune is not None

    def next_grid(self, grid: int) -> int:
        """Return the cells per input in this phase, for a network that had ``grid`` before it."""
        return self.grid or grid * (self.refine or 1)

    def stagnates(self, losses: list[float]) -> bool:
        """Return whether the loss fell too little over the last ``window`` steps."""
        if not self.window or len(losses) <= self.window:
            return False
        return losses[-1] > (1 - self.least) * losses[-1 - self.window]


@dataclass(frozen=True)
class Progress:
    """The progress of a run after one step, as passed to `observe`; ``error`` is the last one measured.

    ``step`` of ``steps`` counts the steps of the phase; if the interval of time is divided into windows, the percent of
    it that is done (``is_percent``), and phases are passes. ``total`` counts the steps of the history. ``model`` is the
    network as it is now, which later steps change in place; None before there is one.
    """

    phase: int
    phases: int
    step: int
    steps: int
    loss: float
    error: float
    grid: int | None
    parameters: int
    seconds: float
    is_percent: bool = False
    total: int = 0
    model: nn.Module | None = None


DEFAULT_STARTS = 5


def default_phases() -> list[Phase]:
    """Return the default schedule: a short phase for the starts, then Levenberg-Marquardt on three grids.

    The first of the three grids is the network's own; the cells are halved twice. Each of these phases first fits the
    hidden knots to the range of their inputs, and ends when it stagnates.
    """
    levels = [Phase(LM(), steps=120, refine=refine, move_knots=True, window=20, least=0.5) for refine in (1, 2, 2)]
    return [Phase(LM(), steps=40), *levels]
