"""The gallery of the packaged problems: problems/README.md with a picture and a row of figures for each.

    python benchmarks/gallery.py                     all problems, one after the other; runs that are there are skipped
    python benchmarks/gallery.py burgers drum        these problems, and the page again

Every problem is solved by one command, which the page shows, on one thread, in its folder of outputs/gallery. Rows are
made from those folders; a row whose run is not there is left as it was on the page. The name of a problem, its equation
and its source are those of its file: the first line of the text at the head of the file, and the line that begins with
"Source:".
"""

import argparse
import ast
import os
import re
import shlex
import subprocess
import sys
from datetime import date
from math import isfinite
from pathlib import Path

from PIL import Image

from kanpde.paths import RESULT
from kanpde.storage.store import read_record

ROOT = Path(__file__).parents[1]
PROBLEMS, RUNS = ROOT / "problems", ROOT / "outputs" / "gallery"
PAGE, PICTURES = PROBLEMS / "README.md", PROBLEMS / "pictures"
WIDTH, COLOURS = 900, 128  # of the pictures on the page, in pixels
COMMAND = "command.txt"

# fronts, pulses, peaks and families need a tolerance in place of the default schedule
OPTIONS = {
    "advection": ["tolerance=1e-6"],
    "allen_cahn": ["tolerance=1e-4"],
    "burgers": ["tolerance=1e-5"],
    "cavity": ["model.hidden=[8]", "model.degree=7", "schedule.starts=1"],
    "elasticity": ["model=spikan", "model.products=6", "schedule.starts=1"],
    "heat_family": ["tolerance=1e-7"],
    "kdv": ["tolerance=1e-5"],
    "kovasznay": ["model=spikan", "model.products=4"],
    "kuramoto_sivashinsky": ["tolerance=1e-4"],
    "lorenz": ["tolerance=1e-8"],
    "peak": ["tolerance=1e-6"],
    "reaction_diffusion": ["model=spikan", "model.products=4", "schedule.starts=1"],
    "taylor_green": ["model=spikan", "model.products=8", "schedule.starts=1"],
    "van_der_pol": ["tolerance=1e-8"],
    "wave": ["tolerance=1e-5"],
}
LIMIT = ["time_limit=300"]

HEAD = """# The packaged problems

Each is one file here and one file in `conf/problem`. The command beside a picture made it and its figures: the relative
L2 error (the largest of all unknowns; of a fit on its test rows), the error that the run itself estimated, the number
of parameters, and the time on one thread of a shared server processor in float64, seed 0. "-" means that the figure
does not exist. Other seeds, tolerances and methods are in [the results](../benchmarks/RESULTS.md).
Made by `python benchmarks/gallery.py`, {date}.

| picture | problem | error | estimate | parameters | seconds |
|---|---|---|---|---|---|
"""


def described(name: str) -> tuple[str, str]:
    """Return the title of a problem and its source in the literature, from the text at the head of its file."""
    text = ast.get_docstring(ast.parse((PROBLEMS / f"{name}.py").read_text(encoding="utf-8"))) or ""
    title, _, rest = text.partition("\n")
    source = re.search(r"^Source: (.+?)(?:\n\n|\Z)", rest, re.MULTILINE | re.DOTALL)
    if source is None:
        raise SystemExit(f'problems/{name}.py has no line "Source: ..." in the text at its head.')
    return title, " ".join(source.group(1).split())


def command(name: str) -> list[str]:
    """Return the command that solves a problem, without the folder of its results."""
    return ["python", "-m", "kanpde", f"problem={name}", *OPTIONS.get(name, []), *LIMIT]


def solve(name: str) -> None:
    """Run the command of a problem in its folder, unless a result of the same command is there."""
    folder, line = RUNS / name, shlex.join(command(name))
    note = folder / COMMAND
    if (folder / RESULT).exists() and note.exists() and note.read_text() == line:
        print(f"{name}: {folder} is there")
        return
    print(f"{name}: {line}", flush=True)
    place = [f"hydra.run.dir={folder}", "threads=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *command(name)[1:], *place], cwd=ROOT, env=environment, check=True)
    note.write_text(line)


def draw(name: str) -> None:
    """Write the picture of a problem, small enough for the repository."""
    with Image.open(RUNS / name / "solution.png") as picture:
        height = round(picture.height * WIDTH / picture.width)
        small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
    PICTURES.mkdir(exist_ok=True)
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)


def row(name: str) -> str:
    """Return the row of a problem from the result of its run."""
    record = read_record(RUNS / name)
    title, source = described(name)
    line = shlex.join(command(name)).replace(" " + LIMIT[0], "")
    about = f"[{name}]({name}.py): {title}<br>{source}<br>`{line}`"
    figures = [f"{value:.1e}" if isfinite(value) else "-" for value in (record["error"], record["estimate"])]
    picture = f'<a href="pictures/{name}.png"><img src="pictures/{name}.png" width="300"></a>'
    return f"| {picture} | {about} | {' | '.join(figures)} | {record['parameters']} | {record['seconds']:.0f} |"


def name_in(line: str) -> str:
    """Return the problem of a row of the page."""
    found = re.search(r"\| \[(\w+)\]\(", line)
    return found.group(1) if found else ""


def write_page() -> None:
    """Write the page: the rows of the runs that are there, and the present rows of the others."""
    old = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    rows = {name_in(line): line for line in old if name_in(line)}
    for name in names():
        if (RUNS / name / COMMAND).exists():
            draw(name)
            rows[name] = row(name)
    kept = [rows[name] for name in names() if name in rows]
    PAGE.write_text(HEAD.format(date=date.today().isoformat()) + "\n".join(kept) + "\n", encoding="utf-8")
    print(f"{PAGE}: {len(kept)} of {len(names())} problems")


def names() -> list[str]:
    """Return the names of all packaged problems."""
    return sorted(path.stem for path in PROBLEMS.glob("*.py"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="problems, by default all")
    chosen = parser.parse_args().names or names()
    for name in chosen:
        if name not in names():
            raise SystemExit(f'There is no problem "{name}" in problems/.')
        described(name)
    for name in chosen:
        solve(name)
    write_page()


if __name__ == "__main__":
    main()
