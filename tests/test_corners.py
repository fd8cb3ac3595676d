"""Corners: singular functions and their derivatives, coefficients as results, extra inputs, warnings."""

from dataclasses import replace
from math import pi
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from lshape import LShape, poisson, singular

from kanpde import (
    KAN,
    LM,
    MLP,
    Adam,
    Box,
    Condition,
    Corner,
    InputError,
    Phase,
    Polygon,
    Problem,
    Sampling,
    VariableProjection,
    data,
    diff,
    dirichlet,
    initial,
    laplacian,
    load,
    neumann,
    prune,
    resume,
    save,
    solve,
)
from kanpde.calculus.context import Context
from kanpde.calculus.field import coordinate
from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.calculus.singular import SingularFunction
from kanpde.domains.corners import exponents
from kanpde.errors import ResultWarning
from kanpde.exports import to_numpy
from kanpde.models.architecture import network_from
from kanpde.models.network import Network, trained_size
from kanpde.residuals.corners import added_functions, features_of, functions_at
from kanpde.residuals.engines import autograd, jets
from kanpde.residuals.objective import Objective
from kanpde.residuals.singularities import corner_warnings
from kanpde.terminal import report
from kanpde.training.building import built
from kanpde.training.covariance import of_residuals, triangle_of

pytestmark = pytest.mark.usefixtures("unchecked")
S = SingularFunction((0.25, -0.5), 2 / 3, 0.0, 1.5 * pi)
T = SingularFunction((0.0, 0.0), 1 / 2, pi / 3, pi, is_cosine=True)
HERE = Corner(at=(0.0, 0.0))
SMALL = {"model": KAN([3], degree=4, grid=2), "sampling": Sampling("auto", 300, 120)}
FEW = [Phase(LM(), steps=6)]
THREE: Any = (0.0, 0.0, 0.0)
CPU, F64 = torch.device("cpu"), torch.float64


def network_of(problem, hidden=(3,)) -> Network:
    """An untrained network with what the problem adds, and other random coefficients than 0."""
    settings: Any = SimpleNamespace(problem=problem, model=KAN(hidden, degree=4, grid=2), device=CPU, dtype=F64)
    network: Any = built(settings, torch.Generator().manual_seed(0))
    if network.singular is not None:
        with torch.no_grad():
            network.singular.weight.view(-1)[network.singular.free] = torch.linspace(
                0.5, 1.5, len(network.singular.names), dtype=F64
            )
    return network


# functions -----------------------------------------------------------------------------------------------------------
def by_mpmath(s, place, a, b):
    """∂x^a ∂y^b of r^λ sin λφ, the angle φ measured from the side, by mpmath's numerical differentiation."""
    trig = mpmath.cos if s.is_cosine else mpmath.sin

    def value(x, y):
        x, y = x - s.at[0], y - s.at[1]
        middle = s.direction + s.angle / 2
        phi = mpmath.arg(mpmath.mpc(x, y) * mpmath.expj(-middle)) + s.angle / 2
        return mpmath.hypot(x, y) ** s.exponent * trig(s.exponent * phi)

    with mpmath.workdps(30):
        return float(mpmath.diff(value, tuple(place), (a, b)))


@pytest.mark.parametrize("s", [S, T], ids=["sine", "cosine"])
@pytest.mark.parametrize("a, b", [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 3), (1, 3), (4, 0)])
def test_derivatives_agree_with_mpmath(s, a, b):
    places = [(0.9, 0.4), (-0.3, -0.8), (0.2501, -0.4999)]
    x = torch.tensor([p for p in places if s is S or p[1] > 0], dtype=F64)
    context = Context(("x", "y"), (0, 1), x)
    found = s(coordinate(context, 0), coordinate(context, 1)).component((0,) * a + (1,) * b)
    wanted = torch.tensor([by_mpmath(s, p, a, b) for p in x.tolist()], dtype=F64)
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-12)


def test_the_laplacian_is_exactly_zero():
    distances = 10.0 ** -torch.linspace(0, 12, 50, dtype=F64)
    x = torch.tensor(S.at, dtype=F64) + distances[:, None] * torch.tensor([0.6, 0.8], dtype=F64)
    context = Context(("x", "y"), (0, 1), x)
    s = S(coordinate(context, 0), coordinate(context, 1))
    assert bool((s.component(LAPLACIAN) == 0).all())
    assert float(s.component((0, 0)).abs().max()) > 1e10


def test_a_function_that_is_cut_off():
    """It is s itself in the inner half, 0 outside, and its derivatives are those of finite differences."""
    cut, h = replace(S, radius=0.5), 1e-5
    angles = torch.linspace(0.1, 4.6, 40, dtype=F64)
    for share, wanted in ((0.49, 1.0), (1.01, 0.0)):
        x, y = (a + share * 0.5 * b for a, b in zip(S.at, (angles.cos(), angles.sin()), strict=True))
        assert torch.equal(cut(x, y), wanted * S(x, y))
    x, y = (a + 0.35 * b for a, b in zip(S.at, (angles.cos(), angles.sin()), strict=True))
    context = Context(("x", "y"), (0, 1), torch.stack([x, y], dim=1))
    field = cut(coordinate(context, 0), coordinate(context, 1))
    for key in ((), (0,), (1,), (0, 1), (0, 0, 1)):
        higher = field.component((*key, 1))
        sides = [torch.stack([x, y + step], dim=1) for step in (h, -h)]
        ends = [Context(("x", "y"), (0, 1), side) for side in sides]
        up, down = (cut(coordinate(c, 0), coordinate(c, 1)).component(key) for c in ends)
        torch.testing.assert_close(higher, (up - down) / (2 * h), rtol=1e-6, atol=1e-4)


class Split(LShape):
    """With an island in the quadrant that the L-shape lacks."""

    def contains(self, x):
        return super().contains(x) | ((x - torch.tensor([0.6, -0.6])).abs() < 0.1).all(dim=1)


def test_functions_are_cut_off_before_their_jump_meets_the_domain():
    (found,) = functions_at(poisson(domain=Split()), HERE)
    assert found.radius is not None and 0.6 < found.radius < 0.5 * 2**0.5
    assert functions_at(poisson(domain=Split()), replace(HERE, radius=0.3))[0].radius == 0.3
    with pytest.raises(InputError, match=r"meets the domain at the distance 0\.7"):
        functions_at(poisson(domain=Split()), replace(HERE, radius=0.9))


def test_the_functions_of_a_corner_follow_from_the_domain_and_the_conditions():
    (found,) = functions_at(poisson(), HERE)
    assert (found.exponent, found.is_cosine, found.angle) == (pytest.approx(2 / 3), False, 1.5 * pi)
    assert found.direction == pytest.approx(0.0, abs=1e-11)  # found by bisection
    x = LShape().interior.sample("uniform", 200).x
    torch.testing.assert_close(found(*x.unbind(1)), singular(*x.unbind(1)), rtol=1e-10, atol=1e-10)


def test_exponents_leave_out_smooth_functions():
    assert exponents(1.5 * pi, ("dirichlet", "dirichlet"), 3) == pytest.approx([2 / 3, 4 / 3, 8 / 3])
    assert exponents(1.5 * pi, ("neumann", "dirichlet"), 2) == pytest.approx([1 / 3, 5 / 3])


@pytest.mark.parametrize(
    "first, last, exponent, is_cosine", [("n", "n", 2 / 3, True), ("d", "n", 1 / 3, False), ("n", "d", 1 / 3, True)]
)
def test_conditions_decide_between_sine_and_cosine(first, last, exponent, is_cosine):
    """Both functions fulfil the homogeneous conditions on the two sides of the corner."""
    domain, kind = LShape(), {"d": dirichlet, "n": neumann}
    conditions = {
        "pde": Condition(domain.interior, laplacian),
        **{f"side {k}": dirichlet(domain.side(k)) for k in range(1, 5)},
        "first": kind[first](domain.side(0)),
        "last": kind[last](domain.side(5)),
    }
    (found,) = functions_at(Problem(domain, conditions), HERE)
    assert (found.exponent, found.is_cosine) == (pytest.approx(exponent), is_cosine)
    for name in ("first", "last"):
        points = conditions[name].region.sample("gauss", 60)
        context = Context(("x", "y"), (0, 1), points.x, points.normal)
        u = found(coordinate(context, 0), coordinate(context, 1))
        assert float(conditions[name].residual(u).value.abs().max()) < 1e-10


# networks ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("option", ["singular", "features"])
def test_jets_agree_with_autograd(option):
    network = network_of(
        poisson(**{option: (replace(HERE, terms=2), lambda x, y: x * torch.exp(y))[: 1 + (option == "features")]})
    )
    x = LShape().interior.sample("uniform", 30).x
    space = JetSpace.spanned([(0, 0), (0, 1), LAPLACIAN, (1, 1, 1)], (0, 1))
    for one, other in zip(jets(network, x, space), autograd(network, x, space), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("option", ["singular", "features"])
def test_jacobian_agrees_with_finite_differences(option):
    problem = poisson(**{option: (replace(HERE, terms=2),)})
    points = {name: c.region.sample("gauss", 60) for name, c in problem.conditions.items()}
    objective = Objective(problem, network_of(problem), points)
    r, jacobian = objective.linearize()
    jacobian, start, h = jacobian.clone(), objective.vector(), 1e-6
    assert jacobian.shape[1] == trained_size(objective.model)
    for k in [0, len(start) // 2, len(start) - 2, len(start) - 1]:
        step = torch.zeros_like(start)
        step[k] = h
        objective.assign(start + step)
        after = objective.values()
        objective.assign(start - step)
        column = (after - objective.values()) / (2 * h)
        objective.assign(start)
        torch.testing.assert_close(jacobian[:, k], column, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(r, objective.values())


def test_several_unknowns_have_their_own_functions():
    domain = LShape()

    def residual(u, v):
        return laplacian(u), laplacian(v)

    conditions = {
        "pde": Condition(domain.interior, residual),
        "u": dirichlet(domain.boundary),
        "v": dirichlet(domain.boundary, unknown="v"),
    }
    corners = (HERE, replace(HERE, unknown="v"))
    problem = Problem(domain, conditions, unknowns=("u", "v"), singular=corners)
    network = network_of(problem)
    assert network.singular is not None and network.singular.names == ("corner(0,0)", "corner(0,0)_v")
    x = domain.interior.sample("uniform", 5).x
    before = network(x)
    network.singular.weight.data.zero_()
    torch.testing.assert_close(
        before - network(x), singular(*x.unbind(1))[:, None] * torch.tensor([0.5, 1.5], dtype=F64)
    )
    other = {**conditions, "v": neumann(domain.boundary, unknown="v")}
    (found,) = functions_at(replace(problem, conditions=other), HERE)
    assert not found.is_cosine
    with pytest.raises(InputError, match="is not known: expected conditions on these parts"):
        functions_at(replace(problem, conditions={key: conditions[key] for key in ("pde", "u")}), corners[1])
    again = network_from(network.architecture())
    assert again.singular is not None and again.singular.free.tolist() == [0, 3]


# results -------------------------------------------------------------------------------------------------------------
def test_the_factor_is_a_result_and_is_stored(tmp_path):
    solution = solve(poisson(factor=-2.0, singular=(HERE,)), phases=[Phase(LM(), steps=15)], **SMALL)
    value, error = solution.coefficients["corner(0,0)"], solution.standard_errors["corner(0,0)"]
    assert abs(value + 2.0) < 0.05 and 0 < error < 1
    assert any(line.startswith("Found corner(0,0) = ") and "±" in line for line in report(solution, tmp_path))
    save(solution, tmp_path / "run")
    for problem in (None, poisson(factor=-2.0, singular=(HERE,))):
        if problem is None:
            with pytest.raises(InputError, match="a domain of the kind LShape"):
                load(tmp_path / "run")
            continue
        again = load(tmp_path / "run", problem)
        assert (again.coefficients, again.standard_errors) == (solution.coefficients, solution.standard_errors)
        x = LShape().interior.sample("uniform", 20).x
        assert np.array_equal(again(*x.T.numpy()), solution(*x.T.numpy()))
        gradient = again.diff("x")(*x.T.numpy())
        assert np.array_equal(gradient, solution.diff("x")(*x.T.numpy()))


def test_a_box_with_a_change_of_conditions_is_loaded_without_the_problem(tmp_path):
    """Motz's problem: values for x < 0, derivatives for x > 0 on the side y = 0."""
    box = Box(x=(-1.0, 1.0), y=(0.0, 1.0))
    corner = Corner(at=(0.0, 0.0), angle=pi, direction=0.0, sides=("neumann", "dirichlet"))
    conditions = {"pde": Condition(box.interior, laplacian), "top": dirichlet(box.face("y", 1), 1.0)}
    solution = solve(Problem(box, conditions, singular=(corner,)), phases=FEW, **SMALL)
    save(solution, tmp_path)
    again = load(tmp_path)
    assert again.coefficients == solution.coefficients and not again.problem.parameters
    assert again(0.3, 0.2) == solution(0.3, 0.2)


def test_functions_of_the_user_as_inputs_need_the_problem_when_loaded(tmp_path):
    box = Box(x=(-1.0, 1.0), y=(0.0, 1.0))
    conditions = {"pde": Condition(box.interior, laplacian), "top": dirichlet(box.boundary, 1.0)}
    problem = Problem(box, conditions, features=(lambda x, y: torch.exp(-10 * x * x),))
    solution = solve(problem, MLP([4]), FEW, sampling=SMALL["sampling"])
    save(solution, tmp_path)
    with pytest.raises(InputError, match="functions that a file cannot hold"):
        load(tmp_path)
    assert load(tmp_path, problem)(0.3, 0.2) == solution(0.3, 0.2)


@pytest.mark.parametrize("option", ["singular", "features"])
def test_a_resumed_run_goes_on_bit_for_bit(tmp_path, option):
    problem = poisson(**{option: (HERE, lambda x, y: x * y)[: 1 + (option == "features")]})
    phases = [Phase(LM(), steps=2), Phase(LM(), steps=2, refine=2)]
    whole = solve(problem, phases=phases, **SMALL)

    class Stop(Exception):
        pass

    def stop_at(progress):
        if progress.total == 3:
            raise Stop

    with pytest.raises(Stop):
        solve(problem, phases=phases, folder=tmp_path, observe=stop_at, **SMALL)
    again = resume(tmp_path, problem=problem)
    assert again.coefficients == whole.coefficients
    assert [row["loss"] for row in again.history] == [row["loss"] for row in whole.history]


def test_a_pruned_solution_keeps_its_factor_and_an_exported_one_is_refused():
    solution = solve(poisson(singular=(HERE,)), phases=FEW, **SMALL)
    with pytest.raises(InputError, match="has singular functions or other functions"):
        to_numpy(solution)
    pruned = prune(solution, steps=2)
    assert pruned.coefficients.keys() == solution.coefficients.keys() and pruned.model.singular is not None


def test_standard_errors_are_those_of_linear_regression():
    generator = np.random.default_rng(0)
    jacobian = generator.normal(size=(200, 6))
    jacobian[:, 0] = jacobian[:, 1]  # a direction without effect
    used = jacobian[:, 1:]
    r = generator.normal(size=200)
    r -= used @ np.linalg.lstsq(used, r)[0]  # at the minimum
    covariance = r @ r / (200 - 6) * np.linalg.inv(used.T @ used)

    def found(columns, residuals, rows=200):
        return of_residuals(triangle_of([np.c_[columns, residuals]], columns.shape[1] + 1), rows, 2)

    assert found(jacobian, r).covariance == pytest.approx(covariance[-2:, -2:], rel=1e-10)
    far = found(jacobian, r + 5.0 * jacobian[:, -1] + jacobian[:, -2])  # by steps of 1 and 5 away from it
    assert np.sqrt(np.diag(far.covariance) + far.step**2) == pytest.approx([1.0, 5.0], rel=0.01)
    assert far.step == pytest.approx([-1.0, -5.0], rel=1e-10)
    assert found(jacobian[:, [2, 3, 0, 1]], r).loose is not None and found(jacobian, r, rows=6) is None


def test_measured_values_give_an_interval_of_the_factor():
    given = poisson(factor=-2.0, singular=(HERE,))
    x = given.domain.interior.sample("sobol", 60).x
    values = given.exact(*x.T) + 0.01 * torch.randn(len(x), generator=torch.Generator().manual_seed(0), dtype=F64)
    measured = data(given.domain, {"x": x[:, 0].numpy(), "y": x[:, 1].numpy(), "u": values.numpy()}, errors=0.01)
    problem = replace(given, conditions={**given.conditions, "data": measured})
    found = solve(problem, phases=[Phase(LM(), steps=15)], device="cpu", **SMALL)
    (lower, upper), error = found.intervals["corner(0,0)"], found.standard_errors["corner(0,0)"]
    assert upper - lower == pytest.approx(3.92 * error, rel=1e-3) and 0 < error < 0.1 and lower < -2 < upper
    assert abs(found.settings["chi_square_data"] - 1) < 3 * found.settings["chi_square_data_margin"]


# warnings ------------------------------------------------------------------------------------------------------------
def test_a_corner_without_its_function_is_named_before_training():
    lines = []
    with pytest.warns(ResultWarning) as found:
        solution = solve(poisson(), phases=[Phase(LM(), steps=1)], log=lines.append, **SMALL)
    (own,) = [str(each.message) for each in found if "re-entrant" in str(each.message)]
    for part in ("(0, 0)", "270°", "r^0.6667", "In the Problem, `singular=(Corner(at=(0, 0)),)` adds"):
        assert part in own
    assert "re-entrant" in lines[0]
    assert any("re-entrant" in str(warning) for warning in solution.warnings)


def test_no_warning_where_it_is_meaningless():
    domain, problem = LShape(), poisson()
    assert corner_warnings(replace(problem, singular=(HERE,))) == []
    assert corner_warnings(replace(problem, features=(HERE,))) == []
    assert corner_warnings(replace(problem, features=(lambda x, y: x * y,))) == []
    transport = {"pde": Condition(domain.interior, lambda u: diff(u, "x") + u), "boundary": dirichlet(domain.boundary)}
    assert corner_warnings(Problem(domain, transport)) == []


def test_where_time_is_a_coordinate_features_are_advised():
    vertices = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (0.0, -1.0))
    moving: Any = Polygon(vertices).over(t=(0.0, 1.0))
    conditions = {
        "pde": Condition(moving.interior, lambda u: diff(u, "t") - laplacian(u)),
        "boundary": dirichlet(moving.boundary),
        "start": initial(moving.at(t=0.0)),
    }
    (warning,) = corner_warnings(Problem(moving, conditions))
    assert "r^0.6667" in warning.message and "`features=(Corner(at=(0, 0)),)` makes" in str(warning)
    assert corner_warnings(Problem(moving, conditions, features=(HERE,))) == []
    (found,) = features_of(Problem(moving, conditions, features=(HERE,)))
    assert isinstance(found, SingularFunction)
    assert (found.direction, found.axes) == (0.0, (0, 1))


def test_the_exponent_is_not_told_where_it_is_not_known():
    domain = LShape()

    def layered(u):
        return diff(u, "x", "x") + 5 * diff(u, "y", "y")

    conditions = {"pde": Condition(domain.interior, layered), "boundary": dirichlet(domain.boundary)}
    (warning,) = corner_warnings(Problem(domain, conditions))
    assert "exponent that depends on the equations" in warning.message and "r^" not in warning.message


# bad input -----------------------------------------------------------------------------------------------------------
def problem_with(domain: Any = LShape(), **corner: Any):
    return replace(poisson(), domain=domain, singular=(Corner(**corner),))


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: Corner(at=(0.0, 0.0), exponent=0.0), "exponent of a Corner must be positive"),
        (lambda: Corner(at=(0.0, 0.0), exponent=-0.5), "exponent of a Corner must be positive"),
        (lambda: Corner(at=(0.0, 0.0), exponent=float("nan")), "exponent of a Corner must be positive"),
        (lambda: Corner(at=(0.0, 0.0), terms=0), "terms must be"),
        (lambda: Corner(at=(0.0, 0.0), terms=2, exponent=0.5), "An exponent belongs to one function"),
        (lambda: Corner(at=(0.0, 0.0), angle=7.0), "between 0 and 2π"),
        (lambda: Corner(at=(0.0, 0.0), radius=0.0), "radius of a Corner must be positive"),
        (lambda: Corner(at=(0.0, 0.0), sides=("dirichlet", "robin")), "sides must be"),
        (lambda: Corner(at=THREE), "two coordinates"),
        (
            lambda: problem_with(at=(0.5, -0.5)),
            r"lies outside the domain LShape\(\). Its re-entrant vertices: \(0, 0\)",
        ),
        (lambda: problem_with(at=(0.5, 0.0)), r"no re-entrant vertex at \(0.5, 0\). Its re-entrant vertices: \(0, 0\)"),
        (lambda: problem_with(at=(0.0, 0.0), unknown="w"), 'unknown "w"'),
        (lambda: problem_with(at=(0.0, 0.0), direction=pi), "jumps on the ray in the direction -45°|jumps on the ray"),
        (lambda: replace(poisson(), singular=(HERE, HERE)), "is given twice"),
        (lambda: replace(poisson(), singular=(HERE, Corner(at=(0.0, 0.0), terms=2))), "is given twice"),
        (lambda: replace(poisson(), singular=((0.0, 0.0),)), "singular must be a tuple of corners"),
        (
            lambda: problem_with(Box(x=(-1.0, 1.0), y=(-1.0, 1.0), z=(0.0, 1.0)), at=(0.0, 0.0)),
            "in plane domains, and this one has the coordinates x, y, z",
        ),
        (lambda: problem_with(Box(x=(0.0, 1.0), y=(0.0, 1.0), t=(0.0, 1.0)), at=(0.0, 0.0)), "depend on time"),
        (lambda: problem_with(Box(x=(0.0, 1.0), y=(0.0, 1.0)), at=(0.0, 0.0)), "give the interior angle"),
    ],
)
def test_bad_input_is_refused(make, said):
    with pytest.raises(InputError, match=said) as refused:
        added_functions(make(), CPU, F64)
    assert "\n" not in str(refused.value)


def test_variable_projection_is_refused():
    phases = [Phase(VariableProjection(), steps=1)]
    with pytest.raises(InputError, match="factors of singular functions besides"):
        solve(poisson(singular=(HERE,)), phases=phases, **SMALL)


def test_corners_are_inputs_where_time_is_a_coordinate():
    """The function does not depend on time, whatever the order of the coordinates."""
    box = Box(t=(0.0, 1.0), x=(-1.0, 1.0), y=(0.0, 1.0))
    corner = Corner(at=(0.0, 0.0), angle=pi, direction=0.0, sides=("dirichlet", "neumann"))
    conditions = {"pde": Condition(box.interior, lambda u: diff(u, "t") - laplacian(u))}
    (found,) = features_of(Problem(box, conditions, features=(corner,)))
    t, x, y = box.interior.sample("uniform", 9).x.unbind(1)
    torch.testing.assert_close(found(t, x, y), torch.hypot(x, y).sqrt() * torch.sin(torch.atan2(y, x) / 2))
    network = network_of(Problem(box, conditions, features=(corner,)))
    assert network(torch.stack([t, x, y], dim=1)).shape == (9, 1)


def test_functions_and_values_built_in_exclude_each_other():
    box = Box(x=(-1.0, 1.0), y=(0.0, 1.0))
    corner = Corner(at=(0.0, 0.0), angle=pi, direction=0.0, sides=("neumann", "dirichlet"))
    conditions = {"pde": Condition(box.interior, laplacian), "top": dirichlet(box.face("y", 1), 1.0)}
    with pytest.raises(InputError, match="exclude each other"):
        solve(Problem(box, conditions, singular=(corner,)), phases=FEW, constraints="hard", **SMALL)


@pytest.mark.parametrize("option", ["singular", "features"])
def test_modules_from_outside_are_refused(option):
    module = torch.nn.Sequential(torch.nn.Linear(2, 4, dtype=F64), torch.nn.Tanh(), torch.nn.Linear(4, 1, dtype=F64))
    with pytest.raises(InputError, match=f"{option} of the problem cannot be added"):
        solve(poisson(**{option: (HERE,)}), module, [Phase(Adam(), steps=1)], derivatives="autograd")
