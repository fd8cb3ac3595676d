"""Errors on shapes: the default schedule, or runs with a tolerance.

    python benchmarks/shapes.py                                   all rows, seeds 0-2, one after the other
    python benchmarks/shapes.py annulus plate --seeds 0           some rows
    python benchmarks/shapes.py annulus flower plate --tolerance 1e-6

annulus, flower (r = 1 + 0.3 cos 5θ) and holes (a square with four holes) are Poisson's equation with the solution of
problems/annulus.py; the other rows are files of problems/. Rows with _hard have built-in values. Errors are relative L2
norms at test points, which are no training points, the largest of all unknowns; estimates are those of a run with a
tolerance. Seconds are wall time and processor time of one thread in float64, with the measurement of errors. Results
are appended to outputs/shapes.csv; runs that are already there are skipped. Rows whose problem is not there are named
and left out.
"""

import argparse
import csv
import importlib.util
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite, nan
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

import kanpde
from kanpde import KAN, Condition, Curve, Disk, Problem, Rectangle, Solution, dirichlet, laplacian

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "outputs" / "shapes.csv"
COLUMNS = (
    *("row", "tolerance", "seed", "end", "error", "errors", "estimate", "seconds", "processor"),
    *("parameters", "points", "extra"),
)


@dataclass(frozen=True)
class Row:
    """A problem of the table: a file of problems/ or a function that makes it, its network, and a further result."""

    problem: str | Callable[[], Problem]
    hidden: int = 8
    extra: Callable[[Solution], str] = lambda solution: ""
    arguments: tuple[tuple[str, Any], ...] = ()
    constraints: str = "soft"


def module_of(name: str) -> Any:
    """Return the module of a problem's file."""
    spec = importlib.util.spec_from_file_location(f"problem_{name}", ROOT / "problems" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def smooth(domain: Any) -> Problem:
    """Return Poisson's equation on a shape with the solution of the annulus."""
    of = module_of("annulus")
    conditions = {
        "pde": Condition(domain.interior, lambda u: laplacian(u) - of.source(*u.coords)),
        "boundary": dirichlet(domain.boundary, of.exact),
    }
    return Problem(domain, conditions, exact=of.exact)


def flower() -> Problem:
    return smooth(Curve.polar(lambda angle: 1 + 0.3 * np.cos(5 * angle), name="flower"))


def holes() -> Problem:
    square = Rectangle((-1.0, 1.0), (-1.0, 1.0))
    for k, (x, y) in enumerate([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)], start=1):
        square = square - Disk((x, y), 0.2, name=f"hole {k}")
    return smooth(square)


def shell() -> Problem:
    """Return the problem of the ball with given values that are those of the solution on the outer wall only."""
    of = module_of("ball").ball()

    def values(x, y, z):
        return (x * x + y * y + z * z) * of.exact(x, y, z)

    return replace(of, conditions={**of.conditions, "outer": dirichlet(of.domain.part("outer"), values)})


def concentration(solution: Solution) -> str:
    """The stress concentration at the hole of a plate, which is 3."""
    return f"concentration 3 {module_of('plate_with_hole').concentration(solution) - 3:+.1e}"


def corner(solution: Solution) -> str:
    """The factor of the corner's function, if it is a coefficient."""
    return ", ".join(f"{name} = {value:.10g}" for name, value in solution.coefficients.items())


ROWS = {
    "annulus": Row("annulus"),
    "flower": Row(flower),
    "holes": Row(holes),
    "plate": Row("plate_with_hole", 8, concentration),
    "heat": Row("cooling", 6),
    "ball": Row("ball"),
    "lshape": Row("lshape", extra=corner),
    "lshape_plain": Row("lshape", arguments=(("corner", "none"),)),
    "interface": Row("interface"),
    "bracket": Row("bracket"),
    "annulus_hard": Row("annulus", constraints="hard"),
    "heat_hard": Row("cooling", 6, constraints="hard"),
    "ball_hard": Row(shell, constraints="hard"),
}


def problem_of(row: Row) -> Problem:
    """Return the problem of a row."""
    if callable(row.problem):
        return row.problem()
    return getattr(module_of(row.problem), row.problem)(**dict(row.arguments))


def read() -> list[dict[str, str]]:
    if not RESULTS.is_file():
        return []
    with open(RESULTS, newline="") as file:
        return list(csv.DictReader(file))


def measure(name: str, tolerance: float | None, seed: int, limit: float) -> None:
    """Carry out one run and append its result."""
    row = ROWS[name]
    began, busy = perf_counter(), process_time()
    solution = kanpde.solve(
        problem_of(row),
        KAN([row.hidden]),
        seed=seed,
        tolerance=tolerance,
        time_limit=limit,
        starts=5,
        threads=1,
        constraints=row.constraints,
    )
    seconds, busy = perf_counter() - began, process_time() - busy
    errors = {unknown: e["l2"] for unknown, e in solution.errors.items()}
    values = (
        name,
        tolerance or "",
        seed,
        solution.ending.end.name,
        max(errors.values(), default=nan),
        ", ".join(f"{unknown} {error:.1e}" for unknown, error in errors.items()),
        solution.settings.get("estimate") or nan,
        round(seconds, 1),
        round(busy, 1),
        sum(p.numel() for p in solution.model.parameters()),
        sum(solution.settings["points"].values()),
        row.extra(solution),
    )
    RESULTS.parent.mkdir(exist_ok=True)
    is_new = not RESULTS.is_file()
    with open(RESULTS, "a", newline="") as file:
        csv.writer(file).writerows([COLUMNS, values] if is_new else [values])
    print(*values, flush=True, file=sys.stderr)


def table(results: list[dict[str, str]]) -> None:
    """Print the medians and the worst of the seeds."""
    headings = ["row", "tolerance", "error, median (worst)", "of every unknown", "estimate / error", "reached"]
    headings += ["time (processor), median", "slowest", "parameters", "points", "seeds", "further"]
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for each in results:
        groups.setdefault((each["row"], each["tolerance"]), []).append(each)
    for (row, tolerance), runs in groups.items():
        errors = [float(r["error"]) for r in runs]
        ratios = sorted(q for r in runs if isfinite(q := float(r["estimate"]) / float(r["error"])))
        span = f"{ratios[0]:.2g} to {ratios[-1]:.2g}" if ratios else "-"
        reached = f"{sum(r['end'] == 'TOLERANCE_REACHED' for r in runs)} of {len(runs)}" if tolerance else "-"
        wall, busy, size, points = (
            median(float(r[key]) for r in runs) for key in ("seconds", "processor", "parameters", "points")
        )
        slowest = max(float(r["processor"]) for r in runs)
        worst = max(runs, key=lambda r: float(r["error"]))
        print(
            f"| {row} | {tolerance or '-'} | {median(errors):.1e} ({max(errors):.1e}) | {worst['errors']} | {span} | "
            f"{reached} | {wall:.0f} s ({busy:.0f} s) | {slowest:.0f} s | {size:.0f} | {points:.0f} | {len(runs)} | "
            f"{'; '.join(dict.fromkeys(r['extra'] for r in runs if r['extra'])) or '-'} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tolerance", type=float, help="a wanted error instead of the default schedule")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds of each run")
    given = parser.parse_args()
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"unknown rows {', '.join(sorted(unknown))}; choose from {', '.join(ROWS)}")
    warnings.simplefilter("ignore")
    rows = given.rows or list(ROWS)
    for name in rows:
        file = ROWS[name].problem
        if isinstance(file, str) and not (ROOT / "problems" / f"{file}.py").is_file():
            print(f"{name}: left out, because there is no problems/{file}.py.", file=sys.stderr)
            continue
        for seed in given.seeds:
            key = name, str(given.tolerance or ""), str(seed)
            if key not in {(r["row"], r["tolerance"], r["seed"]) for r in read()}:
                measure(name, given.tolerance, seed, given.limit)
    table([r for r in read() if r["row"] in rows])


if __name__ == "__main__":
    main()
