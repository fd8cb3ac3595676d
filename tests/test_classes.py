"""Classification: the chain of squares, probabilities, the division of the rows, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import kanpde
from kanpde import KAN, LM, MLP, InputError, Phase
from kanpde.command.composing import config_from
from kanpde.configure.job import make_job
from kanpde.data.classes import indicators
from kanpde.data.fitting import fit_problem
from kanpde.data.rows import DATA, Rows, divided
from kanpde.ends import End
from kanpde.plots.run import save_plots
from kanpde.residuals.objective import Objective
from kanpde.terminal import report

pytestmark = pytest.mark.usefixtures("unchecked")
NAMES = np.array(["red", "green", "blue"])
QUICK = {"model": KAN([3], degree=3, grid=3), "phases": [Phase(LM(), steps=12)]}


def spirals(rows=300):
    """Three classes on the arms of a spiral: inputs and numbers of the classes."""
    rng = np.random.default_rng(0)
    labels, r = rng.integers(0, 3, rows), rng.uniform(0.1, 1, rows)
    angle = 2 * np.pi * labels / 3 + 2 * r + 0.15 * rng.standard_normal(rows)
    return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1), labels


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_loss_and_its_gradient_are_those_of_the_cross_entropy(classes, generator):
    rng = np.random.default_rng(1)
    x, labels = rng.uniform(-1, 1, (200, 2)), rng.integers(0, classes, 200)
    problem = fit_problem({"x": x[:, 0], "y": x[:, 1], "c": labels}, classes=True)
    points = problem.conditions[DATA].region.sample("auto", 999)
    network = MLP([6])(problem.domain.ranges, classes, generator=generator)
    objective = Objective(problem, network, {DATA: points}, {DATA: 1.0})
    wanted = cross_entropy(network(points.x), points.data.argmax(dim=1))
    parts = torch.autograd.grad(wanted, objective.parameters)
    loss, slope = objective.gradient()
    assert float(loss) == pytest.approx(float(wanted.detach()), rel=1e-12)
    torch.testing.assert_close(slope, torch.cat([part.reshape(-1) for part in parts]), rtol=1e-10, atol=1e-14)
    r, jacobian = objective.linearize()
    torch.testing.assert_close(2 * jacobian.T @ r, slope, rtol=1e-10, atol=1e-14)


def test_large_logits_do_no_harm(generator):
    x = np.linspace(-1, 1, 40)
    problem = fit_problem({"x": x, "c": x > 0}, classes=True)
    network = MLP([4])(problem.domain.ranges, 2, generator=generator)
    points = problem.conditions[DATA].region.sample("auto", 99)
    objective = Objective(problem, network, {DATA: points}, {DATA: 1.0})
    objective.assign(2000 * objective.vector())
    r, jacobian = objective.linearize()
    assert bool(r.isfinite().all()) and bool(jacobian.isfinite().all()) and float(r.square().sum()) > 10


@pytest.mark.long
def test_texts_become_probabilities_that_are_stored(tmp_path):
    x, labels = spirals()
    solution = kanpde.fit(x, NAMES[labels], **QUICK)
    assert solution.problem.unknowns == ("u=blue", "u=green", "u=red")
    tested = solution.problem.test
    p = np.stack(solution(*tested.x.numpy().T))
    wanted = tested.data.numpy().argmax(axis=1)
    np.testing.assert_allclose(p.sum(axis=0), 1.0, rtol=1e-12)
    assert solution.settings["accuracy"] == (p.argmax(axis=0) == wanted).mean() >= 0.9
    found = -np.log(p[wanted, np.arange(len(wanted))]).mean()
    assert solution.settings["cross_entropy"] == pytest.approx(found)
    lines = "\n".join(report(solution, Path("results")))
    assert "Errors on 30 test rows: accuracy" in lines and "Relative" not in lines
    kanpde.save(solution, tmp_path)
    again = kanpde.load(tmp_path)
    np.testing.assert_array_equal(np.stack(again(0.1, 0.2)), np.stack(solution(0.1, 0.2)))
    p_x = solution.diff("x1")(0.1, 0.2)
    step = 1e-6
    difference = (np.stack(solution(0.1 + step, 0.2)) - np.stack(solution(0.1 - step, 0.2))) / (2 * step)
    np.testing.assert_allclose(np.stack(p_x), difference, rtol=1e-5, atol=1e-8)
    assert all(path.is_file() for path in save_plots(solution, tmp_path))


def test_training_ends_where_the_rows_determine_no_smaller_probability():
    x = np.linspace(-1, 1, 100)
    solution = kanpde.fit(x, x > 0.2, KAN([2], degree=3, grid=3), classes=True, phases=[Phase(LM(), steps=100)])
    assert solution.ending.end is End.NOISE_REACHED and solution.history[-1]["loss"] <= 1 / 80
    assert solution.problem.unknowns == ("u=0", "u=1") and "chi_square" not in solution.settings


def test_every_class_has_its_share_of_every_part():
    labels = np.repeat([0, 1, 2], [700, 250, 50])
    rows = Rows(np.arange(1000.0)[:, None], indicators(labels, 3))
    for part, share in zip(divided(rows, 0.2, 0.1, 5, labels), (0.7, 0.2, 0.1), strict=True):
        assert np.abs(part.y.sum(axis=0) - share * np.array([700, 250, 50])).max() <= 1
    whole = np.sort(np.concatenate([part.x[:, 0] for part in divided(rows, 0.2, 0.1, 5, labels)]))
    np.testing.assert_array_equal(whole, np.arange(1000.0))


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (["a"] * 19 + ["b"], {}, 'class "b" has one row, number 20'),
        (["a"] * 20, {}, "1 different values; expected 2 to 100"),
        ([2.5] * 10 + [1.0] * 9 + [7.0], {"classes": True}, 'class "7" has one row'),
        (["a", "b"] * 10, {"classes": False}, "text, not a number"),
        (["a"] * 18 + ["b"] * 2, {"validation": 0.45, "test": 0.5}, 'no row of the class "b"'),
        (["a", ""] * 10, {}, "'' in row 2"),
        (["a", "b"] * 10, {"errors": ["x"], "inputs": ["y"]}, "without standard errors"),
    ],
)
def test_what_is_no_classification_is_refused(labels, options, words):
    rows = np.arange(1.0, 21.0)
    with pytest.raises(InputError, match=words):
        fit_problem({"x": rows, "y": rows**2, "c": labels}, outputs=["c"], **options)


@pytest.mark.parametrize("header", ["x,y,kind\n", ""])
def test_the_command_reads_classes(header, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, labels = spirals(60)
    lines = [f"{a},{b}, {NAMES[k]}\n" for (a, b), k in zip(x, labels, strict=True)]
    (tmp_path / "a.csv").write_text(header + "".join(lines))
    job = make_job(config_from(["problem=fit", "problem.data=a.csv"]))
    name = "kind" if header else "c3"
    assert job.problem.unknowns == tuple(f"{name}={color}" for color in ("blue", "green", "red"))
    known = job.problem.conditions[DATA].region.sample("auto", 99)
    place = {tuple(row): k for row, k in zip(x.tolist(), labels, strict=True)}
    names = [job.problem.unknowns[k] for k in known.data.argmax(dim=1)]
    assert names == [f"{name}={NAMES[place[tuple(row)]]}" for row in known.x.tolist()]
