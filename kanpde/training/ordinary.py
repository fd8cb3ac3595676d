"""Initial value problems of ordinary differential equations, and their restriction to a window of time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import factorial

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, coordinate
from kanpde.calculus.jet import Key
from kanpde.calculus.systems import Value
from kanpde.conditions.condition import Condition
from kanpde.domains.box import Box
from kanpde.models.trajectory import Trajectory
from kanpde.problem import Ansatz, Problem
from kanpde.residuals.site import fields_of, residual_values


@dataclass(frozen=True)
class Ordinary:
    """What an initial value problem in time alone consists of.

    Attributes:
        domain: of the problem.
        orders: the highest derivative of every unknown; 0 for one that the equations give algebraically.
        initial: the given value of every unknown, and of its derivatives below that order.
        conditions: those that hold at all times.
    """

    domain: Box
    orders: tuple[int, ...]
    initial: tuple[tuple[Value, ...], ...]
    conditions: Mapping[str, Condition]

    @property
    def times(self) -> tuple[float, float]:
        """The beginning and the end of the interval."""
        return self.domain.ranges[0]

    @property
    def duration(self) -> float:
        return self.times[1] - self.times[0]

    @property
    def order(self) -> int:
        """The highest derivative of all unknowns."""
        return max(self.orders)

    def measure(self, end: float) -> float:
        """Return the measure of the domain up to a time."""
        return end - self.times[0]

    def within(self, window: tuple[float, float]) -> Box:
        """Return the domain restricted to a window of time."""
        return self.domain.restricted(**{self.domain.names[0]: window})

    def nothing(self, device: torch.device) -> Trajectory:
        """Return the solution before the first window."""
        state = self.initial_state(device)
        return Trajectory(self.times[:1], state.new_zeros(0, 1, len(self.orders)), state)

    def initial_state(self, device: torch.device) -> Float[Tensor, "order unknowns"]:
        """Return the given values and derivatives at the beginning; 0 from the order of an unknown on."""
        state = torch.zeros(self.order, len(self.orders), device=device, dtype=torch.float64)
        context = Context(self.domain.names, (), state.new_tensor([[self.times[0]]]))
        for i, values in enumerate(self.initial):
            for k, value in enumerate(values):
                found = value(coordinate(context, 0)) if callable(value) else value
                number = found.value if isinstance(found, Field) else found
                state[k, i] = torch.as_tensor(number, dtype=torch.float64).squeeze()  # of a float it is single else
        return state


def ordinary_of(problem: Problem) -> Ordinary | None:
    """Return the problem as an initial value problem in time alone; None if it is not.

    Every unknown needs its value and its derivatives below the highest one that occurs, at the beginning; all other
    conditions hold at all times.
    """
    domain = problem.domain
    if not isinstance(domain, Box) or domain.space or domain.periodic or domain.family:
        return None
    if problem.ansatz is not None or problem.parameters or problem.features or problem.singular:
        return None
    given: dict[tuple[str, int], Value] = {}
    lasting: dict[str, Condition] = {}
    for name, condition in problem.conditions.items():
        if not domain.has_part(condition.region) or condition.maps or condition.integral is not None:
            return None
        if condition.region.is_interior:
            lasting[name] = condition
            continue
        at_begin = all(dict(piece) == {0: domain.ranges[0][0]} for piece in condition.region.fixed)
        if condition.given is None or not at_begin:
            return None
        for what, value, order in problem.given(name):
            key = what or problem.unknowns[0], order
            if key in given:
                return None
            given[key] = value
    orders = [0] * len(problem.unknowns)
    for name, condition in lasting.items():
        orders = [max(pair) for pair in zip(orders, orders_in(problem, name, condition), strict=True)]
    wanted = [(name, k) for name, order in zip(problem.unknowns, orders, strict=True) for k in range(order)]
    if not any(orders) or sorted(given) != sorted(wanted):
        return None
    initial = tuple(tuple(given[name, k] for k in range(n)) for name, n in zip(problem.unknowns, orders, strict=True))
    return Ordinary(domain, tuple(orders), initial, lasting)


def orders_in(problem: Problem, name: str, condition: Condition) -> list[int]:
    """Return the highest derivative of every unknown in a condition."""
    x = condition.region.sample("uniform", 4).x
    found = [0] * len(problem.unknowns)

    def read(i: int):
        def component(key: Key) -> Tensor:
            found[i] = max(found[i], len(key))
            return torch.linspace(0.1, 0.9, len(x), dtype=x.dtype) + 0.01 * len(key) + 0.1 * i

        return component

    fields = fields_of(problem, Context(problem.domain.names, (), x), read)
    residual_values(name, condition, fields, problem.parameters)
    return found


def on_window(
    problem: Problem, ordinary: Ordinary, window: tuple[float, float], state: Float[Tensor, "order unknowns"]
) -> Problem:
    r"""Return the problem on a window of time, with $u = \sum_{j<m} u^{(j)}(t_k) (t - t_k)^j / j! + s^m N$ as ansatz.

    Here m is the order of the unknown, and $s = (t - t_k) / (t_{k+1} - t_k)$.
    """
    box, (first, last) = ordinary.within(window), window
    conditions = {name: replace(c, region=box.part_like(c.region)) for name, c in ordinary.conditions.items()}

    def built(t: Field, n: Field, i: int) -> Field:
        order, since = ordinary.orders[i], t - first
        u = n if order == 0 else ((since / (last - first)) ** order) * n
        for k in range(order):
            u = u + (float(state[k, i]) / factorial(k)) * (since**k if k else 1.0)
        return u

    def function(coords: tuple[Field, ...], *outputs: Field) -> tuple[Field, ...]:
        return tuple(built(coords[0], n, i) for i, n in enumerate(outputs))

    return replace(problem, domain=box, conditions=conditions, exact=None, ansatz=Ansatz(function, ()))
