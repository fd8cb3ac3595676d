"""The functions on the edges of a network, sampled over the ranges that their inputs reach, and the nodes' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.errors import InputError
from kanpde.models.layer import Nodes
from kanpde.models.network import Network
from kanpde.models.several import require_one_network
from kanpde.solution import Solution

SAMPLES, CURVE = 2000, 100
Edge = tuple[int, int, int]  # layer, input, output, each from 0
Labels = Mapping[Edge, str]


@dataclass(frozen=True)
class EdgeFunctions:
    """The functions of one layer.

    ``x`` (CURVE, d_in) covers the range that the layer's inputs reach on the test points, in the units of the
    coordinates in the first layer; ``y`` (CURVE, d_in, d_out) are the function values there. ``strength`` (d_in, d_out)
    are the standard deviations over the test points. ``inputs`` and ``outputs`` are names.
    """

    x: NDArray
    y: NDArray
    strength: NDArray
    inputs: list[str]
    outputs: list[str]

    @property
    def shares(self) -> NDArray:
        """The strengths relative to the largest of the layer, (d_in, d_out)."""
        return self.strength / self.strength.max(initial=np.finfo(float).tiny, where=np.isfinite(self.strength))

    def exists(self, i: int, o: int) -> bool:
        """Return whether there is an edge: its function is not zero everywhere."""
        return bool(self.y[:, i, o].any())

    @property
    def count(self) -> int:
        """The number of edges that exist."""
        return int(self.y.any(axis=0).sum())

    def title(self, layer: int, i: int, o: int) -> str:
        """Return which nodes an edge joins; ``layer`` counts from 0, its name from 1."""
        return f"{self.inputs[i]} → {self.outputs[o]} (layer {layer + 1})"


def has_edge_functions(solution: Solution) -> bool:
    """Return whether all layers of the solution's network consist of functions of one input each."""
    return isinstance(solution.model, Network) and solution.model.has_edges


@torch.no_grad()
def edge_functions(solution: Solution) -> tuple[Network, list[EdgeFunctions]]:
    """Return the network of a solution and the functions of its layers.

    Raises:
        InputError: the solution is not one network with functions on its edges.
    """
    model = solution.model
    require_one_network(model, "A picture of edges")
    if not isinstance(model, Network) or not model.has_edges:
        raise InputError(
            f"The edges of a {type(model).__name__} of layers without learned functions cannot be drawn; expected a "
            "network all of whose layers have functions of one input each, and grids: a KAN, SplineMLP or SPIKAN.",
            advice="Solve with `KAN(...)`, without a tolerance where that divides time into windows.",
        )
    like = next(model.parameters())
    points = solution.problem.domain.test_points(like.device, like.dtype)
    values = model.inputs(points[:: max(1, len(points) // SAMPLES)])
    found = []
    for k, (layer, (inputs, outputs)) in enumerate(zip(model.layers, _names(solution, model), strict=True)):
        reached = layer.edges(values)
        share = torch.linspace(0, 1, CURVE, dtype=values.dtype, device=values.device)[:, None]
        lower, upper = values.min(dim=0).values, values.max(dim=0).values
        x = lower + share * (upper - lower)
        y, strength = layer.edges(x), reached.std(dim=0)
        drawn, y, strength = (a.double().cpu().numpy() for a in (_in_units(x, model) if k == 0 else x, y, strength))
        found.append(EdgeFunctions(drawn, y, strength, inputs, outputs))
        values = layer(values)
        if k < len(model.nodes):
            values = model.nodes[k].values(values)
    return model, found


def _in_units(x: torch.Tensor, model: Network) -> torch.Tensor:
    """Return inputs of the first layer in the units of the coordinates; sines and cosines are unchanged."""
    columns, inputs = [], model.inputs
    for i, (lower, upper) in enumerate(zip(inputs.lower, inputs.upper, strict=True)):
        taken = x[:, len(columns) : len(columns) + (2 if i in inputs.periodic else 1)].unbind(1)
        columns += taken if i in inputs.periodic else [lower + 0.5 * (upper - lower) * (taken[0] + 1)]
    return torch.stack(columns, dim=1)


def _names(solution: Solution, model: Network) -> list[tuple[list[str], list[str]]]:
    """Return the names of the inputs and outputs of every layer."""
    inputs: list[str] = []
    for i, name in enumerate(solution.problem.domain.names):
        inputs += [f"sin ω{name}", f"cos ω{name}"] if i in model.inputs.periodic else [name]
    inputs += model.inputs.extra
    found = []
    for k, nodes in enumerate(model.nodes, start=1):
        prefix = "h" if len(model.nodes) == 1 else f"h{k}."
        names = [f"{prefix}{i + 1}" for i in range(nodes.inputs)]
        factors = [f"{name} factor {j + 1}" for name in names[nodes.sums :] for j in range(nodes.arity)]
        found.append((inputs, [*names[: nodes.sums], *factors]))
        inputs = names
    return [*found, (inputs, list(solution.problem.unknowns))]


def parts_of(nodes: Nodes, i: int) -> list[int]:
    """Return the outputs of the preceding layer that form input i of the following layer."""
    if i < nodes.sums:
        return [i]
    first = nodes.sums + (i - nodes.sums) * nodes.arity
    return list(range(first, first + nodes.arity))


def checked_labels(labels: Labels, layers: list[EdgeFunctions]) -> Labels:
    """Return the labels.

    Raises:
        InputError: a key is not an edge of the network.
    """
    for key in labels:
        if not _is_edge(key, layers):
            example = next((0, i, o) for i, o in np.ndindex(layers[0].strength.shape) if layers[0].exists(i, o))
            raise InputError(
                f"labels has {key!r}, which is not an edge of the network; expected (layer, input, output), each from "
                f"0, with the layers' inputs and outputs {[edges.strength.shape for edges in layers]}.",
                write={"labels": {example: "sin"}},
            )
    return labels


def _is_edge(key: object, layers: list[EdgeFunctions]) -> bool:
    if not isinstance(key, tuple) or len(key) != 3 or not all(isinstance(n, int) and n >= 0 for n in key):
        return False
    k, i, o = key
    return k < len(layers) and i < len(layers[k].inputs) and o < len(layers[k].outputs) and layers[k].exists(i, o)
