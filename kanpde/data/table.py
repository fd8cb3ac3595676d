"""Tables of measured data with named columns, read from files or arrays and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from kanpde.data.meshes import MESHES, from_mesh
from kanpde.data.texts import encoded, from_text, numbered
from kanpde.errors import InputError, suggest

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": None, ".dat": None}  # None: any white space
ARRAYS = {".npy", ".npz"}
HDF5 = {".h5", ".hdf5"}


@dataclass(frozen=True)
class Table:
    """Columns of finite numbers.

    Attributes:
        names: of the columns, all different.
        values: (rows, columns).
        origin: where the table was read, for messages.
        texts: of columns that held text, the different texts in alphabetical order; the values are their positions.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    origin: str = "the table"
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self):
        for name in self.names:
            if self.names.count(name) > 1:
                raise InputError(f'{self.origin} has two columns "{name}". Give every column its own name.')
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):
            raise InputError(
                f"{self.origin} has the shape {self.values.shape}; expected (rows, {len(self.names)}), one column for "
                f"each of {', '.join(self.names)}."
            )
        if len(self.values) < 2:
            count = ("no rows", "one row")[len(self.values)]
            raise InputError(f"{self.origin} has {count}; expected at least 2.")
        bad = np.argwhere(~np.isfinite(self.values))
        if len(bad):
            row, column = bad[0]
            raise InputError(
                f'{self.origin} has {self.values[row, column]} in row {row + 1}, column "{self.names[column]}". Remove '
                "rows with missing values."
            )

    def columns(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Return some columns, (rows, names).

        Raises:
            InputError: there is no such column.
        """
        for name in names:
            if name not in self.names:
                raise InputError(f'{self.origin} has no column "{name}". {suggest(name, self.names)}')
        return self.values[:, [self.names.index(name) for name in names]]


def read_table(
    source: str | Path | Mapping[str, Any], wanted: Sequence[str] = (), outputs: Sequence[str] | None = None
) -> Table:
    """Return a table from a file, or from columns by name.

    Of the ``wanted`` columns only, if there are any; other columns may then hold text or missing values. Of the rest
    only ``outputs``, by default the last column, may hold text: the names of classes.

    Text files (.csv, .tsv, or .txt and .dat with white space) may have a first line with the names of the columns;
    lines that begin with # are left out. A .npy file has one array (rows, columns), or a structured one with names;
    .npz and HDF5 files (.h5, .hdf5) have one array for each column. Columns without a name are called c1, c2, ... Files
    of meshes (.vtu, .vtk, .msh, .xdmf) have the coordinates x, y, z of their nodes and the values there.

    Raises:
        InputError: the file does not exist, is of another kind, or has something else than finite numbers.
    """
    if isinstance(source, Mapping):
        columns = {name: np.asarray(column) for name, column in source.items()}
        return _from_columns(columns, "the table", wanted, outputs)
    path = Path(source)
    if not path.is_file():
        raise InputError(f'There is no file "{path}".')
    kind, origin = path.suffix.lower(), path.name
    if kind in DELIMITERS:
        names, values, texts = from_text(path, DELIMITERS[kind], wanted, outputs)
        return Table(names, values, origin, texts)
    if kind in MESHES:
        return _from_columns(from_mesh(path), origin, wanted, outputs)
    try:
        if kind in ARRAYS:
            found = np.load(path, allow_pickle=False, mmap_mode="r")  # columns are copied when they are chosen
            if isinstance(found, np.ndarray):
                return _from_array(found, origin, wanted, outputs)
            return _from_columns({name: found[name] for name in found.files}, origin, wanted, outputs)
        if kind in HDF5:
            with h5py.File(path, "r") as file:
                columns = {n: np.asarray(d) for n, d in file.items() if isinstance(d, h5py.Dataset)}
                return _from_columns(columns, origin, wanted, outputs)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{origin} cannot be read: {error}.") from None
    raise InputError(
        f'{origin} is of an unknown kind "{kind}". {suggest(kind, [*DELIMITERS, *ARRAYS, *HDF5, *sorted(MESHES)])}'
    )


def _from_columns(
    columns: Mapping[str, NDArray], origin: str, wanted: Sequence[str], outputs: Sequence[str] | None
) -> Table:
    """Return a table from arrays of equal lengths."""
    if set(wanted) <= set(columns):
        columns = {name: columns[name] for name in wanted or columns}
    if not columns:
        raise InputError(f"{origin} has no columns.")
    texts, numbers = {}, {}
    for name, column in columns.items():
        may_be_text = name in (outputs if outputs is not None else list(columns)[-1:])
        if may_be_text and column.ndim == 1 and column.dtype.kind in "USO":
            texts[name], numbers[name] = encoded(column, origin, name)
        elif column.ndim != 1 or column.dtype.kind not in "iufb":
            raise InputError(
                f'{origin}: column "{name}" has the shape {column.shape} and the type {column.dtype}; expected one '
                "number for each row."
            )
        else:
            numbers[name] = column
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"{origin} has columns of different lengths: {told}.")
    values = np.stack([c.astype(np.float64, copy=False) for c in numbers.values()], axis=1)
    return Table(tuple(columns), values, origin, texts)


def _from_array(array: NDArray, origin: str, wanted: Sequence[str], outputs: Sequence[str] | None) -> Table:
    if array.dtype.names:
        return _from_columns({name: array[name] for name in array.dtype.names}, origin, wanted, outputs)
    if array.ndim != 2 or array.dtype.kind not in "iufb":
        raise InputError(
            f"{origin} has an array of the shape {array.shape} and the type {array.dtype}; expected numbers (rows, "
            "columns)."
        )
    return Table(numbered(array.shape[1]), array.astype(np.float64, copy=False), origin)
