"""Comparisons by the time to a tolerance: censored times, what counts as reached, plan, report."""

import csv
import re
from math import inf, isfinite

import numpy as np
import pytest
from synthetic import write_run, write_study

import kanpde.study.comparison
import kanpde.study.figures
from kanpde import InputError
from kanpde.command import main
from kanpde.ends import End
from kanpde.runs.status import RunState
from kanpde.study import write_report
from kanpde.study.censored import MedianTime, contest, median_time
from kanpde.study.comparison import Plan
from kanpde.study.outcomes import Outcome, read_study
from kanpde.study.reaching import Reaching, decisions, reachings

pytestmark = pytest.mark.usefixtures("unchecked")
STUDY = ["+study=kan_vs_mlp", "~study.arms.mlp-sine", "study.match=tolerance", "study.classical=false", "problem=heat"]


def rows(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


# censored times ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("times", "seconds", "is_bound"),
    [
        ([1.0, 2.0, 9.0], 2.0, False),
        ([1.0, 2.0, inf], 2.0, False),
        ([1.0, inf, inf], 60.0, True),
        ([1.0, 3.0, 5.0, inf], 4.0, False),
        ([2.0, 4.0, inf, inf], 32.0, True),
        ([inf], 60.0, True),
    ],
)
def test_a_median_that_depends_on_censored_times_is_a_bound(times, seconds, is_bound):
    assert median_time(times[::-1], 60.0) == MedianTime(seconds, is_bound)


def test_a_contest_counts_seeds_and_bounds_the_ratio():
    found = contest([2.0, 3.0, inf, inf, 6.0], [8.0, inf, 30.0, inf, 3.0], 60.0)
    assert (found.first_sooner, found.other_sooner, found.undecided, found.seeds) == (2, 2, 1, 5)
    # least ratios 4, 60/3, 0, 0, 1/2; largest ratios 4, inf, 30/60, inf, 1/2
    assert found.low == pytest.approx(0.5) and found.high == pytest.approx(4)
    known = contest([1.0, 2.0, 4.0], [3.0, 4.0, 4.0], 60.0)
    assert known.low == known.high == pytest.approx(2) and known.undecided == 1
    assert contest([1.0] * 6, [inf] * 6, 60.0).p_value == pytest.approx(2 / 64)
    assert contest([inf] * 9, [inf] * 9, 60.0).p_value == 1 == contest([], [], 60.0).p_value


def test_the_bounds_contain_the_median_ratio_of_the_times_without_a_limit():
    generator = np.random.default_rng(0)
    for _ in range(300):
        times = 10 ** generator.normal(1, 0.7, (2, 7))
        limit = 10 ** generator.uniform(0.5, 2)
        found = contest(*np.where(times > limit, inf, times).tolist(), limit)
        ratio = np.median(times[1] / times[0])
        assert found.low <= ratio * (1 + 1e-9) and ratio <= found.high * (1 + 1e-9)


def arm(name, times, tolerance=1e-3, limit=60.0):
    """Runs that reach a tolerance in these times; the others end at the limit."""
    runs = {}
    for seed, seconds in enumerate(times):
        end = End.TOLERANCE_REACHED if isfinite(seconds) else End.TIME_LIMIT
        runs[seed] = Outcome(name, seed, RunState.FINISHED, end=end, seconds=min(seconds, limit), largest_error=1e-4)
    return Reaching(name, tolerance, limit, runs)


def test_equal_arms_have_a_winner_in_few_studies():
    generator = np.random.default_rng(1)
    named = 0
    for _ in range(400):
        times = 10 ** generator.normal(1.5, 0.8, (2, 10))
        a, b = np.where(times > 60, inf, times).tolist()
        named += decisions([arm("a", a), arm("b", b)])[0].winner is not None
    assert named <= 0.05 * 400


def test_a_mean_without_the_censored_runs_names_no_winner():
    """The other arm is three times faster where it reaches the tolerance, in four of ten seeds."""
    first, other = [30.0] * 10, [10.0] * 4 + [inf] * 6
    (found,) = decisions([arm("a", first), arm("b", other)])
    assert found.winner is None and (found.contest.first_sooner, found.contest.other_sooner) == (6, 4)
    assert found.contest.low == pytest.approx(2)
    (found,) = decisions([arm("a", first), arm("b", [10.0] + [inf] * 9)])
    assert found.winner == "a" and found.adjusted_p == pytest.approx(22 / 1024)


def test_winners_are_named_after_a_correction_for_all_rows():
    six = [arm("a", [1.0] * 6), arm("b", [2.0] * 6)]
    assert [each.winner for each in decisions(six)] == ["a"]
    tight = [arm("a", [1.0] * 6, 1e-5), arm("b", [2.0] * 6, 1e-5)]
    assert [each.winner for each in decisions([*six, *tight])] == [None, None]


@pytest.mark.parametrize(
    ("changes", "reached", "wrong"),
    [
        ({}, True, False),
        ({"largest_error": 2.9e-3}, True, False),
        ({"largest_error": 3.1e-3}, False, True),
        ({"largest_error": float("nan")}, True, False),
        ({"seconds": 61.0}, False, False),
        ({"end": End.NOT_REACHED, "largest_error": 1e-9}, False, False),
        ({"end": End.TIME_LIMIT, "largest_error": 1.0}, False, False),
        ({"state": RunState.FAILED, "end": None}, False, False),
    ],
)
def test_what_counts_as_reached(changes, reached, wrong):
    given = {"state": RunState.FINISHED, "end": End.TOLERANCE_REACHED, "seconds": 5.0, "largest_error": 1e-4, **changes}
    one = Reaching("a", 1e-3, 60.0, {0: Outcome("a", 0, **given)})
    assert (one.reached, one.wrong) == (int(reached), int(wrong))


# the report ----------------------------------------------------------------------------------------------------------
def write_times(folder, times, tolerance=1e-3, limit=60.0, **wrong):
    """A study on disk; ``wrong`` has the number of runs of an arm whose error is ten tolerances."""
    names = {name: f"{name}@{tolerance!r}" for name in times}
    about = {full: {"family": name, "tolerance": tolerance} for name, full in names.items()}
    seeds = {full: [None] * len(times[name]) for name, full in names.items()}
    write_study(folder, seeds, match="tolerance", tolerances=[tolerance], time_limit=limit, **about)
    for name, full in names.items():
        for seed, seconds in enumerate(times[name]):
            error = tolerance * (10 if seed < wrong.get(name, 0) else 0.5)
            end = End.TOLERANCE_REACHED if isfinite(seconds) else End.TIME_LIMIT
            used = {"seconds": min(seconds, limit), "estimate": tolerance / 2, "end": end}
            write_run(folder / "runs" / full / str(seed), error, seed, name, (100, 200), **used)
    return folder


def test_the_report_has_censored_medians_and_a_winner(tmp_path, monkeypatch):
    monkeypatch.setattr(kanpde.study.figures, "DPI", 40)
    folder = write_times(tmp_path, {"kan": [5.0] * 10, "mlp": [20.0, 25.0, 30.0] + [inf] * 7})
    write_report(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    lead = text.split("\n\n")[1]
    assert lead.startswith("**kan wins against mlp to an error of 0.001 on poisson: kan was sooner with 10 of 10 seeds")
    assert "divided by that of kan is > 12" in lead
    assert "not matched in size" in text.split("\n\n")[2] and "arms matched by | nothing" in text
    assert "| 0.001 | mlp | 3 of 10 | > 60 | – | 0 | 5.0e-01 | 3 tolerance reached, 7 time limit |" in text
    assert "| 0.001 | kan | 10 of 10 | 5 | 200 | 0 | 5.0e-01 | 10 tolerance reached |" in text
    assert "kan: KAN (10 runs); mlp: MLP (10 runs)" in text and "Scaling laws" not in text
    assert "slope" not in text and [p.name for p in (folder / "figures").glob("*.png")] == ["work_precision.png"]
    (pair,) = rows(folder / "comparison.csv")
    assert pair["winner"] == "kan" and float(pair["ratio_low"]) == pytest.approx(12) and pair["ratio_high"] == "inf"
    assert rows(folder / "arms.csv")[1]["is_lower_bound"] == "True"
    assert {row["tolerance"] for row in rows(folder / "runs.csv")} == {"0.001"}


def test_runs_that_end_with_a_much_larger_error_are_counted_and_win_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("kanpde.study.report.diagrams", lambda found: [])
    folder = write_times(tmp_path, {"kan": [5.0] * 10, "mlp": [1.0] * 10}, mlp=8)
    write_report(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert re.search(
        r"above 3 times the tolerance: 8 of 20 whose .* known: 8 of mlp at 0.001; they count as not reached", text
    )
    assert "| 0.001 | mlp | 2 of 10 | > 60 | – | 8 | 1.0e+01 | 10 tolerance reached |" in text
    assert rows(folder / "comparison.csv")[0]["first_sooner"] == "8" and "mlp wins" not in text
    found = {each.arm: each for each in reachings(read_study(folder))}
    assert found["mlp"].parameters == inf and found["kan"].parameters == 200


# the command ---------------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_every_arm_is_run_with_every_tolerance_and_more_of_them_have_the_same_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ledgers = []
    monkeypatch.setattr(kanpde.study.comparison, "conduct", lambda ledger, *args, **kw: ledgers.append(ledger) or {})
    typed = [*STUDY, "time_limit=20", "study.seeds=2"]
    assert main([*typed, "study.tolerances=[1e-5]"]) == 0
    assert main([*typed, "study.tolerances=[1e-5,1e-3]"]) == 0
    assert {ledger.root for ledger in ledgers} == {ledgers[0].root}
    names = [run.name for run in ledgers[1].runs]
    assert names == [f"{arm}@{t}/{seed}" for seed in (0, 1) for t in ("0.001", "1e-05") for arm in ("kan", "mlp")]
    options = ledgers[1].runs[1].overrides
    assert {"model=mlp", "tolerance=0.001", "time_limit=20", "seed=0"} <= set(options)
    assert not any("hidden" in option for option in options), "sizes are not matched"
    study = read_study(tmp_path / ledgers[0].root)
    assert study.tolerances == [1e-3, 1e-5] and study.plan["time_limit"] == 20 and len(study.runs) == 8
    assert "sizes are not matched" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"match": "tolerance"}, r"study\.tolerances=\[1e-3,1e-5\]"),
        ({"match": "tolerance", "tolerances": [1e-3, 1e-3]}, "each once"),
        ({"match": "tolerance", "tolerances": [1.0]}, "between 0 and 1"),
        ({"match": "tolerance", "tolerances": [1e-3], "tuned": {"kan": "x"}}, r"Leave out study\.tuned"),
        ({"match": "params", "tolerances": [1e-3]}, r"study\.match=tolerance time_limit=60"),
    ],
)
def test_plans_that_cannot_be_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        Plan({"kan": "model=kan", "mlp": "model=mlp"}, **given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["study.tolerances=[1e-3]"], "time_limit=60"),
        (["time_limit=20", "study.tolerances=[1e-3]", "study.arms.mlp='time_limit=5'"], "one time limit"),
        (["time_limit=20", "study.tolerances=[1e-3]", "tolerance=1e-4"], "study.tolerances=[0.0001]"),
    ],
)
def test_wrong_options_are_named(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*STUDY, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and not list(tmp_path.iterdir())
