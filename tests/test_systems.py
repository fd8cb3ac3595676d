"""Systems: vector unknowns in residuals, conditions, exact solutions, errors and files."""

import pickle
from dataclasses import replace

import h5py
import pytest
import torch
from conftest import load_problem

import kanpde.training.evolution
from kanpde import (
    KAN,
    LM,
    Box,
    Condition,
    InputError,
    Phase,
    Problem,
    Sampling,
    Vector,
    diff,
    dirichlet,
    divergence,
    gradient,
    initial,
    laplacian,
    load,
    material_derivative,
    neumann,
    periodic,
    robin,
    save,
    solve,
)
from kanpde.calculus.field import Field
from kanpde.hard_constraints import hardened
from kanpde.residuals.evaluation import components_of, formula_fields, from_components, residuals_of
from kanpde.residuals.jumps import disagreements
from kanpde.residuals.objective import Objective
from kanpde.storage.store import read_record
from kanpde.study.outcomes import read_study

pytestmark = pytest.mark.usefixtures("unchecked")
SQUARE = Box(x=(0.0, 1.0), y=(0.0, 1.0))
UNKNOWNS = ("velocity:2", "p")


def swirl(x, y):
    return torch.sin(x) * y, x * y**2


def at_points(problem, name, function):
    """The residuals of a condition for a function of the coordinates."""
    points = problem.conditions[name].region.sample("gauss", 16)
    return residuals_of(
        problem, name, lambda context, space: formula_fields(problem, function, context), points
    ), points


def test_names_and_arguments():
    seen = []

    def residual(v, p):
        seen.append((v, p))
        return laplacian(v) - gradient(p), divergence(v)

    problem = Problem(SQUARE, {"pde": Condition(SQUARE.interior, residual)}, UNKNOWNS)
    assert problem.unknowns == ("velocity_x", "velocity_y", "p")
    assert problem.vectors == {"velocity": ("velocity_x", "velocity_y")}
    found, points = at_points(problem, "pde", lambda x, y: (swirl(x, y), x * y))
    assert isinstance(seen[0][0], Vector) and seen[0][0].name == "velocity" and isinstance(seen[0][1], Field)
    x, y = points.x.unbind(1)
    for got, wanted in zip(found, (-x.sin() * y - y, 2 * x - x, x.cos() * y + 2 * x * y), strict=True):
        assert torch.allclose(got, wanted)
    again = replace(problem, scale=(1.0, 1.0, 2.0))
    assert again.unknowns == problem.unknowns and list(again.vector_unknowns) == ["velocity"]
    assert len(at_points(again, "pde", lambda x, y: (*swirl(x, y), x))[0]) == 3
    in_time = Box(x=(0.0, 1.0), y=(0.0, 1.0), t=(0.0, 1.0))
    assert Problem(in_time, {}, ("a", "b:3")).unknowns == ("a", "b_1", "b_2", "b_3"), "the plane has two names"
    own = Problem(SQUARE, {"pde": Condition(SQUARE.interior, residual)}, ("p", "u", "v"), vectors={"w": ("u", "v")})
    assert isinstance(seen[-1][0], Vector) and not own.vector_unknowns
    named = Problem(SQUARE, {"pde": Condition(SQUARE.interior, residual)}, ("w: u, v", "p"))
    assert named.unknowns == ("u", "v", "p") and named.vectors == {"w": ("u", "v")}
    again = pickle.loads(pickle.dumps(named.unknowns))
    assert again == named.unknowns and again.layout == named.unknowns.layout == (("w", 2), ("p", 0))
    found, points = at_points(named, "pde", lambda x, y: (swirl(x, y), x * y))
    assert seen[-1][0].name == "w" and torch.allclose(found[2], points.x[:, 0].cos() * points.x[:, 1] + 2 * x * y)


def test_a_vector_formulation_gives_the_same_residuals_and_jacobian():
    """As one field for every component, by hand."""

    def by_hand(u, v, p):
        return (
            u * diff(u, "x") + v * diff(u, "y") + diff(p, "x") - laplacian(u) / 40.0,
            u * diff(v, "x") + v * diff(v, "y") + diff(p, "y") - laplacian(v) / 40.0,
            diff(u, "x") + diff(v, "y"),
        )

    def on_boundary(u, v, p):
        wanted = exact(*u.coords)
        return u - wanted[0], v - wanted[1]

    problem = load_problem("kovasznay")()
    flow, domain, exact = problem.conditions["flow"], problem.domain, problem.exact
    conditions = {
        "flow": Condition(flow.region, by_hand),
        "boundary": Condition(domain.boundary, on_boundary),
        "pressure": dirichlet(domain.at(x=0.0, y=0.5), 0.0, "p"),
    }
    flat = Problem(domain, conditions, ("u", "v", "p"))
    network = KAN([4], degree=5, grid=3)(domain.ranges, 3, generator=torch.Generator().manual_seed(1))
    points = {name: c.region.sample("gauss", 60) for name, c in problem.conditions.items()}
    (r, jacobian), (other, wanted) = (Objective(p, network, points).linearize() for p in (problem, flat))
    assert torch.allclose(r, other, rtol=1e-12, atol=1e-13)
    assert torch.allclose(jacobian, wanted, rtol=1e-11, atol=1e-11 * float(wanted.abs().max()))


def test_standard_conditions_of_vectors():
    walls = SQUARE.face("x", 1)
    conditions = {
        "values": dirichlet(walls, swirl, "velocity"),
        "first": dirichlet(walls, (1.0, 2.0)),
        "still": dirichlet(walls, 0.0, "velocity"),
        "one": dirichlet(walls, 0.5, "velocity_y"),
        "flux": neumann(walls, (0.0, 1.0), "velocity"),
        "mixed": robin(walls, 2.0, 1.0, 0.0, "velocity"),
        "around": periodic(SQUARE, "x", "velocity"),
    }
    problem = Problem(SQUARE, conditions, UNKNOWNS)
    found = {name: at_points(problem, name, lambda x, y: (*swirl(x, y), x))[0] for name in conditions}
    y = at_points(problem, "values", lambda x, y: (*swirl(x, y), x))[1].x[:, 1]
    u, v, u_x, v_x = (torch.tensor(1.0).double().sin() * y, y**2, torch.tensor(1.0).double().cos() * y, y**2)
    wanted = {
        "values": (0 * y, 0 * y),
        "first": (u - 1, v - 2),
        "still": (u, v),
        "one": (v - 0.5,),
        "flux": (u_x, v_x - 1),
        "mixed": (2 * u + u_x, 2 * v + v_x),
    }
    for name, values in wanted.items():
        assert len(found[name]) == len(values), name
        assert all(torch.allclose(a, b) for a, b in zip(found[name], values, strict=True)), name
    assert len(found["around"]) == 4
    assert [given.unknown for given in problem.given("first")] == ["velocity_x", "velocity_y"]
    assert [given.value for given in problem.given("first")] == [1.0, 2.0]


def test_given_vectors_are_built_in():
    lid = {
        "left": dirichlet(SQUARE.face("x", 0), 0.0, "velocity"),
        "right": dirichlet(SQUARE.face("x", 1), lambda x, y: (y * (1 - y), 0 * x), "velocity"),
    }
    problem = Problem(SQUARE, {"pde": Condition(SQUARE.interior, lambda v, p: divergence(v)), **lid}, UNKNOWNS)
    hard = hardened(problem)
    assert set(hard.ansatz.satisfies) == {"left", "right"}
    network = KAN([3], degree=4, grid=3)(SQUARE.ranges, 3, generator=torch.Generator().manual_seed(1))
    built = Objective(hard, network, {"pde": SQUARE.interior.sample("gauss", 25)})
    assert len(built.values()) == 25
    unknowns = from_components(hard, components_of(network, "jets"))
    for name in lid:
        points = hard.conditions[name].region.sample("gauss", 9)
        assert max(float(r.abs().max()) for r in residuals_of(hard, name, unknowns, points)) < 1e-14


def test_values_that_disagree_are_found_by_component():
    walls = {
        "left": dirichlet(SQUARE.face("x", 0), 0.0, "velocity"),
        "top": dirichlet(SQUARE.face("y", 1), lambda x, y: (0 * x, 1 + 0 * x), "velocity"),
    }
    (jump,) = disagreements(Problem(SQUARE, walls, UNKNOWNS), torch.device("cpu"))
    assert jump.where["x"] == 0.0 and jump.where["y"] == 1.0
    smooth = walls | {"top": dirichlet(SQUARE.face("y", 1), lambda x, y: (x, x**2), "velocity")}
    assert not disagreements(Problem(SQUARE, smooth, UNKNOWNS), torch.device("cpu"))
    apart = walls | {"top": dirichlet(SQUARE.face("y", 1), 1.0, "p")}
    assert not disagreements(Problem(SQUARE, apart, UNKNOWNS), torch.device("cpu"))


def test_initial_vectors_make_a_problem_of_evolution():
    domain = Box(x=(0.0, 1.0), t=(0.0, 1.0))
    conditions = {
        "pde": Condition(domain.interior, lambda w: diff(w, "t") - laplacian(w)),
        "initial": initial(domain.at(t=0.0), lambda x, t: (x, 1 - x), "w"),
        "ends": dirichlet(domain.boundary, lambda x, t: (x, 1 - x), "w"),
    }
    evolution = kanpde.training.evolution.evolution_of(Problem(domain, conditions, ("w:2",)))
    start = kanpde.training.evolution.initial_values(evolution, torch.tensor([0.25], dtype=torch.float64))
    assert start.flatten().tolist() == [0.25, 0.75]


@pytest.mark.long
def test_errors_files_and_records(tmp_path):
    problem = load_problem("kovasznay")()
    few = Sampling(interior=100, boundary=40)
    solution = solve(problem, KAN([3], degree=4, grid=3), [Phase(LM(), steps=2)], sampling=few)
    errors = solution.errors
    assert list(errors) == ["velocity_x", "velocity_y", "p", "velocity"]
    exact, x = solution.problem.exact, problem.domain.test_points("cpu", torch.float64)
    found, wanted = (torch.stack(f(*x.unbind(1))[:2]) for f in (solution, exact))
    assert errors["velocity"]["l2"] == pytest.approx(float((found - wanted).norm() / wanted.norm()))
    worst = max(of["l2"] for of in errors.values())
    assert solution.history[-1]["error"] == pytest.approx(worst) == solution.levels[-1]["l2"]
    assert solution.levels[-1]["l2_p"] == errors["p"]["l2"]
    folder = tmp_path / "runs" / "kan" / "0"
    save(solution, folder)
    record = read_record(folder)
    assert record["l2"] == record["error"] == pytest.approx(worst)
    (tmp_path / "study.yaml").write_text("{arms: {kan: {}}, seeds: [0]}")
    study = read_study(tmp_path)
    assert study.final_errors()["kan"][0] == pytest.approx(worst), "verdicts count all unknowns"
    with h5py.File(folder / "solution.vtkhdf") as file:
        names = []
        file.visit(names.append)
        (own,) = (name for name in names if name.endswith("PointData/velocity"))
        assert file[own].shape[-1] == 3
    assert torch.equal(load(folder)(*x.unbind(1))[2], solution(*x.unbind(1))[2])
    assert list(load(folder, problem).errors) == list(errors)


def test_an_unknown_that_vanishes_has_no_relative_error():
    still = Problem(SQUARE, {"pde": Condition(SQUARE.interior, laplacian)}, ("v:2",), exact=lambda x, y: (x + y, 0 * x))
    errors = kanpde.solution.Errors(still, torch.device("cpu"), torch.float64)
    network = KAN([2], degree=4, grid=2)(SQUARE.ranges, 2, generator=torch.Generator().manual_seed(1))
    components = components_of(network, "jets")
    assert list(errors.all(components)) == ["v_x", "v"]
    assert errors.l2(components) == pytest.approx(errors.all(components)["v_x"]["l2"])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Problem(SQUARE, {}, ("v:4",)), 'two or three components, such as "velocity:2", got "v:4"'),
        (lambda: Problem(SQUARE, {}, (":2",)), "two or three components"),
        (lambda: Problem(SQUARE, {}, ("v:2", "v_x")), "names of unknowns must differ"),
        (lambda: Problem(SQUARE, {}, ("v:2", "v")), "v occurs twice"),
        (lambda: Problem(SQUARE, {}, ("w:u",)), 'got "w:u". Write unknowns'),
        (lambda: Problem(SQUARE, {}, 2), "unknowns must be a tuple of names, got 2"),
        (lambda: Problem(SQUARE, {}, ()), "unknowns must be a tuple of names"),
        (lambda: Problem(SQUARE, {}, ("u", 1)), "name of an unknown is text, got 1"),
        (
            lambda: checked(dirichlet(SQUARE.boundary, 0.0, "speed")),
            'no unknown "speed". Choices: p, velocity, velocity_x',
        ),
        (lambda: checked(dirichlet(SQUARE.boundary, lambda x, y: x)), "2 entries is combined with one of as many"),
        (lambda: checked(Condition(SQUARE.interior, lambda v, p: material_derivative(p, v))), None),
    ],
)
def test_mistakes_are_explained(build, message):
    if message is None:
        build()
        return
    with pytest.raises(InputError) as caught:
        build()
    assert message in str(caught.value)


def checked(condition):
    problem = Problem(SQUARE, {"one": condition}, UNKNOWNS)
    return at_points(problem, "one", lambda x, y: (x, y, x))
