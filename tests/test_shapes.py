"""Shapes in the plane: areas, lengths and quadrature in closed form, combinations, parts, corners, and bad input."""

from math import acos, cos, pi, radians, sin, sqrt

import numpy as np
import pytest
import torch
from scipy.special import ellipe

from kanpde import (
    KAN,
    LM,
    Box,
    Condition,
    Curve,
    Disk,
    Ellipse,
    InputError,
    Output,
    Phase,
    Polygon,
    Problem,
    Rectangle,
    Sampling,
    dirichlet,
    laplacian,
    load,
    save,
    solve,
)
from kanpde.domains.planar import Planar
from kanpde.domains.rules import along_line

pytestmark = pytest.mark.usefixtures("unchecked")
GAUSS = along_line("gauss")
LENS = 2 * acos(0.5) - 0.5 * sqrt(3)  # of two unit disks at the distance 1
L = ((0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1))


def flower():
    return Curve.polar(lambda angle: 1 + 0.3 * np.cos(5 * angle))


def square_with_holes():
    square = Rectangle((-1, 1), (-1, 1))
    for x, y, r in ((-0.5, -0.5, 0.2), (0.5, -0.5, 0.3), (0.5, 0.5, 0.1), (-0.5, 0.4, 0.25)):
        square = square - Disk((x, y), r, name="hole")
    return square


SHAPES = {
    "disk": (Disk((2.0, -1.0), 0.3), pi * 0.09),
    "ellipse": (Ellipse((0.1, 0.2), (2.0, 0.5), 0.4), pi),
    "L": (Polygon(L), 3.0),
    "rectangle": (Rectangle((0.5, 2), (-1, 1)), 3.0),
    "flower": (flower(), pi * 1.045),
    "half disk of two arcs": (
        Curve.of(lambda s: (np.cos(pi * s), np.sin(pi * s)), lambda s: (2 * s - 1, 0 * s)),
        pi / 2,
    ),
    "clockwise": (Curve.of(lambda s: (np.cos(2 * pi * s), -0.5 * np.sin(2 * pi * s))), pi / 2),
    "annulus": (Disk(name="outer") - Disk((0.2, 0.1), 0.3, name="hole"), 0.91 * pi),
    "lens": (Disk(name="a") & Disk((1, 0), name="b"), LENS),
    "two disks": (Disk(name="a") | Disk((1, 0), name="b"), 2 * pi - LENS),
    "moon": (Disk(name="a") - Disk((1, 0), name="b"), pi - LENS),
    "holes": (square_with_holes(), 4 - pi * (0.04 + 0.09 + 0.01 + 0.0625)),
    "quarter plate": (Rectangle((0, 2), (0, 2)) - Disk(radius=0.5, name="hole"), 4 - pi / 16),
    "flower with a hole": (flower() - Disk((0.1, 0), 0.4, name="hole"), pi * (1.045 - 0.16)),
    "half a disk": (Disk() & Rectangle((-2, 2), (0, 2)), pi / 2),
    "cross": (Rectangle((-1, 1), (-0.3, 0.3)) | Rectangle((-0.3, 0.3), (-1, 1)), 2.04),
    "far away": (Disk((1e3, 1e3)) - Disk((1e3, 1e3), 0.3, name="hole"), 0.91 * pi),
    "tiny": (Disk(radius=1e-6) - Disk(radius=0.3e-6, name="hole"), 0.91e-12 * pi),
    "box with a hole": (Box(x=(0, 1), y=(0, 1)) - Disk((0.5, 0.5), 0.2, name="hole"), 1 - 0.04 * pi),
    # boundaries that touch or coincide
    "side by side": (Rectangle((0, 1), (0, 1)) | Rectangle((1, 2), (0, 1)), 2.0),
    "one above the other": (Rectangle((0, 1), (0, 1)) | Rectangle((0, 1), (1, 2)), 2.0),
    "partly side by side": (Rectangle((0, 1), (0, 1)) | Rectangle((1, 2), (0.25, 0.5)), 1.25),
    "a notch": (Rectangle((0, 2), (0, 2)) - Rectangle((1, 2), (1, 2)), 3.0),
    "corner to corner": (Rectangle((0, 1), (0, 1)) | Rectangle((1, 2), (1, 2)), 2.0),
    "along the diagonal": (Polygon(((0, 0), (1, 0), (1, 1))) | Polygon(((0, 0), (1, 1), (0, 1))), 1.0),
    "disk in a square": (Rectangle((-1, 1), (-1, 1)) | Disk(), 4.0),
    "square without its disk": (Rectangle((-1, 1), (-1, 1)) - Disk(name="hole"), 4 - pi),
    "hole at a side": (Rectangle((-1, 1), (-1, 1)) - Disk((0.5, 0), 0.5, name="hole"), 4 - pi / 4),
    "hole at the rim": (Disk() - Disk((0.5, 0), 0.5, name="hole"), 0.75 * pi),
    "hole at the rim, turned": (Disk() - Disk((0.5 * cos(0.7), 0.5 * sin(0.7)), 0.5, name="hole"), 0.75 * pi),
    "identical": (Disk() | Disk(name="other"), pi),
    "a curve and a disk": (Curve.polar(lambda angle: 1 + 0 * angle) & Disk(), pi),
    "touching disks": (Disk() | Disk((2, 0)), 2 * pi),
    "apart": (Disk() | Disk((3, 0)), 2 * pi),
}
every = pytest.mark.parametrize("name", SHAPES)


# areas, lengths and integrals ----------------------------------------------------------------------------------------
@every
def test_areas_in_closed_form(name):
    shape, area = SHAPES[name]
    assert shape.measure == pytest.approx(area, rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "label", "length"),
    [
        (Disk((2.0, -1.0), 0.3), None, 0.6 * pi),
        (Ellipse((0.1, 0.2), (2.0, 0.5), 0.4), "ellipse", 8 * float(ellipe(1 - 1 / 16))),
        (Polygon(L), "polygon side 3", 2.0),
        (SHAPES["annulus"][0], "hole", 0.6 * pi),
        (SHAPES["annulus"][0], "outer", 2 * pi),
        (SHAPES["annulus"][0], None, 2.6 * pi),
        (SHAPES["lens"][0], "a", 2 * pi / 3),
        (SHAPES["moon"][0], "b", 2 * pi / 3),
        (SHAPES["two disks"][0], "b", 4 * pi / 3),
        (SHAPES["quarter plate"][0], "hole", pi / 4),
        (SHAPES["quarter plate"][0], "x=0", 1.5),
        (SHAPES["quarter plate"][0], "rectangle", 7.0),
        (SHAPES["partly side by side"][0], "x=1", 0.75),
        (SHAPES["half disk of two arcs"][0], None, pi + 2),
    ],
)
def test_lengths_in_closed_form(shape, label, length):
    assert shape.geometry.extent(label) == pytest.approx(length, rel=1e-12)
    part = shape.boundary if label is None else shape.part(label)
    points = part.sample("gauss", 60)
    assert float(points.weight.sum()) == pytest.approx(1.0) and points.normal is not None


def flux_and_divergence(geometry, level, inside, outside):
    """The integrals of div F over the inside and of F·n over the boundary, for a smooth F."""
    (x, y), weight = (lambda q, v: (q.T, v))(*geometry.inside(inside, GAUSS))
    assert (weight > 0).all() and (level(np.stack([x, y], axis=1)) < 1e-9 * geometry.size).all()
    (a, b), share, normal = (lambda p, w, n: (p.T, w, n))(*geometry.on_boundary(None, outside, GAUSS))
    wave = np.exp(a) * np.sin(b)
    return float(weight @ (np.exp(x) * (np.sin(y) + np.cos(y)))), float(share @ (wave * normal.sum(axis=1)))


@every
def test_quadrature_satisfies_the_divergence_theorem(name):
    shape, area = SHAPES[name]
    if name in ("far away", "tiny"):
        weight = shape.geometry.inside(2000, GAUSS)[1]
        assert weight.sum() == pytest.approx(area, rel=1e-12)
        return
    rough = "flower" in name  # chords are smooth functions of x in a narrow strip only
    inside, outside = flux_and_divergence(shape.geometry, shape.level, 20_000 if rough else 5000, 4000)
    assert inside == pytest.approx(outside, abs=(1e-8 if rough else 1e-10) * area)


def test_moments_of_a_disk_and_an_ellipse():
    for shape, second in ((Disk((1.0, 2.0), 0.5), pi * 0.5**4 / 4 + pi * 0.25), (Ellipse(), pi * 0.5 / 4)):
        points = shape.interior.sample("gauss", 800)
        assert shape.measure * float(points.weight @ points.x[:, 0] ** 2) == pytest.approx(second, rel=1e-12)


def test_an_arc_that_ends_close_to_an_upright_tangent_is_integrated():
    """The square root lies just outside of the interval: without a substitution the error is 1e-5."""
    for gap in (1e-2, 1e-3, 1e-5):
        shape = Disk() & Rectangle((gap - 1, 2), (-2, 2))
        weight = shape.geometry.inside(2000, GAUSS)[1]
        height = 1 - gap
        assert weight.sum() == pytest.approx(pi - acos(height) + height * sqrt(1 - height**2), rel=1e-12)


@every
def test_normals_point_outward(name):
    shape = SHAPES[name][0]
    geometry = shape.geometry
    x, weight, normal = geometry.on_boundary(None, 400, GAUSS)
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1.0, rtol=1e-13)
    np.testing.assert_allclose(weight @ normal, 0.0, atol=1e-11 * geometry.size)  # the boundary is closed
    step = 1e-7 * geometry.size * normal
    assert (shape.level(x + step) > 0).all() and (shape.level(x - step) < 0).all()


@pytest.mark.parametrize("rule", ["sobol", "uniform"])
def test_random_points_are_those_of_the_shape(rule):
    shape = SHAPES["moon"][0]
    points = shape.interior.sample(rule, 4000)
    wanted = shape.interior.sample("gauss", 2000)
    assert len(points.x) == 4000 and bool((points.weight == 1 / 4000).all())
    for power in (1, 2):
        mean, exact = (float(p.weight @ p.x[:, 0] ** power) for p in (points, wanted))
        assert mean == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize("angle", [0.0, 0.7, 4.0])
def test_circles_that_touch_have_that_point_in_common(angle):
    """Otherwise the polylines of the mesh cross there."""
    touch = np.array([cos(angle), sin(angle)])
    shape = Disk() - Disk(tuple(0.5 * touch), 0.5, name="hole")
    starts = np.concatenate([piece.trace(np.zeros(1))[0] for piece in shape.geometry.pieces])
    assert (np.linalg.norm(starts - touch, axis=1) < 1e-10).sum() == 2
    corners = shape.mesh(12).points[shape.mesh(12).cells[0].data]
    sides = corners[:, 1:] - corners[:, :1]
    areas = 0.5 * (sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0])
    assert (areas > 0).all() and areas.sum() == pytest.approx(shape.measure, rel=1e-2)


# random combinations -------------------------------------------------------------------------------------------------
def leaf(rng):
    """A disk, a rectangle or a star-shaped polygon near the origin."""
    kind, (x, y) = rng.integers(3), rng.uniform(-0.7, 0.7, 2)
    if kind == 0:
        return Disk((x, y), rng.uniform(0.3, 1.0))
    if kind == 1:
        a, b = rng.uniform(0.2, 0.9, 2)
        return Rectangle((x - a, x + a), (y - b, y + b))
    angles = 2 * pi * (np.arange(count := rng.integers(3, 7)) + rng.uniform(0, 0.7, count)) / count
    radii = rng.uniform(0.3, 1.0, count)
    return Polygon(tuple(zip(x + radii * np.cos(angles), y + radii * np.sin(angles), strict=True)))


def tree(rng, depth):
    if depth == 0:
        return leaf(rng)
    one, two, operation = tree(rng, depth - 1), tree(rng, depth - 1), rng.integers(4)
    return one & two if operation == 0 else one - two if operation == 1 else one | two


def check_tree(seed):
    """Area within five standard deviations of Monte Carlo, a closed boundary, outward normals, exact integrals."""
    rng = np.random.default_rng(seed)
    shape = tree(rng, 3)
    x = rng.uniform(-1.7, 1.7, (20_000, 2))
    share = (shape.level(x) < 0).mean()
    if share < 1e-3:
        return False
    geometry = Planar(shape, shape.leaves)  # without the refusal of operands that do not meet
    deviation = sqrt(share * (1 - share) / len(x))
    assert abs(geometry.measure / 3.4**2 - share) < 5 * deviation
    inside, outside = flux_and_divergence(geometry, shape.level, 2000, 1000)
    assert inside == pytest.approx(outside, abs=1e-6)
    x, weight, normal = geometry.on_boundary(None, 2000, GAUSS)
    np.testing.assert_allclose(weight @ normal, 0.0, atol=1e-10)
    step = 1e-8 * normal
    assert (shape.level(x + step) > 0).all() and (shape.level(x - step) < 0).all()
    assert sum(map(len, geometry.loops)) == len(geometry.pieces)
    return True


@pytest.mark.long
def test_random_combinations_of_depth_three():
    assert all(check_tree(seed) for seed in (0, 1, 3))


@pytest.mark.slow
def test_many_random_combinations_of_depth_three():
    assert sum(check_tree(seed) for seed in range(4, 200)) > 100


# corners and parts ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("L", [((0, 0), 270.0)]),
        ("two disks", [((0.5, -sqrt(0.75)), 240.0), ((0.5, sqrt(0.75)), 240.0)]),
        ("partly side by side", [((1, 0.25), 270.0), ((1, 0.5), 270.0)]),
        ("a notch", [((1, 1), 270.0)]),
        ("cross", [((-0.3, -0.3), 270.0), ((-0.3, 0.3), 270.0), ((0.3, -0.3), 270.0), ((0.3, 0.3), 270.0)]),
        ("moon", []),
        ("annulus", []),
        ("flower", []),
        ("quarter plate", []),
        ("side by side", []),
        ("identical", []),
    ],
)
def test_reentrant_corners(name, expected):
    found = sorted(SHAPES[name][0].corners(), key=lambda c: (round(c.at[0], 9), c.at[1]))
    assert len(found) == len(expected)
    for corner, (at, angle) in zip(found, expected, strict=True):
        assert corner.at == pytest.approx(at, abs=1e-12) and corner.angle == pytest.approx(radians(angle), rel=1e-12)


def test_a_corner_names_its_parts():
    (corner,) = (Disk(name="disk") - Rectangle((0, 2), (0, 2), name="cut")).corners()
    assert set(corner.parts) == {"x=0", "y=0"} and type(corner.angle) is float
    shape = (Disk() - Rectangle((0, 2), (0, 2))).over(t=(0.0, 1.0))
    assert [c.at for c in shape.corners()] == [(0.0, 0.0)]


def test_parts_lie_where_they_belong():
    hole = SHAPES["annulus"][0].part("hole").sample("gauss", 50)
    centre = torch.tensor([0.2, 0.1], dtype=torch.float64)
    torch.testing.assert_close((hole.x - centre).norm(dim=1), torch.full((len(hole.x),), 0.3).double())
    torch.testing.assert_close(hole.normal, (centre - hole.x) / 0.3)  # out of the domain, into the hole
    side = SHAPES["quarter plate"][0].part("x=0").sample("gauss", 50).x
    assert bool((side[:, 0] == 0).all()) and 0.5 < float(side[:, 1].min()) < float(side[:, 1].max()) < 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SHAPES["annulus"][0].part("hol"), 'no part "hol". Did you mean "hole"'),
        (lambda: SHAPES["annulus"][0].over(t=(0, 1)).part("hol"), 'no part "hol". Did you mean "hole"'),
        (lambda: (Disk(name="a") | Disk((0.2, 0.1), 0.3, "b")).part("b"), 'part "b" lies on .* another operand'),
        (lambda: (Disk(name="a") | Disk((0.2, 0), 0.3, "b")).over(t=(0, 1)).part("b"), "another operand covers it"),
        (lambda: (Rectangle((0, 2), (0, 2)) - Rectangle((1, 3), (-1, 3))).part("x=2"), "another operand covers it"),
        (lambda: Disk(name="t=0").over(t=(0, 1)).parts, '"t=0" is the initial slice'),
        (lambda: SHAPES["annulus"][0].at(x=0.0), "no slice x=0"),
        (lambda: SHAPES["annulus"][0].restricted(x=(0.0, 1.0)), "Intersect it"),
        # nothing is left
        (lambda: (Disk() - Disk((3, 0), name="hole")).measure, "hole.* lies outside .* nothing to cut out"),
        (lambda: (Disk() & Disk((3, 0))).measure, "no point in common"),
        (lambda: (Disk() & Disk((2, 0))).measure, "no point in common"),
        (lambda: (Rectangle() & Rectangle((1, 2))).measure, "no point in common"),
        (lambda: (Disk() - Disk()).measure, "Nothing is left of"),
        (lambda: (Disk() - Disk(radius=2, name="hole")).measure, "Nothing is left of"),
        # arguments
        (lambda: Disk(radius=-1), "radius of a Disk must be positive, got -1"),
        (lambda: Disk(radius="1"), "radius of a Disk must be a finite number, got '1'"),
        (lambda: Disk((0, 0, 0)), "centre of a Disk has 2 coordinates"),
        (lambda: Disk(1.0), "centre of a Disk must be finite numbers, got 1.0"),
        (lambda: Disk((float("nan"), 0)), "centre of a Disk must be finite numbers"),
        (lambda: Disk(name="boundary"), 'cannot be called "boundary"'),
        (lambda: Disk(name=""), 'cannot be called ""'),
        (lambda: Ellipse(semi_axes=(1, 0)), "semi_axes of a Ellipse must be positive"),
        (lambda: Ellipse(semi_axes=(1, 1, 1)), "semi_axes of a Ellipse has 2 coordinates"),
        (lambda: Ellipse(angle="x"), "angle of an Ellipse must be a finite number"),
        (lambda: Rectangle((1, 0)), r"lower < upper, got x=\(1, 0\)"),
        (lambda: Polygon(((0, 0), (1, 1), (1, 0), (0, 1))), "sides 1 and 3 of the Polygon cross"),
        (lambda: Polygon(((0, 0), (1, 0))), "three vertices or more"),
        (lambda: Polygon(((0, 0), (0, 0), (1, 0), (0, 1))), "vertices 1 and 2 of the Polygon coincide"),
        (lambda: Polygon(((0, 0), (2, 0), (1, 0), (1, 1))), "cross or touch"),
        (lambda: Polygon(L, sides=("a", "b")), "one name for each of its 6 sides"),
        (lambda: Curve.of(), "needs a function"),
        (lambda: Curve.of(lambda s: (s, s)), r"not closed: arc 1 ends at \(1, 1\), and it begins at \(0, 0\)"),
        (lambda: Curve.of(lambda s: s), "must return two arrays"),
        (lambda: Curve.of(lambda s: (1 / s, s)), "not smooth|not finite"),
        (lambda: Curve.of(lambda s: (np.sin(2 * pi * s), np.sin(4 * pi * s))), r"crosses itself near \(0, 0\)"),
        (lambda: Curve.of(lambda s: (np.cos(2 * pi * s) ** 3, np.sin(2 * pi * s) ** 3)), "no tangent near"),
        (lambda: Curve.polar(lambda angle: 1 + 0.3 * abs(np.cos(angle))), "not smooth"),
        (lambda: Curve.polar(lambda angle: 0.5 + np.cos(angle)), "radius of a Curve must be positive, got -0.5"),
        (lambda: Disk() - 3, "Shapes are combined with shapes, got 3"),
        (lambda: Disk() - Box(x=(0, 1), t=(0, 1)), "Only boxes of x and y"),
        (lambda: Disk() - Box(x=(0, 1), y=(0, 1), periodic=["x"]), "Only boxes of x and y"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_arguments_become_plain_numbers():
    """Lists, as yaml has them, and numbers of NumPy give the same shape as tuples of floats."""
    shape = Disk([0, np.float64(0.5)], np.float32(0.5)) - Disk(np.array([0.1, 0.5]), 0.25, name="hole")
    assert repr(shape) == repr(Disk((0.0, 0.5), 0.5) - Disk((0.1, 0.5), 0.25, name="hole"))
    assert shape.measure == pytest.approx(pi * (0.25 - 0.0625), rel=1e-12)


# runs ----------------------------------------------------------------------------------------------------------------
def test_a_stored_run_on_a_shape_gives_the_same_values(tmp_path):
    shape = Ellipse(semi_axes=(1.5, 1)) - Disk((0.1, 0), 0.4, name="hole")
    conditions = {
        "pde": Condition(shape.interior, lambda u: laplacian(u) - 1.0),
        "ellipse": dirichlet(shape.part("ellipse"), 0.0),
        "hole": dirichlet(shape.part("hole"), lambda x, y: x),
    }
    problem = Problem(shape, conditions)
    found = solve(problem, KAN([2], grid=2), [Phase(LM(), steps=3)], sampling=Sampling("gauss", 200, 60), device="cpu")
    save(found, tmp_path, Output(cells=6))
    again = load(tmp_path)
    assert again.problem.domain.describe() == shape.describe()
    x, y = shape.interior.sample("uniform", 40).x.unbind(1)
    assert torch.equal(again(x, y), found(x, y)) and not bool(found(x, y).isnan().any())
    with pytest.warns(UserWarning, match="outside the domain"):
        assert np.isnan(again(0.1, 0.0))  # in the hole
