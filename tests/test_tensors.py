"""Vectors and tensors of fields, and the operators on them, against autograd and formulas by hand."""

import pytest
import torch
from test_field import by_autograd, context

from kanpde import (
    InputError,
    Tensor2,
    Vector,
    curl,
    diff,
    divergence,
    gradient,
    identity,
    inner,
    laplacian,
    material_derivative,
    strain,
    trace,
)
from kanpde.calculus.field import coordinate
from kanpde.calculus.jet import LAPLACIAN
from kanpde.calculus.unknowns import unknown

FUNCTIONS = [  # of x, y, z, t
    lambda x, y, z, t: torch.sin(x * y) * torch.exp(0.3 * z) * (1 + t**2),
    lambda x, y, z, t: x**3 * torch.cos(y + 2 * z) - t * y,
    lambda x, y, z, t: torch.exp(x * z) / (1 + y**2) * torch.cos(t),
]


def flow(names=("x", "y", "z", "t"), size=3):
    """A vector of fields, and its Jacobian by autograd with rows for entries: the columns are all coordinates."""
    c = context(names)

    def of_all(f):
        def function(*coords):
            present = dict(zip(names, coords, strict=True))
            return f(*(present.get(name, torch.tensor(0.7, dtype=torch.float64)) for name in "xyzt"))

        return function

    functions = [of_all(f) for f in FUNCTIONS[:size]]
    coords = [coordinate(c, i) for i in range(len(names))]
    slopes = [[by_autograd(f, c.x, j) for j in range(len(names))] for f in functions]
    return Vector(f(*coords) for f in functions), slopes, functions, c


def assert_close(got, wanted):
    assert torch.allclose(got.value, wanted, rtol=1e-11, atol=1e-11)


def test_jacobian_strain_and_trace():
    v, slopes, _, _ = flow()
    jacobian, symmetric = gradient(v), strain(v)
    for i in range(3):
        for j in range(3):
            assert_close(jacobian[i][j], slopes[i][j])
            assert_close(jacobian.T[j][i], slopes[i][j])
            assert_close(symmetric[i][j], (slopes[i][j] + slopes[j][i]) / 2)
    assert_close(trace(jacobian), divergence(v).value)
    assert_close(
        inner(jacobian, symmetric), sum(slopes[i][j] * symmetric[i][j].value for i in range(3) for j in range(3))
    )


def test_curl_in_three_coordinates():
    v, d, functions, c = flow()
    for got, (j, i) in zip(curl(v), [(1, 2), (2, 0), (0, 1)], strict=True):
        assert_close(got, d[i][j] - d[j][i])
    assert_close(divergence(curl(v)), torch.zeros(len(c.x), dtype=torch.float64))
    double = curl(curl(v)) - gradient(divergence(v)) + laplacian(v)  # the identity of vector calculus
    assert max(float(entry.value.abs().max()) for entry in double) < 1e-10
    third = by_autograd(functions[2], c.x, 0, 0, 1) + by_autograd(functions[2], c.x, 1, 1, 1)
    third = third + by_autograd(functions[2], c.x, 2, 2, 1)
    third = third - sum(by_autograd(functions[1], c.x, i, i, 2) for i in range(3))
    assert_close(laplacian(curl(v))[0], third)


def test_curl_in_two_coordinates():
    v, d, _, _ = flow(("x", "y", "t"), size=2)
    assert_close(curl(v), d[1][0] - d[0][1])
    turned = curl(v[0])
    assert_close(turned[0], d[0][1])
    assert_close(turned[1], -d[0][0])
    assert_close(curl(turned), -laplacian(v[0]).value)


def test_divergence_of_a_tensor_is_row_by_row():
    v, _, functions, c = flow()
    stress = trace(strain(v)) * identity(3) * 1.5 + 2.0 * strain(v)
    for i, got in enumerate(divergence(stress)):
        mixed = sum(by_autograd(functions[j], c.x, *sorted((i, j))) for j in range(3))
        wanted = 2.5 * mixed + sum(by_autograd(functions[i], c.x, j, j) for j in range(3))
        assert_close(got, wanted)
    traction = stress.dot(v.normal)  # all ones
    assert_close(traction[1], sum(stress[1][j].value for j in range(3)))
    square = gradient(v).dot(gradient(v))
    assert_close(square[0][1], sum(gradient(v)[0][k].value * gradient(v)[k][1].value for k in range(3)))
    assert isinstance(stress - 2 * stress / 3.0, Tensor2)


def test_material_derivative():
    v, d, _, _ = flow()
    for i, got in enumerate(material_derivative(v, v)):
        assert_close(got, d[i][3] + sum(v[j].value * d[i][j] for j in range(3)))
    for entry, wanted in zip(diff(v, "t"), d, strict=True):
        assert_close(entry, wanted[3])
    still, d, _, _ = flow(("x", "y"), size=2)
    assert_close(material_derivative(still[0], still), still[0].value * d[0][0] + still[1].value * d[0][1])


def test_a_vector_laplacian_asks_for_the_collapsed_one():
    c, asked = context(), set()

    def read(key):
        asked.add(key)
        return c.x[:, 0]

    v = Vector(unknown(c, name, read) for name in "uv")
    for entry in laplacian(v) - material_derivative(v, v):
        entry.value  # noqa: B018 (asking is the point)
    assert asked == {LAPLACIAN, (), (0,), (1,)}


def test_vectors_are_combined_with_tuples():
    v, _, _, c = flow(("x", "y"), size=2)
    assert_close((v - (1.0, c.x[:, 1]))[1], v[1].value - c.x[:, 1])
    assert_close(((2.0, 1.0) - v)[0], 2 - v[0].value)
    given = (2.0, 1.0)
    assert_close((given + v)[0], 2 + v[0].value)
    assert v.coords[1].value.equal(c.x[:, 1])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda v: curl(v[0]), "a scalar field with the coordinates x, y, z"),
        (lambda v: curl(Vector(v[:2])), "2 entries with the coordinates x, y, z"),
        (lambda v: strain(v[:2]), "one entry per spatial coordinate"),
        (lambda v: strain(Vector(v[:2])), "one entry per spatial coordinate"),
        (lambda v: trace(v), "trace takes a tensor"),
        (lambda v: inner(v, v), "inner takes a tensor"),
        (lambda v: v - (1.0, 2.0), "3 entries is combined with one of as many, got 2 entries"),
        (lambda v: v + v[0], "got a Field"),
        (lambda v: gradient(v) * gradient(v), "ambiguous"),
        (lambda v: divergence(Tensor2([v[:2], v[1:]])), "one entry per spatial coordinate, x, y, z, got 2"),
    ],
)
def test_mistakes_are_explained(build, message):
    with pytest.raises(InputError) as caught:
        build(flow()[0])
    assert message in str(caught.value)
