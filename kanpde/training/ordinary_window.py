"""The training of a window of time of ordinary differential equations, and its error.

A window's solution is a polynomial in time, whose weights Newton's method finds from the residuals at Gauss points. A
network with more polynomials from the same state shows the local error, and a second chain of such networks the global
error, as for partial differential equations (`kanpde.training.marching`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import torch
from jaxtyping import Float
from numpy.polynomial.legendre import legpow
from torch import Tensor

from kanpde.calculus.field import Field
from kanpde.calculus.operators import diff
from kanpde.domains import Points
from kanpde.models.network import Network
from kanpde.models.polynomials import polynomials
from kanpde.models.trajectory import Trajectory, polynomials_at
from kanpde.optimizers import Step
from kanpde.optimizers.damped import DampedSystem, column_scale
from kanpde.problem import Problem
from kanpde.residuals.automatic_weights import automatic_weights
from kanpde.residuals.evaluation import asked_of, components_of
from kanpde.residuals.misfit import Misfit, misfit_of
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import sites_of
from kanpde.training.breaks import graded
from kanpde.training.newton import converged, corrected
from kanpde.training.ordinary import Ordinary, on_window
from kanpde.training.settings import Settings
from kanpde.training.tangent import largest_change, objective_of_values
from kanpde.training.watch import RELATIVE_IN_WINDOWS
from kanpde.training.window import LEFT, UNSEEN, terms_of

OVERSAMPLING, MORE_POLYNOMIALS = 3, 6  # points more than polynomials; polynomials more in the finer network
SCANNED = 4096  # points, one in each equal part of a window, at which its residual is examined
FAR = 1e3  # ratio of the finer solution's loss to that of the solution, from which on it is trained alone
CHORDS = (
    8  # steps of the finer networks with one Jacobian; with 3 the estimate of van der Pol's equation is 6 times larger
)
RANK = 1e-13  # ratio of singular values below which the conditions do not determine the solution


@dataclass(frozen=True)
class TrainedWindow:
    """A window that has been trained; the other attributes are those of `kanpde.training.window.Trained`.

    Attributes:
        weight, finer_weight: Legendre coefficients of the solution and of the finer one, (polynomials, unknowns).
        state, finer_state: of both at the end.
    """

    weight: Float[Tensor, "polynomials unknowns"]
    finer_weight: Float[Tensor, "finer_polynomials unknowns"]
    state: Float[Tensor, "order unknowns"]
    finer_state: Float[Tensor, "order unknowns"]
    points: int
    squares: dict[str, float]
    is_explained: bool
    is_seen: bool
    looseness: float
    local: Float[Tensor, " unknowns"]
    errors: Float[Tensor, " unknowns"]
    values: Float[Tensor, " unknowns"]


@dataclass(frozen=True)
class OrdinaryWindow:
    """A window to be trained.

    Attributes:
        settings, ordinary: of the whole problem.
        range: beginning and end of the window.
        state, finer_state: of the solution at its beginning, and of the finer one.
    """

    settings: Settings
    ordinary: Ordinary
    range: tuple[float, float]
    state: Float[Tensor, "order unknowns"]
    finer_state: Float[Tensor, "order unknowns"]

    @property
    def length(self) -> float:
        return self.range[1] - self.range[0]

    def trained(self, modes: int, observe: Callable[[Step, Objective], bool]) -> TrainedWindow | None:
        """Train ``modes`` polynomials from zero; None if that does not converge, or if ``observe`` returns False."""
        problem, network = self._problem(self.state), self._network(modes)
        objective = self._objective(problem, network)
        if not converged(objective, observe):
            return None
        ahead, fine = self._problem(self.finer_state), self._enlarged(network)
        finer = self._enlarged(network)
        of_fine = self._objective(problem, fine, is_graded=True)
        before = float(Objective(problem, network, of_fine.points, of_fine.weights).loss().detach())
        of_finer = Objective(ahead, finer, of_fine.points, of_fine.weights)
        if (system := corrected([of_fine, of_finer], CHORDS)) is None:
            return None
        if not float(of_finer.loss().detach()) <= FAR * before:  # its state is too far away for that Jacobian
            finer = self._enlarged(network)
            if not converged(Objective(ahead, finer, of_fine.points, of_fine.weights), lambda *_: True):
                return None
        left = float(of_fine.loss().detach()) / max(before, 1e-300)
        count = modes + self.ordinary.order
        weight = self._legendre(self.state, network, count)
        fine_weight, finer_weight = (
            self._legendre(at, each, count + MORE_POLYNOMIALS)
            for at, each in ((self.state, fine), (self.finer_state, finer))
        )
        inside = self._gauss(count + MORE_POLYNOMIALS)
        u, same, other = (Trajectory(self.range, each[None])(inside.x) for each in (weight, fine_weight, finer_weight))
        state = self._at_end(problem, network)
        local = torch.maximum(
            change_at_end(self._at_end(problem, fine) - state, self.length),
            (inside.weight @ (same - u).square()).sqrt(),
        )
        if not bool(local.isfinite().all()) or not bool(other.isfinite().all()):
            return None
        squares = {name: float(loss.detach()) / objective.weights[name] for name, loss in objective.losses().items()}
        found = self._scanned(problem, network)
        return TrainedWindow(
            weight=weight,
            finer_weight=finer_weight,
            state=state,
            finer_state=self._at_end(ahead, finer),
            points=sum(len(points.x) for points in objective.points.values()),
            squares=squares,
            is_explained=left <= LEFT or all(each.relative <= RELATIVE_IN_WINDOWS for each in found.values()),
            is_seen=not any(
                each.relative > RELATIVE_IN_WINDOWS and not each.square <= UNSEEN * squares[name]
                for name, each in found.items()
            ),
            looseness=self._looseness(problem, fine, of_fine, system) * terms_of(objective.weights, found),
            local=local,
            errors=self.length * (inside.weight @ (other - u).square()),
            values=self.length * (inside.weight @ u.square()),
        )

    def _problem(self, state: Float[Tensor, "order unknowns"]) -> Problem:
        return on_window(self.settings.problem, self.ordinary, self.range, state)

    def _gauss(self, count: int) -> Points:
        """Return Gauss points, whose weights sum to 1."""
        return self.ordinary.within(self.range).interior.sample("gauss", count, None, self.settings.device)

    def _network(self, modes: int) -> Network:
        device, unknowns = self.settings.device, len(self.ordinary.orders)
        return polynomials([self.range], unknowns, modes, device, torch.float64)

    @torch.no_grad()
    def _enlarged(self, network: Network) -> Network:
        """Return the same function with more polynomials, whose weights are 0."""
        old = network.layers[0].weight
        new = self._network(len(old) + MORE_POLYNOMIALS)
        new.layers[0].weight[: len(old)] = old
        return new

    def _objective(self, problem: Problem, network: Network, is_graded: bool = False) -> Objective:
        count = len(network.layers[0].weight) + OVERSAMPLING
        inside = (
            graded(self.ordinary.within(self.range), count, self.settings.device) if is_graded else self._gauss(count)
        )
        sites = sites_of(problem, points := dict.fromkeys(problem.conditions, inside))
        weights = automatic_weights(network, sites, None, "jets")
        given = {name: w for name, w in self.settings.weights.items() if name in weights}
        return Objective(problem, network, points, weights | given, sites=sites)

    def _at_end(self, problem: Problem, network: Network) -> Float[Tensor, "order unknowns"]:
        """Return the unknowns and their derivatives below their order at the end of the window, at least the values."""
        orders, (name,) = self.ordinary.orders, self.ordinary.domain.names
        end = torch.tensor([[self.range[1]]], device=self.settings.device, dtype=torch.float64)

        def values(*unknowns: Field) -> Tensor:
            def entry(k: int, i: int) -> Tensor:
                if k >= max(orders[i], 1):
                    return end.new_zeros(())
                u = diff(unknowns[i], *[name] * k) if k else unknowns[i]
                return u.value.squeeze()

            return torch.stack([torch.stack([entry(k, i) for i in range(len(orders))]) for k in range(max(orders))])

        return asked_of(problem, components_of(network, "jets"), end, values)

    @torch.no_grad()
    def _legendre(
        self, state: Float[Tensor, "order unknowns"], network: Network, count: int
    ) -> Float[Tensor, "polynomials unknowns"]:
        """Return the Legendre coefficients of the unknowns, which are polynomials of a degree below ``count``.

        Those of the Taylor polynomial at the beginning are added to those of the rest, which would be lost in the
        rounding errors of values and times in short windows; the rates at the end are its derivatives.
        """
        inside = self._gauss(count)

        def values(*unknowns: Field) -> Tensor:
            return torch.stack([u.value for u in unknowns], dim=1)

        rest = self._problem(torch.zeros_like(state))
        u = asked_of(rest, components_of(network, "jets"), inside.x, values)
        mean = inside.weight @ u
        begin, end = u.new_tensor(self.range[0]), u.new_tensor(self.range[1])
        table = polynomials_at(inside.x[:, 0], begin, end, count, 0)[0]
        norms = 2 * torch.arange(count, device=u.device, dtype=u.dtype) + 1  # 1 over the mean squares
        found = norms[:, None] * (table.T @ (inside.weight[:, None] * (u - mean)))
        found[0] += mean
        half = self.length / 2
        for k, derivative in enumerate(state):
            power = torch.as_tensor(legpow([half, half], k)).to(u) / factorial(k)
            is_given = derivative.new_tensor([k < order for order in self.ordinary.orders])
            found[: k + 1] += power[:, None] * (is_given * derivative)
        return found

    def _looseness(self, problem: Problem, fine: Network, objective: Objective, system: DampedSystem) -> float:
        """Return the largest relative change of the solution per change of the residuals; 0 if it is determined.

        Small singular values alone mean that the equations are stiff: all initial values are given. The solution is
        not determined if the Jacobian, its rows and columns scaled, has not the full rank.
        """
        _, jacobian = objective.linearize()
        scaled = jacobian / column_scale(jacobian.square().sum(dim=0), RANK)
        scaled = scaled / scaled.norm(dim=1, keepdim=True).clamp_min(torch.finfo(scaled.dtype).tiny)
        sizes = torch.linalg.svdvals(scaled)
        if bool(sizes[-1] > RANK * sizes[0]):
            return 0.0
        inside = objective.points[next(iter(objective.points))]
        of_values = objective_of_values(problem, fine, inside.x, inside.weight)
        size = float(of_values.values().square().sum().sqrt())
        return largest_change(of_values.linearize()[1], system) / max(size, 1e-300)

    def _scanned(self, problem: Problem, network: Network) -> dict[str, Misfit]:
        """Return the residuals of every condition at points that leave no large gap: narrow pulses lie in gaps."""
        settings, components = self.settings, components_of(network, "jets")
        generator = torch.Generator(settings.device).manual_seed(settings.seed)
        options = {"device": settings.device, "dtype": torch.float64}
        shares = (torch.arange(SCANNED, **options) + torch.rand(SCANNED, generator=generator, **options)) / SCANNED
        x = self.range[0] + self.length * shares[:, None]
        points = Points(x, torch.full_like(shares, 1 / SCANNED))
        return {name: misfit_of(problem, name, components, points, {}) for name in problem.conditions}


def change_at_end(change: Float[Tensor, "order unknowns"], length: float) -> Float[Tensor, " unknowns"]:
    """Return the sum of the changes of a state, those of derivatives as terms of the Taylor series over a length."""
    powers = change.new_tensor([length**k / factorial(k) for k in range(len(change))])
    return (change.abs() * powers[:, None]).sum(dim=0)
