"""Runs that begin with the network of an earlier run, for other parameters or a neighbouring problem.

The network keeps its weights and its grids. A schedule is entered where the grid of the network belongs: in the first
of the phases with the finest grid that is not finer. That phase changes neither grid nor knots; later ones do so as
usual, but no phase makes the grid coarser. With a tolerance, a sum of products begins the levels of
`kanpde.training.separation`, and any other network those of `kanpde.training.tolerance`.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import nn

import kanpde.models
from kanpde.calculus.coefficients import as_coefficients
from kanpde.device import choose_dtype
from kanpde.errors import InputError
from kanpde.factories import class_from, made_from
from kanpde.models.architecture import is_of_package, network_from
from kanpde.models.network import Network, grid_of, is_separable
from kanpde.models.trajectory import Trajectory
from kanpde.models.windows import Windows
from kanpde.paths import RESULT
from kanpde.problem import Problem
from kanpde.solution import Solution
from kanpde.storage.domain_record import coordinates
from kanpde.storage.folders import existing
from kanpde.storage.record import read_file
from kanpde.training.attempts import separates, with_products
from kanpde.training.entering import first_state, new_network
from kanpde.training.fresh import size_of
from kanpde.training.marching import marching
from kanpde.training.settings import Settings
from kanpde.training.state import State
from kanpde.training.surroundings import Surroundings

NONE: Mapping[str, Any] = {"start": None}


@dataclass(frozen=True)
class Start:
    """The network of an earlier run, and what it must share with the new one.

    Attributes:
        name: the folder of the run, or "a Solution".
        network: as the run left it.
        model: the factory that made the first network of that run; the network itself if only its name is known.
        domain: name, range and periodicity of the coordinates.
        unknowns: their names.
        coefficients: of an inverse problem.
        constraints: "soft" or "hard".
        satisfies: conditions that the solution fulfils by construction.
    """

    name: str
    network: Network
    model: Any
    domain: Sequence[Mapping[str, Any]]
    unknowns: Sequence[str]
    coefficients: Mapping[str, float]
    constraints: str
    satisfies: Sequence[str]

    def with_coefficients(self, problem: Problem) -> Problem:
        """Return the problem with these values as first values of the coefficients that have the same names.

        Raises:
            InputError: a value is not within the bounds of its coefficient.
        """
        own = as_coefficients(problem.parameters)
        for name, value in self.coefficients.items():
            if name in own and not own[name].lower < value < own[name].upper:
                raise InputError(
                    f"{self.name} found {name} = {value:.6g}, which is not within the bounds {own[name].lower:g} and "
                    f"{own[name].upper:g} of this run, so that training cannot begin there. Widen the bounds, or start "
                    "from none.",
                    write=NONE,
                )
        known = {name: own[name].at(value) for name, value in self.coefficients.items() if name in own}
        return replace(problem, parameters={**own, **known})

    def check(self, settings: Settings) -> None:
        """Require that the network fits the new run.

        Raises:
            InputError: coordinates, number of unknowns, or conditions built in differ, or the run is solved in windows.
        """
        problem = settings.problem
        here = coordinates(problem.domain)
        if list(self.domain) != here:
            raise InputError(
                f"The network of {self.name} is a function on {_ranges(self.domain)}; the problem needs one on "
                f"{_ranges(here)}. Start from a run with equal coordinates and ranges, or from none.",
                write=NONE,
            )
        if len(self.unknowns) != len(problem.unknowns):
            raise InputError(
                f"The network of {self.name} has {len(self.unknowns)} unknowns ({', '.join(self.unknowns)}); the "
                f"problem has {len(problem.unknowns)} ({', '.join(problem.unknowns)}). Start from a run with as many, "
                "or from none.",
                write=NONE,
            )
        satisfies = problem.ansatz.satisfies if problem.ansatz else ()
        if (self.constraints, set(self.satisfies)) != (settings.constraints, set(satisfies)):
            is_other = self.constraints != settings.constraints
            raise InputError(
                f'{self.name} has constraints "{self.constraints}" (built in: {_listed(self.satisfies)}) and this run '
                f'"{settings.constraints}" (built in: {_listed(satisfies)}). With other conditions built in, the '
                "network is another part of the solution.",
                write={"constraints": self.constraints} if is_other else NONE,
                instead=NONE if is_other else None,
            )
        if marching(settings) is not None:
            raise InputError(
                "With a tolerance this problem is solved in windows of time, each of which starts from the state that "
                "the one before it has reached; another network to start from is of no use there.",
                write=NONE,
                instead={"tolerance": None},
            )


def _ranges(domain: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(
        f"{each['name']} in ({each['lower']:g}, {each['upper']:g}){', periodic' * bool(each['periodic'])}"
        for each in domain
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def start_from(given: str | Path | Solution, model: Any = None) -> Start:
    """Return the network of an earlier run.

    Args:
        given: the folder of the run, or its solution.
        model: must be None, because the run determines the network.

    Raises:
        InputError: the folder holds no result, or no network that a run can start from.
    """
    if model is not None:
        raise InputError(
            f"start gives the network, and model another one ({type(model).__name__}).", write={"model": None}
        )
    if isinstance(given, Solution):
        problem = given.problem
        facts = coordinates(problem.domain), problem.unknowns, given.coefficients
        return _start("a Solution", given.model, given.settings, problem.ansatz is not None, *facts)
    record = read_file(existing(given) / RESULT)
    coefficients = {row["name"]: row["value"] for row in record["coefficients"]}
    facts = record["domain"], record["unknowns"], coefficients
    return _start(str(given), _stored_network(record), record["settings"], record["has_ansatz"], *facts)


def _stored_network(record: Mapping[str, Any]) -> Network | None:
    """Return the network of a result file; None if only its weights are stored."""
    if not is_of_package(record["architecture"]):
        return None
    network = network_from(record["architecture"], "cpu", choose_dtype(record["settings"]["dtype"]))
    network.load_state_dict({key: torch.as_tensor(value) for key, value in record["state"].items()})
    return network


def _start(
    name: str,
    network: nn.Module | None,
    settings: Mapping[str, Any],
    has_ansatz: bool,
    domain: Sequence[Mapping[str, Any]],
    unknowns: Sequence[str],
    coefficients: Mapping[str, float],
) -> Start:
    if not isinstance(network, Network) or not is_of_package(network.architecture()):
        raise InputError(
            f"{name} has a {settings['model']['name']}, which is not a network of this package or was stored by an "
            "early version. Go on with the module itself: solve(problem, solution.model).",
            write=NONE,
        )
    if isinstance(network, (Windows, Trajectory)):
        raise InputError(
            f"{name} holds a solution in windows of time, each of which starts from the state that the one before it "
            "has reached; no run can start from all of them. Start from a run without a tolerance, or from none.",
            write=NONE,
        )
    is_known = class_from(settings["model"], kanpde.models) is not None
    model = made_from(settings["model"], kanpde.models, "model") if is_known else network
    unnamed = ["conditions that the file does not name"] if has_ansatz else []
    constraints, satisfies = settings.get("constraints", "soft"), settings.get("satisfies", unnamed)
    return Start(name, network, model, domain, unknowns, coefficients, constraints, satisfies)


def started_state(settings: Settings, start: Start, around: Surroundings) -> State:
    """Return the initial state of a run with a copy of the network.

    Raises:
        InputError: the network does not fit (`Start.check`).
    """
    start.check(settings)
    is_product = is_separable(start.network) and separates(settings)
    chosen = with_products(settings) if is_product else settings
    state = first_state(replace(chosen, model=deepcopy(start.network)))
    grid, where = grid_of(state.network), ""
    if grid is not None:
        state = entered(state, grid_of(new_network(chosen, torch.Generator(settings.device))[0]) or grid, grid)
        where = f", grid {grid}"
        if settings.tolerance is None and len(state.plan) > 1:
            where += f"; the schedule begins with phase {state.phase + 1} of {len(state.plan)}"
    known = state.named_coefficients(settings.problem)
    taken = [f"{name} = {known[name]:g}" for name in start.coefficients if name in known]
    around.log(f"start from {start.name}: {', '.join([f'{size_of(state.network)} parameters', *taken])}{where}")
    return state


def entered(state: State, first: int, grid: int) -> State:
    """Return the state in the phase of the schedule to which the grid of its network belongs.

    Args:
        state: before the first phase.
        first: the grid with which a new network would begin the schedule.
        grid: of the state's network.
    """
    planned = list(accumulate(state.plan, lambda cells, phase: phase.next_grid(cells), initial=first))[1:]
    coarser = [cells for cells in planned if cells <= grid]
    number = planned.index(max(coarser)) if coarser else 0
    phase = state.plan[number]
    if planned[number] <= grid:
        phase = replace(phase, refine=None, move_knots=False)
    return replace(state, phase=number, plan=(*state.plan[:number], phase, *state.plan[number + 1 :]))
