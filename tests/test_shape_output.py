"""What is stored and drawn on shapes: meshes that follow the boundary, its named parts, vectors and slices."""

from dataclasses import replace
from xml.etree import ElementTree

import h5py
import meshio
import numpy as np
import pytest
import torch
from holed import Holed, Shell
from test_triangulation import polygon_area, volumes

from kanpde import KAN, LM, Box, Condition, InputError, Output, Phase, Problem, Sampling, laplacian, save, solve
from kanpde.domains.disk import Disk
from kanpde.domains.facets import boundary_mesh, numbered, outer_facets
from kanpde.domains.meshes import box_mesh
from kanpde.plots.film import Film
from kanpde.plots.solution import PIXELS, solution_figure

pytestmark = pytest.mark.usefixtures("unchecked")
HOLED = Holed(1.0, (0.5, 0.0))
COARSE = Output(cells=12, times=3)


def quick(domain, unknowns=("u",), vectors=None, **options):
    """A solution after one step."""

    def pde(*fields):
        return tuple(laplacian(u) - 1 for u in fields)

    problem = Problem(domain, {"pde": Condition(domain.interior, pde)}, unknowns=unknowns, vectors=vectors or {})
    sampling = Sampling("gauss", 100, 50)
    return solve(problem, KAN([2], degree=3, grid=2), [Phase(LM(), steps=1)], sampling=sampling, **options)


@pytest.fixture(scope="module")
def cooling():
    return quick(Holed(1.0, t=(0.0, 0.5)))


def read(folder, name):
    """The points, cells, and fields at every time, of a file that meshio reads."""
    with meshio.xdmf.TimeSeriesReader(folder / name) as reader:
        points, cells = reader.read_points_cells()
        steps = [reader.read_data(k) for k in range(reader.num_steps)]
    kind = cells[0].type
    corners = {"line": 2, "triangle": 3, "quad": 4}[kind]
    return points, np.asarray(cells[0].data).reshape(-1, corners), steps


# the mesh ------------------------------------------------------------------------------------------------------------
def test_the_stored_mesh_has_the_area_of_the_polygons(tmp_path):
    save(quick(HOLED), tmp_path, COARSE)
    with h5py.File(tmp_path / "solution.vtkhdf") as file:
        root = file["VTKHDF"]
        mesh = meshio.Mesh(root["Points"][:], [("triangle", root["Connectivity"][:].reshape(-1, 3))])
        assert set(root["Types"][:]) == {5} and not np.isnan(root["PointData/u"][:]).any()
    outer, hole = HOLED.loops(12)
    assert volumes(mesh).sum() == pytest.approx(polygon_area(outer) - polygon_area(hole), rel=1e-12)


def test_tetrahedra_are_stored(tmp_path):
    save(quick(Shell()), tmp_path, Output(cells=8))
    with h5py.File(tmp_path / "solution.vtkhdf") as file:
        assert set(file["VTKHDF/Types"][:]) == {10} and not np.isnan(file["VTKHDF/PointData/u"][:]).any()
    grid = ElementTree.parse(tmp_path / "solution.xdmf").find(".//Topology")
    assert grid.get("TopologyType") == "Tetrahedron"
    points, faces, ((_, _, cells),) = read(tmp_path, "boundary.xdmf")
    radius = np.linalg.norm(points, axis=1)[faces]
    np.testing.assert_allclose(radius[cells["on inner"][0] == 1], 0.4, rtol=1e-12)
    np.testing.assert_allclose(radius[cells["on outer"][0] == 1], 1.0, rtol=1e-12)
    sides = points[faces[:, 1:]] - points[faces[:, :1]]
    outward = (np.cross(sides[:, 0], sides[:, 1]) * points[faces].mean(axis=1)).sum(axis=1)
    assert ((outward > 0) == (cells["on outer"][0] == 1)).all()


# the boundary --------------------------------------------------------------------------------------------------------
def test_facets_of_the_boundary_have_the_number_and_the_name_of_their_part(cooling, tmp_path):
    save(cooling, tmp_path, COARSE)
    points, lines, steps = read(tmp_path, "boundary.xdmf")
    assert [time for time, _, _ in steps] == [0, 0.25, 0.5]
    outer, hole = (len(loop) for loop in HOLED.loops(12))
    for time, fields, cells in steps:
        assert set(cells) == {"part", "on outer", "on hole"}
        np.testing.assert_allclose(fields["u"], cooling(*points.T[:2], time, extrapolate=True), rtol=1e-9)
        for name, number, count, centre, radius in (("outer", 0, outer, 0.0, 1.0), ("hole", 1, hole, 0.3, 0.35)):
            on = cells[f"on {name}"][0] == 1
            np.testing.assert_array_equal(on, cells["part"][0] == number)
            ends = points[lines[on]][..., :2] - (centre, 0.0)
            np.testing.assert_allclose(np.linalg.norm(ends, axis=2), radius, rtol=1e-12)
            assert on.sum() == count
    with h5py.File(tmp_path / "boundary.vtkhdf") as file:
        root = file["VTKHDF"]
        assert list(root["CellData/part"].attrs["parts"]) == ["outer", "hole"]
        assert set(root["Types"][:]) == {3} and root["PointData/u"].shape == (3 * len(points),)
        assert list(root["Steps/CellDataOffsets/part"][:]) == [0, 0, 0]


def test_boxes_have_their_faces_as_parts():
    box = Box(x=(0.0, 1.0), y=(0.0, 2.0), z=(0.0, 3.0), t=(0.0, 1.0))
    mesh = boundary_mesh(box, 4)
    (part,), corners = mesh.cell_data["part"], mesh.points[mesh.cells[0].data]
    assert mesh.cells[0].type == "quad" and list(mesh.field_data) == ["x=0", "x=1", "y=0", "y=2", "z=0", "z=3"]
    for name, (number, dim) in mesh.field_data.items():
        axis, value = "xyz".index(name[0]), float(name[2:])
        assert dim == 2 and (part == number).sum() == 16 and (corners[part == number][:, :, axis] == value).all()


def test_a_cut_through_a_periodic_domain_is_no_boundary():
    mesh = boundary_mesh(Box(x=(0.0, 1.0), y=(0.0, 2.0), periodic=["x"]), 5)
    assert list(mesh.field_data) == ["y=0", "y=2"] and len(mesh.cells[0].data) == 10
    assert boundary_mesh(Box(x=(0.0, 1.0), y=(0.0, 2.0), periodic=["x", "y"]), 5) is None
    assert boundary_mesh(Box(x=(0.0, 1.0), t=(0.0, 2.0)), 5) is None


def test_what_belongs_to_no_named_part_is_the_boundary():
    class Unnamed(Holed):
        @property
        def parts(self):
            return {name: region for name, region in super().parts.items() if name != "outer"}

    mesh = boundary_mesh(Unnamed(1.0), 16)
    radius = np.linalg.norm(mesh.points[mesh.cells[0].data], axis=2)
    assert {name: int(number) for name, (number, _) in mesh.field_data.items()} == {"hole": 0, "boundary": 1}
    np.testing.assert_allclose(radius[mesh.cell_data["part"][0] == 1], 1, rtol=1e-12)


def test_a_domain_can_bring_its_own_boundary(tmp_path):
    class Own(Holed):
        def boundary_mesh(self, n):
            points = np.zeros((3, 3))
            points[:, 0] = np.linspace(-1, -0.4, 3)
            mesh = meshio.Mesh(points, [("line", np.array([[0, 1], [1, 2]]))])
            belongs = np.array([[1, 1], [0, 0], [0, 1]], dtype=bool)
            return numbered(mesh, ["all", "none", "some"], belongs, np.array([0, 2]))

    save(quick(Own(1.0)), tmp_path, COARSE)
    _, lines, ((_, _, cells),) = read(tmp_path, "boundary.xdmf")
    assert len(lines) == 2 and {name: list(v[0]) for name, v in cells.items()} == {
        "part": [0, 2],
        "on all": [1, 1],
        "on some": [0, 1],
    }
    with h5py.File(tmp_path / "boundary.vtkhdf") as file:
        assert list(file["VTKHDF/CellData/part"].attrs["parts"]) == ["all", "", "some"]


@pytest.mark.parametrize("dim", [2, 3])
def test_facets_are_oriented_outwards_whatever_the_cells_are(dim):
    mesh = box_mesh([(0.0, 1.0)] * dim, 3)
    mirrored = meshio.Mesh(mesh.points * (-1, 1, 1), mesh.cells)
    for each in (mesh, mirrored):
        facets = outer_facets(each)
        assert len(facets) == {2: 12, 3: 54}[dim]
        a, b, c = each.points[facets[:, 0]], each.points[facets[:, 1]], each.points[facets[:, -1]]
        normal = (
            np.stack([b[:, 1] - a[:, 1], a[:, 0] - b[:, 0], 0 * a[:, 0]], axis=1)
            if dim == 2
            else np.cross(b - a, c - a)
        )
        outward = each.points[facets].mean(axis=1) - each.points.mean(axis=0)
        assert ((normal * outward).sum(axis=1) > 0).all()


def test_slices_have_no_boundary_file(tmp_path):
    save(quick(Shell()), tmp_path, Output(cells=6, slices={"z": 0.1}))
    assert {path.name for path in tmp_path.iterdir()} == {"solution.vtkhdf", "solution.xdmf"}


# vectors -------------------------------------------------------------------------------------------------------------
def test_vectors_of_the_problem_are_stored_as_vectors_and_drawn_as_arrows(tmp_path):
    solution = quick(HOLED, ("ux", "uy"), {"displacement": ("ux", "uy")})
    save(solution, tmp_path, COARSE)
    for name in ("solution.xdmf", "boundary.xdmf"):
        _, _, ((_, fields, _),) = read(tmp_path, name)
        wanted = np.stack([fields["ux"], fields["uy"], 0 * fields["ux"]], axis=1)
        np.testing.assert_array_equal(fields["displacement"], wanted)
    figure = solution_figure(solution)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["solution ux", "residual 1 of pde", "solution uy", "residual 2 of pde", "solution |displacement|"]
    panel = next(axes for axes in figure.axes if axes.get_title() == "solution |displacement|")
    length, _, arrows = panel.collections
    x, y, _ = HOLED.mesh(PIXELS).points.T
    np.testing.assert_allclose(length.get_array(), np.hypot(*solution(x, y, extrapolate=True)), rtol=1e-12)
    u, v = solution(*np.array(arrows.XY).T, extrapolate=True)
    np.testing.assert_allclose(arrows.U, u, rtol=1e-12)
    np.testing.assert_allclose(arrows.V, v, rtol=1e-12)
    assert 100 < len(u) < 256 and HOLED.contains(torch.as_tensor(arrows.XY)).all()


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({"flow": ("ux", "uz")}, '"flow" names an unknown "uz".* u[xy]'),
        ({"flow": ("ux",)}, r"two to three unknowns.*vectors=\{'flow': \['ux', 'uy'\]\}"),
        ({"flow": "ux"}, "two to three unknowns"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(vectors, message):
    with pytest.raises(InputError, match=message):
        Problem(HOLED, {}, unknowns=("ux", "uy"), vectors=vectors)


def test_two_vectors_of_one_name_are_refused(tmp_path):
    solution = quick(HOLED, ("ux", "uy"), {"flow": ("ux", "uy")})
    with pytest.raises(InputError, match='"flow"'):
        save(solution, tmp_path, replace(COARSE, vectors={"flow": ("uy", "ux")}))


# pictures ------------------------------------------------------------------------------------------------------------
def test_times_are_rows_of_shapes(cooling):
    figure = solution_figure(cooling)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [p.get_title() for p in panels[::2]] == [f"solution u, t = {t}" for t in ("0", "0.25", "0.5")]
    assert len({p.collections[0].get_clim() for p in panels[::2]}) == 1
    x, y, _ = HOLED.mesh(PIXELS).points.T - [[0.5], [0.0], [0.0]]
    values = cooling(x, y, 0.5, extrapolate=True)
    np.testing.assert_allclose(panels[4].collections[0].get_array(), values, rtol=1e-9)
    rim = np.linalg.norm(panels[0].collections[1].get_segments(), axis=2)
    assert (np.abs(rim - 1) < 1e-12).any() and (rim < 0.66).any()


def test_slices_of_solids_are_blank_outside_and_have_an_outline():
    figure = solution_figure(quick(Shell()))
    panel = figure.axes[0]
    middle = (np.arange(PIXELS) + 0.5) / PIXELS * 2 - 1
    distance = np.hypot(*np.meshgrid(middle, middle))
    z = 0.0 if "z = 0;" in figure.get_suptitle() + ";" else 0.5
    outside = (distance**2 + z**2 > 1) | (distance**2 + z**2 < 0.16)
    np.testing.assert_array_equal(np.ma.getmaskarray(panel.images[0].get_array()), outside)
    (outline,) = panel.collections
    radius = np.concatenate([np.linalg.norm(p.vertices, axis=1) for p in outline.get_paths()])
    nearest = np.minimum(np.abs(radius - (1 - z**2) ** 0.5), np.abs(radius - max(0.16 - z**2, 0) ** 0.5))
    assert len(radius) > 100 and nearest.max() < 2 / PIXELS


def test_a_slice_that_misses_the_domain_is_blank():
    class Gone(Shell):
        def contains(self, x):
            return torch.zeros(len(x), dtype=torch.bool)

    solution = quick(Shell())
    figure = solution_figure(replace(solution, problem=replace(solution.problem, domain=Gone())))
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert images and all(np.ma.getmaskarray(image.get_array()).all() for image in images)


def test_films_show_the_shape(tmp_path):
    film = Film(2)
    solution = quick(HOLED, observe=film)
    assert film.save(solution, tmp_path / "film.gif").stat().st_size > 1000


def test_parts_of_combined_shapes_may_overlap():
    """The sides of a rectangle are parts of it; the smaller part gives the number."""
    shape = Box(x=(-1.0, 1.0), y=(-1.0, 1.0)) - Disk((0.2, 0.1), 0.4, "hole")
    for domain in (shape, shape.over(t=(0.0, 1.0))):
        mesh = boundary_mesh(domain, 40)
        counts = {name: int(values[0].sum()) for name, values in mesh.cell_data.items() if name != "part"}
        assert counts.pop("on hole") + counts["on rectangle"] == len(mesh.cells[0].data)
        sides = {f"on {c}={v}" for c in "xy" for v in (-1, 1)}
        assert {name: counts[name] for name in sides} == dict.fromkeys(sides, 40) and counts["on rectangle"] == 160
        numbers = {name: int(number) for name, (number, _) in mesh.field_data.items()}
        for side in sides:
            np.testing.assert_array_equal(mesh.cell_data["part"][0] == numbers[side[3:]], mesh.cell_data[side][0] == 1)


@pytest.mark.parametrize("inner", [0.999, 0.9999])
def test_a_gap_narrower_than_the_spacing_has_a_mesh(inner):
    ring = Disk() - Disk(radius=inner, name="hole")
    cells = ring.mesh(20)
    assert volumes(cells).sum() == pytest.approx(ring.measure, rel=1e-3)


def test_a_gap_that_no_mesh_fills_is_refused():
    with pytest.raises(InputError, match="so narrow somewhere"):
        (Disk() - Disk(radius=1 - 1e-5, name="hole")).mesh(4)
