"""The group ``/kanpde`` of a result file: the network, the settings and the history of the run."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kanpde.ends import End, Ending
from kanpde.errors import InputError, ResultWarning
from kanpde.hard_constraints.built_in import describe
from kanpde.models.network import Network
from kanpde.solution import Solution
from kanpde.storage import format_1
from kanpde.storage.coefficient_rows import coefficient_rows
from kanpde.storage.domain_record import coordinates, described
from kanpde.storage.vtkhdf import write_array
from kanpde.version import __version__

_TABLES = {
    "history": "one row for every step: start, phase, loss, relative L2 error where it was measured",
    "levels": "one row for every phase: its cost and its results",
    "errors": "per unknown, relative L2 and H1 errors and max error over max |exact|, on points not trained on",
    "coefficients": "of an inverse problem and of singular functions, with standard errors where they are known",
    "domain": "ranges of the coordinates, in the order in which the solution takes them; t is time",
}
FORMAT = 2  # format number of new files; format 1 can be read too
_UNITS = {
    "seconds": "s",
    "lower": "as in the problem",
    "upper": "as in the problem",
    "value": "as in the problem",
    "standard_error": "as in the problem",
}


# writing -------------------------------------------------------------------------------------------------------------
def write_record(root: h5py.Group, solution: Solution, config: str) -> None:
    """Write a solution without its fields; ``config`` is YAML text."""
    problem, domain = solution.problem, solution.problem.domain
    root.attrs.update({k: v for k, v in solution.settings.items() if isinstance(v, (int, float, str))})
    root.attrs["description"] = "the network, the settings and the history of the run"
    root.attrs["has_ansatz"] = problem.ansatz is not None
    _write_text(root, "config", [config], "the configuration of the run, YAML")
    _write_text(root, "settings", [json.dumps(solution.settings, default=str)], "settings of the run, JSON")
    root.attrs["format"] = FORMAT
    _write_text(root, "reason", [solution.reason], "how the run ended, in words")
    _write_text(root, "end", [solution.ending.end.name, solution.ending.detail], "how the run ended: kind, details")
    facts = [warning.facts() for warning in solution.warnings]
    _write_text(root, "warnings", [json.dumps(facts)], "why the solution may be wrong, JSON; [] if nothing was found")
    description = described(domain)
    _write_text(root, "domain_kind", [description["kind"]], "class of the domain; coordinates: table domain")
    _write_text(root, "domain_description", [json.dumps(description)], "the complete domain, JSON")
    built_in = describe(problem.ansatz)
    if built_in is not None:
        _write_text(
            root,
            "built_in",
            [json.dumps(built_in)],
            "values built into every unknown, JSON: u = lift + distance * network",
        )
    _write_text(root, "unknowns", problem.unknowns, "in the order of the network's outputs")
    tables = {
        "history": solution.history,
        "levels": solution.levels,
        "errors": [{"unknown": name, **errors} for name, errors in solution.errors.items()],
        "coefficients": coefficient_rows(solution),
        "domain": coordinates(domain),
    }
    for name, rows in tables.items():
        _write_table(root, name, rows)
    architecture = solution.model.architecture() if isinstance(solution.model, Network) else None
    _write_text(root, "architecture", [json.dumps(architecture)], "of a network of this package, JSON")
    _write_network(root, solution.model)
    _write_origin(root)


def _write_network(root: h5py.Group, model: nn.Module) -> None:
    weights, grids = root.create_group("weights", track_order=True), root.create_group("grids", track_order=True)
    weights.attrs["description"] = "the network's tensors by their PyTorch names"
    grids.attrs["description"] = (
        "ends of the cells of every KAN layer, (inputs, knots); B-splines have `degree` more knots on each side"
    )
    for key, tensor in model.state_dict().items():
        write_array(grids if key.endswith("knots") else weights, key, tensor.cpu().numpy())


def origin() -> dict[str, dict[str, Any]]:
    """Return the versions of the software and a description of the machine."""
    return {
        "versions": {
            "kanpde": __version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "h5py": h5py.__version__,
            "python": platform.python_version(),
        },
        "machine": {
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count() or 0,
        },
    }


def _write_origin(root: h5py.Group) -> None:
    for name, attributes in origin().items():
        group = root.create_group(name)
        group.attrs["description"] = f"{name} of the run"
        group.attrs.update(attributes)


def _write_text(group: h5py.Group, name: str, lines: Sequence[str], description: str) -> None:
    """Write strings of fixed length; checksums do not cover variable ones, and HDF5 can hang on damaged ones."""
    data = [line.encode() for line in lines]
    kind = h5py.string_dtype("utf-8", max(1, *map(len, data)))
    write_array(group, name, np.array(data, dtype=kind), description=description)


def _write_table(root: h5py.Group, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table as a group with one dataset for every column."""
    group = root.create_group(name, track_order=True)
    group.attrs["description"] = _TABLES[name]
    for column in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(column) for row in rows]
        if any(isinstance(v, str) for v in values):
            _write_text(group, column, [v or "" for v in values], column)
            continue
        is_whole = all(isinstance(v, int) for v in values)
        data = np.array([nan if v is None else v for v in values], dtype=np.int64 if is_whole else np.float64)
        write_array(group, column, data, units=_UNITS.get(column, "1"), nan_is_none=None in values)


# reading -------------------------------------------------------------------------------------------------------------
def read_file(path: Path, network: bool = True) -> dict[str, Any]:
    """Read what `write_record` wrote, with the tables as lists of rows and the network's tensors as "state".

    Args:
        path: of the result file.
        network: also read the tensors.

    Raises:
        InputError: the file does not exist, is damaged, or has a format that this version cannot read.
    """
    if not path.is_file():
        raise InputError(
            f'"{path.parent}" holds no solution: there is no file {path.name} in it. Give the folder of '
            "one run, as printed at its end."
        )
    groups = ("weights", "grids") if network else ()
    try:
        with h5py.File(path, "r") as file:
            root: Any = file["kanpde"]
            number = _format(root, path)
            tables = {name: _rows(root[name]) for name in _TABLES}
            if number == 1:
                tables["levels"] = format_1.with_ends(tables["levels"])
            return {
                **{name: _texts(root[name])[0] for name in ("config", "domain_kind")},
                "ending": _ending(root, number),
                "architecture": json.loads(_texts(root["architecture"])[0]) if number > 1 else None,
                "settings": json.loads(_texts(root["settings"])[0]),
                "warnings": _warnings(root),
                "unknowns": tuple(_texts(root["unknowns"])),
                "domain_description": _described(root),
                "has_ansatz": bool(root.attrs["has_ansatz"]),
                "built_in": json.loads(_texts(root["built_in"])[0]) if "built_in" in root else None,
                **tables,
                "state": {key: np.asarray(root[group][key]) for group in groups for key in root[group]},
            }
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(path, error) from None


def _format(root: Any, path: Path) -> int:
    """Return the format number of the file; refuse a format that this version cannot read."""
    number = int(root.attrs.get("format", 1 if "domain_kind" in root else 0))
    if not 1 <= number <= FORMAT:
        version = root["versions"].attrs.get("kanpde", "unknown") if "versions" in root else "unknown"
        raise InputError(
            f"{path} has format {number} of kanpde {version}; this version reads 1 to {FORMAT}. Read it with kanpde "
            f"{version}, or solve again."
        )
    return number


def _ending(root: Any, number: int) -> Ending:
    if number == 1:
        return format_1.ending_from(_texts(root["reason"])[0])
    end, detail = _texts(root["end"])
    return Ending(End[end], detail)


def read_ending(path: Path) -> Ending:
    """Return how the run ended, without reading the rest of its result.

    Raises:
        InputError: the file does not exist, is damaged, or has a format that this version cannot read.
    """
    try:
        with h5py.File(path, "r") as file:
            root: Any = file["kanpde"]
            return _ending(root, _format(root, path))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(path, error) from None


def _warnings(root: Any) -> list[ResultWarning]:
    """Return the stored warnings; files of earlier versions have none."""
    stored = json.loads(_texts(root["warnings"])[0]) if "warnings" in root else []
    return [ResultWarning(**facts) for facts in stored]


def _described(root: Any) -> dict[str, Any] | None:
    return json.loads(_texts(root["domain_description"])[0]) if "domain_description" in root else None


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is damaged, or was not written by kanpde ({error}). Restore it from a copy, or solve again."
    )


def read_columns(path: Path, columns: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Read ending, settings, architecture and some columns of what `write_record` wrote, fast enough for many files.

    Args:
        path: of the result file.
        columns: names by table, such as ``{"history": ["step", "loss"]}``; those that a table lacks are left out.

    Returns:
        "ending", "settings", "architecture" (empty for a module from outside), and for every table a dictionary of
        arrays, in which unknown numbers are nan.

    Raises:
        InputError: the file does not exist, or is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            root = h5py.h5g.open(file.id, b"kanpde")  # the high-level interface would take five times as long
            is_old = b"end" not in root  # of format 1
            ends = [_array(root, "reason")[0]] if is_old else _array(root, "end").tolist()
            words = [each.decode() for each in ends]
            ending = format_1.ending_from(words[0]) if is_old else Ending(End[words[0]], words[1])
            found: dict[str, Any] = {"ending": ending}
            found["settings"] = json.loads(_array(root, "settings")[0])
            found["architecture"] = {} if is_old else json.loads(_array(root, "architecture")[0]) or {}
            for table, names in columns.items():
                group = h5py.h5g.open(root, table.encode())
                found[table] = {name: _array(group, name) for name in names if name.encode() in group}
            if is_old and "reason" in found.get("levels", {}):
                texts = [text.decode() for text in found["levels"]["reason"].tolist()]
                found["levels"]["end"] = np.array([format_1.ending_from(text).end.name.encode() for text in texts])
            return found
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path} is missing or damaged, or was not written by kanpde ({error}). Restore it from a "
            "copy, or solve again."
        ) from None


def _array(group: Any, name: str) -> NDArray:
    dataset = h5py.h5d.open(group, name.encode())
    values = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values


def _texts(dataset: Any) -> list[str]:
    return [line.decode() for line in np.asarray(dataset).tolist()]


def _column(dataset: h5py.Dataset) -> list[Any]:
    if dataset.dtype.kind == "S":
        return _texts(dataset)
    values = np.asarray(dataset).tolist()
    if not dataset.attrs["nan_is_none"]:  # read once, because an attribute costs more than a whole column
        return values
    return [None if v != v else v for v in values]


def _rows(group: Any) -> list[dict[str, Any]]:
    columns = {name: _column(group[name]) for name in group}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
