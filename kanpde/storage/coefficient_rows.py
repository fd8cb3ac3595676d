"""The table of coefficients in a result file: values, and what is known of their errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from kanpde.solution import Solution

LOWER, UPPER, CORRELATION = "lower_95", "upper_95", "correlation_"


def coefficient_rows(solution: Solution) -> list[dict[str, Any]]:
    """Return one row for each coefficient; columns of which nothing is known are left out."""
    rows = []
    for name, value in solution.coefficients.items():
        row = {"name": name, "value": value, "standard_error": solution.standard_errors.get(name)}
        if solution.intervals:
            row[LOWER], row[UPPER] = solution.intervals.get(name, (None, None))
        row |= {f"{CORRELATION}{other}": r for other, r in solution.correlations.get(name, {}).items()}
        rows.append(row)
    return rows


def coefficients_from(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the attributes of `Solution` that `coefficient_rows` wrote; older files have fewer columns."""
    known = [row for row in rows if row.get(LOWER) is not None]
    return {
        "coefficients": {row["name"]: row["value"] for row in rows},
        "standard_errors": {
            row["name"]: row["standard_error"] for row in rows if row.get("standard_error") is not None
        },
        "intervals": {row["name"]: (row[LOWER], row[UPPER]) for row in known},
        "correlations": {
            row["name"]: {
                key.removeprefix(CORRELATION): r
                for key, r in row.items()
                if key.startswith(CORRELATION) and r is not None
            }
            for row in known
        },
    }
