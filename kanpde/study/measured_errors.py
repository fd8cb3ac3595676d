"""Errors of a study's runs if no exact solution is known, and error estimates, stored in reference.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from math import isfinite, nan
from pathlib import Path

from kanpde.classical.estimate import estimate_error
from kanpde.classical.reference import KINDS, MARGIN, Reference, reference, reference_error
from kanpde.configure.typed import on_command_line
from kanpde.errors import InputError
from kanpde.paths import RESULT
from kanpde.problem import Problem
from kanpde.residuals.accuracy import largest
from kanpde.runs.status import RunState, status
from kanpde.solution import Solution
from kanpde.storage.folders import replace_text
from kanpde.storage.store import load
from kanpde.study.csv_rows import Row, read_csv

MEASURED = "reference.csv"
COLUMNS = ("run", *KINDS, "reliable", "text", "estimate", "settled", "effectivity", "stamp")
EXACT = "exact solution"
FINEST = 1e-12  # smallest target error of a reference
ESTIMATED = 3  # runs of every arm whose error is estimated, by default


def measure_runs(
    folder: Path, problem: Problem, arms: Sequence[str], say: Callable[[str], None], estimated: int = ESTIMATED
) -> Reference | None:
    """Measure and estimate the errors of all finished runs that are not yet in reference.csv.

    If the problem has no exact solution, every run is compared with one reference (`kanpde.classical.reference`),
    which is refined until it is ten times as accurate as the best run; if that fails, the errors are marked as not
    reliable. For the first ``estimated`` runs of every arm the error is also estimated from the residuals, with
    the effectivity (estimate / error).

    Args:
        folder: of the study.
        problem: of all runs.
        arms: their names.
        say: called with a line before long computations.
        estimated: number of runs of every arm whose error is estimated from the residuals.

    Returns:
        The reference, if one was needed and could be computed.
    """
    paths = {
        (arm, int(path.parent.name)): path
        for arm in arms
        for path in (folder / "runs" / arm).glob(f"*/{RESULT}")
        if status(path.parent).state is RunState.FINISHED
    }
    stamps = {f"{arm}/{seed}": str(path.stat().st_mtime_ns) for (arm, seed), path in paths.items()}
    rows = {row["run"]: row for row in read_measured_errors(folder) if row["stamp"] == stamps.get(row["run"])}
    first = {arm: sorted(seed for name, seed in paths if name == arm)[:estimated] for arm in arms}
    missing = {
        f"{arm}/{seed}": path
        for (arm, seed), path in sorted(paths.items())
        if f"{arm}/{seed}" not in rows and (problem.exact is None or seed in first[arm])
    }
    if not missing or problem.is_fit:  # runs of fits have their errors on test rows
        return None
    solutions: dict[str, Solution] = {}
    for name, path in missing.items():
        try:
            solutions[name] = load(path.parent, problem)
        except InputError as error:
            rows[name] = {"run": name, "text": on_command_line(error), "stamp": stamps[name]}
    say("Estimates of errors from residuals" if problem.exact else "A reference to measure errors against")
    known = None if problem.exact else _finer_reference(problem, list(solutions.values()), say)
    for name, solution in solutions.items():
        arm, _, seed = name.partition("/")
        row = _known(solution) if problem.exact else _compared(solution, known)
        estimate = _estimated(solution, row["l2"]) if int(seed) in first[arm] else {}
        rows[name] = {"run": name, **row, **estimate, "stamp": stamps[name]}
    _write(folder, list(rows.values()))
    return known


def _finer_reference(problem: Problem, solutions: Sequence[Solution], say: Callable[[str], None]) -> Reference | None:
    """Return a reference ten times as accurate as the best run, or the most accurate one that can be computed."""
    try:
        found = reference(problem)
        for solution in solutions:
            errors = reference_error(solution, found).errors
            target = max(min(min(e.values()) for e in errors.values()) / MARGIN, FINEST)
            if target < found.accuracy:
                finer = reference(problem, target=target)
                if not finer.accuracy < found.accuracy:
                    break
                found = finer
        return found
    except InputError as error:
        say(f"There is no reference: {on_command_line(error)}")
        return None


def _known(solution: Solution) -> Row:
    errors = largest(solution.errors)
    return {**{kind: errors[kind] for kind in KINDS}, "reliable": True, "text": EXACT}


def _compared(solution: Solution, known: Reference | None) -> Row:
    if known is None:
        return {**dict.fromkeys(KINDS, nan), "reliable": False, "text": "there is no reference"}
    compared = reference_error(solution, known)
    errors = largest(compared.errors)
    text = compared.text.partition(":")[0]  # without the run's own numbers
    return {**{kind: errors[kind] for kind in KINDS}, "reliable": compared.reliable, "text": text}


def _estimated(solution: Solution, error: float) -> Row:
    try:
        estimate = estimate_error(solution)
    except InputError:
        return {}
    value = largest(estimate.errors)["l2"]
    ratio = value / error if isfinite(error) and error > 0 else nan
    return {"estimate": value, "settled": estimate.settled, "effectivity": ratio}


def _write(folder: Path, rows: list[Row]) -> None:
    text = io.StringIO()
    writer: csv.DictWriter[str] = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(folder / MEASURED, text.getvalue())


def read_measured_errors(folder: Path) -> list[Row]:
    """Return the rows of reference.csv, one for every measured run; an empty list if the file does not exist."""
    return read_csv(folder / MEASURED)
