"""Conversion of a state to the tensors and plain values of a checkpoint, and back."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from kanpde.domains import Points
from kanpde.domains.cells import Cells
from kanpde.ends import End, Ending
from kanpde.errors import InputError
from kanpde.models.architecture import is_of_package, network_from
from kanpde.models.network import Network
from kanpde.models.parts import bound
from kanpde.residuals.corners import features_of
from kanpde.training.entering import new_network
from kanpde.training.settings import Settings, phase_data, phase_from
from kanpde.training.state import NOT_TRAINED, Assessed, Candidate, Leg, March, State

Data = dict[str, Any]


def to_data(state: State) -> Data:
    """Return a copy of the whole state as tensors and plain values."""
    return {
        "network": _network_data(state.network),
        "coefficients": _copy(state.coefficients),
        "generator": state.generator.get_state(),
        "generator_device": state.generator.device.type,
        "plan": [phase_data(phase) for phase in state.plan],
        "phase": state.phase,
        "start": state.start,
        "cells": {name: asdict(cells) for name, cells in state.cells.items()},
        "before": None if state.before is None else asdict(state.before),
        "march": None if state.march is None else _march_data(state.march),
        "finer": None if state.finer is None else _network_data(state.finer),
        "rival": None if state.rival is None else to_data(state.rival),
        "leg": None if state.leg is None else _leg_data(state.leg),
        "best": None if state.best is None else _candidate_data(state.best),
        "used": deepcopy(dict(state.used)),
        "history": _table_data(state.history),
        "levels": [dict(level) for level in state.levels],
        "seconds": state.seconds,
        "watching": state.watching,
        "error": state.error,
        "ending": _ending_data(state.ending),
    }


def from_data(data: Data, settings: Settings) -> State:
    """Return the state, on the device of the settings.

    The generator's state is restored if the device is of the same kind; otherwise the generator is new.
    """
    data, network_of = _moved(data, settings.device), partial(_network, settings)
    generator = torch.Generator(device=settings.device)
    if data["generator_device"] == settings.device.type:
        generator.set_state(data["generator"].cpu())
    else:
        generator.manual_seed(settings.seed + 1)
    return State(
        network=network_of(data["network"]),
        coefficients=_parameter(data["coefficients"]),
        generator=generator,
        plan=tuple(settings.phases if settings.tolerance is None else map(phase_from, data["plan"])),
        phase=data["phase"],
        start=data["start"],
        leg=None if data["leg"] is None else _leg(data["leg"], network_of),
        best=None if data["best"] is None else _candidate(data["best"], network_of),
        cells={name: Cells(**each) for name, each in data.get("cells", {}).items()},
        before=None if data.get("before") is None else Assessed(**data["before"]),
        march=None if data.get("march") is None else _march(data["march"], network_of),
        finer=None if data.get("finer") is None else network_of(data["finer"]),
        rival=None if data.get("rival") is None else from_data(data["rival"], settings),
        used=data["used"],
        history=_table(data["history"]),
        levels=tuple(data["levels"]),
        seconds=data["seconds"],
        watching=data["watching"],
        error=data["error"],
        ending=_ending(data.get("ending")) or NOT_TRAINED,
    )


# parts ---------------------------------------------------------------------------------------------------------------
def _leg_data(leg: Leg) -> Data:
    return {
        "points": {name: asdict(points) for name, points in leg.points.items()},
        "weights": dict(leg.weights),
        "began": leg.began,
        "before": None if leg.before is None else _candidate_data(leg.before),
        "good": _copy(leg.good),
        "step": leg.step,
        "methods": list(leg.methods),
        "optimizer": leg.optimizer,
        "loss": leg.loss,
        "valid": None if leg.valid is None else [leg.valid[0], _copy(leg.valid[1]), leg.valid[2]],
        "ending": _ending_data(leg.ending),
    }


def _leg(data: Data, network_of: Callable[[Data], nn.Module]) -> Leg:
    others = {key: data[key] for key in ("weights", "began", "good", "step", "optimizer", "loss")}
    return Leg(
        points={name: Points(**each) for name, each in data["points"].items()},
        before=None if data["before"] is None else _candidate(data["before"], network_of),
        methods=tuple(data["methods"]),
        valid=None if data.get("valid") is None else tuple(data["valid"]),
        ending=_ending(data["ending"]),
        **others,
    )


def _march_data(march: March) -> Data:
    others = {each.name: getattr(march, each.name) for each in fields(March)}
    complete = None if march.complete is None else _candidate_data(march.complete)
    networks = {name: _network_data(others[name]) for name in ("done", "finer")}
    return {**others, **networks, "complete": complete}


def _march(data: Data, network_of: Callable[[Data], nn.Module]) -> March:
    complete = None if data["complete"] is None else _candidate(data["complete"], network_of)
    networks = {name: network_of(data[name]) for name in ("done", "finer")}
    return March(**{**data, **networks, "complete": complete})


def _candidate_data(candidate: Candidate) -> Data:
    return {
        "network": _network_data(candidate.network),
        "coefficients": _copy(candidate.coefficients),
        "level": dict(candidate.level),
        "ending": _ending_data(candidate.ending),
        "fresh": candidate.fresh,
        "finer": None if candidate.finer is None else _network_data(candidate.finer),
    }


def _candidate(data: Data, network_of: Callable[[Data], nn.Module]) -> Candidate:
    return Candidate(
        network=network_of(data["network"]),
        coefficients=_parameter(data["coefficients"]),
        level=data["level"],
        ending=_ending(data["ending"]),
        fresh=data["fresh"],
        finer=None if data.get("finer") is None else network_of(data["finer"]),
    )


def _network_data(network: nn.Module) -> Data:
    architecture = network.architecture() if isinstance(network, Network) else None
    return {"architecture": architecture, "tensors": {k: _copy(v) for k, v in network.state_dict().items()}}


def _network(settings: Settings, data: Data) -> nn.Module:
    """Return the network at its stored size, or a copy of the user's own one, with the stored tensors."""
    if is_of_package(data["architecture"]):
        functions = features_of(settings.problem)
        network: nn.Module = network_from(data["architecture"], settings.device, settings.dtype, functions)
        network = bound(network, settings.problem.domain)
    else:
        network = deepcopy(new_network(settings, torch.Generator(settings.device))[0])
    try:
        network.load_state_dict(data["tensors"])
    except (RuntimeError, ValueError) as error:
        raise InputError(f"The stored weights do not fit the model: {error}. Give the one that was trained.") from None
    return network


def _ending_data(ending: Ending | None) -> list[str] | None:
    return None if ending is None else [ending.end.name, ending.detail]


def _ending(data: list[str] | None) -> Ending | None:
    return None if data is None else Ending(End[data[0]], data[1])


def _table_data(rows: list[dict[str, float]]) -> Data:
    """Return the rows as columns, which are written a hundred times faster; integers stay integers."""
    columns = {key: [row[key] for row in rows] for key in (rows[0] if rows else ())}
    whole = {key: all(isinstance(value, int) for value in values) for key, values in columns.items()}
    return {k: torch.tensor(v, dtype=torch.int64 if whole[k] else torch.float64) for k, v in columns.items()}


def _table(data: Mapping[str, Tensor]) -> list[dict[str, float]]:
    columns = {key: values.tolist() for key, values in data.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()


def _moved(value: Any, device: torch.device) -> Any:
    """Move all tensors in a nested value to the device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _moved(v, device) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(v, device) for v in value)
    return value


def _parameter(tensor: Tensor | None) -> nn.Parameter | None:
    return None if tensor is None else nn.Parameter(tensor)
