"""A domain outside the package trains, is stored, loaded and drawn, and is refused where only a box will do."""

import json
from dataclasses import replace

import h5py
import meshio
import numpy as np
import pytest
import torch
from disk import OwnDisk
from matplotlib.image import imread

from kanpde import (
    KAN,
    LM,
    Box,
    Condition,
    InputError,
    Output,
    Phase,
    Problem,
    Sampling,
    diff,
    dirichlet,
    initial,
    laplacian,
    load,
    neumann,
    periodic,
    save,
    solve,
)
from kanpde.classical.collocation import collocate
from kanpde.classical.elements import finite_elements
from kanpde.classical.estimate import estimate_error
from kanpde.classical.reference import reference
from kanpde.classical.rows import classical_rows
from kanpde.hard_constraints import hardened
from kanpde.plots.solution import PIXELS, solution_figure
from kanpde.storage.store import prepare_folder

pytestmark = pytest.mark.usefixtures("unchecked")
DISK = OwnDisk(radius=1.5, centre=(0.5, -0.25))
COOLING = OwnDisk(radius=1.0, t=(0.0, 0.5))


def wave(x, y):
    return torch.sin(2 * x) * torch.exp(y)


def helmholtz(domain=DISK, exact=wave):
    """Δu + 3u = 0."""
    conditions = {
        "pde": Condition(domain.interior, lambda u: laplacian(u) + 3 * u),
        "rim": dirichlet(domain.boundary, wave),
    }
    return Problem(domain, conditions, exact=exact)


def cooling():
    """u_t = Δu with u = x² + y² + 4t: a given flux and an initial value."""

    def exact(x, y, t):
        return x**2 + y**2 + 4 * t

    conditions = {
        "flow": Condition(COOLING.interior, lambda u: diff(u, "t") - laplacian(u)),
        "flux": neumann(COOLING.boundary, 2.0),
        "start": initial(COOLING.at(t=0.0), exact),
    }
    return Problem(COOLING, conditions, exact=exact)


@pytest.fixture(scope="module")
def found():
    phases = [Phase(LM(), steps=40)]
    return solve(helmholtz(), KAN([4], degree=4, grid=3), phases, sampling=Sampling("gauss", 600, 120), device="cpu")


def test_it_trains_and_its_errors_are_measured(found):
    assert found.errors["u"]["l2"] < 2e-3
    x = OwnDisk(radius=1.5, centre=(0.5, -0.25)).interior.sample("uniform", 500).x
    wanted = wave(*x.T)
    assert float((found(*x.T) - wanted).norm() / wanted.norm()) == pytest.approx(found.errors["u"]["l2"], rel=0.3)


def test_time_and_normals_of_a_disk(tmp_path):
    solution = solve(
        cooling(), KAN([2], degree=4, grid=2), [Phase(LM(), steps=10)], sampling=Sampling("gauss", 400, 120)
    )
    assert solution.errors["u"]["l2"] < 5e-3
    save(solution, tmp_path, Output(cells=6, times=3))
    with h5py.File(tmp_path / "solution.vtkhdf") as file:
        assert file["kanpde/fields/u"].shape == (3, 37) and not np.isnan(file["kanpde/fields/u"][:]).any()
    assert len(solution_figure(solution).axes) == 3 * 4 + 4


def test_the_stored_file_has_the_disk_and_its_triangles(found, tmp_path):
    path = save(found, tmp_path, Output(cells=8))
    with h5py.File(path) as file:
        root = file["kanpde"]
        assert json.loads(root["domain_description"][0]) == DISK.describe() and root["domain_kind"][0] == b"OwnDisk"
        assert set(file["VTKHDF/Types"][:]) == {5} and not np.isnan(root["fields/u"][:]).any()
        x, y, _ = root["points"][:].T
        np.testing.assert_allclose(root["fields/u"][:], found(x, y), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(root["fields/exact"][:], np.sin(2 * x) * np.exp(y), rtol=1e-12)
        corners = np.stack([x, y], axis=1)[file["VTKHDF/Connectivity"][:].reshape(-1, 3)]
    sides = corners[:, 1:] - corners[:, :1]
    area = 0.5 * (sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0])
    assert (area > 0).all() and 0.95 * DISK.measure < area.sum() < DISK.measure


def test_meshio_reads_the_triangles(found, tmp_path):
    save(found, tmp_path, Output(cells=8))
    with meshio.xdmf.TimeSeriesReader(tmp_path / "solution.xdmf") as reader:
        points, cells = reader.read_points_cells()
        _, fields, _ = reader.read_data(0)
    corners = points[np.asarray(cells[0].data).reshape(-1, 3)]
    assert (
        cells[0].type == "triangle"
        and np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).all(axis=0)[2]
    )
    np.testing.assert_allclose(fields["u"], found(points[:, 0], points[:, 1]), rtol=1e-12, atol=1e-14)


def test_it_comes_back_with_its_problem_only(found, tmp_path):
    save(found, tmp_path, Output(cells=8))
    copy = load(tmp_path, problem=helmholtz())
    at = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 30))
    np.testing.assert_array_equal(copy(*at), found(*at))
    assert copy.errors == found.errors
    with pytest.raises(InputError, match=r"OwnDisk.*load\(folder, problem="):
        load(tmp_path)
    with pytest.raises(InputError, match="Give the problem that was solved"):
        load(tmp_path, problem=helmholtz(OwnDisk(radius=1.5, centre=(0.5, -0.2499))))
    with pytest.raises(InputError, match="Give the problem that was solved"):
        load(tmp_path, problem=helmholtz(Box(x=DISK.ranges[0], y=DISK.ranges[1])))


def test_a_file_without_a_description_needs_the_same_coordinates(found, tmp_path):
    """As versions before the protocol of domains wrote it."""
    with h5py.File(save(found, tmp_path, Output(cells=8)), "r+") as file:
        del file["kanpde/domain_description"]
    assert load(tmp_path, problem=helmholtz())(0.1, 0.2) == found(0.1, 0.2)
    with pytest.raises(InputError, match="Give the problem that was solved"):
        load(tmp_path, problem=helmholtz(OwnDisk(radius=1.5)))


def test_slices_are_nan_outside(found, tmp_path):
    path = save(found, tmp_path, Output(cells=60, slices={"y": 0.95}))
    with h5py.File(path) as file:
        x, u = file["kanpde/points"][:, 0], file["kanpde/fields/u"][:]
    half = (1.5**2 - 1.2**2) ** 0.5 + 1e-9
    np.testing.assert_array_equal(np.isnan(u), np.abs(x - 0.5) > half)
    assert 10 < np.isnan(u).sum() < 50


def test_pictures_follow_the_boundary(found, tmp_path):
    """The triangles have the values of the solution at their corners, and nothing is drawn outside."""
    figure = solution_figure(found)
    drawn = [axes.collections[0] for axes in figure.axes if axes.get_title()]
    assert len(drawn) == 4 and not any(axes.images for axes in figure.axes if axes.get_title())
    mesh = DISK.mesh(PIXELS)
    x, y, _ = mesh.points.T
    for each in drawn:
        np.testing.assert_array_equal(each._triangulation.triangles, mesh.cells[0].data)
        assert not np.ma.getmaskarray(each.get_array()).any() and np.isfinite(each.get_clim()).all()
    np.testing.assert_allclose(drawn[0].get_array(), found(x, y), rtol=1e-12)
    np.testing.assert_allclose(drawn[1].get_array(), np.sin(2 * x) * np.exp(y), rtol=1e-12)
    for axes in figure.axes[:4]:
        (rim,) = (c.get_segments() for c in axes.collections[1:])
        assert len(rim) == 6 * PIXELS / 2
        np.testing.assert_allclose(np.linalg.norm(np.array(rim) - DISK.centre, axis=2), 1.5, rtol=1e-12)
        assert axes.get_aspect() == 1
    figure.savefig(tmp_path / "disk.png", dpi=50)
    assert (imread(tmp_path / "disk.png")[..., :3] == 1).all(axis=2).mean() > 0.2


@pytest.mark.filterwarnings("error")
def test_a_corner_of_a_triangle_without_a_value_does_not_matter(found, tmp_path):
    broken = helmholtz(exact=lambda x, y: wave(x, y) + (x - 0.5) / (x - 0.5))  # NaN at the centre
    figure = solution_figure(replace(found, problem=broken))
    error = next(axes.collections[0] for axes in figure.axes if axes.get_title() == "error u")
    assert np.isnan(np.ma.filled(error.get_array(), np.nan)).sum() < 50 and np.isfinite(error.get_clim()).all()
    figure.savefig(tmp_path / "disk.png", dpi=50)


# what needs a box ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: collocate(helmholtz(), 4), "collocation"),
        (lambda: finite_elements(helmholtz(), 2, 4), "finite elements"),
        (lambda: reference(helmholtz()), "collocation"),
        (lambda: hardened(helmholtz()), "A hard constraint"),
        (lambda: solve(helmholtz(), constraints="hard", time_limit=0.1), "A hard constraint"),
        (lambda: periodic(DISK, "x"), "periodic"),
    ],
)
def test_what_needs_a_box_refuses_other_domains_by_name(call, what):
    with pytest.raises(InputError, match=rf"{what}.* needs a Box, and the domain is a OwnDisk"):
        call()


def test_estimates_need_a_box(found):
    with pytest.raises(InputError, match="needs a Box, and the domain is a OwnDisk"):
        estimate_error(found)


def test_a_table_says_why_classical_rows_are_missing():
    rows = classical_rows(helmholtz())
    assert all("needs a Box" in row["note"] for row in rows)


# what cannot be stored is refused before training --------------------------------------------------------------------
def mixed(n, only=None):
    points = np.zeros((5, 3))
    return meshio.Mesh(points, [("triangle", np.array([[0, 1, 2]])), ("quad", np.array([[0, 1, 2, 3]]))])


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"describe": lambda self: {"radius": 1.0}}, "kind"),
        ({"describe": lambda self: {"kind": "OwnDisk", "radius": torch.tensor(1.0)}}, "dictionary of texts"),
        ({"describe": lambda self: {"kind": "OwnDisk", "radius": float("nan")}}, "finite"),
        ({"mesh": lambda self, n, only=None: mixed(n)}, "triangle, quad"),
        ({"mesh": lambda self, n, only=None: meshio.Mesh(np.zeros((3, 2)), [("line", [[0, 1]])])}, r"\(3, 2\)"),
    ],
)
def test_domains_that_cannot_be_stored_are_refused_before_training(members, message, tmp_path):
    other = type("Odd", (OwnDisk,), members)()
    with pytest.raises(InputError, match=message):
        prepare_folder(tmp_path, helmholtz(other))
