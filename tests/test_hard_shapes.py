"""Values built into solutions on shapes: exact on closed smooth walls, taken from these alone, refused at corners."""

import json

import pytest
import torch
from conftest import load_problem
from test_hard import built, by_value, flow

from kanpde import (
    KAN,
    Ball,
    Condition,
    Curve,
    Disk,
    Ellipse,
    InputError,
    Phase,
    Polygon,
    Problem,
    Rectangle,
    Region,
    Sampling,
    dirichlet,
    initial,
    laplacian,
    neumann,
    solve,
)
from kanpde.hard_constraints import hardened
from kanpde.storage.store import load, save
from kanpde.training.constraints import constrained

pytestmark = pytest.mark.usefixtures("unchecked")
RING = Disk(name="outer") - Disk((0.2, 0.1), 0.3, name="hole")
OVAL = Ellipse((0.1, 0.0), (1.2, 0.7), 0.4) - Ellipse((0.2, 0.1), (0.2, 0.3), 0.3, name="hole")
SHELL = Ball(radius=1.0, name="outer") - Ball((0.1, 0.0, 0.0), 0.4, name="inner")
DURING = RING.over(t=(0.5, 2.0))
SQUARE = Rectangle((-1.0, 1.0), (-1.0, 1.0)) - Disk(radius=0.3, name="hole")


def smooth(*x):
    return torch.exp(0.3 * x[0]) * torch.cos(x[-1]) + x[0] ** 2


def square(x, y):
    return x * x


def bump(*x):
    """1 - r²; the coordinate t may follow those of space."""
    return 1 - sum(value * value for value in x[: SPACE[len(x)]])


SPACE = {2: 2, 3: 2, 4: 3}
WARM, WARM_BALL = (shape.over(t=(0.5, 2.0)) for shape in (Disk(), Ball()))


def of(domain, **conditions):
    pde = flow if domain.time is not None else laplacian
    return Problem(domain, {"pde": Condition(domain.interior, pde), **conditions})


PROBLEMS = {
    "ring": of(RING, b=dirichlet(RING.boundary, smooth)),
    "two values": of(RING, a=dirichlet(RING.part("outer"), smooth), b=dirichlet(RING.part("hole"), 2.0)),
    "oval": of(OVAL, b=dirichlet(OVAL.boundary, smooth)),
    "shell": of(SHELL, a=dirichlet(SHELL.part("inner"), smooth), b=dirichlet(SHELL.part("outer"), 1.0)),
    "one wall": of(RING, a=dirichlet(RING.part("hole"), smooth), b=neumann(RING.part("outer"), 1.0)),
    "evolution": of(DURING, a=dirichlet(DURING.boundary, smooth), start=initial(DURING.at(t=0.5), smooth)),
    "start": of(DURING, a=neumann(DURING.boundary), start=initial(DURING.at(t=0.5), smooth)),
    "cooling": of(WARM, a=dirichlet(WARM.boundary), start=initial(WARM.at(t=0.5), bump)),
    "cooling, by functions": of(WARM, a=dirichlet(WARM.boundary, bump), start=initial(WARM.at(t=0.5), bump)),
    "cooling ball": of(WARM_BALL, a=dirichlet(WARM_BALL.boundary), start=initial(WARM_BALL.at(t=0.5), bump)),
    "heated ball": of(
        WARM_BALL,
        a=dirichlet(WARM_BALL.boundary, lambda x, y, z, t: (t - 0.5) * x),
        start=initial(WARM_BALL.at(t=0.5), bump),
    ),
    "some": of(SQUARE, a=dirichlet(SQUARE.part("hole"), smooth), b=dirichlet(SQUARE.part("x=1"), smooth)),
}


def first_part(problem):
    """What is built into the first unknown."""
    return problem.ansatz.function.parts[0]


@pytest.mark.parametrize("name", PROBLEMS)
def test_values_hold_exactly_on_their_walls_for_any_network(name):
    problem = hardened(PROBLEMS[name])
    assert problem.ansatz is not None and problem.ansatz.satisfies
    left = set(problem.trained) - {"pde"}
    assert left == {"one wall": {"b"}, "start": {"a"}, "some": {"b"}}.get(name, set())
    for each in problem.ansatz.satisfies:
        condition = problem.conditions[each]
        points = condition.region.sample("sobol", 60)
        residual = condition.residual(*built(problem, points.x)).value.detach()
        assert float(residual.abs().max()) < 1e-13, each


@pytest.mark.parametrize("at", [0.0, 10.0])
def test_values_that_vanish_up_to_rounding_are_zero_inside_too(at):
    disk = Disk((at, 0.0))
    problem = hardened(of(disk, b=dirichlet(disk.boundary, lambda x, y: bump(x - at, y))))
    (u,) = built(problem, disk.interior.sample("sobol", 30).x)
    assert float(first_part(problem).lift(u.coords).value.abs().max()) < 1e-15, "the solution itself was built in"


def test_walls_in_time_without_initial_values():
    disk = Disk().over(t=(0.0, 2.0))
    problem = hardened(of(disk, b=dirichlet(disk.part("disk"), lambda x, y, t: torch.exp(0.3 * y) * torch.cos(t))))
    x = disk.part("disk").sample("sobol", 30).x
    (u,) = built(problem, x)
    torch.testing.assert_close(u.value, torch.exp(0.3 * x[:, 1]) * torch.cos(x[:, 2]), rtol=0, atol=1e-13)


def test_values_of_two_walls_are_blended_by_the_inverse_distances():
    problem = hardened(of(RING, a=dirichlet(RING.part("outer")), b=dirichlet(RING.part("hole"), 1.0)))
    x = RING.interior.sample("sobol", 20).x
    (u,) = built(problem, x)
    outer = (1 - x.square().sum(dim=1)) / 2
    hole = (((x - torch.tensor([0.2, 0.1])) / 0.3).square().sum(dim=1) - 1) / 2 * 0.3
    torch.testing.assert_close(first_part(problem).lift(u.coords).value, outer / (outer + hole))


def test_a_square_on_two_walls_is_continued_as_itself():
    """Blending would not: the values of the hole alone would be continued as a harmonic function."""
    hole_first = of(RING, b=dirichlet(RING.part("hole"), square), a=dirichlet(RING.part("outer"), square))
    for problem in (of(RING, b=dirichlet(RING.boundary, square)), hole_first):
        part = first_part(hardened(problem))
        (u,) = built(hardened(problem), RING.interior.sample("sobol", 30).x)
        torch.testing.assert_close(part.lift(u.coords).value, square(*u.coords).value, rtol=0, atol=1e-13)
        older = {key: value for key, value in part.describe().items() if key != "is_nested"}
        assert part.is_nested and not type(part).from_description(older).is_nested, "older files have blended values"


@pytest.mark.parametrize("name", ["two values", "oval", "shell", "evolution"])
def test_derivatives_are_those_of_the_built_solution(name):
    """Through jets, the chain rule and powers of a complex number, against autograd of the values alone."""
    problem = hardened(PROBLEMS[name])
    x = problem.domain.interior.sample("sobol", 9).x.requires_grad_()
    (u,) = built(problem, x, by_value)
    slopes = torch.autograd.grad(u.value.sum(), x, create_graph=True)[0]
    (quick,) = built(problem, x.detach())
    for i in range(x.shape[1]):
        bend = torch.autograd.grad(slopes[:, i].sum(), x, retain_graph=True)[0]
        wanted = {(i,): slopes[:, i]} | {tuple(sorted((i, j))): bend[:, j] for j in range(x.shape[1])}
        for key, value in wanted.items():
            assert torch.allclose(
                torch.as_tensor(quick.component(key)).detach(), value.detach(), rtol=1e-10, atol=1e-10
            ), key


def test_only_values_on_the_walls_enter():
    def walls_only(x, y):
        r, s = torch.hypot(x.value, y.value), torch.hypot(x.value - 0.2, y.value - 0.1)
        assert bool((((r - 1).abs() < 1e-12) | ((s - 0.3).abs() < 1e-12)).all()), "asked for values inside"
        return x * y

    built(hardened(of(RING, b=dirichlet(RING.boundary, walls_only))), RING.interior.sample("sobol", 30).x)


def test_a_network_meets_the_domain_with_a_distance_that_vanishes_on_walls_only():
    for name, domain in {"ring": RING, "oval": OVAL, "shell": SHELL}.items():
        problem = hardened(PROBLEMS[name])
        part = first_part(problem)
        x = problem.domain.interior.sample("sobol", 500).x
        (u,) = built(problem, x)
        distance = part.distance(u.coords).value
        inside = torch.as_tensor(-domain.level(x.numpy()))
        assert float((distance / inside).min()) > 0.02 and float(distance.max()) <= 1.0


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (SQUARE, "edges or corners"),
        (Polygon(((0, 0), (1, 0), (0, 1))), "edges or corners"),
        (Curve.polar(lambda a: 1 + 0.3 * torch.cos(5 * torch.as_tensor(a)).numpy()), "no smooth function"),
        (Disk(name="a") | Disk((1.0, 0.0), name="b"), "only a piece"),
        (Disk(name="a") - Disk((0.5, 0.0), 0.5, name="b"), "meets another part"),
    ],
)
def test_corners_and_walls_that_meet_are_refused_with_the_reason(shape, message):
    problem = of(shape, b=dirichlet(shape.boundary))
    with pytest.raises(InputError, match=message):
        hardened(problem)
    assert constrained(problem, "auto").constraints == "soft"


def test_values_of_high_frequency_on_a_hole_do_not_grow_away_from_it():
    def rapid(x, y):
        real, imaginary = (x - 0.2) / 0.3, (y - 0.1) / 0.3
        for _ in range(3):  # the real part of the eighth power
            real, imaginary = real * real - imaginary * imaginary, 2 * real * imaginary
        return real

    problem = hardened(of(RING, b=dirichlet(RING.part("hole"), rapid)))
    (u,) = built(problem, RING.interior.sample("sobol", 200).x)
    assert float(first_part(problem).lift(u.coords).value.abs().max()) <= 1.0
    slow = first_part(hardened(of(RING, b=dirichlet(RING.part("hole"), lambda x, y: x - y))))
    x, y = u.coords
    assert torch.allclose(slow.lift(u.coords).value, (x - y).value), "linear values are continued without a pole"


def test_values_are_finite_at_the_centre_of_a_disk():
    disk = Disk()
    (u,) = built(hardened(of(disk, b=dirichlet(disk.boundary, smooth))), torch.zeros(1, 2, dtype=torch.float64))
    for key in ((), (0,), (0, 1), (1, 1), (0, 0, 1)):
        assert bool(torch.isfinite(torch.as_tensor(u.component(key))).all())


def test_the_log_says_what_stays_soft_and_what_a_file_cannot_hold():
    line = constrained(PROBLEMS["some"], "hard").line
    assert line.startswith('constraints: hard for a; soft for "b". The part "rectangle"') and "loading" not in line
    assert "loading the result will need the problem" in constrained(PROBLEMS["evolution"], "hard").line


def test_two_values_on_a_wall_are_refused():
    problem = of(RING, b=dirichlet(RING.boundary), h=dirichlet(RING.part("hole"), 1.0))
    with pytest.raises(InputError, match='"b" and "h" both give values of u on the part "hole"'):
        hardened(problem)


def test_values_that_contradict_the_initial_ones_are_refused():
    problem = of(DURING, a=dirichlet(DURING.boundary, 1.0), start=initial(DURING.at(t=0.5), 0.0))
    with pytest.raises(InputError, match='should satisfy the condition "start"'):
        solve(problem, KAN([1], degree=5, grid=1), [Phase(steps=1)], constraints="hard")


@pytest.mark.parametrize(("constraints", "rule"), [("soft", "auto"), ("hard", "sobol")])
def test_points_are_scattered_where_values_are_built_in(constraints, rule, monkeypatch):
    """Tensor rules leave gaps on shapes, which without points on the walls nothing bridges."""
    rules, sample = set(), Region.sample

    def noted(self, name, n, *others):
        if 50 < n < 100 and name != "uniform":  # else points of checks, or random ones
            rules.add(name)
        return sample(self, name, n, *others)

    monkeypatch.setattr(Region, "sample", noted)
    estimating = "sobol" if constraints == "hard" else "gauss"
    for asked, used in (("auto", rule), ("chebyshev", "chebyshev")):
        rules.clear()
        sampling, network = Sampling(asked, interior=60, boundary=20), KAN([1], degree=5, grid=1)
        found = solve(PROBLEMS["start"], network, [Phase(steps=1)], sampling=sampling, constraints=constraints)
        assert rules == {used, estimating} and found.settings["rule"] == used


@pytest.mark.slow
def test_a_network_with_built_in_values_satisfies_the_equation_between_the_training_points():
    """With tensor points the error was 3.9e-6, and the loss on fresh points 500 times that on the training points."""
    found = solve(load_problem("cooling")(), KAN([6]), [Phase(steps=40)], constraints="hard", threads=1)
    assert found.errors["u"]["l2"] < 1e-6
    assert found.levels[-1]["fresh"] < 3 * found.levels[-1]["loss"]


def test_a_file_holds_the_built_in_values(tmp_path):
    problem = PROBLEMS["two values"]
    lines = []
    found = solve(
        problem, KAN([2], degree=5, grid=1), [Phase(steps=2)], sampling=Sampling(interior=60, boundary=20),
        constraints="hard", log=lines.append,
    )  # fmt: skip
    assert any("constraints: hard for a, b" in line for line in lines)
    save(found, tmp_path)
    back = load(tmp_path)
    x, y = RING.interior.sample("sobol", 20).x.unbind(1)
    assert torch.equal(back(x, y), found(x, y)) and torch.equal(back.diff("x")(x, y), found.diff("x")(x, y))
    part = first_part(hardened(problem))
    again = type(part).from_description(json.loads(json.dumps(part.describe())))
    (u,) = built(hardened(problem), RING.interior.sample("sobol", 20).x)
    assert torch.equal(again.lift(u.coords).value, part.lift(u.coords).value)
