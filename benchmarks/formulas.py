# pyright: reportReturnType=false, reportOperatorIssue=false, reportAssignmentType=false
# the types that sympy declares are too wide
"""Formulas read off networks: how often the right one is found, and what is found where there is none.

    python benchmarks/formulas.py hellokan|noisy|pde|none|scale|feynman [--seeds 0 1 2] [--rows NAME ...]

- hellokan: exp(sin πx + y²) from 1000 noiseless samples, [2, 2, 1]; noisy: with 1 % of noise.
- pde: Poisson's equation of the KAN paper, heat, Helmholtz and a reaction problem, from the equations alone.
- none: white noise, samples of a random network, Allen-Cahn at t = 1: there is no formula.
- scale: exp(sin πx + y²) with u times 1e-6 and x times 1e3.
- feynman: the 27 rows of the KAN paper's table 2, fitted as in kan_paper.py.

A formula is right if sympy reduces its difference from the target to 0, or for noisy data with its free constants
replaced by those of the target. Results are appended to outputs/formulas.csv; rows that are there are skipped.
"""

import argparse
import csv
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import sympy
import torch
from feynman_table import FEYNMAN, Row, numeric
from kan_paper import of_inputs
from paper_fits import fitting
from torch import exp, sin

from kanpde import KAN, Box, Condition, Problem, Solution, dirichlet, divergence, fit, gradient, solve
from kanpde.formulas import Formula, Status, formula

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
RESULTS = ROOT / "outputs" / "formulas.csv"
COLUMNS = ("what", "name", "seed", "error", "solve_s", "read_s", "status", "is_right", "formula")
x, y, t = (sympy.Symbol(name, real=True) for name in "xyt")
HELLO = sympy.exp(sympy.sin(sympy.pi * x) + y**2)
Case = tuple[str, Callable[[int], tuple[Solution, dict[str, float]]], sympy.Expr | None]


def hello(seed: int, noise: float = 0.0, of_u: float = 1.0, of_x: float = 1.0) -> Solution:
    """Fit samples of exp(sin πx + y²)."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(-1, 1, (1000, 2))
    u = np.exp(np.sin(np.pi * at[:, 0]) + at[:, 1] ** 2)
    u += noise * u.std() * rng.standard_normal(1000)
    return fit(at * of_x, u * of_u, KAN([2]), seed=seed)


def reaction() -> Problem:
    """The example of the README: div((1 + x) grad u) - u³ = f, u = exp(x) sin(y)."""
    domain = Box(x=(0.0, 1.0), y=(0.0, 1.0))

    def exact(x, y):
        return exp(x) * sin(y)

    def residual(u):
        x, y = u.coords
        source = exp(x) * sin(y) - (exp(x) * sin(y)) ** 3
        return divergence((1 + x) * gradient(u)) - u**3 - source

    conditions = {"pde": Condition(domain.interior, residual), "boundary": dirichlet(domain.boundary, exact)}
    return Problem(domain, conditions, exact=exact)


def equations() -> list[tuple[str, Problem, sympy.Expr]]:
    from problems.heat import heat
    from problems.helmholtz import helmholtz
    from problems.poisson import poisson

    pi, wave = sympy.pi, sympy.sin
    return [
        ("poisson", poisson(solution="paper"), wave(pi * x) * wave(pi * y**2)),
        ("heat", heat(), sympy.exp(-(pi**2) * t / 10) * wave(pi * x)),
        ("helmholtz", helmholtz(), wave(pi * x) * wave(4 * pi * y)),
        ("reaction", reaction(), sympy.exp(x) * wave(y)),
    ]


def cases(what: str) -> Iterator[Case]:
    """Yield the cases: name, function from the seed to a solution and to held coordinates, and target."""
    if what in ("hellokan", "noisy"):
        noise = 0.01 if what == "noisy" else 0.0
        yield "exp(sin pi x + y^2)", lambda seed: (hello(seed, noise), {}), HELLO
    if what == "pde":
        for name, problem, target in equations():
            yield name, lambda seed, problem=problem: (solve(problem, seed=seed, starts=1), {}), target
    if what == "scale":
        yield "u 1e-6", lambda seed: (hello(seed, of_u=1e-6), {}), HELLO / 10**6
        yield (
            "x 1e3",
            lambda seed: (hello(seed, of_x=1e3), {}),
            HELLO.subs({x: x / 1000, y: y / 1000}, simultaneous=True),
        )
    if what == "none":
        from problems.allen_cahn import allen_cahn

        yield "white noise", lambda seed: (fit(*noise_rows(seed), KAN([3]), seed=seed), {}), None
        yield "random network", lambda seed: (fit(*network_rows(seed), KAN([5]), seed=seed), {}), None
        yield "Allen-Cahn, t = 1", lambda seed: (solve(allen_cahn(), seed=seed, tolerance=1e-3), {"t": 1.0}), None
    if what == "feynman":
        for name, row in FEYNMAN.items():
            yield name, lambda seed, row=row: (feynman(row, seed), {}), row.target


def noise_rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (1000, 2)), rng.standard_normal(1000)


def network_rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return samples of an untrained KAN."""
    at = np.random.default_rng(seed).uniform(-1, 1, (1000, 2))
    network = KAN([5])([(-1.0, 1.0)] * 2, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return at, network(torch.as_tensor(at)).numpy()[:, 0]


def feynman(row: Row, seed: int) -> Solution:
    """Fit a formula as `kan_paper.py` does, from its values all over its box."""
    ranges = list(row.ranges.values())
    return solve(fitting(numeric(row), ranges, list(row.ranges)), seed=seed, **of_inputs(len(ranges)))


def is_right(found: Formula, target: sympy.Expr | None, is_noisy: bool) -> bool:
    """Return whether a formula is the target, up to free constants if the data are noisy; the coordinates may be named
    x1, x2, ... in the order of the target's."""
    if target is None:
        return found.status is Status.NONE
    if not found.found:
        return False
    given = [str(s) for s in found.symbols]
    order = [x, y] if given == ["x1", "x2"] else []  # the names of columns in `kanpde.fit`
    renamed = target.subs(dict(zip(order, found.symbols, strict=False)), simultaneous=True)
    expression = found.expression
    if is_noisy:
        expression = expression.xreplace({n: nearest(n) for n in expression.atoms(sympy.Float)})
    same = {s: sympy.Symbol(str(s), positive=True) for s in (expression.free_symbols | renamed.free_symbols)}
    return reduces(expression.xreplace(same) - renamed.xreplace(same))


def nearest(number: sympy.Float) -> sympy.Expr:
    """Return π, -π or the nearest integer within 2 %, else the number."""
    near = [
        each for each in (sympy.pi, -sympy.pi, sympy.Integer(round(number))) if abs(each - number) < 0.02 * abs(number)
    ]
    return near[0] if near else number


def reduces(difference: sympy.Expr) -> bool:
    for reduce in (sympy.expand, sympy.simplify, lambda e: sympy.simplify(e.rewrite(sympy.exp)), sympy.trigsimp):
        difference = reduce(difference)
        if difference == 0:
            return True
    return False


def read() -> list[dict[str, str]]:
    if not RESULTS.is_file():
        return []
    with open(RESULTS, newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["hellokan", "noisy", "pde", "none", "scale", "feynman"])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--rows", nargs="*", default=[])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    RESULTS.parent.mkdir(exist_ok=True)
    for seed in given.seeds:
        for name, make, target in cases(given.what):
            if given.rows and name not in given.rows:
                continue
            if any((r["what"], r["name"], int(r["seed"])) == (given.what, name, seed) for r in read()):
                continue
            began = perf_counter()
            solution, at = make(seed)
            solved = perf_counter()
            found = formula(solution, at=at, time_limit=60)
            ended = perf_counter()
            right = is_right(found, target, given.what == "noisy")
            error = solution.errors.get("u", {}).get("l2", float("nan"))
            seconds = round(solved - began, 1), round(ended - solved, 1)
            row = (given.what, name, seed, error, *seconds, found.status.value, right, str(found))
            is_new = not RESULTS.is_file()
            with open(RESULTS, "a", newline="") as file:
                csv.writer(file).writerows([COLUMNS, row] if is_new else [row])
            print(*row, flush=True)


if __name__ == "__main__":
    main()
