"""A film of a training: the network, the solution and the loss at some of the steps, as an animated GIF."""

from __future__ import annotations

import io
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from kanpde.errors import InputError
from kanpde.plots.axes import positive
from kanpde.plots.edge_functions import edge_functions, has_edge_functions
from kanpde.plots.layout import layout
from kanpde.plots.network import draw_network
from kanpde.plots.solution import draw_first_unknown, first_slice, first_values
from kanpde.solution import Solution
from kanpde.storage.folders import replace_files, writable
from kanpde.training.phases import Progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_FRAMES = 40
MOST_NODES = 8  # per layer
MEMORY = 256e6  # bytes of the weights that are kept
SECONDS, LAST = 0.2, 2.0  # a frame, and the last one, are shown
SIZE, DPI = (12.0, 4.2), 80  # inches, and pixels per inch


@dataclass(frozen=True)
class Frame:
    """A network after a number of steps of the run."""

    step: int
    model: nn.Module


class Film:
    """Keeps networks during a training, and draws them when it has ended.

    ``film = Film(); solution = solve(problem, observe=film); film.save(solution, "film.gif")``. At most 80 networks,
    and 256 MB, are kept at equal distances of steps: when there are more, every other one is dropped and the distance
    doubles. At most 40 frames are drawn, the last one of the result.
    """

    def __init__(self, most: int = MOST_FRAMES):
        if not isinstance(most, int) or most < 2:
            raise InputError(f"most must be a whole number of frames of at least 2, got {most}.", write={"most": 40})
        self.most, self.distance, self.seen = most, 1, 0
        self.frames: list[Frame] = []

    def __call__(self, progress: Progress) -> None:
        """Keep the network after a step, if it is its turn; to be passed as ``observe`` to `solve`."""
        self.frames = [frame for frame in self.frames if frame.step < progress.total]  # the history may begin again
        self.seen += 1
        if progress.model is None or (self.seen - 1) % self.distance:
            return
        self.frames.append(Frame(progress.total, deepcopy(progress.model).cpu()))
        size = sum(tensor.nbytes for tensor in progress.model.state_dict().values())
        if len(self.frames) > min(2 * self.most, max(2, MEMORY / max(size, 1))):
            self.frames, self.distance = self.frames[::2], 2 * self.distance

    def save(self, solution: Solution, path: str | Path) -> Path:
        """Write the film as an animated GIF, which repeats.

        A frame shows the network, if it has functions on its edges, the first unknown, and the loss of all steps with a
        mark at the frame's step.

        Raises:
            InputError: no step was observed, or the file cannot be written.
        """
        from PIL import Image

        if not self.frames:
            raise InputError(
                "No step was observed, so there is no film.", write={"observe": "film"}, advice="Pass it to `solve`."
            )
        painter = _Painter(solution)
        pictures = [Image.open(io.BytesIO(painter.png(frame))) for frame in self._chosen(solution)]
        images = [each.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE) for each in pictures]
        times = [int(1000 * SECONDS)] * (len(images) - 1) + [int(1000 * LAST)]
        memory = io.BytesIO()
        images[0].save(memory, "GIF", save_all=True, append_images=images[1:], duration=times, loop=0)
        path = writable(path)
        replace_files({path: memory.getbuffer()})
        return path

    def _chosen(self, solution: Solution) -> list[Frame]:
        """Return at most ``most`` frames at about equal distances, the last one of the result."""
        last = Frame(len(solution.history), solution.model)
        before = [frame for frame in self.frames if frame.step < last.step] or self.frames[:1]
        places = np.unique(np.linspace(0, len(before) - 1, min(len(before), self.most - 1)).round().astype(int))
        return [*(before[k] for k in places), last]


class _Painter:
    """Draws frames: the network, the first unknown with equal limits in all frames, and the loss."""

    def __init__(self, solution: Solution):
        self.solution = solution
        self.canvas, self.x, place = first_slice(solution)
        self.title = f"{solution.problem.unknowns[0]}{f' at {place}' if place else ''}"
        values = first_values(solution, self.canvas, self.x)
        values = values[np.isfinite(values)]
        self.limits = (float(values.min()), float(values.max())) if len(values) and np.ptp(values) else (-1.0, 1.0)

    def png(self, frame: Frame) -> bytes:
        """Return the picture of a frame as a PNG file."""
        from matplotlib.figure import Figure

        then = replace(self.solution, model=deepcopy(frame.model).to(self.solution.like))
        figure = Figure(figsize=SIZE, dpi=DPI)
        left, width = 0.08, 0.38
        if has_edge_functions(then):
            left, width = 0.42, 0.23
            _draw_network(figure.add_axes((0.0, 0.02, 0.36, 0.92)), then)
        middle = figure.add_axes((left, 0.16, width, 0.7))
        draw_first_unknown(middle, then, self.canvas, self.x, self.limits)
        right = figure.add_axes((left + width + 0.09, 0.16, 0.9 - left - width, 0.7))
        _draw_loss(right, then, frame)
        for axes, title in ((middle, self.title), (right, "loss |r|²")):
            axes.set_title(title, fontsize=10)
            axes.tick_params(labelsize=8)
        middle.locator_params(nbins=5)
        figure.suptitle(f"step {frame.step} of {len(self.solution.history)}", fontsize=11)
        memory = io.BytesIO()
        figure.savefig(memory, format="png")
        return memory.getvalue()


def _draw_network(axes: Axes, then: Solution) -> None:
    model, layers = edge_functions(then)
    places = layout(model, layers, MOST_NODES)
    draw_network(axes, layers, places, {})
    axes.set(xlim=(-0.2, places.width + 0.2), ylim=(-0.6, places.tops[-1] + 0.6), aspect="equal")


def _draw_loss(axes: Axes, then: Solution, frame: Frame) -> None:
    steps = [row["step"] for row in then.history]
    losses = positive(row["loss"] for row in then.history)
    axes.plot(steps, losses, color="0.6", linewidth=1)
    done = np.array(steps) <= frame.step
    axes.plot(np.array(steps)[done], losses[done], color="#0072B2", linewidth=1.4)
    if done.any():
        axes.plot(steps[int(np.flatnonzero(done)[-1])], losses[done][-1], "o", color="#D55E00", markersize=5)
    if np.isfinite(losses).any():
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
