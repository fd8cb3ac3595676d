"""Shared code of the drivers of `peers.py`: the error, and a clock that stops during its measurement.

It needs only numpy, because every driver runs in the environment of its own library.
"""

import argparse
import json
from collections.abc import Callable
from importlib.metadata import version
from time import perf_counter, process_time

import numpy as np

AXIS = np.linspace(-1, 1, 101)
GRID = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1).reshape(-1, 2)  # used only for the error
EXACT = np.sin(np.pi * GRID[:, 0]) * np.sin(np.pi * GRID[:, 1])


def relative_error(values: np.ndarray) -> float:
    """Return |u - exact| / |exact| on the grid, for values of u at its points in order."""
    return float(np.linalg.norm(np.asarray(values, dtype=np.float64).reshape(-1) - EXACT) / np.linalg.norm(EXACT))


def options(doc: str | None) -> argparse.Namespace:
    """Parse the options of a driver: seed, time limit of training in seconds, target error, boundary weight."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=600.0)
    parser.add_argument("--target", type=float, default=1e-4)
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--method", default="")
    return parser.parse_args()


class Clock:
    """Seconds of training, counted from `start` without the time of measuring the error.

    Args:
        imported: time when the driver began, before it imported its library.
        limit: time limit of training in seconds.
        target: error at which training ends.
    """

    def __init__(self, imported: float, limit: float, target: float):
        self.imported, self.limit, self.target = imported, limit, target
        self.checking = self.setup = self.began = self.checked = 0.0
        self.busy = 0.0  # processor seconds, which reveal runs that other processes disturbed
        self.best, self.reached = np.inf, None

    def start(self) -> None:
        """Start counting; the time before belongs to imports and setup."""
        self.began = perf_counter()
        self.setup = self.began - self.imported
        self.busy = -process_time()

    @property
    def seconds(self) -> float:
        return perf_counter() - self.began - self.checking

    def is_over(self, values: Callable[[], np.ndarray], always: bool = False) -> bool:
        """Return whether to stop; the error is measured if 2 % of the time has passed since the last measurement."""
        now = self.seconds
        if always or now >= 1.02 * self.checked + 0.05:
            self.checked = now
            self.busy += process_time()
            error = relative_error(values())
            self.busy -= process_time()
            self.checking += self.seconds - now
            self.note(error, now)
        return self.reached is not None or now >= self.limit

    def note(self, error: float, now: float) -> None:
        """Record an error measured after ``now`` seconds."""
        self.best = min(self.best, error) if np.isfinite(error) else self.best
        if self.reached is None and error <= self.target:
            self.reached = now

    def report(self, parameters: int, *packages: str) -> None:
        """Print one line of JSON, the last line of a driver."""
        result = {
            "seconds": self.reached,
            "best": self.best if np.isfinite(self.best) else None,
            "total": self.seconds,
            "processor": self.busy + process_time(),
            "setup": self.setup,
            "checking": self.checking,
            "parameters": int(parameters),
            "versions": {name: version(name) for name in packages},
        }
        print(json.dumps(result), flush=True)
