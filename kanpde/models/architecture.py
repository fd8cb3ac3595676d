"""Networks from the description of their architecture, which is plain enough for JSON."""

from collections.abc import Mapping
from typing import Any

import torch

import kanpde.models
from kanpde.errors import InputError, suggest
from kanpde.factories import families
from kanpde.models.inputs import Inputs
from kanpde.models.network import Layer, Network, Nodes


def network_from(
    architecture: Mapping[str, Any], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float64
) -> Network:
    """A network with the architecture of another one and with weights of zero, to be given by ``load_state_dict``.

    The two then agree bit for bit in outputs, jets and gradients. No random numbers are drawn.

    Args:
        architecture: as `Network.architecture` gives it.
        device: of the new network.
        dtype: of the new network, which should be that of the weights that it will be given.

    Raises:
        InputError: no file of `kanpde.models` defines a network or layer of that kind.
    """
    ranges = [(lower, upper) for lower, upper in architecture["inputs"]["ranges"]]
    inputs = Inputs(ranges, architecture["inputs"]["periodic"], device, dtype)
    layers = [_kind(Layer, of_layer).from_architecture(of_layer, device, dtype) for of_layer in architecture["layers"]]
    return _kind(Network, architecture)(inputs, layers, [Nodes(**between) for between in architecture["nodes"]])


def _kind(parent: Any, architecture: Mapping[str, Any]) -> Any:
    """The class that an architecture names."""
    known = families(kanpde.models, parent)
    if (name := architecture["kind"]) not in known:
        raise InputError(f'Unknown kind of {parent.__name__.lower()} "{name}". {suggest(name, known)}')
    return known[name]
