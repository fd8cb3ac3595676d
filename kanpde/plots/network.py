"""The diagram of a KAN: every edge function drawn on its edge, as in the KAN paper (Z. Liu et al. 2024, figure 2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.models.layer import Nodes
from kanpde.models.network import Network
from kanpde.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NODES = 12  # per layer
SAMPLES, CURVE = 2000, 100
# inches
LEAST_BOX, MOST_BOX, GAP, LEAST_WIDTH, MOST_WIDTH, LINES = 0.36, 0.8, 0.1, 5.0, 16.0, 0.75
FAINTEST = 0.06
INK = "#0072B2"


@dataclass(frozen=True)
class DrawnEdges:
    """The functions of one layer.

    ``x`` (CURVE, d_in) covers the range of the layer's inputs, ``y`` (CURVE, d_in, d_out) are the function values
    there, and ``strength`` (d_in, d_out) are the standard deviations over the samples.
    """

    x: NDArray
    y: NDArray
    strength: NDArray


def network_figure(solution: Solution) -> Figure:
    """Draw the network with its inputs at the bottom; opacity is an edge's strength relative to the layer's largest."""
    from matplotlib.figure import Figure

    model = solution.model
    assert isinstance(model, Network) and model.has_edges
    layers = _edges(solution, model)
    shown = _strongest(layers, model.nodes)
    widths = [len(a) * len(b) * (LEAST_BOX + GAP) for a, b in shown]
    width = float(np.clip(max(widths), LEAST_WIDTH, MOST_WIDTH))
    bands = [_Band(width, len(a), len(b)) for a, b in shown]
    rises = [*(LINES if nodes.products else 0.0 for nodes in model.nodes), 0.0]
    height = sum(band.height for band in bands) + sum(rises) + 1.3
    figure = Figure(figsize=(width + 0.4, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.2, width + 0.2), ylim=(-0.85, height - 0.85))
    axes.set_axis_off()
    level = 0.0
    for k, (edges, band, (inputs, outputs), rise) in enumerate(zip(layers, bands, shown, rises, strict=True)):
        _draw_layer(axes, band, level, edges, inputs, outputs)
        _draw_nodes(axes, width, level, len(inputs))
        level += band.height
        if rise:
            _draw_products(axes, width, level, model.nodes[k], outputs, shown[k + 1][0])
            level += rise
    _draw_nodes(axes, width, level, len(shown[-1][1]))
    _name_nodes(axes, width, solution, model, shown, level)
    axes.text(width / 2, -0.8, _caption(layers, shown), ha="center", va="bottom", fontsize=8, color="0.3")
    return figure


@torch.no_grad()
def _edges(solution: Solution, model: Network) -> list[DrawnEdges]:
    like = next(model.parameters())
    points = solution.problem.domain.test_points(like.device, like.dtype)
    values = model.inputs(points[:: max(1, len(points) // SAMPLES)])
    layers = []
    for layer in model.layers:
        reached = layer.edges(values)
        share = torch.linspace(0, 1, CURVE, dtype=values.dtype, device=values.device)[:, None]
        lower, upper = values.min(dim=0).values, values.max(dim=0).values
        x = lower + share * (upper - lower)
        arrays = (a.double().cpu().numpy() for a in (x, layer.edges(x), reached.std(dim=0)))
        layers.append(DrawnEdges(*arrays))
        values = layer(values)
        if len(layers) <= len(model.nodes):
            values = model.nodes[len(layers) - 1].values(values)
    return layers


def _strongest(layers: list[DrawnEdges], nodes: Sequence[Nodes]) -> list[tuple[NDArray, NDArray]]:
    """Select the inputs and outputs of every layer that are drawn: those with the strongest edges, in their order."""
    weights = [edges.strength.max(axis=1) for edges in layers] + [layers[-1].strength.max(axis=0)]
    drawn = [np.sort(np.argsort(-w, kind="stable")[:MOST_NODES]) for w in weights]
    ends = [
        np.concatenate([parts for i in inputs for parts in _parts(between, i)])
        for between, inputs in zip(nodes, drawn[1:-1], strict=True)
    ]
    return list(zip(drawn[:-1], [*ends, drawn[-1]], strict=True))


def _parts(nodes: Nodes, i: int) -> list[NDArray]:
    """Return the outputs of the preceding layer that form input i of the following layer."""
    if i < nodes.sums:
        return [np.array([i])]
    return [nodes.sums + (i - nodes.sums) * nodes.arity + np.arange(nodes.arity)]


class _Band:
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


def _draw_layer(axes: Axes, band: _Band, level: float, edges: DrawnEdges, inputs: NDArray, outputs: NDArray) -> None:
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    wires, curves, boxes, alphas = [], [], [], []
    largest = max(float(edges.strength.max()), np.finfo(float).tiny)
    width = band.group * len(inputs)
    for a, i in enumerate(inputs):
        for b, o in enumerate(outputs):
            if not edges.y[:, i, o].any():  # there is no such edge
                continue
            x, y = band.corner(a, b)
            y += level
            middle = x + band.box / 2
            wires.append([((a + 0.5) * band.group, level), (middle, y)])
            wires.append([(middle, y + band.box), ((b + 0.5) * width / len(outputs), level + band.height)])
            boxes.append(Rectangle((x, y), band.box, band.box))
            curves.append(np.array([x, y]) + band.box * _in_unit_box(edges.y[:, i, o]))
            alphas.append(max(FAINTEST, float(edges.strength[i, o]) / largest))
    ink = [to_rgba(INK, alpha) for alpha in alphas]
    frame = [to_rgba("black", alpha) for alpha in alphas]
    axes.add_collection(LineCollection(wires, colors=np.repeat(frame, 2, axis=0), linewidths=0.8, zorder=1))
    axes.add_collection(PatchCollection(boxes, facecolor="white", edgecolor="none", zorder=2))
    axes.add_collection(PatchCollection(boxes, facecolor="none", edgecolor=frame, linewidths=0.8, zorder=3))
    axes.add_collection(LineCollection(curves, colors=ink, linewidths=1.4, zorder=4))


def _in_unit_box(y: NDArray) -> NDArray:
    """Scale the curve (CURVE, 2) into the unit square with a margin; constants lie in the middle."""
    height = float(np.ptp(y))
    is_flat = not np.isfinite(height) or height <= 1e-12 * float(np.abs(y).max())
    scaled = np.full_like(y, 0.5) if is_flat else (y - y.min()) / height
    return 0.1 + 0.8 * np.stack([np.linspace(0, 1, len(y)), scaled], axis=1)


def _draw_nodes(axes: Axes, width: float, level: float, count: int) -> None:
    x = (np.arange(count) + 0.5) * width / count
    axes.plot(x, np.full(count, level), "o", color="black", markersize=5, zorder=5)


def _draw_products(axes: Axes, width: float, level: float, nodes: Nodes, outputs: NDArray, inputs: NDArray) -> None:
    """Draw lines from sums of edges to their nodes, and a cross on nodes that multiply."""
    _draw_nodes(axes, width, level, len(outputs))
    place = {o: (k + 0.5) * width / len(outputs) for k, o in enumerate(outputs)}
    for k, i in enumerate(inputs):
        x = (k + 0.5) * width / len(inputs)
        for o in np.concatenate(_parts(nodes, i)):
            axes.plot([place[o], x], [level, level + LINES], color="black", linewidth=0.8, zorder=1)
        if i >= nodes.sums:
            axes.text(x + 0.1, level + LINES, "×", ha="left", va="center", fontsize=12)


def _name_nodes(
    axes: Axes, width: float, solution: Solution, model: Network, shown: list[tuple[NDArray, NDArray]], top: float
) -> None:
    names = []
    for i, name in enumerate(solution.problem.domain.names):
        names += [f"sin ω{name}", f"cos ω{name}"] if i in model.inputs.periodic else [name]
    ends = ((shown[0][0], names, -0.12, "top"), (shown[-1][1], solution.problem.unknowns, top + 0.12, "bottom"))
    for nodes, words, y, align in ends:
        for k, i in enumerate(nodes):
            x = (k + 0.5) * width / len(nodes)
            axes.text(x, y, words[i], ha="center", va=align, style="italic", fontsize=12)


def _caption(layers: list[DrawnEdges], shown: list[tuple[NDArray, NDArray]]) -> str:
    text = "opacity: standard deviation of the edge function over the domain,\nrelative to the largest of its layer"
    total = sum(edges.strength.size for edges in layers)
    drawn = sum(len(a) * len(b) for a, b in shown)
    if drawn < total:
        text += f"; the {MOST_NODES} strongest nodes a layer: {total - drawn} of {total} edges are not shown"
    return text
