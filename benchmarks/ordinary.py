"""Ordinary differential equations against SciPy's integrators at their tightest tolerance.

    python benchmarks/ordinary.py

The columns are the relative L2 distance from SciPy (the largest of all unknowns, at 4001 equal times), the estimated
error, windows, processor seconds, and those of SciPy. The first rows have a tolerance (seeds 0, 1, 2), the last ones
the default schedule.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from time import process_time

import numpy as np
import torch
from accuracy import load_problem
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from kanpde import Box, Condition, Problem, diff, initial, solve

TIMES = 4001


@dataclass(frozen=True)
class Case:
    """A problem, and the same for SciPy: u' = right(t, u) with the state ``start``, of which ``shown`` are unknowns."""

    problem: Callable[[], Problem]
    right: Callable[[float, NDArray], Sequence[float]]
    start: tuple[float, ...]
    method: str = "DOP853"
    atol: float = 1e-13
    shown: int | None = None


def oscillator(force: Callable, end: float, start: float) -> Problem:
    """Return u'' + force(t, u, u') = 0 with u(0) = start, u'(0) = 0."""
    domain = Box(t=(0.0, end))
    conditions = {
        "equation": Condition(domain.interior, lambda u: diff(u, "t", "t") + force(*u.coords, u, diff(u, "t"))),
        "start": initial(domain.at(t=0.0), start),
        "rate": initial(domain.at(t=0.0), 0.0, order=1),
    }
    return Problem(domain, conditions)


def robertson(end: float = 40.0) -> Problem:
    """Three chemical reactions with rates 0.04, 1e4 and 3e7 (H. H. Robertson 1966)."""
    domain = Box(t=(0.0, end))

    def rates(a, b, c):
        one, two, three = 0.04 * a, 1e4 * b * c, 3e7 * b * b
        return diff(a, "t") + one - two, diff(b, "t") - one + two + three, diff(c, "t") - three

    start = {f"start of {name}": initial(domain.at(t=0.0), float(name == "a"), name) for name in "abc"}
    return Problem(domain, {"rates": Condition(domain.interior, rates)} | start, ("a", "b", "c"))


def decay() -> Problem:
    """Return u' = -u, u(0) = 1 on [0, 5]."""
    domain = Box(t=(0.0, 5.0))
    equation = Condition(domain.interior, lambda u: diff(u, "t") + u)
    return Problem(domain, {"equation": equation, "start": initial(domain.at(t=0.0), 1.0)})


CASES = {
    "lorenz": Case(
        lambda: load_problem("lorenz"),
        lambda t, u: [10 * (u[1] - u[0]), u[0] * (28 - u[2]) - u[1], u[0] * u[1] - 8 / 3 * u[2]],
        (1.0, 1.0, 1.0),
    ),
    "van_der_pol": Case(
        lambda: load_problem("van_der_pol"),
        lambda t, u: [u[1], 10 * (1 - u[0] ** 2) * u[1] - u[0]],
        (2.0, 0.0),
        shown=1,
    ),
    "robertson": Case(
        robertson,
        lambda t, u: [
            -0.04 * u[0] + 1e4 * u[1] * u[2],
            0.04 * u[0] - 1e4 * u[1] * u[2] - 3e7 * u[1] ** 2,
            3e7 * u[1] ** 2,
        ],
        (1.0, 0.0, 0.0),
        "Radau",
        1e-18,
    ),
    "pendulum": Case(
        lambda: oscillator(lambda t, u, rate: torch.sin(u), 30.0, 3.0),
        lambda t, u: [u[1], -np.sin(u[0])],
        (3.0, 0.0),
        shown=1,
    ),
    "forced": Case(
        lambda: oscillator(lambda t, u, rate: 0.1 * rate + u - torch.cos(2 * t), 50.0, 1.0),
        lambda t, u: [u[1], -0.1 * u[1] - u[0] + np.cos(2 * t)],
        (1.0, 0.0),
        shown=1,
    ),
    "pendulum to 10": Case(
        lambda: oscillator(lambda t, u, rate: torch.sin(u), 10.0, 2.0),
        lambda t, u: [u[1], -np.sin(u[0])],
        (2.0, 0.0),
        shown=1,
    ),
    "decay": Case(
        decay,
        lambda t, u: [-u[0]],
        (1.0,),
    ),
}


@cache
def by_scipy(name: str) -> tuple[NDArray, NDArray, float]:
    """Return the times, the values (unknowns, times) and the seconds of SciPy."""
    case = CASES[name]
    interval = case.problem().domain.ranges[0]
    times, began = np.linspace(*interval, TIMES), process_time()
    found = solve_ivp(case.right, interval, case.start, case.method, times, rtol=1e-13, atol=case.atol)
    return times, found.y[: case.shown], process_time() - began


def row(name: str, tolerance: float | None, seed: int) -> str:
    """Return the figures of a run as a row of a table."""
    times, wanted, seconds = by_scipy(name)
    began = process_time()
    solution = solve(CASES[name].problem(), tolerance=tolerance, seed=seed)
    took = process_time() - began
    found = np.atleast_2d(solution(times))
    distance = float((np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)).max())
    facts = solution.settings
    cells = [name, "default" if tolerance is None else f"{tolerance:.0e}", str(seed), f"{distance:.1e}"]
    cells += [f"{facts['estimate']:.1e}", str(facts.get("windows", "")), f"{took:.1f}", f"{seconds:.2f}"]
    return f"| {' | '.join(cells)} | {solution.ending.end.name.lower()} |"


def main() -> None:
    for name in ("lorenz", "van_der_pol", "robertson", "pendulum", "forced"):
        for seed in (0, 1, 2) if name in ("lorenz", "van_der_pol") else (0,):
            print(row(name, 1e-8, seed), flush=True)
    for name in ("decay", "pendulum to 10"):
        for seed in (0, 1, 2):
            print(row(name, None, seed), flush=True)


if __name__ == "__main__":
    main()
