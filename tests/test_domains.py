"""Boxes: regions, rules, weights, normals, meshes."""

import numpy as np
import pytest
import torch

from kanpde import Box, InputError
from kanpde.domains.rules import RULES

BOX = Box(x=(-1.0, 2.0), y=(0.0, 1.0), t=(0.0, 0.5))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("region", [BOX.interior, BOX.boundary, BOX.face("x", 1), BOX.at(t=0.0)])
def test_weights_sum_to_one_and_points_are_inside(rule, region):
    points = region.sample(rule, 300)
    assert float(points.weight.sum()) == pytest.approx(1.0)
    assert bool((points.weight > 0).all())
    lower, upper = torch.tensor(BOX.ranges, dtype=torch.float64).T
    assert bool(((points.x >= lower) & (points.x <= upper)).all())


@pytest.mark.parametrize("rule", ["gauss", "chebyshev"])
def test_tensor_rules_integrate_polynomials(rule):
    p = Box(x=(-1.0, 2.0), y=(0.0, 1.0)).interior.sample(rule, 64)
    x, y = p.x.unbind(1)
    assert float((p.weight * x**4 * y**3).sum()) == pytest.approx((33 / 5 / 3) / 4)
    assert len(p.x) == 64


def test_faces_are_weighted_by_their_area():
    p = Box(x=(0.0, 3.0), y=(0.0, 1.0)).boundary.sample("gauss", 40)
    short = p.normal[:, 0] != 0
    assert float(p.weight[short].sum()) == pytest.approx(2 / 8)


def test_normals_point_outward_and_time_has_none():
    p = BOX.boundary.sample("uniform", 100)
    assert p.normal is not None
    centre = torch.tensor([0.5, 0.5, 0.25])
    assert bool((((p.x - centre) * p.normal).sum(1) > 0).all())
    assert bool((p.normal[:, 2] == 0).all()) and torch.allclose(p.normal.norm(dim=1), torch.ones(len(p.x)).double())
    assert BOX.at(t=0.0).sample("gauss", 9).normal is None
    assert BOX.interior.sample("gauss", 8).normal is None


def test_boundary_in_one_dimension_is_two_points():
    assert Box(x=(0.0, 1.0)).boundary.sample("gauss", 50).x.tolist() == [[0.0], [1.0]]


def test_random_points_come_from_the_generator():
    for rule in ("sobol", "uniform"):
        a, b, c = (BOX.interior.sample(rule, 64, torch.Generator().manual_seed(s)).x for s in (1, 1, 2))
        assert torch.equal(a, b) and not torch.equal(a, c)


def test_periodic_coordinates_have_no_boundary():
    torus = Box(x=(0.0, 1.0), y=(0.0, 1.0), periodic=["x"])
    assert bool((torus.boundary.sample("gauss", 20).normal[:, 0] == 0).all())
    with pytest.raises(InputError, match="periodic"):
        torus.face("x", 0)
    with pytest.raises(InputError, match="no boundary"):
        Box(x=(0.0, 1.0), periodic=["x"]).boundary  # noqa: B018


@pytest.mark.parametrize(
    ("box", "kind", "size"),
    [
        (Box(x=(0.0, 2.0), t=(0.0, 1.0)), "line", 2.0),
        (Box(x=(0.0, 2.0), y=(-1.0, 1.0)), "quad", 4.0),
        (Box(x=(0.0, 2.0), y=(-1.0, 1.0), z=(0.0, 0.5)), "hexahedron", 2.0),
    ],
)
def test_mesh_fills_the_box(box, kind, size):
    mesh = box.mesh(4)
    block = mesh.cells[0]
    assert block.type == kind and len(block.data) == 4 ** len(box.space) and mesh.points.shape[1] == 3
    corners = mesh.points[block.data]
    if kind == "line":
        volume = np.abs(corners[:, 1] - corners[:, 0])[:, 0]
    else:
        edges = [corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]]
        volume = np.cross(*edges)[:, 2]
        if kind == "hexahedron":
            volume = volume * (corners[:, 4] - corners[:, 0])[:, 2]
    assert (volume > 0).all() and volume.sum() == pytest.approx(size)


def test_error_points_are_not_training_points():
    test = BOX.test_points("cpu", torch.float64)
    assert len(test) > 10_000
    train = BOX.interior.sample("gauss", 1000).x
    assert float(torch.cdist(train, test[:5000]).min()) > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(), "coordinates"),
        (lambda: Box(x=(1.0, 1.0)), "lower < upper"),
        (lambda: Box(x=(2.0, 1.0)), "lower < upper"),
        (lambda: Box(x=(0.0, float("inf"))), "finite"),
        (lambda: Box(t=(0.0, 1.0)).boundary, "no boundary"),
        (lambda: Box(x=(0.0, 1.0), periodic=["z"]), 'no coordinate "z"'),
        (lambda: BOX.face("x", 2), "side"),
        (lambda: BOX.at(t=9.0), "outside"),
        (lambda: BOX.at(s=0.0), 'no coordinate "s"'),
        (lambda: BOX.interior.sample("gaus", 10), 'Did you mean "gauss"'),
        (lambda: BOX.interior.sample("gauss", 0), "at least one point"),
    ],
)
def test_bad_boxes_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.usefixtures("unchecked")
def test_a_face_at_a_value_is_refused():
    with pytest.raises(InputError, match="A slice at a value"):
        BOX.face("x", 0.0)


def test_automatic_points_are_a_tensor_grid_only_where_it_is_dense():
    flat, deep = (Box(**{f"x{i}": (0.0, 1.0) for i in range(dim)}).interior for dim in (3, 4))
    assert torch.equal(flat.sample("auto", 343).x, flat.sample("gauss", 343).x)
    assert torch.equal(deep.sample("auto", 256).x, deep.sample("sobol", 256).x)


def test_a_box_names_its_faces():
    assert list(BOX.parts) == ["interior", "boundary", "x=-1", "x=2", "y=0", "y=1", "t=0"]
    assert list(Box(x=(0.1, 0.3), y=(0.0, 1.0), periodic=["x"]).parts) == ["interior", "boundary", "y=0", "y=1"]
    close = Box(x=(0.12345678, 0.12345679)).parts
    assert len(close) == 4 and "x=0.12345678" in close


def test_boxes_are_restricted_in_space_but_not_in_their_period():
    assert repr(BOX.restricted(x=(0.0, 1.0), t=(0.1, 0.2))) == repr(Box(x=(0.0, 1.0), y=(0.0, 1.0), t=(0.1, 0.2)))
    around = Box(x=(0.0, 1.0), t=(0.0, 1.0), periodic=["x"])
    assert around.restricted(x=(0.0, 1.0), t=(0.0, 0.5)).periodic == (0,)
    with pytest.raises(InputError, match="period"):
        around.restricted(x=(0.0, 0.5))
    with pytest.raises(InputError, match='no coordinate "z"'):
        BOX.restricted(z=(0.0, 1.0))


def test_contains_allows_for_rounding_and_no_more():
    box = Box(x=(-3.0, 0.1))
    end = torch.tensor([[-3.0 + (0.1 + 3.0) * 1.0]], dtype=torch.float64)
    assert float(end) > 0.1 and box.contains(end).tolist() == [True]
    for dtype, beyond in ((torch.float64, 1e-13), (torch.float32, 1e-4)):
        x = torch.tensor([[0.1 + beyond], [-3.0 - beyond], [0.1], [-3.0]], dtype=dtype)
        assert box.contains(x).tolist() == [False, False, True, True]
