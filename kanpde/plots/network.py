"""The diagram of a KAN: every edge function drawn on its edge, as in the KAN paper (Z. Liu et al. 2024, figure 2.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kanpde.plots.edge_functions import EdgeFunctions, Labels, checked_labels, edge_functions
from kanpde.plots.layout import LINES, Layout, caption, layout
from kanpde.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NODES = 12  # per layer
FAINTEST = 0.06
INK = "#0072B2"
LONGEST_LABEL = 14  # characters


def network_figure(solution: Solution, labels: Labels = {}) -> Figure:  # noqa: B006, it is not changed
    """Draw the network with its inputs at the bottom; opacity is an edge's strength relative to the layer's largest.

    Args:
        solution: of a KAN, SplineMLP or SPIKAN.
        labels: short texts in the boxes of edges, such as ``{(0, 1, 2): "sin"}`` for the first layer's function of
            input 1 in output 2; all count from 0.

    Raises:
        InputError: the network has no edge functions, or a label belongs to no edge.
    """
    from matplotlib.figure import Figure

    model, layers = edge_functions(solution)
    checked_labels(labels, layers)
    places = layout(model, layers, MOST_NODES)
    height = places.tops[-1] + 1.3
    figure = Figure(figsize=(places.width + 0.4, height))
    axes = figure.add_axes((0, 0, 1, 1))
    draw_network(axes, layers, places, labels)
    axes.set(xlim=(-0.2, places.width + 0.2), ylim=(-0.85, height - 0.85))
    text = caption(places, layers, MOST_NODES)
    axes.text(places.width / 2, -0.8, text, ha="center", va="bottom", fontsize=8, color="0.3")
    return figure


def draw_network(axes: Axes, layers: list[EdgeFunctions], places: Layout, labels: Labels) -> None:
    """Draw the edges, nodes and names into axes whose unit is an inch."""
    axes.set_axis_off()
    for k, (inputs, outputs) in enumerate(places.shown):
        _draw_edges(axes, k, layers[k], places, labels)
        _draw_nodes(axes, places.width, places.levels[k], len(inputs))
        if places.tops[k] not in places.levels:
            _draw_nodes(axes, places.width, places.tops[k], len(outputs))
    for k, i, x, y, sums in places.products():
        for place in sums:
            axes.plot([place, x], [y - LINES, y], color="black", linewidth=0.8, zorder=1)
        if i >= places.nodes[k].sums:
            axes.text(x + 0.1, y, "×", ha="left", va="center", fontsize=12)
    ends = (
        (places.shown[0][0], layers[0].inputs, -0.12, "top"),
        (places.shown[-1][1], layers[-1].outputs, places.tops[-1] + 0.12, "bottom"),
    )
    for nodes, words, y, align in ends:
        for i in nodes.tolist():
            axes.text(places.place(nodes, i), y, words[i], ha="center", va=align, style="italic", fontsize=12)


def _draw_edges(axes: Axes, k: int, edges: EdgeFunctions, places: Layout, labels: Labels) -> None:
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    wires, curves, squares, alphas = [], [], [], []
    for box in places.boxes(k, edges):
        i, o = box.input, box.output
        wires += box.wires
        squares.append(Rectangle(box.corner, box.size, box.size))
        curves.append(box.curve(edges.y[:, i, o]))
        alphas.append(max(FAINTEST, float(edges.shares[i, o])))
        if text := labels.get((k, i, o)):
            x, y = box.corner[0] + box.size / 2, box.corner[1] + box.size
            _draw_label(axes, x, y, text, box.size)
    ink = [to_rgba(INK, alpha) for alpha in alphas]
    frame = [to_rgba("black", alpha) for alpha in alphas]
    axes.add_collection(LineCollection(wires, colors=np.repeat(frame, 2, axis=0), linewidths=0.8, zorder=1))
    axes.add_collection(PatchCollection(squares, facecolor="white", edgecolor="none", zorder=2))
    axes.add_collection(PatchCollection(squares, facecolor="none", edgecolor=frame, linewidths=0.8, zorder=3))
    axes.add_collection(LineCollection(curves, colors=ink, linewidths=1.4, zorder=4))


def shortened(label: str) -> str:
    """Return a label that fits beside a box."""
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _draw_label(axes: Axes, x: float, y: float, text: str, box: float) -> None:
    """Write a text on the upper side of a box, as large as fits into the box's width."""
    short = shortened(text)
    size = float(np.clip(72 * box / (0.6 * len(short)), 3.5, 8.0))
    frame = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "0.6", "linewidth": 0.5}
    axes.text(x, y, short, ha="center", va="center", fontsize=size, bbox=frame, zorder=6, parse_math=False)


def _draw_nodes(axes: Axes, width: float, level: float, count: int) -> None:
    x = (np.arange(count) + 0.5) * width / count
    axes.plot(x, np.full(count, level), "o", color="black", markersize=5, zorder=5)
