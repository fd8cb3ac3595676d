"""A page for browsers that shows one network, and the function of each edge that one points at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from math import isfinite
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.models.network import Network, trained_size
from kanpde.plots.edge_functions import EdgeFunctions, Labels, checked_labels, edge_functions
from kanpde.plots.layout import Box, Layout, caption, layout
from kanpde.plots.network import FAINTEST, shortened
from kanpde.solution import Solution
from kanpde.storage.folders import replace_text, writable

MOST_NODES = 24  # per layer
LONGEST_TITLE = 160  # characters
INCH, MARGIN = 96, 0.5  # pixels, and inches around the network
Point = tuple[float, float]


def page(solution: Solution, path: str | Path, labels: Labels = {}) -> Path:  # noqa: B006, it is not changed
    """Write an HTML file that shows the solution's network; pointing at an edge shows its function, range and score.

    The file contains all that it needs, and loads nothing. It is the picture of `kanpde.plots.network` with up to 24
    nodes a layer, the strongest ones. An edge's score is the standard deviation of its function over the domain,
    relative to the largest of its layer.

    Args:
        solution: of a KAN, SplineMLP or SPIKAN.
        path: of the file, whose folder is created if it does not exist.
        labels: formulas of edges as texts by (layer, input, output), which count from 0: ``{(0, 1, 2): "sin(3 y)"}``.

    Raises:
        InputError: the network has no edge functions, a label belongs to no edge, or the file cannot be written.
    """
    model, layers = edge_functions(solution)
    checked_labels(labels, layers)
    places = layout(model, layers, MOST_NODES)
    boxes = [box for k, edges in enumerate(layers) for box in places.boxes(k, edges)]
    data = {"edges": [_facts(box, layers[box.layer], labels) for box in boxes]}
    domain, note = solution.problem.domain, caption(places, layers, MOST_NODES)
    parts = {
        "TITLE": escape(shorten(f"The network of {', '.join(solution.problem.unknowns)} on {domain}", LONGEST_TITLE)),
        "FACTS": escape("; ".join(_told(solution, model)) + "."),
        "NOTE": escape(f"{note[0].upper()}{note[1:]}."),
        "SVG": "\n".join(_svg(places, layers, boxes, labels)),
        "DATA": json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
    }
    text = files("kanpde.plots").joinpath("page.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    path = writable(path)
    replace_text(path, text)
    return path


def _told(solution: Solution, model: Network) -> list[str]:
    """Return sentences on the network and its accuracy."""
    widths = [model.inputs.size, *(nodes.inputs for nodes in model.nodes), len(solution.problem.unknowns)]
    count = trained_size(model)
    told = [f"Nodes from the inputs to the outputs: {widths}, {count} parameters"]
    told += [f"relative L2 error of {u}: {e['l2']:.2e}" for u, e in solution.errors.items()]
    if solution.problem.ansatz is not None:
        told.append("the outputs are the network's, before the built-in values")
    return told


# data ----------------------------------------------------------------------------------------------------------------
def _facts(box: Box, edges: EdgeFunctions, labels: Labels) -> dict[str, Any]:
    """Return what the page shows of an edge, with eight digits; numbers that are not finite are None."""
    k, i, o = box.layer, box.input, box.output
    x = edges.x[:, i]
    return {
        "layer": k,
        "input": i,
        "output": o,
        "title": edges.title(k, i, o),
        "from": edges.inputs[i],
        "to": edges.outputs[o],
        "below": f"in-{k}-{i}",
        "above": f"out-{k}-{o}",
        "range": _rounded(x[[0, -1]]),
        "y": _rounded(edges.y[:, i, o]),
        "deviation": _rounded(edges.strength[i, [o]])[0],
        "share": _rounded(edges.shares[i, [o]])[0],
        "formula": labels.get((k, i, o)),
    }


def _rounded(values: NDArray) -> list[float | None]:
    return [float(f"{value:.8g}") if isfinite(value) else None for value in values.tolist()]


# drawing -------------------------------------------------------------------------------------------------------------
def _svg(places: Layout, layers: list[EdgeFunctions], boxes: list[Box], labels: Labels) -> Iterator[str]:
    """Yield the lines of the drawing of the network."""
    width, height = INCH * (places.width + 2 * MARGIN), INCH * (places.tops[-1] + 2 * MARGIN)

    def at(x: float, y: float) -> Point:
        return INCH * (x + MARGIN), height - INCH * (y + MARGIN)

    yield f'<svg id="network" viewBox="0 0 {width:.0f} {height:.0f}" role="group" aria-label="The network">'
    for k, i, x, y, sums in places.products():
        for place in sums:
            yield f'<path class="factor" d="{_line([at(place, places.tops[k]), at(x, y)])}"/>'
        if i >= places.nodes[k].sums:
            (px, py) = at(x, y)
            yield f'<text class="product" x="{px - 22:.1f}" y="{py + 5:.1f}">×</text>'
    for box in boxes:  # first, because wires pass below the boxes of other edges
        yield f'<g class="wires" style="--share: {_share(box, layers[box.layer]):.3f}">'
        for wire in box.wires:
            path = _line([at(*point) for point in wire])
            yield f'<path class="reach" d="{path}"/><path class="wire drawn" d="{path}"/>'
        yield "</g>"
    for number, box in enumerate(boxes):
        yield from _edge(box, layers[box.layer], labels, at, is_first=number == 0)
    yield from _nodes(places, layers, at)
    yield "</svg>"


def _share(box: Box, edges: EdgeFunctions) -> float:
    """Return the opacity of an edge."""
    return max(FAINTEST, float(np.nan_to_num(edges.shares[box.input, box.output])))


def _edge(box: Box, edges: EdgeFunctions, labels: Labels, at: Any, is_first: bool) -> Iterator[str]:
    k, i, o = box.layer, box.input, box.output
    (x, y), size = at(box.corner[0], box.corner[1] + box.size), INCH * box.size
    square = f'x="{x:.1f}" y="{y:.1f}" width="{size:.1f}" height="{size:.1f}"'
    named = escape(f"{edges.title(k, i, o)}, score {float(edges.shares[i, o]):.0%}")
    yield (
        f'<g class="edge" id="edge-{k}-{i}-{o}" role="button" tabindex="{0 if is_first else -1}" '
        f'data-x="{x:.0f}" aria-label="{named}" style="--share: {_share(box, edges):.3f}">'
    )
    curve = _line([at(*point) for point in box.curve(edges.y[:, i, o]).tolist() if isfinite(point[1])])
    yield f'<rect class="box" {square}/><path class="curve drawn" d="{curve}"/><rect class="frame drawn" {square}/>'
    if text := labels.get((k, i, o)):
        yield f'<text class="label" x="{x + size / 2:.1f}" y="{y + 3:.1f}">{escape(shortened(text))}</text>'
    yield "</g>"


def _nodes(places: Layout, layers: list[EdgeFunctions], at: Any) -> Iterator[str]:
    """Yield the nodes with their names; one dot stands for an output and the input that it is."""
    last = len(layers) - 1
    for k, edges in enumerate(layers):
        is_same = k < last and places.levels[k + 1] == places.tops[k]
        if k == 0 or places.levels[k] != places.tops[k - 1]:
            yield from _row(places, k, "in", edges.inputs, at, "name" if k == 0 else "hidden", "")
        style = "name" if k == last else "hidden" if is_same else ""
        yield from _row(places, k, "out", edges.outputs, at, style, f" in-{k + 1}-" if is_same else "")


def _row(places: Layout, k: int, end: str, names: list[str], at: Any, style: str, same: str) -> Iterator[str]:
    """Yield the nodes at one end of a layer, with names in that style if there is one."""
    drawn, level = (places.shown[k][0], places.levels[k]) if end == "in" else (places.shown[k][1], places.tops[k])
    for n in drawn.tolist():
        x, y = at(places.place(drawn, n), level)
        known = f"{end}-{k}-{n}" + (f"{same}{n}" if same else "")
        yield f'<circle class="node" data-node="{known}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        if style:
            dx, dy = (9, 4) if style == "hidden" else (0, 26 if end == "in" else -14)
            yield f'<text class="{style}" x="{x + dx:.1f}" y="{y + dy:.1f}">{escape(names[n])}</text>'


def _line(points: list[Point]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points) if points else ""
