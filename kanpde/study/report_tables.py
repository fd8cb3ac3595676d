"""Tables and sections of a report as parts of its document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import isfinite
from typing import Any

from kanpde.runs.status import RunState
from kanpde.study.csv_rows import as_number
from kanpde.study.document import Code, Heading, Paragraph, Part, Table
from kanpde.study.findings import duration, short, times
from kanpde.study.laws import collect
from kanpde.study.measured_errors import EXACT
from kanpde.study.outcomes import Study
from kanpde.study.report_rows import arm_row
from kanpde.study.scaling import law_text
from kanpde.study.statistics import Summary, Verdict

METHOD = (
    "The ratio is the median of all ratios between an error of the other arm and one of the first; its interval is "
    "the hull of a percentile bootstrap over seeds and of an exact test by exchange of the arms within each seed. A "
    "winner is named only where the interval excludes 1 and, with several comparisons, the p-value after Holm's "
    "correction is at most 0.05. Failed runs count as infinitely large errors and are never left out."
)
KINDS = {"l2": "relative L2", "loss": "√loss (there is no exact or reference solution)"}


def arms_table(study: Study, summaries: Mapping[str, Summary]) -> Table:
    """Return the table of the network and errors of every arm."""
    header = ["arm", "network", "parameters", "median", "quartiles", "best", "worst", "failed", "runs", "seconds"]
    rows = []
    for arm, s in summaries.items():
        row = arm_row(study, arm, s)
        numbers = [short(s.median), f"{short(s.lower)} to {short(s.upper)}", short(s.best), short(s.worst)]
        rows.append(
            [
                arm,
                row["network"],
                _number(row["parameters"]),
                *numbers,
                str(s.failed),
                str(s.runs),
                times(row["seconds"]) if isfinite(row["seconds"]) else "",
            ]
        )
    where = f" on {study.rows['errors on']}" if study.rows and study.kind == "l2" else ""
    error = f"{KINDS[study.kind]}{where}"
    note = f"Errors: {error}. Seconds of solving, median over finished runs; parameters of the last grid."
    return Table(header, rows, note)


def comparisons_table(found: list[Verdict]) -> Table:
    """Return the table that compares the first arm with every other one."""
    header = ["first", "other", "other / first", "95 % interval", "p", "p (Holm)", "seeds", "winner"]
    rows = [
        [
            v.first,
            v.other,
            times(v.comparison.factor),
            f"{times(v.comparison.low)} to {times(v.comparison.high)}",
            f"{v.comparison.p_value:.2g}",
            f"{v.adjusted_p:.2g}",
            str(v.comparison.seeds),
            v.winner or "no winner",
        ]
        for v in found
    ]
    return Table(header, rows, METHOD)


def classical_table(study: Study) -> Table:
    """Return the table of unknowns, seconds and errors of classical solvers."""
    header = ["method", "degree", "unknowns", "seconds", "relative L2", "relative H1", "relative max", "note"]
    rows = [
        [
            str(row.get("method") or ""),
            str(row.get("degree") or ""),
            _number(row.get("unknowns")),
            duration(row["seconds"]) if row.get("seconds") else "",
            *(short(row.get(key)) for key in ("l2", "h1", "max")),
            str(row.get("note") or ""),
        ]
        for row in study.classical
    ]
    return Table(header, rows)


def errors_section(study: Study) -> list[Part]:
    """Return the section on the references of the errors, and on error estimates from residuals."""
    rows = study.measured_errors
    texts = Counter(str(row["text"]) for row in rows if row["text"] not in ("", EXACT))
    parts: list[Part] = [Paragraph(f"Errors of {n} runs: {text}.") for text, n in texts.items()]
    header = ["run", "relative L2", "estimate from residuals", "effectivity"]
    table = [
        [row["run"], short(row["l2"]), short(row["estimate"]), times(as_number(row["effectivity"]))]
        for row in rows
        if isfinite(as_number(row["estimate"]))
    ]
    note = (
        "The estimate solves the linearised error equation for the run's residuals by collocation, without the "
        "exact solution; the effectivity is the estimate over the error, 1 at best."
    )
    return [*parts, Table(header, table, note)] if table else parts


def laws_table(study: Study) -> Table | None:
    """Return the table of slopes of errors against sizes; None if no slope can be fitted."""
    rows = []
    for size in ("parameters", "grid"):
        for family, found in collect(study, size, study.kind).items():
            law = found.law()
            if isfinite(law.slope):
                left_out = ", ".join(f"{x:g}" for x in law.sizes[law.plateau])
                sizes = ", ".join(f"{x:g}" for x in law.sizes[~law.plateau])
                rows.append([family, size, law_text(law).removeprefix("slope "), sizes, left_out or "none"])
    note = "Slope of log error against log size, 95 % interval over the seeds; sizes on a plateau are left out."
    return Table(["arm", "against", "slope", "sizes", "on a plateau"], rows, note) if rows else None


def unfinished_section(study: Study) -> list[Part]:
    """Return the section on runs that failed or have not ended, with the reasons."""
    rows = [
        [f"{run.arm}/{run.seed}", run.state, run.reason or "", run.attempts]
        for run in study.runs
        if run.state is not RunState.FINISHED or not isfinite(run.error(study.kind))
    ]
    if not rows:
        return [Paragraph(f"None: all {len(study.runs)} runs finished.")]
    return [Table(["run", "state", "reason", "attempts"], rows)]


def settings_section(study: Study) -> list[Part]:
    """Return the section on options of the arms, tuning, software and machine."""
    plan = study.plan
    arms = [
        [arm, " ".join(map(str, about.get("overrides") or [])), _number(about.get("flops"))]
        for arm, about in study.arms.items()
    ]
    shown = 2 if study.tolerances else 3  # networks that grow have no fixed number of operations
    header = ["arm", "options", "operations a step"][:shown]
    parts: list[Part] = [Heading("Settings"), Table(header, [row[:shown] for row in arms])]
    tuning = plan.get("tuning") or {}
    if tuning:
        header = ["trials", "seconds a trial", "options", "folder"]
        rows = [[str(arm), *(_text(about.get(key)) for key in header)] for arm, about in tuning.items()]
        parts += [Heading("Tuning"), Table(["arm", *header], rows)]
    entries = [
        ("problem", plan.get("problem")),
        ("arms matched by", "nothing" if study.tolerances else plan.get("match")),
        ("tolerances", study.tolerances),
        ("time limit", duration(plan["time_limit"]) if study.tolerances else None),
        ("rows", study.rows),
        ("seeds", plan.get("seeds")),
        ("budget", plan.get("budget")),
        ("started", plan.get("started")),
        ("commit", plan.get("commit") or "not known"),
        ("machine", plan.get("machine")),
        ("versions", plan.get("versions")),
    ]
    rows = [[key, _text(value)] for key, value in entries if value not in (None, "", {}, [])]
    parts += [Heading("Where and how"), Table(["what", "value"], rows)]
    if plan.get("command"):
        parts += [Paragraph("Run the same command again to complete missing runs and to rewrite this report:")]
        parts += [Code(str(plan["command"]))]
    return parts


# text ---------------------------------------------------------------------------------------------------------------
def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(v)}" for key, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(v) for v in value)
    return "" if value is None else str(value)


def _number(value: Any) -> str:
    number = as_number(value)
    return "" if not isfinite(number) else f"{number:.0f}" if number < 1e6 else f"{number:.2g}"
