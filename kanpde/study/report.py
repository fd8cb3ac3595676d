"""The report of a study, from stored runs alone: one HTML page, the same as Markdown, and its tables as CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite, isinf
from pathlib import Path
from typing import Any

from kanpde.runs.status import RunState
from kanpde.study.document import Code, Heading, Image, Paragraph, Part, Table, html_page, markdown
from kanpde.study.figures import Picture, pictures, save
from kanpde.study.findings import (
    answer,
    classical_sentence,
    duration,
    fairness,
    judge,
    progress,
    short,
    times,
    typical_seconds,
)
from kanpde.study.law_figures import law_pictures
from kanpde.study.laws import collect
from kanpde.study.measured_errors import EXACT
from kanpde.study.outcomes import Outcome, Row, Study, as_number, read_study
from kanpde.study.scaling import law_text
from kanpde.study.statistics import Summary, Verdict

HTML, MARKDOWN, FIGURES = "report.html", "report.md", "figures"
METHOD = (
    "The ratio is the median of all ratios between an error of the other arm and one of the first; its interval is "
    "the hull of a percentile bootstrap over seeds and of an exact test by exchange of the arms within each seed. A "
    "winner is named only where the interval excludes 1 and, with several comparisons, the p-value after Holm's "
    "correction is at most 0.05. Failed runs count as infinitely large errors and are never left out."
)
KINDS = {"l2": "relative L2", "loss": "√loss (there is no exact or reference solution)"}


def write_report(folder: Path) -> Path:
    """Reads a study's folder and writes its report there; nothing is solved.

    Writes ``report.html``, ``report.md``, ``arms.csv``, ``comparison.csv``, ``runs.csv`` and ``figures/*.png, *.pdf``.

    Args:
        folder: with study.yaml and runs/, and ledger.csv and classical.csv where there are any.

    Returns:
        The path of report.html.

    Raises:
        InputError: study.yaml is missing or cannot be read.
    """
    folder = Path(folder)
    study = read_study(folder)
    summaries, found = judge(study)
    write_csv(folder / "arms.csv", [_arm_row(study, arm, s) for arm, s in summaries.items()])
    write_csv(folder / "comparison.csv", [_comparison_row(v) for v in found])
    write_csv(folder / "runs.csv", [_run_row(run) for run in study.runs])
    drawn = [*pictures(study), *law_pictures(study)]
    save(drawn, folder / FIGURES)
    parts = _parts(study, summaries, found, drawn, folder)
    title = str(study.plan.get("title") or f"{study.plan.get('name', 'study')}: {study.plan.get('problem', '')}")
    (folder / MARKDOWN).write_text(markdown(title, parts), encoding="utf-8")
    (folder / HTML).write_text(html_page(title, parts), encoding="utf-8")
    return folder / HTML


def _parts(
    study: Study, summaries: Mapping[str, Summary], found: list[Verdict], drawn: Sequence[Picture], folder: Path
) -> list[Part]:
    said = [answer(study, summaries, found), progress(study), classical_sentence(study, summaries), fairness(study)]
    parts: list[Part] = [Paragraph(text, leads=True) for text in said if text]
    parts += [Heading("Arms"), _arms(study, summaries)]
    if found:
        parts += [Heading("Comparison"), _comparisons(found)]
    if study.classical:
        parts += [Heading("Classical solvers on the same problem"), _classical(study)]
    if study.references:
        parts += [Heading("How the errors are known"), *_references(study)]
    if laws := _laws(study):
        parts += [Heading("Scaling laws"), laws]
    if drawn:
        parts += [Heading("Figures")]
        parts += [Image(folder / FIGURES / f"{p.name}.png", p.title, p.caption) for p in drawn]
    parts += [Heading("Runs that failed or have not ended"), *_unfinished(study)]
    return parts + _settings(study)


# tables -------------------------------------------------------------------------------------------------------------
def _arms(study: Study, summaries: Mapping[str, Summary]) -> Table:
    header = ["arm", "network", "parameters", "median", "quartiles", "best", "worst", "failed", "runs", "seconds"]
    rows = []
    for arm, s in summaries.items():
        row = _arm_row(study, arm, s)
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
    note = f"Errors: {KINDS[study.kind]}. Seconds of solving, median over finished runs; parameters of the last grid."
    return Table(header, rows, note)


def _arm_row(study: Study, arm: str, summary: Summary) -> Row:
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


def _comparisons(found: list[Verdict]) -> Table:
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


def _comparison_row(verdict: Verdict) -> Row:
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


def _classical(study: Study) -> Table:
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


def _references(study: Study) -> list[Part]:
    """What errors were measured against, and estimates from residuals beside them."""
    rows = study.references
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


def _laws(study: Study) -> Table | None:
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


def _unfinished(study: Study) -> list[Part]:
    rows = [
        [f"{run.arm}/{run.seed}", run.state, run.reason or "", run.attempts]
        for run in study.runs
        if run.state is not RunState.FINISHED or not isfinite(run.error(study.kind))
    ]
    if not rows:
        return [Paragraph(f"None: all {len(study.runs)} runs finished.")]
    return [Table(["run", "state", "reason", "attempts"], rows)]


def _run_row(run: Outcome) -> Row:
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


def _settings(study: Study) -> list[Part]:
    plan = study.plan
    arms = [
        [arm, " ".join(map(str, about.get("overrides") or [])), _number(about.get("flops"))]
        for arm, about in study.arms.items()
    ]
    parts: list[Part] = [Heading("Settings"), Table(["arm", "options", "operations a step"], arms)]
    tuning = plan.get("tuning") or {}
    if tuning:
        header = ["trials", "seconds a trial", "options", "folder"]
        rows = [[str(arm), *(_text(about.get(key)) for key in header)] for arm, about in tuning.items()]
        parts += [Heading("Tuning"), Table(["arm", *header], rows)]
    entries = [
        ("problem", plan.get("problem")),
        ("arms matched by", plan.get("match")),
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
        parts += [Paragraph("The same command again does what is missing, and writes this report anew:")]
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


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """A table with the keys of its first row; infinite errors as inf, what is not known as an empty cell."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows([{key: _cell(value) for key, value in row.items()} for row in rows])


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "inf" if isinf(value) else "" if value != value else value
    return "" if value is None else value
