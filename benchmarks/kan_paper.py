"""Fits of the KAN paper (Liu et al., arXiv:2404.19756): special functions, Feynman's formulas, toy functions.

    python benchmarks/kan_paper.py special [--seeds 0 1 2] [--models kan mlp]
    python benchmarks/kan_paper.py feynman [--seeds 0 1 2]
    python benchmarks/kan_paper.py toys [--seeds 0]
    python benchmarks/kan_paper.py large [--seeds 0]
    python benchmarks/kan_paper.py pykan [--seeds 1] [--limit 300] [--cache DIR]

Targets are noiseless functions on boxes, the condition is u - f at the training points. Errors are root mean squares on
random test points, divided by the standard deviation of the function there. Seconds are those of the processor, for one
thread. Results are appended to outputs/kan_paper.csv; fits that are there are skipped, so that a run can be continued.
"""

import argparse
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from feynman_table import FEYNMAN, numeric
from paper_fits import Results, fitting, level, tests
from paper_functions import LARGE, SCALING, SPECIAL, Toy
from paper_pykan import compare
from scipy import stats

from kanpde import KAN, LM, MLP, Phase, Sampling, solve

# special functions, with the default schedule: 390 parameters of the KAN at the end, and 375 of the MLP
MODELS = {"kan": KAN([5]), "mlp": MLP([17, 17])}
STARTS = 3  # of the toy functions
DEGREES = (3, 5)
ROUNDING = 1e-10  # errors below it are left out of the regression


def of_inputs(count: int) -> dict[str, Any]:
    """Return the network and the schedule for a formula, by the number of its inputs; at most 1000 parameters.

    One hidden layer has four sums and two products of two factors; with more than two inputs it has four products. The
    points are Gauss's in two coordinates; in more, Sobol's, of which every coordinate has more different values.
    """
    if count <= 2:
        phases = [level(20, 1024, "gauss"), level(40, 1024, "gauss", move_knots=True)]
        phases.append(level(60, 1600, "gauss", refine=2, move_knots=True))
        return {"model": KAN([[4, 2]]), "phases": phases, "starts": 2}
    phases = [level(20, 2048), level(80, 4096, move_knots=True)]
    return {"model": KAN([[4, 4]], grid=4 if count == 3 else 2), "phases": phases, "starts": 2}


def four_coordinates() -> dict[str, Any]:
    """Return the network and the schedule for the toy function of four coordinates."""
    levels = [level(20, 2048, move_knots=True), level(15, 2048, refine=2)]
    levels += [level(40, 4096, refine=2), level(40, 8192, refine=2)]
    return {"model": KAN([4, 1]), "phases": [level(60, 1024), *levels], "starts": 10}


def hundred_coordinates() -> dict[str, Any]:
    """Return the network and the schedule for the toy function of a hundred coordinates."""
    phases = [level(20, 2048), level(15, 2048, move_knots=True), level(50, 4096, refine=4)]
    return {"model": KAN([1], grid=2), "phases": phases, "starts": 1}


def cell(rows: Sequence[dict[str, str]]) -> str:
    """Return the median of the errors, the worst, and the median of the seconds."""
    if not rows:
        return "-"
    errors, seconds = ([float(row[key]) for row in rows] for key in ("error", "processor"))
    return f"{median(errors):.1e} ({max(errors):.1e}), {median(seconds):.0f}"


def special_functions(seeds: list[int], models: list[str], only: list[str]) -> None:
    """Fit the special functions, and print a table of medians over the seeds."""
    results = Results()
    for name, row in SPECIAL.items():
        for model in models if name in only or not only else []:
            for seed in seeds:
                results.fit(name, model, seed, row.function, row.ranges, model=MODELS[model])
    heads = [f"{model}: median (worst), seconds" for model in models]
    print(f"| function | {' | '.join(heads)} | paper: best KAN | MLP |\n|{'---|' * (len(models) + 3)}")
    for name, row in SPECIAL.items():
        cells = [cell(results.rows(name, model)) for model in models]
        print(f"| {name} | {' | '.join(cells)} | {row.kan:.1e} | {row.mlp:.1e} |")


def formulas(seeds: list[int], only: list[str]) -> None:
    """Fit Feynman's formulas, and print a table beside the figures of the paper, with geometric means."""
    results, label = Results(), "feynman"
    for seed in seeds:
        for name in only or FEYNMAN:
            row = FEYNMAN[name]
            results.fit(name, label, seed, numeric(row), list(row.ranges.values()), **of_inputs(len(row.ranges)))
    print("| formula | inputs | parameters | median (worst), seconds | paper: human KAN | pruned | unpruned | MLP |")
    print(f"|{'---|' * 8}")
    middle = []
    for name, row in FEYNMAN.items():
        if not (found := results.rows(name, label)):
            continue
        middle.append([median(float(each["error"]) for each in found), *row.paper])
        paper = " | ".join(f"{figure:.1e}" for figure in row.paper)
        print(f"| {name} | {len(row.ranges)} | {found[0]['parameters']} | {cell(found)} | {paper} |")
    means = " | ".join(f"{mean:.1e}" for mean in np.exp(np.log(middle).mean(axis=0)))
    print(f"| geometric mean of {len(middle)} | | | {means} |")


def sampling_of(toy: Toy, grid: int) -> Sampling:
    """Return the points for a grid.

    A fine grid needs more values of every coordinate than a tensor of points has, and points in the cells at the ends
    of the hidden variables, where these have few values: with 30 points a cell the network overfits there.
    """
    return Sampling("sobol", max(toy.least, toy.density * grid)) if toy.hidden else Sampling()


def scaling(name: str, toy: Toy, degree: int, seed: int) -> str:
    """Fit a toy function on finer and finer grids, and return the errors with the slope of a regression."""
    phases = [
        Phase(LM(), steps=400, window=20, least=0.1, grid=grid, sampling=sampling_of(toy, grid)) for grid in toy.grids
    ]
    problem, starts = fitting(toy.function, toy.ranges, is_measured=True), STARTS if toy.hidden else 1
    solution = solve(problem, KAN(toy.hidden, degree=degree, grid=toy.grids[0]), phases, starts=starts, seed=seed)
    wanted = tests(toy.function, toy.ranges)[1]
    scale = np.sqrt(np.mean(wanted**2)) / wanted.std()  # the levels have errors relative to the root mean square
    errors = [scale * row["l2"] for row in solution.levels]  # fewer than grids if a phase was taken back
    above = [(g, e) for g, e in zip(toy.grids, errors, strict=False) if e > ROUNDING][2:]
    slope = "-"
    if len(above) > 2:
        fit: Any = stats.linregress(*np.log(above).T)
        slope = f"{fit.slope:.2f} ± {stats.t.ppf(0.975, len(above) - 2) * fit.stderr:.2f}"
    told = ", ".join(f"{g}: {e:.1e}" for g, e in zip(toy.grids, errors, strict=False))
    return f"| {name} | {degree} | {told} | {slope} |"


def toys(seeds: list[int]) -> None:
    """Fit the toy functions of one and two coordinates, and print the errors by grid."""
    print("| function | degree | errors by grid | slope (95 %) |\n|---|---|---|---|")
    for name, toy in SCALING.items():
        for degree in DEGREES:
            for seed in seeds:
                print(scaling(name, toy, degree, seed), flush=True)


def large(seeds: list[int], only: list[str]) -> None:
    """Fit the toy functions of four and a hundred coordinates."""
    results = Results()
    for (name, (f, ranges)), options in zip(LARGE.items(), (four_coordinates, hundred_coordinates), strict=True):
        for seed in seeds if name in only or not only else []:
            results.fit(name, "toy", seed, f, ranges, **options())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["special", "feynman", "toys", "large", "pykan"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["kan"])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="fit these; the table has all results")
    parser.add_argument("--limit", type=float, default=300.0, help="of pykan: it begins no grid after so many seconds")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "kanpde-peers")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.what == "special":
        special_functions(given.seeds, given.models, given.only)
    elif given.what == "feynman":
        formulas(given.seeds, given.only)
    elif given.what == "toys":
        toys(given.seeds)
    elif given.what == "large":
        large(given.seeds, given.only)
    else:
        compare(given.cache, given.seeds, given.limit, given.only)


if __name__ == "__main__":
    main()
