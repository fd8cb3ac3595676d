"""Results of the classical solvers for increasing sizes, for comparison at equal error and at equal time."""

import csv
from collections.abc import Callable, Iterator, Sequence
from math import isfinite, log2, nan
from pathlib import Path
from typing import Any

from kanpde.classical.collocation import METHOD, collocate
from kanpde.classical.elements import finite_elements
from kanpde.classical.reference import MARGIN, Reference
from kanpde.classical.solution import ClassicalSolution
from kanpde.errors import Code, InputError
from kanpde.problem import Problem
from kanpde.residuals.accuracy import largest

Row = dict[str, Any]
COLUMNS = ("method", "degree", "unknowns", "seconds", "l2", "h1", "max", "note")
DEGREES = (4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128)
CELLS = {1: tuple(2**k for k in range(1, 13)), 2: tuple(2**k for k in range(1, 9)), 3: (2, 3, 4, 6, 8, 12, 16, 24)}
LIMIT = 30.0  # time limit of one solve in seconds
MEMORY = 4e9  # memory limit of one solve in bytes
REPEATS = 5  # repetitions of a solve shorter than BRIEF seconds; the least time counts
BRIEF = 0.2
ROUNDING = 1e-9  # errors below it that no longer decrease are rounding errors

DOUBTFUL = "not reliable, the reference is not ten times as accurate"

Solver = Callable[[Problem, int], ClassicalSolution]


def solvers() -> dict[str, tuple[Solver, int]]:
    """By method, the solver, called with a problem and a size, and its element degree (0: the size is the degree)."""
    return {
        METHOD: (collocate, 0),
        "scikit-fem P2": (lambda problem, cells: finite_elements(problem, 2, cells), 2),
        "scikit-fem P4": (lambda problem, cells: finite_elements(problem, 4, cells), 4),
    }


def classical_rows(
    problem: Problem,
    target_error: float | None = None,
    seconds: float | None = None,
    reference: Reference | None = None,
) -> list[Row]:
    """Return a row for every solver and size, with errors on the test points that are used for networks.

    The sizes of a solver end when the target error and the target time are reached (None: no target), when errors are
    rounding errors, or when the next size would take more than 30 s or 4 GB; its last row gives the reason.

    Args:
        problem: the problem to solve.
        target_error: relative L2 error of the first unknown.
        seconds: time of one solve.
        reference: reference solution for the errors, if there is no ``exact``.

    Returns:
        Rows with `COLUMNS`; for a solver that cannot solve the problem one row, with the reason in ``note``.

    Raises:
        InputError: there is neither ``exact`` nor ``reference``.
    """
    if problem.exact is None and reference is None:
        raise InputError(
            "Errors need an exact solution or a reference, and the problem has no `exact`.",
            write={"reference": Code("reference(problem)")},
        )
    rows: list[Row] = []
    for method, (solve, order) in solvers().items():
        try:
            rows += _ladder(problem, method, solve, order, target_error, seconds, reference)
        except (InputError, MemoryError) as error:
            note = str(error) or "out of memory"
            rows.append({"method": method, "degree": order or "", **dict.fromkeys(COLUMNS[2:-1], nan), "note": note})
    return rows


def at_equal_error(rows: Sequence[Row], target: float) -> list[Row]:
    """Return for each method the fastest row with an L2 error of at most ``target``, if there is one."""
    return _best([row for row in rows if row["l2"] <= target], "seconds")


def at_equal_time(rows: Sequence[Row], seconds: float) -> list[Row]:
    """Return for each method the row with the least L2 error in at most ``seconds``, if there is one."""
    return _best([row for row in rows if row["seconds"] <= seconds], "l2")


def _best(rows: Sequence[Row], by: str) -> list[Row]:
    methods = dict.fromkeys(row["method"] for row in rows)
    return [
        min((row for row in rows if row["method"] == m and isfinite(row[by])), key=lambda r: r[by]) for m in methods
    ]


# ladders ------------------------------------------------------------------------------------------------------------
def _ladder(
    problem: Problem,
    method: str,
    solve: Solver,
    order: int,
    target: float | None,
    seconds: float | None,
    reference: Reference | None,
) -> Iterator[Row]:
    """Yield rows of increasing size one at a time, so that those before a failure are kept."""
    dim = len(problem.domain.names)
    sizes = CELLS.get(dim, (2,)) if order else DEGREES
    solve(problem, sizes[0])  # the first solve includes imports and compilation and is not timed
    found: list[Row] = []
    for k, size in enumerate(sizes):
        row = _row(problem, method, solve, size, reference)
        found.append(row)
        following = sizes[k + 1] if k + 1 < len(sizes) else None
        reason = _end(found, target, seconds) or _too_large(row, size, following, dim, order)
        if reason:
            row["note"] += f"; {reason}"
        yield row
        if reason:
            return


def _row(problem: Problem, method: str, solve: Solver, size: int, reference: Reference | None) -> Row:
    solution = solve(problem, size)
    times = [solution.seconds]
    if times[0] < BRIEF:
        times += [solve(problem, size).seconds for _ in range(REPEATS - 1)]
    note = solution.note
    if problem.exact is None and reference is not None:
        errors, own = largest(reference.distances(solution.components)), largest(reference.own)
        if not MARGIN * own["l2"] <= errors["l2"]:
            note += f"; {DOUBTFUL}, whose own error is {own['l2']:.1e}"
    else:
        errors = largest(solution.errors())
    return {
        "method": method,
        "degree": solution.degree,
        "unknowns": solution.unknowns,
        "seconds": min(times),
        **{kind: errors[kind] for kind in ("l2", "h1", "max")},
        "note": note,
    }


def _end(rows: Sequence[Row], target: float | None, seconds: float | None) -> str:
    """Return why no further sizes are needed; "" if they are."""
    last = rows[-1]
    reached = target is None or last["l2"] <= target
    used = seconds is None or last["seconds"] > seconds
    if reached and used and not (target is None and seconds is None):
        return " and ".join(
            ["target reached"] * (target is not None) + ["the seconds are used"] * (seconds is not None)
        )
    best = min((row["l2"] for row in rows[:-2]), default=nan)
    if DOUBTFUL in last["note"]:
        return "smaller errors cannot be told from the reference's own"
    if best < ROUNDING and min(row["l2"] for row in rows[-2:]) > 0.5 * best:
        return "errors are rounding, more unknowns do not help"
    return ""


def _too_large(row: Row, size: int, following: int | None, dim: int, order: int) -> str:
    """Return why the next size is not tried; "" if it is."""
    if following is None:
        return "the largest size"
    growth = (following / size) ** dim
    unknowns = row["unknowns"] * growth
    if order:
        power, memory = (1.5, 12 * 10 * unknowns * log2(unknowns)) if dim < 3 else (2.0, 12 * 60 * unknowns ** (4 / 3))
    elif "least squares" in row["note"]:
        power, memory = 3.0, 8 * 8 * unknowns**2
    else:
        power, memory = 1.5, 8 * 40 * unknowns
    if row["seconds"] * growth**power > LIMIT:
        return f"the next size would take more than {LIMIT:g} s"
    return f"the next size would take more than {MEMORY / 1e9:g} GB" if memory > MEMORY else ""


# files --------------------------------------------------------------------------------------------------------------
def write_rows(rows: Sequence[Row], path: str | Path) -> None:
    """Write classical.csv."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(
            {k: "" if isinstance(v, float) and not isfinite(v) else v for k, v in row.items()} for row in rows
        )


def read_rows(path: str | Path) -> list[Row]:
    """Read classical.csv with numbers as numbers and missing ones as NaN."""
    with open(path, newline="", encoding="utf-8") as file:
        rows: list[Row] = list(csv.DictReader(file))
    for row in rows:
        row["degree"] = int(row["degree"]) if row["degree"] else ""
        for key in COLUMNS[2:-1]:
            row[key] = (int if key == "unknowns" else float)(row[key]) if row[key] else nan
    return rows
