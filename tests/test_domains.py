"""Boxes: regions, rules, weights, normals, meshes; and what every kind of domain must hold, on boxes and a disk."""

import json
from math import prod

import numpy as np
import pytest
import torch
from disk import Disk

import kanpde.domains
from kanpde import Box, InputError
from kanpde.domains import Domain, domain_from, kinds
from kanpde.domains.box import require_box
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
        (lambda: Box(t=(0.0, 1.0)), "spatial"),
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


def test_automatic_points_are_a_tensor_grid_only_where_it_is_dense():
    flat, deep = (Box(**{f"x{i}": (0.0, 1.0) for i in range(dim)}).interior for dim in (3, 4))
    assert torch.equal(flat.sample("auto", 343).x, flat.sample("gauss", 343).x)
    assert torch.equal(deep.sample("auto", 256).x, deep.sample("sobol", 256).x)


# every kind of domain ------------------------------------------------------------------------------------------------
DOMAINS = [
    BOX,
    Box(x=(0.25, 0.75)),
    Box(x=(-1.0, 2.0), t=(0.0, 3.0)),
    Box(t=(1.0, 3.0), x=(-1e-3, 1e-3), y=(5.0, 7.0)),
    Box(x=(0.0, 2.0), y=(-1.0, 1.0), z=(0.1, 0.5)),
    Box(x=(0.1, 0.3), y=(0.0, 1.0), periodic=["x"]),
    Box(x=(0.0, 2.0), t=(0.0, 1.0), periodic=["x"]),
    Box(**{f"x{i}": (0.0, 1.0 + i) for i in range(5)}),
    Disk(),
    Disk(radius=0.3, centre=(2.0, -1.0)),
    Disk(radius=2.0, centre=(0.0, 1.0), t=(0.5, 1.5)),
]
WITH_TIME = [d for d in DOMAINS if d.time is not None]
every = pytest.mark.parametrize("domain", DOMAINS, ids=str)


def wall(domain):
    """The boundary, if there is one."""
    return domain.parts.get("boundary")


def sizes(mesh):
    """Signed lengths, areas or volumes of a mesh's cells, and their centres (cells, 3); cells are parallelepipeds."""
    corners = mesh.points[mesh.cells[0].data]
    kind, a = mesh.cells[0].type, corners[:, 1] - corners[:, 0]
    if kind == "line":
        return a[:, 0], corners.mean(axis=1)
    areas = np.cross(a, corners[:, -1 if kind == "triangle" else 3] - corners[:, 0])[:, 2]
    if kind == "hexahedron":
        areas = areas * (corners[:, 4] - corners[:, 0])[:, 2]
    return areas / (2 if kind == "triangle" else 1), corners.mean(axis=1)


@every
def test_it_has_all_that_the_protocol_lists(domain):
    members = [name for name in vars(Domain) if not name.startswith("_")]
    assert {"names", "contains", "describe"} < set(members)
    assert not [name for name in members if not hasattr(type(domain), name) and name not in vars(domain)]
    assert len(domain.names) == len(domain.ranges) and all(lo < hi for lo, hi in domain.ranges)
    assert (domain.time is None) == ("t" not in domain.names) and "t" not in [domain.names[i] for i in domain.space]
    assert sorted([*domain.space, *([] if domain.time is None else [domain.time])]) == list(range(len(domain.names)))


@every
def test_parts_are_named_regions(domain):
    assert all(name == region.label and region.names == domain.names for name, region in domain.parts.items())
    assert [name for name, region in domain.parts.items() if region.is_interior] == ["interior"]
    if wall(domain) is None:
        with pytest.raises(InputError, match="no boundary"):
            domain.boundary  # noqa: B018
    if domain.time is not None:
        start = domain.ranges[domain.time][0]
        x = domain.parts[f"t={start:g}"].sample("uniform", 9).x
        assert bool((x[:, domain.time] == start).all())


def test_a_box_names_its_faces():
    assert list(BOX.parts) == ["interior", "boundary", "x=-1", "x=2", "y=0", "y=1", "t=0"]
    assert list(DOMAINS[5].parts) == ["interior", "boundary", "y=0", "y=1"]
    close = Box(x=(0.12345678, 0.12345679)).parts
    assert len(close) == 4 and "x=0.12345678" in close


@every
@pytest.mark.parametrize("rule", RULES)
def test_points_of_all_parts_lie_in_it_with_weights_that_sum_to_one(domain, rule):
    for dtype in (torch.float64, torch.float32):
        for region in domain.parts.values():
            points = region.sample(rule, 200, dtype=dtype)
            assert points.x.dtype == dtype and points.x.shape == (len(points.weight), len(domain.names))
            assert float(points.weight.sum()) == pytest.approx(1.0, rel=1e-5) and bool((points.weight > 0).all())
            assert bool(domain.contains(points.x).all())


@every
@pytest.mark.parametrize("rule", ["gauss", "uniform"])
def test_normals_are_unit_and_outward(domain, rule):
    if wall(domain) is None:
        return
    points = domain.boundary.sample(rule, 200)
    small = 1e-7 * max(hi - lo for lo, hi in domain.ranges)
    torch.testing.assert_close(points.normal.norm(dim=1), torch.ones(len(points.x)).double())
    assert domain.time is None or bool((points.normal[:, domain.time] == 0).all())
    assert not bool(domain.contains(points.x + small * points.normal).any())
    assert bool(domain.contains(points.x - small * points.normal).all())


@every
def test_contains_measures_the_domain_in_its_bounding_box(domain):
    lower, upper = torch.tensor(domain.ranges, dtype=torch.float64).T
    unit = torch.rand(40_000, len(lower), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    share = float(domain.contains(lower + unit * (upper - lower)).double().mean())
    assert share * prod(hi - lo for lo, hi in domain.ranges) == pytest.approx(domain.measure, rel=0.02)
    beyond = lower + (2 * unit - 0.5) * (upper - lower)
    inside_box = ((beyond >= lower) & (beyond <= upper)).all(dim=1)
    assert not bool(domain.contains(beyond)[~inside_box].any())
    nowhere = torch.full((1, len(lower)), float("nan"), dtype=torch.float64)
    assert domain.contains(nowhere).tolist() == [False]


@every
def test_mesh_and_quadrature_agree_on_measure_and_moments(domain):
    if len(domain.space) > 3:
        with pytest.raises(InputError, match="at most 3"):
            domain.mesh(1)
        return
    size, centre = sizes(domain.mesh(60 if len(domain.space) < 3 else 8))
    duration = 1.0 if domain.time is None else np.diff(domain.ranges[domain.time])[0]
    assert (size > 0).all() and size.sum() * duration == pytest.approx(domain.measure, rel=2e-3)
    points = domain.interior.sample("gauss", 200)
    extent = max(hi - lo for lo, hi in domain.ranges)
    for column, i in enumerate(domain.space):
        moment = domain.measure * float(points.weight @ points.x[:, i])
        assert moment == pytest.approx(
            (size @ centre[:, column]) * duration, rel=2e-3, abs=1e-9 * domain.measure * extent
        )
    if domain.time is not None:
        middle = sum(domain.ranges[domain.time]) / 2
        assert float(points.weight @ points.x[:, domain.time]) == pytest.approx(middle)


@every
def test_mesh_of_some_coordinates_spans_the_bounding_box(domain):
    i = domain.space[-1]
    mesh = domain.mesh(5, [i])
    assert mesh.cells[0].type == "line" and not mesh.points[:, 1:].any()
    np.testing.assert_allclose(mesh.points[:, 0], np.linspace(*domain.ranges[i], 6))
    assert len(domain.mesh(1, domain.space[:2]).cells) == 1


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_test_points_lie_in_it_and_are_equally_dense(domain, dtype):
    x = domain.test_points("cpu", dtype)
    assert x.dtype == dtype and len(x) > 900 and bool(domain.contains(x).all())
    assert torch.equal(x, domain.test_points("cpu", dtype))
    points = domain.interior.sample("gauss", 200)
    for i, (lo, hi) in enumerate(domain.ranges):
        for power in (1, 2):
            share, wanted = (((p[:, i].double() - lo) / (hi - lo)) ** power for p in (x, points.x))
            assert float(share.mean()) == pytest.approx(float(points.weight @ wanted), abs=0.02)


@every
def test_descriptions_survive_json_and_tell_domains_apart(domain):
    description = domain.describe()
    assert description["kind"] == type(domain).__name__
    back = json.loads(json.dumps(description, allow_nan=False))
    assert back == description and sum(other.describe() == description for other in DOMAINS) == 1
    if isinstance(domain, Box):
        again = domain_from(back)
        assert again.describe() == description and repr(again) == repr(domain)
        assert (again.names, again.ranges, again.periodic) == (domain.names, domain.ranges, domain.periodic)
    else:
        with pytest.raises(InputError, match='no domain "Disk"'):
            domain_from(back)


def test_every_file_of_domains_offers_the_way_back():
    assert kinds()["Box"] is Box and "Domain" not in kinds()
    offered = {
        v
        for m in vars(kanpde.domains).values()
        if hasattr(m, "__file__")
        for v in vars(m).values()
        if isinstance(v, type) and hasattr(v, "describe") and v is not Domain
    }
    assert offered == set(kinds().values())


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "no domain"),
        ({"kind": "os.system"}, "no domain"),
        ({"kind": "Box"}, "incomplete"),
        ({"kind": "Box", "names": ["x"], "ranges": [[0, 1]], "periodic": ["y"]}, 'no coordinate "y"'),
        ({"kind": "Box", "names": ["x"], "ranges": [[1, 0]], "periodic": []}, "lower < upper"),
        ({"kind": "Box", "names": ["x", "y"], "ranges": [[0, 1]], "periodic": []}, "other form"),
        ({"kind": "Box", "names": [1], "ranges": [[0, 1]], "periodic": []}, "other form"),
    ],
)
def test_bad_descriptions_are_refused(description, message):
    with pytest.raises(InputError, match=message):
        domain_from(description)


@pytest.mark.parametrize("domain", WITH_TIME, ids=str)
def test_restricted_in_time(domain):
    begin, end = domain.ranges[domain.time]
    middle = begin + 0.25 * (end - begin)
    part = domain.restricted(t=(begin, middle))
    assert type(part) is type(domain) and part.names == domain.names and part.periodic == domain.periodic
    assert part.ranges[domain.time] == (begin, middle) and part.measure == pytest.approx(domain.measure / 4)
    assert [part.ranges[i] for i in domain.space] == [domain.ranges[i] for i in domain.space]
    x = part.interior.sample("uniform", 50).x
    assert bool(domain.contains(x).all()) and bool((x[:, domain.time] <= middle).all())
    assert bool(part.contains(domain.interior.sample("uniform", 500).x).any())
    for bad in ((begin - 1, middle), (begin, end + 1), (middle, begin)):
        with pytest.raises(InputError):
            domain.restricted(t=bad)


def test_boxes_are_restricted_in_space_but_not_in_their_period():
    assert repr(BOX.restricted(x=(0.0, 1.0), t=(0.1, 0.2))) == repr(Box(x=(0.0, 1.0), y=(0.0, 1.0), t=(0.1, 0.2)))
    around = Box(x=(0.0, 1.0), t=(0.0, 1.0), periodic=["x"])
    assert around.restricted(x=(0.0, 1.0), t=(0.0, 0.5)).periodic == (0,)
    with pytest.raises(InputError, match="period"):
        around.restricted(x=(0.0, 0.5))
    with pytest.raises(InputError, match='no coordinate "z"'):
        BOX.restricted(z=(0.0, 1.0))


def test_a_box_is_required_by_name():
    assert require_box(BOX, "This", "Stop.") is BOX
    with pytest.raises(InputError, match=r"^This needs a Box, and the domain is a Disk: Disk\(.*\)\. Stop\.$"):
        require_box(Disk(), "This", "Stop.")
