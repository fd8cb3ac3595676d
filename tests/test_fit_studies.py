"""Comparisons of fits: the same rows for all arms, errors on test rows, and what cannot be compared."""

import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from synthetic import spread, write_study
from test_comparison import Forked

from kanpde import InputError, fit_problem
from kanpde.command import main
from kanpde.command.composing import config_from
from kanpde.study.arms import make_arms
from kanpde.study.fits import rows_of
from kanpde.study.outcomes import read_study
from kanpde.study.report import write_report

pytestmark = pytest.mark.usefixtures("unchecked")
KAN_AND_MLP = {"kan": "model=kan", "mlp": "model=mlp"}


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table of 60 rows in the present folder."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    rows = np.c_[x, np.sin(2 * x[:, 0]) + x[:, 1] ** 2]
    np.savetxt("table.csv", rows, delimiter=",", header="x,y,u", comments="")
    return "problem.data=table.csv"


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr("kanpde.study.report.pictures", lambda _: [])
    monkeypatch.setattr("kanpde.study.report.law_pictures", lambda _: [])


def test_arms_of_a_fit_have_equal_rows_and_parameters(table):
    arms, jobs = make_arms(KAN_AND_MLP, ["problem=fit", table, "problem.test=0.25"], "params", config_from)
    assert abs(arms[1].parameters / arms[0].parameters - 1) < 0.2
    kan, mlp = (rows_of(job.problem) for job in jobs)
    assert kan == mlp == {"training": 39, "validation": 6, "test": 15, "errors on": "15 test rows"}
    first, other = (job.problem.test for job in jobs)
    assert bool((first.x == other.x).all())


def test_rows_of_a_known_function_and_of_equations():
    x = np.linspace(0, 1, 50)
    known = rows_of(fit_problem({"x": x, "u": x**2}, exact=lambda x: x**2))
    assert known["test"] == 5 and known["errors on"] == "the whole domain, where the function is known"
    _, (job, _) = make_arms(KAN_AND_MLP, ["problem=poisson"], "params", config_from)
    assert rows_of(job.problem) == {}


@pytest.mark.parametrize(
    ("typed", "match", "message"),
    [
        (["problem.test=0"], "params", r"needs test rows.* Write test=0\.1 in `problem`"),
        (["time_limit=4"], "tolerance", "measured values give no estimate.*study.match=params"),
    ],
)
def test_fits_that_cannot_be_compared_are_refused(table, typed, match, message):
    with pytest.raises(InputError, match=message):
        make_arms(KAN_AND_MLP, ["problem=fit", table, *typed], match, config_from)


@pytest.mark.long
def test_a_study_of_a_fit_runs_and_reports_the_test_rows(table, no_pictures, capfd, tmp_path, monkeypatch):
    monkeypatch.setattr("kanpde.runs.process.subprocess", SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL))
    small = ["model.hidden=[2]", "model.degree=3", "schedule.phases=[{steps:2}]", "device=cpu", "output.cells=4"]
    arms = ["~study.arms.mlp-sine", "study.seeds=1"]
    assert main(["+study=kan_vs_mlp", "problem=fit", table, *arms, *small]) == 0
    assert "lassical" not in capfd.readouterr().out
    (folder,) = (tmp_path / "outputs" / "studies").iterdir()
    study = read_study(folder)
    assert [run.state for run in study.runs] == ["finished"] * 2 and study.kind == "l2"
    points = {tuple(run.settings["points"].items()) for run in study.runs}
    assert points == {(("data", 48),)}, "all rows for training, and the same number for all"
    report = (folder / "report.md").read_text()
    assert "Errors: relative L2 on 6 test rows." in report and "48 rows for training and 6 for validation" in report
    assert "Not the same for all arms" not in report and "lassical" not in report.partition("## Settings")[0]
    assert not (folder / "classical.csv").exists()


def test_the_report_says_on_which_rows_errors_are_measured(no_pictures, tmp_path):
    errors = {"kan": spread(1e-3, 3), "mlp": spread(1e-2, 3, seed=1)}
    rows = {"training": 800, "validation": 100, "test": 100, "errors on": "100 test rows"}
    fit = write_study(tmp_path / "fit", errors, classical=(), rows=rows)
    write_report(fit)
    report = (fit / "report.md").read_text()
    assert "Errors are relative L2 errors on 100 test rows. All runs have the same 800 rows for training" in report
    assert "rough" not in report and "training 800, validation 100, test 100" in report
    few = yaml.safe_load((fit / "study.yaml").read_text()) | {"rows": {**rows, "test": 10, "errors on": "10 test rows"}}
    (fit / "study.yaml").write_text(yaml.safe_dump(few))
    write_report(fit)
    assert "With so few test rows the errors are rough." in (fit / "report.md").read_text()
    equation = write_study(tmp_path / "equation", errors)
    write_report(equation)
    assert "rows" not in (equation / "report.md").read_text().partition("## Figures")[0]
