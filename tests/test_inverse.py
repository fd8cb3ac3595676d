"""Inverse problems: data as a condition, bounds, covariances and intervals of coefficients, unknown fields."""

from dataclasses import replace
from math import inf, pi

import meshio
import numpy as np
import pytest
import torch
from conftest import load_problem
from matplotlib.figure import Figure
from scipy.stats import t as t_law

from kanpde import (
    KAN,
    LM,
    MLP,
    Box,
    Coefficient,
    Condition,
    InputError,
    Phase,
    Problem,
    Sampling,
    Separate,
    data,
    diff,
    dirichlet,
    divergence,
    initial,
    laplacian,
    load,
    resume,
    save,
    solve,
)
from kanpde.calculus.coefficients import as_coefficients, first_values
from kanpde.domains.disk import Disk
from kanpde.errors import ResultWarning
from kanpde.models.network import trained_size
from kanpde.plots.coefficients import coefficients_figure
from kanpde.plots.measured import draw_places
from kanpde.plots.solution import solution_figure
from kanpde.residuals.accuracy import Errors
from kanpde.residuals.automatic_weights import EXACTNESS, weights_of_data
from kanpde.residuals.evaluation import formula_fields, residuals_of
from kanpde.residuals.neighbours import likeness
from kanpde.residuals.objective import Objective
from kanpde.terminal import report
from kanpde.training.covariance import Found, Group, covariance, triangle_of
from kanpde.training.entering import enter, first_state
from kanpde.training.linearized import Linearized
from kanpde.training.polishing import is_worse
from kanpde.training.settings import Settings
from kanpde.training.starting import start_from
from kanpde.training.surroundings import Surroundings
from kanpde.training.uncertainty import Estimated, student, told

F64 = torch.float64
ROD = Box(x=(0.0, 1.0), t=(0.0, 1.0))
RNG = np.random.default_rng(0)
X, T = RNG.uniform(0.0, 1.0, (2, 30))
TABLE = {"x": X, "t": T, "u": np.exp(-T) * np.sin(3 * X), "s": np.full(30, 0.1)}
TINY = {"model": KAN([2], degree=4, grid=2), "phases": [Phase(LM(), steps=2)], "starts": 1}
TINY |= {"sampling": Sampling(interior=60, boundary=10)}


def changed(column, row, value):
    return {**TABLE, column: np.where(np.arange(30) == row, value, TABLE[column])}


def problem_with(residual, parameters, table=TABLE, **options):
    conditions = {"pde": Condition(ROD.interior, residual), "data": data(ROD, table, "u", **options)}
    return Problem(ROD, conditions, parameters=parameters)


def heat(u, p):
    return diff(u, "t") - p["k"] * laplacian(u)


# coefficients --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bounds", [(-inf, inf), (0.5, inf), (-inf, 3.0), (0.5, 3.0)])
def test_bounds_are_kept_by_a_transformation(bounds):
    k = Coefficient(2.0, *bounds)
    z = torch.tensor(k.trained, dtype=F64, requires_grad=True)
    value = k.value(z)
    assert float(value.detach()) == pytest.approx(2.0, rel=1e-14) and k == 2.0
    (slope,) = torch.autograd.grad(value, z)
    assert k.slope(k.trained) == pytest.approx(float(slope), rel=1e-12)
    far = k.value(torch.tensor([-30.0, 30.0], dtype=F64))
    assert bool((far >= bounds[0]).all()) and bool((far <= bounds[1]).all())
    assert as_coefficients({"k": k.at(2.5)})["k"].lower == bounds[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((-1.0, 0.0), "initial=1.0"),
        ((1.0, 2.0, 1.0), "lower=0.0"),
        ((float("nan"),), "initial=1.0"),
        ((5, 1, 3), "=2.0"),
    ],
)
def test_first_values_outside_the_bounds_are_refused(arguments, words):
    with pytest.raises(InputError, match="finite number between its bounds") as found:
        Coefficient(*arguments)
    assert words in str(found.value)


def test_the_jacobian_of_bounded_coefficients_is_that_of_differences():
    problem = problem_with(heat, {"k": Coefficient(0.7, lower=0.0, upper=2.0)})
    network = TINY["model"](ROD.ranges, generator=torch.Generator().manual_seed(0))
    points = {name: c.region.sample("uniform", 8) for name, c in problem.conditions.items()}
    z = torch.nn.Parameter(torch.tensor([problem.parameters["k"].trained], dtype=F64))
    objective = Objective(problem, network, points, {}, z)
    column, v = objective.linearize()[1][:, -1].clone(), objective.vector()
    step = torch.zeros_like(v)
    step[-1] = 1e-6
    ends = []
    for sign in (1, -1):
        objective.assign(v + sign * step)
        ends.append(objective.values())
    torch.testing.assert_close(column, (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-9)


# data ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("errors", [None, 0.1, "s", ["s"], {"u": "s"}])
@pytest.mark.parametrize("kind", ["columns", "csv", "npy"])
def test_residuals_are_distances_in_standard_errors(tmp_path, errors, kind):
    wanted = ["x", "t", "u", *(["s"] if errors not in (None, 0.1) else [])]
    matrix, table = np.stack([TABLE[name] for name in wanted], axis=1), TABLE
    if kind == "csv":
        table = tmp_path / "measured.csv"
        np.savetxt(table, matrix, delimiter=",", header=",".join(wanted), comments="")
    elif kind == "npy":  # without names
        table = tmp_path / "measured.npy"
        np.save(table, matrix)
    condition = data(ROD, table, "u", errors=errors)
    problem = Problem(ROD, {"data": condition}, parameters={"k": 1.0})
    points = condition.region.sample("auto", 30)
    (found,) = residuals(problem, points, lambda x, t: 2 * x)
    wanted = (2 * X - TABLE["u"]) / (0.1 if errors else 1.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-6 if kind == "csv" else 1e-12)
    assert condition.noise == (1.0 if errors else 0.0) and condition.region.rows == 30


def residuals(problem, points, function):

    return [
        r.numpy()
        for r in residuals_of(
            problem, "data", lambda context, space: formula_fields(problem, function, context), points
        )
    ]


def test_something_else_than_an_unknown_can_be_measured():
    condition = data(ROD, {**TABLE, "q": X}, "q", of=lambda u, p: -p["k"] * diff(u, "x"))
    problem = Problem(ROD, {"data": condition}, parameters={"k": 3.0})
    (found,) = residuals(problem, condition.region.sample("auto", 30), lambda x, t: x * x)
    np.testing.assert_allclose(found, -6 * X - X, rtol=1e-12)
    condition = data(ROD, {**TABLE, "q": X}, ("u", "q"), of=lambda u, p: u)
    with pytest.raises(InputError, match="returns 1 values for the columns u, q"):
        residuals(Problem(ROD, {"data": condition}, parameters={"k": 3.0}), condition.region.sample("auto", 30), max)


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (changed("x", 4, 1.5), {}, r"row 5 \(x = 1.5, t = .*\) lies outside the domain Box"),
        (changed("u", 4, np.nan), {}, 'nan in row 5, column "u"'),
        (changed("s", 4, 0.0), {"errors": "s"}, 'standard error 0 in row 5, column "s"'),
        ({**TABLE, "u": np.array(["a"] * 30)}, {}, 'column "u" has the shape'),
        ({**TABLE, "u": np.ones(30)}, {}, '"u" are 1 in all rows'),
        ({"x": X, "u": X}, {}, 'no column "t"'),
        (TABLE, {"errors": -1.0}, "positive standard error"),
        (TABLE, {"errors": ["u"]}, '"u" is named twice'),
        (np.ones((9, 2)), {}, "2 columns without names; expected 3: x, t, u"),
        ("none.csv", {}, "no file"),
    ],
)
def test_bad_tables_are_refused(table, options, words):
    with pytest.raises(InputError, match=words):
        data(ROD, table, "u", **options)


def test_values_at_the_nodes_of_a_mesh_file_are_data(tmp_path):
    square, path = Box(x=(0.0, 1.0), y=(0.0, 1.0)), tmp_path / "measured.vtu"
    points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    values = {"u": np.array([1.0, 2.0, 4.0]), "v": 2 * points}
    meshio.Mesh(points, [("triangle", [[0, 1, 2]])], point_data=values).write(path)
    found = data(square, path, ("u", "v_y")).region.sample("auto", 3)
    np.testing.assert_array_equal(found.x, points[:, :2])
    np.testing.assert_array_equal(found.data, [[1.0, 0.0], [2.0, 0.0], [4.0, 2.0]])
    meshio.Mesh(points, [("triangle", [[0, 1, 2]])]).write(path)
    with pytest.raises(InputError, match=r"measured\.vtu has no values at its nodes"):
        data(square, path)


def test_a_file_with_two_columns_of_a_name_is_refused(tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("x,t,u,u\n0.1,0.2,0.3,1\n0.1,0.1,0.4,1\n")
    with pytest.raises(InputError, match=r'twice\.csv has two columns "u"'):
        data(ROD, path, "u")


def test_data_on_a_shape_and_beside_values_that_are_built_in():
    disk = Disk((0.0, 0.0), 1.0)
    with pytest.raises(InputError, match=r"row 2 \(x = 1, y = 1\)"):
        data(disk, {"x": [0.0, 1.0], "y": [0.0, 1.0], "u": [1.0, 2.0]}, "u")
    conditions = {
        "pde": Condition(ROD.interior, heat),
        "ends": dirichlet(ROD.boundary, 0.0),
        "data": data(ROD, TABLE, "u", errors=0.1),
    }
    found = solve(Problem(ROD, conditions, parameters={"k": 1.0}), constraints="hard", **TINY)
    assert found.settings["satisfies"] == ["ends"] and found.standard_errors["k"] > 0


def test_weights_of_data_follow_their_errors():
    """The residuals of all data in standard errors count the same; together 1 / EXACTNESS of an equation."""
    parts = {name: data(ROD, {key: v[a:b] for key, v in TABLE.items()}, "u", errors=s) for name, a, b, s in SETS}
    problem = Problem(ROD, {"pde": Condition(ROD.interior, heat), **parts}, parameters={"k": 1.0})
    gains = {"pde": 50.0, "one": 0.5 / 0.1**2, "two": 0.5 / 0.2**2}
    found = weights_of_data(problem, {name: 50.0 / gain for name, gain in gains.items()})
    assert found["one"] / 10 == pytest.approx(found["two"] / 20)
    assert sum(found[name] * gains[name] for name in found) == pytest.approx(50.0 / EXACTNESS)


SETS = [("one", 0, 10, 0.1), ("two", 10, 30, 0.2)]


def test_rows_that_are_kept_back_choose_the_step():
    table = {**TABLE, "u": RNG.normal(size=30)}  # noise, which later steps follow
    problem = problem_with(heat, {"k": 1.0}, table, validation=0.3)
    region = problem.conditions["data"].region
    assert region.rows == 21 and len(region.sample_fresh(1, torch.Generator()).x) == 9
    found = solve(problem, **{**TINY, "phases": [Phase(LM(), steps=12)]}, weights={"pde": 1e-6})
    assert found.levels[0]["kept_step"] < 12


def test_a_field_problem_ends_when_the_noise_is_reached():
    problem = problem_with(lambda u: diff(u, "t") - 0.1 * laplacian(u), {}, errors=0.3)
    assert solve(problem, **TINY | {"phases": [Phase(LM(), steps=50)]}).ending.end.name == "NOISE_REACHED"


def test_values_that_a_field_does_not_fit_within_their_errors_are_doubted():
    problem = problem_with(lambda u: diff(u, "t") - 0.1 * laplacian(u), {}, errors=1e-4)
    with pytest.warns(ResultWarning, match="does not fit the measured values"):
        solve(problem, **TINY)


def test_a_coefficient_that_does_not_exist_is_named():
    problem = problem_with(lambda u, p: diff(u, "t") - p["kk"] * laplacian(u), {"k": 1.0})
    with pytest.raises(InputError, match='no coefficient "kk"'):
        solve(problem, **TINY)


# covariance ----------------------------------------------------------------------------------------------------------
def test_the_covariance_is_that_of_generalized_least_squares():
    """Two sets of data with different errors, exact equations, network weights that the equations leave free."""
    rng = np.random.default_rng(1)
    equations, nullspace = rng.normal(size=(40, 7)), rng.normal(size=7)
    equations[:, 0] = equations[:, 1]  # a direction of the network without effect
    first, second = rng.normal(size=(30, 7)), rng.normal(size=(50, 7))
    for part in (first, second):
        part[:, 0] = part[:, 1]
    errors, weight = (0.1, 0.3), 1e-3
    triangles = [triangle_of([np.c_[part, rng.normal(size=len(part))]], 8) for part in (equations, first, second)]
    groups = [Group(t, n, weight * s**2) for t, n, s in zip(triangles[1:], (30, 50), errors, strict=True)]
    found = covariance(triangles[0], groups, 2)
    whole, noise = np.concatenate([equations, first, second]), np.r_[np.zeros(40), np.full(30, 0.1), np.full(50, 0.3)]
    move = np.linalg.pinv(whole)[-2:] * np.sqrt(weight) * noise
    np.testing.assert_allclose(found.covariance, move @ move.T, rtol=1e-9)
    h = whole @ np.linalg.pinv(whole)
    rest = np.eye(120) - h
    for rows, group in ((slice(40, 70), 0), (slice(70, 120), 1)):
        assert groups[group].rows == rows.stop - rows.start
    own = np.trace(rest[40:70, 40:70] @ rest[40:70, 40:70]) + np.trace(rest[70:, 70:] @ rest[70:, 70:])
    assert found.expected == pytest.approx(own, rel=1e-9) and nullspace.size == 7


def test_the_step_that_is_left_undone_is_that_of_least_squares():
    rng = np.random.default_rng(5)
    jacobian, r = rng.normal(size=(40, 6)), rng.normal(size=40)
    found = covariance(
        triangle_of([np.c_[jacobian, r][:20]], 7), [Group(triangle_of([np.c_[jacobian, r][20:]], 7), 20)], 2
    )
    np.testing.assert_allclose(found.step, -(np.linalg.pinv(jacobian) @ r)[-2:], rtol=1e-9)


def test_intervals_and_correlations_of_bounded_coefficients():
    """Of Student's distribution; k < 3 falls with its z, so that its correlations have the other sign."""
    names = {"a": Coefficient(2.0), "b": Coefficient(2.0, lower=1.0), "c": Coefficient(2.0, upper=3.0)}
    free = [Estimated(name, each, each.trained) for name, each in names.items()]
    matrix = 1e-4 * np.array([[1.0, 0.5, 0.3], [0.5, 4.0, -0.2], [0.3, -0.2, 1.0]])
    known = told(free, Found(matrix, np.zeros(3), freedom=7.0))
    assert known.correlations == {
        "a": {"b": pytest.approx(0.25), "c": pytest.approx(-0.3)},
        "b": {"a": pytest.approx(0.25), "c": pytest.approx(0.1)},
        "c": {"a": pytest.approx(-0.3), "b": pytest.approx(0.1)},
    }
    assert known.errors == {"a": pytest.approx(0.01), "b": pytest.approx(0.02), "c": pytest.approx(0.01)}
    quantile = t_law(7.0).ppf(0.975)
    assert known.intervals["a"] == pytest.approx((2 - 0.01 * quantile, 2 + 0.01 * quantile), rel=1e-12)
    assert known.intervals["b"] == pytest.approx((1 + np.exp(-0.02 * quantile), 1 + np.exp(0.02 * quantile)), rel=1e-12)
    assert student(7.0) == pytest.approx(2.364624, rel=1e-6) and student(0.2) == pytest.approx(12.7062, rel=1e-5)
    stepped = told(free, Found(0 * matrix, np.array([0.0, 0.03, 0.0]), freedom=7.0))
    assert stepped.errors["b"] == pytest.approx(0.03)  # what training has left undone


def test_combinations_without_effect_are_named():
    rng = np.random.default_rng(2)
    jacobian = rng.normal(size=(50, 4))
    jacobian[:, 3] = 2 * jacobian[:, 2]
    found = covariance(np.zeros((0, 5)), [Group(triangle_of([np.c_[jacobian, np.ones(50)]], 5), 50)], 2)
    assert found.loose is not None
    assert found.loose[0] / found.loose[1] == pytest.approx(-2.0)


def quick(name, **arguments):
    problem = load_problem(name)(**arguments)
    sampling = Sampling(interior=300, boundary=40)
    return solve(problem, KAN([3], degree=6, grid=2), [Phase(LM(), steps=25)], sampling=sampling, starts=1)


@pytest.fixture(scope="module")
def rod():
    return quick("inverse_heat", first=0.2)


def test_the_standard_error_of_a_diffusivity_is_that_of_regression(rod):
    """Of u = exp(-π² k t) sin πx, whose derivative by k is known."""
    region = rod.problem.conditions["data"].region
    x, t = region.sample("auto", 200).x.T.numpy()
    slope = -(pi**2) * t * np.exp(-(pi**2) * 0.1 * t) * np.sin(pi * x)
    assert rod.standard_errors["k"] == pytest.approx(0.01 / np.linalg.norm(slope), rel=0.05)
    lower, upper = rod.intervals["k"]
    assert 0 < lower < 0.1 < upper and upper - lower == pytest.approx(3.92 * rod.standard_errors["k"], rel=0.01)
    assert abs(rod.settings["chi_square_data"] - 1) < 0.25 and not rod.warnings
    assert rod.history[-1]["coefficient_k"] == rod.coefficients["k"]


def test_results_on_coefficients_are_printed_stored_and_drawn(rod, tmp_path):
    lines = report(rod, tmp_path)
    course, last = coefficients_figure(rod).axes
    np.testing.assert_allclose(course.lines[0].get_ydata(), [row["coefficient_k"] for row in rod.history])
    (segment,) = last.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(segment[:, 1], rod.intervals["k"])
    assert coefficients_figure(replace(rod, problem=replace(rod.problem, parameters={}))) is None
    assert any("with 95 % probability from" in line for line in lines)
    assert any("expected 1 ± 0.1" in line for line in lines)
    save(rod, tmp_path / "run")
    again = load(tmp_path / "run")
    assert (again.intervals, again.correlations) == (rod.intervals, rod.correlations)
    assert again.standard_errors == rod.standard_errors


def test_a_wrong_noise_level_is_noticed(rod):
    given = load_problem("inverse_heat")(first=0.1)
    points = given.conditions["data"].region.sample("auto", 200)
    table = np.concatenate([points.x.numpy(), points.data[:, :1].numpy()], axis=1)
    conditions = {**given.conditions, "data": data(given.domain, table, "u", errors=0.02)}
    problem = Problem(given.domain, conditions, parameters={"k": 0.1})
    with pytest.warns(ResultWarning, match=r"smaller than .* too large, by a factor of about 2"):
        solve(problem, phases=[Phase(LM(), steps=5)], sampling=Sampling(interior=200, boundary=40), start=rod)


@pytest.mark.parametrize(
    ("residual", "names", "words"),
    [
        (
            lambda u, p: diff(u, "t") - p["a"] * p["b"] * laplacian(u),
            "ab",
            r"a and b one by one: .* a by -0.5, b by \+1",
        ),
        (lambda u, p: diff(u, "t") - p["a"] * laplacian(u), "ab", 'No residual depends on the coefficient "b"'),
        (lambda u, p: p["a"] * u + p["b"] * diff(u, "t") + p["c"], "abc", "2 measured values do not determine 3"),
    ],
)
def test_coefficients_that_are_not_determined_are_named(residual, names, words):
    table = {name: column[:2] for name, column in TABLE.items()} if len(names) == 3 else TABLE
    with pytest.raises(InputError, match=words):
        solve(problem_with(residual, dict(zip(names, (1.0, 2.0, 3.0), strict=False)), table), **TINY)


def test_a_coefficient_of_an_earlier_run_keeps_its_value_within_new_bounds(rod):
    """The rod was solved with k > 0."""
    for bounds in ((0.05, 0.2), (-inf, inf)):
        problem = replace(rod.problem, parameters={"k": Coefficient(0.15, *bounds)})
        started = start_from(rod).with_coefficients(problem).parameters["k"]
        assert float(started) == rod.coefficients["k"] and (started.lower, started.upper) == bounds
    problem = replace(rod.problem, parameters={"k": Coefficient(0.3, 0.2, 0.5)})
    with pytest.raises(
        InputError, match=r"a Solution found k = 0\.\d+, which is not within the bounds 0\.2 and 0\.5"
    ) as no:
        solve(problem, phases=[Phase(LM(), steps=1)], start=rod)
    assert "start=None" in str(no.value) and "\n" not in str(no.value)


@pytest.mark.usefixtures("unchecked")
def test_the_last_steps_use_all_rows(tmp_path):
    """The phases draw 100 of 4000 rows; afterwards the diffusivity, its error and the tables are those of all."""
    given = load_problem("inverse_heat")(rows=4000, noise=0.05, first=0.1)
    sampling, lines = Sampling(interior=200, boundary=40, rows=100), []
    model, phases = KAN([3], degree=6, grid=2), [Phase(LM(), steps=25)]
    found = solve(given, model, phases, sampling=sampling, starts=1, log=lines.append, folder=tmp_path, device="cpu")
    x, t = given.conditions["data"].region.sample("auto", 4000).x.T.numpy()
    error = 0.05 / np.linalg.norm(pi**2 * t * np.exp(-(pi**2) * 0.1 * t) * np.sin(pi * x))
    assert found.standard_errors["k"] == pytest.approx(error, rel=0.1)
    before, after = (next(row for row in found.history[::-1] if row["phase"] == phase) for phase in (0, 1))
    assert abs(found.coefficients["k"] - 0.1) < 3 * error < abs(before["coefficient_k"] - 0.1)
    (line,) = [line for line in lines if "all 4000 measured rows: " in line]
    first, last = found.levels
    assert after["coefficient_k"] == found.coefficients["k"] and after["loss"] == pytest.approx(last["loss"])
    assert f"and {last['loss']:.6e} after" in line and last["phase"] == 1
    assert last["steps"] == sum(row["phase"] == 1 for row in found.history)
    assert last["l2"] == found.errors["u"]["l2"] != first["l2"] and found.settings["fresh"] == last["fresh"]
    assert last["fresh"] != first["fresh"] and found.settings["points"]["data"] == 4000
    again = resume(tmp_path, problem=given, device="cpu")
    assert (again.coefficients, again.standard_errors) == (found.coefficients, found.standard_errors)
    timed = {"seconds": 0, "error": 0}
    for one, other in zip((again.history, again.levels), (found.history, found.levels), strict=True):
        assert [row | timed for row in one] == [row | timed for row in other]


@pytest.mark.usefixtures("unchecked")
def test_the_last_steps_heed_rows_that_are_kept_back(monkeypatch):
    """A wide network beside a light equation follows the errors of all rows, which the rows kept back show."""
    box, rng = Box(t=(0.0, 1.0)), np.random.default_rng(0)
    t = rng.uniform(0.0, 1.0, 200)
    table = {"t": t, "u": np.exp(-t) + 0.3 * rng.normal(size=200)}
    equation = Condition(box.interior, lambda u, p: diff(u, "t") + p["k"] * u)
    problem = Problem(box, {"pde": equation, "data": data(box, table, "u", validation=0.5)}, parameters={"k": 1.0})

    def found(lines):
        sampling = Sampling(interior=60, boundary=10, rows=30)
        options = {"sampling": sampling, "weights": {"pde": 1e-4}, "device": "cpu", "log": lines.append}
        return solve(problem, KAN([], grid=60, degree=3), [Phase(LM(), steps=3)], starts=1, **options)

    lines = []
    heeded = found(lines)
    assert len(heeded.levels) == 1 and any("a step on all measured rows is taken back" in line for line in lines)
    assert heeded.coefficients["k"] == heeded.history[heeded.levels[0]["kept_step"] - 1]["coefficient_k"]
    before, change = torch.tensor(rng.uniform(size=400)), torch.tensor(rng.normal(size=400))
    change -= change.mean()
    assert not is_worse(before, before + change + 0.09 * change.std())  # two standard errors of the mean are 0.1 of it
    assert is_worse(before, before + change + 0.11 * change.std()) and not is_worse(before, before - 1.0)
    assert is_worse(before, before * torch.nan)
    monkeypatch.setattr("kanpde.training.polishing.CLEARLY", inf)
    assert found([]).settings["fresh"] > 10 * heeded.settings["fresh"]


def test_pictures_show_where_something_is_measured(rod):
    region = rod.problem.conditions["data"].region
    figure = solution_figure(rod)
    (circles,) = next(axes for axes in figure.axes if axes.get_title() == "solution u").lines
    np.testing.assert_array_equal(circles.get_xydata(), region.sample("auto", 200).x.numpy())
    assert circles.get_marker() == "o" and not any(a.lines for a in figure.axes if a.get_title().startswith("error"))
    lines = solution_figure(decay(0.8, noise=0.0, steps=2)).axes[0].lines
    assert [line.get_label() for line in lines] == ["found", "measured"]
    t = np.linspace(0.02, 0.98, 30)
    np.testing.assert_allclose(lines[1].get_xydata(), np.stack([t, np.exp(-0.7 * t)], axis=1), rtol=1e-12)
    axes, square = Figure().add_subplot(), Box(x=(0.0, 1.0), y=(0.0, 1.0), t=(0.0, 1.0))
    table = {"x": [0.1, 0.2, 0.3], "y": [0.4, 0.5, 0.6], "t": [0.0, 0.5, 0.52], "q": [1.0, 2.0, 3.0]}
    conditions = {"data": data(square, table, "q", of=lambda u: u), "pde": Condition(square.interior, lambda u: u)}
    assert draw_places(axes, Problem(square, conditions), (0, 1), {2: 0.5}) == 2
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[0.2, 0.5], [0.3, 0.6]])


# fields --------------------------------------------------------------------------------------------------------------
def field_run(**options):
    model = Separate({"u": KAN([3], degree=5, grid=2), "a": MLP([5])})
    return solve(
        load_problem("inverse_field")(points=10),
        model,
        [Phase(LM(), steps=1), Phase(LM(), steps=2, refine=2)],
        sampling=Sampling(interior=60, boundary=10),
        starts=1,
        **options,
    )


@pytest.mark.long
def test_a_field_has_a_network_of_its_own(tmp_path):
    whole = field_run()
    u, a = whole.model.networks
    assert type(a).__name__ == "Network" and u.grid == 4 and a.grid is None
    assert whole.levels[-1]["parameters"] == trained_size(whole.model) == trained_size(u) + trained_size(a)
    save(whole, tmp_path / "run")
    again = load(tmp_path / "run")
    assert all(np.array_equal(*pair) for pair in zip(again(0.3, [0.1, 0.2]), whole(0.3, [0.1, 0.2]), strict=True))

    class Stop(Exception):
        pass

    def stop_at(progress):
        if progress.total == 2:
            raise Stop

    with pytest.raises(Stop):
        field_run(folder=tmp_path / "stopped", observe=stop_at)
    resumed = resume(tmp_path / "stopped", problem=load_problem("inverse_field")(points=10))
    assert [row["loss"] for row in resumed.history] == [row["loss"] for row in whole.history]


def test_networks_for_what_is_no_unknown_are_refused():
    problem = load_problem("inverse_field")(points=10)
    with pytest.raises(InputError, match='A network is for "b", which is no unknown'):
        solve(problem, Separate({"b": KAN([2])}))
    with pytest.raises(InputError, match='"u" has two networks'):
        Separate({"u": KAN([2]), "u, a": KAN([2])})


@pytest.mark.slow
def test_a_field_is_found():
    model = Separate({"u": KAN([5], degree=7, grid=2), "a": KAN([5], degree=7, grid=2)})
    phases = [Phase(LM(), steps=30), Phase(LM(), steps=40, refine=2)]
    sampling = Sampling(interior=900, boundary=100)
    found = solve(load_problem("inverse_field")(), model, phases, starts=1, sampling=sampling)
    assert found.errors["a"]["l2"] < 1e-3 and found.errors["u"]["l2"] < 1e-5


@pytest.mark.slow
def test_a_diffusivity_is_exact_without_noise():
    phases = [Phase(LM(), steps=100), Phase(LM(), steps=100, refine=2)]
    found = solve(load_problem("inverse_heat")(noise=0.0), KAN([6], degree=9, grid=3), phases, starts=1)
    assert found.coefficients["k"] == pytest.approx(0.1, rel=1e-8)


def test_components_of_vectors_can_be_measured():
    """A vector for one column is refused, and its components are values like others."""
    x = np.random.default_rng(0).uniform(size=(20, 2))
    box = Box(x=(0.0, 1.0), y=(0.0, 1.0))
    table = {"x": x[:, 0], "y": x[:, 1], "v_x": x[:, 0], "v_y": x[:, 1], "v": x[:, 0]}
    flow = Condition(box.interior, lambda v: divergence(v) - 2.0)
    components = data(box, table, ("v_x", "v_y"), errors=0.1)
    whole = data(box, table, ("v_x", "v_y"), errors=0.1, of=lambda v: v)
    losses = [
        solve(Problem(box, {"flow": flow, "d": each}, ("v:2",)), **TINY).history[-1]["loss"]
        for each in (components, whole)
    ]
    assert losses[0] == losses[1]
    with pytest.raises(InputError, match='"v" is a vector of 2 unknowns'):
        solve(Problem(box, {"flow": flow, "d": data(box, table, "v", errors=0.1)}, ("v:2",)), **TINY)


def test_errors_that_are_no_number_and_no_columns_are_refused():
    with pytest.raises(InputError, match="one number or names of columns"):
        data(Box(x=(0.0, 1.0)), {"x": [0.1, 0.2], "u": [1.0, 2.0]}, "u", errors=[0.1, 0.1])


def decay(upper, noise=0.0, second=0.0, steps=60, first=0.45):
    """u' = -k u, u(0) = 1 - a, from values of exp(-0.7 t)."""
    rod, t = Box(t=(0.0, 1.0)), np.linspace(0.02, 0.98, 30)
    values = np.exp(-0.7 * t) + noise * np.random.default_rng(1).normal(size=30)
    conditions = {
        "ode": Condition(rod.interior, lambda u, p: diff(u, "t") + p["k"] * u),
        "start": Condition(rod.at(t=0.0), lambda u, p: u - 1.0 + p["a"]),
        "data": data(rod, {"t": t, "u": values}, "u", errors=noise or 0.001),
    }
    parameters = {"k": Coefficient(first, 0.0, upper), "a": second}
    return solve(
        Problem(rod, conditions, parameters=parameters), KAN([2], degree=4, grid=2), [Phase(LM(), steps=steps)]
    )


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
def test_a_coefficient_at_its_bound_is_named():
    """The data ask for 0.7, the bounds end at 0.5; the other coefficient has the error for k = 0.5."""
    with pytest.warns(ResultWarning, match='"k" has reached a bound of .* Those of other coefficients are'):
        found = decay(0.5)
    assert found.coefficients["k"] > 0.49
    assert "k" not in found.intervals and "k" not in found.standard_errors and found.correlations["a"] == {}
    t = np.linspace(0.02, 0.98, 30)
    best = 1 - np.sum(np.exp(-1.2 * t)) / np.sum(np.exp(-t))  # of (1 - a) exp(-k t) for k = 0.5
    assert found.intervals["a"][0] < best < found.intervals["a"][1]


@pytest.mark.parametrize("upper", [2.0, inf])
@pytest.mark.usefixtures("unchecked")
def test_a_coefficient_at_its_bound_is_named_without_measured_values(upper):
    """The values at both ends ask for -1, the bounds begin at 0.2; with two bounds the error has an estimate."""
    box = Box(t=(0.0, 1.0))
    conditions = {
        "ode": Condition(box.interior, lambda u, p: diff(u, "t") + p["k"] * u),
        "start": dirichlet(box.at(t=0.0), 1.0),
        "end": dirichlet(box.at(t=1.0), float(np.exp(1.0))),
    }
    problem = Problem(box, conditions, parameters={"k": Coefficient(1.0, 0.2, upper)})
    found = solve(problem, KAN([2], degree=4, grid=2), [Phase(LM(), steps=40)], starts=1, device="cpu")
    assert found.coefficients["k"] == pytest.approx(0.2, abs=1e-6) and found.standard_errors == {}
    words = [str(warning) for warning in found.warnings]
    (of_bound,) = [line for line in words if '"k" has reached a bound of' in line]
    assert "other coefficients" not in of_bound
    (of_size,) = [line for line in words if "residuals are left" in line or "estimated relative" in line]
    assert of_size.endswith('The probable cause is that "k" may not go beyond the bound reached.')


@pytest.mark.parametrize("lower, upper, z", [(0.1, inf, -40.0), (-inf, 1.0, -40.0), (0.1, 1.0, 0.5 * pi)])
def test_a_phase_begins_inside_the_bounds(lower, upper, z):
    problem = problem_with(heat, {"k": Coefficient(0.3, lower, upper), "free": -40.0})
    settings = Settings(
        problem=problem,
        model=TINY["model"],
        phases=(Phase(LM(), steps=1),) * 2,
        starts=1,
        sampling=TINY["sampling"],
        weights={},
        seed=0,
        device=torch.device("cpu"),
        dtype=F64,
        threads=1,
        time_limit=None,
        derivatives="jets",
        constraints="soft",
        checkpoint=5.0,
    )
    around = Surroundings(Errors(problem, torch.device("cpu"), F64), lambda progress: None, lambda line: None)
    begun = enter(settings, first_state(settings), around)
    with torch.no_grad():
        begun.coefficients.copy_(torch.tensor([z, -40.0], dtype=F64))
    state = enter(settings, replace(begun, phase=1, leg=None), around)
    assert state.leg.before.coefficients.tolist() == [z, -40.0]  # if the phase is taken back
    own = problem.parameters["k"]
    bound = upper if z > 0 or lower == -inf else lower
    k, free = state.named_coefficients(problem).values()
    assert k - bound == pytest.approx(0.05 * (own - bound)) and free == -40.0


@pytest.mark.parametrize("first", [0.45, 0.6])
@pytest.mark.usefixtures("unchecked")
def test_a_step_that_reaches_a_bound_is_not_the_last(first):
    with pytest.warns(ResultWarning, match="within 2 standard errors"):
        found = decay(0.8, noise=0.05, steps=30, first=first)
    assert found.coefficients["k"] == pytest.approx(0.7, abs=0.1)
    k = Coefficient(0.3, lower=0.1)
    assert k.freed(k.trained) == k.trained and k.value(torch.tensor(k.freed(-40.0))) == pytest.approx(0.11)
    half = Coefficient(0.3, 0.0, 1.0)
    assert half.around(3 * pi, 0.1) == pytest.approx((0.5 - 0.5 * np.sin(0.1), 0.5 + 0.5 * np.sin(0.1)))
    assert half.around(0.5 * pi - 0.1, 0.5) == pytest.approx((0.5 + 0.5 * np.cos(0.6), 1.0))


def test_coefficients_that_are_held_have_no_column():
    rng = np.random.default_rng(4)
    whole = np.c_[rng.normal(size=(60, 8))]
    system = Linearized(triangle_of([whole[:30]], 8), [Group(triangle_of([whole[30:]], 8), 30, 0.5)], ("a", "b", "c"))
    found, less = system.found(["b"]), np.delete(whole, 5, axis=1)
    wanted = covariance(triangle_of([less[:30]], 7), [Group(triangle_of([less[30:]], 7), 30, 0.5)], 2)
    np.testing.assert_allclose(found.covariance, wanted.covariance, rtol=1e-12)
    assert system.found("abc") is None


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
def test_a_coefficient_near_its_bound_is_doubted():
    with pytest.warns(ResultWarning, match='"k" = .* within 2 standard errors of a bound of'):
        found = decay(0.8, noise=0.05, steps=30)
    assert found.standard_errors["k"] > 0 and "k" in found.intervals


# local minima --------------------------------------------------------------------------------------------------------
def oscillation(errors=None, truth=5.0, noise=0.0, first=1.0):
    """u'' + w² u = 0 with u(0) = 0 and values of sin 5t; from w = 1 the solution ends near u = 0."""
    box, rng = Box(t=(0.0, 6.0)), np.random.default_rng(0)
    t = np.sort(rng.uniform(0.0, 6.0, 60))
    table = {"t": t, "u": np.sin(truth * t) + noise * rng.normal(size=60)}
    conditions = {
        "ode": Condition(box.interior, lambda u, p: diff(u, "t", "t") + p["w"] ** 2 * u),
        "u0": initial(box.at(t=0.0), 0.0),
        "data": data(box, table, "u", errors=errors),
    }
    return Problem(box, conditions, parameters={"w": Coefficient(first, 0.1, 10.0)})


SPRING = KAN([4], degree=5, grid=4)


def test_first_values_of_starts_are_spread_within_the_bounds():
    given = {"a": Coefficient(1.0, 0.0, 10.0), "b": Coefficient(1.0, 1e-3, 10.0), "c": Coefficient(2.0, 1.0), "d": 3.0}
    found = [first_values(given, k, 9, 0) for k in range(9)]
    assert found[0] == given and found == [first_values(given, k, 9, 0) for k in range(9)]
    a, b, c, d = (np.array([each[name] for each in found[1:]]) for name in "abcd")
    np.testing.assert_array_equal(np.sort(a // 1.25), np.arange(8))  # each eighth of the range once
    np.testing.assert_array_equal(np.sort(np.log10(b / 1e-3) // 0.5), np.arange(8))
    assert 1.1 <= c.min() < 1.5 < 3 < c.max() <= 11 and d.min() < 0 < 6 < d.max()
    assert all(each["a"].upper == 10.0 for each in found)


@pytest.mark.usefixtures("unchecked")
def test_a_local_minimum_is_doubted():
    with pytest.warns(ResultWarning, match=r'residuals of "data" are alike .* starts=5'):
        found = solve(oscillation(), SPRING, [Phase(LM(), steps=30)], starts=1)
    assert found.coefficients["w"] < 3


@pytest.mark.long
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("errors", [None, 0.05])
def test_several_starts_find_the_other_minimum(errors):
    phases = [Phase(LM(), steps=25), Phase(LM(), steps=20, refine=2)]
    found = solve(oscillation(errors, noise=0.05), SPRING, phases, starts=5)
    assert abs(found.coefficients["w"] - 5) < 4 * found.standard_errors["w"] < 0.05 and not found.warnings
    rows = [next(row for row in found.history if row["start"] == k) for k in range(5)]
    assert len({round(row["coefficient_w"], 1) for row in rows}) == 5


@pytest.mark.usefixtures("unchecked")
def test_small_residuals_may_be_alike(monkeypatch):
    """Exact values leave residuals of the network's own error, which are smooth."""
    box, t = Box(t=(0.0, 1.0)), np.linspace(0.02, 0.98, 40)
    equation = Condition(box.interior, lambda u, p: diff(u, "t") + p["k"] * u)
    conditions = {"pde": equation, "data": data(box, {"t": t, "u": np.exp(-0.7 * t)}, "u")}
    problem = Problem(box, conditions, parameters={"k": 0.5})

    def words():
        found = solve(problem, KAN([2], degree=4, grid=2), [Phase(LM(), steps=20)], starts=1, device="cpu")
        return [str(warning) for warning in found.warnings]

    assert words() == []
    monkeypatch.setattr("kanpde.training.unfitted.SMALL", 0.0)
    assert "are alike at neighbouring rows" in words()[0]


def test_neighbouring_residuals_are_compared():
    rng = np.random.default_rng(3)
    x, noise = rng.uniform(size=(400, 2)) * [1.0, 1e3], rng.normal(size=400)
    found = np.array([likeness(x, rng.permutation(noise)) for _ in range(200)])
    assert abs(found[:, 1].mean()) < 0.25 and 0.8 < found[:, 1].std() < 1.2
    wave = np.sin(6 * x[:, 0]) + np.cos(6e-3 * x[:, 1])
    assert likeness(x, noise + wave).deviations > 8 and likeness(x, wave).correlation > 0.9
    assert likeness(x[:2], wave[:2]) == likeness(x, 0 * wave) == (0.0, 0.0)


def test_measured_points_of_the_user_may_have_no_values():
    given = oscillation()
    region = given.conditions["data"].region
    bare = replace(region, draw=lambda *asked: replace(region.draw(*asked), data=None))
    conditions = {**given.conditions, "data": Condition(bare, lambda u, p: u - p["w"])}
    found = solve(replace(given, conditions=conditions), **TINY)
    assert "w" in found.coefficients


def test_values_of_which_little_is_explained_are_doubted():
    """Too few rows for neighbours to be alike."""
    given = oscillation(first=0.3)
    region = given.conditions["data"].region
    points = region.sample("auto", 60)
    few = {"t": points.x[::7, 0].numpy(), "u": points.data[::7, 0].numpy()}
    conditions = {**given.conditions, "data": data(given.domain, few, "u")}
    with pytest.warns(ResultWarning, match=r'explains little of "data"'):
        solve(replace(given, conditions=conditions), KAN([2], degree=5, grid=2), [Phase(LM(), steps=5)], starts=1)
