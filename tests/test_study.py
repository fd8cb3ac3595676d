"""Many runs in one table: what counts as a run, what its row says, medians over seeds, failures that stay visible."""

import csv
import re
from math import isnan, nan

import h5py
import numpy as np
import pytest
from conftest import load_problem
from matplotlib.figure import Figure

import kanpde.study.table
from kanpde import KAN, LM, InputError, Phase, Sampling, solve
from kanpde.ends import End
from kanpde.paths import CONFIG, FAILED, JOURNAL, LOG, RESULT
from kanpde.storage.record import FORMAT
from kanpde.storage.store import Output, save
from kanpde.study import summarise
from kanpde.study.__main__ import main

pytestmark = pytest.mark.usefixtures("unchecked")


def levels(errors, start=100):
    return [{"parameters": start * 2**k, "grid": 4 * 2**k, "loss": e**2, "l2": e} for k, e in enumerate(errors)]


def record(errors, seed=0, **changes):
    """What the store tells of a run whose levels reached ``errors``."""
    rows = levels(errors)
    last = rows[-1] if rows else {"parameters": 0, "grid": None, "loss": nan, "l2": nan}
    return {
        "problem": "poisson",
        "model": "KAN",
        "seed": seed,
        **last,
        "h1": 2 * last["l2"],
        "max": 3 * last["l2"],
        "seconds": 1.5,
        "steps": 30,
        "reason": "steps done",
        "levels": rows,
        **changes,
    }


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Adds run folders to one sweep: ``sweep(name, record or failure or None, typed options)``; gives its folder."""
    records = {}

    def read(folder):
        if isinstance(found := records[folder.name], Exception):
            raise found
        return found

    def add(name, result, typed="", config=None):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        records[folder.name] = result
        (folder / LOG).write_text(f"2025-01-01 12:00:00 python -m kanpde {typed}\n12:00:01 loss=3 begins\n")
        if config is not None:
            (folder / CONFIG).write_text(config)
        if isinstance(result, str):
            (folder / FAILED).write_text(result)
        elif isinstance(result, Exception):
            (folder / RESULT).touch()
        elif result is not None:
            with h5py.File(folder / RESULT, "w") as file:
                file["kanpde/end"] = np.array([b"STEPS_DONE", b""])
                file["kanpde/reason"] = np.array([b"steps done"])
                file["kanpde"].attrs["format"] = FORMAT
        return tmp_path

    monkeypatch.setattr(kanpde.study.table, "read_record", read)
    return add


def table(folder):
    with open(folder / "summary.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def drawn(monkeypatch):
    """Figures that were saved."""
    figures = []
    original = Figure.savefig

    def keep(self, *args, **kwargs):
        figures.append(self)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


# rows ----------------------------------------------------------------------------------------------------------------
def test_one_row_a_run_in_the_order_of_their_numbers(sweep):
    for k in (10, 9, 0):
        folder = sweep(str(k), record([0.1, 0.01], seed=k), f"problem=poisson seed={k}")
    summarise(folder)
    rows = table(folder)
    assert [row["folder"] for row in rows] == ["0", "9", "10"]
    assert list(rows[0]) == [
        "folder",
        "status",
        "problem",
        "model",
        "seed",
        "tolerance",
        "parameters",
        "grid",
        "loss",
        "l2",
        "h1",
        "max",
        "estimate",
        "seconds",
        "steps",
        "reason",
    ]
    assert rows[2] | {"folder": ""} == {
        "folder": "",
        "status": "finished",
        "problem": "poisson",
        "model": "KAN",
        "seed": "10",
        "tolerance": "nan",
        "parameters": "200",
        "grid": "8",
        "loss": "0.0001",
        "l2": "0.01",
        "h1": "0.02",
        "max": "0.03",
        "estimate": "nan",
        "seconds": "1.5",
        "steps": "30",
        "reason": "steps done",
    }


def test_options_that_differ_are_columns_and_others_are_not(sweep):
    sweep("0", record([0.1]), "model.hidden=[4, 4] model.degree=5 +weights.boundary=100 seed=0")
    folder = sweep("1", record([0.1]), "model.hidden=[8] model.degree=5 +weights.boundary=10 seed=0")
    rows = summarise(folder)
    assert [(row["model.hidden"], row["weights.boundary"]) for row in rows] == [("[4, 4]", "100"), ("[8]", "10")]
    assert "model.degree" not in rows[0] and "loss=3" not in table(folder)[0]


def test_failures_and_interruptions_have_a_row_each(sweep, capsys):
    config = "problem: {name: heat}\nmodel: {name: mlp}\nseed: 3\n"
    sweep("0", "Grid must be positive.\nWrite grid=4.\n", "problem=poisson seed=0")
    sweep("1", "Traceback (most recent call last):\n  File ...\nRuntimeError: out of memory\n", "seed=3", config)
    sweep("2", None, "", config)
    sweep("3", InputError("Damaged."))
    folder = sweep("4", record([0.1]), "problem=poisson seed=0")
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / CONFIG).touch()
    rows = summarise(folder)
    assert [row["status"] for row in rows] == ["failed", "failed", "interrupted", "interrupted", "finished"]
    reasons = [
        "Grid must be positive. Write grid=4.",
        "RuntimeError: out of memory",
        "no end was recorded",
        "the result is damaged",
        "steps done",
    ]
    assert [row["reason"] for row in rows] == reasons
    names = [(row["problem"], row["model"], str(row["seed"])) for row in rows[:3]]
    assert names == [("poisson", "", "0"), ("heat", "mlp", "3"), ("heat", "mlp", "3")]
    assert isnan(rows[0]["l2"])
    text = capsys.readouterr().out
    assert "failed: RuntimeError: out of memory" in text and "interrupted" in text


def test_a_run_killed_before_it_wrote_anything_has_a_row_and_adds_no_columns(sweep):
    sweep("0", record([0.1]), "model.hidden=[4] seed=0")
    folder = sweep("1", record([0.1]), "model.hidden=[4] seed=1")
    (folder / "2").mkdir()
    (folder / "2" / JOURNAL).touch()
    rows = summarise(folder)
    assert [row["status"] for row in rows] == ["finished", "finished", "not begun"] and "model.hidden" not in rows[0]


def test_only_failures_leave_no_old_picture(sweep):
    folder = sweep("0", "No.")
    (folder / "scaling.png").touch()
    assert len(summarise(folder)) == 1
    assert not (folder / "scaling.png").exists() and len(table(folder)) == 1


def test_runs_are_found_at_any_depth(sweep):
    sweep("a/first", record([0.1]))
    folder = sweep("b/c/second", record([0.1]))
    assert [row["folder"] for row in summarise(folder)] == ["a/first", "b/c/second"]
    assert [row["folder"] for row in summarise(folder / "a" / "first")] == ["."]


# printed -------------------------------------------------------------------------------------------------------------
def test_medians_and_worst_over_seeds_by_problem_model_and_option(sweep, capsys):
    errors = {4: [0.1, 0.3, 0.2], 8: [0.04, 0.01, 0.02]}
    for hidden, values in errors.items():
        for seed, error in enumerate(values):
            typed = f"problem=poisson model=kan model.hidden=[{hidden}] seed={seed}"
            sweep(f"{hidden}-{seed}", record([error], seed), typed)
    folder = sweep("8-3", "Broken.", "problem=poisson model=kan model.hidden=[8] seed=3")
    summarise(folder)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["poisson", "kan", "model.hidden=[4]", "2.00e-01", "3.00e-01", "4.00e-02", "9.00e-02", "3", "0"] in lines
    assert ["poisson", "kan", "model.hidden=[8]", "2.00e-02", "4.00e-02", "4.00e-04", "1.60e-03", "4", "1"] in lines


def test_one_seed_needs_no_medians_and_no_exact_no_error_column(sweep, capsys):
    sweep("0", record([0.1], l2=nan), "problem=poisson")
    folder = sweep("1", record([0.1], l2=nan), "problem=heat")
    summarise(folder)
    text = capsys.readouterr().out
    assert "median" not in text and "L2" not in text and "1.00e-02" in text


def test_without_exact_the_medians_are_of_the_loss(sweep, capsys):
    for seed in (0, 1):
        folder = sweep(str(seed), record([0.1 * (seed + 1)], seed, l2=nan), f"problem=poisson seed={seed}")
    summarise(folder)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["poisson", "KAN", "2.50e-02", "4.00e-02", "2", "0"] in lines


@pytest.mark.parametrize("columns", ["80", "30"])
def test_narrow_terminals_fold_words_and_keep_numbers(sweep, capsys, monkeypatch, columns):
    for seed in (0, 1, 2):
        typed = f"problem=poisson model=kan model.hidden=[{seed % 2},16,16] seed={seed}"
        folder = sweep(f"{seed}-a-rather-long-name-of-a-folder", record([0.0125], seed), typed)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    summarise(folder)
    text = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    assert "…" not in text and "─" in text
    assert text.count("1.25e-02") == 3 + 2 * 2 and text.count("100") == 3
    assert all(len(line) <= 80 for line in text.splitlines())
    folded = "".join(line[1:].split(" ")[0] for line in text.splitlines())
    assert "0-a-rather-long-name-of-a-folder" in folded


def test_files_and_pipes_get_plain_whole_lines(sweep, capsys):
    reason = "non-finite loss in boundary; the last good weights are kept " * 4
    summarise(sweep("0", record([0.1], reason=reason.strip())))
    text = capsys.readouterr().out
    assert reason.strip() in text and "─" not in text and "\x1b" not in text


# picture -------------------------------------------------------------------------------------------------------------
def test_scaling_has_a_line_a_run_and_the_median_slope_a_group(sweep, drawn):
    for seed, order in enumerate((2, 3, 7)):
        sweep(f"p{seed}", record([1.0, 2.0**-order], seed))
    sweep("h", record([0.5], problem="helmholtz"))
    folder = sweep("x", "Failed.")
    summarise(folder)
    (axes,) = drawn[0].axes
    curves = [line for line in axes.get_lines() if len(line.get_xdata())]
    assert len(curves) == 4 and len({line.get_color() for line in curves}) == 2
    np.testing.assert_allclose(
        curves[2].get_ydata() if curves[2].get_ydata()[-1] > 2**-6 else curves[1].get_ydata(), [1.0, 2.0**-3]
    )
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels == ["helmholtz KAN", "poisson KAN\n  median slope -3.00"]
    assert (folder / "scaling.png").stat().st_size > 1000


def test_scaling_over_runs_of_one_size_each_and_without_exact(sweep, drawn):
    for k in range(3):
        one = [{"parameters": 10 * 2**k, "loss": 4.0**-k}]
        folder = sweep(str(k), record([0.1], levels=one, l2=nan), f"model.hidden=[{k}]")
    summarise(folder)
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels == ["poisson KAN (√loss)\n  slope -1.00 ± 0.00 over the runs"]
    assert drawn[0].axes[0].get_ylabel() == "√loss"


def test_unfinished_and_discarded_levels_do_not_count_for_the_slope(sweep, drawn):
    rows = levels([4.0, 0.5])
    first = {**rows[0], "l2": 1e3, "end": "STEPS_DONE"}
    worse = {**rows[1], "l2": 1e2, "end": "DIVERGED"}
    summarise(sweep("0", record([0.1], levels=[first, *rows, worse])))
    (text,) = drawn[0].legends[0].get_texts()
    assert text.get_text().endswith("slope -3.00")
    curve, others = (line.get_ydata().tolist() for line in drawn[0].axes[0].get_lines()[:2])
    assert curve == [4.0, 0.5] and others == [1e3, 1e2]


def test_levels_without_any_number_are_drawn(sweep):
    folder = sweep("0", record([], levels=[{"parameters": 10, "grid": None, "loss": nan}]))
    summarise(folder)
    assert (folder / "scaling.png").exists()


# runs with a tolerance -----------------------------------------------------------------------------------------------
def with_tolerance(asked, error, seconds=1.5, estimate=nan, end=End.TOLERANCE_REACHED, **changes):
    found = {"tolerance": asked, "estimate": estimate, "end": end, "seconds": seconds, "error": error}
    return record([1.0, error], **{"l2": error, **found, **changes})


def by_height(lines, marker):
    """Lines of one point with a marker, by (seconds, error)."""
    return {(x.get_xdata()[0], x.get_ydata()[0]): x for x in lines if x.get_marker() == marker and len(x.get_xdata())}


def test_runs_with_a_tolerance_have_a_diagram_of_work_and_precision_and_no_slope(sweep, drawn, capsys):
    sweep("0", with_tolerance("1.0e-03", 2e-4, 1.0, 3e-4), "tolerance=0.001")
    sweep("1", with_tolerance("1.0e-05", 2e-6, 4.0, 3e-6), "tolerance=1e-05")
    sweep("2", with_tolerance("1.0e-07", 5e-7, 9.0, 6e-7, End.TIME_LIMIT), "tolerance=1e-07")
    folder = sweep("3", with_tolerance("1.0e-04", nan, 2.0, 4e-5, problem="heat"), "tolerance=1e-04")
    (folder / "scaling.png").touch()
    summarise(folder)
    assert not (folder / "scaling.png").exists() and (folder / "work_precision.png").stat().st_size > 1000
    found = [[float(row[key]) for key in ("tolerance", "estimate")] for row in table(folder)]
    assert found == [[1e-3, 3e-4], [1e-5, 3e-6], [1e-7, 6e-7], [1e-4, 4e-5]]
    assert list(table(folder)[0]).count("tolerance") == 1
    assert re.search(r"poisson KAN tolerance=1e-07 +\S+ +5.00e-07 +6.00e-07 ", capsys.readouterr().out)
    (axes,) = drawn[0].axes
    lines = axes.get_lines()
    assert set(by_height(lines, "_")) == {(1, 1e-3), (4, 1e-5), (9, 1e-7), (2, 1e-4)}, "the tolerances asked for"
    poisson = by_height(lines, "o")
    full = {place for place, line in poisson.items() if line.get_markerfacecolor() == line.get_color()}
    assert set(poisson) == {(1, 2e-4), (4, 2e-6), (9, 5e-7)} and full == set(poisson) - {(9, 5e-7)}
    assert set(by_height(lines, "x")) == {(2, 4e-5)} <= set(by_height(lines, "s")), "estimates have a cross"
    curves = [line.get_ydata() for line in lines if line.get_marker() == "None" and line.get_linewidth() == 0.9]
    assert [list(y) for y in curves] == [[2e-4, 2e-6], [4e-5]]
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels[:2] == ["poisson KAN", "heat KAN"] and len(labels) == 5


@pytest.mark.long
def test_a_slope_is_fitted_to_runs_without_a_tolerance_only(sweep, drawn):
    sweep("0", record([1.0, 2.0**-3]), "tolerance=null")
    folder = sweep("1", with_tolerance(1e-3, 1e-9), "tolerance=0.001")
    summarise(folder)
    (label,) = drawn[0].legends[0].get_texts()
    assert label.get_text() == "poisson KAN\n  slope -3.00" and len(drawn) == 2


def test_a_run_with_a_tolerance_that_failed_is_counted(sweep, drawn):
    config = "problem: {name: poisson}\nmodel: {name: KAN}\nseed: 0\ntolerance: 1.0e-03\n"
    sweep("0", "Broken.", "tolerance=0.001", config)
    folder = sweep("1", with_tolerance(1e-5, 1e-9), "tolerance=1e-05")
    summarise(folder)
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels == ["poisson KAN (1 run without an error)", "asked tolerance"]
    assert [row["tolerance"] for row in table(folder)] == ["0.001", "1e-05"]


# the command ---------------------------------------------------------------------------------------------------------
def test_the_command_reads_stored_runs_again(tmp_path, capsys):
    for seed in (0, 1):
        solution = solve(
            load_problem("poisson")(),
            KAN([2], degree=4, grid=2),
            [Phase(LM(), steps=2)],
            sampling=Sampling("gauss", 150, 60),
            device="cpu",
            seed=seed,
        )
        config = "problem: {name: poisson}\nmodel: {name: kan}\ntolerance: 1.0e-03\n"
        save(solution, tmp_path / str(seed), Output(cells=4), config)
    assert main([str(tmp_path)]) == 0
    row = table(tmp_path)[1]
    assert row["l2"] == str(solution.errors["u"]["l2"]) and row["tolerance"] == "0.001"
    assert row["estimate"] == str(solution.settings["estimate"]) and (tmp_path / "work_precision.png").exists()
    assert "poisson KAN seed=1" in capsys.readouterr().out


def test_the_command_refuses_a_folder_without_runs_in_one_line(tmp_path, capsys):
    for folder in (tmp_path / "missing", tmp_path):
        assert main([str(folder)]) == 2
        out, err = capsys.readouterr()
        assert out == "" and str(folder) in err and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
