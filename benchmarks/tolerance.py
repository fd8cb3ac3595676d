"""Runs with a tolerance: what was reached, the estimate beside the true error, and the time.

    python benchmarks/tolerance.py                       all rows, seeds 0-2, one after the other
    python benchmarks/tolerance.py heat peak --seeds 0   some rows
    python benchmarks/tolerance.py --limit 120           seconds of each run

    python benchmarks/tolerance.py --three               1e-3, 1e-5 and 1e-7 on all problems of up to three coordinates

Results are appended to outputs/tolerance.csv, and the estimates of all levels to outputs/tolerance_levels.csv; runs
that are already there are skipped. The tables are printed from these files.
"""

import argparse
import csv
import importlib.util
import warnings
from math import isfinite, nan
from pathlib import Path
from statistics import median
from time import perf_counter

import kanpde
from kanpde import KAN, MLP

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "outputs" / "tolerance.csv"
LEVELS = ROOT / "outputs" / "tolerance_levels.csv"
COLUMNS = ("row", "model", "tolerance", "seed", "end", "error", "estimate", "seconds", "parameters", "levels")
ROWS = {
    "poisson": ("poisson", {}, (1e-3, 1e-5, 1e-7, 1e-9)),
    "heat": ("heat", {}, (1e-3, 1e-5, 1e-7, 1e-9)),
    "helmholtz": ("helmholtz", {}, (1e-3, 1e-5, 1e-7, 1e-9)),
    "helmholtz44": ("helmholtz", {"a1": 4.0, "a2": 4.0}, (1e-6,)),
    "paper": ("poisson", {"solution": "paper"}, (1e-3, 1e-5, 1e-7, 1e-9)),
    "mixed": ("poisson", {"solution": "mixed"}, (1e-3, 1e-5, 1e-7, 1e-9)),
    "peak": ("peak", {}, (1e-3, 1e-5, 1e-6)),
    "advection": ("advection", {}, (1e-3, 1e-5, 1e-8)),
    "advection 80": ("advection", {"c": 80.0}, (1e-6,)),
    "wave": ("wave", {}, (1e-3, 1e-5, 1e-6, 1e-7)),
    "burgers": ("burgers", {}, (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)),
    "allen_cahn": ("allen_cahn", {}, (1e-3, 1e-4)),
    "soliton": ("kdv", {"case": "soliton"}, (1e-3, 1e-5, 1e-6, 1e-7)),
    "two solitons": ("kdv", {"case": "two"}, (1e-4,)),
    "kdv cosine": ("kdv", {"case": "cosine"}, (1e-4,)),
    "kuramoto_sivashinsky": ("kuramoto_sivashinsky", {}, (1e-3,)),
    "poisson5": ("poisson", {"dim": 5}, (1e-6,)),
}
OF_LEVELS = ("row", "model", "tolerance", "seed", "level", "estimate", "error", "seconds", "parameters")
THREE = (1e-3, 1e-5, 1e-7)
MODELS = {"kan": KAN(), "mlp": MLP()}


def problem_of(name, arguments):
    spec = importlib.util.spec_from_file_location(name, ROOT / "problems" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)(**arguments)


def read(path=RESULTS):
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def measure(row, model, tolerance, seed, limit):
    """Carry out one run and append its result."""
    name, arguments, _ = ROWS[row]
    began = perf_counter()
    solution = kanpde.solve(
        problem_of(name, arguments),
        MODELS[model],
        seed=seed,
        tolerance=tolerance,
        time_limit=limit,
        starts=5,
        threads=1,
    )
    estimate = solution.settings.get("estimate")
    values = (
        row,
        model,
        tolerance,
        seed,
        solution.ending.end.name,
        max(errors["l2"] for errors in solution.errors.values()),
        nan if estimate is None else estimate,
        round(perf_counter() - began, 1),
        sum(p.numel() for p in solution.model.parameters()),
        len(solution.levels),
    )
    append(RESULTS, COLUMNS, [values])
    levels = [
        (level.get("estimate", nan), level["l2"], level["seconds"], level["parameters"]) for level in solution.levels
    ]
    append(LEVELS, OF_LEVELS, [(row, model, tolerance, seed, k, *level) for k, level in enumerate(levels)])
    print(*values, flush=True)


def append(path, columns, rows):
    """Append rows to a table, which begins with the names of its columns."""
    path.parent.mkdir(exist_ok=True)
    is_new = not path.is_file()
    with open(path, "a", newline="") as file:
        csv.writer(file).writerows([columns, *rows] if is_new else rows)


def table(results):
    """Print medians over the seeds."""
    print("| row | model | tolerance | reached | error, median (worst) | estimate / error | time | parameters |")
    print("|---|---|---|---|---|---|---|---|")
    groups = {}
    for r in results:
        groups.setdefault((r["row"], r["model"], float(r["tolerance"])), []).append(r)
    for (row, model, tolerance), runs in groups.items():
        errors = [float(r["error"]) for r in runs]
        ratios = [float(r["estimate"]) / float(r["error"]) for r in runs]
        known = sorted(q for q in ratios if isfinite(q))
        span = f"{known[0]:.2g} to {known[-1]:.2g}" if known else "none"
        reached = sum(r["end"] == "TOLERANCE_REACHED" for r in runs)
        seconds, size = (median(float(r[key]) for r in runs) for key in ("seconds", "parameters"))
        print(
            f"| {row} | {model} | {tolerance:g} | {reached} of {len(runs)} | {median(errors):.1e} ({max(errors):.1e}) "
            f"| {span} | {seconds:.0f} s | {size:.0f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["kan"])
    parser.add_argument("--tolerances", type=float, nargs="+", help="instead of those of the rows")
    parser.add_argument(
        "--three", action="store_true", help="the tolerances 1e-3, 1e-5, 1e-7, of every row but poisson5"
    )
    parser.add_argument("--limit", type=float, default=300.0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    tolerances = THREE if given.three else given.tolerances
    rows = [row for row in ROWS if not given.three or "dim" not in ROWS[row][1]]
    for row in given.rows or rows:
        for model in given.models:
            for tolerance in tolerances or ROWS[row][2]:
                for seed in given.seeds:
                    key = (row, model, tolerance, seed)
                    if key not in {(r["row"], r["model"], float(r["tolerance"]), int(r["seed"])) for r in read()}:
                        measure(*key, given.limit)
    table(read())


if __name__ == "__main__":
    main()
