"""Ordinary differential equations: in t with initial values, in x with values at the ends, and what is refused."""

import re
from dataclasses import replace
from math import isnan, pi
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from conftest import load_problem
from scipy.integrate import solve_ivp
from scipy.special import erf
from scipy.stats import linregress

import kanpde
from kanpde import (
    KAN,
    LM,
    Box,
    Condition,
    InputError,
    Phase,
    Problem,
    diff,
    dirichlet,
    divergence,
    gradient,
    initial,
    laplacian,
    load,
    neumann,
    save,
    solve,
    taylor,
)
from kanpde.calculus.jet import JetSpace
from kanpde.ends import End
from kanpde.exports import to_numpy
from kanpde.models.architecture import network_from
from kanpde.models.trajectory import Trajectory
from kanpde.plots.run import save_plots
from kanpde.residuals.evaluation import asked_of, components_of
from kanpde.training.breaks import first_jump
from kanpde.training.ordinary import Ordinary, on_window, ordinary_of
from kanpde.training.ordinary_window import OrdinaryWindow, change_at_end
from kanpde.training.signals import StopRequest

pytestmark = [pytest.mark.usefixtures("unchecked"), pytest.mark.filterwarnings("ignore::kanpde.errors.ResultWarning")]
SHORT = [Phase(LM(), steps=15)]
TIME = Box(t=(0.0, 5.0))


def system(end=5.0, **changes):
    """u'' = -u + v, v' = -v with u = v = 1, u' = 0: u = (e^-t + cos t + sin t) / 2, in conditions of their own."""
    domain = Box(t=(0.0, end))
    conditions = {
        "first": Condition(domain.interior, lambda u, v: diff(u, "t", "t") + u - v),
        "second": Condition(domain.interior, lambda u, v: diff(v, "t") + v),
        "u": initial(domain.at(t=0.0), 1.0, "u"),
        "rate": initial(domain.at(t=0.0), 0.0, "u", order=1),
        "v": initial(domain.at(t=0.0), lambda t: torch.exp(-t), "v"),
    }
    conditions = {name: c for name, c in {**conditions, **changes}.items() if c is not None}

    def exact(t):
        return (torch.exp(-t) + torch.cos(t) + torch.sin(t)) / 2, torch.exp(-t)

    return Problem(domain, conditions, ("u", "v"), exact=exact)


# without a tolerance --------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_time_alone_is_a_domain_and_its_solution_is_stored(tmp_path):
    """u'' = -4 u, u(0) = 1, u'(0) = 1: u = cos 2t + sin(2t) / 2; stored as a curve over t, with no empty files."""
    domain = Box(t=(0.0, 1.0))
    equation = Condition(domain.interior, lambda u: diff(u, "t", "t") + 4 * u)
    start, rate = (initial(domain.at(t=0.0), 1.0, order=order) for order in (0, 1))
    conditions = {"equation": equation, "start": start, "rate": rate}
    problem = Problem(domain, conditions, exact=lambda t: torch.cos(2 * t) + torch.sin(2 * t) / 2)
    solution = solve(problem, KAN([2]), SHORT)
    assert solution.errors["u"]["l2"] < 1e-3 and solution.errors["u"]["h1"] < 1e-2
    assert solve(problem, KAN([2]), [Phase(LM(), steps=3)], constraints="hard")(0.0) == pytest.approx(1.0, abs=1e-12)
    save(solution, tmp_path)
    save_plots(solution, tmp_path)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("boundary") or not path.stat().st_size]
    table = np.genfromtxt(tmp_path / "solution.csv", delimiter=",", names=True)
    assert table.dtype.names[:4] == ("t", "u", "exact", "error") and len(table) == 1001
    assert np.array_equal(table["u"], solution(table["t"])) and table["t"][-1] == 1.0
    with h5py.File(tmp_path / "solution.vtkhdf") as file:
        assert np.array_equal(file["VTKHDF/Points"][:, 0], table["t"]) and "Steps" not in file["VTKHDF"]
        assert np.array_equal(file["kanpde/fields/u"], table["u"]) and "times" not in file["kanpde"]
    t = np.linspace(0.0, 1.0, 7)
    assert np.array_equal(load(tmp_path)(t), solution(t)) and load(tmp_path, problem).errors == solution.errors


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda: TIME.boundary, r"no boundary.*initial\(domain.at\(t=0\)"),
        (lambda: TIME.at(t="u = 0"), "Events.*not"),
        (lambda: TIME.at(t=lambda u: u), "Events.*not"),
        *[
            (lambda operator=operator: operate(operator), f"{operator.__name__} needs a spatial.*alone")
            for operator in (gradient, laplacian, divergence)
        ],
        (lambda: operate(lambda u: neumann(TIME.at(t=0.0)).residual(u)), "gradient needs"),
        (lambda: kanpde.Output(slices={"t": 0.0}).check(system()), "not a spatial coordinate"),
    ],
)
def test_there_is_no_space(use, words):
    with pytest.raises(InputError, match=words) as caught:
        use()
    assert "\n" not in str(caught.value)


def operate(operator):
    argument = (lambda u: [u]) if operator is divergence else (lambda u: u)
    solve(Problem(TIME, {"ode": Condition(TIME.interior, lambda u: operator(argument(u)))}), KAN([2]), SHORT)


@pytest.mark.parametrize("tolerance", [None, pytest.param(1e-3, marks=pytest.mark.slow)])
def test_missing_initial_values_are_noticed(tolerance):
    problem = Problem(Box(t=(0.0, 1.0)), {"ode": Condition(Box(t=(0.0, 1.0)).interior, lambda u: diff(u, "t") + u)})
    solution = solve(problem, KAN([2]), SHORT, tolerance=tolerance, time_limit=20)
    assert any("initial condition missing" in str(warning) for warning in solution.warnings)
    assert tolerance is None or solution.ending.end is End.NOT_REACHED


def test_a_problem_in_x_keeps_working():
    """u'' = -u with u(0) = 0, u(2) = 1."""
    domain = Box(x=(0.0, 2.0))
    ends = {f"end {side}": dirichlet(domain.face("x", side), float(side)) for side in (0, 1)}
    equation = Condition(domain.interior, lambda u: diff(u, "x", "x") + u)
    problem = Problem(domain, {"equation": equation, **ends}, exact=lambda x: torch.sin(x) / torch.sin(2 + 0 * x))
    assert solve(problem, KAN([2]), SHORT).errors["u"]["l2"] < 1e-3


def test_initial_names_the_conditions_of_an_equation_in_x():
    """u' = u with u(0) = 1, so u = exp(x); a rate there is another condition."""
    domain, made = Box(x=(0.0, 2.0)), []
    for order in (0, 1):
        with pytest.raises(InputError, match='coordinate "t"') as caught:
            initial(domain.at(x=0.0), order=order)
        codes = [code for code in re.findall("`(.+?)`", str(caught.value)) if "domain." in code]
        made += [eval(code, {**vars(kanpde), "domain": domain, "value": 1.0}) for code in codes]
    equation = Condition(domain.interior, lambda u: diff(u, "x") - u)
    problem = Problem(domain, {"equation": equation, "start": made[0], "rate": made[1]})
    solution = solve(problem, KAN([2]), SHORT)
    assert solution(2.0) == pytest.approx(7.389, rel=1e-2)


# windows of time -----------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_a_tolerance_gives_windows_of_time(tmp_path):
    """Unknowns of different orders, conditions of their own; the estimate bounds the error, NumPy has the function."""
    solution = solve(system(), tolerance=1e-8)
    assert solution.ending.end is End.TOLERANCE_REACHED and solution.settings["windows"] > 1
    worst = max(errors["l2"] for errors in solution.errors.values())
    assert 0.1 * worst <= solution.settings["estimate"] <= 1e-8 and worst <= 2e-8
    save(solution, tmp_path)
    t = np.linspace(0.0, 5.0, 33)
    for found in (load(tmp_path)(t), to_numpy(solution)(t)):
        assert np.allclose(found, solution(t), rtol=1e-13, atol=1e-14)
    assert load(tmp_path).diff("t", "t")(t)[0] == pytest.approx(solution(t)[1] - solution(t)[0], abs=1e-5)


@pytest.mark.long
def test_a_resumed_run_gives_the_same_windows(tmp_path):
    whole, steps = solve(system(1.0), tolerance=1e-4), []

    def stop_early(progress):
        steps.append(progress)
        if len(steps) == len(whole.history) - 4:
            stop.end = End.TERMINATED

    stop = StopRequest()
    cut = solve(system(1.0), tolerance=1e-4, folder=tmp_path, stop=stop, observe=stop_early)
    assert cut.ending.end is End.TERMINATED
    other = Condition(Box(t=(0.0, 1.0)).interior, lambda u, v: diff(v, "t") + 2 * v)
    with pytest.raises(InputError, match="another problem"):
        kanpde.resume(tmp_path, system(1.0, second=other))
    resumed = kanpde.resume(tmp_path, system(1.0))
    assert torch.equal(resumed.model.weight, whole.model.weight) and resumed.reason == whole.reason


def window(length, modes):
    """A window of the system from its beginning, and the error of u at its end."""
    problem = system()
    settings = SimpleNamespace(problem=problem, device=torch.device("cpu"), weights={}, seed=0)
    ordinary = ordinary_of(problem)
    state = ordinary.initial_state(settings.device)
    found = OrdinaryWindow(settings, ordinary, (0.0, length), state, state).trained(modes, lambda *_: True)
    end = torch.tensor([length], dtype=torch.float64)
    return found, float(
        (Trajectory((0.0, length), found.weight[None])(end[:, None])[0, 0] - problem.exact(end)[0]).abs()
    )


def test_the_error_of_a_window_falls_at_the_order_of_its_polynomials_and_is_estimated():
    """At least like the power of the length that polynomials of the degree reach, and fast with the degree."""
    lengths = (2.0, 2**0.5, 1.0)
    found, errors = zip(*[window(length, 4) for length in lengths], strict=True)
    assert linregress(np.log(lengths), np.log(errors)).slope > 5.5
    for each, error in zip(found, errors, strict=True):
        assert error <= 1.01 * float(each.local[0]) and each.is_seen and each.looseness == 0.0
    assert [window(2.0, modes)[1] < bound for modes, bound in ((8, 1e-7), (12, 1e-12))] == [True, True]


def test_the_state_after_a_short_window_has_no_rounding_errors_of_its_polynomials():
    """u' = 2 cos(3000 t), u = 1 + sin(3000 t) / 1500: the derivative of rounded Legendre coefficients loses digits."""
    problem = single(1e-3, lambda u: diff(u, "t", "t") + 6000 * torch.sin(3000 * u.coords[0]), 1.0, 2.0)
    found, wanted = window_of(problem, 1e-3, 20), [1 + np.sin(3.0) / 1500, 2 * np.cos(3.0)]
    for state in (found.state, found.finer_state):
        assert state[:, 0].tolist() == pytest.approx(wanted, abs=3e-14)


def test_the_change_at_the_end_includes_rates_of_second_order_unknowns():
    change = torch.tensor([[1.0, -2.0], [-3.0, 0.0], [5.0, 0.0]], dtype=torch.float64)
    assert change_at_end(change, 4.0).tolist() == [1.0 + 3 * 4 + 5 * 8, 2.0]


def test_a_free_unknown_leaves_the_window_undetermined():
    problem = system(second=Condition(TIME.interior, lambda u, v: diff(u, "t", "t") + u - v))
    problem = replace(problem, conditions=dict(problem.conditions) | {"v": initial(TIME.at(t=0.0), 1.0, "v")})
    assert ordinary_of(problem) is None  # v is not differentiated, so that its initial value is one too many
    domain = Box(t=(0.0, 2.0))
    conditions = {"e": Condition(domain.interior, lambda u, v: diff(u, "t") + u), "s": initial(domain.at(t=0.0), 1.0)}
    solution = solve(Problem(domain, conditions, ("u", "v")), tolerance=1e-3)
    assert solution.ending.end is End.NOT_REACHED and "hardly determine" in solution.reason


@pytest.mark.long
def test_stiff_equations_and_algebraic_ones_reach_a_tolerance():
    """v' = 1e4 (cos t - v) - sin t with an initial layer, u = v² given algebraically."""
    domain = Box(t=(0.0, 1.0))

    def equations(u, v):
        (t,) = u.coords
        return u - v * v, diff(v, "t") + 1e4 * (v - torch.cos(t)) + torch.sin(t)

    def exact(t):
        v = torch.cos(t) + torch.exp(-1e4 * t)
        return v * v, v

    conditions = {"equations": Condition(domain.interior, equations), "start": initial(domain.at(t=0.0), 2.0, "v")}
    solution = solve(Problem(domain, conditions, ("u", "v"), exact=exact), tolerance=1e-4)
    assert solution.ending.end is End.TOLERANCE_REACHED and not solution.warnings
    t = np.geomspace(1e-6, 1.0, 50)  # in the layer too
    found, wanted = solution(t), exact(torch.as_tensor(t))
    assert all(np.abs(a - b.numpy()).max() < 1e-2 for a, b in zip(found, wanted, strict=True))


def single(end, equation, *start):
    """One equation for u with its initial values."""
    domain = Box(t=(0.0, end))
    given = {f"start {k}": initial(domain.at(t=0.0), value, order=k) for k, value in enumerate(start)}
    return Problem(domain, {"equation": Condition(domain.interior, equation)} | given)


def relay(t):
    """u'' = -sign(u) from u = 1: parabolas."""
    p, quarter = np.mod(t, 4 * 2**0.5), 2**0.5
    last = np.where(p < 3 * quarter, (p - 2 * quarter) ** 2 / 2 - 1, 1 - (p - 4 * quarter) ** 2 / 2)
    return np.where(p < quarter, 1 - p * p / 2, last)


def pulse(t):
    """The unit impulse at 1.61, 3e-4 wide."""
    return torch.exp(-(((t - 1.61) / 3e-4) ** 2)) / (3e-4 * pi**0.5)


@pytest.mark.long
@pytest.mark.parametrize(
    ("problem", "tolerance", "exact"),
    [
        (
            single(1.0, lambda u: diff(u, "t") + u - torch.where(u.coords[0] > 0.37, 1.0, 0.0), 1.0),
            1e-12,
            lambda t: np.where(t < 0.37, np.exp(-t), 1 + (np.exp(-0.37) - 1) * np.exp(0.37 - t)),
        ),
        (
            single(1.0, lambda u: torch.where(u.coords[0] > 0.37, 2.0, 1.0) * diff(u, "t") - 1, 1.0),
            1e-9,
            lambda t: 1 + np.minimum(t, 0.37) + np.maximum(t - 0.37, 0) / 2,
        ),
        (single(2.0, lambda u: diff(u, "t", "t") + torch.sign(u), 1.0, 0.0), 1e-9, relay),
        (single(2.0, lambda u: diff(u, "t", "t", "t") + u, 1.0, -1.0, 1.0), 1e-9, lambda t: np.exp(-t)),
        (single(2.0, lambda u: diff(u, "t"), 1.0), 1e-9, np.ones_like),
        (single(4.0, lambda u: diff(u, "t") - u * (1 - u), 0.1), 1e-9, lambda t: 1 / (1 + 9 * np.exp(-t))),
        (
            single(4.0, lambda u: diff(u, "t") + u - pulse(u.coords[0]), 1.0),
            1e-4,
            lambda t: np.exp(-t) + np.exp(1.61 - t) * (1 + erf((t - 1.61) / 3e-4 - 1.5e-4)) / 2,
        ),
    ],
    ids=[
        "jump in t",
        "jump of a coefficient",
        "jump in u",
        "third order",
        "constant",
        "not a single-precision number",
        "narrow pulse",
    ],
)
def test_a_tolerance_that_counts_as_reached_is(problem, tolerance, exact):
    solution, t = solve(problem, tolerance=tolerance), np.linspace(*problem.domain.ranges[0], 501)
    assert solution.ending.end is End.TOLERANCE_REACHED
    wanted = exact(t)
    assert np.linalg.norm(solution(t) - wanted) <= tolerance * np.linalg.norm(wanted)


def window_of(problem, end, modes=12):
    """A trained window from the beginning to a time."""
    settings = SimpleNamespace(problem=problem, device=torch.device("cpu"), weights={}, seed=0)
    ordinary = ordinary_of(problem)
    state = ordinary.initial_state(settings.device)
    return OrdinaryWindow(settings, ordinary, (0.0, end), state, state).trained(modes, lambda *_: True)


@pytest.mark.parametrize("at", [1e-3, 1e-6, 1 - 1e-4])
def test_the_local_error_includes_a_jump_that_no_training_point_sees(at):
    """u' = 1 on one side of the jump only; the solution of the window is a straight line."""
    found = window_of(single(1.0, lambda u: diff(u, "t") - torch.where(u.coords[0] > at, 1.0, 0.0), 1.0), 1.0)
    assert float(found.local[0]) > 0.2 * min(at, 1 - at)


@pytest.mark.parametrize("at", [0.37, 0.123456])
def test_a_jump_is_found_where_it_is(at):
    problem = single(1.0, lambda u: diff(u, "t") - torch.where(u.coords[0] > at, 1.0, 0.0), 1.0)
    line = Trajectory((0.0, 1.0), torch.tensor([[[1.0], [0.5]]], dtype=torch.float64))
    without = replace(problem, conditions={"equation": problem.conditions["equation"]})
    assert first_jump(without, line, (0.0, 1.0)) == pytest.approx(at, abs=1e-15)
    (equation,) = without.conditions.values()
    both = replace(equation, residual=lambda u: (diff(u, "t") + torch.sin(5 * u.coords[0]), equation.residual(u)))
    beside = replace(without, conditions={"equation": both})
    assert first_jump(beside, line, (0.0, 1.0)) == pytest.approx(at, abs=1e-15), "beside a smooth residual"
    smooth = single(1.0, lambda u: diff(u, "t") - torch.tanh((u.coords[0] - 0.37) / 0.01), 1.0)
    without = replace(smooth, conditions={"equation": smooth.conditions["equation"]})
    assert first_jump(without, line, (0.0, 1.0)) is None


@pytest.mark.long
def test_a_solution_that_stays_in_a_jump_says_so(monkeypatch):
    """u' = 0.3 - sign(u) from 1: u is 0 from t = 1 / 0.7 on, where the equation holds on neither side."""
    monkeypatch.setattr(kanpde.training.ordinary_steps, "SHORTEST", 1e-5)
    solution = solve(single(2.0, lambda u: diff(u, "t") + torch.sign(u) - 0.3, 1.0), tolerance=1e-3, time_limit=60)
    assert solution.ending.end is End.NOT_REACHED and "sliding mode" in solution.reason
    assert float(re.search("at t = ([0-9.]+) the windows", solution.reason)[1]) == pytest.approx(1 / 0.7, abs=1e-3)
    assert solution(1.0) == pytest.approx(0.3, abs=1e-6)


def test_local_errors_below_rounding_errors_are_not_asked_for(monkeypatch):
    """Windows that would need a local error of 1e-20 do not become shorter without end; the end names rounding."""
    monkeypatch.setattr(kanpde.training.marching, "SHARE", 1e-25)
    monkeypatch.setattr(kanpde.training.marching, "PASSES", 1)
    monkeypatch.setattr(kanpde.training.marching, "relative", lambda *_: 2e-8)
    solution = solve(single(1.0, lambda u: diff(u, "t", "t") + torch.sin(u), 1.0, 0.3), tolerance=1e-8)
    assert solution.ending.end is End.NOT_REACHED and "rounding errors grow" in solution.reason
    assert solution.settings["windows"] < 10


def test_a_solution_that_ends_early_says_where(monkeypatch):
    """u' = u², u = 1 / (1 - t)."""
    monkeypatch.setattr(kanpde.training.ordinary_steps, "SHORTEST", 1e-2)
    domain = Box(t=(0.0, 2.0))
    conditions = {"e": Condition(domain.interior, lambda u: diff(u, "t") - u * u), "s": initial(domain.at(t=0.0), 1.0)}
    solution = solve(Problem(domain, conditions), tolerance=1e-2)
    assert solution.ending.end is End.NOT_REACHED and "too short" in solution.reason
    assert solution(0.9) == pytest.approx(10.0, rel=1e-2) and isnan(float(solution(1.5)))


def test_the_orders_of_unknowns_and_what_is_no_initial_value_problem():
    found = ordinary_of(system())
    assert isinstance(found, Ordinary) and found.orders == (2, 1)
    assert (
        ordinary_of(system(rate=None)) is None
        and ordinary_of(system(more=initial(TIME.at(t=0.0), 1.0, "v", 1))) is None
    )
    assert ordinary_of(system(rate=initial(TIME.at(t=5.0), 0.0, "u"))) is None
    family = Box(t=(0.0, 1.0), k=(1.0, 2.0), family=["k"])
    decay = Condition(family.interior, lambda u: diff(u, "t") + u.coords[1] * u)
    assert ordinary_of(Problem(family, {"decay": decay, "start": initial(family.at(t=0.0), 1.0)})) is None
    assert ordinary_of(load_problem("heat")()) is None and ordinary_of(replace(system(), parameters={"k": 1.0})) is None


def test_windows_have_the_state_built_in():
    """p + (t - t_k) q + s² N for u, p + s N for v."""
    problem = system()
    state = torch.tensor([[2.0, 3.0], [5.0, 0.0]], dtype=torch.float64)
    on = on_window(problem, ordinary_of(problem), (1.0, 3.0), state)
    one = kanpde.KAN([2])([(1.0, 3.0)], 2, generator=torch.Generator().manual_seed(0))
    x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    u, rate, v = asked_of(on, components_of(one, "jets"), x, lambda u, v: (u.value, diff(u, "t").value, v.value))
    n = one(x[1:])[0].detach()
    assert (u[0], rate[0], v[0]) == pytest.approx((2.0, 5.0, 3.0))
    assert (u[1], v[1]) == pytest.approx((float(2 + 5 + n[0] / 4), float(3 + n[1] / 2)))


def test_a_trajectory_differentiates_and_is_rebuilt():
    torch.manual_seed(0)
    one = Trajectory((0.0, 1.0, 3.0), torch.randn(2, 5, 2, dtype=torch.float64))
    x = torch.tensor([[0.3], [1.0], [2.5]], dtype=torch.float64)
    jet = one.jet(x, JetSpace.spanned([(0, 0)], ()))
    at = x.clone().requires_grad_()
    for k in (0, 1):  # against autograd of the Legendre sums
        windows, since = torch.tensor([0, 0, 1]), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
        s = 2 * (at[:, 0] - since) / torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64) - 1
        legendre = [torch.ones_like(s), s]
        for n in range(1, 4):
            legendre.append(((2 * n + 1) * s * legendre[n] - n * legendre[n - 1]) / (n + 1))
        value = sum(p * one.weight[windows, j, k].detach() for j, p in enumerate(legendre))
        (slope,) = torch.autograd.grad(value.sum(), at, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), at)
        for row, wanted in zip(jet, (value, slope[:, 0], bend[:, 0]), strict=True):
            assert torch.allclose(row[:, k], wanted, rtol=1e-12)
    same = network_from(one.architecture())
    same.load_state_dict(one.state_dict())
    assert torch.equal(same(x), one(x)) and bool(one(torch.tensor([[3.1]], dtype=torch.float64)).isnan().all())


# references ----------------------------------------------------------------------------------------------------------
def test_taylor_series_agree_with_scipy_and_with_a_closed_form():
    growth = taylor(lambda t, u: (u * t,), (1.0,), (0.0, 2.0))  # u = exp(t² / 2)
    t = torch.linspace(0.0, 2.0, 9, dtype=torch.float64)
    assert torch.allclose(growth(t)[:, 0], (t**2 / 2).exp(), rtol=1e-14)
    with pytest.raises(InputError, match="ends at t = 1"):
        taylor(lambda t, u: (u * u,), (1.0,), (0.0, 2.0))
    own = load_problem("van_der_pol")(end=4.0).exact(t)
    right = lambda t, y: [y[1], 10 * (1 - y[0] ** 2) * y[1] - y[0]]  # noqa: E731
    other = solve_ivp(right, (0.0, 2.0), (2.0, 0.0), "DOP853", t.numpy(), rtol=1e-12, atol=1e-13).y[0]
    assert np.allclose(own, other, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["lorenz", "van_der_pol"])
def test_chaos_and_relaxation_reach_a_tolerance(name, seed):
    solution = solve(load_problem(name)(), tolerance=1e-8, seed=seed)
    worst = max(errors["l2"] for errors in solution.errors.values())
    assert solution.ending.end is End.TOLERANCE_REACHED and worst <= 2e-8
    assert 0.3 <= solution.settings["estimate"] / worst <= 3


@pytest.mark.slow
def test_a_tolerance_is_reached_where_both_chains_part_at_first():
    """Local errors grow by about 1e7 until t = 20."""
    solution = solve(load_problem("lorenz")(end=20.0), tolerance=1e-3)
    worst = max(errors["l2"] for errors in solution.errors.values())
    assert solution.ending.end is End.TOLERANCE_REACHED and 0.3 <= solution.settings["estimate"] / worst <= 3
