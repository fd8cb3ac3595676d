"""What a run is at an instant: all that changes while it goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.domains import Points
from kanpde.ends import End, Ending

NOT_TRAINED = Ending(End.NOT_TRAINED)


@dataclass(frozen=True)
class Candidate:
    """A network that is kept aside: the best start so far, or what a phase began with.

    Attributes:
        network, coefficients: as in `State`.
        level: the row of the phase that trained it, if it is a start's.
        ending: how that phase ended.
        fresh: its loss on fresh points.
    """

    network: nn.Module
    coefficients: nn.Parameter | None
    level: Mapping[str, Any] = field(default_factory=dict)
    ending: Ending | None = None
    fresh: float = nan


@dataclass(frozen=True)
class Leg:
    """A phase under way, from one start.

    Attributes:
        points: trained on, per condition.
        weights: of the conditions.
        began: the run's seconds when the phase was entered.
        before: what the phase began with; None in the first phase, which is never taken back.
        good: the last parameters whose loss is known to be finite, as one vector; None before the first step.
        step: steps taken.
        methods: the ways in which steps were computed, in order of appearance.
        optimizer: the optimizer's own state, as it was saved; None for a new optimizer.
        loss: at the leg's points, when it was saved; a resumed run must find it again.
        ending: how the phase ended; None while it goes on.
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
    ending: Ending | None = None


@dataclass(frozen=True)
class State:
    """Where a run is; `kanpde.training.course` takes one state to the next.

    The tensors of ``network`` and ``coefficients`` are updated in place by steps, and ``history`` grows, because copies
    would cost as much as a step; everything else is replaced. What is saved is a copy (`kanpde.training.snapshot`).

    Attributes:
        network: with its present size.
        coefficients: of an inverse problem, in the problem's order.
        generator: of all random numbers still to come.
        phase, start: the position in the schedule; starts count in the first phase only.
        leg: the phase under way; None between phases.
        best: the best start so far.
        used: rule, number of points and weights of the last phase that was entered, for the record.
        history: one row a step.
        levels: one row a phase that has ended.
        seconds: spent so far, over all sessions.
        watching: of these, on measuring the error.
        error: the last one measured.
        ending: how the run ended, or its last phase did.
        done: nothing is left to do.
    """

    network: nn.Module
    coefficients: nn.Parameter | None
    generator: torch.Generator
    phase: int = 0
    start: int = 0
    leg: Leg | None = None
    best: Candidate | None = None
    used: Mapping[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    levels: tuple[Mapping[str, Any], ...] = ()
    seconds: float = 0.0
    watching: float = 0.0
    error: float = nan
    ending: Ending = NOT_TRAINED
    done: bool = False
