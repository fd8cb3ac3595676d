"""Triangles have exactly the boundary that was given; tetrahedra fill a volume; neither has flat or repeated cells."""

import time
from math import pi

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from kanpde import InputError
from kanpde.domains.triangulation import tetrahedralize, triangulate

pytestmark = pytest.mark.usefixtures("unchecked")


def circle(count, radius=1.0, centre=(0.0, 0.0)):
    angle = 2 * pi * np.arange(count) / count
    return np.array(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def within(*loops):
    """Whether points lie in an odd number of polygons, by the crossings of a ray to the right."""

    def contains(x):
        inside = np.zeros(len(x), dtype=bool)
        for loop in loops:
            a, b = np.array(loop), np.roll(loop, -1, axis=0)
            above = (a[:, 1] > x[:, 1:]) != (b[:, 1] > x[:, 1:])
            with np.errstate(divide="ignore", invalid="ignore"):
                cut = a[:, 0] + (x[:, 1:] - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
            inside ^= (above & (x[:, :1] < cut)).sum(axis=1) % 2 == 1
        return inside

    return contains


def polygon_area(loop):
    x, y = (np.array(loop) - np.mean(loop, axis=0)).T
    return 0.5 * abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


def volumes(mesh):
    corners = mesh.points[mesh.cells[0].data]
    if mesh.cells[0].type == "triangle":
        (a, b), (c, d) = (corners[:, 1] - corners[:, 0]).T[:2], (corners[:, 2] - corners[:, 0]).T[:2]
        return 0.5 * (a * d - b * c)
    return np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6


def facets(mesh):
    """The corners of the edges or faces of the mesh that belong to one cell only, as sorted points."""
    cells = mesh.cells[0].data
    every = np.concatenate([np.delete(cells, k, axis=1) for k in range(cells.shape[1])])
    found, counts = np.unique(np.sort(every, axis=1), axis=0, return_counts=True)
    assert counts.max() <= 2
    return found[counts == 1]


def is_sound(mesh):
    assert (volumes(mesh) > 0).all()
    assert len(np.unique(mesh.cells[0].data)) == len(mesh.points) and mesh.points.shape[1] == 3
    assert not KDTree(mesh.points).query_pairs(1e-9)


SQUARE = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
L = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (-1.0, 1.0)])
STAR = (np.array([1.0, 0.35] * 5)[:, None] * circle(10)).round(3)
TURN = np.array([[0.8, -0.6], [0.6, 0.8]])
CASES = {
    "disk": ([circle(40)], 0.15),
    "disk with an eccentric hole": ([circle(60), circle(20, 0.3, (0.4, 0.1))], 0.1),
    "square with four holes": ([SQUARE, *[circle(12, 0.1, c) for c in (0.25 + 0.5 * SQUARE)]], 0.05),
    "turned L far away": ([L @ TURN + 1e3], 0.1),
    "turned star": ([STAR @ TURN], 0.08),
    "two disks": ([circle(30), circle(30, 1.0, (3.0, 0.0))], 0.2),
    "narrow gap": ([circle(50), circle(40, 0.93, (0.065, 0.0))], 0.15),
    "needle": ([np.array([(0.0, 0.0), (1.0, 0.0), (0.5, 1e-3), (1.0, 1.0)])], 0.1),
    "triangle": ([L[:3] @ TURN], 5.0),
    "coarse": ([SQUARE @ TURN], 1.0),
}


@pytest.mark.parametrize("name", CASES)
def test_triangles_have_the_area_and_the_boundary_of_the_polygons(name):
    loops, spacing = CASES[name]
    mesh = triangulate(loops, within(*loops), spacing)
    is_sound(mesh)
    sign = 1 if name == "two disks" else -1
    wanted = polygon_area(loops[0]) + sign * sum(polygon_area(loop) for loop in loops[1:])
    assert volumes(mesh).sum() == pytest.approx(wanted, rel=1e-11 if "far" in name else 1e-12)
    assert_same_lines(mesh, loops)


def assert_same_lines(mesh, loops):
    """The boundary edges of the mesh cover the edges of the loops, and nothing else."""
    begin, end = mesh.points[facets(mesh)].transpose(1, 0, 2)[..., :2]
    a, b = np.concatenate(loops), np.concatenate([np.roll(loop, -1, axis=0) for loop in loops])
    along = b - a
    covered = np.zeros(len(a))
    for p, q in zip(begin, end, strict=True):
        ends = np.stack([p, q])[:, None] - a
        share = (ends * along).sum(axis=2) / (along**2).sum(axis=1)
        off = np.abs(ends[..., 0] * along[:, 1] - ends[..., 1] * along[:, 0]) / np.linalg.norm(along, axis=1)
        on = ((off < 1e-9) & (share > -1e-9) & (share < 1 + 1e-9)).all(axis=0)
        assert on.sum() == 1, (p, q)
        covered[on] += np.linalg.norm(q - p)
    np.testing.assert_allclose(covered, np.linalg.norm(along, axis=1), rtol=1e-9)


def test_random_stars(generator):
    for case in range(25):
        count = 4 + case % 10
        loop = circle(count) * (0.05 + torch.rand(count, 1, generator=generator).numpy())
        mesh = triangulate([loop], within(loop), 0.1 + 0.4 * (case % 2))
        is_sound(mesh)
        assert volumes(mesh).sum() == pytest.approx(polygon_area(loop), rel=1e-12)


def test_halved_edges_lie_on_the_curve():
    def along(loop, s):
        radius, centre, count = [(1.0, 0.0, 5), (0.5, 0.45, 4)][loop]
        return radius * np.stack([np.cos(2 * pi * s / count), np.sin(2 * pi * s / count)], axis=1) + (centre, 0)

    loops = [along(0, np.arange(5)), along(1, np.arange(4))]
    mesh = triangulate(loops, lambda x: (np.hypot(*x.T) < 1) & (np.hypot(x[:, 0] - 0.45, x[:, 1]) > 0.5), 0.1, along)
    is_sound(mesh)
    rim = mesh.points[np.unique(facets(mesh))]
    gap = np.minimum(np.abs(np.hypot(*rim.T[:2]) - 1), np.abs(np.hypot(rim[:, 0] - 0.45, rim[:, 1]) - 0.5))
    assert gap.max() < 1e-12 and len(rim) > 90
    assert volumes(mesh).sum() == pytest.approx(0.75 * pi, rel=5e-3)


def test_a_loop_inside_is_an_interface():
    loops = [SQUARE, circle(24, 0.3, (0.5, 0.5))]
    mesh = triangulate(loops, within(SQUARE), 0.1)
    is_sound(mesh)
    assert volumes(mesh).sum() == pytest.approx(1, rel=1e-12)
    assert_same_lines(mesh, loops[:1])
    inner = within(loops[1])(mesh.points[mesh.cells[0].data].mean(axis=1)[:, :2])
    assert volumes(mesh)[inner].sum() == pytest.approx(polygon_area(loops[1]), rel=1e-12)


def test_loops_that_touch_share_their_point():
    loops = [SQUARE, np.array([(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0)])]
    mesh = triangulate(loops, within(*loops), 0.2)
    is_sound(mesh)
    assert volumes(mesh).sum() == pytest.approx(2, rel=1e-12)


def test_ten_thousand_points_take_less_than_a_second():
    loops = [circle(380), circle(130, 0.35, (0.3, 0.0))]
    contains = lambda x: (np.hypot(*x.T) < 1) & (np.hypot(x[:, 0] - 0.3, x[:, 1]) > 0.35)  # noqa: E731
    start = time.process_time()
    mesh = triangulate(loops, contains, 0.0175)
    assert time.process_time() - start < 1 and 9_000 < len(mesh.points) < 12_000
    corners = mesh.points[mesh.cells[0].data]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    assert (volumes(mesh) / sides.max(axis=1) ** 2).min() > 0.1  # 0.43 in an equilateral triangle


@pytest.mark.parametrize(
    ("loops", "message"),
    [
        ([], "at least one loop.*empty"),
        ([SQUARE, SQUARE[:2]], r"at least three points.*loop 1 has the shape \(2, 2\)"),
        ([SQUARE[:, :1]], r"shape \(4, 1\)"),
        ([np.where(SQUARE > 0.5, np.nan, SQUARE)], "finite"),
        ([np.array([(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])], "in one line"),
        ([np.array([(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.7)])], r"near \(0\.41.*, 0\.41.*\).* cross"),
    ],
)
def test_what_is_no_boundary_is_refused(loops, message):
    with pytest.raises(InputError, match=message):
        triangulate(loops, within(*loops), 0.2)


# tetrahedra ----------------------------------------------------------------------------------------------------------
def sphere(count, radius=1.0, centre=(0.0, 0.0, 0.0)):
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, pi * (3 - 5**0.5) * k
    across = np.sqrt(1 - z**2)
    return np.array(centre) + radius * np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=1)


def test_tetrahedra_of_a_ball_with_a_ball_cut_out():
    spacing = 0.1
    surface = np.concatenate([sphere(1450), sphere(232, 0.4, (0.2, 0.0, 0.0))])

    def contains(x):
        return (np.linalg.norm(x, axis=1) < 1) & (np.linalg.norm(x - (0.2, 0, 0), axis=1) > 0.4)

    mesh = tetrahedralize(surface, contains, spacing)
    is_sound(mesh)
    assert volumes(mesh).sum() == pytest.approx(4 / 3 * pi * (1 - 0.4**3), rel=5e-3)
    rim = mesh.points[np.unique(facets(mesh))]
    distance = np.minimum(
        np.abs(np.linalg.norm(rim, axis=1) - 1), np.abs(np.linalg.norm(rim - (0.2, 0, 0), axis=1) - 0.4)
    )
    assert distance.max() < 1e-12 and len(rim) == len(surface)


@pytest.mark.parametrize("turned", [False, True])
def test_tetrahedra_of_a_cube_are_exact_and_not_flat(turned):
    """Rounding puts the points of turned faces beside their plane."""
    turn = np.array([[2, -2, 1], [1, 2, 2], [2, 1, -2]]) / 3 if turned else np.eye(3)
    axis = np.linspace(0, 1, 6)
    grid = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    surface = grid[((grid == 0) | (grid == 1)).any(axis=1)]
    mesh = tetrahedralize(surface @ turn, lambda x: unit_cube(x @ turn.T), 0.2)
    is_sound(mesh)
    assert volumes(mesh).sum() == pytest.approx(1, rel=1e-12) and volumes(mesh).min() > 1e-3 * 0.2**3


def unit_cube(x):
    """Whether points lie in the unit cube of any dimension, or on its boundary up to rounding errors."""
    return ((x >= -1e-12) & (x <= 1 + 1e-12)).all(axis=1)


def test_no_triangles_between_points_of_a_turned_edge():
    """Their centroids lie in the domain up to rounding errors."""
    for spacing in (0.3, 0.09, 0.05):
        mesh = triangulate([SQUARE @ TURN], lambda x: unit_cube(x @ TURN.T), spacing)
        is_sound(mesh)
        assert volumes(mesh).min() > 0.01 * spacing**2


def test_surfaces_without_volume_are_refused():
    with pytest.raises(InputError, match="in one line or plane"):
        tetrahedralize(np.pad(circle(20), ((0, 0), (0, 1))), lambda x: x[:, 2] == 0, 0.2)
    with pytest.raises(InputError, match="smaller spacing"):
        tetrahedralize(sphere(30), lambda x: x[:, 2] > 2, 0.2)
    with pytest.raises(InputError, match=r"shape \(points, 3\)"):
        tetrahedralize(circle(8), lambda x: x[:, 1] > 0, 0.2)
