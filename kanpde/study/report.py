"""The report of a study from its stored runs: an HTML page, the same as Markdown, and its tables as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kanpde.study.csv_rows import write_csv
from kanpde.study.document import Heading, Image, Paragraph, Part, html_page, markdown
from kanpde.study.fairness import fairness
from kanpde.study.figures import Picture, pictures, save
from kanpde.study.findings import answer, classical_sentence, judge, progress
from kanpde.study.fits import rows_sentence
from kanpde.study.law_figures import law_pictures
from kanpde.study.outcomes import Study, read_study
from kanpde.study.reaching import decisions, reachings
from kanpde.study.report_rows import arm_row, comparison_row, run_row
from kanpde.study.report_tables import (
    arms_table,
    classical_table,
    comparisons_table,
    errors_section,
    laws_table,
    settings_section,
    unfinished_section,
)
from kanpde.study.tolerance_report import diagrams, sentences, tables, write_tables

HTML, MARKDOWN, FIGURES = "report.html", "report.md", "figures"


def write_report(folder: Path) -> Path:
    """Read a study's folder and write its report there, without solving anything.

    The files are ``report.html``, ``report.md``, ``arms.csv``, ``comparison.csv``, ``runs.csv``, ``figures/*.png`` and
    ``figures/*.pdf``.

    Args:
        folder: with study.yaml and runs/, and ledger.csv and classical.csv if they exist.

    Returns:
        The path of report.html.

    Raises:
        InputError: study.yaml is missing or cannot be read.
    """
    folder = Path(folder)
    study = read_study(folder)
    parts = _to_tolerances(study, folder) if study.tolerances else _of_errors(study, folder)
    title = str(study.plan.get("title") or f"{study.plan.get('name', 'study')}: {study.plan.get('problem', '')}")
    (folder / MARKDOWN).write_text(markdown(title, parts), encoding="utf-8")
    (folder / HTML).write_text(html_page(title, parts), encoding="utf-8")
    return folder / HTML


def _of_errors(study: Study, folder: Path) -> list[Part]:
    """Write the tables and pictures of a study whose arms are compared by their errors; return its report."""
    summaries, found = judge(study)
    write_csv(folder / "arms.csv", [arm_row(study, arm, s) for arm, s in summaries.items()])
    write_csv(folder / "comparison.csv", [comparison_row(v) for v in found])
    write_csv(folder / "runs.csv", [run_row(run) for run in study.runs])
    drawn = [*pictures(study), *law_pictures(study)]
    said = [answer(study, summaries, found), progress(study), classical_sentence(study, summaries)]
    said += [rows_sentence(study.rows), fairness(study)]
    parts: list[Part] = [*_leading(said), Heading("Arms"), arms_table(study, summaries)]
    if found:
        parts += [Heading("Comparison"), comparisons_table(found)]
    laws = laws_table(study)
    parts += [*_references(study), *([Heading("Scaling laws"), laws] if laws else [])]
    return parts + _rest(study, drawn, folder)


def _to_tolerances(study: Study, folder: Path) -> list[Part]:
    """Write the tables and the picture of a study of the time to tolerances; return its report."""
    found = reachings(study)
    decided = decisions(found)
    write_tables(study, found, decided, folder)
    said = [*sentences(study, found, decided), progress(study), fairness(study)]
    parts: list[Part] = [*_leading(said), *tables(found, decided), *_references(study)]
    return parts + _rest(study, diagrams(found), folder)


def _leading(texts: Sequence[str]) -> list[Part]:
    return [Paragraph(text, leads=True) for text in texts if text]


def _references(study: Study) -> list[Part]:
    parts: list[Part] = []
    if study.classical:
        parts += [Heading("Classical solvers on the same problem"), classical_table(study)]
    if study.measured_errors:
        parts += [Heading("How the errors are known"), *errors_section(study)]
    return parts


def _rest(study: Study, drawn: Sequence[Picture], folder: Path) -> list[Part]:
    save(drawn, folder / FIGURES)
    images = [Image(folder / FIGURES / f"{p.name}.png", p.title, p.caption) for p in drawn]
    parts: list[Part] = [Heading("Figures"), *images] if drawn else []
    parts += [Heading("Runs that failed or have not ended"), *unfinished_section(study)]
    return parts + settings_section(study)
