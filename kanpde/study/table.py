"""Summaries of many runs: a table, medians over seeds, and a plot of error against parameters."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan
from pathlib import Path
from statistics import median
from typing import Any

from kanpde.errors import InputError
from kanpde.paths import CONFIG, FAILED, JOURNAL, LOG, RESULT
from kanpde.plots.axes import number
from kanpde.runs.status import RunState, status
from kanpde.storage.store import read_record
from kanpde.study.csv_rows import Row, as_number, grouped
from kanpde.study.sweep_scaling import save_scaling
from kanpde.study.work_precision import save_work_precision
from kanpde.terminal import print_table

BARE = ("problem", "model")  # columns whose values need no name beside them
NAMES = ("folder", "status", "problem", "model", "seed")
FIGURES = ("tolerance", "parameters", "grid", "loss", "l2", "h1", "max", "estimate", "seconds", "steps", "reason")


def summarise(folder: str | Path) -> list[Row]:
    """Read all runs below ``folder``, write summary.csv and pictures there and print a table.

    The pictures are scaling.png for runs with a schedule and work_precision.png for runs with a tolerance.

    Returns:
        One row for every run, with the columns of summary.csv, "levels", and of finished runs "error" (the largest L2
        error of all unknowns) and "end". Columns between the seed and the tolerance are the typed options that differ
        between the runs.

    Raises:
        InputError: the folder does not exist or contains no run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f'There is no folder "{folder}". Give the folder of a sweep, as printed at its end.')
    folders = sorted((p for p in [folder, *folder.rglob("*")] if _is_run(p)), key=_natural)
    if not folders:
        raise InputError(
            f'There is no run in "{folder}": no folder below it holds {RESULT} or {FAILED}. '
            "Give the folder of a sweep, as printed at its end."
        )
    typed = {path: _typed(path) for path in folders}
    swept = [
        key
        for key in dict.fromkeys(key for options in typed.values() for key in options)
        if key not in (*NAMES, "tolerance") and len({options.get(key) for options in typed.values() if options}) > 1
    ]
    rows = [_row(path, str(path.relative_to(folder)), typed[path], swept) for path in folders]
    with open(folder / "summary.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*NAMES, *swept, *FIGURES], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    save_scaling([row for row in rows if not isfinite(row["tolerance"])], folder / "scaling.png")
    named = grouped([row for row in rows if isfinite(row["tolerance"])], (*BARE, *swept))
    curves = {_what(own[0], (*BARE, *swept), BARE): own for own in named.values()}
    save_work_precision(curves, folder / "work_precision.png")
    _print(rows, swept)
    return rows


# reading ------------------------------------------------------------------------------------------------------------
def _is_run(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in (RESULT, FAILED, LOG, JOURNAL))


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Return a sort key that puts 10 after 9."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _typed(folder: Path) -> dict[str, str]:
    """Return the options with which the run was started, from the first line of its log."""
    if not (folder / LOG).is_file():
        return {}
    first = (folder / LOG).read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    parts = re.split(r"\s+[+~]*([\w./@]+)=", first)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _config(folder: Path) -> Mapping[str, Any]:
    import yaml

    try:
        config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return config if isinstance(config, dict) else {}


def _row(path: Path, name: str, typed: Mapping[str, str], swept: Sequence[str]) -> Row:
    config = _config(path)
    chosen = {
        group: config[group].get("name", "") for group in ("problem", "model") if isinstance(config.get(group), dict)
    }
    options = {"seed": config.get("seed", ""), **chosen, **typed}
    found = status(path)
    row: Row = {"folder": name, "status": found.state, **dict.fromkeys(FIGURES, nan), "levels": []}
    row["reason"] = found.reason
    record: Mapping[str, Any] = read_record(path) if found.state is RunState.FINISHED else {}
    row.update({key: record[key] for key in (*FIGURES, "levels", "error", "end") if key in record})
    row["tolerance"] = as_number(record.get("tolerance", config.get("tolerance")))
    row.update({key: options.get(key) or record.get(key, "") for key in ("problem", "model")})
    row["seed"] = record.get("seed", options["seed"])
    row.update({key: options.get(key, "") for key in swept})
    return row


# tables -------------------------------------------------------------------------------------------------------------
def _print(rows: Sequence[Row], swept: Sequence[str]) -> None:
    """Print all runs, then medians over seeds if there are several."""
    names = [key for key in BARE if any(row[key] for row in rows)]
    several = len({row["seed"] for row in rows}) > 1
    described = [*names, *swept, *(["tolerance"] if len({str(row["tolerance"]) for row in rows}) > 1 else [])]
    has_error = any(isfinite(number(row["l2"])) for row in rows)
    has_tolerance = any(isfinite(row["tolerance"]) for row in rows)
    columns: dict[str, Callable[[Row], str]] = {
        "run": lambda row: row["folder"],
        "what": lambda row: _what(row, [*described, *(["seed"] if several else [])], names),
        "params": lambda row: _short(row["parameters"]),
        **({"L2 error": lambda row: _short(row["l2"])} if has_error else {}),
        **({"estimate": lambda row: _short(row["estimate"])} if has_tolerance else {}),
        "loss": lambda row: _short(row["loss"]),
        "seconds": lambda row: _short(row["seconds"], ".1f"),
        "ended": _how_it_ended,
    }
    print_table(list(columns), [[cell(row) for cell in columns.values()] for row in rows])
    groups = grouped(rows, described)
    if several and any(len(group) > 1 for group in groups.values()):
        kinds = ["l2", "loss"] if has_error else ["loss"]
        header = [f"{how} {kind.replace('l2', 'L2 error')}" for kind in kinds for how in ("median", "worst")]
        print()
        cells = [_medians(group, described, names, kinds) for group in groups.values()]
        print_table(["what", *header, "runs", "failed"], cells)


def _medians(group: Sequence[Row], described: Sequence[str], names: Sequence[str], kinds: Sequence[str]) -> list[str]:
    cells = [_what(group[0], described, names)]
    for kind in kinds:
        values = [number(row[kind]) for row in group if row["status"] is RunState.FINISHED]
        values = [v for v in values if isfinite(v)]
        cells += [_short(median(values)), _short(max(values))] if values else ["", ""]
    return [*cells, str(len(group)), str(sum(row["status"] is not RunState.FINISHED for row in group))]


def _what(row: Row, keys: Sequence[str], bare: Sequence[str]) -> str:
    return " ".join(str(row[k]) if k in bare else f"{k}={row[k]}" for k in keys if row[k] != "" and row[k] == row[k])


def _how_it_ended(row: Row) -> str:
    state = "" if row["status"] is RunState.FINISHED else row["status"]
    return ": ".join(filter(None, (state, row["reason"])))


def _short(value: Any, form: str = "") -> str:
    value = number(value)
    if not isfinite(value):
        return ""
    return f"{value:{form}}" if form else f"{value:.0f}" if value == round(value) and value < 1e9 else f"{value:.2e}"
