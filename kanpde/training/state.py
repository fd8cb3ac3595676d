"""The state of a run: everything that changes during training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.calculus.coefficients import as_coefficients, values_of
from kanpde.domains import Points
from kanpde.domains.cells import Cells
from kanpde.ends import End, Ending
from kanpde.models.trajectory import Trajectory
from kanpde.models.windows import Windows
from kanpde.problem import Problem
from kanpde.training.phases import Phase

NOT_TRAINED = Ending(End.NOT_TRAINED)


@dataclass(frozen=True)
class Candidate:
    """A copy of a network that training may return to: the best start so far, or the network before a phase.

    Attributes:
        network, coefficients: as in `State`.
        level: for a start, the row of its phase in the table of levels.
        ending: how that phase ended.
        fresh: loss on fresh points.
        finer: a more accurate network, whose distance is the estimated error; None without an estimate.
    """

    network: nn.Module
    coefficients: nn.Parameter | None
    level: Mapping[str, Any] = field(default_factory=dict)
    ending: Ending | None = None
    fresh: float = nan
    finer: nn.Module | None = None


@dataclass(frozen=True)
class Leg:
    """The current phase, trained from one start.

    Attributes:
        points: training points by condition.
        weights: weights by condition.
        began: seconds of the run when the phase began.
        before: the network before the phase; None in the first phase, which is never taken back.
        good: the last parameters with a finite loss, as one vector; None before the first step.
        step: number of steps taken.
        methods: the linear solvers that the steps used, in order of first use.
        optimizer: the saved state of the optimizer; None for a new optimizer.
        loss: the loss at the leg's points when the state was saved; a resumed run must reproduce it.
        valid: of a fit, the step with the least loss on the rows for validation, its parameters and this loss.
        ending: how the phase ended; None while it is not over.
    """

    points: Mapping[str, Points]
    weights: Mapping[str, float]
    began: float
    before: Candidate | None = None
    good: Tensor | None = None
    step: int = 0
    methods: tuple[str, ...] = ()
    optimizer: Mapping[str, Any] | None = None
    loss: float = nan
    valid: tuple[int, Tensor, float] | None = None
    ending: Ending | None = None


@dataclass(frozen=True)
class Assessed:
    """A level as it was assessed by `kanpde.training.tolerance` or `kanpde.training.separation`.

    Attributes:
        values: the unknowns at the test points, (unknowns, points).
        fresh: loss on fresh points, with the weights of the whole run.
        estimate: the relative L2 error, estimated in the tangent space or by a larger network; NaN if there is none.
        extrapolated: the error that the last two levels suggest; NaN if they do not converge.
        idle: number of levels in a row that lowered the fresh loss by little.
        looseness: how little the conditions determine the solution (`kanpde.training.assessment.Estimate`).
    """

    values: Tensor
    fresh: float
    estimate: float = nan
    extrapolated: float = nan
    idle: int = 0
    looseness: float = nan


@dataclass(frozen=True)
class March:
    """How far a run in windows of time has come (`kanpde.training.marching`).

    Attributes:
        done: the windows so far.
        finer: the same with finer networks, each from the state of the finer one before it.
        number: of the pass, from 0.
        aim: tolerance of the pass, which determines the sizes of the networks.
        share: the sum of the local errors that the pass permits, relative to the solution.
        longest: limit of the lengths of the windows.
        length: of the next window.
        resolution: cells per local length (`kanpde.training.spacing`).
        errors, values: integrals of the squared estimated error and of the squared solution, by unknown.
        squares: integrals over time of the mean squared residuals on the training points, by condition.
        looseness: the largest of all windows, see `kanpde.training.assessment.Estimate`.
        unexplained: the part of ``values`` in windows in which a finer network explains little of a large residual.
        trained: number of windows trained in the pass, with those that were repeated.
        points: of all windows.
        began: seconds of the run when the pass began.
        complete: the result of an earlier pass.
        residual: of the windows so far when the state was saved; a resumed run must reproduce it.
    """

    done: Windows | Trajectory
    finer: Windows | Trajectory
    number: int
    aim: float
    share: float
    longest: float
    length: float
    resolution: float
    errors: Tensor
    values: Tensor
    squares: Mapping[str, float] = field(default_factory=dict)
    looseness: float = 0.0
    unexplained: float = 0.0
    trained: int = 0
    points: int = 0
    began: float = 0.0
    complete: Candidate | None = None
    residual: float = 0.0


@dataclass(frozen=True)
class State:
    """The state of a run; `kanpde.training.course` computes the next state from it.

    Steps update the tensors of ``network`` and ``coefficients`` in place and append to ``history``, because copies
    would cost as much as a step; all other attributes are replaced. Saving makes a copy (`kanpde.training.snapshot`).

    Attributes:
        network: at its current size.
        coefficients: the numbers that are trained in the place of an inverse problem's coefficients, in their order
            (`kanpde.calculus.coefficients`).
        generator: of all random numbers of the run.
        plan: the phases; with a tolerance only those that are decided so far.
        phase, start: the position in the schedule; starts count in the first phase only.
        leg: the current phase; None between phases.
        best: the best start so far.
        cells: with a tolerance, the adaptive points of conditions on the whole domain.
        before: with a tolerance, what the last decision was based on; None before the first.
        march: with a tolerance and windows of time, what is known of them; None otherwise.
        finer: at the end, a more accurate network, as in `Candidate`.
        rival: the end of an earlier attempt with a sum of products.
        used: rule, number of points and weights of the current or last phase, for the record.
        history: one row for every step.
        levels: one row for every phase that has ended, and one for last steps on all measured rows.
        seconds: run time so far, over all sessions.
        watching: the part of ``seconds`` that was spent on measuring the error.
        error: the last measured error.
        ending: how the run, or so far its last phase, ended.
        done: whether the run is over.
    """

    network: nn.Module
    coefficients: nn.Parameter | None
    generator: torch.Generator
    plan: tuple[Phase, ...] = ()
    phase: int = 0
    start: int = 0
    leg: Leg | None = None
    best: Candidate | None = None
    cells: Mapping[str, Cells] = field(default_factory=dict)
    before: Assessed | None = None
    march: March | None = None
    finer: nn.Module | None = None
    rival: "State | None" = None
    used: Mapping[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    levels: tuple[Mapping[str, Any], ...] = ()
    seconds: float = 0.0
    watching: float = 0.0
    error: float = nan
    ending: Ending = NOT_TRAINED
    done: bool = False

    def named_coefficients(self, problem: Problem) -> dict[str, float]:
        """Return the present values of the problem's coefficients by name."""
        trained = [] if self.coefficients is None else self.coefficients.detach().unbind(0)
        return {name: float(value) for name, value in values_of(as_coefficients(problem.parameters), trained).items()}
