"""Finite elements on shapes and read meshes: polynomials exactly, observed orders, estimated errors, refusals."""

from dataclasses import replace
from math import log2

import pytest
import torch
from small_meshes import grid

from kanpde import (
    Ball,
    Condition,
    Disk,
    Ellipse,
    InputError,
    Polygon,
    Problem,
    Rectangle,
    diff,
    dirichlet,
    divergence,
    gradient,
    laplacian,
    neumann,
    robin,
)
from kanpde.classical.elements import finite_elements
from kanpde.classical.reference import reference

pytestmark = pytest.mark.usefixtures("unchecked")
OVAL = Ellipse((0.1, 0.0), (1.2, 0.8), 0.3, name="outer") - Disk((0.2, 0.1), 0.3, name="hole")
SQUARE = Rectangle((-1.0, 1.0), (-1.0, 1.0)) - Disk(radius=0.4, name="hole")


def wave(x, y):
    return torch.sin(2 * x + y) + torch.exp(x * y)


def mixed(domain, outer, hole):
    """Variable coefficients and a drift; values on the outer boundary and a flux at the hole."""

    def left(u):
        x, y = u.coords
        k = 1 + 0.3 * x**2
        return divergence(k * gradient(u)) + y * diff(u, "x") - 2 * u

    def flux(u):
        x, y = u.coords
        n = u.normal
        slope = torch.cos(2 * x + y)
        known = (2 * slope + y * torch.exp(x * y)) * n[0] + (slope + x * torch.exp(x * y)) * n[1]
        return 3 * u + gradient(u).dot(n) - 3 * wave(x, y) - known

    def residual(u):
        x, y = u.coords
        wanted = left(wave(x, y))  # a field, which is differentiated
        return left(u) - wanted

    conditions = {"pde": Condition(domain.interior, residual), "hole": Condition(domain.part(hole), flux)}
    conditions |= {name: dirichlet(domain.part(name), wave) for name in outer}
    return Problem(domain, conditions, exact=wave)


def order_of(problem, cells):
    errors = [finite_elements(problem, 2, n).errors()["u"]["l2"] for n in cells]
    return log2(errors[0] / errors[-1]) / log2(cells[-1] / cells[0]), errors


def test_orders_on_curved_and_straight_boundaries():
    order, errors = order_of(mixed(OVAL, ["outer"], "hole"), (10, 40))
    assert 2.7 < order < 3.6 and errors[-1] < 1e-5
    order, errors = order_of(mixed(SQUARE, ["x=-1", "x=1", "y=-1", "y=1"], "hole"), (10, 40))
    assert 2.7 < order < 3.6 and errors[-1] < 1e-5


@pytest.mark.parametrize(
    "domain",
    [
        Polygon(((0.0, 0.0), (2.0, 0.0), (1.5, 1.0), (0.5, 0.4), (0.0, 1.0))),
        grid("triangle", 4, lambda x: x + 0.1 * x[:, ::-1]),
    ],
    ids=["polygon", "mesh"],
)
def test_polynomials_of_second_degree_are_exact_with_straight_sides(domain):
    def exact(x, y):
        return x**2 + 2 * x * y - 3 * y**2 + x

    conditions = {
        "pde": Condition(
            domain.interior, lambda u: laplacian(u) + diff(u, "x") + 3 - 2 * u.coords[0] - 2 * u.coords[1]
        ),
        "b": dirichlet(domain.boundary, exact),
    }
    found = finite_elements(Problem(domain, conditions, exact=exact), 2, 6).errors()["u"]
    assert found["l2"] < 1e-12 and found["h1"] < 1e-11


def test_fluxes_of_linear_functions_are_exact_on_curved_sides():
    def exact(x, y):
        return 1 + 2 * x - y

    problem = Problem(
        OVAL,
        {
            "pde": Condition(OVAL.interior, laplacian),
            "outer": dirichlet(OVAL.part("outer"), exact),
            "hole": robin(OVAL.part("hole"), 0.0, 1.0, 0.0),
        },
        exact=exact,
    )

    def hole(u):
        return gradient(u).dot(u.normal) - 2 * u.normal[0] + u.normal[1]

    conditions = {**problem.conditions, "hole": Condition(OVAL.part("hole"), hole)}
    assert finite_elements(replace(problem, conditions=conditions), 2, 12).errors()["u"]["l2"] < 1e-12
    assert finite_elements(problem, 2, 12).errors()["u"]["l2"] > 1e-2, "another flux is another solution"


def test_the_estimated_errors_of_a_reference_on_a_shape():
    problem = mixed(OVAL, ["outer"], "hole")
    found = reference(replace(problem, exact=None), target=3e-3)
    true = replace(found.solution, problem=problem).errors()["u"]
    assert found.accuracy <= 3e-3 and found.order > 2
    for kind, error in true.items():
        assert 0.5 < found.own["u"][kind] / error < 5, kind


def test_solids_have_straight_cells():
    ball = Ball()
    conditions = {
        "pde": Condition(ball.interior, lambda u: laplacian(u) - 6),
        "b": dirichlet(ball.boundary, lambda x, y, z: x**2 + y**2 + z**2),
    }
    problem = Problem(ball, conditions, exact=lambda x, y, z: x**2 + y**2 + z**2)
    assert finite_elements(problem, 2, 6).errors()["u"]["l2"] < 0.03


@pytest.mark.parametrize(
    ("make", "order", "message"),
    [
        (lambda: Problem(OVAL, {"pde": Condition(OVAL.interior, laplacian), "b": dirichlet(OVAL.part("hole"))}), 2,
         "no condition on the boundary near"),
        (lambda: Problem(OVAL, {"pde": Condition(OVAL.interior, laplacian), "b": dirichlet(OVAL.boundary),
                                "h": neumann(OVAL.part("hole"))}), 2, '"b" and "h" share one'),
        (lambda: mixed(OVAL, ["outer"], "hole"), 4, "Take order=2"),
        (lambda: Problem(OVAL, {"pde": Condition(OVAL.interior, lambda u: laplacian(u) - u**3),
                                "b": dirichlet(OVAL.boundary, 1.0)}), 2, "not linear"),
        (lambda: Problem(d := OVAL.over(t=(0.0, 1.0)), {"pde": Condition(d.interior, laplacian)}), 2, "needs a Box"),
        (lambda: Problem(OVAL, {"pde": Condition(OVAL.interior, laplacian), "b": neumann(OVAL.boundary)}), 2,
         "no unique solution"),
    ],
)  # fmt: skip
def test_what_finite_elements_on_shapes_refuse(make, order, message):
    with pytest.raises(InputError, match=message):
        finite_elements(make(), order, 6)
