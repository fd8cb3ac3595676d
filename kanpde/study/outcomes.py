"""Reading a study from its folder: its plan, and the state and results of every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanpde.classical.reference import KINDS
from kanpde.configure.typed import on_command_line
from kanpde.ends import End
from kanpde.errors import InputError
from kanpde.paths import CONFIG, RESULT
from kanpde.plots.axes import number
from kanpde.plots.slopes import is_kept
from kanpde.runs.status import RunState, status
from kanpde.storage.record import read_columns
from kanpde.study.csv_rows import Row, as_number, read_csv
from kanpde.study.measured_errors import read_measured_errors

STUDY, LEDGER, CLASSICAL = "study.yaml", "ledger.csv", "classical.csv"
CURVE = ("phase", "start", "seconds", "loss", "error")  # columns of the tables that are read
LEVEL = ("grid", "parameters", "steps", "seconds", "loss", "l2", "h1", "max", "reason", "end")


@dataclass
class Outcome:
    """The result of one run (an arm with a seed) for the report; unknown numbers are nan."""

    arm: str
    seed: int
    state: RunState
    reason: str = ""
    end: End | None = None
    errors: Mapping[str, float] = field(default_factory=dict)  # l2, h1, max
    largest_error: float = nan  # relative L2 error, the largest of all unknowns
    loss: float = nan
    parameters: float = nan
    seconds: float = nan  # run time
    levels: list[Row] = field(default_factory=list)
    curve: Mapping[str, NDArray] = field(default_factory=dict)
    settings: Row = field(default_factory=dict)
    architecture: Row = field(default_factory=dict)  # of the network; empty for modules from outside
    attempts: str = ""
    command: str = ""

    @property
    def is_final(self) -> bool:
        return self.state.is_final

    def lacks(self, kind: str) -> bool:
        """Return whether the run finished but its error was not measured without an exact solution or reference."""
        return self.state is RunState.FINISHED and kind != "loss" and kind not in self.errors

    @property
    def kept(self) -> list[Row]:
        """The levels whose weights were not discarded for those of the level before."""
        return [level for level in self.levels if is_kept(level)]

    def error(self, kind: str) -> float:
        """Return the error of a kind, +inf if the run failed or has none; for ``loss`` the square root of the loss."""
        value = self.loss**0.5 if kind == "loss" else self.errors.get(kind, nan)
        return value if self.state is RunState.FINISHED and isfinite(value) else inf


@dataclass
class Study:
    """A study as stored in its folder.

    Attributes:
        plan: the content of study.yaml.
        runs: arm by arm, in the order of their seeds.
        classical: the rows of classical.csv.
        measured_errors: the rows of reference.csv.
        configs: by arm, the options of one of its runs; arms without runs are left out.
    """

    plan: Row
    runs: list[Outcome]
    classical: list[Row]
    measured_errors: list[Row] = field(default_factory=list)
    configs: Mapping[str, Row] = field(default_factory=dict)

    @property
    def arms(self) -> dict[str, Row]:
        return self.plan["arms"]

    @property
    def tolerances(self) -> list[float]:
        """The tolerances at which arms are compared, which are then named such as kan@1e-05; empty otherwise."""
        return self.plan.get("tolerances") or []

    @property
    def rows(self) -> Row:
        """The numbers of rows of a study of fits, see `kanpde.study.fits.rows_of`; empty for equations."""
        return self.plan.get("rows") or {}

    @property
    def kind(self) -> str:
        """The error by which arms are compared: relative L2, or √loss without an exact or reference solution."""
        known = any(isfinite(run.errors.get("l2", nan)) for run in self.runs)
        return "l2" if known or not any(isfinite(run.loss) for run in self.runs) else "loss"

    def of(self, arm: str) -> list[Outcome]:
        return [run for run in self.runs if run.arm == arm]

    def final_errors(self) -> dict[str, dict[Any, float]]:
        """Return the errors of all ended runs by arm and seed; +inf for failed runs."""
        kind = self.kind
        return {
            arm: {run.seed: run.error(kind) for run in self.of(arm) if run.is_final and not run.lacks(kind)}
            for arm in self.arms
        }

    def states(self) -> Counter[RunState]:
        return Counter(run.state for run in self.runs)


def read_study(folder: Path) -> Study:
    """Read study.yaml, all runs, the ledger and the classical rows, without solving or building networks.

    Raises:
        InputError: study.yaml is missing, or lacks arms or seeds.
    """
    plan = _plan(folder)
    ledger = {row.get("run", ""): row for row in read_csv(folder / LEDGER)}
    measured = {row["run"]: row for row in read_measured_errors(folder)}
    runs: list[Outcome] = []
    for arm in plan["arms"]:
        for seed in plan["seeds"]:
            name = f"{arm}/{seed}"
            runs.append(_run(folder / "runs" / name, arm, seed, ledger.get(name, {})))
            if not runs[-1].errors and name in measured:
                runs[-1].errors = {kind: as_number(measured[name][kind]) for kind in KINDS}
                if measured[name]["reliable"] == "True":
                    runs[-1].largest_error = runs[-1].errors["l2"]
    configs = {arm: config for arm in plan["arms"] if (config := _config(folder / "runs" / arm))}
    return Study(plan, runs, read_csv(folder / CLASSICAL), list(measured.values()), configs)


def _config(folder: Path) -> Row:
    """Return the config of one of the runs in a folder; the runs of an arm differ only in the seed."""
    import yaml

    for path in sorted(folder.glob(f"*/{CONFIG}")):
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(config, dict):
            return config
    return {}


def _plan(folder: Path) -> Row:
    import yaml

    path = folder / STUDY
    if not path.is_file():
        raise InputError(f'There is no {STUDY} in "{folder}". Give the folder of a study, as printed at its end.')
    try:
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {' '.join(str(error).split())}. Run the study's command again, which "
            "writes it anew."
        ) from None
    if not isinstance(plan, dict) or not isinstance(plan.get("arms"), dict) or not plan.get("seeds"):
        raise InputError(f"{path} must name arms and seeds. Run the study's command again, which writes it anew.")
    plan["arms"] = {str(arm): about or {} for arm, about in plan["arms"].items()}
    return plan


def _run(folder: Path, arm: str, seed: int, line: Row) -> Outcome:
    """Return the run from the files in its folder, or from its line in the ledger if there are none."""
    found = status(folder)
    run = Outcome(arm, seed, found.state, found.reason)
    run.attempts, run.command = line.get("attempts") or "", line.get("command") or ""
    if found.state is RunState.FINISHED:
        _fill(run, folder)
    elif found.state is RunState.EMPTY and line.get("state") in tuple(RunState):
        lost = line["state"] == RunState.FINISHED  # the ledger lists a result that no longer exists
        run.state = RunState.FAILED if lost else RunState(line["state"])
        run.reason = "its result is gone" if lost else line.get("reason") or ""
    if not isfinite(run.seconds):
        run.seconds = as_number(line.get("seconds"))
    return run


def _fill(run: Outcome, folder: Path) -> None:
    """Read the data for the report from the result file."""
    try:
        record = read_columns(folder / RESULT, {"history": CURVE, "levels": LEVEL, "errors": KINDS})
    except InputError as error:
        run.state, run.reason = RunState.FAILED, on_command_line(error)
        return
    run.settings, run.architecture, run.end = record["settings"], record["architecture"], record["ending"].end
    levels = {key: values.tolist() for key, values in record["levels"].items()}
    run.levels = [dict(zip(levels, row, strict=True)) for row in zip(*levels.values(), strict=True)]
    run.errors = {kind: float(np.max(values)) for kind, values in record["errors"].items() if len(values)}
    run.largest_error = run.errors.get("l2", nan)
    last = (run.kept or [{}])[-1]
    run.loss, run.parameters = number(last.get("loss")), number(last.get("parameters"))
    run.seconds = number(run.settings.get("seconds"))
    history = record["history"]
    length = len(history.get("loss", ()))
    run.curve = {key: history.get(key, np.full(length, nan)).astype(np.float32) for key in CURVE}
    error = run.curve["error"]
    error[1:][error[1:] == error[:-1]] = nan  # unmeasured steps repeat the last value, even that of another start
