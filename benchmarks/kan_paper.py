"""Fits of the KAN paper (Liu et al., arXiv:2404.19756): special functions (table 2) and toy functions (section 3.1).

    python benchmarks/kan_paper.py special [--seeds 0 1 2] [--models kan mlp]
    python benchmarks/kan_paper.py toys

Targets are noiseless functions on boxes, the condition is u - f at the default training points. Errors are root mean
squares on random test points, divided by the standard deviation of the function there. The paper gives no domains, and
its errors (root mean squares, not divided) are those of its best KAN and of its MLP, of any size; this comparison is
one of orders of magnitude. Results are appended to outputs/kan_paper.csv; rows that are there are skipped.
"""

import argparse
import csv
import warnings
from collections.abc import Callable
from math import pi
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy import special, stats

from kanpde import KAN, LM, MLP, Box, Condition, Phase, Problem, solve

RESULTS = Path(__file__).parents[1] / "outputs" / "kan_paper.csv"
COLUMNS = ("name", "model", "seed", "error", "seconds", "parameters")
TESTS = 20_000
ANGLES = ((0.0, pi), (0.0, 2 * pi))

# function of two coordinates, their ranges, and the errors of the paper's best KAN and MLP
SPECIAL: dict[str, tuple[Callable[..., Any], tuple[tuple[float, float], ...], float, float]] = {
    "ellipj sn(u, m)": (lambda u, m: special.ellipj(u, m)[0], ((0.0, 4.0), (0.0, 0.95)), 1.33e-4, 6.48e-4),
    "ellipkinc(phi, m)": (special.ellipkinc, ((0.0, 1.5), (0.0, 0.95)), 1.24e-4, 5.52e-4),
    "ellipeinc(phi, m)": (special.ellipeinc, ((0.0, 1.5), (0.0, 0.95)), 8.26e-5, 3.04e-4),
    "jv(v, x)": (special.jv, ((0.0, 4.0), (0.5, 10.0)), 1.64e-3, 5.52e-3),
    "yv(v, x)": (special.yv, ((0.0, 2.0), (1.0, 10.0)), 1.49e-5, 3.45e-4),
    "kv(v, x)": (special.kv, ((0.0, 2.0), (1.0, 4.0)), 2.52e-5, 1.67e-4),
    "iv(v, x)": (special.iv, ((0.0, 4.0), (0.5, 5.0)), 9.28e-3, 1.07e-2),
    "lpmv m = 0": (lambda v, x: special.lpmv(0, v, x), ((1.0, 4.0), (-0.5, 0.9)), 5.25e-5, 1.74e-2),
    "lpmv m = 1": (lambda v, x: special.lpmv(1, v, x), ((1.0, 4.0), (-0.5, 0.9)), 6.90e-4, 1.50e-3),
    "lpmv m = 2": (lambda v, x: special.lpmv(2, v, x), ((1.0, 4.0), (-0.5, 0.9)), 2.26e-4, 9.43e-4),
    "Y(0, 1)": (lambda t, p: special.sph_harm_y(1, 0, t, p).real, ANGLES, 2.21e-7, 1.25e-6),
    "Y(1, 1)": (lambda t, p: special.sph_harm_y(1, 1, t, p).real, ANGLES, 1.22e-4, 6.70e-4),
    "Y(0, 2)": (lambda t, p: special.sph_harm_y(2, 0, t, p).real, ANGLES, 1.95e-7, 2.85e-6),
    "Y(1, 2)": (lambda t, p: special.sph_harm_y(2, 1, t, p).real, ANGLES, 1.50e-5, 1.84e-3),
    "Y(2, 2)": (lambda t, p: special.sph_harm_y(2, 2, t, p).real, ANGLES, 9.45e-5, 6.21e-4),
}
MODELS = {"kan": KAN([5]), "mlp": MLP([17, 17])}  # 390 parameters at the end of the schedule, and 375

# function, ranges, shape of the KAN, grids
TOYS: dict[str, tuple[Callable[..., Any], tuple[tuple[float, float], ...], list, list[int]]] = {
    "J0(20 x), KAN [1, 1]": (
        lambda x: special.j0(20 * x),
        ((-1.0, 1.0),),
        [],
        [5, 10, 20, 50, 100, 200, 500, 1000],
    ),
    "exp(sin pi x + y^2), KAN [2, 1, 1]": (
        lambda x, y: np.exp(np.sin(pi * x) + y**2),
        ((-1.0, 1.0), (-1.0, 1.0)),
        [1],
        [3, 5, 10, 20, 50, 100],
    ),
    "x y, KAN [2, 2, 1]": (lambda x, y: x * y, ((-1.0, 1.0), (-1.0, 1.0)), [2], [3, 5, 10, 20, 50]),
}
DEGREES = (3, 5)
ROUNDING = 1e-10  # errors below it are left out of the regression


def fitting(f: Callable[..., Any], ranges: tuple[tuple[float, float], ...]) -> Problem:
    """Return the problem u = f on a box."""
    domain = Box(**dict(zip("xyz", ranges, strict=False)))

    def residual(u):
        coords = [c.value.cpu().numpy() for c in u.coords]
        return u - torch.as_tensor(f(*coords), dtype=u.value.dtype, device=u.value.device)

    return Problem(domain, {"data": Condition(domain.interior, residual)})


def error_of(solution: Any, f: Callable[..., Any], ranges: tuple[tuple[float, float], ...]) -> float:
    """Return the root mean square error on random points, divided by the standard deviation of f."""
    lower, upper = np.array(ranges).T
    x = (lower + (upper - lower) * np.random.default_rng(7).uniform(size=(TESTS, len(ranges)))).T
    wanted = f(*x)
    return float(np.sqrt(np.mean((solution(*x) - wanted) ** 2)) / wanted.std())


def read() -> list[dict[str, str]]:
    if not RESULTS.is_file():
        return []
    with open(RESULTS, newline="") as file:
        return list(csv.DictReader(file))


def special_functions(seeds: list[int], models: list[str]) -> None:
    """Fit the special functions, and print a table of medians over the seeds."""
    RESULTS.parent.mkdir(exist_ok=True)
    for name, (f, ranges, *_) in SPECIAL.items():
        for model in models:
            for seed in seeds:
                if any((r["name"], r["model"], int(r["seed"])) == (name, model, seed) for r in read()):
                    continue
                began = perf_counter()
                solution = solve(fitting(f, ranges), MODELS[model], seed=seed)
                seconds, is_new = perf_counter() - began, not RESULTS.is_file()
                size = sum(p.numel() for p in solution.model.parameters())
                row = (name, model, seed, error_of(solution, f, ranges), round(seconds, 1), size)
                with open(RESULTS, "a", newline="") as file:
                    csv.writer(file).writerows([COLUMNS, row] if is_new else [row])
                print(*row, flush=True)
    heads = [f"{model}: median (worst), seconds" for model in models]
    print(f"| function | {' | '.join(heads)} | paper: best KAN | MLP |\n|{'---|' * (len(models) + 3)}")
    for name, (*_, kan, mlp) in SPECIAL.items():
        cells = []
        for model in models:
            rows = [r for r in read() if (r["name"], r["model"]) == (name, model)]
            errors, seconds = ([float(r[key]) for r in rows] for key in ("error", "seconds"))
            cells.append(f"{median(errors):.1e} ({max(errors):.1e}), {median(seconds):.0f}" if rows else "-")
        print(f"| {name} | {' | '.join(cells)} | {kan:.1e} | {mlp:.1e} |")


def toys() -> None:
    """Fit the toy functions on fixed grids, and print the errors with the slope of a regression."""
    print("| function | degree | errors by grid | slope (95 %) |\n|---|---|---|---|")
    for name, (f, ranges, hidden, grids) in TOYS.items():
        for degree in DEGREES:
            problem, errors = fitting(f, ranges), []
            for grid in grids:
                # refined from a coarse grid, as in the paper: a fine one alone does not train
                steps = [each for each in grids if each <= grid] if hidden else [grid]
                phases = [Phase(LM(), steps=60, grid=steps[0])]
                phases += [Phase(LM(), steps=60, grid=each) for each in steps[1:]]
                solution = solve(problem, KAN(hidden, degree=degree, grid=steps[0]), phases, starts=3 if hidden else 1)
                errors.append(error_of(solution, f, ranges))
            above = [(g, e) for g, e in zip(grids, errors, strict=True) if e > ROUNDING][2:]
            fit = np.asarray(stats.linregress(*np.log(above).T)) if len(above) > 2 else None
            slope = "-"
            if fit is not None:
                slope = f"{fit[0]:.2f} ± {stats.t.ppf(0.975, len(above) - 2) * fit[4]:.2f}"
            told = ", ".join(f"{g}: {e:.1e}" for g, e in zip(grids, errors, strict=True))
            print(f"| {name} | {degree} | {told} | {slope} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["special", "toys"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["kan"])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.what == "special":
        special_functions(given.seeds, given.models)
    else:
        toys()


if __name__ == "__main__":
    main()
