"""A report as a list of parts, and the two ways to write it: one self-contained HTML page, and Markdown."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --page: #fff; --line: #c9c9c9; --soft: #f1f4f7; --mark: #005a92; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e6e6; --page: #161616; --line: #4a4a4a; --soft: #23272b; --mark: #7cc4f2; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 64rem; color: var(--text); background: var(--page);
       font: 16px/1.55 system-ui, "Segoe UI", "Liberation Sans", Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .6rem 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); }
p.lead { font-size: 1.15rem; background: var(--soft); border-left: .35rem solid var(--mark); padding: .8rem 1rem; }
p, li { overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: .8rem 0 .3rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
p.note { font-size: .88rem; max-width: 54rem; margin-top: .3rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { background: var(--soft); }
td.number, th.number { text-align: right; white-space: nowrap; }
td.text { min-width: 7rem; }
figure { margin: 1.2rem 0; break-inside: avoid; }
figure img { width: 100%; max-width: 54rem; height: auto; background: #fff; border: 1px solid var(--line); }
figcaption { font-size: .88rem; max-width: 54rem; }
code, pre { font-family: ui-monospace, "Liberation Mono", monospace; font-size: .85rem; }
pre { background: var(--soft); padding: .7rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
@media print { body { max-width: none; font-size: 11px; } .wide { overflow: visible; } tr { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Heading:
    text: str


@dataclass(frozen=True)
class Paragraph:
    text: str
    leads: bool = False


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Table:
    """A table of strings; numeric columns are right-aligned."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Image:
    path: Path  # of the PNG, in figures/ beside the report
    title: str
    caption: str


Part = Heading | Paragraph | Code | Table | Image


def html_page(title: str, parts: Sequence[Part]) -> str:
    """Return one self-contained page, with style and pictures included and no links."""
    body = "\n".join(_html(part) for part in parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _html(part: Part) -> str:
    match part:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Paragraph(text, leads):
            return f"""<p{' class="lead"' if leads else ""}>{escape(text)}</p>"""
        case Code(text):
            return f"<pre>{escape(text)}</pre>"
        case Table():
            return _html_table(part)
        case Image(path, title, caption):
            data = b64encode(path.read_bytes()).decode()
            return (
                f'<figure><img alt="{escape(title)}" src="data:image/png;base64,{data}">'
                f"<figcaption><b>{escape(title)}.</b> {escape(caption)}</figcaption></figure>"
            )


def _html_table(table: Table) -> str:
    kinds = ["number" if _is_numeric(table, k) else "text" for k in range(len(table.header))]

    def line(cells: Sequence[str], tag: str) -> str:
        inner = "".join(f'<{tag} class="{kind}">{escape(c)}</{tag}>' for c, kind in zip(cells, kinds, strict=True))
        return f"<tr>{inner}</tr>"

    note = f'\n<p class="note">{escape(table.note)}</p>' if table.note else ""
    rows = "\n".join(line(row, "td") for row in table.rows)
    head = line(table.header, "th")
    return f'<div class="wide"><table><thead>{head}</thead><tbody>\n{rows}\n</tbody></table></div>{note}'


def _is_numeric(table: Table, column: int) -> bool:
    """Return whether every cell of a column begins like a number or is empty, and one is not empty."""
    cells = [row[column] for row in table.rows if row[column]]
    known = any(cell[0].isdigit() for cell in cells)
    return known and all(cell[0].isdigit() or cell[0] in "∞<>≥–" or cell == "failed" for cell in cells)


def markdown(title: str, parts: Sequence[Part]) -> str:
    """Return the report as Markdown, with the pictures in separate files."""
    return "\n\n".join([f"# {title}", *(_markdown(part) for part in parts)]) + "\n"


def _markdown(part: Part) -> str:
    match part:
        case Heading(text):
            return f"## {text}"
        case Paragraph(text, leads):
            return f"**{text}**" if leads else text
        case Code(text):
            return f"```\n{text}\n```"
        case Image(path, title, caption):
            return f"![{title}](figures/{path.name})\n\n*{title}. {caption}*"
        case Table(header, rows, note):
            rule = ["--:" if _is_numeric(part, k) else "---" for k in range(len(header))]
            lines = [header, rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
            text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
            return f"{text}\n\n{note}" if note else text
