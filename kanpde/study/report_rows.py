"""Rows of the tables that a report writes as CSV: arms.csv, comparison.csv and runs.csv."""

from __future__ import annotations

from collections.abc import Sequence

from kanpde.runs.status import RunState
from kanpde.study.csv_rows import Row
from kanpde.study.findings import typical_seconds
from kanpde.study.outcomes import Outcome, Study
from kanpde.study.statistics import Summary, Verdict


def arm_row(study: Study, arm: str, summary: Summary) -> Row:
    """Return the row of arms.csv for one arm: its network and errors."""
    finished = [run for run in study.of(arm) if run.state is RunState.FINISHED]
    planned = study.arms[arm]
    parameters = finished[0].parameters if finished else planned.get("parameters")
    return {
        "arm": arm,
        "network": _network(planned, finished),
        "parameters": parameters,
        "flops": planned.get("flops"),
        "runs": summary.runs,
        "failed": summary.failed,
        "median": summary.median,
        "lower_quartile": summary.lower,
        "upper_quartile": summary.upper,
        "best": summary.best,
        "worst": summary.worst,
        "seconds": typical_seconds(study, arm),
    }


def _network(planned: Row, finished: Sequence[Outcome]) -> str:
    model = finished[0].settings.get("model", {}) if finished else {}
    hidden = planned.get("hidden") or model.get("hidden") or ""
    kind = model.get("basis") or model.get("activation") or ""
    return " ".join(filter(None, [str(model.get("name", "")), str(hidden), str(kind)]))


def comparison_row(verdict: Verdict) -> Row:
    """Return the row of comparison.csv for the first arm and another one."""
    pair = verdict.comparison
    return {
        "first": verdict.first,
        "other": verdict.other,
        "factor": pair.factor,
        "low": pair.low,
        "high": pair.high,
        "p": pair.p_value,
        "p_holm": verdict.adjusted_p,
        "seeds": pair.seeds,
        "winner": verdict.winner or "no winner",
    }


def run_row(run: Outcome) -> Row:
    """Return the row of runs.csv for one arm and one seed."""
    return {
        "arm": run.arm,
        "seed": run.seed,
        "state": run.state,
        "parameters": run.parameters,
        **{kind: run.errors.get(kind) for kind in ("l2", "h1", "max")},
        "loss": run.loss,
        "seconds": run.seconds,
        "steps": len(run.curve.get("loss", ())),
        "reason": run.reason,
        "attempts": run.attempts,
        "command": run.command,
    }
