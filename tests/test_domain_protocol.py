"""What every kind of domain must hold, checked on boxes, on meshes and on a disk outside the package."""

import json
from inspect import isabstract
from math import prod

import numpy as np
import pytest
import torch
from disk import OwnDisk
from small_meshes import annulus, bent, disk, grid, l_shape, mixed, shell

import kanpde.domains
from kanpde import Ball, Box, Cuboid, Curve, Cylinder, Disk, Ellipse, InputError, Parts, Polygon, Rectangle
from kanpde.domains import Domain
from kanpde.domains.box import require_box
from kanpde.domains.families import family_of
from kanpde.domains.kinds import domain_from, kinds
from kanpde.domains.rules import RULES
from kanpde.domains.shape import Shape

DOMAINS = [
    Box(x=(-1.0, 2.0), y=(0.0, 1.0), t=(0.0, 0.5)),
    Box(x=(0.25, 0.75)),
    Box(x=(-1.0, 2.0), t=(0.0, 3.0)),
    Box(t=(1.0, 3.0)),
    Box(t=(1.0, 3.0), x=(-1e-3, 1e-3), y=(5.0, 7.0)),
    Box(x=(0.0, 2.0), y=(-1.0, 1.0), z=(0.1, 0.5)),
    Box(x=(0.1, 0.3), y=(0.0, 1.0), periodic=["x"]),
    Box(x=(0.0, 2.0), t=(0.0, 1.0), periodic=["x"]),
    Box(**{f"x{i}": (0.0, 1.0 + i) for i in range(5)}),
    Box(nu=(0.1, 0.3), x=(0.0, 1.0), t=(0.0, 2.0), family=["nu"]),
    Box(x=(0.0, 1.0), y=(-1.0, 1.0), nu=(0.1, 0.3), k=(1.0, 2.0), periodic=["y"], family=["k", "nu"]),
    Disk((2.0, -1.0), 0.3).over(nu=(0.1, 0.3), family=["nu"]),
    (Rectangle((0, 1), (0, 1)) - Disk((0.5, 0.5), 0.2)).over(
        t=(0.5, 2.0), k=(1.0, 3.0), nu=(0.1, 0.3), family=["nu", "k"]
    ),
    OwnDisk(),
    OwnDisk(radius=0.3, centre=(2.0, -1.0)),
    OwnDisk(radius=2.0, centre=(0.0, 1.0), t=(0.5, 1.5)),
    Disk((2.0, -1.0), 0.3),
    Ellipse((0.1, 0.2), (2.0, 0.5), 0.4),
    Polygon(((0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1))),
    Rectangle((0, 2), (-1, 1)),
    Curve.polar(lambda angle: 1 + 0.3 * np.cos(5 * angle), (1.5, 0.2)),
    Disk(name="outer") - Disk((0.2, 0.1), 0.3, name="hole"),
    (Disk() | Disk((1.0, 0.0), 0.5)) & Rectangle((-1, 1), (-0.7, 2)),
    (Box(x=(0, 1), y=(0, 1)) - Disk((0.5, 0.5), 0.2, name="hole")).over(t=(0.5, 2.0)),
    Ball((0.5, -1.0, 2.0), 0.7),
    Ball(name="outer") - Ball((0.2, 0.1, -0.1), 0.4, name="hole"),
    Cuboid((0, 2), (0, 1), (0, 1)) - Cylinder((0.5, 0.4), 0.3, (-1, 3), "x", name="bore"),
    (Box(x=(0, 1), y=(0, 1), z=(0, 1)) - Ball((0.5, 0.5, 1.0), 0.3, name="bowl")).over(t=(0.5, 2.0)),
    grid("line3", 3, bent),
    disk("triangle6", 4, 0.5),
    grid("quad9", 2, annulus, {"inner": lambda x: x[:, 0] == 0}),
    l_shape(),
    mixed(),
    grid("tetra10", 1, lambda x: bent(x, 0.04)),
    shell(size=0.3),
    Parts(inner=Disk(radius=0.5), outer=Rectangle((-1, 1), (-1, 2)) - Disk(radius=0.5)),
    Parts(left=Box(x=(-1, 0), y=(0, 1), t=(0, 3)), right=Box(x=(0, 2), y=(-1, 1), t=(0, 3))),
]
WITH_TIME = [d for d in DOMAINS if d.time is not None]
every = pytest.mark.parametrize("domain", DOMAINS, ids=str)


def wall(domain):
    """The boundary, if there is one."""
    return domain.parts.get("boundary")


def sizes(mesh):
    """Signed lengths, areas or volumes of a mesh's cells, and their centres; cells are simplices or parallelepipeds."""
    corners = mesh.points[mesh.cells[0].data]
    kind, a = mesh.cells[0].type, corners[:, 1] - corners[:, 0]
    if kind == "line":
        return a[:, 0], corners.mean(axis=1)
    if kind == "tetra":
        return np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6, corners.mean(axis=1)
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
    others = [*([] if domain.time is None else [domain.time]), *family_of(domain)]
    assert sorted([*domain.space, *others]) == list(range(len(domain.names)))


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
    assert bool((points.normal[:, family_of(domain)] == 0).all())
    assert not bool(domain.contains(points.x + small * points.normal).any())
    assert bool(domain.contains(points.x - small * points.normal).all())


@pytest.mark.long
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
    is_solid = len(domain.space) == 3 and isinstance(getattr(domain, "shape", domain), Shape)
    size, centre = sizes(domain.mesh(60 if len(domain.space) < 3 else 16 if is_solid else 8))
    rel, small = (0.03, 1e-3) if is_solid else (2e-3, 1e-9)  # tetrahedra cut off curved surfaces
    is_meshed = domain.time is None or not domain.space  # time alone is what the mesh spans
    others = [*([] if is_meshed else [domain.time]), *family_of(domain)]
    duration = prod(hi - lo for lo, hi in (domain.ranges[i] for i in others))
    assert (size > 0).all() and size.sum() * duration == pytest.approx(domain.measure, rel=rel)
    points = domain.interior.sample("gauss", 200)
    extent = max(hi - lo for lo, hi in domain.ranges)
    for column, i in enumerate(domain.space):
        moment = domain.measure * float(points.weight @ points.x[:, i])
        assert moment == pytest.approx(
            (size @ centre[:, column]) * duration, rel=rel, abs=small * domain.measure * extent
        )
    for i in others:
        assert float(points.weight @ points.x[:, i]) == pytest.approx(sum(domain.ranges[i]) / 2)


@every
def test_mesh_of_some_coordinates_spans_the_bounding_box(domain):
    axes = domain.space or (domain.time,)  # the mesh of time alone is the interval
    i = axes[-1]
    mesh = domain.mesh(5, [i])
    assert mesh.cells[0].type == "line" and not mesh.points[:, 1:].any()
    np.testing.assert_allclose(mesh.points[:, 0], np.linspace(*domain.ranges[i], 6))
    assert len(domain.mesh(1, axes[:2]).cells) == 1


@pytest.mark.long
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
    if type(domain).__name__ in kinds():
        again = domain_from(back)
        assert again.describe() == description and repr(again) == repr(domain)
        assert (again.names, again.ranges, again.periodic) == (domain.names, domain.ranges, domain.periodic)
    else:
        with pytest.raises(InputError, match='no domain "OwnDisk"'):
            domain_from(back)


def test_every_file_of_domains_offers_the_way_back():
    assert kinds()["Box"] is Box and "Domain" not in kinds()
    offered = {
        v
        for m in vars(kanpde.domains).values()
        if hasattr(m, "__file__")
        for v in vars(m).values()
        if isinstance(v, type) and hasattr(v, "describe") and v is not Domain and not isabstract(v)
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


def test_a_box_is_required_by_name():
    assert require_box(DOMAINS[0], "This", "Stop.") is DOMAINS[0]
    with pytest.raises(InputError, match=r"^This needs a Box, and the domain is a OwnDisk: OwnDisk\(.*\)\. Stop\.$"):
        require_box(OwnDisk(), "This", "Stop.")
