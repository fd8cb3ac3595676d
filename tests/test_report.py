"""The report of a study: what it says, in every format, and that nothing is left out; scaling laws that are known."""

import csv
import re
from math import inf

import numpy as np
import pytest
from synthetic import spread, write_run, write_study

import kanpde.study.figures
import kanpde.study.report
from kanpde import InputError
from kanpde.runs.status import RunState
from kanpde.study import write_report
from kanpde.study.__main__ import main
from kanpde.study.fairness import fairness
from kanpde.study.findings import progress
from kanpde.study.outcomes import Outcome, Study, read_study
from kanpde.study.scaling import best_so_far, fit_law, median_curve, pareto_front, plateau_of
from kanpde.study.statistics import verdicts

pytestmark = [pytest.mark.usefixtures("unchecked"), pytest.mark.long]
CLASSICAL = [
    {
        "method": "collocation",
        "degree": 16,
        "unknowns": 225,
        "seconds": 0.0003,
        "l2": 3e-11,
        "h1": 1e-10,
        "max": 1e-10,
        "note": "",
    },
    {
        "method": "elements P2",
        "degree": 2,
        "unknowns": 66049,
        "seconds": 2.5,
        "l2": 2e-6,
        "h1": 1e-4,
        "max": 1e-5,
        "note": "fine",
    },
]


def rows(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Figures of few pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kanpde.study.figures, "DPI", 40)
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A KAN a thousand times better, one MLP run failed; its folder with a report."""
    folder = tmp_path_factory.mktemp("study")
    mlp = spread(1e-6, seed=1)
    mlp[3] = inf
    write_study(folder, {"kan": spread(1e-9), "mlp": mlp}, CLASSICAL)
    write_report(folder)
    return folder


@pytest.fixture
def undrawn(monkeypatch):
    """Reports without figures, which take most of the time."""
    for name in ("pictures", "law_pictures"):
        monkeypatch.setattr(kanpde.study.report, name, lambda study: [])


def lead(folder):
    """The first paragraph."""
    return (folder / "report.md").read_text().split("\n\n")[1]


# what is said -------------------------------------------------------------------------------------------------------
def test_the_report_begins_with_the_answer(study):
    said = lead(study)
    found = re.search(r"\*\*kan wins .*\bmlp on poisson\b.* (\d+) times .*95 %\D* (\d+) to (\d+)\b", said)
    factor, low, high = map(int, found.groups())
    assert low < 1000 < high and low <= factor <= high
    assert "10 seeds" in said and "1 of 10 mlp" in said


def test_it_says_plainly_what_a_classical_solver_does(study):
    said = (study / "report.md").read_text().split("\n\n")[2]
    assert re.search(r"collocation .*\b225 .* 3\.0e-11 .*\b0\.3 ms, 10000 times faster", said)
    assert "collocation | 16 | 225 | 0.3 ms | 3.0e-11" in (study / "report.md").read_text()


def test_all_formats_hold_the_same_numbers(study):
    html, text = ((study / name).read_text() for name in ("report.html", "report.md"))
    arms = rows(study / "arms.csv")
    assert [row["arm"] for row in arms] == ["kan", "mlp"] and arms[1]["failed"] == "1" and arms[1]["worst"] == "inf"
    median = f"{float(arms[0]['median']):.1e}"
    assert median in html and median in text
    assert float(arms[0]["median"]) == pytest.approx(np.median(spread(1e-9)))
    (pair,) = rows(study / "comparison.csv")
    assert pair["winner"] == "kan" and float(pair["low"]) > 1 and pair["seeds"] == "10"
    runs = rows(study / "runs.csv")
    assert len(runs) == 20 and runs[13]["state"] == "failed" and runs[13]["reason"] == "ValueError: <broken> on purpose"
    for part in (
        "machine",
        "python -m kanpde +study=kan_vs_mlp problem=poisson",
        "arms matched by",
        "not known",
        "small",
    ):
        assert part in html and part in text


def test_failed_runs_are_listed_and_change_the_numbers(tmp_path, undrawn):
    """Without its failed runs the MLP would win, and has runs enough left for it."""
    kan, mlp = spread(1e-6, 20), spread(1e-9, 20, seed=1)
    left = {"kan": dict(enumerate(kan[11:])), "mlp": dict(enumerate(mlp[11:]))}
    assert verdicts(left)[0].winner == "mlp"
    mlp[:11] = [inf] * 11
    write_report(write_study(tmp_path, {"kan": kan, "mlp": mlp}))
    assert "mlp wins" not in lead(tmp_path) and "11 of 20 mlp" in lead(tmp_path)
    assert rows(tmp_path / "arms.csv")[1]["median"] == "inf"
    text = (tmp_path / "report.md").read_text()
    assert text.count("ValueError: <broken> on purpose") == 11 and "| mlp/5 | failed |" in text
    assert "&lt;broken&gt;" in (tmp_path / "report.html").read_text()


def test_no_winner_is_named_where_there_is_none(tmp_path, undrawn):
    write_report(write_study(tmp_path, {"kan": spread(1e-9), "mlp": spread(1.2e-9, seed=1)}))
    assert lead(tmp_path).startswith("**No winner between kan and mlp on poisson") and "includes a tie" in lead(
        tmp_path
    )
    assert rows(tmp_path / "comparison.csv")[0]["winner"] == "no winner"


def test_the_second_arm_can_win_and_the_ratio_is_turned(tmp_path, undrawn):
    write_report(write_study(tmp_path, {"kan": spread(1e-6), "mlp": spread(1e-9, seed=1)}))
    factor = re.search(r"\*\*mlp wins .*\bkan on poisson\b\D* (\d+) times", lead(tmp_path)).group(1)
    assert 500 < int(factor) < 2000


def test_too_few_seeds(tmp_path, undrawn):
    write_report(write_study(tmp_path, {"kan": spread(1e-9, 4), "mlp": spread(1.0, 4)}))
    assert lead(tmp_path).startswith("**No winner") and re.search(r"\b6 seeds\b.*\b4 ended", lead(tmp_path))


def test_runs_that_have_not_ended_are_told_and_not_counted(tmp_path, undrawn):
    ledger = [{"run": "mlp/8", "state": "running", "reason": "", "attempts": 2, "seconds": "", "command": "x"}]
    folder = write_study(tmp_path, {"kan": spread(1e-9), "mlp": [*spread(1e-6, 8, seed=1), None, None]}, ledger=ledger)
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert re.search(r"Preliminary: 2 of 20 runs .*\(1 running, 1 not begun\)", text)
    assert rows(folder / "comparison.csv")[0]["seeds"] == "8" and "| mlp/8 | running |  | 2 |" in text


def test_a_damaged_result_is_to_be_done_again(tmp_path, undrawn):
    folder = write_study(tmp_path, {"kan": spread(1e-9), "mlp": spread(1e-6, seed=1)})
    path = folder / "runs" / "kan" / "0" / "solution.vtkhdf"
    path.write_bytes(path.read_bytes()[:1000])
    write_report(folder)
    assert "1 of 20 runs have not ended (1 interrupted)" in (folder / "report.md").read_text()


def test_settings_that_differ_between_arms_are_told(tmp_path, undrawn):
    folder = write_study(tmp_path, {"kan": spread(1e-9, 6), "mlp": []})
    for seed in range(6):
        write_run(folder / "runs" / "mlp" / str(seed), 1e-6, seed, "mlp", (400,), threads=4)
    write_report(folder)
    assert "threads (kan: 1, mlp: 4)" in (folder / "report.md").read_text()


ALIKE = {
    "schedule": {"phases": [{"steps": 9, "optimizer": {"name": "lm", "damping": 0.1}}, {"steps": 5}], "starts": 2},
    "sampling": {"rule": "auto", "interior": None},
    "constraints": "soft",
    "model": {"name": "kan"},
    "seed": 0,
}
PHASE = ALIKE["schedule"]["phases"][0]
USED = {"weights": {"pde": 1.0, "boundary": 100.0}, "points": {"pde": 900, "boundary": 240}, "constraints": "soft"}


def with_phases(*phases):
    return {"schedule": {"phases": list(phases), "starts": 2}}


@pytest.mark.parametrize(
    ("used", "config", "said"),
    [
        ({}, {}, []),
        ({}, {"model": {"name": "mlp"}, "seed": 1}, []),
        ({"weights": {"pde": 1.0, "boundary": 101.0}}, {}, []),
        ({"weights": {"pde": 1.0, "boundary": 300.0}}, {}, ["weights.boundary (kan: 100, mlp: 300)"]),
        ({"weights": {"pde": 1.0}}, {}, ["weights.boundary (kan: 100, mlp: none)"]),
        ({"points": {"pde": 901, "boundary": 240}}, {}, ["points.pde (kan: 900, mlp: 901)"]),
        ({"rule": "sobol"}, {}, ["rule (kan: gauss, mlp: sobol)"]),
        ({}, {"sampling": {"rule": "auto", "interior": 50}}, ["sampling.interior (kan: null, mlp: 50)"]),
        ({"constraints": "hard"}, {"constraints": "hard"}, ["constraints (kan: soft, mlp: hard)"]),
        ({}, {"time_limit": 5}, ["time_limit (kan: not given, mlp: 5)"]),
        ({}, with_phases({**PHASE, "steps": 7}, {"steps": 5}), ["schedule.phases.0.steps (kan: 9, mlp: 7)"]),
        (
            {},
            with_phases({**PHASE, "optimizer": {"name": "adam", "damping": 0.1}}, {"steps": 5}),
            ["schedule.phases.0.optimizer.name (kan: lm, mlp: adam)"],
        ),
        (
            {},
            with_phases({**PHASE, "optimizer": {"name": "lm", "damping": 0.2}}, {"steps": 6}),
            ["schedule.phases.0.optimizer.damping (kan: 0.1, mlp: 0.2)", "schedule.phases.1.steps (kan: 5, mlp: 6)"],
        ),
        (
            {},
            with_phases({"steps": 5}),
            [
                "schedule.phases (kan: [{optimizer:{damping:0.1,name:lm},steps:9},{steps:5}], mlp: [{steps:5}])",
            ],
        ),
    ],
)
def test_what_arms_do_not_have_in_common_is_listed(tmp_path, used, config, said):
    folder = write_study(tmp_path, {"kan": [None], "mlp": [None]})
    write_run(folder / "runs" / "kan" / "0", 1e-9, config=ALIKE, **USED)
    write_run(folder / "runs" / "mlp" / "0", 1e-6, 0, "mlp", (400,), config={**ALIKE, **config}, **{**USED, **used})
    sentence = fairness(read_study(folder))
    assert sentence.partition(": ")[2].rstrip(".").split("; ") == said if said else sentence == ""


# the page -----------------------------------------------------------------------------------------------------------
def test_the_page_needs_nothing_else(study):
    html = (study / "report.html").read_text()
    sources = re.findall(r'(?:src|href)\s*=\s*"([^"]{0,40})', html)
    assert len(sources) >= 5 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|<script|<link|@import|url\(", html)
    assert "prefers-color-scheme: dark" in html and 'name="viewport"' in html and "@media print" in html


def test_figures_are_png_and_pdf_with_labels(study):
    names = {path.stem for path in (study / "figures").glob("*.png")}
    assert names == {"errors", "time", "loss", "error_parameters", "error_grid", "step_cost", "kan_paper"}
    assert names == {path.stem for path in (study / "figures").glob("*.pdf")}
    text = (study / "report.md").read_text()
    assert all(f"figures/{name}.png" in text for name in names)


def test_the_command_writes_the_report_again_from_the_stored_runs(study, capsys):
    before = {name: (study / name).read_bytes() for name in ("report.html", "report.md", "runs.csv")}
    for name in before:
        (study / name).unlink()
    assert main([str(study)]) == 0
    assert str(study / "report.html") in capsys.readouterr().out
    assert {name: (study / name).read_bytes() for name in before} == before


def test_a_study_without_any_result(tmp_path):
    write_report(write_study(tmp_path, {"kan": [None, inf], "mlp": [None, None]}))
    assert "No winner yet" in lead(tmp_path) and not list((tmp_path / "figures").iterdir())


def test_an_unreadable_plan_is_refused(tmp_path):
    with pytest.raises(InputError, match=rf"study\.yaml.*{re.escape(str(tmp_path))}"):
        write_report(tmp_path)
    for text in ("seeds: [0", "seeds: [0]"):
        (tmp_path / "study.yaml").write_text(text)
        with pytest.raises(InputError, match=r"study\.yaml"):
            read_study(tmp_path)


# scaling laws -------------------------------------------------------------------------------------------------------
def power_law(slope, sizes=(100, 200, 400, 800), seeds=10, floor=0.0, std=0.2, seed=0):
    generator = np.random.default_rng(seed)
    x = np.tile(sizes, seeds)
    constant = np.repeat(generator.normal(0, 0.5, seeds), len(sizes))
    noise = 10 ** generator.normal(0, std, len(x))
    return x, np.maximum(10**constant * (x / sizes[0]) ** slope, floor) * noise, np.repeat(np.arange(seeds), len(sizes))


def test_the_slope_is_found_with_its_interval():
    law = fit_law(*power_law(-4.0))
    assert law.low < -4 < law.high and law.high - law.low < 0.6 and not law.plateau.any()
    assert fit_law(*power_law(-4.0, seeds=1, std=0.05)).slope == pytest.approx(-4, abs=0.4)


def test_the_interval_covers_the_slope():
    laws = [fit_law(*power_law(-4.0, seeds=8, seed=k)) for k in range(300)]
    assert 0.92 <= np.mean([law.low <= -4 <= law.high for law in laws]) <= 0.98


def test_a_plateau_is_marked_and_left_out():
    sizes = (100, 200, 400, 800, 1600, 3200)
    law = fit_law(*power_law(-4.0, sizes, floor=2.0**-12, std=0.1))
    assert law.plateau.tolist() == [False, False, False, False, True, True]
    assert law.low < -4 < law.high + 0.3
    assert fit_law(*power_law(-4.0, sizes, std=0.1)).plateau.any() == False  # noqa: E712


def test_errors_that_never_fall_have_no_slope():
    law = fit_law(*power_law(+0.5))
    assert law.plateau.tolist() == [False, True, True, True] and np.isnan(law.slope)
    assert plateau_of(np.array([1.0, 2.0]), np.array([1.0, 1.0])).tolist() == [False, False]


def test_what_cannot_be_fitted_is_left_out():
    x, y, seeds = power_law(-4.0, std=0.0)
    law = fit_law([*x, 800, 800, np.nan], [*y, np.nan, 0.0, 1.0], [*seeds, 0, 1, 2])
    assert law.slope == pytest.approx(-4)
    assert np.isnan(fit_law([], [], []).slope)


def test_a_front_is_what_nothing_beats():
    seconds, errors = pareto_front([3, 1, 2, 2, 5, 4], [0.1, 1.0, 0.5, 0.7, np.inf, 0.2])
    assert seconds.tolist() == [1, 2, 3] and errors.tolist() == [1.0, 0.5, 0.1]
    assert best_so_far(np.array([]), np.array([]))[0].size == 0


def test_the_median_curve_counts_failed_runs():
    curve = (np.array([1.0, 2.0]), np.array([0.5, 0.1]))
    none = (np.array([]), np.array([]))
    times = np.array([0.5, 1.0, 3.0])
    assert median_curve([curve, curve, none], times).tolist() == [np.inf, 0.5, 0.1]
    assert median_curve([curve, none, none], times).tolist() == [np.inf] * 3


def test_laws_of_a_study_are_in_its_report(study):
    """The synthetic levels fall like parameters^-4, in the grid as well, since both double."""
    text = (study / "report.md").read_text()
    found = re.findall(r"\| kan \| (parameters|grid) \| (-?[\d.]+)", text)
    assert found == [("parameters", "-4.0"), ("grid", "-4.0")] and "| mlp | parameters" not in text


def test_arms_of_one_family_are_one_law(tmp_path, undrawn):
    errors = {f"mlp{w}": spread(1e-3 * (8 / w) ** 2, 6, seed=w, std=0.05) for w in (8, 16, 32)}
    folder = write_study(tmp_path, {arm: [None] * 6 for arm in errors}, **{arm: {"family": "MLP"} for arm in errors})
    for arm, values in errors.items():
        for seed, error in enumerate(values):
            write_run(folder / "runs" / arm / str(seed), error, seed, "mlp", (10 * int(arm[3:]),))
    write_report(folder)
    (slope,) = re.findall(r"\| MLP \| parameters \| (-?[\d.]+)", (folder / "report.md").read_text())
    assert float(slope) == pytest.approx(-2, abs=0.15)


@pytest.mark.slow
def test_a_thousand_runs_are_read_in_seconds(tmp_path):
    """Seconds of the processor: other processes must not fail it."""
    from time import process_time

    arms = {f"kan{k}": spread(1e-9, 100, seed=k) for k in range(10)}
    folder = write_study(tmp_path, arms)
    began = process_time()
    write_report(folder)
    assert process_time() - began < 20


def test_a_run_whose_error_was_never_measured_is_no_failed_run():
    done = RunState.FINISHED
    runs = [Outcome("a", 0, done, errors={"l2": 1e-3}), Outcome("a", 1, done), Outcome("a", 2, RunState.FAILED)]
    one = Study({"arms": {"a": {}}}, runs, [])
    assert one.final_errors() == {"a": {0: 1e-3, 2: inf}}
    assert re.search(r"\b1 runs\b.*measured.*study\.classical=true", progress(one))
