"""Rows of the CSV files of a study: numbers and strings by column."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from math import isinf, nan
from pathlib import Path
from typing import Any

Row = dict[str, Any]  # by column; every cell that was read from a file is a string


def read_csv(path: Path) -> list[Row]:
    """Return the rows of a file; an empty list if it does not exist."""
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows with the columns of the first one; infinite numbers as inf, unknown values as empty cells."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows([{key: _cell(value) for key, value in row.items()} for row in rows])


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "inf" if isinf(value) else "" if value != value else value
    return "" if value is None else value


def grouped(rows: Sequence[Row], keys: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    """Return the rows by their values in the columns ``keys``, in the order of their first rows."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row[key]) for key in keys), []).append(row)
    return groups


def as_number(value: Any) -> float:
    """Return a cell as a float; nan if it is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return nan
