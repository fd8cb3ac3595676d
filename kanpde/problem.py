r"""Problems: conditions on regions of a domain, the unknowns, and what else is known of the solution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from torch import Tensor

from kanpde.calculus.coefficients import as_coefficients
from kanpde.calculus.systems import Given, Grouped, Unknowns, check_vectors
from kanpde.conditions.condition import Condition
from kanpde.domains import Domain, Points
from kanpde.domains.corners import Corner
from kanpde.domains.parts import Parts
from kanpde.errors import Code, InputError, suggest


@dataclass(frozen=True)
class Ansatz:
    """Hard constraints: ``function(coords, N)`` builds the unknown from the network's output N (a field).

    With several unknowns it is called ``function(coords, N_1, N_2, ...)`` and returns a tuple. The conditions named in
    ``satisfies`` hold by construction; they are checked once and left out of training.
    """

    function: Callable[..., Any]
    satisfies: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Problem:
    """A problem to be solved.

    Args:
        domain: a `Box`, or any object that implements `kanpde.domains.Domain`.
        conditions: by name; losses, weights and plots use the same names. On a domain of `Parts` a condition "pde" on
            its whole ``interior`` becomes "pde NAME" for the part NAME, and so on.
        unknowns: names of the unknowns, in the order of the network's outputs. "velocity:2" is a vector of two
            unknowns, velocity_x and velocity_y, which residuals get as one `Vector`; "velocity:u,v" has the unknowns u
            and v.
        parameters: unknown coefficients of an inverse problem with their initial values, numbers or `Coefficient` with
            bounds; residuals then have a last argument with the present values by name, ``p["k"]``.
        exact: the exact solution, if known, as a function of the coordinates; used only for errors, never for
            training. With several unknowns it returns a tuple, flat or with a tuple for every vector.
        measures: further measures of the errors by name, functions of the unknowns found and of those wanted, each
            (points, unknowns), such as the accuracy of a classification.
        test: measured points with the unknowns as their data, if there is no exact solution; used only for errors.
        ansatz: hard constraints.
        scale: typical sizes of the unknowns, such as (1.0, 1e-4), by which the untrained network is multiplied; 1 for
            all by default. Training from 1 does not find unknowns that are many orders of magnitude smaller.
        vectors: name -> two or three unknowns that are the components of a vector along the first coordinates in space,
            such as {"displacement": ("ux", "uy")}; stored as one vector, by which ParaView warps, and drawn as arrows,
            while residuals get scalars. Vector unknowns are added.
        singular: corners of a plane domain at which singular functions with trained coefficients are added to the
            network.
        features: functions of the coordinates that the network has as inputs besides the coordinates, such as
            ``lambda x, y: torch.exp(-x)``; they take fields and are differentiated with all their derivatives. A
            `Corner` stands for its singular functions.
    """

    domain: Domain
    conditions: Mapping[str, Condition]
    unknowns: tuple[str, ...] = ("u",)
    parameters: Mapping[str, float] = field(default_factory=dict)
    exact: Callable[..., Any] | None = None
    test: Points | None = None
    measures: Mapping[str, Callable[[Tensor, Tensor], float]] = field(default_factory=dict)
    ansatz: Ansatz | None = None
    scale: tuple[float, ...] = ()
    vectors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    singular: tuple[Corner, ...] = ()
    features: tuple[Callable[..., Any] | Corner, ...] = ()

    def __post_init__(self):
        _check_arguments(self)
        unknowns = Unknowns.read(self.unknowns, [self.domain.names[i] for i in self.domain.space])
        object.__setattr__(self, "unknowns", unknowns)
        object.__setattr__(self, "vectors", {**unknowns.vectors, **self.vectors})
        object.__setattr__(self, "parameters", as_coefficients(self.parameters))
        if isinstance(self.domain, Parts):
            object.__setattr__(self, "conditions", _by_part(self.domain, self.conditions))
        check_vectors(self.vectors, self.unknowns, least=2)
        if unknowns.vectors:
            layout = unknowns.layout
            object.__setattr__(self, "conditions", {n: _grouped(c, layout) for n, c in self.conditions.items()})
        sizes = self.scale if isinstance(self.scale, Sequence) else (0.0,)
        if sizes and (len(sizes) != len(self.unknowns) or not all(0 < size < inf for size in sizes)):
            raise InputError(
                f"scale must have a positive size for each of {', '.join(self.unknowns)}, got {self.scale}.",
                write={"scale": (1.0,) * len(self.unknowns)},
            )
        if self.test is not None:
            shape = None if self.test.data is None else tuple(self.test.data.shape)
            expected = len(self.test.x), len(self.unknowns)
            if shape != expected:
                raise InputError(
                    f"test has data of the shape {shape}; expected {expected}, one column for each of "
                    f"{', '.join(self.unknowns)}."
                )
        if self.ansatz is not None:
            for name in self.ansatz.satisfies:
                if name not in self.conditions:
                    raise InputError(
                        f'The ansatz satisfies "{name}", which is not a condition. {suggest(name, self.conditions)}'
                    )

    def __repr__(self) -> str:
        """Return domain, unknowns and the names of the conditions in short; functions say nothing in print."""
        given = {"parameters": dict(self.parameters), "scale": self.scale, "singular": self.singular}
        added = "".join(f", {name}={value}" for name, value in given.items() if value)
        return f"Problem({self.domain}, [{', '.join(self.conditions)}], unknowns={tuple(self.unknowns)}{added})"

    @property
    def is_fit(self) -> bool:
        """Whether all trained conditions hold at measured points, so that there is no equation."""
        return bool(self.trained) and all(c.region.is_measured for c in self.trained.values())

    def noise(self, weights: Mapping[str, float]) -> float:
        """Return the loss that only the errors of the measured values leave.

        It is 0 if they are not known, and for coefficients, whose most probable values are at the least loss.
        """
        noise = {name: c.noise for name, c in self.trained.items() if c.region.is_measured}
        is_known = not self.parameters and all(noise.values())
        return sum(weights[name] * each for name, each in noise.items()) if is_known else 0.0

    def given(self, name: str) -> tuple[Given, ...]:
        """Return what a condition prescribes of the unknowns, by component; () if that is not known."""
        given = self.conditions[name].given
        if given is None:
            return ()
        given = given._replace(unknown=given.unknown or self._names.layout[0][0])
        members = self.vector_unknowns.get(given.unknown or "")
        return given.by_component(members) if members else (given,)

    @property
    def _names(self) -> Unknowns:
        return Unknowns.read(self.unknowns, ())

    @property
    def vector_unknowns(self) -> Mapping[str, tuple[str, ...]]:
        """The components of the unknowns that residuals get as one `Vector`."""
        return self._names.vectors

    @property
    def trained(self) -> dict[str, Condition]:
        """The conditions that are trained: all except those that the ansatz satisfies."""
        hard = self.ansatz.satisfies if self.ansatz else ()
        return {name: c for name, c in self.conditions.items() if name not in hard}


def _check_arguments(problem: Problem) -> None:
    """Refuse arguments of a wrong kind, which would fail much later with a message about something else.

    Raises:
        InputError: an argument is no domain, no mapping of conditions, no function, ...
    """
    if isinstance(problem.domain, type) or not hasattr(problem.domain, "names"):
        raise InputError(
            f"The first argument of a Problem is its domain, got {problem.domain!r}.",
            write={"domain": Code("Box(x=(0.0, 1.0), y=(0.0, 1.0))")},
        )
    conditions = problem.conditions
    example = {"conditions": Code('{"pde": Condition(domain.interior, residual)}')}
    if not isinstance(conditions, Mapping):
        came = "a function" if callable(conditions) else f"a {type(conditions).__name__}"
        raise InputError(f"conditions must be a dictionary of conditions by name, got {came}.", write=example)
    for name, condition in conditions.items():
        if not isinstance(condition, Condition):
            came = "a function" if callable(condition) else f"a {type(condition).__name__}"
            raise InputError(f'"{name}" must be a Condition on a region of the domain, got {came}.', write=example)
    if not isinstance(problem.parameters, Mapping):
        raise InputError(
            f"parameters must be a dictionary of first values by name, got {problem.parameters!r}.",
            write={"parameters": {"k": 1.0}},
        )
    if problem.exact is not None and not callable(problem.exact):
        coords = ", ".join(problem.domain.names)
        raise InputError(
            f"exact must be a function of the coordinates, got {problem.exact!r}.",
            write={"exact": Code(f"lambda {coords}: 0 * {problem.domain.names[0]}")},
        )
    if problem.ansatz is not None and not isinstance(problem.ansatz, Ansatz):
        raise InputError(
            f"ansatz must be an Ansatz, got {problem.ansatz!r}.",
            write={"ansatz": Code('Ansatz(function, satisfies=("boundary",))')},
        )
    if not isinstance(problem.singular, tuple) or not all(isinstance(each, Corner) for each in problem.singular):
        raise InputError(
            f"singular must be a tuple of corners, got {problem.singular!r}.",
            write={"singular": Code("(Corner(at=(0.0, 0.0)),)")},
        )
    features = problem.features
    if not isinstance(features, tuple) or not all(callable(each) or isinstance(each, Corner) for each in features):
        raise InputError(
            f"features must be a tuple of functions of the coordinates and of corners, got {features!r}.",
            write={"features": Code("(lambda x, y: x * y,)")},
        )


def _grouped(condition: Condition, layout: tuple[tuple[str, int], ...]) -> Condition:
    """Return the condition with a residual of all unknowns one by one."""
    is_done = isinstance(condition.residual, Grouped)
    return condition if is_done else replace(condition, residual=Grouped(condition.residual, layout))


def _by_part(domain: Parts, conditions: Mapping[str, Condition]) -> dict[str, Condition]:
    """Return the conditions with the parts that they are about; an equation on all parts becomes one for each.

    Every equation then has a weight of its own, which coefficients of different sizes need.
    """
    found: dict[str, Condition] = {}
    for name, condition in conditions.items():
        region = domain.of_condition(name, condition.region)
        if region.is_interior and region.share is None and not region.sides:
            parts = {f"{name} {part}": domain.on(part, each.interior) for part, each in domain.by_name.items()}
        else:
            parts = {name: region}
        for key, each in parts.items():
            if key in found or (key != name and key in conditions):
                raise InputError(
                    f'Condition "{name}" on all parts becomes "{key}" in one of them, and there is a condition of that '
                    "name. Choose another name for one of both."
                )
            found[key] = replace(condition, region=each)
    return found
