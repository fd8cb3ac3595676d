"""Pictures of every edge function of a KAN, each in axes of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kanpde.plots.edge_functions import Edge, EdgeFunctions, Labels, checked_labels, edge_functions
from kanpde.plots.network import INK
from kanpde.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, PER_PAGE, MOST_PAGES = 4, 40, 2
WIDTH, HEIGHT = 2.9, 2.1  # of one function, in inches
NOTE = (
    "Each function without its mean over the drawn range, which is written above it. Strength: standard deviation on "
    "the domain, relative to the layer's largest."
)


def edges_figures(solution: Solution, labels: Labels = {}) -> list[Figure]:  # noqa: B006, it is not changed
    """Draw every edge function over the range that its input reaches, layer by layer, the strongest of each first.

    A page has at most 40 functions. Of a network with more than two pages, the strongest relative to their layer are
    drawn, and the last page says how many are not. Constants are removed, because they can be moved between the edges
    of a node without changing the network.

    Args:
        solution: of a KAN, SplineMLP or SPIKAN.
        labels: texts in the titles of edges by (layer, input, output), as in `network_figure`.

    Raises:
        InputError: the network has no edge functions, or a label belongs to no edge.
    """
    _, layers = edge_functions(solution)
    checked_labels(labels, layers)
    order, total = _ordered(layers)
    pages = [order[k : k + PER_PAGE] for k in range(0, len(order), PER_PAGE)]
    left_out = f" The {total - len(order)} weakest of {total} are not drawn." if len(order) < total else ""
    return [_page(page, layers, labels, NOTE + left_out) for page in pages]


def _ordered(layers: list[EdgeFunctions]) -> tuple[list[Edge], int]:
    """Return the edges that are drawn, the strongest of every layer first, and the number of all edges."""
    found = [
        (k, -float(edges.shares[i, o]), i, o)
        for k, edges in enumerate(layers)
        for i, o in np.ndindex(edges.strength.shape)
        if edges.exists(i, o)
    ]
    drawn = sorted(found, key=lambda edge: edge[1])[: PER_PAGE * MOST_PAGES]
    return [(k, i, o) for k, _, i, o in sorted(drawn)], len(found)


def _page(page: list[Edge], layers: list[EdgeFunctions], labels: Labels, note: str) -> Figure:
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(page))
    rows = -(-len(page) // columns)
    width, height = max(columns * WIDTH, 5.8), rows * HEIGHT + 0.5
    figure = Figure(figsize=(width, height))
    figure.text(0.1 / width, 1 - 0.1 / height, note, va="top", fontsize=8, color="0.3", wrap=True)
    for place, edge in enumerate(page):
        row, column = divmod(place, columns)
        left, bottom = column * width / columns + 0.6, height - 0.5 - (row + 1) * HEIGHT + 0.42
        box = left / width, bottom / height, (width / columns - 0.75) / width, (HEIGHT - 0.95) / height
        _draw(figure.add_axes(box), edge, layers[edge[0]], labels.get(edge, ""))
    return figure


def _draw(axes: Axes, edge: Edge, edges: EdgeFunctions, label: str) -> None:
    k, i, o = edge
    x, y = edges.x[:, i], edges.y[:, i, o]
    mean, share = float(y.mean()), float(edges.shares[i, o])
    axes.plot(x, y - mean, color=INK, linewidth=1.4)
    axes.set_title(edges.title(k, i, o), fontsize=8.5, pad=22 if label else 14, parse_math=False)
    facts = f"{label}\n" * bool(label) + f"mean {mean:.3g}, strength {share:.2g}"
    at, small = axes.transAxes, 6.5
    axes.text(0.5, 1.03, facts, transform=at, ha="center", va="bottom", fontsize=small, color="0.3", parse_math=False)
    axes.set_xlim(*((x[0], x[-1]) if x[-1] > x[0] else (x[0] - 1, x[0] + 1)))
    axes.set_xlabel(edges.inputs[i], fontsize=7.5, labelpad=1)
    axes.tick_params(labelsize=6.5)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3), useOffset=False)
    axes.yaxis.get_offset_text().set_fontsize(6)
    axes.locator_params(nbins=4)
    axes.grid(alpha=0.3)
