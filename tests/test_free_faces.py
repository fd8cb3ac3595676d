"""Faces of boxes without a condition, and systems with an equation too few, are named; complete problems are not."""

import re
from dataclasses import replace

import pytest
import torch
from conftest import ROOT, load_problem, problem_cases

from kanpde import (
    KAN,
    LM,
    MLP,
    Ansatz,
    Box,
    Condition,
    Phase,
    Problem,
    Region,
    Sampling,
    data,
    diff,
    dirichlet,
    initial,
    integral,
    laplacian,
    neumann,
    periodic,
    solve,
)
from kanpde.domains import Points
from kanpde.ends import End
from kanpde.errors import ResultWarning
from kanpde.hard_constraints import hardened
from kanpde.residuals.equations import equation_warnings, equations_of
from kanpde.residuals.free_faces import free_faces
from kanpde.residuals.uncovered import free_part_warnings, free_parts

SQUARE = Box(x=(0.0, 1.0), y=(0.0, 1.0))
LINE = Box(x=(0.0, 1.0))
ROD = Box(x=(0.0, 1.0), t=(0.0, 1.0))
SIDES = {f"{n}{s}": dirichlet(SQUARE.face(n, s), 0.0) for n in "xy" for s in (0, 1)}
POISSON = Condition(SQUARE.interior, lambda u: laplacian(u) + 1.0)
SECOND = Condition(LINE.interior, lambda u: diff(u, "x", "x") + 1.0)
START = initial(ROD.at(t=0.0), 0.0)


def found(equation, *conditions, unknowns=("u",), box=None, ansatz=None):
    """The faces, with the unknown if there are several."""
    region = equation.region
    box = box or {2: ROD if "t" in region.names else SQUARE, 1: LINE}[len(region.names)]
    named = {f"c{i}": c for i, c in enumerate(conditions)}
    faces = free_faces(Problem(box, {"pde": equation, **named}, unknowns=unknowns, ansatz=ansatz))
    return [face.label if face.unknown is None else (face.unknown, face.label) for face in faces]


def without(name):
    return [c for key, c in SIDES.items() if key != name]


def test_a_forgotten_side_is_named_with_the_condition_to_write():
    problem = Problem(SQUARE, {"pde": POISSON, "x0": SIDES["x0"], "x1": SIDES["x1"], "y0": SIDES["y0"]})
    assert free_parts(problem) == ["y=1"]
    (warning,) = free_part_warnings(problem)
    assert 'about "y=1" of' in str(warning) and '`neumann(domain.face("y", 1), 0.0)`' in str(warning)
    assert found(POISSON) == ["x=0", "x=1", "y=0", "y=1"]
    assert found(POISSON, *SIDES.values()) == found(POISSON, dirichlet(SQUARE.boundary, 0.0)) == []


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([neumann(SQUARE.face("x", 0), 0.0)], []),
        ([dirichlet(SQUARE.at(x=0.0), 0.0)], []),
        ([dirichlet(SQUARE.at(x=0.5), 0.0), neumann(SQUARE.face("x", 1), 0.0)], []),  # three in x
        ([SIDES["x1"]], ["x=0"]),  # the same values twice at one place
        ([dirichlet(SQUARE.at(x=0.0, y=0.5), 0.0)], ["x=0"]),  # one place of the face
        ([integral(SQUARE.face("x", 0), "u", 0.0)], ["x=0"]),
    ],
)
def test_what_counts_as_a_condition_on_a_side(conditions, expected):
    assert found(POISSON, *without("x0"), *conditions) == expected


def test_regions_of_the_user_and_images_lie_on_sides():
    x = torch.stack([torch.zeros(9), torch.linspace(0.1, 0.9, 9)], dim=1).double()
    part = Region("mine", SQUARE.names, SQUARE.space, False, ({},), lambda *_: Points(x, torch.full((9,), 1 / 9.0)))
    assert found(POISSON, *without("x0"), dirichlet(part, 0.0)) == []
    assert found(POISSON, SIDES["y0"], SIDES["y1"], periodic(SQUARE, "x")) == []
    rows = {"x": [0.2, 0.4], "y": [0.2, 0.4], "u": [0.1, 0.3]}
    assert found(POISSON, *without("x0"), data(SQUARE, rows, "u")) == []


def test_in_one_coordinate_conditions_are_counted():
    left = dirichlet(LINE.at(x=0.0), 0.0)
    slope = Condition(LINE.face("x", 0), lambda u: diff(u, "x") - 1.0)
    both = Condition(LINE.face("x", 0), lambda u: (u, diff(u, "x") - 1.0))
    assert found(SECOND, left) == found(SECOND, left, left) == ["x=1"]
    for rest in ([slope], [dirichlet(LINE.at(x=0.5), 0.0)], [integral(LINE.interior, "u", 1.0)]):
        assert found(SECOND, left, *rest) == []
    assert found(SECOND, both) == []
    beam = Condition(LINE.interior, lambda u: diff(u, "x", "x", "x", "x") - 1.0)
    assert found(beam, both) == ["x=1"]


def test_only_second_derivatives_along_the_coordinate_need_both_ends():
    inflow = dirichlet(ROD.face("x", 0), 0.0)
    assert found(Condition(ROD.interior, lambda u: diff(u, "t") + diff(u, "x")), START, inflow) == []
    assert found(Condition(ROD.interior, lambda u: diff(u, "x", "t") - u), START, inflow) == []
    heat = Condition(ROD.interior, lambda u: diff(u, "t") - 1e-6 * laplacian(u))
    assert found(heat, START, inflow) == ["x=1"]
    assert found(heat, START) == ["x=0", "x=1"]
    ring = Box(x=(0.0, 1.0), t=(0.0, 1.0), periodic=["x"])
    assert found(heat, START, box=ring) == []
    family = Box(x=(0.0, 1.0), k=(1.0, 2.0), family=["k"])
    pde = Condition(family.interior, lambda u: laplacian(u) + diff(u, "k", "k"))
    assert found(pde, dirichlet(family.face("x", 0), 0.0), box=family) == ["x=1"]


@pytest.mark.parametrize(
    "residual",
    [
        lambda u: diff(u, "x", "x") + diff(u, "x") / u.coords[0] + 1.0,
        lambda u: u.coords[0] * diff(u, "x", "x") + diff(u, "x") + u.coords[0],
        lambda u: diff(u.coords[0] ** 2 * diff(u, "x"), "x") - u,
    ],
)
def test_a_degenerate_end_needs_no_condition(residual):
    """Radial coordinates: at r = 0 smoothness is the condition."""
    pde = Condition(LINE.interior, residual)
    assert found(pde, dirichlet(LINE.face("x", 1), 0.0)) == []
    assert found(pde, dirichlet(LINE.face("x", 0), 0.0)) == ["x=1"]


def test_of_systems_the_unknown_is_named():
    both = ("u", "v")
    pde = Condition(SQUARE.interior, lambda u, v: (laplacian(u) + v, laplacian(v) + u))
    walls = dirichlet(SQUARE.boundary, 0.0, unknown="v")
    (label, *_), names = zip(*found(pde, walls, unknowns=both), strict=True)
    assert label == "u" and names == ("x=0", "x=1", "y=0", "y=1")
    assert found(pde, walls, dirichlet(SQUARE.boundary, 0.0), unknowns=both) == []
    clamped = [dirichlet(SQUARE.boundary, 0.0), neumann(SQUARE.boundary, 0.0)]  # Δu = v, Δv = f: a plate
    assert found(pde, *clamped, unknowns=both) == []
    first = Condition(SQUARE.interior, lambda u, v: (laplacian(u) + v, diff(v, "x") + u))
    assert found(first, dirichlet(SQUARE.boundary, 0.0), unknowns=both) == []
    (warning,) = free_part_warnings(Problem(SQUARE, {"pde": pde, "walls": walls}, unknowns=both))
    assert 'neumann(domain.face("x", 0), 0.0, unknown="u")' in str(warning)


def test_what_an_ansatz_builds_in_counts():
    top = Ansatz(lambda c, n: c[0] * (1 - c[0]) * c[1] * n, satisfies=("c0",))
    assert found(POISSON, SIDES["x0"], ansatz=top) == ["y=1"]
    flux = Ansatz(lambda c, n: c[0] * (1 - c[0]) * c[1] * (1 - c[1]) ** 2 * n, satisfies=())
    assert found(POISSON, ansatz=flux) == []
    begin = Ansatz(lambda c, n: c[0] ** 2 * n, satisfies=())  # value and slope at one end
    assert found(SECOND, ansatz=begin) == []
    problem = Problem(SQUARE, {"pde": POISSON, **SIDES})
    assert free_parts(hardened(problem)) == []
    rest = {name: c for name, c in problem.conditions.items() if name != "x1"}
    assert free_parts(hardened(replace(problem, conditions=rest))) == ["x=1"]


EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "problems" / "EQUATIONS.md").read_text(encoding="utf-8"), re.S)


@pytest.mark.long
def test_packaged_problems_and_examples_are_complete(monkeypatch):
    """None of them is warned of; without their boundary conditions many are."""
    made, seen = [load_problem(name)(**arguments) for name, arguments in problem_cases()], set()
    for name in ("solve", "eigen"):
        monkeypatch.setattr(f"kanpde.{name}", lambda problem, *_, **__: made.append(problem))
    for text in EXAMPLES:
        names: dict = {}
        try:
            exec(compile(text, "EQUATIONS.md", "exec"), names)
        except (AttributeError, TypeError):  # what stands in for a solution has no values
            assert "solve(" in text or "eigen(" in text
        made += [f() for f in names.values() if getattr(f, "__annotations__", {}).get("return") is Problem]
    assert len(made) >= len(EXAMPLES) + len(problem_cases())
    for problem in made:
        assert [*free_part_warnings(problem), *equation_warnings(problem)] == [], problem
        inside = {n: c for n, c in problem.conditions.items() if c.region.is_interior or "t" in c.region.label}
        if isinstance(problem.domain, Box) and not problem.ansatz and len(inside) < len(problem.conditions):
            seen |= {repr(problem)} if free_faces(replace(problem, conditions=inside, exact=None)) else set()
    assert len(seen) > 12


@pytest.mark.long
def test_a_run_warns_has_no_estimate_and_reaches_no_tolerance():
    problem = Problem(SQUARE, {"pde": POISSON, **{n: c for n, c in SIDES.items() if n != "y1"}})
    options = {"starts": 1, "sampling": Sampling("gauss", 100, 40), "device": "cpu"}
    with pytest.warns(ResultWarning, match='about "y=1"'):
        solution = solve(problem, MLP([4]), [Phase(LM(), steps=3)], tolerance=0.9, **options)
    assert solution.ending.end is End.NOT_REACHED and 'no condition on the part "y=1"' in solution.reason
    assert solution.settings["estimate"] != solution.settings["estimate"]  # NaN


SYSTEM = {
    "u": dirichlet(SQUARE.boundary, 0.0),
    "v": dirichlet(SQUARE.boundary, 0.0, unknown="v"),
    "pde": Condition(SQUARE.interior, lambda u, v: laplacian(u) + v),
}


def system(**more):
    return Problem(SQUARE, {**SYSTEM, **more}, unknowns=("u", "v"))


def test_an_equation_too_few_is_said():
    (warning,) = equation_warnings(system())
    assert "2 unknowns (u, v), and the conditions inside give 1 equation;" in str(warning)
    assert "`Condition(domain.interior, lambda u, v: (equation_1, equation_2))`" in str(warning)
    assert equations_of(system(pin=dirichlet(SQUARE.at(x=0.0, y=0.0), 0.0, unknown="v"))) == 1
    flow = Condition(SQUARE.interior, lambda v, p: laplacian(v))
    (warning,) = equation_warnings(Problem(SQUARE, {"flow": flow}, unknowns=("velocity:2", "p")))
    assert "give 2 equations; expected 3" in str(warning) and "lambda velocity, p:" in str(warning)
    with pytest.warns(ResultWarning, match="give 1 equation;"):
        solution = solve(system(), KAN([2], grid=2, degree=4), [Phase(LM(), steps=1)], starts=1, device="cpu")
    assert any("give 1 equation;" in str(each) for each in solution.warnings)


@pytest.mark.parametrize(
    "more",
    [
        {"second": Condition(SQUARE.interior, lambda u, v: laplacian(v))},
        {"algebraic": Condition(SQUARE.interior, lambda u, v: v - u * u)},
        {"sensor": dirichlet(SQUARE.at(x=0.5), 0.0)},
        {"rows": data(SQUARE, {"x": [0.2, 0.4], "y": [0.2, 0.4], "u": [0.1, 0.3]}, "u")},
    ],
)
def test_further_equations_or_values_inside_determine_the_other_unknown(more):
    assert equation_warnings(system(**more)) == []


def test_a_users_ansatz_may_give_an_unknown():
    problem = replace(system(), ansatz=Ansatz(lambda c, n, m: (n, n * n), satisfies=()))
    assert equation_warnings(problem) == []
