"""Tables in text files, and columns that hold text."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kanpde.errors import InputError, suggest

Texts = Mapping[str, tuple[str, ...]]  # by column, its different texts in alphabetical order


def from_text(
    path: Path, delimiter: str | None, wanted: Sequence[str], outputs: Sequence[str] | None
) -> tuple[tuple[str, ...], NDArray[np.float64], Texts]:
    """Return names and values of the columns in a text file, and the texts of a column that holds text.

    Args:
        path: of the file.
        delimiter: between columns; None for any white space.
        wanted: names of the columns to read; () for all.
        outputs: names of the columns that may hold text; None for the last one.

    Raises:
        InputError: the file is no text, its rows differ in length, or another column holds text.
    """
    try:
        names, has_names = _header(path, delimiter)
        for name in (*wanted, *(outputs or ())):
            if name not in names:
                raise InputError(f'{path.name} has no column "{name}". {suggest(name, names)}')
            if names.count(name) > 1:
                raise InputError(f'{path.name} has two columns "{name}". Give every column its own name.')
        numbers = [names.index(name) for name in wanted] if wanted else None
        kept = [names[k] for k in numbers] if numbers else list(names)
        allowed = [names.index(name) for name in outputs or () if name in names] if has_names else []
        allowed = [len(names) - 1] if outputs is None else allowed
        try:
            return tuple(kept), _loaded(path, delimiter, has_names, numbers, {}), {}
        except ValueError as error:
            found = re.search(r"could not convert string .* column (\d+)", str(error))
            if not found or int(found[1]) - 1 not in allowed:
                raise
        column, codes = int(found[1]) - 1, {}
        values = _loaded(path, delimiter, has_names, numbers, {column: codes})
        place = kept.index(names[column])
        texts, positions = encoded(np.array(list(codes))[values[:, place].astype(int)], path.name, names[column])
        values[:, place] = positions
        return tuple(kept), values, {names[column]: texts}
    except InputError:
        raise
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not a text file. Save it as CSV.") from None
    except ValueError as error:
        raise InputError(_words(str(error), path.name)) from None


def _lines(path: Path) -> Iterator[str]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        yield from (line for line in file if line.strip() and not line.lstrip().startswith("#"))


def _header(path: Path, delimiter: str | None) -> tuple[tuple[str, ...], bool]:
    """Return the names of the columns, and whether the first line has them: then no cell but the last is a number."""
    lines = _lines(path)
    first = next(lines, "")
    cells = next(csv.reader([first], delimiter=delimiter), []) if delimiter else first.split()
    if not cells or next(lines, None) is None:
        found = "has one line" if cells else "is empty"
        raise InputError(f"{path.name} {found}; expected at least 2 rows of values.")
    if len(cells) == 1 and delimiter == "," and ";" in first:
        raise InputError(f'{path.name} has columns divided by ";"; expected ",". Save it with commas.')
    is_number = [_is_number(cell) for cell in cells]
    if all(is_number) or (len(cells) > 1 and all(is_number[:-1])):
        return numbered(len(cells)), False
    return tuple(cell.strip() for cell in cells), True


def _loaded(
    path: Path, delimiter: str | None, skip: bool, numbers: list[int] | None, codes: Mapping[int, dict[str, int]]
) -> NDArray[np.float64]:
    """Read the rows; texts of the columns in ``codes`` are replaced by numbers, which are entered there."""
    lines = _lines(path)
    if skip:
        next(lines)
    converters: dict[int | str, Callable[[str], int]] = {
        column: lambda text, known=known: known.setdefault(text, len(known)) for column, known in codes.items()
    }
    return np.loadtxt(
        lines, delimiter=delimiter, ndmin=2, quotechar='"', usecols=numbers, converters=converters or None
    )


def _words(message: str, name: str) -> str:
    """Return numpy's message on a text that is no number, or on a row of another length; rows count from 1."""
    if found := re.search(r"could not convert string (.*) to .* at row (\d+), column (\d+)", message):
        return f"{name} has {found[1]} in row {int(found[2]) + 1}, column {found[3]}; expected a number."
    if found := re.search(r"columns changed from (\d+) to (\d+) at row (\d+)", message):
        return f"{name} has {found[2]} columns in row {found[3]}; expected {found[1]}, as in the rows before."
    return f"{name} cannot be read: {message}."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def encoded(column: NDArray, origin: str, name: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the different texts of a column in alphabetical order, and the position of each row's text in them.

    Raises:
        InputError: a row has no text.
    """
    found = [(each.decode() if isinstance(each, bytes) else str(each)).strip() for each in column.tolist()]
    bad = {row: text for row, text in enumerate(found, 1) if text.lower() in ("", "nan", "none")}
    if not bad and any(map(_is_number, found)):
        bad = {row: text for row, text in enumerate(found, 1) if not _is_number(text)}
    if bad:
        row, text = next(iter(bad.items()))
        raise InputError(
            f'{origin} has {text!r} in row {row}, column "{name}"; expected a number in every row, or the name of a '
            "class in every row. Remove rows with missing values."
        )
    texts, positions = np.unique(np.array(found), return_inverse=True)
    return tuple(texts.tolist()), positions


def numbered(count: int) -> tuple[str, ...]:
    """Return names for columns without any."""
    return tuple(f"c{k + 1}" for k in range(count))
