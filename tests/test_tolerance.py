"""Runs with a tolerance: what is decided after a level, and what the end says."""

from math import isnan, pi
from types import SimpleNamespace

import pytest
import torch
from conftest import load_problem

import kanpde
import kanpde.errors
import kanpde.training.assessment
import kanpde.training.attempts
import kanpde.training.surroundings
import kanpde.training.tolerance
from kanpde import (
    KAN,
    LM,
    MLP,
    Box,
    Condition,
    Disk,
    InputError,
    Phase,
    Problem,
    Rectangle,
    Sampling,
    diff,
    dirichlet,
    laplacian,
    neumann,
)
from kanpde.ends import End
from kanpde.models.spikan import SPIKAN
from kanpde.optimizers.damped import QR, Cholesky, Dual
from kanpde.training.assessment import relative_change
from kanpde.training.signals import StopRequest
from kanpde.training.stepping import relative
from kanpde.training.trials import Trial, enlarged

pytestmark = pytest.mark.usefixtures("unchecked")
SMALL = {"model": KAN([2], degree=4, grid=2), "starts": 1, "phases": [Phase(LM(), steps=10)]}


def narrow(width=0.05):
    """-u'' = f with a peak of this width, which points at a distance of 0.07 can miss."""
    domain = Box(x=(-1.0, 1.0))

    def exact(x):
        return torch.exp(-((x - 0.3) ** 2) / width**2) + torch.sin(pi * x)

    def residual(u):
        (x,) = u.coords
        s = (x - 0.3) / width
        return laplacian(u) - (4 * s * s - 2) / width**2 * torch.exp(-s * s) + pi**2 * torch.sin(pi * x)

    conditions = {"pde": Condition(domain.interior, residual), "boundary": dirichlet(domain.boundary, exact)}
    return Problem(domain, conditions, exact=exact)


def contradictory():
    """u'' = 0 with u'' = 1: no function satisfies both."""
    domain = Box(x=(0.0, 1.0))
    conditions = {
        "pde": Condition(domain.interior, lambda u: laplacian(u)),
        "other": Condition(domain.interior, lambda u: laplacian(u) - 1.0),
        "boundary": dirichlet(domain.boundary, 0.0),
    }
    return Problem(domain, conditions)


@pytest.fixture(scope="module")
def whole():
    """A run of several levels."""
    return kanpde.solve(load_problem("poisson")(dim=1), **SMALL, tolerance=1e-8)


def test_the_tolerance_is_reached_and_the_estimate_is_near_the_error(whole):
    solution = whole
    assert solution.ending.end is End.TOLERANCE_REACHED
    error = solution.errors["u"]["l2"]
    assert error <= 1e-8
    assert 0.3 <= solution.settings["estimate"] / error <= 3


def line(conditions, exact=None):
    """A problem on [0, 1] with these conditions, given as functions of the domain."""
    domain = Box(x=(0.0, 1.0))
    return Problem(domain, {name: make(domain) for name, make in conditions.items()}, exact=exact)


def sine(eigenvalue):
    """u'' + k u = f with u = sin πx: at k = π² any multiple of sin πx can be added."""

    def residual(u):
        return laplacian(u) + eigenvalue * u - (eigenvalue - pi**2) * torch.sin(pi * u.coords[0])

    return line(
        {"pde": lambda d: Condition(d.interior, residual), "boundary": lambda d: dirichlet(d.boundary, 0.0)},
        exact=lambda x: torch.sin(pi * x),
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "problem",
    [
        line(
            {
                "pde": lambda d: Condition(d.interior, lambda u: laplacian(u) + pi**2 * torch.cos(pi * u.coords[0])),
                "boundary": lambda d: neumann(d.boundary, 0.0),
            }
        ),
        sine(pi**2 + 1e-6),
    ],
    ids=["Neumann", "near resonance"],
)
def test_solutions_that_are_not_unique_never_reach_a_tolerance(problem):
    with pytest.warns(kanpde.errors.ResultWarning, match="hardly determine the solution"):
        solution = kanpde.solve(problem, **SMALL, tolerance=0.2)
    assert solution.ending.end is not End.TOLERANCE_REACHED and isnan(solution.settings["estimate"])


def div_curl(*sides):
    """div v = f, curl v = g on the unit square with v·n = 0 on these sides; it is unique with all four."""
    domain = Box(x=(0.0, 1.0), y=(0.0, 1.0))

    def residual(v, w):
        x, y = v.coords
        f, g = 3 * pi * torch.cos(pi * x) * torch.cos(pi * y), -pi * torch.sin(pi * x) * torch.sin(pi * y)
        return diff(v, "x") + diff(w, "y") - f, diff(w, "x") - diff(v, "y") - g

    def through(v, w):
        n_x, n_y = v.normal
        return n_x * v + n_y * w

    conditions = {name: Condition(domain.face(name[0], int(name[1])), through) for name in sides}
    return Problem(domain, {"inside": Condition(domain.interior, residual), **conditions}, unknowns=("v", "w"))


def test_a_cell_that_only_test_points_reach_is_no_freedom_of_the_solution():
    """A function that vanishes at all points of the conditions changes no residual."""
    for seed in (0, 7):
        problem = div_curl("x0", "x1", "y0", "y1")
        solution = kanpde.solve(problem, KAN([3], degree=4, grid=8), [Phase(LM(), steps=1)], starts=1, seed=seed)
        assert solution.settings["looseness"] < 100


@pytest.mark.long
def test_a_missing_side_is_noticed_by_any_run():
    domain = Box(x=(0.0, 1.0), y=(0.0, 1.0))

    def value(x, y):
        return torch.cos(2 * x) * torch.exp(2 * y)

    sides = {name: dirichlet(domain.face(name[0], int(name[1])), value) for name in ("x0", "x1", "y0")}
    problem = Problem(domain, {"pde": Condition(domain.interior, laplacian), **sides})
    phases, points = [Phase(LM(), steps=12), Phase(LM(), steps=4, grid=8)], Sampling(interior=900, boundary=200)
    with pytest.warns(kanpde.errors.ResultWarning, match="hardly determine the solution"):
        kanpde.solve(problem, KAN([5], degree=6), phases, starts=1, sampling=points)


def test_a_solution_that_is_unique_is_told_from_one_that_is_not():
    solution = kanpde.solve(sine(5.0), **SMALL, tolerance=1e-3)
    assert solution.ending.end is End.TOLERANCE_REACHED and solution.settings["looseness"] < 100


@pytest.mark.slow
def test_points_are_added_where_the_residual_was_not_seen():
    solution = kanpde.solve(
        narrow(),
        KAN([4], degree=7, grid=4),
        tolerance=1e-4,
        starts=1,
        phases=SMALL["phases"],
        sampling=kanpde.Sampling(interior=30),
    )
    assert solution.ending.end is End.TOLERANCE_REACHED and solution.errors["u"]["l2"] <= 3e-4
    counts = [level["points"] for level in solution.levels]
    assert counts == sorted(counts) and counts[-1] > counts[0]


@pytest.mark.slow
def test_contradictory_conditions_never_reach_a_tolerance():
    solution = kanpde.solve(contradictory(), **SMALL, tolerance=1e-2)
    assert solution.ending.end is End.NOT_REACHED
    (warning,) = solution.warnings
    assert '"pde"' in str(warning) and '"other"' in str(warning) and "contradict" in warning.advice


@pytest.mark.long
def test_a_stopped_run_with_a_tolerance_goes_on_bit_for_bit(whole, tmp_path):
    problem, weights = load_problem("poisson")(dim=1), lambda s: [p.tolist() for p in s.model.parameters()]
    assert len(whole.levels) > 2
    stop, taken = StopRequest(), []

    def observe(progress):
        taken.append(progress)
        if len(taken) == len(whole.history) - 3:
            stop.end = End.TERMINATED

    cut = kanpde.solve(problem, **SMALL, tolerance=1e-8, folder=tmp_path / "run", stop=stop, observe=observe)
    assert cut.ending.end is End.TERMINATED
    rest = kanpde.resume(tmp_path / "run", problem)
    assert weights(rest) == weights(whole) and rest.reason == whole.reason


def test_an_absolute_error_is_allowed_too():
    problem = load_problem("poisson")(dim=1)
    mild = kanpde.solve(problem, **SMALL, tolerance=1e-8, atol=0.1)
    error, size = mild.errors["u"]["l2"], 0.5**0.5  # of sin πx
    assert mild.ending.end is End.TOLERANCE_REACHED and 1e-8 < error <= 1e-8 + 0.1 / size
    assert 0.3 * error * size / (size + 0.1 / 1e-8) <= mild.settings["estimate"] <= 1e-8
    for options in ({"atol": 1e-3}, {"tolerance": 1e-3, "atol": -1.0}, {"tolerance": 1e-3, "atol": float("inf")}):
        with pytest.raises(InputError, match="atol"):
            kanpde.solve(problem, **SMALL, **options)


def test_an_error_is_small_enough_if_it_is_below_tolerance_times_size_plus_atol():
    change, values = torch.full((1, 4), 3e-6, dtype=torch.float64), torch.full((1, 4), 2.0, dtype=torch.float64)
    for atol in (0.9e-6, 1.1e-6):
        assert (relative_change(change, values, atol / 1e-6) <= 1e-6) == (2e-6 + atol >= 3e-6)
        sums = relative(*(5 * each.square().mean(dim=1) for each in (change, values)), atol / 1e-6, 5.0)
        assert sums == pytest.approx(relative_change(change, values, atol / 1e-6))


@pytest.mark.parametrize("tolerance", [0.0, -1e-3, 1.5, float("nan")])
def test_impossible_tolerances_are_refused(tolerance):
    with pytest.raises(InputError, match="tolerance"):
        kanpde.solve(load_problem("poisson")(dim=1), **SMALL, tolerance=tolerance)


@pytest.mark.parametrize(
    "model",
    [KAN([4, [3, 2]], degree=5, grid=3), KAN([[0, 2]], degree=5, grid=3), MLP([5, 4]), SPIKAN(2, degree=5, grid=3)],
    ids=["kan", "products", "mlp", "spikan"],
)
def test_wider_networks_are_the_same_function(model, generator):
    network = model([(0.0, 1.0), (-1.0, 2.0)], 2, generator=generator)
    x = torch.rand(20, 2, generator=generator, dtype=torch.float64)
    before, size = network(x), sum(p.numel() for p in network.parameters())
    network.widen(2, generator)
    assert torch.allclose(network(x), before, rtol=1e-13, atol=1e-13)
    assert sum(p.numel() for p in network.parameters()) > size


def test_the_trial_with_the_largest_fall_for_its_size_wins(generator):
    network = KAN([4], degree=5, grid=3)([(0.0, 1.0)], generator=generator)
    x = torch.rand(50, 1, generator=generator, dtype=torch.float64)
    found = enlarged(network, x, 10_000, generator)
    assert {new.grid for new in found.values()} == {3, 6}
    assert not enlarged(network, x, 10, generator)
    small, large = (Trial("", network, None, size, fresh) for size, fresh in ((100, 1e-2), (200, 1e-3)))
    assert small.gain(1.0, 100) > large.gain(1.0, 100)


@pytest.mark.long
def test_a_contradiction_has_no_estimate():
    """The step in the tangent space is small, but does not reduce the residual."""
    solution = kanpde.solve(contradictory(), KAN([2], degree=5, grid=3), [Phase(LM(), steps=30)])
    assert isnan(solution.settings["estimate"])


@pytest.mark.long
def test_every_run_estimates_its_error():
    solution = kanpde.solve(load_problem("poisson")(dim=1), KAN([2], degree=7, grid=3), [Phase(LM(), steps=30)])
    assert 0.3 <= solution.settings["estimate"] / solution.errors["u"]["l2"] <= 3


@pytest.mark.long
def test_a_run_that_does_not_see_its_peak_warns_at_the_end(monkeypatch):
    """After further phases than the schedule has; the number of levels is limited to keep the run short."""
    monkeypatch.setattr(kanpde.training.tolerance, "MOST_IDLE", 1)
    few = kanpde.Sampling(interior=12)
    with pytest.warns(kanpde.errors.ResultWarning):
        solution = kanpde.solve(narrow(0.01), **SMALL, tolerance=1e-4, sampling=few)
    assert len(solution.levels) > 1 and solution.warnings


# the time limit ------------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_an_estimate_that_exceeds_the_time_limit_is_left_out(monkeypatch):
    for seconds, is_left_out in ((1e3, True), (1.0, False)):
        monkeypatch.setattr(kanpde.training.surroundings, "predicted_seconds", lambda *size, s=seconds: s)
        lines, problem = [], load_problem("poisson")(dim=1)
        solution = kanpde.solve(problem, KAN([2]), [Phase(LM(), steps=12)], time_limit=100, log=lines.append)
        assert isnan(solution.settings["estimate"]) == is_left_out
        assert any("the estimate of the error is left out" in line for line in lines) == is_left_out


def test_larger_factorizations_take_longer():
    predicted, cpu = kanpde.training.surroundings.predicted_seconds, torch.device("cpu")
    assert 0 < predicted(800, 100, cpu, torch.float64) < 0.1 * predicted(8000, 1000, cpu, torch.float64)


@pytest.mark.long
@pytest.mark.parametrize("model", [KAN([2], degree=4, grid=2), KAN()], ids=["tangents", "products"])
def test_nothing_is_tried_after_the_time_limit(model, monkeypatch):
    """The clock jumps at the end of the first level."""
    now, lines = [0.0], []
    monkeypatch.setattr(kanpde.training.attempts, "STARTS", 1)
    monkeypatch.setattr(kanpde.training.surroundings, "perf_counter", lambda: now[0])

    def log(line):
        lines.append(line)
        now[0] = 100.0 if line.startswith("LM") else now[0]

    problem = load_problem("poisson")(solution="mixed")
    points = Sampling(interior=200, boundary=80)
    phases = [Phase(LM(), steps=5)]
    solution = kanpde.solve(problem, model, phases, starts=1, sampling=points, tolerance=1e-9, time_limit=50, log=log)
    assert solution.ending.end is End.TIME_LIMIT and len(solution.levels) == 1
    assert any("is left out" in line for line in lines) and not any("next:" in line for line in lines)


def test_a_tolerance_needs_the_jacobian_from_the_beginning():
    with pytest.raises(InputError, match="Jacobian"):
        kanpde.solve(
            load_problem("poisson")(dim=1), MLP([3]), [Phase(kanpde.Adam(), 5)], derivatives="autograd", tolerance=1e-3
        )


@pytest.mark.parametrize("kind", ["cholesky", "qr", "dual"])
def test_systems_are_inverted_for_any_right_hand_side(kind, generator):
    """Also for those that are not in the range of the transposed matrix applied to the residuals."""
    rows, size = (4, 6) if kind == "dual" else (40, 6)
    a = torch.randn(rows, size, generator=generator, dtype=torch.float64)
    scale, damping = torch.ones(size, dtype=torch.float64), 1e-3
    made = {"cholesky": lambda: Cholesky(a, a.T @ a, scale), "qr": lambda: QR(a, scale), "dual": lambda: Dual(a, scale)}
    target = torch.randn(size, generator=generator, dtype=torch.float64)
    wanted = torch.linalg.solve(a.T @ a + damping * torch.eye(size, dtype=torch.float64), target)
    found = made[kind]().inverse(damping, target)
    assert torch.allclose(found, wanted, rtol=1e-8, atol=1e-10)


def test_the_estimate_of_a_network_far_from_trained_is_near_its_error():
    domain = Rectangle((-1, 1), (-1, 1))
    condition = Condition(domain.interior, lambda u: laplacian(u) + 5 * torch.sin(2 * u.coords[0] + u.coords[1]))

    def exact(x, y):
        return torch.sin(2 * x + y)

    problem = Problem(domain, {"pde": condition, "boundary": dirichlet(domain.boundary, exact)}, exact=exact)
    model, sampling = KAN([4], grid=4, degree=5), Sampling(interior=400, boundary=100)
    solution = kanpde.solve(problem, model, [Phase(LM(), 25)], sampling=sampling, seed=2)
    # the step to the solution is so long that a difference of two values along it would be 40 % too large
    assert solution.settings["estimate"] == pytest.approx(solution.errors["u"]["l2"], rel=0.1)


def test_points_are_doubled_on_domains_without_cells_and_grow_with_the_network(generator):
    domain = Disk()
    conditions = {"pde": Condition(domain.interior, laplacian), "boundary": dirichlet(domain.boundary)}
    settings = SimpleNamespace(problem=Problem(domain, conditions), sampling=Sampling())
    network = KAN([3], grid=2, degree=4)(domain.ranges, generator=generator)
    state = SimpleNamespace(used={"points": {"pde": 700, "boundary": 50}}, network=network)
    sampling = kanpde.training.tolerance.denser(settings, state)
    assert (sampling.interior, sampling.boundary) == (1400, 100)
    state.network = KAN([9, 9], grid=8)(domain.ranges, generator=generator)
    grown = kanpde.training.tolerance.grown(settings, state, sampling)
    assert grown.interior > 6000 and grown.boundary > 100


def test_what_a_larger_network_does_not_explain_counts_as_error(monkeypatch):
    assessment = kanpde.training.assessment

    def explains_nothing(*arguments):
        found = tangent_change(*arguments)
        return found._replace(change=0 * found.change, left=1.0, rest=0.3 * found.rest / found.left**0.5)

    tangent_change = assessment.tangent_change
    monkeypatch.setattr(assessment, "tangent_change", explains_nothing)
    monkeypatch.setattr(assessment, "RELATIVE", 2.0)
    problem = load_problem("poisson")(dim=1)
    solution = kanpde.solve(problem, KAN([3], grid=3, degree=4), [Phase(LM(), 15)], seed=0)
    assert solution.settings["estimate"] > 0.1 * solution.errors["u"]["l2"]
