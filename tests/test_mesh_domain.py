"""Domains that are meshes: quadrature, normals, files with groups, corners, and faulty meshes."""

import json
from itertools import product
from math import pi

import h5py
import numpy as np
import pytest
import torch
from conftest import ROOT, load_problem
from small_meshes import CURVED, STRAIGHT, annulus, bent, disk, grid, l_shape, mixed, sheared, shell

from kanpde import (
    KAN,
    Adam,
    Condition,
    InputError,
    Mesh,
    Output,
    Phase,
    Problem,
    Sampling,
    dirichlet,
    laplacian,
    load,
    neumann,
    save,
    solve,
)
from kanpde.domains.kinds import domain_from
from kanpde.domains.unstructured.reference import division, rule_on

pytestmark = pytest.mark.usefixtures("unchecked")


def mean(points, function):
    return float(points.weight @ function(*points.x.T))


# quadrature ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [*STRAIGHT, *CURVED])
def test_quadrature_is_exact_for_polynomials_on_straight_cells(kind):
    mesh = grid(kind, 2, sheared)
    dim, cells = len(mesh.names), len(mesh.cells[kind])
    points = mesh.interior.sample("gauss", cells * 3**dim)
    assert len(points.x) == cells * 3**dim and mesh.measure == pytest.approx([2, 3, 6][dim - 1])
    node, weight = rule_on("gauss", 6, dim, False)
    x = sheared(node)
    for power in product(range(6), repeat=dim):
        if sum(power) <= 5:
            wanted = weight @ (x ** np.array(power)).prod(axis=1)
            assert mean(points, lambda *c, p=power: torch.stack(c, 1).pow(torch.tensor(p)).prod(1)) == pytest.approx(
                wanted, rel=1e-13
            )


@pytest.mark.parametrize("along", [1, 2, 3, 4])
@pytest.mark.parametrize("dim", [2, 3])
def test_rules_on_simplices(dim, along):
    """Exact for degree 2 along - 1, and not for 2 along; ∫ Π ξ^p = Π p! / (dim + Σ p)!."""
    x, weight = rule_on("gauss", along, dim, True)
    assert (weight > 0).all() and (x > 0).all() and (x.sum(axis=1) < 1).all() and len(x) == along**dim
    factorial = lambda n: np.prod(np.arange(1, n + 1), dtype=float)  # noqa: E731
    gaps = [
        abs(
            (weight * (x ** np.array(p)).prod(axis=1)).sum()
            - factorial(dim) * np.prod([*map(factorial, p)]) / factorial(dim + sum(p))
        )
        for p in product(range(2 * along), repeat=dim)
        if sum(p) < 2 * along
    ]
    assert max(gaps) < 1e-14
    other, _ = rule_on("chebyshev", along, dim, True)
    assert other.shape == x.shape and not np.allclose(other, x)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("is_simplex", [True, False])
def test_divisions_fill_the_reference_cell(dim, is_simplex):
    points, simplices = division(3, dim, is_simplex)
    edges = points[simplices[:, 1:]] - points[simplices[:, :1]]
    sizes = np.abs(np.linalg.det(edges))
    assert np.allclose(sizes, 3.0**-dim) and len(sizes) == 3**dim * (1 if is_simplex else [1, 2, 6][dim - 1])
    assert points.min() == 0 and (points.sum(axis=1).max() if is_simplex else points.max()) == pytest.approx(1)


@pytest.mark.parametrize("kind", [*STRAIGHT, *CURVED])
def test_the_divergence_theorem_holds_on_bent_cells(kind):
    """∫ div F = ∫ F·n, which also means that normals point outward and that facets have their exact shape."""
    mesh = grid(kind, 2, bent)
    dim, facets = len(mesh.names), len(mesh.cells[kind]) * 6
    inside, rim = mesh.interior.sample("gauss", 2000 * dim**2), mesh.boundary.sample("gauss", facets * 6 ** (dim - 1))
    surface = mesh.boundary.draw.__self__.measure
    flux = torch.stack([rim.x[:, i] ** 3 + rim.x[:, i - 1] ** 2 for i in range(dim)], dim=1) * rim.normal
    inner = 3 * inside.x**2 + (2 * inside.x if dim == 1 else 0)
    assert surface * float(rim.weight @ flux.sum(1)) == pytest.approx(
        mesh.measure * float(inside.weight @ inner.sum(1)), rel=1e-11
    )


def test_cells_of_second_order_follow_a_circle():
    """The error of the area falls as h⁴, on straight cells as h²; the direction of normals as h³ and h."""

    def errors(kind, along):
        if kind.startswith("triangle"):
            mesh, area, centre = disk(kind, along), pi, 0.0
            rim = mesh.boundary.sample("gauss", 300)
        else:
            mesh, area, centre = grid(kind, along, annulus, {"outer": lambda x: x[:, 0] == 1}), 0.75 * pi, 2.0
            rim = mesh.part("outer").sample("gauss", 300)
        radial = rim.x - torch.tensor([centre, 0.0])
        return abs(mesh.measure - area), float((rim.normal - radial / radial.norm(dim=1)[:, None]).norm(dim=1).max())

    for kind in ("triangle6", "quad9", "quad8", "triangle", "quad"):
        coarse, fine = np.array(errors(kind, 4)), np.array(errors(kind, 8))
        assert np.log2(coarse / fine) == pytest.approx((2, 1) if kind in STRAIGHT else (4, 3), abs=0.4), kind
    assert errors("triangle6", 8)[0] < 1e-4


def test_a_spherical_shell():
    mesh = shell(along=4)
    assert mesh.measure == pytest.approx(7 / 3 * 1.2 * (np.cos(0.8) - np.cos(1.8)), rel=1e-4)
    outer = mesh.part("outer").sample("gauss", 400)
    assert float((outer.normal - outer.x / 2).norm(dim=1).max()) < 2e-2 and mesh.part("outer").pieces == 1
    assert float((mesh.part("inner").sample("uniform", 400).normal + outer.normal).norm(dim=1).min()) < 0.2
    assert mesh.boundary.pieces == 6


@pytest.mark.parametrize("n", [5, 20, 40, 90])
def test_fewer_points_than_cells_are_spread_and_balanced(n):
    mesh = l_shape(4)
    points, again = mesh.interior.sample("gauss", n), mesh.interior.sample("gauss", n)
    assert torch.equal(points.x, again.x)
    assert len(points.x) == len(points.x.unique(dim=0)) and 0.8 * n <= len(points.x) <= n
    assert bool((points.weight > 0).all()) and float(points.weight.sum()) == pytest.approx(1)
    whole = mesh.interior.sample("gauss", 5000)
    for function in (
        lambda x, y: x,
        lambda x, y: y,
        *([lambda x, y: x * y, lambda x, y: x**2 + 3 * y] if n > 8 else []),
    ):
        assert mean(points, function) == pytest.approx(mean(whole, function), abs=4e-2)
    for corner in ((-1, -1), (-1, 1), (1, 1)):
        assert float((points.x - torch.tensor(corner)).norm(dim=1).min()) < 2.1 * (3 / n) ** 0.5
    rim = mesh.boundary.sample("gauss", 8)
    assert len(rim.x) == 8 and rim.normal.shape == (8, 2)


def test_the_number_of_points_is_about_what_was_asked():
    for mesh in (l_shape(4), shell(), mixed(), disk("triangle6", 6)):
        for region in mesh.parts.values():
            for n in (1, 7, 100, 333, 1000):
                assert len(region.sample("gauss", n).x) == pytest.approx(n, rel=0.25, abs=3), (mesh, region.label, n)


@pytest.mark.parametrize("rule", ["uniform", "sobol"])
def test_random_points_are_uniform_in_cells_with_varying_jacobians(rule):
    mesh = grid("quad9", 2, lambda x: bent(x) ** 2 + x)
    points, whole = mesh.interior.sample(rule, 2**14), mesh.interior.sample("gauss", 2000)
    for function in (lambda x, y: x, lambda x, y: y**2, lambda x, y: torch.cos(3 * x) * y):
        assert mean(points, function) == pytest.approx(
            mean(whole, function), abs={"uniform": 3e-2, "sobol": 2e-3}[rule]
        )
    other = mesh.interior.sample(rule, 64, torch.Generator().manual_seed(1))
    assert not torch.equal(other.x, mesh.interior.sample(rule, 64).x)


# the set of points ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["triangle6", "quad9", "quad8"])
def test_contains_follows_curved_edges(kind):
    mesh = grid(kind, 4, annulus)
    angle = torch.linspace(0.01, 0.5 * pi - 0.01, 500, dtype=torch.float64)
    ray = torch.stack([angle.cos(), angle.sin()], dim=1)
    for radius, is_inside in ((0.999, False), (1.001, True), (1.5, True), (1.999, True), (2.001, False)):
        found = mesh.contains(torch.tensor([2.0, 0.0], dtype=torch.float64) + radius * ray)
        assert bool((found == is_inside).all()), radius


def test_a_curved_edge_may_lie_beyond_all_nodes():
    """The lower edge is y = 0.24 t² - 0.32 t, at least -0.32 / 3 at t = 2 / 3; its nodes have y >= -0.1."""
    points = [[0, 0], [1, -0.08], [0, 1], [0.5, -0.1], [0.5, 0.46], [0, 0.5]]
    mesh = Mesh(points, {"triangle6": [[0, 1, 2, 3, 4, 5]]})
    x = torch.tensor([[2 / 3, -0.1066], [2 / 3, -0.1067]], dtype=torch.float64)
    assert mesh.contains(x).tolist() == [True, False] and mesh.ranges[1][0] == pytest.approx(-0.32 / 3, abs=1e-4)


def test_contains_knows_holes_and_other_meshes():
    x = torch.tensor([[0.5, -0.5], [-0.5, 0.5], [0.0, 0.0], [1.0, 1.0], [1.1, 0.5], [float("nan"), 0.0]])
    assert l_shape().contains(x).tolist() == [False, True, True, True, False, False]
    assert mixed().contains(torch.tensor([[1.0, 1.9], [0.1, 1.5], [1.0, 0.5]])).tolist() == [True, False, True]


# groups --------------------------------------------------------------------------------------------------------------
def test_parts_are_found_by_name():
    mesh = shell()
    assert list(mesh.parts) == ["interior", "boundary", "inner", "outer"] and mesh.part("inner").label == "inner"
    with pytest.raises(InputError, match=r'no part "iner".*Did you mean "inner"'):
        mesh.part("iner")


def test_subdomains_get_their_share_of_the_points():
    mesh = mixed()
    roof = mesh.part("roof")
    assert roof.share == pytest.approx(1 / 3) and not roof.is_interior and roof.fixed == ({},)
    assert bool((roof.sample("gauss", 50).x[:, 1] > 1).all()) and roof.sample("gauss", 50).normal is None
    assert Sampling(interior=900).size(roof, 100) == 300


def test_surfaces_inside_have_points_and_no_normals():
    mesh = l_shape()
    middle = {
        "middle": [[a, b] for a, b in np.ndindex(len(mesh.points), len(mesh.points)) if a < b and is_edge(mesh, a, b)]
    }
    inner = Mesh(mesh.points, mesh.cells, middle).part("middle").sample("gauss", 20)
    assert inner.normal is None and bool((inner.x[:, 0] == -0.5).all()) and len(inner.x) == 20


def is_edge(mesh, a, b):
    """Whether two nodes are the ends of an edge on x = -0.5."""
    is_there = (mesh.points[[a, b], 0] == -0.5).all()
    return is_there and any({a, b} <= set(row) for row in mesh.cells["triangle"].tolist())


def test_the_hash_depends_on_names_and_on_points():
    one, two, three = (
        Mesh([[0, 0], [1, 0], [0, y]], {"triangle": [[0, 1, 2]]}, {name: [[0, 1]]})
        for name, y in (("a", 1.0), ("b", 1.0), ("a", 1.0 + 1e-15))
    )
    assert len({repr(one), repr(two), repr(three)}) == 3 and len(repr(one)) < 100
    again = domain_from(json.loads(json.dumps(three.describe())))
    assert np.array_equal(again.points, three.points) and list(again.parts) == ["interior", "boundary", "a"]


def test_pieces_and_constant_coordinates():
    assert sorted(map(str, l_shape().boundary.fixed)) == sorted(
        map(str, ({0: -1.0}, {1: -1.0}, {0: 0.0}, {1: 0.0}, {0: 1.0}, {1: 1.0}))
    )
    assert disk("triangle6", 6).boundary.fixed == ({},)
    assert {str(f) for f in grid("hexahedron", 2).boundary.fixed} == {str({i: s}) for i in range(3) for s in (0.0, 1.0)}


# corners -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["triangle", "triangle6", "quad", "quad8", "quad9"])
def test_a_reentrant_corner_is_found_with_its_angle_and_parts(kind):
    (corner,) = l_shape(4, kind).corners()
    assert (
        corner.at == (0.0, 0.0)
        and corner.angle == pytest.approx(1.5 * pi)
        and sorted(corner.parts) == ["shelf", "wall"]
    )


def test_no_corners_where_there_are_none():
    assert disk("triangle6", 6).corners() == [] == grid("triangle", 3).corners()
    assert shell().corners() == [] == grid("line", 3).corners() == load_problem("bracket")().domain.corners()


# pictures and runs ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("mesh", "kind"), [(grid("quad9", 2, bent), "triangle"), (shell(size=0.3), "tetra")], ids=str)
def test_meshes_for_pictures_are_finer_if_asked(mesh, kind):
    coarse, fine = (mesh.mesh(n) for n in (1, 12))
    assert [block.type for block in (*coarse.cells, *fine.cells)] == [kind] * 2
    assert len(fine.cells[0].data) > 6 * len(coarse.cells[0].data)
    assert bool(mesh.contains(torch.as_tensor(fine.points[:, : len(mesh.names)])).all())


@pytest.mark.long
@pytest.mark.parametrize("mesh", [l_shape(2), shell(along=1)], ids=["plane", "space"])
def test_a_run_is_stored_and_loaded_without_the_file(mesh, tmp_path):
    some = list(mesh.parts)[2]
    problem = Problem(
        mesh,
        {
            "pde": Condition(mesh.interior, laplacian),
            "some": dirichlet(mesh.part(some), 1.0),
            "flux": neumann(mesh.boundary, 0.0),
        },
    )
    solution = solve(problem, KAN(hidden=[3], grid=2), [Phase(Adam(lr=0.01), 3)], sampling=Sampling(interior=60))
    save(solution, tmp_path, Output(cells=3))
    again = load(tmp_path)
    assert repr(again.problem.domain) == repr(mesh)
    x = mesh.test_points("cpu", torch.float64)[:9]
    assert torch.equal(torch.as_tensor(again(*x.T)), torch.as_tensor(solution(*x.T)))
    with h5py.File(tmp_path / "solution.vtkhdf") as file:
        assert set(file["VTKHDF/Types"][:]) == {5 if len(mesh.names) == 2 else 10}
    topology = "Triangle" if len(mesh.names) == 2 else "Tetrahedron"
    assert f'TopologyType="{topology}"' in (tmp_path / "solution.xdmf").read_text()


def test_the_packaged_bracket():
    problem = load_problem("bracket")()
    assert {"clamp", "load", "rim", "plate"} < set(problem.domain.parts) and set(problem.domain.cells) == {"triangle6"}
    exact = 1.1 * 2 + 0.9 * 1.1 + (1 - pi / 4) * 0.5**2 - pi * 0.3**2
    assert problem.domain.measure == pytest.approx(exact, rel=1e-5)
    lengths = {name: problem.domain.part(name).draw.__self__.measure for name in ("clamp", "load", "rim")}
    assert lengths["clamp"] == pytest.approx(1.1) == lengths["load"]
    assert lengths["rim"] == pytest.approx(4 + 0.4 * 2 + 0.5 * pi / 2 + 0.6 * pi, rel=1e-5)


def test_the_reference_of_the_bracket_satisfies_the_problem():
    """The heat that flows in at "load" leaves at "clamp", where u = 0; far from curves u is nearly linear."""
    problem = load_problem("bracket")(flux=2.0)
    x, u = problem.test.x, problem.test.data[:, 0]
    assert bool(problem.domain.contains(x).all()) and bool((u > 0).all())
    for end, axis in (("clamp", 1), ("load", 0)):  # in the arms: a linear function and decaying modes cos(k π s / 1.1)
        near = x[:, axis] > 1.7
        far, across = 2 - x[near, axis], pi / 1.1 * x[near, 1 - axis]
        modes = [torch.ones_like(far), far]
        for k in (1, 2, 3):
            grows = torch.sinh if end == "clamp" else torch.cosh
            modes.append(torch.cos(k * across) * grows(k * pi / 1.1 * far))
        found = torch.linalg.lstsq(torch.stack(modes, dim=1), u[near, None])
        assert float(found.solution[1, 0]) == pytest.approx(2.0 if end == "clamp" else -2.0, rel=2e-3), end
        assert float(found.solution[0, 0]) == pytest.approx(0.0, abs=1e-3) or end == "load"
    assert load_problem("bracket")(mesh=str(ROOT / "problems" / "bracket.msh")).test is None
