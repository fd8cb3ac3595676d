"""The results of a study in sentences: the winner, classical solvers for comparison, unfinished runs."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite, nan
from statistics import median
from typing import Any

from kanpde.runs.status import RunState
from kanpde.study.csv_rows import as_number
from kanpde.study.outcomes import Study
from kanpde.study.statistics import Comparison, Summary, Verdict, summarise_errors, verdicts

LEAST_SEEDS = 6  # with fewer, no p-value is below 5 %


def judge(study: Study) -> tuple[dict[str, Summary], list[Verdict]]:
    """Return the summary of every arm's errors, and the comparisons of the first arm with the others."""
    errors = study.final_errors()
    summaries = {arm: summarise_errors(list(by_seed.values())) for arm, by_seed in errors.items()}
    return summaries, verdicts(errors) if len(errors) > 1 else []


def answer(study: Study, summaries: Mapping[str, Summary], found: list[Verdict]) -> str:
    """Return the first sentences of a report: the winners, if there are any, and the failed runs."""
    problem = study.plan.get("problem") or "this problem"
    sentences = [_sentence(verdict, summaries, problem) for verdict in found]
    if not found:
        sentences = [
            f"{arm} on {problem}: median error {short(s.median)} over {s.runs} seeds; there is no second arm "
            "to compare it with."
            for arm, s in summaries.items()
        ]
    failed = [f"{s.failed} of {s.runs} {arm} runs" for arm, s in summaries.items() if s.failed]
    if failed:
        sentences.append(f"Failed: {', '.join(failed)}; they count as infinitely large errors.")
    return " ".join(sentences)


def _sentence(verdict: Verdict, summaries: Mapping[str, Summary], problem: str) -> str:
    pair, first, other = verdict.comparison, verdict.first, verdict.other
    if not pair.seeds:
        return f"No winner yet between {first} and {other} on {problem}: no seed has ended in both arms."
    seeds = f"{pair.seeds} seed{'s' * (pair.seeds != 1)} each"
    if verdict.winner is not None:
        winner, loser = verdict.winner, other if verdict.winner == first else first
        medians = f"medians {short(summaries[winner].median)} and {short(summaries[loser].median)}"
        pair = pair if winner == first else _turned(pair)
        if not isfinite(pair.factor):
            half = f"at least half of the {loser} runs failed"
            return f"{winner} wins against {loser} on {problem}: {half} ({seeds}; {medians})."
        return (
            f"{winner} wins against {loser} on {problem}: its errors are {times(pair.factor)} times smaller "
            f"(95 % interval {times(pair.low)} to {times(pair.high)}; {seeds}; {medians})."
        )
    ratio = f"the errors of {other} are {times(pair.factor)} times those of {first}"
    if not 0 < pair.factor < inf:
        ratio = f"at least half of the {other if pair.factor else first} runs failed"
    start = f"No winner between {first} and {other} on {problem}: "
    if pair.seeds < LEAST_SEEDS:
        return f"{start}{ratio}, but a winner needs at least {LEAST_SEEDS} seeds, and {pair.seeds} ended in both arms."
    interval = f"95 % interval, {times(pair.low)} to {times(pair.high)},"
    if pair.excludes_tie:
        return f"{start}{ratio}; the {interval} excludes a tie, but not where several arms are compared ({seeds})."
    return f"{start}{ratio}, but the {interval} includes a tie ({seeds})."


def _turned(pair: Comparison) -> Comparison:
    """The other arm against the first."""
    factor, low, high = (1 / x if x else inf for x in (pair.factor, pair.high, pair.low))
    return Comparison(factor, low, high, pair.p_value, pair.seeds)


def progress(study: Study) -> str:
    """A sentence on runs that have not ended or were not measured; "" if there are none."""
    unmeasured = sum(run.lacks(study.kind) for run in study.runs)
    if unmeasured:
        return (
            f"Preliminary: the errors of {unmeasured} runs have not been measured. Run the same "
            "command again with study.classical=true."
        )
    states = study.states()
    missing = {state: n for state, n in states.items() if not state.is_final}
    if not missing:
        return ""
    details = ", ".join(f"{n} {state}" for state, n in missing.items())
    return (
        f"Preliminary: {sum(missing.values())} of {len(study.runs)} runs have not ended ({details}). Run the same "
        "command again to complete them."
    )


def classical_sentence(study: Study, summaries: Mapping[str, Summary]) -> str:
    """The time of classical solvers for the error of the best arm, and their error in its time."""
    rows = [
        row
        for row in study.classical
        if as_number(row.get("l2")) > 0
        and as_number(row.get("seconds")) > 0
        and "not reliable" not in str(row.get("note"))
    ]
    finite = {arm: s.median for arm, s in summaries.items() if isfinite(s.median)}
    if not rows or not finite or study.kind != "l2":
        return "No classical solver was run beside this study." if not study.classical and not study.rows else ""
    best = min(finite, key=lambda arm: finite[arm])
    aim, seconds = finite[best], typical_seconds(study, best)
    as_good = [row for row in rows if as_number(row["l2"]) <= aim]
    in_time = [row for row in rows if as_number(row["seconds"]) <= seconds]
    start = f"Classical solvers: the median of {best} is {short(aim)} in {duration(seconds)}. "
    if as_good:
        fastest = min(as_good, key=lambda row: as_number(row["seconds"]))
        ratio = seconds / as_number(fastest["seconds"])
        speed = f"{times(ratio)} times faster" if ratio >= 1 else f"{times(1 / ratio)} times slower"
        start += f"{_solver(fastest)} reaches {short(fastest['l2'])} in {duration(fastest['seconds'])}, {speed}. "
    else:
        start += "None of the classical solvers here reaches that error. "
    if in_time:
        finest = min(in_time, key=lambda row: as_number(row["l2"]))
        if not as_good or finest is not min(as_good, key=lambda row: as_number(row["seconds"])):
            start += (
                f"In no more time, {_solver(finest)} reaches {short(finest['l2'])} ({duration(finest['seconds'])})."
            )
    else:
        start += "None of them was run at a size that takes no more time."
    return start.strip()


def _solver(row: Mapping[str, Any]) -> str:
    unknowns = as_number(row.get("unknowns"))
    return f"{row['method']}" + (f" with {unknowns:.0f} unknowns" if isfinite(unknowns) else "")


def typical_seconds(study: Study, arm: str) -> float:
    """Median over the finished runs."""
    times = [run.seconds for run in study.of(arm) if run.state is RunState.FINISHED and isfinite(run.seconds)]
    return median(times) if times else nan


# numbers as text ----------------------------------------------------------------------------------------------------
def short(value: Any) -> str:
    """An error with two digits; "failed" where it is infinite."""
    value = as_number(value)
    return "" if value != value else f"{value:.1e}" if isfinite(value) else "failed"


def times(factor: float) -> str:
    """A ratio with two digits."""
    if not isfinite(factor):
        return "∞"
    if factor and not 1e-3 <= factor < 1e6:
        return f"{factor:.1e}"
    text = f"{float(f'{factor:.2g}'):.10f}".rstrip("0").rstrip(".")
    return text or "0"


def duration(seconds: Any) -> str:
    """Seconds with two digits, or in milliseconds."""
    value = as_number(seconds)
    if value != value:
        return "an unknown time"
    return f"{times(value)} s" if value >= 0.1 else f"{times(1000 * value)} ms"
