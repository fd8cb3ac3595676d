"""The report of a study whose arms are compared by the time to a tolerance: sentences, tables, picture, CSV files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil, inf, isfinite, log2
from pathlib import Path

from kanpde.study.censored import Contest
from kanpde.study.csv_rows import Row, as_number, write_csv
from kanpde.study.document import Heading, Part, Table
from kanpde.study.figures import Picture
from kanpde.study.findings import duration, short, times
from kanpde.study.outcomes import Outcome, Study
from kanpde.study.reaching import LEVEL, WRONG, Decision, Reaching
from kanpde.study.report_rows import run_row
from kanpde.study.work_precision import CAPTION, Effort, work_precision

UNMATCHED = (
    "The arms are not matched in size: every arm begins with its own default network or the one of its options, and "
    "each run decides how it grows. What is compared is the time to a tolerance, not networks of equal size."
)
METHOD = (
    f"A run has reached its tolerance if it ended with 'tolerance reached' within the time limit and its true error, "
    f"where it is known, is at most {WRONG:g} times the tolerance. All other runs, failed ones too, count as slower "
    "than the limit. A median that depends on them is only bounded (>)."
)
TEST = (
    "Sooner: seeds with which this arm reached the tolerance and the other one later or not at all. The ratio of the "
    "times, other / first, is the median over the seeds; times longer than the limit can only bound it. A winner is "
    "named if the p-value of the sign test over the seeds, after Holm's correction for all rows, is at most 0.05."
)


# sentences ----------------------------------------------------------------------------------------------------------
def sentences(study: Study, found: Sequence[Reaching], decided: Sequence[Decision]) -> list[str]:
    """Return the first paragraphs of the report: the winners, what is not comparable, and wrong ends."""
    problem = study.plan.get("problem") or "this problem"
    least = ceil(log2(2 * len(decided) / LEVEL)) if decided else 0  # with fewer seeds no p-value is small enough
    winners = " ".join(_sentence(each, problem, least) for each in decided)
    said = [winners, UNMATCHED, _methods(study), _wrong(found)]
    return [*said, _classical(study)]


def _sentence(decision: Decision, problem: str, least: int) -> str:
    pair, first, other = decision.contest, decision.first, decision.other
    aim = f"{first} and {other} to an error of {decision.tolerance:g} on {problem}"
    counts = f"{first} was sooner with {pair.first_sooner} of {pair.seeds} seeds, {other} with {pair.other_sooner}"
    neither = f", undecided with {pair.undecided}" if pair.undecided else ""
    if decision.winner is not None:
        loser = other if decision.winner == first else first
        aim = f"against {loser} to an error of {decision.tolerance:g} on {problem}"
        return f"{decision.winner} wins {aim}: {counts}{neither}; {_ratio(decision)}."
    few = f" A winner needs at least {least} seeds here." * (pair.seeds < least)
    return f"No winner between {aim}: {counts}{neither}.{few}"


def _ratio(decision: Decision) -> str:
    return f"the time of {decision.other} divided by that of {decision.first} is {ratio_text(decision.contest)}"


def ratio_text(pair: Contest) -> str:
    """The median ratio of the times other / first, or what is known of it."""
    if pair.low == pair.high:
        return times(pair.low)
    if pair.low > 0:
        return f"> {times(pair.low)}" if pair.high == inf else f"{times(pair.low)} to {times(pair.high)}"
    return "not known" if pair.high == inf else f"< {times(pair.high)}"


def method_of(run: Outcome) -> str:
    """How the solution is represented: by windows of time, a sum of products, or the network of the options."""
    layers = run.architecture.get("layers") or [{}]
    if run.architecture.get("kind") in ("windows", "trajectory"):
        return "windows of time"
    return "sum of products" if layers[0].get("kind") == "factorlayer" else str(run.settings["model"]["name"])


def _methods(study: Study) -> str:
    used: dict[str, Counter[str]] = {}
    for run in study.runs:
        if run.architecture:
            used.setdefault(str(study.arms[run.arm]["family"]), Counter())[method_of(run)] += 1
    parts = [f"{arm}: {', '.join(f'{name} ({_runs(n)})' for name, n in own.items())}" for arm, own in used.items()]
    return f"Solutions were represented by: {'; '.join(parts)}." if parts else ""


def _runs(n: int) -> str:
    return f"{n} run{'s' * (n != 1)}"


def _wrong(found: Sequence[Reaching]) -> str:
    known = sum(each.ended_reached(run) and isfinite(run.largest_error) for each in found for run in each.runs.values())
    claimed = sum(each.ended_reached(run) for each in found for run in each.runs.values())
    wrong = [f"{each.wrong} of {each.arm} at {each.tolerance:g}" for each in found if each.wrong]
    listed = f": {', '.join(wrong)}; they count as not reached" if wrong else ""
    unknown = f" The true error of {_runs(claimed - known)} is not known." if claimed > known else ""
    total = sum(each.wrong for each in found)
    return (
        f"Runs that ended with 'tolerance reached' but have a true error above {WRONG:g} times the tolerance: {total} "
        f"of {known} whose true error is known{listed}.{unknown}"
    )


def _classical(study: Study) -> str:
    """The fastest classical solver for every tolerance."""
    rows = [row for row in study.classical if as_number(row.get("seconds")) > 0]
    parts = []
    for tolerance in study.tolerances:
        if good := [row for row in rows if as_number(row["l2"]) <= tolerance]:
            best = min(good, key=lambda row: as_number(row["seconds"]))
            parts.append(f"{tolerance:g} in {duration(best['seconds'])} ({best['method']})")
    if parts:
        return f"Classical solvers reach {', '.join(parts)}."
    return "None of the classical solvers reached a tolerance." if rows else "No classical solver was run."


# tables -------------------------------------------------------------------------------------------------------------
def tables(found: Sequence[Reaching], decided: Sequence[Decision]) -> list[Part]:
    """Return the sections on the time and the parameters to every tolerance, and on the comparison of the arms."""
    header = [
        "tolerance",
        "arm",
        "reached",
        "median seconds",
        "parameters",
        "wrong",
        "largest error / tolerance",
        "ends",
    ]
    rows = [
        [
            f"{each.tolerance:g}",
            each.arm,
            f"{each.reached} of {len(each.runs)}",
            _bounded(each.median.seconds, each.median.is_bound),
            f"{each.parameters:.0f}" if isfinite(each.parameters) else "–",
            str(each.wrong),
            short(_largest(each)),
            ", ".join(f"{n} {name}" for name, n in _ends(each).items()),
        ]
        for each in found
    ]
    limit = f" The limit was {duration(found[0].limit)}." if found else ""
    note = (
        f"{METHOD}{limit} Parameters: median over the runs, none if at most half of them reached the tolerance. Wrong: "
        f"ended with 'tolerance reached' with a true error above {WRONG:g} times the tolerance. Largest error: of the "
        "runs that ended so."
    )
    against = ["tolerance", "first", "other", "first sooner", "other sooner", "undecided", "ratio", "p", "p (Holm)"]
    compared = [
        [
            f"{each.tolerance:g}",
            each.first,
            each.other,
            *map(str, (each.contest.first_sooner, each.contest.other_sooner, each.contest.undecided)),
            ratio_text(each.contest),
            f"{each.contest.p_value:.2g}",
            f"{each.adjusted_p:.2g}",
            each.winner or "no winner",
        ]
        for each in decided
    ]
    return [
        Heading("Time to a tolerance"),
        Table(header, rows, note),
        Heading("Comparison"),
        Table([*against, "winner"], compared, TEST),
    ]


def _bounded(seconds: float, is_bound: bool) -> str:
    return f"{'> ' * is_bound}{times(seconds)}" if isfinite(seconds) else ""


def _largest(each: Reaching) -> float:
    """Return the largest true error over tolerance of the runs that ended with "tolerance reached"."""
    known = [run.largest_error for run in each.runs.values() if each.ended_reached(run) and isfinite(run.largest_error)]
    return max(known) / each.tolerance if known else float("nan")


def _ends(each: Reaching) -> Counter[str]:
    return Counter("failed" if run.end is None else run.end.message for run in each.runs.values())


# files --------------------------------------------------------------------------------------------------------------
def write_tables(study: Study, found: Sequence[Reaching], decided: Sequence[Decision], folder: Path) -> None:
    """Write arms.csv, comparison.csv and runs.csv."""
    write_csv(folder / "arms.csv", [_arm_row(each) for each in found])
    write_csv(folder / "comparison.csv", [_comparison_row(each) for each in decided])
    rows = []
    for run in study.runs:
        about = study.arms[run.arm]
        asked = {"arm": about["family"], "tolerance": about["tolerance"], "estimate": run.settings.get("estimate")}
        rows.append({**run_row(run), **asked})
    write_csv(folder / "runs.csv", rows)


def _arm_row(each: Reaching) -> Row:
    return {
        "arm": each.arm,
        "tolerance": each.tolerance,
        "runs": len(each.runs),
        "reached": each.reached,
        "median_seconds": each.median.seconds,
        "is_lower_bound": each.median.is_bound,
        "time_limit": each.limit,
        "parameters": each.parameters,
        "wrong": each.wrong,
        "largest_error_over_tolerance": _largest(each),
    }


def _comparison_row(each: Decision) -> Row:
    return {
        "tolerance": each.tolerance,
        "first": each.first,
        "other": each.other,
        "first_sooner": each.contest.first_sooner,
        "other_sooner": each.contest.other_sooner,
        "undecided": each.contest.undecided,
        "ratio_low": each.contest.low,
        "ratio_high": each.contest.high,
        "p": each.contest.p_value,
        "p_holm": each.adjusted_p,
        "winner": each.winner or "no winner",
    }


def diagrams(found: Sequence[Reaching]) -> list[Picture]:
    """Return the diagram of work and precision; none without runs."""
    curves: dict[str, list[Effort]] = {}
    for each in found:
        for seed, run in each.runs.items():
            estimate = as_number(run.settings.get("estimate"))
            effort = Effort(seed, each.tolerance, run.largest_error, estimate, run.seconds, each.ended_reached(run))
            curves.setdefault(each.arm, []).append(effort)
    if not curves:
        return []
    return [Picture("work_precision", "Work and precision", CAPTION, work_precision(curves))]
