"""What the fits of `kan_paper.py` share: the problem, the schedules, the error, and the file of results."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from math import pi
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from paper_functions import Function, Ranges

from kanpde import LM, Box, Condition, Phase, Points, Problem, Region, Sampling, Solution, solve

RESULTS = Path(__file__).parents[1] / "outputs" / "kan_paper.csv"
COLUMNS = ("name", "model", "seed", "error", "seconds", "processor", "parameters")
TESTS = 20_000


def fitting(f: Function, ranges: Ranges, names: Sequence[str] | None = None, is_measured: bool = False) -> Problem:
    """Return the problem u = f on a box; with ``is_measured`` its errors are measured after every phase."""
    domain = Box(**dict(zip(names or [f"x{i + 1}" for i in range(len(ranges))], ranges, strict=True)))

    def residual(u: Any) -> Any:
        known = u.context.known  # f is evaluated once for each set of points
        if f not in known:
            known[f] = torch.as_tensor(f(*[c.value.numpy() for c in u.coords]))
        return u - known[f]

    test = None
    if is_measured:
        x, wanted = tests(f, ranges)
        equal = torch.full((TESTS,), 1 / TESTS, dtype=torch.float64)
        test = Points(torch.as_tensor(x.T.copy()), equal, data=torch.as_tensor(wanted)[:, None])
    region = domain.interior if len(ranges) < 3 else with_extremes(domain.interior, ranges)
    return Problem(domain, {"data": Condition(region, residual)}, test=test)


def with_extremes(region: Region, ranges: Ranges) -> Region:
    """Return the region with half of its Sobol points moved, a quarter towards the faces and a quarter to the middle.

    Sums of functions of many coordinates have their extreme values where all coordinates are large or all are near the
    middle. Few equally distributed points lie there, so the functions of these sums overfit. The first quarter gets the
    density of Chebyshev's points, the second one shrinks to the middle by factors from 0 to 1.
    """
    lower, upper = torch.tensor(ranges, dtype=torch.float64).unbind(1)
    middle, half = 0.5 * (lower + upper), 0.5 * (upper - lower)

    def draw(rule: str, n: int, *where: Any) -> Points:
        points = region.draw(rule, n, *where)
        if rule == "sobol":
            count = len(points.x) // 4  # the quarters of the sequence are evenly distributed, too
            outer, inner = points.x[:count], points.x[count : 2 * count]
            outer.copy_(middle + half * torch.sin(0.5 * pi * (outer - middle) / half))
            inner.copy_(middle + torch.linspace(0, 1, count, dtype=torch.float64)[:, None] * (inner - middle))
        return points

    return replace(region, draw=draw)


def tests(f: Function, ranges: Ranges) -> tuple[np.ndarray, np.ndarray]:
    """Return random points (coordinates, points), and f there."""
    lower, upper = np.array(ranges).T
    x = (lower + (upper - lower) * np.random.default_rng(7).uniform(size=(TESTS, len(ranges)))).T
    return x, np.asarray(f(*x))


def error_of(solution: Any, f: Function, ranges: Ranges) -> float:
    """Return the root mean square error on random points, divided by the standard deviation of f."""
    x, wanted = tests(f, ranges)
    return float(np.sqrt(np.mean((solution(*x) - wanted) ** 2)) / wanted.std())


def level(steps: int, points: int, rule: str = "sobol", **options: Any) -> Phase:
    """Return a phase of Levenberg-Marquardt that ends when the loss stagnates."""
    return Phase(LM(), steps=steps, window=20, least=0.5, sampling=Sampling(rule, points), **options)


class Results:
    """Rows of a table in a file, so that fits that are there are not repeated."""

    def __init__(self, path: Path = RESULTS):
        self.path = path

    def rows(self, name: str, model: str) -> list[dict[str, str]]:
        """Return the rows of a function and a model."""
        if not self.path.is_file():
            return []
        with open(self.path, newline="") as file:
            return [row for row in csv.DictReader(file) if (row["name"], row["model"]) == (name, model)]

    def add(self, *row: Any) -> None:
        """Append a row, with the names of the columns before the first one."""
        is_new = not self.path.is_file()
        self.path.parent.mkdir(exist_ok=True)
        with open(self.path, "a", newline="") as file:
            csv.writer(file).writerows([COLUMNS, row] if is_new else [row])
        print(*row, flush=True)

    def fit(self, name: str, label: str, seed: int, f: Function, ranges: Ranges, **options: Any) -> Solution | None:
        """Fit a function with the options of `solve`, and add the row; None if it is there already."""
        if any(int(row["seed"]) == seed for row in self.rows(name, label)):
            return None
        wall, busy = perf_counter(), process_time()
        solution = solve(fitting(f, ranges), seed=seed, **options)
        wall, busy = perf_counter() - wall, process_time() - busy
        size = sum(p.numel() for p in solution.model.parameters())
        self.add(name, label, seed, error_of(solution, f, ranges), round(wall, 1), round(busy, 1), size)
        return solution
