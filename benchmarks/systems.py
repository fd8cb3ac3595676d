"""Errors of systems with vector unknowns: flows, elasticity, two species.

    python benchmarks/systems.py                          all rows, seeds 0-2, one after the other
    python benchmarks/systems.py kovasznay --seeds 0      some rows

Rows are files of problems/ with the network below. Levenberg-Marquardt: 40 steps for every start, then the phases of
the default schedule up to the row's grid. Errors are relative L2 norms at test points, which are no training points; of
the cavity they are differences from the elements of Taylor and Hood. Seconds are wall time and processor time of one
thread in float64, with the measurement of errors. Results are appended to outputs/systems.csv; runs that are already
there are skipped.
"""

import argparse
import csv
import importlib.util
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from kanpde import KAN, LM, Phase, Problem, solve
from kanpde.models.spikan import SPIKAN

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "outputs" / "systems.csv"
COLUMNS = ("row", "seed", "error", "errors", "seconds", "processor", "parameters", "points", "steps", "end")


@dataclass(frozen=True)
class Row:
    """A problem of the table, its network, the number of starts and the refinements of the phases after the first."""

    problem: str
    model: Any
    starts: int = 2
    refinements: tuple[int, ...] = (1, 2)
    first: int = 40
    steps: int = 120


ROWS = {
    "kovasznay": Row("kovasznay", SPIKAN(products=4), refinements=(1, 2, 2)),
    "kovasznay default": Row("kovasznay", KAN(), starts=5, refinements=(1, 2, 2)),
    "taylor_green": Row("taylor_green", SPIKAN(products=8), starts=1),
    "elasticity": Row("elasticity", SPIKAN(products=6), starts=1, refinements=(1,)),
    "reaction_diffusion": Row("reaction_diffusion", SPIKAN(products=4), starts=1),
    "cavity": Row("cavity", KAN([8], degree=7), starts=1, steps=60),
}


def problem_of(name: str) -> Problem:
    """Return the problem of a file."""
    spec = importlib.util.spec_from_file_location(f"problem_{name}", ROOT / "problems" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)()


def read() -> list[dict[str, str]]:
    if not RESULTS.is_file():
        return []
    with open(RESULTS, newline="") as file:
        return list(csv.DictReader(file))


def measure(name: str, seed: int) -> None:
    """Carry out one run and append its result."""
    row = ROWS[name]
    later = [Phase(LM(), steps=row.steps, refine=r, move_knots=True, window=20, least=0.5) for r in row.refinements]
    began, busy = perf_counter(), process_time()
    phases = [Phase(LM(), steps=row.first), *later]
    solution = solve(problem_of(row.problem), row.model, phases, starts=row.starts, seed=seed)
    seconds, busy = perf_counter() - began, process_time() - busy
    errors = {unknown: each["l2"] for unknown, each in solution.errors.items()}
    values = (
        name,
        seed,
        max(errors.values()),
        ", ".join(f"{unknown} {error:.1e}" for unknown, error in errors.items()),
        round(seconds, 1),
        round(busy, 1),
        sum(p.numel() for p in solution.model.parameters()),
        sum(solution.settings["points"].values()),
        len(solution.history),
        solution.ending.end.name,
    )
    RESULTS.parent.mkdir(exist_ok=True)
    is_new = not RESULTS.is_file()
    with open(RESULTS, "a", newline="") as file:
        csv.writer(file).writerows([COLUMNS, values] if is_new else [values])
    print(*values, flush=True, file=sys.stderr)


def table(results: list[dict[str, str]]) -> None:
    """Print the medians and the worst of the seeds."""
    headings = ["row", "error, median (worst)", "of every unknown, in the worst run", "processor time, median (worst)"]
    headings += ["parameters", "points", "seeds"]
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    for row in dict.fromkeys(each["row"] for each in results):
        runs = sorted((each for each in results if each["row"] == row), key=lambda each: float(each["error"]))
        errors, busy = ([float(each[key]) for each in runs] for key in ("error", "processor"))
        print(
            f"| {row} | {median(errors):.1e} ({errors[-1]:.1e}) | {runs[-1]['errors']} | {median(busy):.0f} s "
            f"({max(busy):.0f} s) | {runs[-1]['parameters']} | {runs[-1]['points']} | {len(runs)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"unknown rows {', '.join(sorted(unknown))}; choose from {', '.join(ROWS)}")
    warnings.simplefilter("ignore")
    rows = given.rows or list(ROWS)
    for name in rows:
        for seed in given.seeds:
            if (name, str(seed)) not in {(each["row"], each["seed"]) for each in read()}:
                measure(name, seed)
    table([each for each in read() if each["row"] in rows])


if __name__ == "__main__":
    main()
