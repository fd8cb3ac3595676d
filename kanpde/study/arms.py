"""The arms of a comparison: their options, and widths that match parameters, operations or time."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from kanpde.configure.job import Job, make_job
from kanpde.errors import InputError
from kanpde.models.network import Network
from kanpde.residuals.site import site_of
from kanpde.study.fits import check_fit
from kanpde.training.constraints import constrained
from kanpde.training.phases import Phase

WIDEST = 4096
DEFAULT_MODEL = "kan"  # the default in conf/config.yaml
TOLERANCE = 0.2  # largest relative difference of the matched quantity between arms
ConfigFrom = Callable[[Sequence[str]], Mapping[str, Any]]  # from options as typed to a config


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Attributes:
        name: name of its folder and in the report.
        overrides: all its options except the seed, as typed on the command line.
        hidden: widths of its hidden layers.
        parameters: number of parameters on the finest grid; None if the network grows to a tolerance.
        flops: estimated floating-point operations of one step on that grid, see `step_flops`; None likewise.
        family: the arm of which this one is the part with a certain tolerance.
        tolerance: that tolerance.
    """

    name: str
    overrides: tuple[str, ...]
    hidden: tuple[Any, ...]
    parameters: int | None
    flops: float | None
    family: str | None = None
    tolerance: float | None = None


def make_arms(
    chosen: Mapping[str, str],
    typed: Sequence[str],
    match: str,
    config_from: ConfigFrom,
    tuned: Mapping[str, Sequence[str]] | None = None,
) -> tuple[list[Arm], list[Job]]:
    """Return the arms, with sizes that match the first one's, and the job of each.

    Args:
        chosen: by name, the options that an arm adds to the typed ones, separated by spaces as on the command line.
            Options typed for a model apply to the arms with that model.
        typed: options for all arms.
        match: "params", equal numbers of parameters on the finest grid; "flops", equal operations per step; "time", as
            "params", and every run continues its last phase until its time limit; "tolerance", nothing is matched, and
            every run has the same time limit. An arm that sets ``model.hidden=...`` itself keeps it.
        config_from: composes a config from options.
        tuned: by arm, options that are placed before its own.

    Raises:
        InputError: an arm cannot be made, or cannot be matched.
    """
    if len(chosen) < 2:
        raise InputError(
            f"A comparison needs two arms at least, got {len(chosen)}. Write 'study.arms.mlp=\"model=mlp\"'."
        )
    arms: list[Arm] = []
    jobs: list[Job] = []
    measure: Callable[[Job], float] = step_flops if match == "flops" else _parameters
    for name, text in chosen.items():
        try:
            own = [*(tuned or {}).get(name, ()), *shlex.split(text)]
        except ValueError as error:
            raise InputError(f"The options of {name} cannot be read ({error}): {text}") from None
        overrides = [*_for_model(typed, own), *own]
        if any(o.lstrip("+").startswith("start=") for o in overrides):
            raise InputError(
                f"{name} begins with the network of a stored run, whose size is fixed; the arms of a comparison get "
                "new networks of matched sizes. Leave start out."
            )
        job = make_job(config_from(overrides))
        _refuse_tolerance(name, job)
        check_fit(job.problem, match)
        if jobs and (job.file.path, _problem_of(overrides)) != (jobs[0].file.path, _problem_of(arms[0].overrides)):
            raise InputError(
                f"{name} has another problem than {arms[0].name}; a comparison is for one. Start a study for each."
            )
        if match == "tolerance":
            _refuse_atol(name, job)
            _check_limit(name, job, jobs or [job])
            arms.append(Arm(name, tuple(overrides), tuple(getattr(job.model, "hidden", ())), None, None))
            jobs.append(job)
            continue
        if jobs and not any(o.lstrip("+").startswith("model.hidden=") for o in own):
            hidden = _matched(name, job, measure(jobs[0]), measure)
            overrides.append(f"model.hidden={_listed(hidden)}")
            job = replace(job, model=replace(job.model, hidden=hidden))
        if match == "time":
            overrides += _until_the_limit(name, job)
        arms.append(Arm(name, tuple(overrides), tuple(_hidden(name, job)), _parameters(job), step_flops(job)))
        jobs.append(job)
    return arms, jobs


def _for_model(typed: Sequence[str], own: Sequence[str]) -> list[str]:
    """Return the typed options without those for models other than the arm's own."""
    models = [[o.partition("=")[2] for o in options if o.startswith("model=")] for options in (typed, own)]
    of_typed, of_arm = (names[-1] if names else None for names in models)
    if of_arm is None or of_arm == (of_typed or DEFAULT_MODEL):
        return [o for o in typed if of_arm is None or not o.startswith("model=")]
    return [o for o in typed if not o.lstrip("+~").startswith(("model=", "model."))]


def _problem_of(overrides: Sequence[str]) -> list[str]:
    return sorted(o.lstrip("+") for o in overrides if o.lstrip("+").startswith(("problem=", "problem.")))


def _listed(hidden: Sequence[Any]) -> str:
    return "[" + ",".join(str(w) if isinstance(w, int) else _listed(w) for w in hidden) + "]"


def _until_the_limit(name: str, job: Job) -> list[str]:
    if job.settings.get("time_limit") is None:
        raise InputError(
            f"match=time needs the seconds that every run gets, and {name} has no limit. Write time_limit=60."
        )
    last = f"schedule.phases.{len(job.schedule.phases) - 1}"
    return [f"{last}.steps=1000000", f"++{last}.window=0"]


def _refuse_tolerance(name: str, job: Job) -> None:
    """Refuse a tolerance among the options of an arm: a study gives it, and networks of matched sizes would grow."""
    if (tolerance := job.settings.get("tolerance")) is not None:
        raise InputError(
            f"{name} has tolerance={tolerance:g}, with which its network grows. To compare arms by the time to a "
            f"tolerance, write study.match=tolerance 'study.tolerances=[{tolerance:g}]' time_limit=60 instead."
        )


def _refuse_atol(name: str, job: Job) -> None:
    """Refuse an absolute tolerance, because the report judges relative errors."""
    if job.settings.get("atol"):
        raise InputError(f"match=tolerance compares relative errors, and {name} has atol. Leave atol out.")


def _check_limit(name: str, job: Job, jobs: Sequence[Job]) -> None:
    limit, first = (each.settings.get("time_limit") for each in (job, jobs[0]))
    if limit is None:
        raise InputError(
            "match=tolerance needs the seconds after which a run that has not reached its tolerance is stopped, and "
            f"{name} has no limit. Write time_limit=60."
        )
    if limit != first:
        raise InputError(
            f"match=tolerance needs one time limit for all arms, got {first:g} s and, for {name}, {limit:g} s. Leave "
            "time_limit out of the arms and write time_limit=60 once."
        )


def at_tolerances(arms: Sequence[Arm], tolerances: Sequence[float]) -> list[Arm]:
    """Return every arm with every tolerance, named such as kan@1e-05, the largest tolerance first."""
    return [
        replace(
            arm,
            name=f"{arm.name}@{tolerance!r}",
            overrides=(*arm.overrides, f"tolerance={tolerance!r}"),
            family=arm.name,
            tolerance=tolerance,
        )
        for tolerance in sorted(tolerances, reverse=True)
        for arm in arms
    ]


def _hidden(name: str, job: Job) -> Sequence[Any]:
    """Return the widths of an arm's hidden layers."""
    if (hidden := getattr(job.model, "hidden", None)) is None:
        raise InputError(
            f"{name} has a {type(job.model).__name__}, which has no argument `hidden`. The sizes of arms are matched "
            "by it: a model in a comparison needs `hidden`, the widths of its hidden layers. Choose another model."
        )
    return hidden


def _matched(name: str, job: Job, wanted: float, measure: Callable[[Job], float]) -> tuple[int, ...]:
    """Return equal widths, for the model's default number of layers, whose measure is nearest to ``wanted``."""
    hidden = _hidden(name, job)
    if not hidden or not all(isinstance(width, int) for width in hidden):
        raise InputError(
            f"{name}: {job.model} has no widths that can be matched. Give them: "
            f"'study.arms.{name}=\"... model.hidden=[8]\"'."
        )

    def size(width: int) -> float:
        return measure(replace(job, model=replace(job.model, hidden=(width,) * len(hidden))))

    low, high = 1, 2
    while high < WIDEST and size(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < wanted else (low, middle)
    width = min((low, high), key=lambda width: abs(size(width) - wanted))
    if abs(size(width) / wanted - 1) > TOLERANCE:
        raise InputError(
            f"{name} cannot be made as large as the first arm: the nearest width, {width}, has "
            f"{size(width) / wanted:.2f} times its size. Give the widths: "
            f"'study.arms.{name}=\"... model.hidden=[8]\"'."
        )
    return (width,) * len(hidden)


# sizes and costs -----------------------------------------------------------------------------------------------------
def finest(job: Job) -> tuple[Network, int]:
    """Return the untrained network of a job, and the grid of its last phase (0 without grids)."""
    domain = job.problem.domain
    network = job.model(
        domain.ranges, len(job.problem.unknowns), periodic=domain.periodic, generator=torch.Generator().manual_seed(0)
    )
    grid = network.grid or 0
    for phase in job.schedule.phases if grid else ():
        grid = phase.next_grid(grid)
    return network, grid


def _parameters(job: Job) -> int:
    network, grid = finest(job)
    return network.size_at(grid)


def step_flops(job: Job) -> float:
    r"""Estimate the floating-point operations of one step of the last phase, on its finest grid.

    A jet of C components through layers ``features(x) @ weight`` costs $2 C \sum_l F_l d_l$ per point for d_l sums of
    F_l features, and its gradient twice as much. Levenberg-Marquardt adds $J^T J$, P² operations per point for P
    parameters (it is symmetric), and a Cholesky factor of P³ / 3. In the jets only the degree + 1 non-zero splines are
    counted. Evaluations of univariate functions (splines, tanh) are not counted.
    """
    network, grid = finest(job)
    parameters = network.size_at(grid)
    problem = constrained(job.problem, job.settings.get("constraints", "soft"), job.settings.get("tolerance")).problem
    phase = job.schedule.phases[-1]
    sampling = phase.sampling or job.sampling
    total = 0.0
    for name, condition in problem.trained.items():
        points = sampling.size(condition.region, parameters, grid)
        sample = condition.region.sample("sobol", 2)
        components = len(site_of(problem, name, sample).space.keys)
        total += points * (6 * components * _active(network) + _of_system(phase, parameters))
    return total + (parameters**3 / 3 if _of_system(phase, parameters) else 0.0)


def _active(network: Network) -> int:
    """Return the number of products of a weight with a feature that is non-zero near a point, over all layers."""
    return sum(layer.active * layer.weight.shape[1] for layer in network.layers)


def _of_system(phase: Phase, parameters: int) -> float:
    return float(parameters**2) if getattr(phase.optimizer, "needs_jacobian", False) else 0.0
