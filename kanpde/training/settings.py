"""The settings of a run, and how a checkpoint stores them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isnan
from typing import Any

import torch
from torch import nn

import kanpde.models
import kanpde.optimizers
from kanpde.device import choose_dtype
from kanpde.errors import Code, InputError, ResultWarning
from kanpde.factories import arguments_of, described, made_from
from kanpde.hard_constraints import hardened
from kanpde.problem import Problem
from kanpde.residuals.equations import equation_warnings
from kanpde.residuals.uncovered import free_part_warnings
from kanpde.training.arguments import NUMBERS, checked_numbers
from kanpde.training.phases import Phase
from kanpde.training.sampling import Sampling

MOST_THREADS = 1024  # far more end the process, because the system refuses them
CONSTRAINTS = ("soft", "hard")
LATER = {"tolerance": None, "atol": 0.0, "start": None}  # attributes that older checkpoints lack


@dataclass(frozen=True)
class Settings:
    """The arguments of `kanpde.solve`, checked, with defaults filled in and names resolved.

    Attributes:
        problem: if ``constraints`` is "hard", with its boundary and initial values built in.
        model: a factory, or a ready module.
        phases, starts, sampling, weights, seed, threads, derivatives: as in `kanpde.solve`.
        constraints: "soft" or "hard"; what "auto" has chosen.
        device, dtype: objects of torch.
        time_limit: seconds over all sessions of the run; None for no limit.
        checkpoint: minutes between checkpoints.
        tolerance: None, or the wanted relative L2 error; then only the first of the phases is used.
        atol: with a tolerance, the root mean square error that is also allowed, for unknowns that may vanish.
        start: None, or the name of the run whose network is the first one (`kanpde.training.starting`).
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
    tolerance: float | None = None
    atol: float = 0.0
    start: str | None = None

    @property
    def floor(self) -> float:
        """What is added to the root mean square of an unknown, by which errors are divided: atol / tolerance.

        The error is then at most the tolerance if and only if it is at most tolerance · size + atol.
        """
        return 0.0 if self.tolerance is None else self.atol / self.tolerance

    @cached_property
    def lacking(self) -> list[ResultWarning]:
        """Warnings of conditions that the problem lacks; found once, because its functions may be slow."""
        return [*free_part_warnings(self.problem), *equation_warnings(self.problem)]

    def __post_init__(self):
        for name, value in checked_numbers({name: getattr(self, name) for name in NUMBERS}).items():
            object.__setattr__(self, name, value)
        if self.starts < 1:
            raise InputError(f"starts must be at least 1, got {self.starts}.", write={"starts": 1})
        if self.starts > 1 and isinstance(self.model, nn.Module):
            raise InputError(
                f"Several starts need a factory of networks such as KAN(), got a ready {type(self.model).__name__}.",
                write={"starts": 1},
            )
        if self.starts > 1 and self.start is not None:
            raise InputError(
                f"A run from a stored network has one start, got starts={self.starts}.",
                write={"starts": 1},
                instead={"start": None},
            )
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise InputError(
                f"threads must be at least 1 and at most {MOST_THREADS}, got {self.threads}.", write={"threads": 1}
            )
        if self.constraints not in CONSTRAINTS:
            raise InputError(
                f'constraints must be "soft", "hard" or "auto", got "{self.constraints}".',
                write={"constraints": "soft"},
            )
        if self.time_limit is not None and (isnan(self.time_limit) or self.time_limit <= 0):
            raise InputError(
                f"time_limit must be a positive number of seconds, got {self.time_limit:g}.", write={"time_limit": 60}
            )
        if isnan(self.checkpoint) or self.checkpoint <= 0:
            raise InputError(
                f"checkpoint must be a positive number of minutes, got {self.checkpoint:g}.", write={"checkpoint": 5}
            )
        if self.tolerance is not None and not 0 < self.tolerance < 1:
            raise InputError(
                f"tolerance must be a relative error between 0 and 1, got {self.tolerance:g}.",
                write={"tolerance": 1e-6},
            )
        if not 0 <= self.atol < inf:
            raise InputError(f"atol must be an error of 0 or more, got {self.atol:g}.", write={"atol": 1e-9})
        if self.atol and self.tolerance is None:
            raise InputError("atol needs a tolerance, and there is none.", write={"tolerance": 1e-6})
        if not self.phases:
            raise InputError("A run needs at least one phase.", write={"phases": Code("[Phase(LM())]")})


# in a checkpoint -----------------------------------------------------------------------------------------------------
def settings_data(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain values; the problem itself is replaced by its `identity`."""
    plain = ("starts", "seed", "threads", "time_limit", "derivatives", "constraints", "checkpoint", *LATER)
    return {
        **{name: getattr(settings, name) for name in plain},
        "problem": identity(settings.problem),
        "model": described(settings.model),
        "phases": [phase_data(phase) for phase in settings.phases],
        "sampling": described(settings.sampling),
        "weights": dict(settings.weights),
        "device": str(settings.device),
        "dtype": str(settings.dtype).removeprefix("torch."),
    }


def identity(problem: Problem) -> list[str]:
    """Return what identifies a problem: domain, unknowns, names of the conditions and parameters, added functions."""
    names = (problem.unknowns, problem.conditions, problem.parameters)
    added = {"singular": problem.singular, "features": problem.features}
    counts = [f"{len(each)} of {name}" for name, each in added.items() if each]
    return [str(problem.domain), *(", ".join(each) for each in names), *counts]


def phase_data(phase: Phase) -> dict[str, Any]:
    """Return a phase as plain values."""
    sampling = None if phase.sampling is None else described(phase.sampling)
    return {**described(phase), "optimizer": described(phase.optimizer), "sampling": sampling}


def settings_from(data: Mapping[str, Any], problem: Problem, device: torch.device, **given: Any) -> Settings:
    """Return the stored settings with the given problem, device and changed values.

    Args:
        data: from `settings_data`.
        problem: the problem that was being solved.
        device: for the resumed run.
        given: new values of attributes of `Settings`; None takes the stored value.

    Raises:
        InputError: the problem is not the stored one, or an object of which only the name is stored is not given.
    """
    if data["constraints"] == "hard":
        problem = hardened(problem)
    if (found := identity(problem)) != data["problem"]:
        raise InputError(
            f"The checkpoint belongs to the problem {'; '.join(filter(None, data['problem']))}, got "
            f"{'; '.join(filter(None, found))}. Give the problem that was being solved."
        )
    given = {name: value for name, value in given.items() if value is not None}
    made = {
        "model": lambda: made_from(data["model"], kanpde.models, "model"),
        "phases": lambda: tuple(phase_from(each) for each in data["phases"]),
        "sampling": lambda: sampling_from(data["sampling"]),
    }
    plain = ("starts", "weights", "seed", "threads", "time_limit", "derivatives", "constraints", "checkpoint")
    later = {name: data.get(name, default) for name, default in LATER.items()}
    values: dict[str, Any] = {name: data[name] for name in plain} | later | given
    values |= {name: make() for name, make in made.items() if name not in given}
    return Settings(problem=problem, device=device, dtype=choose_dtype(data["dtype"]), **values)


def phase_from(data: Mapping[str, Any]) -> Phase:
    """Return the phase that `phase_data` described."""
    sampling = None if data["sampling"] is None else sampling_from(data["sampling"])
    made = {"optimizer": made_from(data["optimizer"], kanpde.optimizers, "phases"), "sampling": sampling}
    return Phase(**{**arguments_of(data), **made})


def sampling_from(data: Mapping[str, Any]) -> Sampling:
    """Return the sampling from its stored arguments."""
    return Sampling(**arguments_of(data))
