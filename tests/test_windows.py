"""Windows of time: separable networks, their chain, the cells, and runs with a tolerance."""

from dataclasses import replace
from math import exp, isnan, pi

import h5py
import numpy as np
import pytest
import torch
from conftest import load_problem, no_checks

import kanpde
import kanpde.training.stepping
from kanpde import KAN, MLP, Box, Condition, Problem, diff, dirichlet, initial
from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.ends import End
from kanpde.errors import ResultWarning
from kanpde.models.architecture import network_from
from kanpde.models.separable import factors, fit_factors, separable
from kanpde.models.windows import Windows
from kanpde.plots.solution import solution_figure
from kanpde.residuals.engines import autograd
from kanpde.residuals.objective import Objective
from kanpde.training.evolution import evolution_of, gauss, initial_values
from kanpde.training.shapes import refined
from kanpde.training.signals import StopRequest
from kanpde.training.spacing import equidistributed, local_lengths, number_of_cells, shorter

float64 = {"dtype": torch.float64}
ENDS = torch.tensor([0.0, 0.1, 0.3, 0.6, 0.7, 1.0], **float64)
unchecked = pytest.mark.usefixtures("unchecked")


def network(axis=0, wraps=False, outputs=1, modes=4, degree=5, seed=0, ranges=((0.0, 1.0), (2.0, 2.5))):
    made = separable(ranges if axis == 0 else ranges[::-1], axis, outputs, ENDS, degree, modes, wraps)
    generator = torch.Generator().manual_seed(seed)
    made.layers[0].weight.data.normal_(generator=generator)
    return made.requires_grad_(False)


def points(n, axis=0, seed=1):
    x = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed), **float64) * torch.tensor([1.0, 0.5])
    x = x + torch.tensor([0.0, 2.0])
    return x if axis == 0 else x.flip(1)


# separable networks --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("wraps", [False, True])
def test_jets_of_separable_networks_are_those_of_autograd(axis, wraps):
    made, x = network(axis, wraps, outputs=2), points(20, axis)
    space = JetSpace.spanned([(axis,) * 3, (0, 1), (1 - axis, 1 - axis), LAPLACIAN], (axis,))
    wanted = torch.stack(list(autograd(made, x, space)))
    torch.testing.assert_close(made.jet(x, space), wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(made.head(x, space) @ made.layers[0].weight, wanted, rtol=1e-9, atol=1e-9)


def test_periodic_splines_on_unequal_cells_are_smooth_across_the_ends():
    made = network(wraps=True)
    x = torch.tensor([[1e-9, 2.2], [1 - 1e-9, 2.2], [1 + 1e-9, 2.2]], **float64)
    jet = made.jet(x, JetSpace.spanned([(0,) * 4], (0,)))[:, :, 0]
    torch.testing.assert_close(jet[:, 1], jet[:, 0], rtol=1e-4, atol=1e-4 * float(jet.abs().max()))
    torch.testing.assert_close(jet[:, 2], jet[:, 0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1])
def test_factors_are_fitted_and_returned(axis):
    made, (x, _) = network(axis, outputs=2), gauss(ENDS, 7)
    wanted = factors(made, axis, x)
    other = network(axis, outputs=2, seed=5)
    fit_factors(other, axis, x, wanted)
    torch.testing.assert_close(other.layers[0].weight, made.layers[0].weight, rtol=1e-8, atol=1e-8)


def test_the_jacobian_of_a_separable_network_is_that_of_differences():
    domain = Box(x=(0.0, 1.0), t=(2.0, 2.5))
    problem = Problem(domain, {"pde": Condition(domain.interior, lambda u: diff(u, "t") + u * diff(u, "x"))})
    made = network(modes=2, degree=3).requires_grad_()
    objective = Objective(problem, made, {"pde": domain.interior.sample("uniform", 9)})
    _, jacobian = objective.linearize()
    start, step = objective.vector(), 1e-6
    for i in range(len(start)):
        around = []
        for sign in (1, -1):
            moved = start.clone()
            moved[i] += sign * step
            objective.assign(moved)
            around.append(objective.values())
        torch.testing.assert_close(jacobian[:, i], (around[0] - around[1]) / (2 * step), rtol=1e-5, atol=1e-6)


# the chain of windows ------------------------------------------------------------------------------------------------
def chain(order, axis=0):
    """Two windows with random networks; the second one begins where the first one ends."""
    windows = Windows(order, axis, [2.0])
    for k, end in enumerate((2.2, 2.5)):
        ranges = ((0.0, 1.0), (windows.end, end))
        x, _ = gauss(ENDS, 7)
        begin = separable(ranges if axis == 0 else ranges[::-1], axis, order, ENDS, 5, 1)
        state = windows.state(x) if k else torch.stack([torch.sin(3 * x), torch.cos(x)])[:order, :, None]
        fit_factors(begin, axis, x, torch.cat(list(state), dim=1)[:, None])
        windows = windows.followed_by(begin, network(axis, seed=k, ranges=ranges), end)
    return windows


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("order", [1, 2])
def test_jets_of_windows_are_those_of_differences(order, axis):
    windows, step = chain(order, axis), 1e-4
    x = points(30, axis)
    space = JetSpace.spanned([(0, 1), (0, 0), (1, 1)], (axis,))
    jet = windows.jet(x, space)[:, :, 0]
    near = ((x[:, 1 - axis] - 2.2).abs() > 2 * step) & ((x[:, 1 - axis] - 2.5).abs() > 2 * step)

    def moved(*by):
        return windows(x + step * torch.tensor(by, **float64))[:, 0]

    wanted = {
        (0,): (moved(1.0, 0.0) - moved(-1.0, 0.0)) / (2 * step),
        (1,): (moved(0.0, 1.0) - moved(0.0, -1.0)) / (2 * step),
        (0, 1): (moved(1.0, 1.0) - moved(1.0, -1.0) - moved(-1.0, 1.0) + moved(-1.0, -1.0)) / (4 * step**2),
    }
    for key, values in wanted.items():
        found = jet[space.row[key]]
        torch.testing.assert_close(found[near], values[near], rtol=1e-3, atol=1e-4 * float(found.abs().max()))


@pytest.mark.parametrize("order", [1, 2])
def test_windows_are_continuous_and_end(order):
    windows = chain(order)
    x = torch.rand(50, generator=torch.Generator().manual_seed(3), **float64)
    space = JetSpace.spanned([(1,)], (0,))

    def at(t):
        return windows.jet(torch.stack([x, torch.full_like(x, t)], dim=1), space)[:, :, 0]

    before, after = at(2.2 - 1e-9), at(2.2 + 1e-9)
    torch.testing.assert_close(before[0], after[0], atol=1e-6, rtol=0)
    if order == 2:
        torch.testing.assert_close(before[1], after[1], atol=1e-5, rtol=0)
    assert bool(at(2.6).isnan().all()) and bool(at(2.5).isfinite().all()) and bool(at(2.0).isfinite().all())


@pytest.mark.parametrize("order", [1, 2])
def test_windows_are_stored_with_their_architecture(order):
    windows = chain(order)
    again = network_from(windows.architecture())
    again.load_state_dict(windows.state_dict())
    x = points(40)
    assert torch.equal(again(x), windows(x))


# the cells -----------------------------------------------------------------------------------------------------------
def test_cells_are_short_where_a_front_is_and_neighbours_are_similar():
    x = torch.linspace(-1, 1, 4001, **float64)
    lengths = local_lengths(torch.tanh(50 * x)[None], 2.0, False)
    ends = equidistributed(lengths, -1.0, 1.0, number_of_cells(lengths, 2.0, 2.0))
    widths = ends.diff()
    assert 0.005 < float(widths.min()) < 0.015 and float(widths.max()) > 0.1
    assert abs(float(ends[widths.argmin()])) < 0.03
    assert float((widths[1:] / widths[:-1]).log().abs().max()) < 0.5
    assert float(ends[0]) == -1.0 and float(ends[-1]) == 1.0


def test_local_lengths_of_a_wave_do_not_depend_on_where_it_is():
    x = torch.linspace(0, 1, 4001, **float64)
    a, b = (local_lengths(torch.exp(-200 * ((x - c + 0.5) % 1 - 0.5) ** 2)[None], 1.0, True) for c in (0.5, 0.0))
    torch.testing.assert_close(a[:-1].roll(2000), b[:-1], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(local_lengths(torch.ones(1, 4001, **float64), 1.0, False), torch.full_like(x, 0.25))


def test_cells_with_a_larger_part_of_the_error_shrink():
    errors = torch.zeros(4001, **float64)
    errors[:400] = 1.0
    found = shorter(errors, torch.linspace(0, 1, 11, **float64), 0.1, 0.25)
    assert float(found[:390].max()) < 0.6 and float(found[500:].min()) == 1.0


def test_refined_cells_vary_alike():
    assert torch.equal(refined(ENDS, 2.0)[::2], ENDS)
    assert len(refined(ENDS, 1.25)) == 7 and bool((refined(ENDS, 1.25).diff() > 0).all())


# problems of evolution -----------------------------------------------------------------------------------------------
def heat(end=0.5, **changes):
    domain = Box(x=(0.0, 1.0), t=(0.0, end))
    conditions = {
        "pde": Condition(domain.interior, lambda u: diff(u, "t") - diff(u, "x", "x")),
        "initial": initial(domain.at(t=0.0), lambda x, t: torch.sin(pi * x)),
        "boundary": dirichlet(domain.boundary, 0.0),
    }
    conditions = {name: c for name, c in {**conditions, **changes}.items() if c is not None}
    return Problem(domain, conditions, exact=lambda x, t: torch.exp(-(pi**2) * t) * torch.sin(pi * x))


@pytest.mark.parametrize(("name", "order", "most"), [("burgers", 1, 2), ("wave", 2, 2), ("kdv", 1, 3), ("heat", 1, 2)])
def test_problems_of_evolution_are_recognized(name, order, most):
    found = evolution_of(load_problem(name)())
    assert (found.order, found.most) == (order, most)
    x = torch.linspace(*found.domain.ranges[0], 9, **float64)
    assert initial_values(found, x).shape == (order, 9, 1)


DOMAIN = Box(x=(0.0, 1.0), t=(0.0, 0.5))


@pytest.mark.parametrize(
    "problem",
    [
        heat(initial=None),
        heat(final=dirichlet(DOMAIN.at(t=0.5), 1.0)),
        heat(pde=Condition(DOMAIN.interior, lambda u: diff(u, "t", "t") - diff(u, "x", "x"))),
        heat(pde=Condition(DOMAIN.interior, lambda u: u - 1.0)),
        heat(point=dirichlet(DOMAIN.at(x=0.5, t=0.0), 1.0)),
        load_problem("poisson")(),
    ],
    ids=["no initial values", "final values", "no rate", "no rate in the equation", "a point", "no time"],
)
def test_other_problems_are_not(problem):
    assert evolution_of(problem) is None


# runs ----------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def whole():
    with no_checks():
        return kanpde.solve(heat(), tolerance=1e-6)


@unchecked
def test_heat_reaches_a_tolerance_and_is_stored(whole, tmp_path):
    problem, solution = heat(), whole
    assert solution.ending.end is End.TOLERANCE_REACHED and isinstance(solution.model, Windows)
    assert solution.settings["windows"] == len(solution.model.networks) > 1
    error = solution.errors["u"]["l2"]
    assert error <= 1e-6 and 0.3 <= solution.settings["estimate"] / error <= 3
    kanpde.save(solution, tmp_path / "run")
    again = kanpde.load(tmp_path / "run")
    assert again(0.3, 0.2) == solution(0.3, 0.2) and again.diff("t")(0.3, 0.2) == solution.diff("t")(0.3, 0.2)
    with h5py.File(tmp_path / "run" / "solution.vtkhdf") as file:
        estimated, error = (np.asarray(file["kanpde/fields"][name]) for name in ("estimated_error", "error"))
    assert np.abs(estimated - error).max() <= 0.3 * np.abs(error).max()
    titles = [
        axes.get_title() for axes in solution_figure(replace(solution, problem=replace(problem, exact=None))).axes
    ]
    assert "estimated error u" in titles and again.estimated_errors(points(3)) == []


@unchecked
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "tolerance"),
    [("kdv", {}, 1e-5), ("wave", {}, 1e-4), ("advection", {}, 1e-6), ("burgers", {"nu": 0.05}, 1e-5)],
)
def test_fronts_and_pulses_reach_a_tolerance(name, arguments, tolerance):
    solution = kanpde.solve(load_problem(name)(**arguments), tolerance=tolerance)
    error = solution.errors["u"]["l2"]
    assert solution.ending.end is End.TOLERANCE_REACHED and error <= 3 * tolerance
    assert 0.3 <= solution.settings["estimate"] / error <= 3


@pytest.mark.long
@unchecked
def test_a_stopped_run_goes_on_bit_for_bit(whole, tmp_path):
    problem = heat()
    stop, seen = StopRequest(), []

    def observe(progress):
        seen.append(progress)
        if len(seen) == len(whole.history) - 4:
            stop.end = End.TERMINATED

    cut = kanpde.solve(problem, tolerance=1e-6, folder=tmp_path / "run", stop=stop, observe=observe)
    assert cut.ending.end is End.TERMINATED
    rest = kanpde.resume(tmp_path / "run", problem)
    assert [p.tolist() for p in rest.model.parameters()] == [p.tolist() for p in whole.model.parameters()]
    assert rest.reason == whole.reason and len(rest.history) == len(whole.history)
    with pytest.raises(kanpde.InputError, match="another problem"):
        kanpde.resume(tmp_path / "run", heat(initial=initial(DOMAIN.at(t=0.0), lambda x, t: x * (1 - x))))


@unchecked
def test_a_run_that_is_cut_says_where_it_ends():
    stop = StopRequest()

    def observe(progress):
        if progress.step > 30:
            stop.end = End.INTERRUPTED

    with pytest.warns(ResultWarning, match="ends at t = "):
        solution = kanpde.solve(heat(), tolerance=1e-3, stop=stop, observe=observe)
    end = solution.model.end
    assert 0 < end < 0.5 and "the solution ends at t" in solution.reason
    assert abs(float(solution(0.5, 0.9 * end)) - exp(-(pi**2) * 0.9 * end)) < 1e-3
    assert isnan(float(solution(0.5, 0.5)))


@pytest.mark.long
@unchecked
def test_discontinuous_initial_values_are_not_divided_into_windows(monkeypatch):
    monkeypatch.setattr(kanpde.training.stepping, "MOST_CELLS", 40)
    lines = []
    step = initial(DOMAIN.at(t=0.0), lambda x, t: torch.where(x < 0.5, 1.0, 0.0))
    solution = kanpde.solve(
        heat(initial=step), KAN(), [kanpde.Phase(kanpde.LM(), steps=2)], tolerance=1e-4, time_limit=10, log=lines.append
    )
    assert (
        any("the whole interval at once" in line for line in lines) and solution.ending.end is not End.TOLERANCE_REACHED
    )


@pytest.mark.long
@unchecked
def test_a_short_pulse_between_the_points_is_seen():
    time, width = 0.337, 1e-3  # of a source, which is 0 at all Gauss points of the first windows

    def residual(u):
        x, t = u.coords
        kick = torch.exp(-(((t - time) / width) ** 2)) / (width * pi**0.5)
        return diff(u, "t") - 0.1 * diff(u, "x", "x") - torch.sin(pi * x) * kick

    problem = heat(pde=Condition(DOMAIN.interior, residual))
    solution = kanpde.solve(problem, tolerance=1e-2)
    rate = 0.1 * pi**2
    wanted = exp(-rate * 0.5) + exp(-rate * (0.5 - time))
    assert solution.ending.end is End.TOLERANCE_REACHED and abs(float(solution(0.5, 0.5)) - wanted) < 1e-2
    assert min(b - a for a, b in zip(solution.model.times, solution.model.times[1:], strict=False)) < 10 * width


@unchecked
def test_other_networks_train_on_the_whole_interval():
    solution = kanpde.solve(heat(), MLP([4]), [kanpde.Phase(kanpde.LM(), steps=3)], tolerance=0.5)
    assert "windows" not in solution.settings


@pytest.mark.long
@unchecked
def test_a_solution_that_decays_to_nothing_reaches_a_tolerance():
    assert kanpde.solve(heat(end=4.0), tolerance=1e-2).ending.end is End.TOLERANCE_REACHED


@pytest.mark.long
@unchecked
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"boundary": None, "end": 0.1}, "hardly determine"),
        ({"other": Condition(DOMAIN.interior, lambda u: diff(u, "t") - 1.5 * diff(u, "x", "x"))}, "contradict"),
    ],
    ids=["no boundary values", "contradictory equations"],
)
@pytest.mark.filterwarnings("ignore::kanpde.errors.ResultWarning")
def test_ill_posed_problems_never_reach_a_tolerance(changes, reason):
    solution = kanpde.solve(heat(**changes), tolerance=1e-2, time_limit=60)
    assert solution.ending.end is End.NOT_REACHED and reason in solution.reason
    assert isnan(solution.settings["estimate"])


def test_parts_of_the_domain_and_repeated_initial_values_are_no_evolution():
    inner = Box(x=(0.0, 0.5), t=(0.0, 0.5)).interior
    assert evolution_of(heat(inner=Condition(inner, lambda u: diff(u, "t")))) is None
    assert evolution_of(heat(again=initial(DOMAIN.at(t=0.0), 0.0))) is None


@pytest.mark.long
@unchecked
def test_a_stop_before_the_first_window_trains_nothing():
    stop = StopRequest()
    stop.end = End.INTERRUPTED
    solution = kanpde.solve(heat(), tolerance=1e-3, stop=stop)
    assert solution.ending.end is End.INTERRUPTED and solution.levels[-1]["steps"] == 0
