"""The final check of a phase: its loss and its residuals at many points that were used for nothing else.

A narrow feature between the training points changes the loss there by nothing. `DENSER` times as many random points,
at which the network is only evaluated, see it if some of them lie in it. With n points, a feature that occupies the
share s of the domain is missed with probability $(1 - s)^n$: with the 11,000 points of the default network, 5 % for
s = 0.03 %, a disk of radius 0.02 in [-1, 1]². So narrower features are not seen, nor is anything that vanishes in the
residuals, such as another solution of a problem that has several.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from math import inf, isfinite, nan, sqrt
from typing import Any

import torch

from kanpde.domains import Points, Region
from kanpde.domains.box import Box
from kanpde.ends import End
from kanpde.errors import Fix, ResultWarning
from kanpde.models.network import grid_of
from kanpde.residuals.evaluation import components_of
from kanpde.residuals.misfit import misfit_of
from kanpde.residuals.singularities import corner_warnings
from kanpde.training.constraints import is_of_many, unsmooth
from kanpde.training.fresh import size_on
from kanpde.training.inaccurate import inaccurate
from kanpde.training.partly import partly_determined
from kanpde.training.sampling import Sampling
from kanpde.training.settings import Settings
from kanpde.training.state import State
from kanpde.training.unfitted import unfitted

DENSER = 4  # fresh points for every training point,
LEAST_FRESH, MOST_FRESH = 1000, 50_000  # within these limits, and never fewer than training points
LOSS_RATIO = 10.0  # warn from this ratio of the losses on fresh and on training points on,
LOOSE = 1e4  # from this looseness on (`kanpde.training.assessment`) the conditions do not determine the solution
LOOSE_IN_WINDOWS = 1e3  # given initial values, missing boundary values leave less freedom (benchmarks/RESULTS.md)
RELATIVE = 1e-3  # if a residual is also larger than this share of its largest term;
RELATIVE_IN_WINDOWS = 0.1  # in windows of time, at whose beginning the residual is larger for a moment


def dense_points(settings: Settings, state: State, phase: int) -> dict[str, Points]:
    """Draw random points for every trained condition, with a generator of their own."""
    sampling = state.plan[phase].sampling or settings.sampling
    generator = torch.Generator(settings.device).manual_seed(settings.seed + 1)
    points = {}
    for name, condition in settings.problem.trained.items():
        n = _size(sampling, condition.region, state)
        n = max(n, min(max(DENSER * n, LEAST_FRESH), MOST_FRESH))
        points[name] = condition.region.sample_fresh(n, generator, settings.device, settings.dtype)
    return points


def _size(sampling: Sampling, region: Region, state: State) -> int:
    """Return the number of training points on a region for the present network."""
    return sampling.size(region, size_on(state.network, region), grid_of(state.network) or 0)


def watched(settings: Settings, state: State, phase: int, weights: Mapping[str, float]) -> dict[str, float]:
    """Return ``fresh``, the loss on fresh points, and ``relative_NAME``, the relative residual of every condition.

    ``relative_NAME`` is the root mean square of the condition's residuals over that of their largest term
    (`kanpde.residuals.misfit`); for a boundary or initial condition it is relative to the given values or the solution.
    """
    components = components_of(state.network, settings.derivatives)
    coefficients = state.named_coefficients(settings.problem)
    found = {
        name: misfit_of(settings.problem, name, components, points, coefficients)
        for name, points in dense_points(settings, state, phase).items()
    }
    loss = sum(weights[name] * misfit.square for name, misfit in found.items())
    is_absolute = bool(settings.problem.measures)  # a cross-entropy is compared with nothing
    relative = {f"relative_{name}": sqrt(m.square) if is_absolute else m.relative for name, m in found.items()}
    return {"fresh": loss if isfinite(loss) else inf, **relative}


def kept(levels: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the row of the last phase that was not taken back, which describes the final network; {} without one."""
    return next((level for level in reversed(levels) if not End[level["end"]].is_taken_back), {})


def doubts(settings: Settings, state: State, held: Sequence[str] = ()) -> list[ResultWarning]:
    """Return warnings: on jumps of the data, corners, the solution's end and uniqueness, its residuals, rough values.

    That the points do not show the residuals is said if the loss on fresh points is at least `LOSS_RATIO` times the
    training loss, and a relative residual exceeds `RELATIVE`. A large ratio alone may be rounding or an overfitted but
    accurate solution; a large residual alone is a training that is not finished, which the training loss shows.

    Args:
        settings: of the run.
        state: at its end.
        held: the coefficients that have reached a bound.
    """
    if (end := state.used.get("ends_at")) is not None:
        asked, is_late = settings.time_limit, state.ending.end is End.TIME_LIMIT
        limit = {"time_limit": 4 * asked} if is_late and asked is not None else {}
        message = f"The solution ends at t = {end:.4g}, before the end of the interval, and is NaN after that."
        return [*discontinuous(state), ResultWarning(message, fixes=[("", limit)] if limit else [])]
    if state.ending.end is End.NON_FINITE and not state.history:
        return [
            ResultWarning(
                f"Nothing was trained: the loss of the first network is not finite ({state.ending.detail}). A residual "
                "probably has a root or logarithm of a negative number, or divides by 0.",
                advice="Write `torch.where`, `clamp`, or build the sign of the unknown in by an Ansatz.",
            )
        ]
    of_residuals = (
        unseen(settings, state)
        or unfinished(settings, state)
        or inaccurate(settings, state, kept(state.levels), partial(cures, settings, state), held)
    )
    of_problem = [*corner_warnings(settings.problem), *settings.lacking]
    of_data = unfitted(settings, state, kept(state.levels))
    return [*discontinuous(state), *of_problem, *undetermined(state), *of_residuals, *of_data, *rough(settings)]


def discontinuous(state: State) -> list[ResultWarning]:
    """Return a warning if data of the problem jump (`kanpde.residuals.jumps`)."""
    found = state.used.get("jumps", [])
    if not found:
        return []
    message = f"The data of the problem are discontinuous: {'; '.join(found)}. "
    message += "The solution is inaccurate near there, and its estimated error does not include what is lost."
    advice = "Replace the jump by a steep smooth function, such as tanh(x / width), and resolve it; or let the values "
    advice += "agree where they meet. Where a coefficient jumps, divide the domain into `Parts`."
    return [ResultWarning(message, advice=advice)]


def undetermined(state: State) -> list[ResultWarning]:
    """Return a warning if the conditions, or their data, do not determine the solution."""
    looseness = state.used.get("looseness", nan)
    if not looseness >= (LOOSE_IN_WINDOWS if "windows" in state.used else LOOSE):
        return [partly_determined(*state.used["left_open"])] if "left_open" in state.used else []
    return [
        ResultWarning(
            "The conditions hardly determine the solution: some change of it, as large as the solution itself, changes "
            f"the residuals by {1 / looseness:.0e} of their largest terms. The solution is probably one of many.",
            advice="Is a boundary or initial condition missing, or has the equation no unique solution with these "
            "coefficients?",
        )
    ]


def unseen(settings: Settings, state: State) -> list[ResultWarning]:
    """Return a warning if a condition is violated between the training points."""
    level = kept(state.levels)
    most = RELATIVE_IN_WINDOWS if "windows" in state.used else RELATIVE
    names = [name for name in settings.problem.trained if level.get(f"relative_{name}", 0.0) > most]
    if not names or not level["fresh"] >= LOSS_RATIO * level["loss"]:
        return []
    if settings.problem.is_fit:
        return [
            ResultWarning(
                f"The loss is {level['fresh']:.1e} on the rows for validation, but {level['loss']:.1e} on those for "
                "training: the network follows what is particular to these, such as noise.",
                advice="Use a smaller network, a coarser grid or more rows.",
            )
        ]
    return [
        ResultWarning(
            f"The loss is {level['fresh']:.1e} on fresh points, but {level['loss']:.1e} on the training points, and "
            f"the residual on fresh points is {sizes_in(level, names)}. The solution violates the problem between the "
            "training points and is probably wrong. Use more points, a finer grid or a wider network.",
            fixes=cures(settings, state),
        )
    ]


def sizes_in(level: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the relative residuals of some conditions in words."""
    return ", ".join(f'{level[f"relative_{name}"]:.2g} times its largest term in "{name}"' for name in names)


def unfinished(settings: Settings, state: State) -> list[ResultWarning]:
    """Return a warning if a run with a tolerance ends without an estimate and with a residual that is not small."""
    end, level = state.ending.end, kept(state.levels)
    if settings.tolerance is None or end is End.TOLERANCE_REACHED or isfinite(state.used.get("estimate", nan)):
        return []
    large = [name for name in settings.problem.trained if level.get(f"relative_{name}", 0.0) > RELATIVE]
    if not large:
        return []
    message = (
        "The tolerance is not reached, and there is no estimate of the error. On fresh points the residual is still "
        f"{sizes_in(level, large)}."
    )
    advice = ""
    if len(large) > 1:
        advice = (
            "If these conditions contradict each other, as where their values differ at common points, no network can "
            "satisfy them."
        )
    asked = settings.time_limit if end is End.TIME_LIMIT else None
    return [ResultWarning(message, [] if asked is None else [("", {"time_limit": 4 * asked})], advice)]


def rough(settings: Settings) -> list[ResultWarning]:
    """Return a warning if values are built in that are not smooth."""
    doubt, domain = unsmooth(settings.problem), settings.problem.domain
    if not doubt or (isinstance(domain, Box) and is_of_many(domain)):
        return []
    return [
        ResultWarning(
            f"{doubt[0].upper()}{doubt[1:]}, and they are built in. If they have a kink or a jump, it is continued "
            "across the box, where no residual shows it, and the solution is wrong.",
            fixes=[("", {"constraints": "soft"})],
        )
    ]


def cures(settings: Settings, state: State) -> list[Fix]:
    """Return what may help: four times as many points, cells half as wide, twice as wide layers, if they exist."""
    counts: dict[str, int] = {}
    for name, count in state.used["points"].items():
        region = settings.problem.trained[name].region
        if region.is_measured:
            continue
        wanted = max(4 * count, _size(Sampling(), region, state))
        kind = "interior" if region.is_interior else "boundary"
        counts[kind] = max(counts.get(kind, 0), int(float(f"{wanted:.2g}")))
    own = settings.tolerance is None and state.plan[state.phase - 1].sampling is not None
    found: list[Fix] = [(f"phases.{state.phase - 1}.sampling" if own else "sampling", counts)]
    if settings.start is not None:  # which determines the model
        return found
    grid, hidden = getattr(settings.model, "grid", None), getattr(settings.model, "hidden", None)
    if isinstance(grid, int) and not any(phase.grid for phase in settings.phases):
        found.append(("model", {"grid": 2 * grid}))
    if hidden and all(isinstance(width, int) for width in hidden):
        found.append(("model", {"hidden": [2 * width for width in hidden]}))
    return found
