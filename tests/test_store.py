"""A run on disk: read independently by h5py, as VTKHDF and XDMF, and back as the same solution."""

import json
from dataclasses import replace
from math import pi
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
import torch
from conftest import load_problem

from kanpde import (
    KAN,
    LM,
    MLP,
    Adam,
    Ansatz,
    Box,
    Condition,
    InputError,
    Phase,
    Problem,
    Sampling,
    diff,
    dirichlet,
    laplacian,
    solve,
)
from kanpde.storage.store import Output, load, prepare_folder, read_record, save

pytestmark = pytest.mark.usefixtures("unchecked")
SMALL = KAN([2], degree=4, grid=2)
COARSE = Output(cells=6, times=3)


def quick(problem, model=SMALL, phases=None, **options):
    return solve(
        problem, model, phases or [Phase(LM(), steps=2)], sampling=Sampling("gauss", 150, 60), device="cpu", **options
    )


def system():
    """Two unknowns in space and time whose exact solution is known."""
    domain = Box(x=(0.0, 1.0), y=(-1.0, 1.0), t=(0.0, 2.0))

    def exact(x, y, t):
        return x * t, y

    def residual(u, v):
        x, _, _ = u.coords
        return diff(u, "t") - x, laplacian(v)

    conditions = {
        "flow": Condition(domain.interior, residual),
        "sum": Condition(domain.interior, lambda u, v: diff(v, "y") - 1.0),
        "rim": dirichlet(domain.boundary, lambda x, y, t: y, "v"),
    }
    return Problem(domain, conditions, ("u", "v"), exact=exact)


def around():
    """Periodic in x, without an exact solution, with a trained coefficient."""
    domain = Box(x=(-1.0, 2.0), y=(0.0, 1.0), periodic=["x"])
    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, lambda u, p: laplacian(u) - p["k"] * u),
            "ends": dirichlet(domain.boundary, lambda x, y: torch.sin(2 * pi * x / 3)),
        },
        parameters={"k": 0.5},
    )


def hard():
    """Boundary values through an ansatz."""
    domain = Box(x=(0.0, 1.0))
    return Problem(
        domain,
        {"pde": Condition(domain.interior, lambda u: laplacian(u) + 1.0), "ends": dirichlet(domain.boundary)},
        ansatz=Ansatz(lambda c, n: c[0] * (1 - c[0]) * n, satisfies=("ends",)),
    )


@pytest.fixture(scope="module")
def heat():
    return quick(load_problem("heat")(dim=2), phases=[Phase(LM(), steps=2), Phase(LM(), steps=2, grid=4)])


@pytest.fixture
def heat_file(heat, tmp_path):
    with h5py.File(save(heat, tmp_path, COARSE, config="problem:\n  name: heat\n  dim: 2\n")) as file:
        yield file


# what is in the file -------------------------------------------------------------------------------------------------
def test_fields_are_the_solution_at_the_points_and_times(heat, heat_file):
    root = heat_file["kanpde"]
    (x, y, z), t = root["points"][:].T, root["times"][:][:, None]
    fields = {name: dataset[:] for name, dataset in root["fields"].items()}
    assert set(fields) == {"u", "exact", "error", "residual"}
    assert fields["u"].shape == (3, 49) and list(t[:, 0]) == [0.0, 0.5, 1.0] and not z.any()
    np.testing.assert_allclose(fields["u"], heat(x, y, t), rtol=1e-12, atol=1e-14)
    wanted = np.exp(-2 * pi**2 * 0.1 * t) * np.sin(pi * x) * np.sin(pi * y)
    np.testing.assert_allclose(fields["exact"], wanted, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(fields["error"], fields["u"] - fields["exact"])
    residual = heat.diff("t")(x, y, t) - 0.1 * (heat.diff("x", "x")(x, y, t) + heat.diff("y", "y")(x, y, t))
    np.testing.assert_allclose(fields["residual"], residual, rtol=1e-9, atol=1e-9)


def test_vtkhdf_has_the_layout_of_a_temporal_unstructured_grid(heat_file):
    root, n, cells, steps = heat_file["VTKHDF"], 49, 36, 3
    assert root.attrs["Type"] == b"UnstructuredGrid" and list(root.attrs["Version"]) == [2, 0]
    assert [root[f"NumberOf{k}"][:].tolist() for k in ("Points", "Cells", "ConnectivityIds")] == [[n], [cells], [144]]
    assert root["Offsets"][:].tolist() == list(range(0, 145, 4)) and set(root["Types"][:]) == {9}
    x, y, _ = root["Points"][:][root["Connectivity"][:].reshape(cells, 4)].T
    area = 0.5 * sum(x[i] * y[(i + 1) % 4] - x[(i + 1) % 4] * y[i] for i in range(4))
    np.testing.assert_allclose(area, 1 / cells)
    assert root["Steps"].attrs["NSteps"] == steps
    assert root["Steps/Values"][:].tolist() == [0.0, 0.5, 1.0]
    assert root["Steps/NumberOfParts"][:].tolist() == [1, 1, 1]
    for name in ("PartOffsets", "PointOffsets"):
        assert root[f"Steps/{name}"][:].tolist() == [0, 0, 0]
    for name in ("CellOffsets", "ConnectivityIdOffsets"):
        assert root[f"Steps/{name}"].shape == (steps, 1) and not root[f"Steps/{name}"][:].any()
    for name in ("u", "exact", "error", "residual"):
        assert root[f"PointData/{name}"].shape == (steps * n,)
        assert root[f"Steps/PointDataOffsets/{name}"][:].tolist() == [0, n, 2 * n]


def test_a_problem_without_time_has_no_steps(tmp_path):
    solution = quick(load_problem("poisson")(dim=3))
    with h5py.File(save(solution, tmp_path, COARSE)) as file:
        assert "Steps" not in file["VTKHDF"] and "times" not in file["kanpde"]
        assert file["kanpde/fields/u"].shape == (343,) and set(file["VTKHDF/Types"][:]) == {12}
        np.testing.assert_allclose(file["kanpde/fields/u"][:], solution(*file["kanpde/points"][:].T), rtol=1e-12)


def test_record_is_readable(heat, heat_file):
    root = heat_file["kanpde"]
    assert root["config"].asstr()[0] == "problem:\n  name: heat\n  dim: 2\n"
    assert root.attrs["seed"] == 0 and root.attrs["dtype"] == "float64"
    np.testing.assert_array_equal(root["history/loss"][:], [row["loss"] for row in heat.history])
    assert root["history/seconds"].attrs["units"] == "s"
    assert root["levels/grid"][:].tolist() == [2, 4] and root["levels/optimizer"].asstr()[0] == "LM"
    assert root["errors/l2"][0] == heat.errors["u"]["l2"]
    assert root["grids/layers.0.basis.knots"].shape == (3, 4 + 2 * 4 + 1)
    assert root["weights/layers.0.weight"].shape == (3 * (4 + 4 + 1), 2)
    assert {"kanpde", "torch", "numpy", "python"} <= set(root["versions"].attrs)
    assert all("description" in group.attrs for group in root.values() if isinstance(group, h5py.Group))


def test_several_unknowns_components_and_vectors_have_their_own_fields(tmp_path):
    solution = quick(system())
    with h5py.File(save(solution, tmp_path, replace(COARSE, vectors={"flow": ("v", "u")}))) as file:
        data = {name: values[:] for name, values in file["VTKHDF/PointData"].items()}
    assert set(data) == {
        "u",
        "v",
        "exact_u",
        "exact_v",
        "error_u",
        "error_v",
        "flow",
        "residual_flow_1",
        "residual_flow_2",
        "residual_sum",
    }
    assert data["flow"].shape == (3 * 49, 3)
    np.testing.assert_array_equal(data["flow"], np.stack([data["v"], data["u"], 0 * data["u"]], axis=1))
    np.testing.assert_array_equal(data["error_v"], data["v"] - data["exact_v"])
    items = ElementTree.parse(tmp_path / "solution.xdmf").findall(".//Attribute[@Name='flow']")
    assert [item.get("AttributeType") for item in items] == ["Vector"] * 3


def test_without_an_exact_solution_there_is_no_error(tmp_path):
    with h5py.File(save(quick(around()), tmp_path, COARSE)) as file:
        assert set(file["VTKHDF/PointData"]) == {"u", "residual"}
        assert not list(file["kanpde/errors"])


def test_more_than_three_dimensions_store_a_slice(tmp_path):
    solution = quick(load_problem("poisson")(dim=5))
    with h5py.File(save(solution, tmp_path, Output(cells=3, slices={"y": 0.25}))) as file:
        assert list(file["kanpde/fields"].attrs["axes"]) == ["x", "z", "x4"]
        assert file["kanpde/fields"].attrs["held_fixed"] == "y=0.25, x5=0.5"
        a, b, c = file["kanpde/points"][:].T
        np.testing.assert_allclose(file["kanpde/fields/u"][:], solution(a, 0.25, b, c, 0.5), rtol=1e-12)


@pytest.mark.parametrize("name", ["heat", "poisson"])
def test_xdmf_refers_to_what_is_there(name, tmp_path):
    solution = quick(load_problem(name)(dim=1))
    save(solution, tmp_path, COARSE)
    grids = ElementTree.parse(tmp_path / "solution.xdmf").findall("./Domain/Grid/Grid")
    assert len(grids) == (3 if name == "heat" else 1)
    for step, grid in enumerate(grids):
        assert float(grid.find("Time").get("Value")) == (0.5 * step)
        assert {a.get("Name") for a in grid.findall("Attribute")} == {"u", "exact", "error", "residual"}
        for item in grid.iter("DataItem"):
            file_name, path = item.text.split(":")
            with h5py.File(tmp_path / file_name) as file:
                assert " ".join(map(str, file[path].shape)) == item.get("Dimensions")
                assert file[path].dtype.itemsize == int(item.get("Precision"))
        with h5py.File(tmp_path / "solution.vtkhdf") as file:
            values = file["kanpde/fields/u"][step] if name == "heat" else file["kanpde/fields/u"][:]
            np.testing.assert_array_equal(file[f"xdmf/{step:05d}/u"][:], values)


def test_vtk_reads_the_steps(heat, tmp_path):
    vtk = pytest.importorskip("vtk", reason="the vtk wheel is large and not among the test requirements")
    reader = vtk.vtkHDFReader()
    reader.SetFileName(str(save(heat, tmp_path, COARSE)))
    reader.UpdateInformation()
    assert reader.GetOutputInformation(0).Length(vtk.vtkStreamingDemandDrivenPipeline.TIME_STEPS()) == 3
    reader.UpdateTimeStep(0.5)
    value = reader.GetOutputDataObject(0).GetPointData().GetArray("u").GetValue(24)
    assert value == pytest.approx(float(heat(0.5, 0.5, 0.5)), rel=1e-12)


# back again ----------------------------------------------------------------------------------------------------------
MOVED = [Phase(LM(), steps=1), Phase(LM(), steps=1, grid=5, move_knots=True)]
CASES = {
    "refined and moved grid": (system, KAN([3, 2], degree=3, grid=2), MOVED, {}),
    "MLP": (around, MLP([5], activation="sine"), [Phase(Adam(), steps=2)], {"seed": 3}),
    "periodic": (around, SMALL, None, {}),
    "ansatz": (hard, SMALL, None, {}),
    "float32": (around, SMALL, [Phase(Adam(), steps=2, grid=4)], {"dtype": "float32"}),
    "autograd": (hard, MLP([4]), [Phase(Adam(), steps=2)], {"derivatives": "autograd"}),
}


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_what_comes_back_is_the_same(case, tmp_path):
    make, model, phases, options = CASES[case]
    problem = make()
    solution = quick(problem, model, phases, **options)
    save(solution, tmp_path, COARSE)
    before = torch.random.get_rng_state()
    copy = load(tmp_path, problem if problem.ansatz else None)
    assert torch.equal(before, torch.random.get_rng_state())
    at = np.random.default_rng(0).uniform(-1.5, 1.5, (len(problem.domain.names), 40))
    for got, wanted in ((copy, solution), (copy.diff("x", "x"), solution.diff("x", "x"))):
        np.testing.assert_array_equal(got(*at, extrapolate=True), wanted(*at, extrapolate=True))
    assert repr(copy.problem.domain) == repr(problem.domain) and copy.problem.unknowns == problem.unknowns
    assert [each.facts() for each in copy.warnings] == [each.facts() for each in solution.warnings]
    for name in ("history", "levels", "ending", "errors", "coefficients"):
        np.testing.assert_equal(getattr(copy, name), getattr(solution, name))
    assert [list(row) for row in copy.levels] == [list(row) for row in solution.levels]
    assert copy.settings["points"] == solution.settings["points"] and copy.settings["seed"] == options.get("seed", 0)


def test_with_its_problem_residuals_come_back_too(heat, tmp_path):
    save(heat, tmp_path, COARSE)
    copy = load(tmp_path, heat.problem)
    x = torch.rand(20, 3, dtype=torch.float64)
    assert torch.equal(copy.residual("pde", x)[0], heat.residual("pde", x)[0])
    assert save(copy, tmp_path / "again", COARSE).is_file()
    with pytest.raises(InputError, match="solved"):
        load(tmp_path, load_problem("heat")(dim=2, end=2.0))


def test_a_file_without_a_description_still_loads(tmp_path):
    """As versions before the protocol of domains wrote it."""
    solution = quick(around())
    path = save(solution, tmp_path, COARSE)
    with h5py.File(path, "r+") as file:
        assert json.loads(file["kanpde/domain_description"][0]) == solution.problem.domain.describe()
        del file["kanpde/domain_description"]
    for copy in (load(tmp_path), load(tmp_path, around())):
        assert copy.problem.domain.describe() == solution.problem.domain.describe()
        np.testing.assert_array_equal(copy(0.3, 0.4), solution(0.3, 0.4))
    with pytest.raises(InputError, match="solved"):
        load(tmp_path, replace(around(), domain=Box(x=(-1.0, 2.0), y=(0.0, 1.0))))
    with h5py.File(path, "r+") as file:
        file["kanpde/domain_kind"][0] = b"Egg"
    with pytest.raises(InputError, match=r"Egg.*load\(folder, problem="):
        load(tmp_path)


def test_a_problem_on_another_domain_is_refused(tmp_path):
    """Same coordinates and ranges, but another period."""
    save(quick(around()), tmp_path, COARSE)
    assert load(tmp_path, around()).problem.domain.periodic == (0,)
    with pytest.raises(InputError, match="solved"):
        load(tmp_path, replace(around(), domain=Box(x=(-1.0, 2.0), y=(0.0, 1.0), periodic=["y"])))


def test_an_ansatz_needs_the_problem(tmp_path):
    save(quick(hard()), tmp_path, COARSE)
    with pytest.raises(InputError, match=r"load\(folder, problem="):
        load(tmp_path)
    with pytest.raises(InputError, match="ansatz"):
        load(tmp_path, replace(hard(), ansatz=None))


def test_a_ready_module_needs_to_be_given_again(tmp_path):
    def module(width=4):
        return torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))

    solution = quick(hard(), module(), [Phase(Adam(), steps=2)], derivatives="autograd")
    save(solution, tmp_path, COARSE)
    with pytest.raises(InputError, match="model=module"):
        load(tmp_path, hard())
    with pytest.raises(InputError, match="do not fit"):
        load(tmp_path, hard(), module(5))
    with pytest.raises(InputError, match="must be a torch"):
        load(tmp_path, hard(), SMALL)
    at = np.linspace(0, 1, 9)
    np.testing.assert_array_equal(load(tmp_path, hard(), module())(at), solution(at))


def test_a_kan_takes_the_weights_of_a_finer_one():
    ranges = [(-1.0, 1.0), (0.0, 2.0)]
    fine, coarse = SMALL(ranges), SMALL(ranges)
    fine.layers[0].refine(6)
    fine.layers[1].refine(4)
    coarse.load_state_dict(fine.state_dict())
    x = torch.rand(30, 2, dtype=torch.float64)
    assert torch.equal(coarse(x), fine(x))
    with pytest.raises(RuntimeError, match="size mismatch"):
        KAN([2], degree=3, grid=2)(ranges).load_state_dict(fine.state_dict())


@pytest.mark.long
def test_read_record_counts_the_weights_that_were_kept(tmp_path):
    solution = quick(system())
    first = solution.levels[0]
    solution.levels.append({**first, "parameters": 10**6, "reason": "overfitted", "end": "OVERFITTED"})
    save(solution, tmp_path, Output(cells=2))
    assert read_record(tmp_path)["parameters"] == first["parameters"] < 10**6


def test_read_record_summarises(heat, heat_file, tmp_path):
    record = read_record(tmp_path)
    assert (record["problem"], record["model"], record["seed"], record["grid"]) == ("heat", "KAN", 0, 4)
    assert record["parameters"] == heat.levels[-1]["parameters"] and record["loss"] == heat.levels[-1]["loss"]
    assert [record[k] for k in ("l2", "h1", "max")] == [heat.errors["u"][k] for k in ("l2", "h1", "max")]
    assert record["steps"] == 4 and record["reason"] == heat.reason and record["seconds"] > 0
    save(quick(around(), MLP([3]), [Phase(Adam(), steps=2)]), tmp_path / "mlp", COARSE)
    record = read_record(tmp_path / "mlp")
    assert record["problem"] == "" and record["grid"] is None and np.isnan(record["l2"])


# damage and failure --------------------------------------------------------------------------------------------------
def flip(path, value):
    """Changes one bit of a number in the file."""
    raw = bytearray(path.read_bytes())
    at = raw.find(np.float64(value).tobytes())
    assert at > 0
    raw[at + 3] ^= 4
    path.write_bytes(raw)


def test_a_flipped_bit_is_found(heat, tmp_path):
    path = save(heat, tmp_path, COARSE)
    flip(path, heat.model.state_dict()["layers.1.weight"][3, 0])
    with pytest.raises(InputError, match="damaged"):
        load(tmp_path)
    with h5py.File(save(heat, tmp_path, COARSE)) as file:
        value = file["kanpde/fields/u"][1, 20]
    load(tmp_path)
    flip(path, value)
    with h5py.File(path) as file, pytest.raises(OSError):
        file["kanpde/fields/u"][1]


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_what_is_no_result_file_is_refused(content, heat, tmp_path):
    path = save(heat, tmp_path, COARSE)
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(InputError, match="damaged"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="holds no solution"):
        read_record(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_what_was_there(call, heat, tmp_path, monkeypatch):
    save(heat, tmp_path, COARSE)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"os.{call}", fail)
    with pytest.raises(InputError, match="No space left"):
        save(heat, tmp_path, replace(COARSE, cells=4))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        prepare_folder(tmp_path / "file" / "run", hard())


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda: Output(cells=0), "cells"),
        (lambda: Output(times=1), "times"),
        (lambda: Output(slices={"z": 0.0}), '"z"'),
        (lambda: Output(slices={"t": 0.0}), "not a spatial coordinate"),
        (lambda: Output(slices={"x": 3.0}), "outside"),
        (lambda: Output(slices={"x": 0.5, "y": 0.0}), "Leave at least one"),
        (lambda: Output(vectors={"flow": ("u", "w")}), '"w"'),
        (lambda: Output(vectors={"flow": ("u",) * 4}), "one to three"),
        (lambda: Output(vectors={"u": ("u", "v")}), '"u"'),
        (lambda: Output(vectors={"error_u": ("u", "v")}), '"error_u"'),
        (lambda: Output(vectors={"a/b": ("u", "v")}), "a/b"),
    ],
)
def test_output_that_does_not_fit_is_refused_before_training(output, message, tmp_path):
    with pytest.raises(InputError, match=message):
        prepare_folder(tmp_path / "run", system(), output())
    assert not (tmp_path / "run").exists()
