"""Solutions on several parts are stored, loaded, resumed and drawn, with jumps where parts meet."""

import json

import h5py
import matplotlib.image as image
import numpy as np
import pytest
import torch
from test_resume import bits
from two_parts import bar, two_materials

from kanpde import (
    KAN,
    LM,
    MLP,
    Box,
    Condition,
    InputError,
    Output,
    Parts,
    Phase,
    Problem,
    Sampling,
    formula,
    laplacian,
    load,
    page,
    prune,
    resume,
    save,
    solve,
    without_silu,
)
from kanpde.exports import to_numpy, to_torch
from kanpde.plots.run import save_plots
from kanpde.plots.solution import solution_figure

pytestmark = pytest.mark.usefixtures("unchecked")
FEW = Sampling("gauss", 100, 40)
LEVELS = [Phase(LM(), steps=3), Phase(LM(), steps=3, refine=2, move_knots=True)]


@pytest.fixture(scope="module")
def found():
    return solve(two_materials((3.0, 1.0)), KAN([2], degree=4, grid=1), LEVELS, sampling=FEW, device="cpu")


def both_sides(solution):
    """Values on both sides of the circle."""
    angle = np.linspace(0, 6, 9)
    return [solution(r * np.cos(angle), r * np.sin(angle)) for r in (0.5 - 1e-9, 0.5 + 1e-9)]


def test_a_solution_takes_the_network_of_each_part(found):
    x = torch.tensor([[0.1, 0.2], [0.8, -0.7]], dtype=torch.float64)
    values = found(*x.T)
    for k in (0, 1):
        assert float(values[k]) == pytest.approx(float(found.model.networks[k](x[k : k + 1]).detach()), rel=1e-12)
    inner, outer = both_sides(found)
    wanted = [found.problem.exact(*torch.tensor([[r], [0.0]]).double()) for r in (0.49, 0.51)]
    assert abs(float(wanted[0] - wanted[1])) > 0.1  # the solution jumps
    assert np.abs(inner - outer).max() > 0.1 and np.isnan(found(1.5, 0.0, extrapolate=False))
    assert found.diff("x")(0.5 - 1e-9, 0.0) != pytest.approx(found.diff("x")(0.5 + 1e-9, 0.0), rel=1e-3)


def test_a_loaded_solution_is_the_same_function(found, tmp_path):
    save(found, tmp_path, Output(cells=8))
    again = load(tmp_path, two_materials((3.0, 1.0)))
    for a, b in zip(both_sides(found), both_sides(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.errors == found.errors
    with pytest.raises(InputError, match='no domain "OwnDisk"'):
        load(tmp_path)
    with pytest.raises(InputError, match="Give the problem that was solved"):
        load(tmp_path, two_materials((3.0, 1.0), radius=0.4))


def test_parts_of_the_package_are_loaded_without_the_problem(tmp_path):
    solution = solve(bar((3.0, 1.0)), MLP([2]), [Phase(LM(), steps=2)], sampling=FEW)
    save(solution, tmp_path, Output(cells=4))
    x = np.array([0.3, 1.0, 1.7])
    np.testing.assert_array_equal(load(tmp_path)(x), solution(x))


def test_the_stored_mesh_shows_the_jump(found, tmp_path):
    with h5py.File(save(found, tmp_path, Output(cells=12))) as file:
        fields = {name: values[:] for name, values in file["kanpde/fields"].items()}
        x, y, _ = file["kanpde/points"][:].T
        description = json.loads(file["kanpde/domain_description"][0])
    assert description["kind"] == "Parts" and [name for name, _ in description["parts"]] == ["inner", "outer"]
    on = np.isclose(np.hypot(x, y), 0.5)
    part = fields["part"]
    points = torch.as_tensor(np.stack([x, y], axis=1))
    for k in (0, 1):
        mine = part == k
        assert (on & mine).sum() > 5 and not np.isnan(fields["u"]).any()
        values = found.model.networks[k](points[mine]).detach()[:, 0]
        np.testing.assert_allclose(fields["u"][mine], values, rtol=1e-12, atol=1e-14)
        name = ("inner", "outer")[k]
        assert not np.isnan(fields[f"residual_pde {name}"][mine]).any()
        assert np.isnan(fields[f"residual_pde {name}"][~mine]).all()
    exact = np.where(part == 0, 0.5 * (x**2 - y**2) + np.exp(x) * np.cos(y), fields["exact"])
    np.testing.assert_allclose(fields["exact"], exact, rtol=1e-12)


@pytest.mark.long
def test_pictures_have_all_parts(found, tmp_path):
    figure = solution_figure(found)
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert "solution u" in titles and "residual of pde inner" in titles and "residual of pde outer" in titles
    masked = [np.ma.getmaskarray(axes.images[0].get_array()).mean() for axes in figure.axes if axes.images]
    by_title = dict(zip(titles, masked, strict=True))
    assert by_title["solution u"] == 0 and by_title["residual of pde outer"] == pytest.approx(0.196, abs=0.01)
    assert by_title["residual of pde inner"] == pytest.approx(0.804, abs=0.01)
    paths = save_plots(found, tmp_path)
    assert [path.name for path in paths] == ["solution.png", "history.png", "scaling.png"]
    assert image.imread(paths[0]).ndim == 3


@pytest.mark.long
def test_a_resumed_run_has_the_same_bits(tmp_path):
    """It is stopped in the second phase, after the grids of both networks were refined."""

    class Stopped(Exception):
        pass

    def solved(folder, last=None):
        def observe(progress):
            if progress.total == last:
                raise Stopped

        options = {"sampling": FEW, "starts": 1, "checkpoint": 1e-9, "device": "cpu", "observe": observe}
        return solve(bar((3.0, 1.0)), KAN([2], degree=3, grid=1), LEVELS, folder=tmp_path / folder, **options)

    whole = bits(solved("whole"))
    with pytest.raises(Stopped):
        solved("part", last=5)
    assert bits(resume(tmp_path / "part", bar((3.0, 1.0)), device="cpu")) == whole


def test_a_run_starts_from_another_one(found):
    lines = []
    again = solve(two_materials((3.0, 1.0)), phases=[Phase(LM(), steps=1)], sampling=FEW, start=found, log=lines.append)
    assert (
        any("start from a Solution" in line for line in lines) and again.levels[-1]["loss"] <= found.levels[-1]["loss"]
    )
    with pytest.raises(InputError, match="needs one network, got 2 networks of parts"):
        box = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))
        solve(Problem(box, {"pde": Condition(box.interior, laplacian)}), start=found)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (to_numpy, "An exported function needs one network, and the solution has a network for each of 2 parts"),
        (to_torch, "An exported function needs one network"),
        (prune, "Removing edges needs one network"),
        (lambda solution: page(solution, "page.html"), "A picture of edges needs one network"),
        (lambda solution: without_silu(solution.model), "The conversion needs one network"),
        (formula, "needs a Box, and the domain is a Parts"),
        (lambda solution: solve(solution.problem, constraints="hard"), "needs a Box"),
    ],
)
def test_what_takes_one_network_refuses_parts(found, call, message):
    with pytest.raises(InputError, match=message):
        call(found)


def test_time_is_common_to_all_parts(tmp_path):
    problem = bar((3.0, 1.0), t=(0.0, 1.0))
    solution = solve(problem, KAN([2], degree=4, grid=2), [Phase(LM(), steps=2)], sampling=FEW)
    with h5py.File(save(solution, tmp_path, Output(cells=8, times=3))) as file:
        assert file["kanpde/fields/u"].shape == file["kanpde/fields/part"].shape == (3, 2 * 13)
    start = problem.domain.at(t=0.0)
    assert start.label == "t=0" and float(start.sample("gauss", 10).x[:, 1].abs().max()) == 0
    half = problem.domain.restricted(t=(0.0, 0.5))
    assert isinstance(half, Parts) and half.measure == pytest.approx(1.0)
