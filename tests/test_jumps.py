"""Discontinuous data are found before training, and no tolerance counts as reached with them."""

from dataclasses import replace

import pytest
import torch
from conftest import PROBLEMS, load_problem

import kanpde
from kanpde import KAN, LM, Box, Condition, Phase, Problem, diff, dirichlet, initial, laplacian
from kanpde.ends import End, Ending
from kanpde.residuals.jumps import find_jumps
from kanpde.training.attempts import doubted
from kanpde.training.state import State

pytestmark = pytest.mark.usefixtures("unchecked")
CPU = torch.device("cpu")
SQUARE, STRIP = Box(x=(0.0, 1.0), y=(0.0, 1.0)), Box(x=(0.0, 1.0), t=(0.0, 1.0))


def step(x, at=0.37):
    return torch.where(x.value < at, 1.0, 10.0)


def on_square(k=1.0, boundary=0.0, source=1.0):
    def residual(u):
        x, y = u.coords
        return (k(x, y) if callable(k) else k) * laplacian(u) - (source(x) if callable(source) else source)

    conditions = {"pde": Condition(SQUARE.interior, residual), "boundary": dirichlet(SQUARE.boundary, boundary)}
    return Problem(SQUARE, conditions)


def on_strip(start, ends=0.0):
    conditions = {
        "pde": Condition(STRIP.interior, lambda u: diff(u, "t") - diff(u, "x", "x")),
        "initial": initial(STRIP.at(t=0.0), start),
        "boundary": dirichlet(STRIP.boundary, ends),
    }
    return Problem(STRIP, conditions)


def on_ring():
    """x as initial values where x is periodic."""
    ring = Box(x=(-1.0, 1.0), t=(0.0, 1.0), periodic=["x"])
    return Problem(ring, {"initial": initial(ring.at(t=0.0), lambda x, t: x)})


def on_odd_face():
    """A face whose coordinate is not the sum of the lower end and the length, because of rounding."""
    box = Box(x=(-1.0, -0.3), t=(0.0, 1.0))
    return Problem(box, {"side": dirichlet(box.face("x", 1), lambda x, t: torch.sign(t.value - 0.5))})


@pytest.mark.parametrize(
    ("problem", "words", "where"),
    [
        (on_square(k=lambda x, y: step(x)), 'coefficients of derivatives of "pde"', {"x": 0.37}),
        (on_square(k=lambda x, y: step((x - 0.6) ** 2 + (y - 0.2) ** 2, 0.01)), 'of "pde"', {}),
        (on_square(boundary=lambda x, y: step(x)), 'the values of "boundary"', {"x": 0.37}),
        (on_strip(lambda x, t: step(x) * x * (1 - x)), 'the values of "initial"', {"x": 0.37, "t": 0.0}),
        (on_strip(lambda x, t: 1 - x), 'values of "initial" and "boundary" differ by 1', {"x": 0.0, "t": 0.0}),
        (
            on_square(boundary=lambda x, y: torch.where(y.value == 1.0, 1.0, 0.0)),
            'values of "boundary" jump',
            {"y": 1.0},
        ),
        (on_strip(lambda x, t: 1e-4 * torch.sign(x.value - 0.37)), 'values of "initial" jump', {"x": 0.37}),
        (on_ring(), 'values of "initial" jump', {"t": 0.0}),
        (on_odd_face(), 'values of "side" jump', {"t": 0.5}),
    ],
    ids=["coefficient", "disk", "boundary", "initial", "corner", "lid", "small", "seam", "face"],
)
def test_jumps_are_found_and_located(problem, words, where):
    jump = find_jumps(problem, CPU)[0]
    assert words in str(jump)
    for name, value in where.items():
        assert jump.where[name] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    "problem",
    [
        on_square(source=step),
        on_square(boundary=lambda x, y: abs(x - 0.3) + 1.0),
        on_strip(lambda x, t: torch.tanh((x - 0.3) / 1e-4), ends=lambda x, t: torch.tanh((x - 0.3) / 1e-4)),
        on_strip(lambda x, t: x * (1 - x)),
        on_square(source=lambda x: 1e6 * torch.sin(30 * x)),
    ],
    ids=["source", "kink", "steep", "smooth", "large"],
)
def test_what_is_continuous_is_not_called_a_jump(problem):
    assert find_jumps(problem, CPU) == []


def test_the_jumps_of_the_cavity_are_at_the_ends_of_its_lid():
    where = [jump.where for jump in find_jumps(load_problem("cavity")(), CPU)]
    assert where == [{"x": 0.0, "y": 1.0}, {"x": 1.0, "y": 1.0}]


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name != "cavity"])
def test_no_other_packaged_problem_has_a_jump(name):
    assert find_jumps(load_problem(name)(), CPU) == []


def test_with_a_jump_no_tolerance_is_reached():
    interval, lines = Box(x=(0.0, 1.0)), []
    conditions = {
        "pde": Condition(interval.interior, lambda u: laplacian(u)),
        "left": dirichlet(interval.at(x=0.0), 1.0),
        "right": dirichlet(interval.at(x=1.0), lambda x: 1.0 + 0.0 * x),
        "other": dirichlet(interval.at(x=1.0), 1.01),
    }
    options = {"model": KAN([2], degree=4, grid=2), "starts": 1, "phases": [Phase(LM(), steps=10)]}
    solution = kanpde.solve(Problem(interval, conditions), **options, tolerance=0.5, time_limit=1.0, log=lines.append)
    assert "differ by 0.01" in str(solution.warnings[0]) and "differ by 0.01" in lines[0]


@pytest.mark.parametrize("end", [End.TOLERANCE_REACHED, End.NOT_REACHED])
def test_the_end_names_the_jump(end, generator):
    state = State(KAN([2])(SQUARE.ranges), None, generator, ending=Ending(end, "estimated"))
    assert doubted(state, ["a jump"]).ending == Ending(End.NOT_REACHED, "a jump; estimated")
    late = Ending(End.TIME_LIMIT, "1 s")
    assert doubted(replace(state, ending=late), ["a jump"]).ending == late
