"""Where the nodes and the boxes of the edges lie in pictures of a network, in inches, inputs at the bottom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kanpde.models.layer import Nodes
from kanpde.models.network import Network
from kanpde.plots.edge_functions import EdgeFunctions, parts_of

LEAST_BOX, MOST_BOX, GAP, LEAST_WIDTH, MOST_WIDTH, LINES = 0.36, 0.8, 0.1, 5.0, 16.0, 0.75


class Band:
    """The positions of the boxes between two levels of nodes: a block above every input, with a box per output."""

    def __init__(self, width: float, inputs: int, outputs: int):
        self.group = width / inputs
        self.outputs = outputs
        self.rows = -(-outputs // max(1, int(self.group / (LEAST_BOX + GAP) + 1e-9)))
        self.columns = -(-outputs // self.rows)
        self.pitch = min(self.group / (self.columns + 0.2), MOST_BOX)
        self.box = self.pitch - GAP
        self.height = self.rows * self.pitch + 2 * LINES

    def corner(self, i: int, o: int) -> tuple[float, float]:
        """Return the lower left corner of the box of edge (i, o), above the inputs' level."""
        row, column = divmod(o, self.columns)
        in_row = min(self.columns, self.outputs - row * self.columns)
        middle = (i + 0.5) * self.group + (column - (in_row - 1) / 2) * self.pitch
        return middle - self.box / 2, LINES + row * self.pitch + GAP / 2


@dataclass(frozen=True)
class Box:
    """The box of an edge: its layer, input and output, its lower left corner and size, and the nodes it joins."""

    layer: int
    input: int
    output: int
    corner: tuple[float, float]
    size: float
    below: tuple[float, float]
    above: tuple[float, float]

    @property
    def wires(self) -> list[list[tuple[float, float]]]:
        """The lines from the node below to the box, and from there to the node above."""
        y, middle = self.corner[1], self.corner[0] + self.size / 2
        return [[self.below, (middle, y)], [(middle, y + self.size), self.above]]

    def curve(self, y: NDArray) -> NDArray:
        """Scale values of the function into the box, (values, 2)."""
        return np.array(self.corner) + self.size * in_unit_box(y)


def in_unit_box(y: NDArray) -> NDArray:
    """Scale the values of a curve into the unit square with a margin, (values, 2); constants lie in the middle."""
    height = float(np.ptp(y))
    is_flat = not np.isfinite(height) or height <= 1e-12 * float(np.abs(y).max())
    scaled = np.full_like(y, 0.5) if is_flat else (y - y.min()) / height
    return 0.1 + 0.8 * np.stack([np.linspace(0, 1, len(y)), scaled], axis=1)


@dataclass(frozen=True)
class Layout:
    """Positions in a picture of a network.

    Attributes:
        shown: the inputs and outputs of every layer that are drawn.
        width: of the picture.
        bands: of the layers.
        levels, tops: heights of every layer's inputs and outputs.
        nodes: between the layers.
    """

    shown: list[tuple[NDArray, NDArray]]
    width: float
    bands: list[Band]
    levels: list[float]
    tops: list[float]
    nodes: Sequence[Nodes]

    def place(self, drawn: NDArray, i: int) -> float:
        """Return the horizontal position of a node among those drawn in its row."""
        return (int(np.flatnonzero(drawn == i)[0]) + 0.5) * self.width / len(drawn)

    def boxes(self, k: int, edges: EdgeFunctions) -> Iterator[Box]:
        """Yield the boxes of all edges of layer k that exist and are drawn."""
        inputs, outputs = self.shown[k]
        for a, i in enumerate(inputs.tolist()):
            for b, o in enumerate(outputs.tolist()):
                if edges.exists(i, o):
                    x, y = self.bands[k].corner(a, b)
                    below = self.place(inputs, i), self.levels[k]
                    above = self.place(outputs, o), self.tops[k]
                    yield Box(k, i, o, (x, y + self.levels[k]), self.bands[k].box, below, above)

    def products(self) -> Iterator[tuple[int, int, float, float, list[float]]]:
        """Yield every node above sums of edges that is drawn where some nodes multiply.

        The values are the layer below, the node, its position and height, and the positions of the sums in it.
        """
        for k, nodes in enumerate(self.nodes):
            if nodes.products:
                outputs, inputs = self.shown[k][1], self.shown[k + 1][0]
                for i in inputs.tolist():
                    sums = [self.place(outputs, o) for o in parts_of(nodes, i)]
                    yield k, i, self.place(inputs, i), self.levels[k + 1], sums


def layout(model: Network, layers: list[EdgeFunctions], most: int) -> Layout:
    """Return the positions, with at most the ``most`` strongest nodes of every layer."""
    shown = _strongest(layers, model.nodes, most)
    width = float(np.clip(max(len(a) * len(b) * (LEAST_BOX + GAP) for a, b in shown), LEAST_WIDTH, MOST_WIDTH))
    bands = [Band(width, len(a), len(b)) for a, b in shown]
    levels, tops = [0.0], []
    for band, nodes in zip(bands, [*model.nodes, None], strict=True):
        tops.append(levels[-1] + band.height)
        if nodes is not None:
            levels.append(tops[-1] + (LINES if nodes.products else 0.0))
    return Layout(shown, width, bands, levels, tops, model.nodes)


def _strongest(layers: list[EdgeFunctions], nodes: Sequence[Nodes], most: int) -> list[tuple[NDArray, NDArray]]:
    """Select the inputs and outputs of every layer that are drawn: those with the strongest edges, in their order."""
    weights = [edges.strength.max(axis=1) for edges in layers] + [layers[-1].strength.max(axis=0)]
    drawn = [np.sort(np.argsort(-w, kind="stable")[:most]) for w in weights]
    ends = [
        np.array([o for i in inputs.tolist() for o in parts_of(between, i)])
        for between, inputs in zip(nodes, drawn[1:-1], strict=True)
    ]
    return list(zip(drawn[:-1], [*ends, drawn[-1]], strict=True))


def caption(places: Layout, layers: list[EdgeFunctions], most: int) -> str:
    """Return what the opacity means, and how many edges are not drawn."""
    text = "opacity: standard deviation of the edge function over the domain,\nrelative to the largest of its layer"
    total = sum(edges.count for edges in layers)
    drawn = sum(len(list(places.boxes(k, edges))) for k, edges in enumerate(layers))
    if drawn < total:
        text += f"; the {most} strongest nodes a layer: {total - drawn} of {total} edges are not shown"
    return text
