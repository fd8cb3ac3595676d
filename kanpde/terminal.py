"""Output during and after a run, on the terminal and in the log file."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import ceil, isfinite, log10
from pathlib import Path
from time import monotonic
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from kanpde.configure.typed import on_command_line
from kanpde.domains.families import label_of, members_of
from kanpde.models.network import trained_size
from kanpde.solution import Solution
from kanpde.training.phases import Progress
from kanpde.training.watch import kept

SECONDS_BETWEEN_LINES = 2.0
CERTAIN = 5.0  # standard deviations
MOST_NAMED = 30  # inputs without influence
WORDS = ("run", "what", "ended", "arm")  # columns whose text may be wrapped


class Display:
    """Shows the progress of training: a live line on a terminal, occasional lines in a file or a pipe.

    Args:
        file: receives every line of `say`, with the time.
        title: printed before the first line, and not at all if there is none, as for invalid input.
    """

    def __init__(self, file: TextIO, title: Sequence[str] = ()):
        self.file = file
        self.title = list(title)
        self.console = Console(soft_wrap=True, highlight=False)
        self.bar = Bar(
            TextColumn("phase {task.fields[phase]}"),
            BarColumn(bar_width=10),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[status]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_interactive,
        )
        self.task = self.bar.add_task("", total=1, phase="", status="", visible=False)
        self.said = monotonic()
        self.phase_began = 0.0  # in seconds of training
        self.seconds = 0.0

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(self, *exception) -> None:
        self.bar.stop()

    def say(self, line: str) -> None:
        """Print one line on the terminal and in the file."""
        for each in (*self.title, line):
            self._print(each)
            self.file.write(f"{datetime.now():%H:%M:%S} {each}\n")
        self.title = []
        self.file.flush()

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False)
        self.console.file.flush()

    def observe(self, progress: Progress) -> None:
        """Show the progress after a step."""
        if self.title:
            self.say(self.title.pop())
        if progress.step == 1:
            self.phase_began = self.seconds
        self.seconds = progress.seconds
        status = self._status(progress)
        phase = f"{progress.phase + 1}/{progress.phases}"
        if self.console.is_interactive:
            shown = {"phase": phase, "status": status, "visible": True}
            self.bar.update(self.task, completed=progress.step, total=progress.steps, **shown)
        elif monotonic() - self.said >= SECONDS_BETWEEN_LINES:
            self.said = monotonic()
            place = (
                f"step {progress.step}/{progress.steps}"
                if not progress.is_percent
                else f"{progress.step} % of the interval"
            )
            self._print(f"phase {phase}  {place}  {status}")

    def _status(self, progress: Progress) -> str:
        speed = progress.step / max(progress.seconds - self.phase_began, 1e-9)
        grid = [f"grid {progress.grid}"] if progress.grid else []
        error = [f"error {progress.error:.1e}"] if isfinite(progress.error) else []
        fast = [f"{speed:.3g} steps/s"] if not progress.is_percent else []
        return "  ".join([*grid, f"loss {progress.loss:.1e}", *error, *fast])


def report(solution: Solution, folder: Path, loading: str = "") -> list[str]:
    """Return lines with the results of a run and the location of its files.

    Args:
        solution: of the run.
        folder: with its files.
        loading: Python code that loads it.
    """
    lines = [f"Ended: {solution.reason}."]
    lines += coefficient_lines(solution)
    tested = solution.problem.test if solution.problem.exact is None else None
    of = "" if tested is None else f" on {len(tested.x)} test rows"
    measures = {name: solution.settings[name] for name in solution.problem.measures if name in solution.settings}
    if measures:
        told = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in measures.items())
        lines.append(f"Errors{of}: {told}.")
    for unknown, errors in () if measures else solution.errors.items():
        kinds = {"L2": errors["l2"], "H1": errors["h1"], "max": errors["max"]}
        told = ", ".join(f"{kind} {value:.2e}" for kind, value in kinds.items() if isfinite(value) or kind != "H1")
        lines.append(f"Relative error of {unknown}{of}: {told}.")
    lines += member_lines(solution)
    if not solution.errors:
        lines.append("No exact solution to measure an error against.")
    if (estimate := solution.settings.get("estimate")) is not None:
        none = (
            "There is no estimate of the error: the residual is not small, the network is too large for one, or "
            "conditions are missing."
        )
        atol = solution.settings.get("atol")
        to = " (relative to the root mean square plus atol / tolerance)" if atol else ""
        lines.append(f"Estimated relative L2 error {estimate:.1e}{to}." if isfinite(estimate) else none)
    parameters = trained_size(solution.model)
    windows = f"{solution.settings['windows']} windows of time, " if "windows" in solution.settings else ""
    steps, seconds = len(solution.history), solution.settings["seconds"]
    lines.append(f"{windows}{parameters} parameters, {steps} steps, {seconds:.1f} s.")
    lines += fresh_lines(kept(solution.levels))
    lines += noise_lines(solution.settings)
    lines += idle_lines(solution)
    lines.append(f"Results: {folder}")
    lines.append(f"  view:        paraview {folder / 'solution.xdmf'}")
    lines += [] if solution.problem.domain.space else [f"  table:       {folder / 'solution.csv'}"]
    lines += [f"  load:        {loading}"] if loading else []
    return [*lines, *(f"Warning: {on_command_line(warning)}" for warning in solution.warnings)]


def coefficient_lines(solution: Solution) -> list[str]:
    """Return a line for every coefficient with what is known of its error, and lines on all of them."""
    lines = []
    for name, value in solution.coefficients.items():
        error, start = solution.standard_errors.get(name), solution.problem.parameters.get(name)
        digits = 8 if not error else min(16, max(8, 3 + ceil(log10(max(abs(value) / error, 1.0)))))
        known = f" ± {error:.1e} (standard error)" if error is not None else ""
        if name in solution.intervals:
            lower, upper = solution.intervals[name]
            known += f", with 95 % probability from {lower:.{digits}g} to {upper:.{digits}g}"
        lines.append(f"Found {name} = {value:.{digits}g}{known}{'' if start is None else f' (started at {start:g})'}.")
    pairs = {frozenset((a, b)): (a, b, r) for a, of in solution.correlations.items() for b, r in of.items()}
    if pairs:
        lines.append(f"Correlations: {', '.join(f'{a} and {b} {r:.3g}' for a, b, r in pairs.values())}.")
    if "chi_square_data" in solution.settings:
        found, margin = solution.settings["chi_square_data"], solution.settings["chi_square_data_margin"]
        lines.append(
            f"Mean square of the residuals of the data in standard errors: {found:.3g}, expected 1 ± {margin:.2g}."
        )
    return lines


def member_lines(solution: Solution) -> list[str]:
    """Return a line with the errors of some members of a family; none if it is no family or they are not known."""
    members = members_of(solution.problem.domain, {}) if solution.errors else []
    found = [(label_of(values), solution.at(**values).errors) for values in members]
    worst = [f"{label} {max(each['l2'] for each in errors.values()):.2e}" for label, errors in found if errors]
    return [f"Relative L2 errors at {', '.join(worst)}."] if worst else []


def fresh_lines(level: Mapping[str, Any]) -> list[str]:
    """Return a line with the losses of a phase and its relative residuals on fresh points; none if not measured."""
    if "fresh" not in level:
        return []
    losses = f"Loss {level['loss']:.2e}, on fresh points {level['fresh']:.2e}"
    if "accuracy" in level:  # whose loss is compared with nothing
        return [f"{losses}."]
    before = "relative_"
    residuals = [f"{key.removeprefix(before)} {v:.1e}" for key, v in level.items() if key.startswith(before)]
    return [f"{losses}; residuals there relative to their largest terms: {', '.join(residuals)}."]


def idle_lines(solution: Solution) -> list[str]:
    """Return a line with the inputs of a fit that have no influence; none if all have one."""
    idle = solution.settings.get("idle", [])
    if idle and len(idle) == len(solution.problem.domain.names):
        return ["No input has a certain influence on the rows for validation: too few rows, or nothing is explained."]
    more = f" and {len(idle) - MOST_NAMED} more" if len(idle) > MOST_NAMED else ""
    named = ", ".join(idle[:MOST_NAMED])
    return [f"Inputs without influence on the rows for validation: {named}{more}."] if idle else []


def noise_lines(settings: Mapping[str, Any]) -> list[str]:
    """Return a line with the mean squares of the residuals in standard errors; none if these are not known."""
    if "chi_square" not in settings:
        return []
    found, margin = settings["chi_square_validation"], settings["chi_square_margin"]
    line = (
        f"Mean square of the residuals in standard errors: {settings['chi_square']:.3g} on the training rows, "
        f"{found:.3g} on those for validation, where noise alone gives 1 ± {margin:.2g}."
    )
    if found > 1 + CERTAIN * margin:
        line += " The network follows the noise of the training rows: use fewer nodes or cells, or more rows."
    return [line]


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; on a narrow terminal text is wrapped and numbers are not; in a file or pipe it is plain lines."""
    console = Console(highlight=False)
    is_terminal = console.is_terminal
    console.width = max(console.width, 80) if is_terminal else 10_000
    table = Table(box=SIMPLE_HEAD if is_terminal else None, padding=(0, 2 - is_terminal, 0, 0), pad_edge=False)
    for name, cells in zip(header, zip(*rows, strict=True), strict=True):
        if name in WORDS:
            table.add_column(name, overflow="fold", min_width=min(10, max(map(len, cells))))
        else:
            table.add_column(name.replace(" ", "\n" if is_terminal else " "), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
