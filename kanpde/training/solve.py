"""`solve`: train a model on a problem, and return the solution."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from signal import SIGINT
from typing import Any

import torch
from torch import nn

from kanpde.device import choose_device, choose_dtype
from kanpde.errors import InputError
from kanpde.factories import described
from kanpde.models.kan import KAN
from kanpde.models.network import singular_coefficients
from kanpde.paths import CONFIG
from kanpde.problem import Problem
from kanpde.residuals.accuracy import Errors
from kanpde.residuals.evaluation import components_of
from kanpde.residuals.singularities import corner_warnings
from kanpde.solution import Solution
from kanpde.storage.checkpoint import Checkpoints
from kanpde.training.arguments import check_objects, check_surroundings
from kanpde.training.attempts import carried_through
from kanpde.training.checks import check_all
from kanpde.training.constraints import constrained
from kanpde.training.entering import first_state
from kanpde.training.influence import idle_columns
from kanpde.training.phases import DEFAULT_STARTS, Phase, Progress, default_phases
from kanpde.training.sampling import Sampling
from kanpde.training.settings import Settings, settings_data
from kanpde.training.signals import StopRequest, stop_on
from kanpde.training.snapshot import to_data
from kanpde.training.starting import start_from, started_state
from kanpde.training.state import State
from kanpde.training.surroundings import Clock, Surroundings
from kanpde.training.uncertainty import uncertainty
from kanpde.training.validation import chi_squares
from kanpde.training.watch import doubts
from kanpde.version import __version__

Observe = Callable[[Progress], None]
Log = Callable[[str], None]


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
    checkpoint: float = 5.0,
    tolerance: float | None = None,
    atol: float = 0.0,
    start: str | Path | Solution | None = None,
    folder: str | Path | Checkpoints | None = None,
    stop: StopRequest | None = None,
    observe: Observe = lambda progress: None,
    log: Log = lambda line: None,
) -> Solution:
    """Train a model so that the residuals of the problem's conditions vanish.

    Ctrl-C ends the run after the current step and returns the solution so far; a second Ctrl-C raises
    KeyboardInterrupt.

    Args:
        problem: the problem to solve.
        model: a factory (`KAN`, `MLP`) or a ready module (points, dim) -> (points, unknowns); a small KAN by default.
        phases: see `Phase`; `default_phases` by default.
        sampling: the training points.
        weights: by condition; those left out are chosen by `automatic_weights`.
        starts: number of networks trained in the first phase; the one with the least loss on fresh points continues.
            Beside measured values each has other first values of the coefficients, within their bounds. None takes 5
            with the default phases, else 1.
        seed: seed of all random numbers.
        device: "auto", "cpu" or "cuda".
        dtype: "float64" or "float32".
        threads: CPU threads of torch during training; None leaves the number unchanged. One thread is the fastest for
            networks of this size, and its results repeat bit for bit; large networks gain from more.
        time_limit: in seconds, for the whole run.
        derivatives: "jets", or "autograd" (the reference; any module).
        constraints: "soft" trains all conditions; "hard" builds boundary and initial values into the solution
            (`kanpde.hard_constraints`), which needs a box and values that agree where faces meet, or a shape with
            closed smooth walls; "auto" does so on boxes if the values are smooth and agree, and says in the log what
            it chose.
        checkpoint: minutes between checkpoints; the state is also saved at the end of every phase.
        tolerance: the wanted relative L2 error of every unknown, instead of a schedule: windows of time, products,
            points, cells or nodes are added until the estimated error is smaller (`kanpde.training.attempts`).
        atol: for unknowns that may vanish: the root mean square of the error may be tolerance times that of the
            solution, plus atol.
        start: the folder or the solution of an earlier run on the same coordinates, whose network is the first one;
            then ``model`` and ``starts`` are left out (`kanpde.training.starting`).
        folder: for the checkpoints that `kanpde.resume` reads; None writes none. Checkpoints of an earlier run in the
            folder are removed.
        stop: a request to stop, tested after every step; for callers that handle signals themselves.
        observe: called with the progress after every step.
        log: called with each line of the log.

    Raises:
        InputError: the input is invalid; the message gives the reason and what to write instead.
    """
    check_objects(problem, model, phases, sampling, weights)
    check_surroundings(start, folder, observe, log)
    begun = None if start is None else start_from(start, model)
    if begun is not None:
        problem, model = begun.with_coefficients(problem), begun.model
    if starts is None:
        starts = DEFAULT_STARTS if phases is None and begun is None and not isinstance(model, nn.Module) else 1
    chosen = constrained(problem, constraints, tolerance)
    settings = Settings(
        problem=chosen.problem,
        model=KAN() if model is None else model,
        phases=tuple(phases or default_phases()),
        starts=starts,
        sampling=sampling,
        weights=dict(weights or {}),
        seed=seed,
        device=choose_device(device),
        dtype=choose_dtype(dtype),
        threads=threads,
        time_limit=time_limit,
        derivatives=derivatives,
        constraints=chosen.constraints,
        checkpoint=checkpoint,
        tolerance=tolerance,
        atol=atol,
        start=None if begun is None else begun.name,
    )
    with ExitStack() as held:
        if isinstance(folder, (str, Path)) and (Path(folder) / CONFIG).is_file():
            raise InputError(
                f'"{folder}" holds a run of the command line, whose checkpoints would be removed.',
                write={"folder": "outputs/mine"},
            )
        checkpoints = Checkpoints(folder) if isinstance(folder, (str, Path)) else folder
        if checkpoints is not None:
            held.enter_context(checkpoints)

        def begin(around: Surroundings) -> State:
            if chosen.line:
                around.log(chosen.line)
            state = first_state(settings) if begun is None else started_state(settings, begun, around)
            check_all(settings, state, around.log)
            if checkpoints is not None:
                checkpoints.clear()
            return state

        return carried_out(settings, begin, checkpoints, stop, observe, log)


def carried_out(
    settings: Settings,
    begin: Callable[[Surroundings], State],
    checkpoints: Checkpoints | None,
    stop: StopRequest | None,
    observe: Observe,
    log: Log,
) -> Solution:
    """Train from the state that ``begin`` returns to the end, with the number of threads in the settings."""
    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads or before)
    try:
        with ExitStack() as held:
            stop = stop or held.enter_context(stop_on(SIGINT))
            errors = Errors(settings.problem, settings.device, settings.dtype)
            around = Surroundings(errors, observe, log, saver(settings_data(settings), checkpoints, log), stop)
            state = begin(around)
            around.clock = Clock(state.seconds)
            early = [*corner_warnings(settings.problem), *settings.lacking]
            for warning in early:
                warning.emit()
                log(f"warning: {warning}")
            solution = solution_of(settings, carried_through(settings, state, around), errors)
    finally:
        torch.set_num_threads(before)
    for warning in solution.warnings:
        if str(warning) not in map(str, early):
            warning.emit()
    return solution


def saver(asked: Mapping[str, Any], checkpoints: Checkpoints | None, log: Log) -> Callable[[State], None] | None:
    """Return the function that writes checkpoints; if writing fails, it logs a warning and the run continues."""
    if checkpoints is None:
        return None

    def save(state: State) -> None:
        try:
            checkpoints.write({"version": __version__, "settings": asked, "state": to_data(state)})
        except OSError as error:
            log(f"warning: the checkpoint could not be written ({error.strerror or error}); the run continues")

    return save


def solution_of(settings: Settings, state: State, errors: Errors) -> Solution:
    """Return the solution of a run that has ended."""
    known = uncertainty(settings, state)
    facts = {
        "seed": settings.seed,
        "device": str(settings.device),
        "dtype": str(settings.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "derivatives": settings.derivatives,
        "constraints": settings.constraints,
        "satisfies": list(settings.problem.ansatz.satisfies) if settings.problem.ansatz else [],
        "start": settings.start,
        "seconds": state.seconds,
        "model": described(settings.model),
        **({"atol": settings.atol} if settings.atol else {}),
        **({"idle": idle} if (idle := idle_columns(settings, state)) else {}),
        **chi_squares(settings, state),
        **known.facts,
        **errors.measures(components_of(state.network, settings.derivatives)),
        **state.used,
    }
    return Solution(
        problem=settings.problem,
        model=state.network,
        history=state.history,
        levels=[dict(level) for level in state.levels],
        ending=state.ending,
        errors=errors.all(components_of(state.network, settings.derivatives)),
        coefficients=state.named_coefficients(settings.problem) | singular_coefficients(state.network),
        settings=facts,
        derivatives=settings.derivatives,
        warnings=[*doubts(settings, state, known.held), *known.warnings],
        finer=state.finer,
        standard_errors=dict(known.errors),
        intervals=dict(known.intervals),
        correlations=dict(known.correlations),
    )
