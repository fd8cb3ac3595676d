"""Problems of evolution, and their restriction to a window of time that begins with a given state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field, coordinate
from kanpde.calculus.jet import JetSpace, Key
from kanpde.calculus.systems import Value
from kanpde.conditions.condition import Condition
from kanpde.domains import Points
from kanpde.domains.box import Box
from kanpde.domains.rules import TENSOR_RULES
from kanpde.models.network import Network
from kanpde.models.windows import Windows, base_jet, orders_of, points_at, state_of
from kanpde.problem import Ansatz, Problem
from kanpde.residuals.site import site_of


@dataclass(frozen=True)
class Evolution:
    """What an initial value problem in one coordinate and time consists of.

    Attributes:
        domain: of the problem.
        axis: position of the spatial coordinate.
        order: m, of the equations in time.
        most: highest derivative in space of the state that the conditions need.
        initial: the given values and, for m = 2, rates of every unknown.
        conditions: those that hold at all times.
    """

    domain: Box
    axis: int
    order: int
    most: int
    initial: tuple[tuple[Value, ...], ...]
    conditions: Mapping[str, Condition]

    @property
    def times(self) -> tuple[float, float]:
        """The beginning and the end of the interval."""
        return self.domain.ranges[1 - self.axis]

    @property
    def duration(self) -> float:
        return self.times[1] - self.times[0]

    @property
    def space(self) -> tuple[float, float]:
        """The ends of the range of x."""
        return self.domain.ranges[self.axis]

    @property
    def width(self) -> float:
        return self.space[1] - self.space[0]

    @property
    def wraps(self) -> bool:
        """Whether x is periodic."""
        return self.axis in self.domain.periodic

    def measure(self, end: float) -> float:
        """Return the measure of the domain up to a time."""
        return (end - self.times[0]) * self.width

    def within(self, window: tuple[float, float]) -> Box:
        """Return the domain restricted to a window of time."""
        return self.domain.restricted(**{self.domain.names[1 - self.axis]: window})

    def nothing(self, device: torch.device) -> Windows:
        """Return the solution before the first window, which has no tensors for a device."""
        return Windows(self.order, self.axis, self.times[:1])


def evolution_of(problem: Problem) -> Evolution | None:
    """Return the problem as one of evolution; None if it is not.

    It is one if its domain is a `Box` of one coordinate and time, every unknown has initial values and rates up to the
    order of the equations, at most 2, and all other conditions hold at all times.
    """
    domain = problem.domain
    if not isinstance(domain, Box) or domain.time is None or len(domain.names) != 2 or domain.time in domain.periodic:
        return None
    if not domain.space:  # the other coordinate is a parameter of a family
        return None
    if problem.ansatz is not None or problem.parameters or problem.features or problem.singular:
        return None
    time, axis = domain.time, domain.space[0]
    given: dict[tuple[int, str], Value] = {}
    lasting: dict[str, Condition] = {}
    for name, condition in problem.conditions.items():
        if not domain.has_part(condition.region):
            return None
        fixed = [time in piece for piece in condition.region.fixed]
        if not any(fixed):
            lasting[name] = condition
            continue
        at_begin = all(dict(piece) == {time: domain.ranges[time][0]} for piece in condition.region.fixed)
        if condition.given is None or not at_begin:
            return None
        for what, value, order in problem.given(name):
            key = order, what or problem.unknowns[0]
            if key in given:
                return None
            given[key] = value
    generator = torch.Generator().manual_seed(0)
    in_x, in_t = 1, 0
    for name, condition in lasting.items():
        points = condition.region.sample("uniform", 4, generator)
        if any(not torch.equal(move(points.x)[:, time], points.x[:, time]) for move in condition.maps):
            return None
        keys = [orders_of(key, axis) for key in site_of(problem, name, points).space.keys]
        in_x = max([in_x, *(x for x, _ in keys)])
        in_t = max([in_t, *(t for _, t in keys)])
    wanted = [[(order, name) for name in problem.unknowns] for order in range(in_t)]
    if in_t not in (1, 2) or sorted(given) != sorted(each for of_order in wanted for each in of_order):
        return None
    initial = tuple(tuple(given[each] for each in of_order) for of_order in wanted)
    return Evolution(domain, axis, in_t, in_x, initial, lasting)


def initial_values(evolution: Evolution, x: Float[Tensor, " points"]) -> Float[Tensor, "order points unknowns"]:
    """Return the given values and rates at the beginning."""
    domain, axis = evolution.domain, evolution.axis
    context = Context(domain.names, domain.space, points_at(x, evolution.times[0], axis))
    coords = [coordinate(context, i) for i in range(2)]

    def values(value: Value) -> Tensor:
        found = value(*coords) if callable(value) else value
        found = found.value if isinstance(found, Field) else found
        return torch.as_tensor(found, device=x.device, dtype=x.dtype).expand(len(x))

    return torch.stack([torch.stack([values(v) for v in of_order], dim=1) for of_order in evolution.initial])


def on_window(problem: Problem, evolution: Evolution, window: tuple[float, float], begin: Network) -> Problem:
    """Return the problem on a window of time, with u = p + s^m N or p + (t - t_k) q + s^m N as ansatz.

    The formulas are those of `kanpde.models.windows`; ``begin`` has p and q as outputs.
    """
    axis, order, (first, last) = evolution.axis, evolution.order, window
    box = evolution.within(window)
    conditions = {name: replace(c, region=box.part_like(c.region)) for name, c in evolution.conditions.items()}
    own = object()

    def function(coords: tuple[Field, ...], *outputs: Field) -> tuple[Any, ...]:
        context = outputs[0].context
        if own not in context.known:
            s = (coords[1 - axis] - first) / (last - first)
            state = state_of(begin, context.x[:, axis], evolution.most, order, axis)
            context.known[own] = _base(context, state, first, axis), s if order == 1 else s * s
        base, weight = context.known[own]
        return tuple(p + weight * n for p, n in zip(base, outputs, strict=True))

    return replace(problem, domain=box, conditions=conditions, exact=None, ansatz=Ansatz(function, ()))


def _base(context: Context, state: Tensor, begin: float, axis: int) -> list[Field]:
    """Return $p + (t - t_k) q$ as one field for every unknown."""

    def field(i: int) -> Field:
        def component(key: Key) -> Tensor | float:
            if orders_of(key, axis)[1] >= len(state):
                return 0.0
            return base_jet(state, context.x, JetSpace((key,), (axis,)), begin, axis)[0, :, i]

        return Field(context, component)

    return [field(i) for i in range(state.shape[3])]


def window_points(
    box: Box, axis: int, conditions: Mapping[str, Condition], ends: Float[Tensor, " ends"], along: tuple[int, int]
) -> dict[str, Points]:
    """Return Gauss points: in the interior ``along`` of them for every cell in x, and over the window in time.

    Args:
        box: the window.
        axis: position of x.
        conditions: of the window.
        ends: of the cells in x.
        along: number of points in x and in time.
    """
    inside, count = interior_points(box, axis, ends, along), along[1]

    def drawn(condition: Condition) -> Points:
        if condition.region.is_interior:
            return inside
        return condition.region.sample("gauss", condition.region.pieces * count, None, ends.device, ends.dtype)

    return {name: drawn(condition) for name, condition in conditions.items()}


def interior_points(box: Box, axis: int, ends: Float[Tensor, " ends"], along: tuple[int, int]) -> Points:
    """Return the Gauss points of the interior, whose weights sum to 1."""
    (x, in_x), (t, in_t) = gauss(ends, along[0]), gauss(ends.new_tensor(box.ranges[1 - axis]), along[1])
    return Points(points_at(x.repeat_interleave(len(t)), t.repeat(len(x)), axis), (in_x[:, None] * in_t).flatten())


def gauss(ends: Float[Tensor, " ends"], along: int) -> tuple[Tensor, Tensor]:
    """Return Gauss points on every cell, and their weights, which sum to 1."""
    unit, weight = (
        torch.as_tensor(each, device=ends.device, dtype=ends.dtype) for each in TENSOR_RULES["gauss"](along)
    )
    width = ends.diff()
    x = (ends[:-1, None] + width[:, None] * unit).flatten()
    return x, (width[:, None] * weight).flatten() / width.sum()
