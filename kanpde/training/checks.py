"""Checks of the input before training starts."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from kanpde.bases import Basis
from kanpde.domains import Points
from kanpde.errors import Code, InputError
from kanpde.models.kanlayer import KANLayer
from kanpde.models.network import Network, grid_of, trained_size
from kanpde.optimizers.variableprojection import VariableProjection
from kanpde.problem import Problem
from kanpde.residuals.evaluation import Components, components_of, from_components, residuals_of
from kanpde.residuals.objective import Objective
from kanpde.thinning.removal import kan_layers
from kanpde.training.fresh import draw, size_of
from kanpde.training.identifiable import check_coefficients
from kanpde.training.parts import check_parts
from kanpde.training.phases import Phase
from kanpde.training.sampling import Sampling
from kanpde.training.settings import Settings
from kanpde.training.state import State
from kanpde.training.undefined import check_values

SLACK = 0.01  # of the bounding box, relative to its sides: curved cells exceed the box of their nodes
OTHER_PHASES = {"phases": Code("[Phase(LBFGS())]")}


def check_degree(model: nn.Module, objective: Objective, log: Callable[[str], None]) -> None:
    """Require edge functions that are smooth enough for the derivatives in the residuals."""
    order = max(site.space.order for site in objective.sites)
    if not isinstance(model, Network):
        return
    if model.smoothness > order:
        return
    smoother = _smoother(model, order)
    if model.smoothness < order:
        raise InputError(
            f"The residuals take derivatives of order {order}, but the functions on the edges have bounded derivatives "
            f"only up to order {model.smoothness}.",
            write=smoother,
            of="model",
        )
    hint = "".join(f"; {name} {value} is smoother" for name, value in smoother.items())
    log(f"warning: the derivatives of order {order} of the functions on the edges jump between cells{hint}")


def _smoother(model: Network, order: int) -> Mapping[str, Any]:
    """Return arguments of the model with which its functions have bounded derivatives beyond ``order``, if any."""
    if (degree := _smoother_degree(model, order)) is not None:
        return {"degree": degree}
    rough = (layer for layer in model.layers if layer.smoothness <= order)
    return next((found for layer in rough if (found := layer.smoother(order))), {})


def _smoother_degree(model: Network, order: int) -> int | None:
    """Return a degree at which edges have bounded derivatives beyond ``order``; None if a higher degree has none."""
    rough = [layer for layer in model.layers if layer.smoothness <= order]
    bases = [layer.basis for layer in rough if isinstance(layer, KANLayer)]

    def is_enough(basis: Basis, degree: int) -> bool:
        ends = basis.breakpoints[:, 0], basis.breakpoints[:, -1]
        return degree <= basis.most_degree and type(basis).over(*ends, basis.cells, degree).smoothness > order

    degrees = range(order + 2, 2 * order + 8)  # B-splines of degree order + 1 would do, but the residual has kinks
    enough = (d for d in degrees if all(is_enough(basis, d) for basis in bases))
    return next(enough, None) if len(bases) == len(rough) else None


def check_thinning(number: int, phase: Phase, model: nn.Module, derivatives: str) -> None:
    """Require a KAN for phases with a penalty or pruning, and an optimizer that they can use."""
    kan_layers(model)
    if phase.prune is not None and number == 0:
        raise InputError(
            "The first phase trains the starts, of which the best goes on; it cannot prune. A later phase can.",
            write={"prune": None},
            of="phases.0",
        )
    if phase.prune is not None and derivatives != "jets":
        raise InputError(f'Pruning needs derivatives "jets", got "{derivatives}".', write={"derivatives": "jets"})
    if phase.penalty and isinstance(phase.optimizer, VariableProjection):
        raise InputError(
            "The penalty is not linear in the last layer, as VariableProjection needs.",
            write={"penalty": 0.0},
            of=f"phases.{number}",
        )


def check_phases(phases: Sequence[Phase], model: nn.Module, derivatives: str, first: int = 0) -> None:
    """Require that the model supports the optimizer of every phase; ``first`` is the number of the first of them."""
    for number, phase in enumerate(phases, first):
        name = type(phase.optimizer).__name__
        if phase.needs_edges:
            check_thinning(number, phase, model, derivatives)
        package = getattr(phase.optimizer, "needs_package", None)
        if package is not None and find_spec(package) is None:
            raise InputError(
                f"{name} needs the package {package}, which is not installed. Install it: pip install {package}.",
                instead=OTHER_PHASES,
            )
        if getattr(phase.optimizer, "needs_jacobian", False):
            if not isinstance(model, Network):
                raise InputError(
                    f"{name} assembles the Jacobian, which needs a KAN or MLP of this package, got a "
                    f"{type(model).__name__}.",
                    instead=OTHER_PHASES,
                )
            if derivatives != "jets":
                raise InputError(
                    f'{name} assembles the Jacobian, which needs derivatives "jets", got "{derivatives}".',
                    write={"derivatives": "jets"},
                    instead=OTHER_PHASES,
                )


def check_sizes(settings: Settings, state: State, objective: Objective, first: int) -> None:
    """Refuse a grid coarser than the previous phase's, and a network too large for the phase's optimizer.

    Only the phases of the plan from number ``first`` on are checked. A stored network (``start``) keeps a finer grid.
    """
    model = state.network
    grid = grid_of(model)
    for number, phase in enumerate(state.plan[first:], first):
        parameters = trained_size(model)
        if isinstance(model, Network) and grid is not None:
            wanted = phase.next_grid(grid)
            if wanted < grid and settings.start is None:
                raise InputError(
                    f"Phase {number} has grid {wanted}, which is coarser than the grid {grid} before it; a grid can "
                    f"only be refined.",
                    write={"grid": wanted},
                    of="model",
                    advice=f"Or give the phase a grid of at least {grid}.",
                )
            grid = max(wanted, grid)
            parameters = model.size_at(grid)
        if (check := getattr(phase.optimizer, "check", None)) is not None:
            try:
                check(objective, parameters)
            except InputError as error:
                raise error.inside(f"phases.{number}.optimizer") from error


def check_ansatz(problem: Problem, untrained: Components, device: torch.device, dtype: torch.dtype) -> None:
    """Require that the untrained solution fulfils the conditions that the ansatz claims to satisfy."""
    generator, unknowns = torch.Generator(device).manual_seed(0), from_components(problem, untrained)
    for name in problem.ansatz.satisfies if problem.ansatz else ():
        points = problem.conditions[name].region.sample("uniform", 64, generator, device, dtype)
        largest = max(float(r.abs().max()) for r in residuals_of(problem, name, unknowns, points))
        if largest > (1e-8 if dtype == torch.float64 else 1e-3):
            raise InputError(
                f'The ansatz should satisfy the condition "{name}", but its residual there is {largest:.1e} before '
                f'training. Correct the ansatz, or leave "{name}" out of `satisfies`.'
            )


def check_regions(problem: Problem, points: Mapping[str, Points]) -> None:
    """Require that points of the conditions lie in the bounding box of the domain."""
    lower, upper = torch.tensor(problem.domain.ranges, dtype=torch.float64, device="cpu").T
    slack = SLACK * (upper - lower)
    for name, of_condition in points.items():
        x = of_condition.x.double().cpu()
        outside = ((x < lower - slack) | (x > upper + slack)).any(dim=1)
        if bool(outside.any()):
            pairs = zip(problem.domain.names, x[outside][0].tolist(), strict=True)
            place = ", ".join(f"{coordinate} = {value:.6g}" for coordinate, value in pairs)
            raise InputError(
                f'Condition "{name}" has points outside the domain {problem.domain}, such as {place}. Its region '
                "probably belongs to another domain; take regions and data of this one."
            )


def check_all(settings: Settings, state: State, log: Callable[[str], None]) -> None:
    """Raise an error for input that cannot work, and log a warning where it may not."""
    check_parts(settings, state.network, log)
    check_values(settings)
    measured = [name for name, condition in settings.problem.trained.items() if condition.region.is_measured]
    if settings.tolerance is not None and measured:
        raise InputError(
            f'A tolerance needs an estimate of the error, which the measured values of "{measured[0]}" do not give.',
            write={"tolerance": None},
        )
    for note in getattr(settings.problem.domain, "notes", ()):
        log(f"note: {note}")
    asked = settings.sampling
    if settings.problem.is_fit and (asked.interior or asked.boundary or asked.rule != "auto"):
        log("note: rule, interior and boundary of sampling have no effect on a fit; rows limits the number of rows")
    rows, parameters = sum(c.region.rows or 0 for c in settings.problem.trained.values()), size_of(state.network)
    if settings.problem.is_fit and rows * len(settings.problem.unknowns) < parameters:
        log(
            f"note: {parameters} parameters are more than the {rows} rows for training determine; a network with fewer "
            "hidden nodes, cells or a lower degree may be more accurate, and is faster"
        )
    later = () if settings.tolerance is None else (Phase(),)  # the levels are trained by Levenberg-Marquardt
    check_phases((*settings.phases, *later), state.network, settings.derivatives)
    generator = torch.Generator(settings.device).manual_seed(settings.seed)
    points = draw(settings, state.network, Sampling("uniform", 64, 64, 64), generator)
    problem, derivatives = settings.problem, settings.derivatives
    check_regions(problem, points)
    objective = Objective(problem, state.network, points, settings.weights, state.coefficients, derivatives)
    check_degree(state.network, objective, log)
    check_coefficients(settings, objective)
    check_sizes(settings, state, objective, state.phase)
    check_ansatz(problem, components_of(state.network, derivatives), settings.device, settings.dtype)
    if grid_of(state.network) is None and any(phase.grid or phase.refine for phase in settings.phases):
        log(f"{type(settings.model).__name__} has no grid; the schedule's grids do not change its size")
