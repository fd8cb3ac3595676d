"""Losses on fresh points, which are not used for training: to choose a start and to decide whether to keep a phase."""

from collections.abc import Mapping
from math import inf, isfinite

import torch
from torch import nn

from kanpde.domains import Points, Region
from kanpde.domains.box import Box
from kanpde.domains.families import family_of
from kanpde.ends import End, Ending
from kanpde.hard_constraints.smooth_parts import shape_of
from kanpde.models.network import grid_of, on_side, trained_size
from kanpde.models.trajectory import Trajectory
from kanpde.models.windows import Windows
from kanpde.residuals.objective import Objective
from kanpde.training.grading import graded
from kanpde.training.sampling import Sampling
from kanpde.training.settings import Settings
from kanpde.training.state import Candidate, State

MORE = 1.3  # points of quadrature other than those of training, as a multiple of the number of these
WORSE = 2.0  # a phase is taken back if the loss on fresh points grew by this factor; chance alone changes it by less,
WORSE_ON_ROWS = 1.0  # but not on measured points, which are the same before and after


def size_of(network: nn.Module) -> int:
    """Return the number of parameters on which that of the points depends; for windows of time, the mean of all."""
    parameters = trained_size(network)
    return parameters // max(1, network.count) if isinstance(network, (Windows, Trajectory)) else parameters


def size_on(network: nn.Module, region: Region) -> int:
    """Return the number of parameters of the network that conditions on a region evaluate; of several, the largest."""
    return max((size_of(on_side(network, side)) for side in region.sides), default=size_of(network))


def rule_of(settings: Settings, sampling: Sampling) -> str:
    """Return the rule of the training points: "auto" is "sobol" for families, and for built-in values, on shapes.

    Tensor rules place points of shapes on few lines with wide gaps. Points on the walls bridge these, but conditions
    that are built in have none, and networks then violate the equation between the lines (benchmarks/RESULTS.md). Of a
    parameter they have about twelve values, even on walls; networks follow these and are wrong between them, and
    between the last of them and the ends of the range.
    """
    domain = settings.problem.domain
    built_in = settings.problem.ansatz is not None and shape_of(domain) is not None
    leaves_gaps = built_in or (family_of(domain) and not isinstance(domain, Box))
    return "sobol" if sampling.rule == "auto" and leaves_gaps else sampling.rule


def draw(
    settings: Settings,
    network: nn.Module,
    sampling: Sampling,
    generator: torch.Generator,
    is_fresh: bool = False,
    least: Mapping[str, int] | None = None,
) -> dict[str, Points]:
    """Draw new points for every trained condition, with a number that suits the network's size.

    Args:
        settings, network: of the run.
        sampling: rule and numbers; the rule does not matter for fresh points, which are random.
        generator: of the random numbers.
        is_fresh: whether the points must not be those of training.
        least: by condition, least numbers.
    """
    grid = grid_of(network) or 0
    points: dict[str, Points] = {}
    for name, condition in settings.problem.trained.items():
        parameters = size_on(network, condition.region)
        n = max(sampling.size(condition.region, parameters, grid), (least or {}).get(name, 0))
        region, device, dtype = condition.region, settings.device, settings.dtype
        if is_fresh:
            found = region.sample_fresh(n, generator, device, dtype)
        else:
            found = region.sample(rule_of(settings, sampling), n, generator, device, dtype)
        points[name] = graded(found, region, settings.problem.domain, network)
    return points


def fresh_points(settings: Settings, state: State, phase: int, seed: int) -> dict[str, Points]:
    """Draw as many random points as the phase trains on, with a generator of their own."""
    sampling = state.plan[phase].sampling or settings.sampling
    return draw(settings, state.network, sampling, torch.Generator(settings.device).manual_seed(seed), is_fresh=True)


def quadrature_points(settings: Settings, state: State, phase: int, seed: int) -> dict[str, Points]:
    """Return points of quadrature that the phase does not train on, by condition, about `MORE` times as many.

    The residual of a trained network is nearly orthogonal to what the network can change. Sums over random points keep
    that up to an error of one over the root of their number only, which a problem that is sensitive to its residuals,
    as elasticity, enlarges. Where there are measured points, these are taken, and where tensor rules leave gaps
    (`rule_of`) Sobol points.
    """
    points = fresh_points(settings, state, phase, seed)
    rule = "sobol" if rule_of(settings, Sampling()) == "sobol" else "gauss"
    for name, condition in settings.problem.trained.items():
        if not condition.region.is_measured:
            n = round(MORE * len(points[name].x))
            generator = torch.Generator(settings.device).manual_seed(seed)
            points[name] = condition.region.sample(rule, n, generator, settings.device, settings.dtype)
    return points


def losses(objective: Objective) -> dict[str, float]:
    """Return the contribution of every condition to the loss, as a number."""
    with torch.set_grad_enabled(objective.engine == "autograd"):
        return {name: float(value.detach()) for name, value in objective.losses().items()}


def loss_at(
    settings: Settings, candidate: Candidate | State, points: Mapping[str, Points], weights: Mapping[str, float]
) -> float:
    """Return the loss of a network at other points; inf if it is not finite."""
    problem, derivatives = settings.problem, settings.derivatives
    objective = Objective(problem, candidate.network, points, weights, candidate.coefficients, derivatives)
    loss = sum(losses(objective).values())
    return loss if isfinite(loss) else inf


def taken_back(trained: float, before: float, after: float, rounding: float, worse: float = WORSE) -> Ending | None:
    """Return why a phase is taken back, or None if it is kept.

    Args:
        trained: the loss on the phase's own points.
        before: the loss on fresh points when the phase began.
        after: the same when it ended.
        rounding: losses below this value are rounding errors.
        worse: the least factor by which the loss must have grown.
    """
    if after <= worse * before or after <= rounding:
        return None
    end = End.OVERFITTED if trained < before else End.DIVERGED  # whether the loss on the training points fell
    return Ending(end, f"on fresh points the loss grew from {before:.1e} to {after:.1e}")
