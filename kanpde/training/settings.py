"""What a run was asked to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import torch
from torch import nn

from kanpde.errors import InputError
from kanpde.problem import Problem
from kanpde.training.phases import Phase
from kanpde.training.sampling import Sampling

CONSTRAINTS = ("soft", "hard")


@dataclass(frozen=True)
class Settings:
    """The arguments of `kanpde.solve`, checked, with defaults filled in and names resolved.

    Attributes:
        problem: with its given values built in where ``constraints`` is "hard".
        model: a factory, or a ready module.
        phases, starts, sampling, weights, seed, threads, derivatives, constraints: as in `kanpde.solve`.
        device, dtype: as torch has them.
        time_limit: in seconds over all sessions of the run; None for none.
        checkpoint: minutes between checkpoints.
    """

    problem: Problem
    model: Any
    phases: Sequence[Phase]
    starts: int
    sampling: Sampling
    weights: Mapping[str, float]
    seed: int
    device: torch.device
    dtype: torch.dtype
    threads: int | None
    time_limit: float | None
    derivatives: str
    constraints: str
    checkpoint: float

    def __post_init__(self):
        if self.starts < 1:
            raise InputError(f"starts must be at least 1, got {self.starts}.")
        if self.starts > 1 and isinstance(self.model, nn.Module):
            raise InputError("Several starts need a factory such as KAN(), not a ready module. Write starts=1.")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads must be at least 1, got {self.threads}. Write threads=1.")
        if self.constraints not in CONSTRAINTS:
            raise InputError(
                f'constraints must be "soft" or "hard", got "{self.constraints}". Write constraints="soft".'
            )
        if self.time_limit is not None and (isnan(self.time_limit) or self.time_limit <= 0):
            raise InputError(
                f"time_limit must be a positive number of seconds, got {self.time_limit:g}. Write time_limit=60."
            )
        if isnan(self.checkpoint) or self.checkpoint <= 0:
            raise InputError(
                f"checkpoint must be a positive number of minutes, got {self.checkpoint:g}. Write checkpoint=5."
            )
        if not self.phases:
            raise InputError("A run needs at least one phase. Write phases=[Phase(LM(), steps=100)].")
