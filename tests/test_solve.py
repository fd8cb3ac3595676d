"""Whole trainings: what they reach, how they end, that they repeat."""

import os
import signal
import threading
from math import pi

import numpy as np
import pytest
import torch
from conftest import brief, load_problem, optimizer_cases, optimizer_factories
from torch import nn

import kanpde.training.surroundings
from kanpde import (
    KAN,
    LBFGS,
    LM,
    MLP,
    SOAP,
    Adam,
    Ansatz,
    Box,
    Condition,
    InputError,
    Phase,
    Problem,
    Sampling,
    SSBroyden,
    dirichlet,
    laplacian,
    solve,
)
from kanpde.ends import End, Ending

pytestmark = pytest.mark.usefixtures("unchecked")
BOX = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))
FEW = Sampling("gauss", 200, 80)


def poisson(**changes):
    def exact(x, y):
        return torch.sin(pi * x) * torch.sin(pi * y)

    def residual(u):
        return laplacian(u) + 2 * pi**2 * exact(*u.coords)

    arguments = {
        "domain": BOX,
        "conditions": {"pde": Condition(BOX.interior, residual), "boundary": dirichlet(BOX.boundary, exact)},
        "exact": exact,
    }
    return Problem(**{**arguments, **changes})


def short(steps=3, optimizer=None, **rest):
    return [Phase(optimizer or LM(), steps=steps, **rest)]


def weights(solution):
    return torch.cat([p.detach().reshape(-1) for p in solution.model.parameters()])


@pytest.mark.parametrize("name", optimizer_cases())
@pytest.mark.parametrize("model", [KAN([3], degree=4), MLP([6])], ids=["kan", "mlp"])
def test_every_optimizer_lowers_the_loss(name, model):
    factory = optimizer_factories()[name]()
    steps = 12 if name in ("Adam", "SOAP") else 4  # the others do much more in a step
    solution = solve(poisson(), model, short(steps, factory), sampling=FEW)
    losses = [row["loss"] for row in solution.history]
    assert losses[-1] < 0.9 * losses[0]
    assert solution.levels[0]["loss"] <= losses[-1] * (1 + 1e-12)  # the same sum in another order


def test_the_loss_on_fresh_points_is_recorded():
    """Against the same sum by hand at other random points: an average of 200 squares varies by some tens of percent."""
    solution = solve(poisson(), KAN([3], degree=4), short(4), sampling=FEW)
    generator = torch.Generator().manual_seed(99)
    found = 0.0
    for name, condition in solution.problem.conditions.items():
        points = condition.region.sample("uniform", 20_000, generator, torch.device("cpu"), torch.float64)
        (residual,) = solution.residual(name, points.x)
        found += solution.settings["weights"][name] * float(residual.square().mean())
    assert solution.settings["fresh"] == pytest.approx(found, rel=0.6) and found > 0
    assert solution.settings["fresh"] != solution.levels[-1]["loss"]


@pytest.mark.parametrize("name", optimizer_cases())
def test_same_seed_gives_the_same_bits(name):
    factory = brief(name)
    runs = [solve(poisson(), KAN([3]), short(2, factory), sampling=FEW, seed=s, threads=1) for s in (3, 3, 4)]
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(weights(runs[0]), weights(runs[2]))


def test_threads_hold_while_it_trains_only():
    before = torch.get_num_threads()
    seen = []
    solution = solve(
        poisson(),
        KAN([2]),
        short(1),
        sampling=FEW,
        threads=2,
        observe=lambda progress: seen.append(torch.get_num_threads()),
    )
    assert seen == [2] and solution.settings["threads"] == 2 and torch.get_num_threads() == before


def test_schedule_refines_and_reports_levels():
    lines = []
    phases = [Phase(LM(), steps=4, grid=grid) for grid in (2, 4)] + [Phase(Adam(lr=1e-5), steps=2)]
    solution = solve(poisson(), KAN([3], degree=4, grid=2), phases, sampling=FEW, log=lines.append)
    assert [level["grid"] for level in solution.levels] == [2, 4, 4]
    assert [level["parameters"] for level in solution.levels] == [7 * 9, 9 * 9, 9 * 9]
    assert [level["optimizer"] for level in solution.levels] == ["LM", "LM", "Adam"]
    assert solution.reason == "steps done" and len(solution.history) == 10
    assert solution.levels[1]["loss"] <= solution.levels[0]["loss"] * 1.001, "refining does not lose what was learned"
    assert len(lines) == 3 and "grid 4, 81 parameters" in lines[1]


def test_refining_by_a_factor_follows_the_models_grid():
    phases = [Phase(LM(), steps=2), Phase(LM(), steps=2, refine=3)]
    assert [row["grid"] for row in solve(poisson(), KAN([2], grid=3), phases, sampling=FEW).levels] == [3, 9]


@pytest.mark.long
def test_moved_knots_keep_what_was_learned():
    phases = [Phase(LM(), steps=40), Phase(LM(), steps=5, move_knots=True), Phase(LM(), steps=8, refine=2)]
    solution = solve(poisson(), KAN([5]), phases, sampling=Sampling("gauss", 900, 200))
    first, moved, last = (level["l2"] for level in solution.levels)
    assert first < 0.01 and moved < 3 * first and last < first


def test_a_phase_that_overfits_is_taken_back():
    """Many cells and few points: the loss falls, the residual between the points grows."""
    lines = []
    phases = [Phase(LM(), steps=30, sampling=FEW), Phase(LM(), steps=40, refine=4, sampling=Sampling("gauss", 36, 24))]
    solution = solve(poisson(exact=None), KAN([4]), phases, log=lines.append)
    assert solution.levels[1]["loss"] < solution.levels[0]["loss"]
    assert solution.ending.end is End.OVERFITTED and any("overfitted" in line for line in lines)
    assert solution.model.grid == 4


def test_points_grow_with_parameters_and_cells():
    sampling, interior, boundary = Sampling(), poisson().domain.interior, poisson().domain.boundary
    assert sampling.size(interior, 10) == 900
    assert sampling.size(interior, 1000) == 6000
    assert sampling.size(interior, 10, grid=32) == 80**2
    assert sampling.size(interior, 10, grid=400) == 10_000
    assert sampling.size(boundary, 10, grid=32) == 4 * 2 * 80
    assert Sampling(interior=50).size(interior, 1000, grid=32) == 50


def test_a_phase_that_makes_all_worse_is_taken_back():
    """Adam at a rate that no network survives."""
    phases = [Phase(LM(), steps=10), Phase(Adam(lr=3.0), steps=3)]
    solution = solve(poisson(), KAN([2], degree=4), phases, sampling=FEW)
    assert solution.ending.end is End.DIVERGED
    assert solution.errors["u"]["l2"] == pytest.approx(solution.levels[0]["l2"])


def test_the_reason_of_an_end_survives_being_taken_back(monkeypatch):
    """The clock jumps after some steps of the second phase."""
    now = [0.0]
    monkeypatch.setattr(kanpde.training.surroundings, "perf_counter", lambda: now[0])

    def observe(progress):
        now[0] = 10.0 if progress.phase and progress.step == 20 else 0.0

    phases = [Phase(LM(), steps=10), Phase(Adam(lr=3.0), steps=100_000)]
    solution = solve(poisson(), KAN([2], degree=4), phases, sampling=FEW, time_limit=3.0, observe=observe)
    assert solution.ending.end is End.TIME_LIMIT and solution.levels[-1]["end"] == "DIVERGED"


def test_rounding_is_not_taken_for_overfitting():
    """A solution that the splines have exactly: the loss is rounding in every phase."""
    box = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))

    def exact(x, y):
        return x**2 - y

    conditions = {"pde": Condition(box.interior, lambda u: laplacian(u) - 2.0), "wall": dirichlet(box.boundary, exact)}
    phases = [Phase(LM(), steps=40, refine=refine) for refine in (1, 2, 2)]
    solution = solve(Problem(box, conditions, exact=exact), KAN([], degree=4, grid=2), phases, sampling=FEW)
    assert len(solution.levels) == 3 and not solution.ending.end.is_taken_back
    assert solution.errors["u"]["l2"] < 1e-11


def test_more_starts_keep_the_best():
    one = solve(poisson(), KAN([2]), short(4), sampling=FEW, starts=1)
    four = solve(poisson(), KAN([2]), short(4), sampling=FEW, starts=4)
    per_start = [min(r["loss"] for r in four.history if r["start"] == s) for s in range(4)]
    assert four.levels[0]["loss"] == pytest.approx(min(per_start), rel=1e-6)
    assert four.levels[0]["loss"] <= one.levels[0]["loss"]
    assert one.levels[0]["loss"] == pytest.approx(per_start[0], rel=1e-12), "the first start is the single one"


def test_solution_is_callable_and_differentiable():
    solution = solve(poisson(), KAN([3], degree=5), short(25), sampling=FEW)
    x, y = np.meshgrid(np.linspace(-0.99, 0.99, 5), np.linspace(-0.99, 0.99, 4))
    u = solution(x, y)
    assert isinstance(u, np.ndarray) and u.shape == (4, 5)
    assert isinstance(solution(torch.tensor(x), 0.5), torch.Tensor)
    assert float(solution(0.3, -0.2)) == pytest.approx(float(solution(x * 0 + 0.3, -0.2)[0, 0]))
    h = 1e-4
    slope = (solution(x + h, y) - solution(x - h, y)) / (2 * h)
    assert np.allclose(solution.diff("x")(x, y), slope, atol=1e-5)
    bend = (solution.diff("x")(x, y + h) - solution.diff("x")(x, y - h)) / (2 * h)
    assert np.allclose(solution.diff("x", "y")(x, y), bend, atol=1e-5)
    with pytest.raises(InputError, match=r"solution\(x, y\)"):
        solution(0.3)
    with pytest.raises(InputError, match='no coordinate "z"'):
        solution.diff("z")(0.3, 0.2)


def test_errors_are_what_they_say():
    solution = solve(poisson(), KAN([3], degree=5), short(10), sampling=FEW)
    axis = np.linspace(-1, 1, 101)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    exact = np.sin(pi * x) * np.sin(pi * y)
    gap = solution(x, y) - exact
    assert solution.errors["u"]["l2"] == pytest.approx(np.linalg.norm(gap) / np.linalg.norm(exact), rel=1e-9)
    assert solution.errors["u"]["max"] == pytest.approx(np.abs(gap).max() / np.abs(exact).max(), rel=1e-9)
    gx = solution.diff("x")(x, y) - pi * np.cos(pi * x) * np.sin(pi * y)
    gy = solution.diff("y")(x, y) - pi * np.sin(pi * x) * np.cos(pi * y)
    size = (exact**2).sum() + 2 * (pi**2 * np.cos(pi * x) ** 2 * np.sin(pi * y) ** 2).sum()
    h1 = np.sqrt(((gap**2).sum() + (gx**2).sum() + (gy**2).sum()) / size)
    assert solution.errors["u"]["h1"] == pytest.approx(h1, rel=1e-6)


def test_exact_plays_no_part_in_training():
    known = solve(poisson(), KAN([3]), short(3), sampling=FEW, starts=2, seed=5)
    unknown = solve(poisson(exact=None), KAN([3]), short(3), sampling=FEW, starts=2, seed=5)
    assert torch.equal(weights(known), weights(unknown))
    assert unknown.errors == {} and np.isnan(unknown.history[-1]["error"])


@pytest.mark.long
def test_system_and_inverse_problem():
    def residuals(u, v, p):
        return laplacian(u) + 2 * pi**2 * u, v - p["k"] * u

    problem = Problem(
        BOX,
        {
            "pde": Condition(BOX.interior, residuals),
            "u": dirichlet(BOX.interior, lambda x, y: torch.sin(pi * x) * torch.sin(pi * y)),
            "v": dirichlet(BOX.interior, lambda x, y: 3 * torch.sin(pi * x) * torch.sin(pi * y), unknown="v"),
        },
        unknowns=("u", "v"),
        parameters={"k": 1.0},
        exact=lambda x, y: (torch.sin(pi * x) * torch.sin(pi * y), 3 * torch.sin(pi * x) * torch.sin(pi * y)),
    )
    solution = solve(problem, KAN([4], degree=4), short(40), sampling=Sampling("gauss", 200))
    assert solution.coefficients["k"] == pytest.approx(3.0, abs=1e-3)
    assert set(solution.errors) == {"u", "v"} and solution.errors["v"]["l2"] < 1e-2
    u, v = solution(0.5, [0.1, 0.2])
    assert np.allclose(v, 3 * u, atol=0.05)


def test_hard_constraints_hold_exactly():
    ansatz = Ansatz(lambda c, n: (1 - c[0] ** 2) * (1 - c[1] ** 2) * n, ("boundary",))
    solution = solve(poisson(ansatz=ansatz), KAN([3], degree=5), short(30), sampling=FEW)
    assert solution.errors["u"]["l2"] < 0.05
    assert np.abs(solution(1.0, np.linspace(-1, 1, 9))).max() == 0.0
    assert "loss_boundary" not in solution.levels[0]


def test_a_false_hard_constraint_is_refused():
    ansatz = Ansatz(lambda c, n: c[0] * n, ("boundary",))
    with pytest.raises(InputError, match='condition "boundary"'):
        solve(poisson(ansatz=ansatz), KAN([3]), short(), sampling=FEW)


def test_periodic_domain():
    box = Box(x=(0.0, 2.0), y=(0.0, 1.0), periodic=["x"])
    exact = lambda x, y: torch.sin(pi * x) * y  # noqa: E731
    problem = Problem(
        box,
        {
            "pde": Condition(box.interior, lambda u: laplacian(u) + pi**2 * exact(*u.coords)),
            "boundary": dirichlet(box.boundary, exact),
        },
        exact=exact,
    )
    solution = solve(problem, KAN([3], degree=5), short(40), sampling=FEW)
    assert solution.errors["u"]["l2"] < 1e-2
    assert float(solution(0.25, 0.5)) == pytest.approx(float(solution(2.25, 0.5)), abs=1e-12)


class Module(nn.Module):
    """A network that the package knows nothing of."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stack = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x):
        return self.stack(x)


@pytest.mark.parametrize("name", optimizer_cases())
@pytest.mark.parametrize("model", [KAN([3], degree=4), MLP([6])], ids=["kan", "mlp"])
def test_single_precision_stays_single(name, model, checked):
    solution = solve(poisson(), model, short(3, brief(name)), sampling=FEW, dtype="float32")
    assert {p.dtype for p in solution.model.parameters()} == {torch.float32}
    assert solution(0.1, 0.2).dtype == np.float32 and solution.history[-1]["loss"] < solution.history[0]["loss"]


def test_any_module_trains_with_autograd():
    solution = solve(poisson(), Module(), short(15, Adam()), sampling=FEW, derivatives="autograd")
    assert solution.history[-1]["loss"] < solution.history[0]["loss"]
    assert np.isfinite(solution.diff("x", "x")(0.1, 0.2)).all()


def test_a_missing_package_is_named_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(SOAP, "needs_package", "no_such_package")
    steps = []
    with pytest.raises(InputError, match="pip install no_such_package"):
        solve(poisson(), KAN([3]), [*short(), *short(optimizer=SOAP())], sampling=FEW, observe=steps.append)
    assert not steps


def test_what_a_module_lacks_is_said():
    lines = []
    solve(poisson(), Module(), short(2, Adam(), grid=4), sampling=FEW, derivatives="autograd", log=lines.append)
    assert any("has no grid" in line for line in lines)
    with pytest.raises(InputError, match='Write derivatives="autograd"'):
        solve(poisson(), Module(), short(2, Adam()), sampling=FEW)
    with pytest.raises(InputError, match=r"LM .*needs a KAN or MLP of this package, got a Module"):
        solve(poisson(), Module(), short(), sampling=FEW, derivatives="autograd")


# how runs end -------------------------------------------------------------------------------------------------------
def test_time_limit():
    solution = solve(poisson(), KAN([3]), [*short(10_000, Adam()), *short()], sampling=FEW, time_limit=0.5)
    assert solution.ending == Ending(End.TIME_LIMIT, "0.5 s") and len(solution.levels) == 1


def test_stagnation():
    solution = solve(poisson(), KAN([2], degree=3, grid=2), short(400, window=10, least=0.2), sampling=FEW)
    assert solution.ending.end is End.STAGNATED and len(solution.history) < 400


def test_convergence():
    box = Box(x=(0.0, 1.0))
    line = Problem(box, {"pde": Condition(box.interior, laplacian), "b": dirichlet(box.boundary, lambda x: 2 * x)})
    solution = solve(line, KAN([], degree=3), short(50), sampling=FEW)  # without hidden layers the problem is linear
    assert solution.ending.end is End.CONVERGED, solution.reason
    assert np.allclose(solution(np.linspace(0, 1, 5)), 2 * np.linspace(0, 1, 5), atol=1e-9)


@pytest.mark.parametrize("model", [KAN([3, 3]), KAN([3, 3, 3])], ids=["two", "three"])
def test_a_network_that_blows_up_ends_its_run_only(model):
    solution = solve(poisson(), model, [*short(2), *short(5, Adam(lr=1e80)), *short()], sampling=FEW)
    assert solution.ending.end is End.NON_FINITE and len(solution.levels) == 2
    assert bool(weights(solution).isfinite().all()) and solution.levels[0]["reason"] == "steps done"


@pytest.mark.parametrize("at", [2, 5])
def test_interrupt_among_several_starts_ends_the_run(at):
    seen = []

    def interrupt(progress):
        seen.append(progress)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGINT)

    solution = solve(poisson(), KAN([3]), [*short(3), *short(4)], sampling=FEW, starts=4, observe=interrupt)
    assert solution.ending.end is End.INTERRUPTED and len(solution.levels) == 1 and len(solution.history) <= at + 1


def test_non_finite_loss_names_the_condition_and_keeps_good_weights():
    def poisoned(u):
        return torch.log(u - u.value.detach() + counter())

    calls = []

    def counter():
        calls.append(1)
        return 1.0 if len(calls) < 30 else -1.0  # the logarithm of a negative number, after a while

    problem = Problem(BOX, {"good": dirichlet(BOX.boundary), "bad": Condition(BOX.interior, poisoned)})
    solution = solve(problem, MLP([3]), [*short(500, Adam()), *short()], sampling=FEW)
    assert solution.ending.end is End.NON_FINITE and "bad" in solution.ending.detail
    assert bool(weights(solution).isfinite().all()) and len(solution.levels) == 1


def test_interrupt_keeps_what_was_reached():
    def interrupt(progress):
        if progress.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    solution = solve(poisson(), KAN([3]), [*short(50), *short(50)], sampling=FEW, observe=interrupt)
    assert solution.ending.end is End.INTERRUPTED
    assert len(solution.levels) == 1 and 4 <= len(solution.history) <= 5
    assert solution.errors["u"]["l2"] < 2.0


# bad input ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            lambda: solve(poisson(), KAN(degree=1)),
            "order 2, but the functions on the edges have bounded derivatives only up to order 1",
        ),
        (lambda: solve(poisson(), device="gpu"), "Unknown device"),
        (lambda: solve(poisson(), dtype="float16"), "Unknown dtype"),
        (lambda: solve(poisson(), starts=0), "starts"),
        (lambda: solve(poisson(), weights={"bounday": 2.0}), 'Did you mean "boundary"'),
        (lambda: solve(poisson(), sampling=Sampling("gaus")), 'Did you mean "gauss"'),
        (lambda: Phase(steps=0), "steps"),
        (lambda: Phase(grid=0), "grid"),
        (lambda: solve(poisson(), KAN(grid=8), [Phase(steps=1, grid=8), Phase(grid=4)]), "coarser"),
        (
            lambda: solve(poisson(), KAN(), [Phase(Adam()), Phase(LM())], derivatives="autograd"),
            'Write derivatives="jets"',
        ),
        (lambda: solve(Problem(BOX, {})), "no condition to train on"),
        (lambda: solve(poisson(), Module(), starts=2), "ready Module.*Write starts=1"),
        (lambda: Problem(BOX, {}, unknowns=("u", "u")), "must differ"),
        (lambda: Phase(window=-1), "window"),
        (lambda: Phase(grid=4, refine=2), "not both"),
        (lambda: Adam(lr=-1.0), "lr"),
        (lambda: LBFGS(iterations=0), "iterations"),
        (lambda: LM(damping=0.0), "damping"),
        (lambda: SSBroyden(iterations=0), "iterations=20"),
        (lambda: SSBroyden(curvature=1.0), "curvature=0.9"),
        (lambda: SOAP(frequency=0), "frequency=2"),
        (lambda: solve(poisson(), nn.Flatten(0), short(1, Adam()), derivatives="autograd"), "one row per"),
    ],
)
def test_bad_input_is_explained(run, message):
    with pytest.raises(InputError, match=message):
        run()


def test_degree_equal_to_the_order_warns():
    lines = []
    solve(poisson(), KAN([2], degree=2), short(1), sampling=FEW, log=lines.append)
    assert any(
        line.startswith("warning: the derivatives of order 2") and line.endswith("degree 4 is smoother")
        for line in lines
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_missing_cuda_is_explained():
    with pytest.raises(InputError, match='Write device="cpu", or device="auto"'):
        solve(poisson(), device="cuda")


# what it reaches ----------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "hidden", "median", "worst"),
    [
        ("poisson", {}, [6], 1e-9, 1e-7),
        ("poisson", {"solution": "paper"}, [6], 1e-8, 1e-6),
        ("poisson", {"solution": "mixed"}, [8], 1e-7, 1e-5),
        ("poisson", {"dim": 5, "solution": "cosines"}, [2], 1e-6, 1e-6),
        ("heat", {}, [6], 1e-9, 1e-7),
        ("heat", {"dim": 2}, [6], 1e-7, 1e-5),
        ("helmholtz", {}, [10], 1e-7, 1e-5),
    ],
)
def test_the_recipe_reaches_its_errors(name, arguments, hidden, median, worst):
    problem = load_problem(name)(**arguments)
    errors = [solve(problem, KAN(hidden), seed=seed).errors["u"]["l2"] for seed in range(3)]
    print(name, arguments, *(f"{e:.1e}" for e in errors))
    assert np.median(errors) <= median and max(errors) <= worst


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_every_depth_trains(depth):
    phases = [Phase(LM(), steps=80)]
    errors = [solve(poisson(), KAN([5] * depth), phases, seed=seed).errors["u"]["l2"] for seed in range(3)]
    print(depth, *(f"{e:.1e}" for e in errors))
    assert np.median(errors) <= 1e-2


def test_a_region_of_another_domain_is_refused():
    own, other = Box(x=(0.0, 1.0)), Box(x=(1.5, 2.0))
    problem = Problem(own, {"pde": Condition(own.interior, lambda u: u - 1.0), "end": dirichlet(other.boundary, 0.0)})
    with pytest.raises(InputError, match=r"points outside the domain .* x = 1\.5"):
        solve(problem, KAN([2]), [Phase(LM(), steps=1)])
