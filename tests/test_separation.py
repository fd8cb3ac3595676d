"""Sums of products: the network, points that follow its cells, and runs with a tolerance that grow it."""

from contextlib import suppress
from dataclasses import replace
from math import isnan, pi

import pytest
import torch
from conftest import load_problem
from torch import cos, exp, log

import kanpde
import kanpde.training.attempts
import kanpde.training.sampling
import kanpde.training.separation
from kanpde import KAN, LM, Box, Condition, Phase, Problem, dirichlet, laplacian
from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.domains.region import Points
from kanpde.ends import End
from kanpde.models.kanlayer import halved
from kanpde.models.polynomials import polynomials
from kanpde.models.spikan import SPIKAN
from kanpde.residuals.engines import autograd, jets
from kanpde.training.grading import graded, mapped

pytestmark = pytest.mark.usefixtures("unchecked")
SQUARE = Box(x=(-1.0, 1.0), y=(0.0, 2.0))
ENDS = torch.tensor([-1.0, -0.1, 0.0, 0.05, 1.0], dtype=torch.float64)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """One start, and fewer points at the beginning; what follows a level does not depend on them."""
    monkeypatch.setattr(kanpde.training.attempts, "STARTS", 1)
    monkeypatch.setattr(kanpde.training.sampling, "LEAST_OF_PRODUCTS", 1024)


def uniform(n, generator):
    x = torch.rand(n, 2, generator=generator, dtype=torch.float64) * 2 - torch.tensor([1.0, 0.0])
    return Points(x, torch.full((n,), 1 / n, dtype=torch.float64))


# the network ---------------------------------------------------------------------------------------------------------
def test_the_network_is_a_sum_of_products_of_functions_of_one_coordinate(generator):
    network = SPIKAN(3, degree=5, grid=4)(SQUARE.ranges, generator=generator)
    assert network.is_separable and not KAN([3])(SQUARE.ranges).is_separable
    x, y = (torch.rand(9, generator=generator, dtype=torch.float64) for _ in range(2))
    table = network(torch.cartesian_prod(2 * x - 1, 2 * y)).detach().view(9, 9)
    values = torch.linalg.svdvals(table - table.mean())
    assert int((values > 1e-12 * values[0]).sum()) <= 4, "three products and a constant"
    assert int((values > 1e-12 * values[0]).sum()) >= 3


def test_a_new_product_vanishes_but_a_step_can_move_it(generator):
    network = SPIKAN(1, degree=5, grid=4)(SQUARE.ranges, generator=generator)
    x = uniform(40, generator).x
    before = network(x)
    network.widen(2, generator)
    assert torch.allclose(network(x), before, rtol=1e-13, atol=1e-13)
    (slopes,) = torch.autograd.grad(network(x).square().sum(), [network.layers[0].weight])
    new = slopes.view(2, -1, 3)[..., 1:].abs().amax(dim=1)
    assert bool((new > 0).any(dim=0).all()), "every new product has a factor that changes the output"


def test_cells_are_halved_where_the_shares_are_and_the_functions_stay(generator):
    network = SPIKAN(2, degree=5, grid=4)(SQUARE.ranges, generator=generator)
    x = uniform(500, generator).x
    before = network(x)
    network.refine_where(x, exp(-100 * (x[:, 0] - 0.3) ** 2), 12)
    assert torch.allclose(network(x), before, rtol=1e-9, atol=1e-9)
    in_x, in_y = network.ends
    assert len(in_x) == len(in_y) == 13
    narrow = in_x.diff().argmin()
    assert 0.2 <= float(in_x[narrow]) <= 0.4 and in_x.diff().min() < 0.3 * in_y.diff().min()


def test_equal_shares_halve_all_cells():
    x = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    ends = halved(torch.linspace(-1, 1, 5, dtype=torch.float64), x, torch.ones_like(x), 8)
    assert torch.allclose(ends, torch.linspace(-1, 1, 9, dtype=torch.float64))


def test_polynomials_and_their_jets(generator):
    network = polynomials(SQUARE.ranges, 1, 30, "cpu", torch.float64)
    with torch.no_grad():
        network.layers[0].weight.normal_(generator=generator)
    assert network.layers[0].weight.shape == (28, 1), "of a total degree of at most 6"
    space = JetSpace.spanned([LAPLACIAN, (0, 1), (1, 1, 1)], (0, 1))
    x = uniform(20, generator).x
    for found, wanted in zip(jets(network, x, space), autograd(network, x, space), strict=True):
        assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-10)


# points --------------------------------------------------------------------------------------------------------------
def test_mapped_points_have_the_same_means_and_follow_the_cells(generator):
    points = mapped(uniform(200_000, generator), [ENDS, torch.linspace(0, 2, 5, dtype=torch.float64)])
    x, y = points.x.unbind(1)
    for mean, wanted in (((x**2 * y).mul(points.weight).sum(), 1 / 3), ((y**3).mul(points.weight).sum(), 2.0)):
        assert abs(float(mean) - wanted) < 0.02
    inside = ((x > 0) & (x < 0.05)).double().mean()
    assert float(inside) == pytest.approx(0.5 / 4 + 0.5 * 0.025, abs=0.01)


def test_faces_stay_where_they_are(generator):
    network = SPIKAN(1, degree=5, grid=4)(SQUARE.ranges, generator=generator)
    x = uniform(500, generator).x
    network.refine_where(x, (x[:, 0] > 0).double(), 9)
    plain = SQUARE.boundary.sample("uniform", 400, generator)
    points = graded(plain, SQUARE.boundary, SQUARE, network)
    fixed = (plain.x[:, 0].abs() == 1) | (plain.x[:, 1] == 0) | (plain.x[:, 1] == 2)
    assert bool(fixed.all())
    for i in (0, 1):
        at_end = (plain.x[:, i] == SQUARE.ranges[i][0]) | (plain.x[:, i] == SQUARE.ranges[i][1])
        assert torch.equal(points.x[at_end, i], plain.x[at_end, i])
    assert float(points.weight.sum()) == pytest.approx(1.0) and not torch.equal(points.x, plain.x)


def test_slices_inside_the_box_and_rounded_faces_keep_their_points(generator):
    box = Box(x=(0.07, 0.81), y=(0.0, 2.0))
    network = SPIKAN(1, degree=5, grid=4)(box.ranges, generator=generator)
    x = box.interior.sample("uniform", 500, generator).x
    network.refine_where(x, (x[:, 0] > 0.5).double(), 9)
    inside = box.at(x=0.3)
    points = inside.sample("uniform", 50, generator)
    assert graded(points, inside, box, network) is points
    for side in (0, 1):
        face = box.face("x", side)
        points = face.sample("uniform", 2000, generator)
        found = graded(points, face, box, network)
        assert torch.equal(found.x[:, 0], points.x[:, 0])
    both = graded(box.boundary.sample("gauss", 4000, generator), box.boundary, box, network)
    on_left = both.x[:, 0] == both.x[:, 0].min()
    share = box.boundary.sample("gauss", 4000, generator)
    wanted = share.weight[share.x[:, 0] == share.x[:, 0].min()].sum()
    assert float(both.weight[on_left].sum()) == pytest.approx(float(wanted), rel=0.02)


def test_parts_of_another_box_are_not_graded(generator):
    network = SPIKAN(1, degree=5, grid=4)(SQUARE.ranges, generator=generator)
    x = uniform(500, generator).x
    network.refine_where(x, (x[:, 0] > 0).double(), 9)
    part = Box(x=(0.0, 0.5), y=(0.0, 1.0)).interior
    points = part.sample("uniform", 100, generator)
    assert graded(points, part, SQUARE, network) is points


def source(width):
    """A narrow source in the unit square, with the solution of the whole plane on the boundary; exact without it."""
    domain, (a, b) = Box(x=(0.0, 1.0), y=(0.0, 1.0)), (0.6123, 0.4321)

    def residual(u):
        x, y = u.coords
        square = ((x - a) ** 2 + (y - b) ** 2) / width**2
        return -laplacian(u) - exp(-square) / (pi * width**2)

    def outside(x, y):
        return -log((x - a) ** 2 + (y - b) ** 2) / (4 * pi)

    return Problem(domain, {"pde": Condition(domain.interior, residual), "b": dirichlet(domain.boundary, outside)})


@pytest.mark.long
def test_a_narrow_source_is_found_or_the_tolerance_is_not_reached(monkeypatch):
    """Dense random points see what the training points miss."""
    monkeypatch.setattr(kanpde.training.sampling, "LEAST_OF_PRODUCTS", 4096)  # as in all runs: fewer see nothing
    solution = kanpde.solve(source(4e-3), tolerance=1e-2, time_limit=12)
    x, y = 0.7, 0.5
    wanted = -log(torch.tensor((x - 0.6123) ** 2 + (y - 0.4321) ** 2)) / (4 * pi)
    error = abs(float(solution(x, y)) - float(wanted)) / float(wanted)
    assert solution.ending.end is not End.TOLERANCE_REACHED or error < 3e-2, (str(solution.ending), error)


# runs ----------------------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_a_peak_reaches_its_tolerance(generator):
    problem = load_problem("peak")(sharpness=100.0)
    solution = kanpde.solve(replace(problem, exact=None), tolerance=1e-3)
    error = kanpde.solution.Errors(problem, torch.device("cpu"), torch.float64).l2(solution.components)
    assert solution.ending.end is End.TOLERANCE_REACHED and error < 1e-3
    assert 0.3 < solution.settings["estimate"] / error < 3
    assert solution.model.is_separable and len(solution.model.ends) == 2


def test_the_solution_zero_is_reached():
    problem = Problem(SQUARE, {"pde": Condition(SQUARE.interior, laplacian), "b": dirichlet(SQUARE.boundary)})
    assert kanpde.solve(problem, tolerance=1e-3, time_limit=20).ending.end is End.TOLERANCE_REACHED


@pytest.mark.slow
def test_five_coordinates_are_within_reach():
    solution = kanpde.solve(load_problem("poisson")(dim=5), tolerance=1e-2)
    assert solution.ending.end is End.TOLERANCE_REACHED and solution.errors["u"]["l2"] < 1e-2


def test_a_schedule_gives_a_sum_of_products_no_estimate():
    """Its tangent space lacks further products, so that an estimate there may be far too large or too small."""
    problem = load_problem("poisson")(solution="mixed")
    solution = kanpde.solve(problem, SPIKAN(1, degree=5), [kanpde.Phase(kanpde.LM(), steps=5)])
    assert isnan(solution.settings["estimate"])


@pytest.mark.long
def test_what_products_do_not_solve_is_left_to_the_network(monkeypatch):
    monkeypatch.setattr(kanpde.training.separation, "MOST_PARAMETERS", 30)
    lines, problem = [], load_problem("poisson")(solution="mixed")
    solution = kanpde.solve(problem, phases=[Phase(LM(), steps=20)], tolerance=2e-2, starts=1, log=lines.append)
    assert any("the network of the options" in line for line in lines)
    assert solution.ending.end is End.TOLERANCE_REACHED and solution.errors["u"]["l2"] < 2e-2
    assert not solution.model.is_separable and "estimate" in solution.levels[0]


@pytest.mark.long
def test_the_more_accurate_attempt_is_the_result(monkeypatch):
    monkeypatch.setattr(kanpde.training.separation, "MOST_PARAMETERS", 60)
    monkeypatch.setattr(kanpde.training.tolerance, "MOST_IDLE", 0)
    solution = kanpde.solve(load_problem("helmholtz")(), phases=[Phase(LM(), steps=5)], tolerance=1e-9, starts=1)
    assert solution.ending.end is End.NOT_REACHED and "sum of products" in str(solution.ending)
    assert solution.model.is_separable and solution.settings["estimate"] < 1e-3


@pytest.mark.long
@pytest.mark.parametrize("missing", ["x1", None])
def test_a_missing_side_is_noticed(missing):
    """The solution is a product, to which harmonic functions that are no such products can be added."""
    domain = Box(x=(0.0, 1.0), y=(0.0, 1.0))

    def exact(x, y):
        return cos(2 * x) * exp(2 * y)

    sides = {f"{name}{side}": dirichlet(domain.face(name, side), exact) for name in "xy" for side in (0, 1)}
    sides.pop(missing, None)
    problem = Problem(domain, {"pde": Condition(domain.interior, laplacian), **sides})
    solution = kanpde.solve(problem, tolerance=1e-2)
    is_reached = solution.ending.end is End.TOLERANCE_REACHED
    assert is_reached == (missing is None)
    assert bool(solution.warnings) == (missing is not None)


@pytest.mark.parametrize("change", [{"model": KAN([3])}, {"dtype": "float32"}, {"derivatives": "autograd"}])
def test_only_the_default_network_begins_with_products(change, monkeypatch):
    begun = []
    monkeypatch.setattr(kanpde.training.attempts, "with_products", lambda *a: begun.append(a))
    phases = [kanpde.Phase(kanpde.LBFGS(), steps=2)] if "derivatives" in change else None
    with suppress(kanpde.InputError):
        kanpde.solve(load_problem("poisson")(), phases=phases, tolerance=0.5, starts=1, time_limit=0.1, **change)
    assert not begun


@pytest.mark.long
def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    """It is stopped after the first larger network."""
    problem, steps = load_problem("helmholtz")(), []
    full = kanpde.solve(problem, tolerance=1e-2, observe=steps.append)
    count = len(steps) - 3

    def interrupt(progress):
        nonlocal count
        count -= 1
        if count == 0:
            raise KeyboardInterrupt

    cut = kanpde.solve(problem, tolerance=1e-2, folder=tmp_path / "run", observe=interrupt)
    assert cut.ending.end is End.INTERRUPTED
    again = kanpde.resume(tmp_path / "run", problem)
    assert again.ending.end is full.ending.end is End.TOLERANCE_REACHED
    for a, b in zip(full.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
