"""From a problem, a model and phases to a solution."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from kanpde.device import choose_device, choose_dtype
from kanpde.errors import InputError
from kanpde.hard_constraints import hardened
from kanpde.models.kan import KAN
from kanpde.problem import Problem
from kanpde.solution import Solution
from kanpde.training.course import Training
from kanpde.training.phases import DEFAULT_STARTS, Phase, Progress, default_phases
from kanpde.training.sampling import Sampling


def solve(
    problem: Problem,
    model: Any = None,
    phases: Sequence[Phase] | None = None,
    *,
    sampling: Sampling = Sampling(),
    weights: Mapping[str, float] | None = None,
    starts: int | None = None,
    seed: int = 0,
    device: str = "auto",
    dtype: str | torch.dtype = "float64",
    threads: int | None = 1,
    time_limit: float | None = None,
    derivatives: str = "jets",
    constraints: str = "soft",
    observe: Callable[[Progress], None] = lambda progress: None,
    log: Callable[[str], None] = lambda line: None,
) -> Solution:
    """Trains a model until the problem's conditions hold.

    Args:
        problem: what to solve.
        model: a factory (`KAN`, `MLP`) or a ready module (points, dim) -> (points, unknowns); a small KAN by default.
        phases: see `Phase`; `default_phases` by default.
        sampling: the training points.
        weights: per condition; those left out are chosen by `automatic_weights`.
        starts: networks tried in the first phase; the one with the least residual on fresh points goes on. None takes
            5 with the default phases, else 1.
        seed: of all randomness.
        device: "auto", "cpu" or "cuda".
        dtype: "float64" or "float32".
        threads: of torch on the CPU while it trains; None leaves them as they are. One is the fastest for networks
            of this size, and repeats bit for bit; large ones gain from more.
        time_limit: in seconds, for the whole run.
        derivatives: "jets", or "autograd" (the reference; any module).
        constraints: "soft" trains all conditions; "hard" builds boundary and initial values into the solution
            (`kanpde.hard_constraints`), which needs boxes and values that agree where faces meet.
        observe: called after every step.
        log: called with one line on what happens.

    Raises:
        InputError: the input cannot work; the message says why and what to write instead.
    """
    if starts is None:
        starts = DEFAULT_STARTS if phases is None and not isinstance(model, nn.Module) else 1
    if starts < 1:
        raise InputError(f"starts must be at least 1, got {starts}.")
    if starts > 1 and isinstance(model, nn.Module):
        raise InputError("Several starts need a factory such as KAN(), not a ready module. Write starts=1.")
    if threads is not None and threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}. Write threads=1.")
    if constraints not in ("soft", "hard"):
        raise InputError(f'constraints must be "soft" or "hard", got "{constraints}". Write constraints=soft.')
    training = Training(
        hardened(problem) if constraints == "hard" else problem,
        KAN() if model is None else model,
        sampling,
        dict(weights or {}),
        seed,
        choose_device(device),
        choose_dtype(dtype),
        time_limit,
        derivatives,
        constraints,
        observe,
        log,
    )
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        training.train(list(phases) if phases else default_phases(), starts)
        return training.solution()
    finally:
        torch.set_num_threads(before)
