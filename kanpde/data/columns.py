"""Which columns of a table are inputs, outputs and standard errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kanpde.data.table import Table
from kanpde.errors import InputError, suggest

RESERVED = ("periodic", "self")  # names that a coordinate of a `Box` cannot have


@dataclass(frozen=True)
class Columns:
    """The columns asked for, None where the table decides; ``errors`` in the order of the outputs or by output."""

    inputs: Sequence[str] | None
    outputs: Sequence[str] | None
    errors: Sequence[str] | Mapping[str, str] | None

    def __post_init__(self):
        for kind in ("inputs", "outputs", "errors"):
            names = getattr(self, kind)
            if isinstance(names, str):
                raise InputError(f'{kind} must be a list of columns, got "{names}".', write={kind: [names]})

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that are needed, if inputs and outputs are given; else (), for all."""
        return (*self.inputs, *self.outputs, *self.error_names) if self.inputs and self.outputs else ()

    @property
    def error_names(self) -> tuple[str, ...]:
        """The columns with standard errors."""
        return tuple(self.errors.values() if isinstance(self.errors, Mapping) else self.errors or ())


def chosen_columns(table: Table, wanted: Columns) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the names of the inputs, of the outputs, and of the standard errors in the order of the outputs.

    Raises:
        InputError: a column is missing or named twice, or a standard error is not positive.
    """
    errors = wanted.error_names
    table.columns(errors)
    rest = [name for name in table.names if name not in errors]
    outputs = tuple(wanted.outputs or [name for name in rest if name not in (wanted.inputs or ())][-1:])
    inputs = tuple(wanted.inputs or (name for name in rest if name not in outputs))
    table.columns((*inputs, *outputs))
    if not inputs or not outputs or set(inputs) & set(outputs):
        raise InputError(f"A fit needs inputs and outputs that differ, got {list(inputs)} and {list(outputs)}.")
    twice = [name for names in (inputs, outputs) for name in names if names.count(name) > 1]
    if twice or set(errors) & {*inputs, *outputs}:
        name = (twice or sorted(set(errors) & {*inputs, *outputs}))[0]
        raise InputError(f'The column "{name}" is named twice. A column is an input, an output or a standard error.')
    if reserved := [name for name in inputs if name in RESERVED] or (["t"] if inputs == ("t",) else []):
        raise InputError(
            f'The column "{reserved[0]}" cannot be {"the only" if reserved == ["t"] else "an"} input, because the name '
            "has a meaning for a Box. Give the column another name."
        )
    return inputs, outputs, checked_errors(table, wanted.errors, outputs)


def checked_errors(
    table: Table, given: Sequence[str] | Mapping[str, str] | None, outputs: Sequence[str]
) -> tuple[str, ...]:
    """Return the columns of the standard errors in the order of the outputs; () if there are none.

    Raises:
        InputError: a column is missing, or a standard error is not positive.
    """
    if not given:
        return ()
    if isinstance(given, Mapping):
        if unknown := [name for name in given if name not in outputs]:
            raise InputError(f'errors has "{unknown[0]}", which is not an output. {suggest(unknown[0], outputs)}')
        given = [given[name] for name in outputs if name in given]
    if len(given) != len(outputs):
        raise InputError(
            f"errors names {len(given)} columns for the outputs {', '.join(outputs)}; expected one for each.",
            write={"errors": {name: f"error_{name}" for name in outputs}},
        )
    values = table.columns(given)
    bad = np.argwhere(values <= 0)
    if len(bad):
        row, column = bad[0]
        raise InputError(
            f"{table.origin} has the standard error {values[row, column]:g} in row {row + 1}, column "
            f'"{given[column]}"; expected a positive number. Leave such rows out.'
        )
    return tuple(given)
