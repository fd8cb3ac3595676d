r"""Measured values as a condition of a problem.

With standard errors $s_i$ the residuals at the rows are $(u(x_i) - y_i) / s_i$, and `Condition.noise` is the number of
measured quantities, because the mean square of these residuals is 1 for the true solution. Without them the residuals
are $u(x_i) - y_i$.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kanpde.calculus.systems import pick
from kanpde.calculus.vector import Vector
from kanpde.conditions.condition import Condition
from kanpde.data.columns import checked_errors
from kanpde.data.rows import Rows, data_of, divided, rows_region
from kanpde.data.table import Table, read_table
from kanpde.data.texts import numbered
from kanpde.domains import Domain
from kanpde.errors import InputError

AT_ONCE = 100_000  # rows for which it is tested at once whether they lie in the domain


def data(
    domain: Domain,
    table: Table | str | Path | Mapping[str, Any] | NDArray[Any],
    unknown: str | Sequence[str] = "u",
    *,
    errors: float | str | Sequence[str] | Mapping[str, str] | None = None,
    of: Callable[..., Any] | None = None,
    validation: float = 0.0,
    seed: int = 0,
) -> Condition:
    """Measured values of unknowns at the rows of a table, ``data(domain, "measured.csv", "u", errors="s")``.

    The columns of the coordinates have their names. A table without names has the columns in this order: coordinates,
    measured quantities, standard errors.

    Args:
        domain: of the problem, in which all rows must lie.
        table: a file (`kanpde.data.table.read_table` says which), columns by name, or an array (rows, columns).
        unknown: the unknown that was measured, which is also the name of the column; or several.
        errors: the standard errors of the measured values, which must be independent: one number, or the names of
            columns, in the order of the unknowns or by unknown. None if they are not known.
        of: if something else was measured, this as a function of the same arguments as a residual, such as
            ``lambda u, p: -p["k"] * diff(u, "x")``; ``unknown`` then names its column. For several columns it returns a
            tuple.
        validation: part of the rows that is kept back from training. On these the best step of each phase is chosen,
            which helps if the errors are not known and a field is sought that follows them. They also end the last
            steps of an inverse problem, which use all other rows (`kanpde.training.polishing`).
        seed: of the choice of these rows.

    Raises:
        InputError: a column is missing, has no numbers or is constant, a row lies outside the domain, or a standard
            error is not positive.
    """
    names = (unknown,) if isinstance(unknown, str) else tuple(unknown)
    number, columns = None, (errors,) if isinstance(errors, str) else errors
    if isinstance(columns, (int, float, Real)):
        number, columns = float(columns), None
        if not 0 < number < inf:
            raise InputError(f"errors must be a positive standard error, got {number:g}.", write={"errors": 0.01})
    _check_names(columns)
    asked = tuple(columns.values()) if isinstance(columns, Mapping) else tuple(columns or ())
    found = _read(table, (*domain.names, *names, *asked))
    by_unknown = found.columns(checked_errors(found, columns, names)) if columns else None
    rows = Rows(found.columns(domain.names), found.columns(names), by_unknown)
    _check(found, domain, names, rows)
    training, held_back = (rows, None) if not validation else divided(rows, validation, 0.0, seed)[:2]

    def residual(*fields: Any) -> tuple[Any, ...]:
        values = [pick(fields, name) for name in names] if of is None else _measured(of, fields, names)
        _check_scalars(names, values)
        given = data_of(fields)
        gaps = [value - given[:, k] for k, value in enumerate(values)]
        if number is not None:
            return tuple(gap * (1.0 / number) for gap in gaps)
        return tuple(gap / given[:, len(names) + k] if columns else gap for k, gap in enumerate(gaps))

    region = replace(rows_region(domain, training, held_back), columns=names if of is None else ())
    return Condition(region, residual, noise=float(len(names)) if errors is not None else 0.0)


def _check_names(errors: Iterable[Any] | None) -> None:
    """Refuse standard errors that are neither one number nor names of columns."""
    if errors is not None and not all(isinstance(name, str) for name in errors):
        raise InputError(
            f"errors must be one number or names of columns, got {type(errors).__name__}. Put the standard errors into "
            "a column of the table.",
            write={"errors": "s"},
        )


def _check_scalars(names: Sequence[str], values: Sequence[Any]) -> None:
    """Refuse a vector for one column.

    Raises:
        InputError: a measured quantity is a vector.
    """
    for name, value in zip(names, values, strict=True):
        if isinstance(value, Vector):
            raise InputError(
                f'"{name}" is a vector of {len(value)} unknowns, which one column cannot measure. Name its components, '
                f'such as ("{name}_x", "{name}_y").'
            )


def _measured(of: Callable[..., Any], fields: Sequence[Any], names: Sequence[str]) -> Sequence[Any]:
    """Return the measured quantities at the points.

    Raises:
        InputError: there is not one for each column.
    """
    values = of(*fields)
    values = values if isinstance(values, tuple) else (values,)
    if len(values) != len(names):
        raise InputError(
            f"`of` returns {len(values)} values for the columns {', '.join(names)}; expected one for each."
        )
    return values


def _read(table: Any, wanted: Sequence[str]) -> Table:
    """Return the table with the wanted columns; without names they are taken in this order."""
    if twice := [name for name in wanted if wanted.count(name) > 1]:
        raise InputError(f'The column "{twice[0]}" is named twice. A column is a coordinate, a value or its error.')
    if isinstance(table, (np.ndarray, torch.Tensor)):
        array = np.asarray(table)
        if array.ndim != 2 or array.dtype.kind not in "iufb":
            raise InputError(
                f"The table has the shape {array.shape} and the type {array.dtype}; expected numbers (rows, columns), "
                f"with the columns {', '.join(wanted)}."
            )
        table = Table(numbered(array.shape[1]), array.astype(np.float64, copy=False))
    found = table if isinstance(table, Table) else _from_source(table, wanted)
    if found.names == numbered(len(found.names)) and not set(found.names) & set(wanted):
        if len(found.names) != len(wanted):
            raise InputError(
                f"{found.origin} has {len(found.names)} columns without names; expected {len(wanted)}: "
                f"{', '.join(wanted)}. Give the columns names."
            )
        return Table(tuple(wanted), found.values, found.origin)
    return found


def _from_source(source: Any, wanted: Sequence[str]) -> Table:
    """Read the wanted columns, or all if the table has no names."""
    try:
        return read_table(source, wanted, outputs=())
    except InputError as error:
        if "has no column" not in str(error):
            raise
        found = read_table(source, (), outputs=())
        if found.names != numbered(len(found.names)):
            raise
        return found


def _check(table: Table, domain: Domain, names: Sequence[str], rows: Rows) -> None:
    """Require that the rows lie in the domain, and that the measured values differ."""
    for name, column in zip(names, rows.y.T, strict=True):
        if column.min() == column.max():
            raise InputError(
                f'{table.origin}: the measured values "{name}" are {column[0]:g} in all rows, which is no measurement. '
                "A prescribed value is a condition: dirichlet(region, value)."
            )
    for begin in range(0, len(rows.x), AT_ONCE):
        is_inside = domain.contains(torch.as_tensor(rows.x[begin : begin + AT_ONCE], device="cpu"))
        if not bool(is_inside.all()):
            row = begin + int((~is_inside).nonzero()[0, 0])
            at = ", ".join(f"{name} = {value:g}" for name, value in zip(domain.names, rows.x[row], strict=True))
            raise InputError(
                f"{table.origin}: row {row + 1} ({at}) lies outside the domain {domain}. Leave such rows out, or "
                "enlarge the domain."
            )
