"""Errors of a study's runs where no exact solution is known, and estimates of them; in reference.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from math import isfinite, nan
from pathlib import Path
from typing import Any

from kanpde.classical.estimate import estimate_error
from kanpde.classical.reference import Reference, reference, reference_error
from kanpde.errors import InputError
from kanpde.folders import RESULT, replace_text
from kanpde.problem import Problem
from kanpde.solution import Solution
from kanpde.store import load

REFERENCE = "reference.csv"
COLUMNS = ("run", "l2", "h1", "max", "reliable", "text", "estimate", "settled", "effectivity")
EXACT = "exact solution"
ESTIMATED = 3  # runs of every arm whose error is estimated from the residuals
Row = dict[str, Any]


def judge_runs(folder: Path, problems: Mapping[str, Problem], say: Callable[[str], None]) -> None:
    """Measures and estimates the errors of all finished runs that are not yet in reference.csv.

    Where the problem has no exact solution every run is compared with a reference (`kanpde.classical.reference`), which
    is refined until it is ten times as accurate as the best run, or says that it is not. The first few runs of every
    arm also get an estimate from their own residuals, and its effectivity (estimate / error) where the error is known.

    Args:
        folder: of the study.
        problems: per arm.
        say: gets a line where this takes long.
    """
    done = {row["run"]: row for row in read_references(folder)}
    rows: dict[str, Row] = dict(done)
    found: dict[int, Reference | str] = {}
    for arm, problem in problems.items():
        paths = sorted((folder / "runs" / arm).glob(f"*/{RESULT}"), key=lambda p: int(p.parent.name))
        for number, path in enumerate(paths):
            name = f"{arm}/{path.parent.name}"
            if name in done or (problem.exact is not None and number >= ESTIMATED):
                continue
            if not found and not done:
                say(
                    "Estimating errors from the residuals" if problem.exact else "A reference to measure errors against"
                )
            solution = load(path.parent, problem)
            row = _against_reference(solution, problem, found) if problem.exact is None else _known(solution)
            rows[name] = {"run": name, **row, **(_estimated(solution, row["l2"]) if number < ESTIMATED else {})}
    if rows != done:
        _write(folder, list(rows.values()))


def _known(solution: Solution) -> Row:
    errors = next(iter(solution.errors.values()))
    return {**{kind: errors[kind] for kind in ("l2", "h1", "max")}, "reliable": True, "text": EXACT}


def _against_reference(solution: Solution, problem: Problem, found: dict[int, Reference | str]) -> Row:
    """Distances from the arm's reference, which is made once and anew where it turns out to be too coarse."""
    key = id(problem)
    if key not in found:
        try:
            found[key] = reference(problem)
        except InputError as error:
            found[key] = str(error)
    known = found[key]
    if isinstance(known, str):
        return {**dict.fromkeys(("l2", "h1", "max"), nan), "reliable": False, "text": known}
    compared = reference_error(solution, known)
    if not compared.reliable:
        target = min(min(e.values()) for e in compared.errors.values()) / 10
        if target < known.accuracy:
            finer = reference(problem, target=max(target, 1e-12))
            if finer.accuracy < known.accuracy:
                found[key] = finer
                compared = reference_error(solution, finer)
    errors = next(iter(compared.errors.values()))
    return {
        **{kind: errors[kind] for kind in ("l2", "h1", "max")},
        "reliable": compared.reliable,
        "text": compared.text,
    }


def _estimated(solution: Solution, error: float) -> Row:
    try:
        estimate = estimate_error(solution)
    except InputError:
        return {}
    value = next(iter(estimate.errors.values()))["l2"]
    ratio = value / error if isfinite(error) and error > 0 else nan
    return {"estimate": value, "settled": estimate.settled, "effectivity": ratio}


def _write(folder: Path, rows: list[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(COLUMNS), restval="")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(folder / REFERENCE, text.getvalue())


def read_references(folder: Path) -> list[Row]:
    """The rows of reference.csv; none where there is no such file."""
    path = folder / REFERENCE
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
