"""Tables of measured data: how they are read and refused, and networks fitted to them."""

from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from conftest import ROOT, load_problem

import kanpde
from kanpde import KAN, LM, Adam, InputError, Phase
from kanpde.classical.collocation import collocate
from kanpde.command.composing import config_from
from kanpde.configure.job import make_job
from kanpde.data.fitting import fit_problem
from kanpde.data.rows import DATA, Rows, divided
from kanpde.data.table import Table, read_table
from kanpde.ends import End
from kanpde.errors import ResultWarning
from kanpde.models.mlp import MLP
from kanpde.optimizers.lm import LevenbergMarquardt
from kanpde.plots.network import network_figure
from kanpde.plots.solution import solution_figure
from kanpde.residuals.objective import Objective
from kanpde.storage.output import Output
from kanpde.terminal import noise_lines, report
from kanpde.training.entering import spread_points
from kanpde.training.sampling import Sampling
from kanpde.training.signals import StopRequest

pytestmark = pytest.mark.usefixtures("unchecked")
QUICK = {"model": KAN([2], degree=5, grid=3), "phases": [Phase(LM(), steps=15)]}


def samples(rows=400, noise=0.0, scale=1.0):
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (rows, 2))
    return x, scale * (np.sin(2 * x[:, 0]) + x[:, 1] ** 2 + noise * rng.standard_normal(rows))


# reading -------------------------------------------------------------------------------------------------------------
COLUMNS = {"x": np.array([0.0, 1.5, 2.0]), "T": np.array([3.0, -4e-3, 5.0])}


def written(path):
    """Write the columns into a file of the path's kind."""
    x, values = COLUMNS["x"], np.stack(list(COLUMNS.values()), axis=1)
    match path.suffix:
        case ".csv":
            path.write_text("# measured\nx, T\n" + "\n".join(f"{a},{b}" for a, b in values) + "\n\n")
        case ".tsv":
            path.write_text("x\tT\n" + "\n".join(f"{a}\t{b}" for a, b in values))
        case ".txt":
            path.write_text("\n".join(f"  {a}   {b}" for a, b in values))
        case ".npy":
            np.save(path, np.array([tuple(row) for row in values], dtype=[("x", float), ("T", float)]))
        case ".npz":
            np.savez(path, **COLUMNS)
        case ".h5":
            with h5py.File(path, "w") as file:
                file["x"], file["T"] = x, COLUMNS["T"]
    return path


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".txt", ".npy", ".npz", ".h5"])
def test_every_kind_of_file_gives_the_same_table(kind, tmp_path):
    table = read_table(written(tmp_path / f"table{kind}"))
    assert set(table.names) == ({"c1", "c2"} if kind == ".txt" else {"x", "T"})
    names = ["c1", "c2"] if kind == ".txt" else ["x", "T"]
    np.testing.assert_array_equal(table.columns(names), np.stack(list(COLUMNS.values()), axis=1))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "x,y\n1,2\n3,abc\n", "a.csv has 'abc' in row 2, column \"y\""),
        ("a.csv", "x,y\n1,2\nabc,3\n", "a.csv has 'abc' in row 2, column 1"),
        ("a.csv", "x,y\n1,a\n2,b\n3,\n", "'' in row 3, column \"y\"; expected a number"),
        ("a.csv", "x,y\n1,2\n3,nan\n", 'nan in row 2, column "y"'),
        ("a.csv", "x,y\n1,2\n3\n", "a.csv has 1 columns in row 2; expected 2"),
        ("a.csv", "x,x\n1,2\n3,4\n", 'two columns "x"'),
        ("a.csv", "x,y\n1,2\n", "one row; expected at least 2"),
        ("a.csv", "", "is empty; expected at least 2 rows"),
        ("a.csv", "x,y\n", "one line; expected at least 2 rows"),
        ("a.csv", "x;y\n1;2\n3;4\n", 'divided by ";"'),
        ("a.csv", "x,y\n1,2\n,3\n", "'' in row 2, column 1"),
        ("a.xls", "x", 'unknown kind ".xls"'),
        ("a.npy", "no array", "cannot be read"),
        ("a.h5", "no file of HDF5", "cannot be read"),
    ],
)
def test_other_files_are_refused(name, content, words, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / name)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": [1.0, 2.0], "y": [1.0]}, "different lengths: x 2, y 1"),
        ({"x": ["a", "b"], "y": [1.0, 2.0]}, 'column "x"'),
        ({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "b"]}, 'class "a" has one row, number 1'),
        ({"x": [1.0, 1.0, 1.0], "y": [1.0, 2.0, 3.0]}, 'input "x" is 1 in all rows'),
        ({"x": [1.0, 2.0, 3.0], "y": [1.0, 1.0, 1.0]}, 'output "y" is constant'),
        ({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, float("inf")]}, "inf in row 3"),
    ],
)
def test_columns_that_cannot_be_fitted_are_refused(columns, words):
    with pytest.raises(InputError, match=words):
        fit_problem(columns, validation=0.4)


def test_columns_and_parts_are_checked():
    table = Table(("x", "y", "z"), np.arange(30.0).reshape(10, 3) ** 2)
    with pytest.raises(InputError, match='no column "w"'):
        fit_problem(table, ["w"])
    with pytest.raises(InputError, match="inputs and outputs that differ"):
        fit_problem(table, ["x", "z"], ["z"])
    with pytest.raises(InputError, match="validation"):
        fit_problem(table, validation=0.0)
    with pytest.raises(InputError, match="expected at least one each"):
        fit_problem(table, validation=0.01)
    with pytest.raises(InputError, match="as many targets"):
        kanpde.fit(np.ones(3), np.ones(4))
    for name, near in (("error", "errors"), ("step", "seed|starts|stop"), ("tolerence", "tolerance")):
        with pytest.raises(InputError, match=rf'no argument "{name}". Did you mean "({near})"'):
            kanpde.fit(np.ones(3), np.ones(3), **{name: 0.1})


def test_columns_that_are_not_wanted_may_hold_anything(tmp_path):
    (tmp_path / "a.csv").write_text("date,x,u\n" + "\n".join(f"2020-01-0{k},{k},{k**2}" for k in range(1, 9)))
    problem = fit_problem(tmp_path / "a.csv", ["x"], ["u"], validation=0.2)
    assert problem.domain.ranges == ((1.0, 8.0),)
    columns = {"x": [1.0, 2.0, 3.0], "u": [1.0, 2.0, 4.0], "v": [float("nan")] * 3}
    assert fit_problem(columns, ["x"], ["u"], validation=0.4).unknowns == ("u",)
    with pytest.raises(InputError, match="in row 1, column 1"):
        fit_problem(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r'a.csv has no column "v"'):
        fit_problem(tmp_path / "a.csv", ["x"], ["v"])


@pytest.mark.parametrize(
    ("inputs", "words"),
    [(["periodic", "x"], '"periodic" cannot be an input'), (["t"], "the only input"), ("xy", "must be a list")],
)
def test_names_with_another_meaning_are_refused(inputs, words):
    rows = np.arange(12.0)
    with pytest.raises(InputError, match=words):
        fit_problem({"x": rows, "periodic": rows**2, "t": rows + 1, "u": rows**3}, inputs, ["u"])


# fitting -------------------------------------------------------------------------------------------------------------
def test_every_row_belongs_to_one_part():
    x = np.arange(100.0)[:, None]
    parts = divided(Rows(x, x), 0.2, 0.1, seed=1)
    assert [len(part.x) for part in parts] == [70, 20, 10]
    np.testing.assert_array_equal(np.sort(np.concatenate([part.x for part in parts])[:, 0]), x[:, 0])
    assert not np.array_equal(divided(Rows(x, x), 0.2, 0.1, seed=2)[2].x, parts[2].x)


def test_the_residuals_of_several_targets_are_those_of_the_rows_in_order(generator):
    x, y = samples(3000)
    problem = fit_problem({"a": x[:, 0], "b": x[:, 1], "u": y, "v": 5 * y**2}, outputs=["u", "v"])
    region = problem.conditions[DATA].region
    points = region.sample("auto", 10_000)
    assert len(points.x) == region.rows == 2400, "more than a piece"
    network = MLP([4])(problem.domain.ranges, 2, generator=generator)
    scale = points.data.std(dim=0, correction=0)
    wanted = ((network(points.x) - points.data) / scale).square().sum(dim=1).mean()
    found = Objective(problem, network, {DATA: points}, {DATA: 1.0}).loss()
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), rel=1e-12)
    few = region.sample("uniform", 50)
    assert len(few.x) == 50 and len(torch.unique(few.x[:, 0])) == 50
    assert torch.equal(few.data[:, 1], 5 * few.data[:, 0] ** 2)


def test_a_fit_is_accurate_on_rows_that_it_has_not_seen():
    x, y = samples()
    solution = kanpde.fit(x, y, **QUICK)
    tested, known = solution.problem.test, solution.problem.conditions[DATA].region
    trained = known.sample("auto", 1000)
    assert len(tested.x) == 40 and len(trained.x) == 320
    assert not set(tested.x[:, 0].tolist()) & set(trained.x[:, 0].tolist())
    error = solution.errors["u"]["l2"]
    gaps = solution(*tested.x.numpy().T) - tested.data[:, 0].numpy()
    assert error == pytest.approx(np.linalg.norm(gaps) / np.linalg.norm(tested.data), rel=1e-9) and error < 1e-3
    lines = "\n".join(report(solution, ROOT))
    assert "on 40 test rows" in lines and "H1" not in lines


def test_fresh_points_are_the_rows_for_validation():
    x, y = samples()
    solution = kanpde.fit(x, y, **QUICK, validation=0.25)
    region = solution.problem.conditions[DATA].region
    fresh = region.sample_fresh(5, torch.Generator())
    assert len(fresh.x) == 100 and not set(fresh.x[:, 0].tolist()) & set(region.sample("auto", 999).x[:, 0].tolist())
    gaps = (torch.as_tensor(solution(*fresh.x.unbind(1))) - fresh.data[:, 0]).square().mean()
    scale = region.sample("auto", 999).data.std(correction=0)
    assert solution.levels[-1]["fresh"] == pytest.approx(float(gaps / scale**2), rel=1e-9)


def test_a_level_that_fits_the_noise_is_taken_back():
    x, y = samples(120, noise=0.2)
    phases = [Phase(LM(), steps=10), Phase(LM(), steps=40, grid=12)]
    solution = kanpde.fit(x, y, KAN([3], degree=5, grid=2), phases=phases, starts=1)
    assert solution.ending.end is End.OVERFITTED and solution.model.grid == 2


@pytest.mark.long
def test_a_fit_goes_on_to_finer_grids_after_a_phase_on_the_same_grid_was_taken_back():
    x, y = samples(300)
    phases = [Phase(LM(), steps=8), Phase(Adam(lr=3.0), steps=2), Phase(LM(), steps=8, refine=2)]
    solution = kanpde.fit(x, y, KAN([2], degree=4, grid=2), phases=phases, starts=1)
    first, second, third = solution.levels
    assert second["end"] == "DIVERGED" and third["grid"] == solution.model.grid == 4
    assert solution.ending.end is End.STEPS_DONE and third["fresh"] < first["fresh"]
    short = kanpde.fit(x, y, KAN([2], degree=4, grid=2), phases=phases[:2], starts=1)
    assert short.ending.end is End.DIVERGED, "no phase follows"


def test_the_best_step_on_the_rows_for_validation_is_kept():
    x, y = samples(120, noise=0.3)
    solution = kanpde.fit(x, y, KAN([4], degree=5, grid=4), phases=[Phase(LM(), steps=40)], starts=1)
    level = solution.levels[-1]
    assert level["kept_step"] < level["steps"] == 40
    again = kanpde.fit(
        x, y, KAN([4], degree=5, grid=4), phases=[Phase(LM(), steps=level["kept_step"])], starts=1
    )  # the same steps, of which the last is the best
    assert "kept_step" not in again.levels[-1] and again.levels[-1]["fresh"] == level["fresh"]
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), solution.model.parameters(), strict=True))


def test_a_resumed_fit_keeps_the_same_step(tmp_path):
    x, y = samples(120, noise=0.3)
    problem = fit_problem({"x": x[:, 0], "y": x[:, 1], "u": y})
    phases = [Phase(LM(), steps=15), Phase(LM(), steps=4, refine=2)]
    stop, seen = StopRequest(), []

    def observe(progress):
        seen.append(progress.step)
        stop.end = End.INTERRUPTED if len(seen) == 12 else None

    whole = kanpde.solve(problem, KAN([4], degree=5, grid=4), phases)
    kanpde.solve(problem, KAN([4], degree=5, grid=4), phases, folder=tmp_path, stop=stop, observe=observe)
    resumed = kanpde.resume(tmp_path, problem)
    assert whole.levels[0]["kept_step"] < 12, "found before the interruption"
    assert all(torch.equal(a, b) for a, b in zip(resumed.model.parameters(), whole.model.parameters(), strict=True))


@pytest.mark.parametrize("errors", [0.1, "column"])
def test_training_ends_at_the_noise(errors):
    x, y = samples(400)
    sigma = np.full(400, 0.1) if errors == 0.1 else np.linspace(0.02, 0.2, 400)
    y = y + sigma * np.random.default_rng(5).standard_normal(400)
    solution = kanpde.fit(x, y, **QUICK | {"phases": [Phase(LM(), steps=60)]}, errors=sigma if errors != 0.1 else 0.1)
    known = solution.problem.conditions[DATA].region.sample("auto", 999)
    u = torch.as_tensor(solution(*known.x.unbind(1)))
    mean = float(((u - known.data[:, 0]) / known.data[:, 1]).square().mean())
    assert solution.ending.end is End.NOISE_REACHED and solution.levels[-1]["steps"] < 60
    assert solution.settings["chi_square"] == pytest.approx(mean, rel=1e-9)
    losses = [row["loss"] for row in solution.history]
    assert losses[-1] <= 1.0 < min(losses[:-1])
    assert solution.settings["chi_square_margin"] == pytest.approx(np.sqrt(2 / 40))
    assert "standard errors: " in "\n".join(report(solution, ROOT))


@pytest.mark.parametrize(("found", "follows"), [(10.6, True), (1.9, False)])
def test_what_follows_the_noise_is_said(found, follows):
    facts = {"chi_square": 0.93, "chi_square_validation": found, "chi_square_margin": 0.26}
    assert ("follows the noise" in noise_lines(facts)[0]) is follows


def test_rows_count_by_their_standard_errors():
    x = np.linspace(-1, 1, 300)
    sigma = np.where(np.arange(300) % 2, 1.0, 1e-3)
    y = np.sin(2 * x) + np.where(np.arange(300) % 2, 0.5, 0.0)  # wrong rows, which are known to be inaccurate
    solution = kanpde.fit(x, y, KAN([2], degree=5, grid=3), errors=sigma, phases=[Phase(LM(), steps=30)])
    assert np.abs(solution(x) - np.sin(2 * x)).max() < 0.02


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (["s", "x"], "named twice"),
        (["s"], "one for each"),
        (["s", "zero"], 'standard error 0 in row 2, column "zero"'),
        ({"u": "s", "w": "s"}, '"w", which is not an output'),
        (["s", "sigma"], 'no column "sigma"'),
        ("s", "must be a list"),
    ],
)
def test_standard_errors_are_checked(errors, words):
    rows = np.arange(1.0, 9.0)
    columns = {"x": rows, "u": rows**2, "v": rows**3, "s": rows, "zero": abs(rows - 2)}
    with pytest.raises(InputError, match=words):
        fit_problem(columns, ["x"], ["u", "v"], errors=errors)


def test_the_columns_of_errors_are_no_inputs():
    rows = np.arange(1.0, 30.0)
    columns = {"x": rows, "u": rows**2, "s": rows}
    problem = fit_problem(columns, errors=["s"])
    assert problem.domain.names == ("x",) and problem.unknowns == ("u",)
    with pytest.raises(InputError, match=r"errors has the type <U1"):
        kanpde.fit(rows, rows**2, errors="s")
    with pytest.raises(InputError, match=r"x has the type <U1"):
        kanpde.fit(["a"] * 29, rows)
    with pytest.raises(InputError, match=r"errors has the shape \(3, 1\)"):
        kanpde.fit(rows, rows**2, errors=np.ones(3))


def test_hidden_grids_follow_the_training_rows():
    problem = fit_problem(dict(zip("xyu", (*samples(60)[0].T, samples(60)[1]), strict=True)))
    settings = SimpleNamespace(problem=problem, seed=0, device=torch.device("cpu"), dtype=torch.float64)
    rows = problem.conditions[DATA].region.sample("auto", 100).x
    assert torch.equal(spread_points(settings, SimpleNamespace(errors=None)), rows) and len(rows) == 48


def test_an_overfitted_fit_is_told_to_be_smaller():
    x = np.random.default_rng(3).uniform(-1, 1, (100, 8))  # so few rows determine no function of eight inputs
    y = np.sin(2 * x[:, 0]) + x[:, 1] ** 2
    with pytest.warns(ResultWarning, match="rows for validation") as caught:
        kanpde.fit(x, y, KAN([3], degree=4, grid=3), phases=[Phase(LM(), steps=12)], starts=1)
    assert "smaller network" in str(caught[0].message) and "wider" not in str(caught[0].message)


def test_unknowns_may_begin_like_other_fields(tmp_path):
    x, y = samples(60)
    columns = {"x": x[:, 0], "residual_stress": y}
    solution = kanpde.solve(fit_problem(columns), KAN([1], degree=4, grid=2), [Phase(LM(), steps=2)])
    assert "estimate" not in solution.settings
    kanpde.save(solution, tmp_path)
    with pytest.raises(InputError, match="Two stored fields"):
        Output().check(fit_problem({"x": x[:, 0], "error": y}))


def test_the_size_of_the_targets_does_not_matter():
    phases = [Phase(LM(), steps=60)]
    for scale in (1e-6, 1e6):
        found = kanpde.fit(*samples(scale=scale), KAN([2], degree=5, grid=3), phases=phases)
        assert found.errors["u"]["l2"] < 1e-3, scale


def test_what_makes_no_sense_for_a_table_is_refused():
    problem = load_problem("fit")()
    with pytest.raises(InputError, match='measured values of "data"'):
        kanpde.solve(problem, **QUICK, tolerance=1e-3)
    with pytest.raises(InputError, match=r'no measured values, and "data" has 800'):
        collocate(problem, 8)


def test_the_command_reads_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = samples(60)
    np.savetxt("table.csv", np.column_stack([x, y, 2 * y]), delimiter=",", header="a,b,u,v", comments="")
    job = make_job(config_from(["problem=fit", "problem.data=table.csv", "problem.outputs=[u,v]"]))
    assert job.problem.domain.names == ("a", "b") and job.problem.unknowns == ("u", "v")
    with pytest.raises(InputError, match=r'no file "other\.csv"'):
        make_job(config_from(["problem=fit", "problem.data=other.csv"]))


# many rows and many inputs -------------------------------------------------------------------------------------------
def test_inputs_without_influence_are_named():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (800, 4))
    y = np.sin(2 * x[:, 1]) + x[:, 3] ** 2 + 0.1 * rng.standard_normal(800)
    solution = kanpde.fit(x, y, KAN([2], degree=3, grid=2), phases=[Phase(LM(), steps=10)])
    assert solution.settings["idle"] == ["x1", "x3"]
    assert "Inputs without influence on the rows for validation: x1, x3." in report(solution, ROOT)
    solution = kanpde.fit(x[:, 1::2], y, KAN([2], degree=3, grid=2), phases=[Phase(LM(), steps=10)])
    assert "idle" not in solution.settings and "without influence" not in "\n".join(report(solution, ROOT))


def test_large_tables_are_trained_on_parts(tmp_path, monkeypatch):
    rows = np.random.default_rng(0).uniform(-1, 1, (60_000, 3))
    np.save(tmp_path / "large.npy", rows)
    problem = fit_problem(tmp_path / "large.npy", validation=0.3)
    region = problem.conditions[DATA].region
    assert len(region.sample_fresh(1, torch.Generator()).x) == 10_000, "evaluated after every step"
    assert region.rows == 44_000 and len(problem.test.x) == 6_000
    sampling = Sampling()
    starts = sampling.for_first_phase(region, 2000)
    assert (starts.size(region, 2000), starts.size(region, 99), sampling.size(region, 99)) == (6000, 6000, 20_000)
    assert sampling.for_first_phase(region, 10).size(region, 10) == 5000
    assert Sampling(rows=7000).for_first_phase(region, 10).rows == 7000
    small = fit_problem({"x": rows[:9000, 0], "u": rows[:9000, 1]}).conditions[DATA].region
    assert sampling.for_first_phase(small, 10).size(small, 10) == 7200
    drawn = []
    monkeypatch.setattr(
        LM, "__call__", lambda self, objective: drawn.append(objective) or LevenbergMarquardt(objective, self)
    )
    kanpde.solve(problem, KAN([1], degree=2, grid=2), [Phase(LM(), steps=1), Phase(LM(), steps=1)], starts=2)
    assert [sum(len(site.points.x) for site in each.sites) for each in drawn] == [5000, 5000, 20_000]
    means = [float(each.sites[0].points.x.mean()) for each in drawn]
    assert len(set(means)) == 3, "other rows every time"


def test_a_hundred_inputs_are_fitted(tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (400, 100))
    problem = fit_problem({**{f"x{k}": x[:, k] for k in range(100)}, "u": x.mean(axis=1)})
    solution = kanpde.solve(problem, KAN([1], degree=2, grid=1), [Phase(LM(), steps=7)])
    assert solution.errors["u"]["l2"] < 0.1
    kanpde.save(solution, tmp_path, Output(cells=3))
    assert not np.isnan(kanpde.load(tmp_path)(*x.T[:, :5])).any()
    assert "93 more at 50 % of their ranges" in solution_figure(solution).get_suptitle()
    network_figure(solution)


def test_many_parameters_need_few_rows_only(generator):
    rows = np.arange(1.0, 90.0)
    problem = fit_problem({"x": rows, "u": rows**2})
    points = problem.conditions[DATA].region.sample("auto", 9)
    objective = Objective(problem, KAN([2])(problem.domain.ranges, 1, generator=generator), {DATA: points})
    LM().check(objective, 100_000)  # by the dual form
    with pytest.raises(InputError, match="GiB for 100000 parameters"):
        LM(solver="cholesky").check(objective, 100_000)


@pytest.mark.slow
def test_a_large_table_with_idle_columns():
    x = np.random.default_rng(0).uniform(-1, 1, (40_000, 6))
    y = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2) + x[:, 2] * x[:, 3]
    phases = [Phase(LM(), steps=40), Phase(LM(), steps=6)]
    solution = kanpde.fit(x, y, KAN([4], degree=5, grid=4), phases=phases)
    assert solution.errors["u"]["l2"] < 1e-3
    assert solution.settings["idle"] == ["x5", "x6"]
