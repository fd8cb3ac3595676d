"""Shapes in space: volumes, areas, normals and quadrature against closed forms, identities and random points."""

from math import pi

import numpy as np
import pytest
import torch

from kanpde import Ball, Box, Cuboid, Cylinder, Disk, InputError, Rectangle
from kanpde.domains.rules import along_line

pytestmark = pytest.mark.usefixtures("unchecked")
GAUSS = along_line("gauss")
FAR = (-3.0, 3.0)
CAP = pi * 0.5**2 * (3 - 0.5) / 3  # of a unit ball, 0.5 high

# shape, volume and area
CLOSED = [
    (Ball((1.0, -2.0, 0.5), 0.7), 4 / 3 * pi * 0.7**3, 4 * pi * 0.7**2),
    (Cylinder((1.0, 2.0), 0.5, (-1, 2), "y"), 3 * pi * 0.25, 2 * pi * 0.25 + 3 * pi),
    (Cuboid((0, 1), (0, 2), (-1, 2)), 6.0, 22.0),
    (Ball() - Ball((0.3, 0.1, 0.2), 0.4), 4 / 3 * pi * (1 - 0.4**3), 4 * pi * (1 + 0.4**2)),
    (Ball() & Ball((1.0, 0.0, 0.0)), 2 * CAP, 2 * pi),
    (Ball() & Ball((0.0, 0.6, 0.8)), 2 * CAP, 2 * pi),
    (Ball() | Ball((0.6, 0.8, 0.0)), 8 / 3 * pi - 2 * CAP, 6 * pi),
    (Ball() - Ball((0.0, 0.0, 1.0)), 4 / 3 * pi - 2 * CAP, 4 * pi),
    (Cuboid() - Cylinder((0.5, 0.4), 0.3, FAR), 1 - 0.09 * pi, 6 - 0.18 * pi + 0.6 * pi),
    (Cuboid() - Cylinder((0.5, 0.4), 0.3, FAR, "x"), 1 - 0.09 * pi, 6 - 0.18 * pi + 0.6 * pi),
    (Cylinder(span=FAR, axis="x") & Cylinder(span=FAR, axis="y"), 16 / 3, 16.0),
    (Cylinder(span=FAR, axis="z") & Cylinder(span=FAR, axis="y"), 16 / 3, 16.0),
    (Ball() & Cuboid((-2, 2), (0, 2), (-2, 2)), 2 / 3 * pi, 3 * pi),
    (Cylinder() | Cylinder(span=(1.0, 2.5)), 2.5 * pi, 7 * pi),
    (Cuboid() - Cuboid((0.5, 2), (0.5, 2), FAR), 0.75, 5.5),
    (Ball() | Ball((3.0, 0.0, 0.0), 0.5), 4 / 3 * pi * 1.125, 5 * pi),
]


@pytest.mark.parametrize(("shape", "volume", "area"), CLOSED, ids=str)
def test_volumes_and_areas_have_closed_forms(shape, volume, area):
    geometry = shape.geometry
    assert shape.measure == pytest.approx(volume, rel=1e-8)
    assert geometry.extent(None) == pytest.approx(area, rel=1e-7)
    x, weight, normal = geometry.on_boundary(None, 2000, GAUSS)
    scale = max(abs(shape.bounds).max(), 1.0)
    assert weight.sum() == pytest.approx(area, rel=1e-6) and (weight > 0).all()
    assert 1000 < len(x) < 3000 and np.abs(shape.level(x)).max() < 1e-12 * scale
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, rtol=1e-12)
    assert np.abs(weight @ normal).max() < 1e-6 * area  # the divergence of constant fields is 0
    assert (weight @ (x * normal).sum(axis=1)) / 3 == pytest.approx(volume, rel=1e-6)
    step = 1e-6 * scale
    assert (shape.level(x - step * normal) < 0).all() and (shape.level(x + step * normal) > 0).all()


@pytest.mark.parametrize("shape", [shape for shape, _, _ in CLOSED], ids=str)
def test_integrals_inside_are_those_of_fluxes(shape):
    """∫ div F = ∮ F·n for F = (sin x cos z, y² z, e^(y + z)): rules inside and on the boundary share no nodes."""
    middle = shape.geometry.bounds.mean(axis=1)
    points, weight = shape.geometry.inside(6000, GAUSS)
    assert 3500 < len(points) < 9000 and (weight > 0).all() and (shape.level(points) < 0).all()
    x, y, z = (points - middle).T
    inside = weight @ (np.cos(x) * np.cos(z) + 2 * y * z + np.exp(y + z))
    points, weight, normal = shape.geometry.on_boundary(None, 6000, GAUSS)
    x, y, z = (points - middle).T
    flux = weight @ (normal * np.stack([np.sin(x) * np.cos(z), y**2 * z, np.exp(y + z)], axis=1)).sum(axis=1)
    assert inside == pytest.approx(flux, rel=1e-6)


def test_surfaces_that_touch_along_lines():
    """All faces of the cube touch a cylinder, and the cylinders touch each other in two points."""
    shape = Cylinder(span=FAR, axis="z") & Cylinder(span=FAR, axis="y") & Cuboid((-1, 1), (-1, 1), (-1, 1))
    x, weight, _ = shape.geometry.on_boundary(None, 2000, GAUSS)
    assert shape.measure == pytest.approx(16 / 3, rel=1e-8) and weight.sum() == pytest.approx(16, rel=1e-6)
    assert shape.geometry.labels == ("cylinder", "cylinder side") and np.abs(shape.level(x)).max() < 1e-8


def test_points_of_whole_surfaces_are_exact():
    """Rules on uncut patches: areas to rounding, and the mean of a harmonic function on a sphere."""
    for shape, area in ((Ball(radius=0.8), 2.56 * pi), (Cylinder(radius=0.5), 1.5 * pi), (Cuboid(), 6.0)):
        assert shape.geometry.on_boundary(None, 300, GAUSS)[1].sum() == pytest.approx(area, rel=1e-13)
    x, weight, _ = Ball(radius=0.8).geometry.on_boundary(None, 600, GAUSS)
    assert weight @ (np.exp(x[:, 0]) * np.sin(x[:, 1]) + 2) == pytest.approx(2 * 2.56 * pi, rel=1e-12)


# random combinations -------------------------------------------------------------------------------------------------
def random_leaf(rng):
    a, b, c = rng.uniform(-0.5, 0.5, 3).tolist()
    r, s, t = rng.uniform(0.3, 0.8, 3).tolist()
    kind = rng.integers(3)
    if kind == 0:
        return Ball((a, b, c), r)
    if kind == 1:
        return Cylinder((a, b), s, (c - r, c + t), "xyz"[rng.integers(3)])
    return Cuboid((a - r, a + r), (b - s, b + s), (c - t, c + t))


def random_tree(rng, depth):
    if not depth:
        return random_leaf(rng)
    one, two = random_tree(rng, depth - 1), random_tree(rng, depth - 1)
    operation = rng.choice(["|", "&", "-"], p=[0.5, 0.2, 0.3])
    return one | two if operation == "|" else one & two if operation == "&" else one - two


def check_random(seed, depth, count):
    """Volume and bounding box against random points, the boundary against the divergence theorem."""
    rng = np.random.default_rng(seed)
    shape = random_tree(rng, depth)
    try:
        geometry = shape.geometry
    except InputError as error:
        assert "lies outside" in str(error) or "Nothing is left" in str(error)
        return False
    low, high = shape.bounds.T
    x = low + rng.random((count, 3)) * (high - low)
    inside = shape.level(x) < 0
    share, box = inside.mean(), np.prod(high - low)
    assert abs(shape.measure - share * box) < 4.5 * box * (share * (1 - share) / count) ** 0.5 + 1e-3 * shape.measure
    assert (x[inside] >= geometry.bounds[:, 0]).all() and (x[inside] <= geometry.bounds[:, 1]).all()
    points, weight, normal = geometry.on_boundary(None, 4000, GAUSS)
    assert np.abs(weight @ normal).max() < 1e-4 * weight.sum()
    assert (weight @ (points * normal).sum(axis=1)) / 3 == pytest.approx(shape.measure, rel=1e-4)
    points, weight = geometry.inside(2000, GAUSS)
    assert (shape.level(points) < 0).all() and weight.sum() == pytest.approx(shape.measure)
    return True


def test_random_combinations():
    assert sum(check_random(seed, 1, 50_000) for seed in range(3)) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_combinations_of_depth_three(seed):
    check_random(seed, 3, 400_000)


# regions, parts, refusals --------------------------------------------------------------------------------------------
def test_parts_and_their_normals():
    drilled = Box(x=(0, 1), y=(0, 1), z=(0, 2)) - Cylinder((0.5, 0.5), 0.2, (-1, 1), name="bore")
    faces = ["x=0", "x=1", "y=0", "y=1", "z=0", "z=2"]
    assert list(drilled.parts) == ["interior", "boundary", "cuboid", *faces, "bore", "bore side", "bore top"]
    side, end = (drilled.part(name).sample("gauss", 100) for name in ("bore side", "bore top"))
    axis = torch.tensor([0.5, 0.5], dtype=torch.float64)
    torch.testing.assert_close(side.normal[:, :2], (axis - side.x[:, :2]) / 0.2)
    assert bool((end.x[:, 2] == 1).all()) and bool((end.normal[:, 2] == -1).all())
    assert drilled.geometry.extent("z=0") == pytest.approx(1 - 0.04 * pi) and drilled.corners() == []
    with pytest.raises(InputError, match='No point of the part "bore bottom" lies on the boundary'):
        drilled.part("bore bottom")
    with pytest.raises(InputError, match='no part "bore sid"'):
        drilled.part("bore sid")


@pytest.mark.parametrize("rule", ["uniform", "sobol"])
def test_random_points_on_surfaces_are_equally_dense(rule):
    """Means over half a ball, whose flat side has a third of its area, and over the sphere of a union."""
    points = (Ball() & Cuboid((-2, 2), (0, 2), (-2, 2))).boundary.sample(rule, 4000)
    assert float((points.x[:, 1] == 0).double().mean()) == pytest.approx(1 / 3, abs=0.02)
    on_sphere = points.x[points.x[:, 1] > 0]
    assert float(on_sphere[:, 1].mean()) == pytest.approx(0.5, abs=0.02)
    assert float((points.x**2).sum(dim=1)[points.x[:, 1] == 0].mean()) == pytest.approx(0.5, abs=0.03)


def test_separate_parts_are_said():
    assert (Ball() | Ball((3.0, 0.0, 0.0), 0.5)).notes == ["the domain consists of 2 separate parts"]
    assert (Ball() | Ball((1.4, 0.0, 0.0), 0.5)).notes == [] and (Ball() - Ball(radius=0.5)).notes == []


def test_a_box_becomes_a_cuboid():
    assert (Box(x=(0, 1), y=(0, 2), z=(1, 3)) - Ball()).one == Cuboid((0, 1), (0, 2), (1, 3))
    with pytest.raises(InputError, match="Only boxes of x and y, or of x, y and z"):
        Box(x=(0, 1), y=(0, 2), w=(1, 3)) - Ball()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ball((0, 0)), "centre of a Ball has 3 coordinates"),
        (lambda: Ball(radius=-1), "radius of a Ball must be positive"),
        (lambda: Ball((0, 0, float("nan"))), "finite"),
        (lambda: Ball(name="interior"), "cannot be called"),
        (lambda: Cylinder((0, 0, 0)), "centre of a Cylinder has 2 coordinates"),
        (lambda: Cylinder(axis="w"), 'axis "x", "y" or "z"'),
        (lambda: Cylinder(span=(1, 0)), "lower < upper"),
        (lambda: Cuboid(z=(1, 1)), "lower < upper"),
        (lambda: Cuboid(z=(1, 2, 3)), "2 coordinates"),
        (lambda: Ball() - Disk(), "has 3 coordinates and"),
        (lambda: Rectangle() & Cuboid(), "has 2 coordinates and"),
        (lambda: (Ball() & Ball((3, 0, 0))).measure, "no point in common"),
        (lambda: (Ball() - Ball((3, 0, 0))).measure, "nothing to cut out"),
        (lambda: (Ball() - Cuboid(FAR, FAR, FAR)).measure, "Nothing is left"),
        (lambda: Ball().restricted(x=(0, 1)), r"shape & Cuboid\(\.\.\.\)"),
    ],
)
def test_what_is_no_solid_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
