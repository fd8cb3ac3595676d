"""The training of one window of time, and of a finer network beside it, whose difference is the error.

The network is a separable KAN (`kanpde.models.separable`). It is linear in its weights, so that Levenberg-Marquardt
with hardly any damping is Newton's method for the equation, which converges in a few steps unless the window is too
long.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from math import sqrt
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.calculus.jet import JetSpace
from kanpde.domains.box import Box
from kanpde.models.network import Network
from kanpde.models.separable import factors, fit_factors, separable
from kanpde.models.windows import Windows, points_at, state_of
from kanpde.optimizers import Step
from kanpde.problem import Problem
from kanpde.residuals.automatic_weights import automatic_weights
from kanpde.residuals.evaluation import components_of
from kanpde.residuals.misfit import Misfit, misfit_of
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import sites_of
from kanpde.training.evolution import (
    Evolution,
    gauss,
    interior_points,
    on_window,
    window_points,
)
from kanpde.training.newton import converged, corrected
from kanpde.training.settings import Settings
from kanpde.training.shapes import Shape, refined, transferred
from kanpde.training.tangent import largest_change, objective_of_values
from kanpde.training.watch import RELATIVE_IN_WINDOWS

StateAt = Callable[[Tensor], Tensor]  # x (points,) -> u and, for m = 2, u_t: (order, points, unknowns)

RANDOM, UNSEEN = 2000, 10.0  # random points; ratio of the squared residuals from which on something was not seen
FINER, MORE_MODES = 1.25, 2  # cells in x and polynomials in time of the finer network
LEFT = 0.5  # share of the loss from which on a finer network does not explain a residual


@dataclass(frozen=True)
class Trained:
    """A window that has been trained.

    Attributes:
        begin, network: p, q and N of the solution.
        finer_begin, finer: those of the finer solution.
        points: number of training points.
        squares: mean squared residuals on the training points by condition.
        is_explained: whether a finer network lowers the loss, or the residuals inside are small; else the equations
            contradict each other or are not resolved at all.
        is_seen: whether they are not much larger on random points (`UNSEEN`).
        looseness: as in `kanpde.training.assessment.Estimate`.
        fine: a finer N from the same state as N.
        local: the root mean square of the error that the window adds at its end, by unknown.
        in_time: the part of it that more polynomials in time would remove, judged by the last ones of N.
        errors, values: the integrals over the window of the squared error, including that of earlier windows, and of
            the squared solution, by unknown.
    """

    begin: Network
    network: Network
    finer_begin: Network
    finer: Network
    fine: Network
    points: int
    squares: Mapping[str, float]
    is_explained: bool
    is_seen: bool
    looseness: float
    local: Float[Tensor, " unknowns"]
    in_time: Float[Tensor, " unknowns"]
    errors: Float[Tensor, " unknowns"]
    values: Float[Tensor, " unknowns"]


class Steps(NamedTuple):
    """Two finer networks, and what their linear problem says.

    ``left`` is the share of the loss that the finer network leaves; ``largest`` the largest relative change of the
    solution per change of the residuals (`kanpde.training.tangent`).
    """

    fine: Network
    other: Network
    left: float
    largest: float


@dataclass(frozen=True)
class Window:
    """A window to be trained.

    Attributes:
        settings, evolution: of the whole problem.
        range: beginning and end of the window.
        state, finer_state: of the solution at its beginning, and of the finer one.
    """

    settings: Settings
    evolution: Evolution
    range: tuple[float, float]
    state: StateAt
    finer_state: StateAt

    @property
    def box(self) -> Box:
        return self.evolution.within(self.range)

    @property
    def length(self) -> float:
        return self.range[1] - self.range[0]

    def trained(self, shape: Shape, observe: Callable[[Step, Objective], bool]) -> Trained | None:
        """Train a network of that shape from zero; None if it does not converge, or if ``observe`` returns False."""
        begin, gap = self._begin(self.state, shape)
        problem, network = self._problem(begin), self._network(shape, len(self.settings.problem.unknowns))
        objective = self._objective(problem, network, shape, (4, shape.modes + 3))
        if not converged(objective, observe):
            return None
        more = Shape(refined(shape.ends, FINER), shape.degree, shape.modes + MORE_MODES)
        finer_begin, _ = self._begin(self.finer_state, more)
        steps = self._steps(problem, self._problem(finer_begin), network, more)
        if steps is None:
            return None
        fine, finer = steps.fine, steps.other
        errors, values = self._integrals((begin, network), (finer_begin, finer), more)
        changes = self._local(network, fine, more.ends)
        if not bool(changes.isfinite().all()):
            return None
        local, in_time = gap + changes, torch.minimum(changes, self._last_modes(network, shape))
        points = sum(len(points.x) for points in objective.points.values())
        squares = {name: float(loss.detach()) / objective.weights[name] for name, loss in objective.losses().items()}
        found = self._on_random_points(problem, network)
        return Trained(
            begin=begin,
            network=network,
            finer_begin=finer_begin,
            finer=finer,
            fine=fine,
            points=points,
            squares=squares,
            is_explained=steps.left <= LEFT
            or all(
                each.relative <= RELATIVE_IN_WINDOWS
                for name, each in found.items()
                if problem.conditions[name].region.is_interior
            ),
            is_seen=not any(
                each.relative > RELATIVE_IN_WINDOWS and not each.square <= UNSEEN * squares[name]
                for name, each in found.items()
            ),
            looseness=steps.largest * terms_of(objective.weights, found),
            local=local,
            in_time=in_time,
            errors=errors,
            values=values,
        )

    def _on_random_points(self, problem: Problem, network: Network) -> dict[str, Misfit]:
        """Return the residuals of every condition on random points."""
        settings, components = self.settings, components_of(network, "jets")
        generator = torch.Generator(settings.device).manual_seed(settings.seed)
        return {
            name: misfit_of(
                problem,
                name,
                components,
                condition.region.sample("uniform", RANDOM, generator, settings.device, settings.dtype),
                {},
            )
            for name, condition in problem.conditions.items()
        }

    def local_errors(self, found: Trained, x: Float[Tensor, " points"]) -> Float[Tensor, "points parts"]:
        """Return the parts of the local error at points x of the window's end.

        For every unknown these are the change by the finer network, and what p does not resolve of the state before;
        for m = 2 also those of the rate, multiplied by the length of the window.
        """
        return torch.cat([*self._changes(found.network, found.fine, x), *self._gaps(self.state, found.begin, x)], dim=1)

    def _problem(self, begin: Network) -> Problem:
        return on_window(self.settings.problem, self.evolution, self.range, begin)

    def _begin(self, state: StateAt, shape: Shape) -> tuple[Network, Float[Tensor, " unknowns"]]:
        """Return splines fitted to a state, and the root mean square of what they do not resolve, by unknown.

        For m = 2 the latter includes the rate, multiplied by the length of the window.
        """
        x, _ = gauss(shape.ends, shape.degree + 2)
        wanted = torch.cat(list(state(x)), dim=1)
        begin = self._network(replace(shape, modes=1), wanted.shape[1])
        fit_factors(begin, self.evolution.axis, x, wanted[:, None])
        x, weight = gauss(shape.ends, shape.degree + 3)
        return begin, root_mean_squares(weight, self._gaps(state, begin, x))

    def _gaps(self, state: StateAt, begin: Network, x: Float[Tensor, " points"]) -> list[Tensor]:
        """Return what p does not resolve of a state; for m = 2 also what q does not, multiplied by the length."""
        gaps = state(x) - state_of(begin, x, 0, self.evolution.order, self.evolution.axis)[:, 0]
        return [gaps[0], *(self.length * gap for gap in gaps[1:])]

    def _network(self, shape: Shape, outputs: int) -> Network:
        evolution = self.evolution
        return separable(
            self.box.ranges, evolution.axis, outputs, shape.ends, shape.degree, shape.modes, evolution.wraps
        )

    def _objective(self, problem: Problem, network: Network, shape: Shape, along: tuple[int, int]) -> Objective:
        points = window_points(self.box, self.evolution.axis, problem.conditions, shape.ends, along)
        sites = sites_of(problem, points)
        weights = automatic_weights(network, sites, None, "jets")
        given = {name: w for name, w in self.settings.weights.items() if name in weights}
        return Objective(problem, network, points, weights | given, sites=sites)

    def _steps(self, problem: Problem, ahead: Problem, network: Network, shape: Shape) -> Steps | None:
        """Return finer networks, each from Newton steps with one Jacobian: for ``problem`` and for ``ahead``.

        None if the linear problem has no solution.
        """
        fine = transferred(network, self._network(shape, len(problem.unknowns)), self.evolution.axis, shape)
        other = deepcopy(fine)
        objective = self._objective(problem, fine, shape, (5, shape.modes + 3))
        before = float(Objective(problem, network, objective.points, objective.weights).loss().detach())
        second = Objective(ahead, other, objective.points, objective.weights)
        if (system := corrected([objective, second])) is None:
            return None
        inside = interior_points(self.box, self.evolution.axis, shape.ends, (5, shape.modes + 3))
        of_values = objective_of_values(problem, fine, inside.x, inside.weight)
        size = float(of_values.values().square().sum().sqrt())
        left = float(objective.loss().detach()) / max(before, 1e-300)
        return Steps(fine, other, left, largest_change(of_values.linearize()[1], system) / max(size, 1e-300))

    def _local(self, network: Network, fine: Network, ends: Float[Tensor, " ends"]) -> Float[Tensor, " unknowns"]:
        """Return the root mean square of the difference at the end of the window; for m = 2 also that of the rate."""
        x, weight = gauss(ends, 5)
        return root_mean_squares(weight, self._changes(network, fine, x))

    @torch.no_grad()
    def _last_modes(self, network: Network, shape: Shape) -> Float[Tensor, " unknowns"]:
        """Return the size of the next polynomial in time if those of N decay like the last two, by unknown."""
        x, weight = gauss(shape.ends, 5)
        f = factors(network, self.evolution.axis, x)
        last, before = ((weight @ each.square()).sqrt() for each in (f[:, -1], f[:, -2]))
        return last * (last / before.clamp_min(torch.finfo(last.dtype).tiny)).clamp_max(1.0)

    @torch.no_grad()
    def _changes(self, network: Network, fine: Network, x: Float[Tensor, " points"]) -> list[Tensor]:
        """Return the change of u at the end of the window; for m = 2 also that of u_t, multiplied by its length."""
        axis = self.evolution.axis
        space = JetSpace.spanned([(1 - axis,)], (axis,))
        n, rate = fine.jet(at := points_at(x, self.range[1], axis), space) - network.jet(at, space)
        return [n] if self.evolution.order == 1 else [n, 2 * n + self.length * rate]

    def _integrals(
        self, solution: tuple[Network, Network], finer: tuple[Network, Network], shape: Shape
    ) -> tuple[Tensor, Tensor]:
        """Return the integrals of the squared difference of two solutions (begin, N), and of the first one squared."""
        order, axis, box = self.evolution.order, self.evolution.axis, self.box
        points = interior_points(box, axis, shape.ends, (5, shape.modes + 3))
        u, v = (Windows(order, axis, self.range, [p], [n])(points.x) for p, n in (solution, finer))
        return box.measure * (points.weight @ (v - u).square()), box.measure * (points.weight @ u.square())


def root_mean_squares(
    weight: Float[Tensor, " points"], parts: Sequence[Float[Tensor, "points unknowns"]]
) -> Float[Tensor, " unknowns"]:
    """Return the sum of the root mean squares of the parts, by unknown."""
    return torch.stack([(weight @ part.square()).sqrt() for part in parts]).sum(dim=0)


def terms_of(weights: Mapping[str, float], found: Mapping[str, Misfit]) -> float:
    """Return the root mean square of the largest term of all conditions, as it enters the loss."""
    return max(
        (sqrt(weights[n] * each.square) / each.relative for n, each in found.items() if each.relative > 0), default=0.0
    )
