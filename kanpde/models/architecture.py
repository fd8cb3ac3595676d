"""Networks from the description of their architecture, which can be stored as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

import kanpde.models
from kanpde.errors import InputError, suggest
from kanpde.factories import families
from kanpde.models.feature_inputs import FeatureInputs
from kanpde.models.functions import Function, function_from
from kanpde.models.inputs import Inputs
from kanpde.models.layer import Layer, Nodes
from kanpde.models.network import Network
from kanpde.models.singular import Singular


def network_from(
    architecture: Mapping[str, Any],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
    functions: Sequence[Function] = (),
) -> Network:
    """Build a network with a given architecture and with all weights zero.

    After ``load_state_dict`` it agrees with the original network bit for bit in outputs, jets and gradients. No random
    numbers are drawn.

    Args:
        architecture: from `Network.architecture`.
        device: of the new network.
        dtype: of the new network; it should be that of the weights to be loaded.
        functions: the network's inputs besides the coordinates, if a file cannot hold them.

    Raises:
        InputError: no file of `kanpde.models` defines a network or layer of that kind, or functions are missing.
    """
    kind = _kind(Network, architecture)
    if hasattr(kind, "from_architecture"):  # not a stack of layers
        return kind.from_architecture(architecture, device, dtype)
    inputs = _inputs(architecture["inputs"], functions, device, dtype)
    layers = [_kind(Layer, of_layer).from_architecture(of_layer, device, dtype) for of_layer in architecture["layers"]]
    network = kind(inputs, layers, [Nodes(**between) for between in architecture["nodes"]])
    if "singular" in architecture:
        network.singular = Singular.from_architecture(architecture["singular"], device, dtype)
    return network


def _inputs(
    architecture: Mapping[str, Any], functions: Sequence[Function], device: torch.device | str, dtype: torch.dtype
) -> Inputs:
    ranges = [(lower, upper) for lower, upper in architecture["ranges"]]
    if "functions" not in architecture:
        return Inputs(ranges, architecture["periodic"], device, dtype)
    stored = architecture["functions"]
    if None in stored:
        if len(functions) != len(stored):
            raise InputError(
                f"The network has {len(stored)} inputs besides the coordinates, functions that a file cannot hold, and "
                f"the problem has {len(functions)}. Give the problem that was solved: load(folder, problem=...)."
            )
        return FeatureInputs(ranges, functions, architecture["periodic"], device, dtype)
    own = [function_from(each) for each in stored]
    return FeatureInputs(ranges, own, architecture["periodic"], device, dtype)


def is_of_package(architecture: Mapping[str, Any] | None) -> bool:
    """Return whether `network_from` can build the network: no part of it is of a user's own class."""
    return architecture is not None and not any("." in kind for kind in _kinds(architecture))


def _kinds(part: Any) -> Iterator[str]:
    """Yield the kinds in an architecture; that of a user's own class is its place, with dots."""
    if isinstance(part, Mapping) and isinstance(part.get("kind"), str):
        yield part["kind"]
    for each in part.values() if isinstance(part, Mapping) else part if isinstance(part, (list, tuple)) else ():
        yield from _kinds(each)


def _kind(parent: Any, architecture: Mapping[str, Any]) -> Any:
    """Return the class that an architecture names."""
    known = families(kanpde.models, parent)
    if (name := architecture["kind"]) not in known:
        raise InputError(f'Unknown kind of {parent.__name__.lower()} "{name}". {suggest(name, known)}')
    return known[name]
