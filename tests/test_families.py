"""Families of problems: parameters among the coordinates, and the solutions for given values of them."""

from copy import deepcopy
from functools import partial
from math import pi

import h5py
import meshio
import numpy as np
import pytest
import torch
from conftest import load_problem

from kanpde import (
    KAN,
    LM,
    MLP,
    Ansatz,
    Box,
    Condition,
    Disk,
    InputError,
    Output,
    Parts,
    Phase,
    Problem,
    Rectangle,
    Sampling,
    diff,
    dirichlet,
    divergence,
    gradient,
    initial,
    integral,
    laplacian,
    load,
    neumann,
    periodic,
    problem_at,
    save,
    solve,
)
from kanpde.calculus.context import Context
from kanpde.calculus.field import coordinate
from kanpde.classical.collocation import collocate
from kanpde.classical.estimate import estimate_error
from kanpde.domains.kinds import domain_from
from kanpde.exports.numpy_function import to_numpy
from kanpde.models.spikan import SPIKAN
from kanpde.plots.solution import solution_figure
from kanpde.residuals.evaluation import formula_fields, residuals_of
from kanpde.training.grading import graded

pytestmark = pytest.mark.usefixtures("unchecked")

scaled = load_problem("heat_family")
heat_family = partial(scaled, scaled_time=False)
BOX = Box(nu=(0.1, 0.5), x=(0.0, 1.0), t=(0.0, 2.0), y=(-1.0, 1.0), family=["nu"])
SHORT = [Phase(LM(), steps=3)]


@pytest.fixture(scope="module")
def solution():
    return solve(heat_family(), KAN([3], degree=5, grid=2), SHORT, sampling=Sampling("gauss", 216, 100))


def fields(domain, count=5):
    """All coordinates of a domain as fields at random points."""
    lower, upper = torch.tensor(domain.ranges, dtype=torch.float64).T
    x = lower + (upper - lower) * torch.rand(count, len(lower), dtype=torch.float64)
    context = Context(domain.names, domain.space, x)
    return [coordinate(context, i) for i in range(len(lower))]


def member_points(problem, count=30):
    x = problem.domain.interior.sample("uniform", count).x
    return x, torch.cat([x, torch.full_like(x[:, :1], 0.3)], dim=1)


# domains -------------------------------------------------------------------------------------------------------------
def test_a_parameter_is_no_part_of_space():
    nu, x, t, y = fields(BOX)
    assert BOX.space == (1, 3) and BOX.time == 2 and BOX.family == (0,)
    u = nu**3 * x**2 * y**2 + t
    torch.testing.assert_close(laplacian(u).value, (2 * nu**3 * (x**2 + y**2)).value)
    assert len(list(gradient(u))) == 2
    torch.testing.assert_close(divergence(gradient(u)).value, laplacian(u).value)
    torch.testing.assert_close(diff(u, "nu").value, (3 * nu**2 * x**2 * y**2).value)


def test_a_parameter_has_no_boundary():
    assert list(BOX.parts) == ["interior", "boundary", "x=0", "x=1", "y=-1", "y=1", "t=0"]
    points = BOX.boundary.sample("gauss", 400)
    assert bool((points.normal[:, [0, 2]] == 0).all())
    for region in (BOX.boundary, BOX.at(t=0.0)):  # they extend over all values
        nu = region.sample("uniform", 400).x[:, 0]
        assert float(nu.min()) < 0.12 and float(nu.max()) > 0.48
    with pytest.raises(InputError, match="has no faces"):
        BOX.face("nu", 0)
    assert BOX.measure == pytest.approx(0.4 * 2 * 2)


def test_descriptions_have_the_family_and_those_of_other_boxes_do_not():
    assert repr(BOX) == "Box(nu=(0.1, 0.5), x=(0, 1), t=(0, 2), y=(-1, 1), family=['nu'])"
    assert domain_from(BOX.describe()).space == BOX.space
    assert "family" not in Box(x=(0, 1)).describe()
    assert BOX.restricted(nu=(0.2, 0.3)).family == (0,)


BAD = [
    (lambda: Box(x=(0, 1), family=["nu"]), 'family has "nu", which has no range'),
    (lambda: Box(x=(0, 1), t=(0, 1), family=["t"]), "t is time"),
    (lambda: Box(x=(0, 1), nu=(1, 2), family=["x", "nu"]), "All coordinates"),
    (lambda: Box(x=(0, 1), nu=(1, 2), family="nu"), "a list of names"),
    (lambda: Box(x=(0, 1), nu=(1, 2), family=["nu", "nu"]), "twice"),
    (lambda: Disk().over(nu=(0, 1)), "neither time"),
    (lambda: Disk().over(x=(0, 1), family=["x"]), 'coordinate "x" already'),
    (lambda: Disk().over(family=["nu"]), "no range"),
    (lambda: Disk().over(), "a range of times"),
    (lambda: Box(x=(0, 1), y=(0, 1), family=["y"]) | Disk(), "parameters of a family"),
    (lambda: Parts(a=BOX, b=BOX), "no parameters of a family"),
    (lambda: periodic(BOX, "nu"), "has no faces"),
    (lambda: collocate(heat_family(), 8), r"problem_at\(problem, nu=0.525\)"),
    (lambda: problem_at(heat_family(), nu=2), "nu must be from 0.05 to 1, the range of the family, got 2"),
    (lambda: problem_at(heat_family(), nu="a"), "nu must be from"),
    (lambda: problem_at(heat_family(), mu=0.1), 'no parameter "mu"'),
    (lambda: problem_at(heat_family()), "Expected a value"),
    (lambda: problem_at(load_problem("heat")(), nu=0.1), "not of a family"),
    (lambda: Output(members={"nu": [3]}).check(heat_family()), "nu must be from"),
    (lambda: Output(members={"nu": 0.3}).check(heat_family()), "list of values"),
    (lambda: Output(members={"k": [3]}).check(heat_family()), 'no parameter "k"'),
    (lambda: Output(slices={"nu": 0.3}).check(heat_family()), "members"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_families_are_refused_in_one_line(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


# members -------------------------------------------------------------------------------------------------------------
def test_a_member_is_the_solution_at_its_value(solution):
    member = solution.at(nu=0.3)
    x, whole = member_points(member.problem)
    coords = list(x.T)
    assert member.problem.domain.names == ("x", "t") and "estimate" not in member.settings
    torch.testing.assert_close(member(*coords), solution(*whole.T), rtol=0, atol=0)
    for names in (("x",), ("t",), ("x", "x"), ("x", "t")):
        found, wanted = member.diff(*names)(*coords), solution.diff(*names)(*whole.T)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    for name in ("pde", "initial", "boundary"):
        torch.testing.assert_close(member.residual(name, x), solution.residual(name, whole), rtol=1e-12, atol=1e-12)
    points = member.problem.domain.test_points("cpu", torch.float64)
    exact = solution.problem.exact(*points.T, torch.tensor(0.3, dtype=torch.float64))
    gap = torch.as_tensor(member(*points.T)) - exact
    assert member.errors["u"]["l2"] == pytest.approx(float(gap.norm() / exact.norm()), rel=1e-12)


def test_a_member_is_a_problem_of_its_own():
    """Its exact solution fulfils all conditions, and collocation finds it."""
    problem = problem_at(heat_family(), nu=0.3)
    for name, condition in problem.conditions.items():
        points = condition.region.sample("gauss", 50)
        exact = lambda context, _: formula_fields(problem, problem.exact, context)  # noqa: E731
        assert max(float(r.abs().max()) for r in residuals_of(problem, name, exact, points)) < 1e-11
    found = collocate(problem, 24)
    x, t = np.linspace(0, 1, 7), np.full(7, 0.2)
    wanted = np.exp(-(pi**2) * 0.3 * t) * np.sin(pi * x) + 0.5 * np.exp(-4 * pi**2 * 0.3 * t) * np.sin(2 * pi * x)
    np.testing.assert_allclose(found(x, t), wanted, atol=1e-12)


def test_the_error_of_a_member_is_estimated(solution):
    member = solution.at(nu=0.3)
    assert estimate_error(member).errors["u"]["l2"] == pytest.approx(member.errors["u"]["l2"], rel=0.02)


def test_several_parameters_are_held_one_by_one_in_any_order():
    box = Box(a=(1.0, 2.0), x=(0.0, 1.0), b=(3.0, 5.0), y=(0.0, 1.0), family=["b", "a"])

    def exact(a, x, b, y):
        return torch.sqrt(a) * x**2 + b * y

    def residual(u):
        a, *_ = u.coords
        return laplacian(u) - 2 * torch.sqrt(a)

    def slope(a, x, b, y):
        return b

    conditions = {
        "pde": Condition(box.interior, residual),
        "wall": dirichlet(box.face("x", 0), lambda a, x, b, y: b * y),
        "flux": neumann(box.face("y", 1), slope),
        "periods": periodic(box, "x"),
        "there": dirichlet(box.at(a=1.5), exact),
        "mean": integral(box.interior, "u", 1.0),
    }
    problem = Problem(box, conditions, exact=exact)
    one = problem_at(problem, b=4.0)
    assert one.domain.names == ("a", "x", "y") and one.domain.family == (0,) and "there" in one.conditions
    both = problem_at(one, a=1.2)
    assert both.domain.names == ("x", "y") and list(both.conditions) == ["pde", "wall", "flux", "periods"]
    for name in ("pde", "wall", "flux"):
        points = both.conditions[name].region.sample("gauss", 20)
        leaf = lambda context, _: formula_fields(both, both.exact, context)  # noqa: E731
        assert float(residuals_of(both, name, leaf, points)[0].abs().max()) < 1e-12


def test_images_of_points_are_those_of_the_member():
    """u(1, y) - u(0, y) = k y of u = k x y + sin 2πx, with the parameter between the coordinates."""
    box = Box(x=(0.0, 1.0), k=(1.0, 2.0), y=(0.0, 1.0), family=["k"])

    def exact(x, k, y):
        return k * x * y + torch.sin(2 * pi * x)

    problem = problem_at(Problem(box, {"periods": periodic(box, "x")}, exact=exact), k=1.5)
    points = problem.conditions["periods"].region.sample("gauss", 20)
    leaf = lambda context, _: formula_fields(problem, problem.exact, context)  # noqa: E731
    value, *slopes = residuals_of(problem, "periods", leaf, points)
    torch.testing.assert_close(value.abs(), 1.5 * points.x[:, 1])
    assert all(float(each.abs().max()) < 1e-12 for each in slopes)


def test_an_ansatz_and_trained_coefficients_are_those_of_the_family():
    box = Box(k=(1.0, 2.0), x=(0.0, 1.0), family=["k"])
    problem = Problem(
        box,
        {
            "pde": Condition(box.interior, lambda u, p: laplacian(u) - p["c"] * u.coords[0]),
            "end": dirichlet(box.face("x", 1), lambda k, x: k),
            "data": dirichlet(box.at(x=0.5), lambda k, x: k / 4),
        },
        parameters={"c": 2.0},
        ansatz=Ansatz(lambda coords, n: coords[0] * coords[1] ** 2 + coords[1] * n, ()),
    )
    found = solve(problem, MLP([4]), SHORT, sampling=Sampling("gauss", 100))
    member, x = found.at(k=1.5), torch.rand(9, 1, dtype=torch.float64)
    whole = torch.cat([torch.full_like(x, 1.5), x], dim=1)
    torch.testing.assert_close(member(x[:, 0]), found(*whole.T), rtol=0, atol=0)
    torch.testing.assert_close(member.residual("pde", x), found.residual("pde", whole), rtol=1e-12, atol=1e-12)


def test_vectors_of_unknowns():
    """v = (k x y, -k y² / 2) has no divergence."""
    box = Box(k=(1.0, 2.0), x=(0.0, 1.0), y=(0.0, 1.0), family=["k"])

    def exact(k, x, y):
        return (k * x * y, -k * y**2 / 2), k * x

    conditions = {
        "mass": Condition(box.interior, lambda v, p: divergence(v) + p - v.coords[0] * v.coords[1]),
        "wall": dirichlet(box.face("y", 0), 0.0, unknown="p"),
    }
    problem = problem_at(Problem(box, conditions, unknowns=("v:2", "p"), exact=exact), k=1.5)
    points = problem.conditions["mass"].region.sample("gauss", 20)
    leaf = lambda context, _: formula_fields(problem, problem.exact, context)  # noqa: E731
    assert float(residuals_of(problem, "mass", leaf, points)[0].abs().max()) < 1e-14


def test_derivatives_by_a_parameter_are_refused_where_it_is_held():
    box = Box(k=(1.0, 2.0), x=(0.0, 1.0), family=["k"])
    problem = problem_at(Problem(box, {"pde": Condition(box.interior, lambda u: diff(u, "k"))}), k=1.5)
    with pytest.raises(InputError, match="derivative by k"):
        collocate(problem, 8)


def test_built_in_values_are_interpolated_over_the_others_only():
    found = solve(heat_family(), KAN([2], degree=5, grid=2), SHORT, sampling=Sampling("gauss", 125), constraints="hard")
    member, x = found.at(nu=0.3), np.linspace(0, 1, 11)
    np.testing.assert_allclose(member(x, 0 * x), np.sin(pi * x) + 0.5 * np.sin(2 * pi * x), atol=1e-12)
    np.testing.assert_array_equal(member(x, x), found(x, x, 0.3))
    assert float(abs(member(0.0, x)).max()) < 1e-15


@pytest.mark.long
def test_functions_of_the_parameter_among_the_inputs(tmp_path):
    """A sum of products of functions of x, t, nu and nu t; the points follow its cells along the coordinates only."""
    found = solve(scaled(modes=1), SPIKAN(1, degree=5, grid=4), SHORT, sampling=Sampling("gauss", 216, 100))
    uneven = deepcopy(found.model)
    uneven.layers[0].breakpoints[0, 1] += 0.1
    points = found.problem.domain.interior.sample("gauss", 64)
    moved = graded(points, found.problem.domain.interior, found.problem.domain, uneven)
    assert float((moved.x[:, 0] - points.x[:, 0]).abs().max()) > 1e-3
    torch.testing.assert_close(moved.x[:, 1:], points.x[:, 1:])
    member = found.at(nu=0.3)
    x, whole = member_points(member.problem)
    torch.testing.assert_close(member.residual("pde", x), found.residual("pde", whole), rtol=1e-12, atol=1e-12)
    save(found, tmp_path, Output(cells=4, times=2))
    assert load(tmp_path, scaled(modes=1)).at(nu=0.3)(0.2, 0.4) == found(0.2, 0.4, 0.3)
    with pytest.raises(InputError, match="whole family"):
        save(member, tmp_path / "member")


@pytest.mark.slow
def test_one_network_for_all_diffusivities():
    found = solve(scaled(), tolerance=1e-7)
    worst = max(found.at(nu=float(nu)).errors["u"]["l2"] for nu in np.linspace(0.05, 1.0, 20))
    assert worst < 1e-6 and found.settings["estimate"] == pytest.approx(found.errors["u"]["l2"], rel=0.5)


# shapes and ordinary differential equations --------------------------------------------------------------------------
def test_families_on_shapes():
    """On a disk, u_t = nu Δu + f with u = nu t (1 - r²) + x."""
    domain = (Disk() - Disk((0.2, 0.0), 0.3, name="hole")).over(t=(0.0, 1.0), nu=(0.1, 0.5), family=["nu"])

    def exact(x, y, t, nu):
        return nu * t * (1 - x**2 - y**2) + x

    def residual(u):
        x, y, t, nu = u.coords
        return diff(u, "t") - nu * laplacian(u) - nu * (1 - x**2 - y**2) - 4 * nu**2 * t

    conditions = {
        "pde": Condition(domain.interior, residual),
        "wall": dirichlet(domain.part("hole"), exact),
        "edge": dirichlet(domain.part("disk"), exact),
        "initial": initial(domain.at(t=0.0), exact),
    }
    problem = Problem(domain, conditions, exact=exact)
    found = solve(problem, MLP([6]), SHORT, sampling=Sampling("auto", 600, 200))
    member = found.at(nu=0.3)
    assert member.problem.domain is domain.domain
    assert set(member.problem.domain.parts) == {"interior", "boundary", "hole", "disk", "t=0"}
    x, whole = member_points(member.problem)
    torch.testing.assert_close(member.residual("pde", x), found.residual("pde", whole), rtol=1e-12, atol=1e-12)
    for name, condition in problem.conditions.items():
        points, leaf = condition.region.sample("auto", 100), lambda c, _: formula_fields(problem, exact, c)
        assert float(residuals_of(problem, name, leaf, points)[0].abs().max()) < 1e-12
        at = member.problem.conditions[name].region.sample("auto", 100)
        leaf = lambda c, _: formula_fields(member.problem, member.problem.exact, c)  # noqa: E731
        assert float(residuals_of(member.problem, name, leaf, at)[0].abs().max()) < 1e-12


def test_a_family_on_a_shape_is_described_and_restricted():
    domain = Rectangle((0, 1), (0, 2)).over(t=(0.0, 1.0), k=(1, 3), nu=(0.1, 0.5), family=["nu", "k"])
    assert domain.names == ("x", "y", "t", "k", "nu") and domain.measure == pytest.approx(2 * 2 * 0.4)
    assert repr(domain_from(domain.describe())) == repr(domain)
    assert domain.restricted(t=(0.0, 0.5), k=(1, 2)).ranges[2:] == ((0.0, 0.5), (1, 2), (0.1, 0.5))
    assert domain.holding(["k"]).names == ("x", "y", "t", "nu")
    with pytest.raises(InputError, match='no part "edge"'):
        domain.part("edge")


def test_a_family_of_ordinary_differential_equations(tmp_path):
    """u' = -mu u with u(0) = 1."""
    box = Box(mu=(0.5, 2.0), t=(0.0, 1.0), family=["mu"])
    conditions = {
        "ode": Condition(box.interior, lambda u: diff(u, "t") + u.coords[0] * u),
        "initial": initial(box.at(t=0.0), 1.0),
    }
    problem = Problem(box, conditions, exact=lambda mu, t: torch.exp(-mu * t))
    found = solve(problem, KAN([2], degree=5, grid=2), [Phase(LM(), steps=20)], sampling=Sampling("gauss", 100))
    assert found.errors["u"]["l2"] < 1e-3 and found.at(mu=1.0)(1.0) == pytest.approx(np.exp(-1), rel=2e-3)
    save(found, tmp_path, Output(cells=20))
    assert (tmp_path / "solution.csv").exists() and (tmp_path / "solution_mu=1.25.vtkhdf").exists()


# files and pictures --------------------------------------------------------------------------------------------------
def test_members_have_their_own_files(solution, tmp_path):
    save(solution, tmp_path, Output(cells=10, times=3, members={"nu": [0.05, 0.3]}))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"solution{of}.{kind}" for of in ("", "_nu=0.05", "_nu=0.3") for kind in ("vtkhdf", "xdmf")}
    reader = meshio.xdmf.TimeSeriesReader(tmp_path / "solution_nu=0.3.xdmf")
    points, _ = reader.read_points_cells()
    time, data, _ = reader.read_data(2)
    assert time == 1.0 and reader.num_steps == 3
    np.testing.assert_allclose(data["u"], solution(points[:, 0], 1.0, 0.3), rtol=1e-14)
    assert {"u", "exact", "error", "residual"} <= set(data)
    with h5py.File(tmp_path / "solution.vtkhdf") as file:  # the middle
        middle, x = file["kanpde/fields/u"][1], file["kanpde/points"][:, 0]
        np.testing.assert_allclose(middle, solution(x, 0.5, 0.525), rtol=1e-14)
        assert file["kanpde/fields"].attrs["held_fixed"] == "nu=0.525"
    loaded = load(tmp_path)
    assert repr(loaded.problem.domain) == repr(solution.problem.domain)
    assert loaded.at(nu=0.3)(0.2, 0.4) == solution(0.2, 0.4, 0.3)
    save(solution, tmp_path, Output(cells=10, times=3, members={"nu": [0.7]}))  # replaces those of before
    assert not (tmp_path / "solution_nu=0.3.xdmf").exists()


def test_a_member_is_stored_loaded_and_exported(solution, tmp_path):
    member, x = solution.at(nu=0.3), np.linspace(0, 1, 5)
    save(member, tmp_path, Output(cells=4, times=2))
    np.testing.assert_array_equal(load(tmp_path, problem_at(heat_family(), nu=0.3))(x, x), member(x, x))
    np.testing.assert_array_equal(load(tmp_path)(x, x), member(x, x))
    np.testing.assert_allclose(to_numpy(member)(x, x), member(x, x), rtol=1e-12, atol=1e-14)


@pytest.mark.long
def test_pictures_show_three_members(solution):
    titles = [axes.get_title() for axes in solution_figure(solution).axes]
    assert [t for t in titles if t.startswith("solution")] == [f"solution u, nu = {v}" for v in ("0.05", "0.525", "1")]
    assert "solution u" in [axes.get_title() for axes in solution_figure(solution.at(nu=0.3)).axes]
