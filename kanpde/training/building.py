"""Untrained networks with what the problem adds to them: singular functions, and inputs besides the coordinates."""

from typing import Any

import torch
from torch import nn

from kanpde.domains.parts import Parts
from kanpde.errors import InputError
from kanpde.models.feature_inputs import FeatureInputs, ranges_of
from kanpde.models.inputs import Inputs
from kanpde.models.network import Network
from kanpde.models.parts import PartNetworks, bound
from kanpde.models.separate import Separate, SeparateNetworks
from kanpde.problem import Problem
from kanpde.residuals.corners import added_functions, features_of
from kanpde.training.settings import Settings


def built(settings: Settings, generator: torch.Generator) -> nn.Module:
    """Return an untrained network from the factory of the settings, or their ready module.

    Raises:
        InputError: singular functions or features are asked for that the network cannot have.
    """
    problem, domain, model = settings.problem, settings.problem.domain, settings.model
    features = features_of(problem)
    if isinstance(model, nn.Module):
        network = bound(model, domain).to(device=settings.device, dtype=settings.dtype)
        if features and not (isinstance(network, Network) and isinstance(network.inputs, FeatureInputs)):
            raise _refused("features", model, "is a ready module, whose inputs are the coordinates alone")
        return with_singular(problem, network, settings)
    if isinstance(domain, Parts):
        if features or problem.singular:
            raise InputError("A domain of Parts has no singular functions and features yet. Leave them out.")
        return PartNetworks([_made(settings, part, (), generator) for part in domain.each]).bound_to(domain)
    return with_singular(problem, _made(settings, domain, features, generator), settings)


def _made(settings: Settings, domain: Any, features: Any, generator: torch.Generator) -> Any:
    """Return an untrained network for a domain or one of its parts."""
    problem, model = settings.problem, settings.model
    ranges = list(domain.ranges)
    if features:
        ranges += ranges_of(features, domain.test_points(settings.device, settings.dtype))
    if isinstance(model, Separate):
        model = model.for_unknowns(problem.unknowns, problem.vectors)
    network = model(
        ranges,
        len(problem.unknowns),
        periodic=domain.periodic,
        generator=generator,
        device=settings.device,
        dtype=settings.dtype,
    )
    if problem.scale and isinstance(network, Network):
        network.scale_outputs(torch.tensor(problem.scale, device=settings.device, dtype=settings.dtype))
    if features:
        if isinstance(network, SeparateNetworks):
            raise _refused("features", settings.model, "makes several networks, and features are inputs of one")
        if not isinstance(network, Network):
            raise _refused("features", settings.model, "makes no network of this package")
        if type(network.inputs) is not Inputs:
            raise _refused("features", settings.model, "has inputs of its own")
        network.inputs = FeatureInputs(ranges, features, domain.periodic, settings.device, settings.dtype)
    return network


def with_singular(problem: Problem, network: nn.Module, settings: Settings) -> nn.Module:
    """Return the network with the singular functions of the problem added."""
    added = added_functions(problem, settings.device, settings.dtype)
    if added is None:
        return network
    if isinstance(network, SeparateNetworks):
        raise _refused("singular", settings.model, "makes several networks, and singular functions belong to one")
    if not isinstance(network, Network):
        raise _refused("singular", network, "is no network of this package")
    if network.singular is None:
        network.singular = added
    elif network.singular.architecture() != added.architecture():
        raise InputError(
            f"The network has the singular functions {', '.join(network.singular.names)}, and the problem others: "
            f"{', '.join(added.names)}. Start from another network."
        )
    return network


def _refused(option: str, model: object, why: str) -> InputError:
    return InputError(
        f"{option} of the problem cannot be added to the model: {type(model).__name__} {why}. Use `KAN()` or `MLP()`, "
        f"or leave {option} out."
    )
