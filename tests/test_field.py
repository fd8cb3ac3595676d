"""Field algebra against hand-made derivatives and autograd."""

from math import pi

import numpy as np
import pytest
import torch
from scipy.special import jvp

from kanpde import InputError, Vector, diff, divergence, gradient, laplacian, pointwise
from kanpde.calculus.context import Context
from kanpde.calculus.field import coordinate
from kanpde.calculus.jet import LAPLACIAN
from kanpde.calculus.unknowns import unknown


def context(names=("x", "y"), n=25):
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(n, len(names), generator=generator, dtype=torch.float64) + 0.5
    space = tuple(i for i, name in enumerate(names) if name != "t")
    return Context(names, space, x, normal=torch.ones_like(x))


def by_autograd(function, x, *positions):
    """The partial derivative of a function of columns."""
    x = x.detach().requires_grad_()
    value = function(*x.unbind(1))
    for i in positions:
        value = torch.autograd.grad(value.sum(), x, create_graph=True)[0][:, i]
    return value.detach()


EXPRESSIONS = {
    "product": lambda x, y: x**3 * torch.sin(2 * y) * x,
    "quotient": lambda x, y: (x * y) / (1 + x**2) + 2.0 / y,
    "nested": lambda x, y: torch.exp(torch.sin(2 * x + y)) * torch.cos(2 * x * y),
    "powers": lambda x, y: torch.sqrt(x) * y**2.5 - 2.0**x + x**y,
    "others": lambda x, y: torch.tanh(x * y) + torch.log(x) - torch.atan(x + y) * torch.sigmoid(y) + abs(x) - (-y),
    "where": lambda x, y: torch.where(x > 1.0, x * y, torch.sin(x) - y),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
@pytest.mark.parametrize("along", [(), ("x",), ("y",), ("x", "y"), ("x", "x", "y"), ("y",) * 4, ("x", "x", "y", "y")])
def test_expressions(name, along):
    c = context()
    field = diff(EXPRESSIONS[name](coordinate(c, 0), coordinate(c, 1)), *along)
    wanted = by_autograd(EXPRESSIONS[name], c.x, *(c.position(a) for a in along))
    assert torch.allclose(field.value, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_collapsed_laplacian(name):
    c = context()
    field = EXPRESSIONS[name](coordinate(c, 0), coordinate(c, 1))
    wanted = by_autograd(EXPRESSIONS[name], c.x, 0, 0) + by_autograd(EXPRESSIONS[name], c.x, 1, 1)
    assert torch.allclose(laplacian(field).value, wanted, rtol=1e-10, atol=1e-10)
    four = sum(by_autograd(EXPRESSIONS[name], c.x, i, i, j, j) for i in (0, 1) for j in (0, 1))
    assert torch.allclose(laplacian(laplacian(field)).value, four, rtol=1e-9, atol=1e-9)
    slope = diff(laplacian(field), "x")
    three = by_autograd(EXPRESSIONS[name], c.x, 0, 0, 0) + by_autograd(EXPRESSIONS[name], c.x, 0, 1, 1)
    assert torch.allclose(slope.value, three, rtol=1e-10, atol=1e-10)


def test_vector_calculus():
    c = context(("x", "y", "t"))
    x, y, t = (coordinate(c, i) for i in range(3))
    k, u = 1 + x**2, torch.sin(x) * y * t
    flux = divergence(k * gradient(u)).value
    px, py, pt = c.x.unbind(1)
    wanted = 2 * px * torch.cos(px) * py * pt - (1 + px**2) * torch.sin(px) * py * pt
    assert torch.allclose(flux, wanted, rtol=1e-12)
    assert len(gradient(u)) == 2, "time is not space"
    assert torch.allclose(gradient(u).dot(u.normal).value, (gradient(u)[0] + gradient(u)[1]).value)
    assert isinstance(gradient(u) - 2.0 * gradient(u) / 3.0, Vector)
    assert torch.allclose(laplacian(Vector([u, x**3]))[1].value, 6 * px)
    assert torch.allclose(sum([gradient(u), gradient(u)])[1].value, 2 * gradient(u)[1].value)
    assert torch.equal(torch.where(x == x, x, y).value, px)
    assert torch.allclose((px * gradient(u))[1].value, px * torch.sin(px) * pt), "a tensor from the left"


def test_numbers_and_numpy_functions_mix():
    c = context()
    x, y = coordinate(c, 0), coordinate(c, 1)
    px, py = c.x.unbind(1)
    assert torch.allclose(np.sin(pi * x).value, torch.sin(pi * px))
    assert torch.allclose((np.float64(2.0) * x - 1 / y + torch.tensor(3.0)).value, 2 * px - 1 / py + 3)
    assert torch.allclose((px - x * py).value, px - px * py), "a tensor from the left"
    assert torch.allclose((px / (x + py)).value, px / (px + py))


def test_asks_for_components_only_when_needed():
    c = context(("x", "y", "t"))
    asked = set()

    def read(key):
        asked.add(key)
        return torch.ones(len(c.x), dtype=torch.float64)

    u = unknown(c, "u", read)
    (diff(u, "t") - laplacian(u) + u * diff(u, "x")).value  # noqa: B018 (asking is the point)
    assert asked == {(2,), LAPLACIAN, (), (0,)}
    one = context(("x", "t"))
    asked.clear()
    laplacian(unknown(one, "u", read)).value  # noqa: B018
    assert asked == {(0, 0)}, "in one spatial dimension the Laplacian is the second derivative"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x, u: diff(u, "z"), 'no coordinate "z"'),
        (lambda x, u: diff(u, *["x"] * 5).value, "order 5"),
        (lambda x, u: laplacian(u * x.value).value, "A plain tensor (of one value per point) cannot be differentiated"),
        (lambda x, u: u * torch.ones(3), "shape (25,), one number per point, got (3,)"),
        (lambda x, u: u + "one", "str"),
        (lambda x, u: float(u), "torch.sin"),
        (lambda x, u: 1.0 if u else 0.0, "truth value"),
        (lambda x, u: torch.mean(u).value, "point by point"),
        (lambda x, u: gradient(u) * gradient(x), "dot"),
        (lambda x, u: torch.stack([u, x]), "torch.stack"),
        (lambda x, u: divergence([u]), "one entry per spatial coordinate, x, y, got 1"),
    ],
)
def test_mistakes_are_explained(build, message):
    c = context()
    u = unknown(c, "u", lambda key: c.x[:, 0])
    with pytest.raises(InputError) as caught:
        build(coordinate(c, 0), u)
    assert message in str(caught.value)


def test_normal_exists_only_on_boundaries():
    c = Context(("x",), (0,), torch.ones(3, 1))
    with pytest.raises(InputError, match="on a boundary only"):
        coordinate(c, 0).normal  # noqa: B018


def test_derivatives_of_bessel_functions():
    c = context()
    zero, one = (f(2 * coordinate(c, 0) - 1) for f in (torch.special.bessel_j0, torch.special.bessel_j1))
    c.x[0, 0] = 0.5  # where the argument is 0
    x = 2 * c.x[:, 0].numpy() - 1
    for n, field in enumerate((zero, one)):
        for order in range(5):
            wanted = torch.as_tensor(2**order * jvp(n, x, order))
            torch.testing.assert_close(diff(field, *["x"] * order).value, wanted, rtol=1e-11, atol=1e-11)


def test_functions_without_a_derivative_are_refused_where_it_is_needed():
    c = context()
    x = coordinate(c, 0)
    for field in (torch.special.airy_ai(x), pointwise(torch.special.airy_ai, x)):
        assert torch.equal(torch.as_tensor(field.value), torch.special.airy_ai(c.x[:, 0]))
        with pytest.raises(InputError, match="torch has none"):
            diff(field, "x").value  # noqa: B018
    assert float(torch.as_tensor(diff(torch.ones_like(x), "x").value).abs().max()) == 0.0
    steps = torch.linspace(0.0, 1.0, 11, dtype=torch.float64)[1:-1]
    c.x[: len(steps), 0] = steps - 1e-5  # the neighbours that are compared lie behind the steps
    levels = pointwise(lambda a: torch.bucketize(a.contiguous(), steps).to(a.dtype), x)
    assert float(torch.as_tensor(diff(levels, "x").value).abs().max()) == 0.0


# functions given as programs ----------------------------------------------------------------------------------------
def averaged(x, y):
    """A function of two arguments that is an integral by a quadrature rule."""
    nodes = torch.linspace(0.0, 1.0, 7, dtype=x.dtype)
    return torch.exp(-x[:, None] * nodes * y[:, None] ** 2).mean(dim=1)


PROGRAMS = {
    "coordinates": lambda x, y: pointwise(averaged, x, y),
    "expressions": lambda x, y: y * pointwise(averaged, x * y, torch.sin(x) + y),
    "a number": lambda x, y: y**5 * pointwise(averaged, x, 0.7),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("along", [(), ("x",), ("y",), ("x", "y"), ("x", "x", "y"), ("y",) * 4, ("x", "x", "y", "y")])
def test_programs(name, along):
    c = context()
    field = diff(PROGRAMS[name](coordinate(c, 0), coordinate(c, 1)), *along)
    wanted = by_autograd(PROGRAMS[name], c.x, *map(c.position, along))
    assert torch.allclose(field.value, wanted, rtol=1e-10, atol=1e-10)
    assert not field.value.requires_grad


def test_programs_have_the_collapsed_laplacian_and_gradients_of_parameters():
    c = context()
    scale = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    field = pointwise(averaged, scale * coordinate(c, 0), coordinate(c, 1))
    wanted = sum(by_autograd(lambda x, y: averaged(1.3 * x, y), c.x, i, i) for i in (0, 1))
    assert torch.allclose(laplacian(field).value, wanted, rtol=1e-10, atol=1e-10)
    (got,) = torch.autograd.grad(laplacian(field).value.sum(), scale)
    step, (x, y) = 1e-5, (coordinate(c, 0), coordinate(c, 1))
    below, above = (laplacian(pointwise(averaged, s * x, y)).value.sum() for s in (1.3 - step, 1.3 + step))
    assert float(got) == pytest.approx(float(above - below) / (2 * step), rel=1e-7)


def test_a_program_that_mixes_points_is_refused():
    c = context()
    with pytest.raises(InputError, match=r"shape \(25,\), one number per point"):
        pointwise(lambda x: x.sum(), coordinate(c, 0)).value  # noqa: B018
