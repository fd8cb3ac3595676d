"""Pictures show what the solution says: values, limits, slopes and edges are read back from the figures."""

import ast
import warnings
from dataclasses import replace
from math import isnan, nan, pi

import numpy as np
import pytest
import torch
from conftest import ROOT, load_problem
from matplotlib.collections import LineCollection
from matplotlib.image import imread
from scipy.stats import linregress

import kanpde.plots.run
from kanpde import KAN, LM, MLP, Adam, Box, Condition, Phase, Problem, Sampling, diff, dirichlet, initial, solve
from kanpde.ends import End, Ending
from kanpde.errors import ResultWarning
from kanpde.plots.network import MOST_NODES, network_figure
from kanpde.plots.run import history_figure, level_errors, save_plots, scaling_figure
from kanpde.plots.slopes import fitted_slope, last_of_each_size
from kanpde.plots.solution import PIXELS, solution_figure

pytestmark = pytest.mark.usefixtures("unchecked")
SMALL = KAN([2], degree=4, grid=2)


def quick(problem, model=SMALL, phases=None, **options):
    phases = phases or [Phase(LM(), steps=3, grid=2), Phase(LM(), steps=2, grid=4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)  # few steps do not solve it
        return solve(problem, model, phases, sampling=Sampling("gauss", 150, 60), device="cpu", **options)


def system():
    """Two unknowns, three equations in one condition and one in another, in two dimensions of different lengths."""
    domain = Box(x=(0.0, 1.0), y=(0.0, 2.0))

    def residual(u, v):
        return diff(u, "x") - 1.0, diff(v, "y"), u - v

    conditions = {
        "pde": Condition(domain.interior, residual),
        "law": Condition(domain.interior, lambda u, v: diff(u, "y")),
        "rim": dirichlet(domain.boundary, 0.0),
    }
    return Problem(domain, conditions, ("u", "v"), exact=lambda x, y: (x, 3.0))


def inverse():
    domain = Box(x=(0.0, 1.0), t=(0.0, 1.0))

    def exact(x, t):
        return torch.exp(-t) * torch.sin(pi * x)

    conditions = {
        "pde": Condition(domain.interior, lambda u, p: diff(u, "t") - p["k"] * diff(u, "x", "x")),
        "data": dirichlet(domain.at(t=0.5), exact),
        "start": initial(domain.at(t=0.0), lambda x, t: torch.sin(pi * x)),
    }
    return Problem(domain, conditions, parameters={"k": 0.5}, exact=exact)


@pytest.fixture(scope="module")
def poisson():
    return quick(load_problem("poisson")())


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


# everything can be drawn ---------------------------------------------------------------------------------------------
CASES = {
    "without exact": lambda: quick(replace(load_problem("poisson")(), exact=None)),
    "system": lambda: quick(system()),
    "inverse": lambda: quick(inverse()),
    "one phase of an mlp": lambda: quick(load_problem("poisson")(), MLP([4]), [Phase(LM(), steps=1)]),
    "any module": lambda: quick(
        load_problem("poisson")(dim=1), torch.nn.Linear(1, 1), [Phase(Adam(), steps=1)], derivatives="autograd"
    ),
    "ten dimensions": lambda: quick(
        load_problem("poisson")(dim=10, solution="cosines"), phases=[Phase(LM(), steps=1)], dtype="float32"
    ),
}


LONG = ("without exact", "ten dimensions")  # slow tests


@pytest.mark.long
@pytest.mark.filterwarnings("error", "ignore::kanpde.errors.ResultWarning")
@pytest.mark.parametrize("name", [pytest.param(c, marks=pytest.mark.slow) if c in LONG else c for c in CASES])
def test_all_pictures_of_every_kind_of_run(name, tmp_path, monkeypatch):
    monkeypatch.setattr(kanpde.plots.run, "DPI", 50)
    solution = CASES[name]()
    paths = save_plots(solution, tmp_path / "new")
    networks = [] if name in ("one phase of an mlp", "any module") else ["network.png", "network.html", "edges.png"]
    coefficients = ["coefficients.png"] if name == "inverse" else []
    assert {p.name for p in paths} == {"solution.png", "history.png", "scaling.png", *networks, *coefficients}
    for path in paths:
        assert path.stat().st_size > 0
        if path.suffix == ".png":
            assert np.ptp(imread(path)[..., :3]) > 0.5


@pytest.mark.long
@pytest.mark.filterwarnings("error")
def test_a_run_without_steps_or_with_nan_only(poisson, tmp_path, monkeypatch):
    monkeypatch.setattr(kanpde.plots.run, "DPI", 50)
    none = replace(poisson, history=[], levels=[], ending=Ending(End.INTERRUPTED))
    assert len(save_plots(none, tmp_path)) == 6
    broken = [{**row, "loss": nan, "error": nan, "grid": nan} for row in poisson.history]
    levels = [{**level, "loss": nan, "l2": nan, "grid": None} for level in poisson.levels]
    assert len(save_plots(replace(poisson, history=broken, levels=levels), tmp_path)) == 6


@pytest.mark.parametrize(
    "name",
    [
        "plots/run",
        "plots/solution",
        "plots/network",
        "plots/edges",
        "plots/axes",
        *(f"study/{n}" for n in ("table", "sweep_scaling", "work_precision")),
    ],
)
def test_matplotlib_is_loaded_only_to_draw_and_pyplot_never(name):
    text = (ROOT / "kanpde" / f"{name}.py").read_text(encoding="utf-8")
    at_import = [ast.unparse(n) for n in ast.parse(text).body if isinstance(n, (ast.Import, ast.ImportFrom))]
    assert not any("matplotlib" in line or "rich" in line for line in at_import)
    assert "pyplot" not in text


# solution ------------------------------------------------------------------------------------------------------------
def test_images_have_the_values_at_the_middles_of_the_pixels(poisson):
    figure = solution_figure(poisson)
    found, exact, error, residual = (axes.images[0] for axes in figure.axes[:4])
    middles = -1 + (np.arange(PIXELS) + 0.5) * 2 / PIXELS
    x, y = np.meshgrid(middles, middles)
    assert found.origin == "lower" and found.get_extent() == [-1, 1, -1, 1]
    np.testing.assert_allclose(found.get_array(), poisson(x, y))
    np.testing.assert_allclose(exact.get_array(), np.sin(pi * x) * np.sin(pi * y), atol=1e-12)
    np.testing.assert_allclose(error.get_array(), found.get_array() - exact.get_array(), atol=1e-12)
    source = -2 * pi**2 * np.sin(pi * x) * np.sin(pi * y)
    expected = poisson.diff("x", "x")(x, y) + poisson.diff("y", "y")(x, y) - source
    np.testing.assert_allclose(residual.get_array(), expected, atol=1e-9)
    assert (
        found.get_clim()
        == exact.get_clim()
        == (min(i.get_array().min() for i in (found, exact)), max(i.get_array().max() for i in (found, exact)))
    )
    for image in (error, residual):
        assert -image.get_clim()[0] == image.get_clim()[1] == np.abs(image.get_array()).max()
    assert f"{poisson.errors['u']['l2']:.2e}" in figure.get_suptitle()


@pytest.mark.long
def test_times_are_rows_with_common_limits():
    solution = quick(load_problem("heat")(dim=2), phases=[Phase(LM(), steps=1)])
    figure = solution_figure(solution)
    shown = titles(figure)
    assert shown[::4] == ["solution u, t = 0", "solution u, t = 0.5", "solution u, t = 1"]
    errors = [axes.images[0] for axes in figure.axes if axes.get_title().startswith("error")]
    assert len({image.get_clim() for image in errors}) == 1
    middles = (np.arange(PIXELS) + 0.5) / PIXELS
    last = next(axes for axes in figure.axes if axes.get_title() == "solution u, t = 1").images[0]
    np.testing.assert_allclose(last.get_array(), solution(*np.meshgrid(middles, middles), 1.0))


def test_space_time_has_time_upwards():
    axes = solution_figure(quick(load_problem("heat")(end=3.0), phases=[Phase(LM(), steps=1)])).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "t") and axes.images[0].get_extent() == [0, 1, 0, 3]


def test_lines_in_one_dimension():
    solution = quick(load_problem("poisson")(dim=1))
    panels = solution_figure(solution).axes
    assert [axes.get_title() for axes in panels] == ["solution u", "error u", "residual of pde"]
    found, exact = panels[0].get_lines()
    np.testing.assert_allclose(found.get_ydata(), solution(found.get_xdata()))
    np.testing.assert_allclose(exact.get_ydata(), np.sin(pi * exact.get_xdata()), atol=1e-12)


def test_a_slice_is_chosen_where_an_odd_solution_does_not_vanish_and_is_named():
    odd = quick(load_problem("poisson")(dim=3), phases=[Phase(LM(), steps=1)])
    odd.model.forward = lambda x: x.prod(dim=1, keepdim=True)
    figure = solution_figure(replace(odd, derivatives="autograd"))
    assert "slice at z = 0.5" in figure.get_suptitle()
    assert np.ptp(figure.axes[0].images[0].get_array()) > 0.9


def test_a_row_for_every_unknown_and_equation():
    shown = titles(solution_figure(quick(system())))
    assert shown == [
        "solution u",
        "exact u",
        "error u",
        "residual 1 of pde",
        "solution v",
        "exact v",
        "error v",
        "residual 2 of pde",
        "residual 3 of pde",
        "residual of law",
    ]


@pytest.mark.long
def test_no_panels_for_an_unknown_exact_solution_and_coefficients_are_told():
    assert titles(solution_figure(CASES["without exact"]())) == ["solution u", "residual of pde"]
    solution = quick(inverse())
    assert f"k = {solution.coefficients['k']:.6g}" in solution_figure(solution).get_suptitle()


# history -------------------------------------------------------------------------------------------------------------
def test_history_has_phases_apart_and_only_measured_errors():
    problem = load_problem("poisson")()
    solution = quick(problem)
    solution.settings["estimate"] = 0.3
    errors = [1.0, 1.0, 0.5, 0.5, 0.2]
    for row, error in zip(solution.history, errors, strict=True):
        row["error"] = error
    loss, error = history_figure(solution).axes
    *phases, fresh = [line for line in loss.get_lines() if len(line.get_xdata()) != 2 or line.get_linestyle() != "--"]
    assert list(fresh.get_xdata()) == [3, 5]
    assert list(fresh.get_ydata()) == [level["fresh"] for level in solution.levels]
    assert [list(line.get_xdata()) for line in phases] == [[1, 2, 3], [4, 5]]
    np.testing.assert_array_equal(
        np.concatenate([line.get_ydata() for line in phases]), [row["loss"] for row in solution.history]
    )
    *drawn, estimate = [line for line in error.get_lines() if line.get_linestyle() != "--"]
    assert [list(line.get_xdata()) for line in drawn] == [[1, 3], [5]]
    assert estimate.get_ydata()[-1] == 0.3 and np.isnan(estimate.get_ydata()[:-1]).all()
    solution.levels[-1]["end"] = End.OVERFITTED.name  # then the result is that of the phase before
    before = history_figure(solution).axes[1].get_lines()
    assert [line.get_ydata()[0] for line in before if line.get_label() == "estimated"] == [0.3]
    assert [t.get_text() for t in loss.texts] == ["LM, grid 2", "LM, grid 4"]
    assert loss.get_yscale() == error.get_yscale() == "log"


def test_history_of_several_starts_and_without_exact():
    solution = quick(replace(load_problem("poisson")(), exact=None), phases=[Phase(LM(), steps=2)], starts=2)
    solution.settings["estimate"] = nan
    (axes,) = history_figure(solution).axes
    assert [t.get_text() for t in axes.texts] == ["LM, grid 2", "start 2"]
    solution.settings["estimate"] = 0.3
    assert "estimated" in history_figure(solution).axes[1].get_legend_handles_labels()[1]


# scaling -------------------------------------------------------------------------------------------------------------
def test_fitted_slope_is_the_log_log_regression(generator):
    x = np.array([10.0, 20.0, 40.0, 70.0, 200.0])
    y = 3 * x**-4 * np.exp(0.2 * torch.randn(5, generator=generator).numpy())
    expected = linregress(np.log(x), np.log(y))
    np.testing.assert_allclose(fitted_slope(x, y)[:2], (expected.slope, expected.stderr))
    assert fitted_slope(x, 3 * x**-4)[0] == pytest.approx(-4)


def test_fitted_slope_of_few_or_bad_points():
    slope, error, _ = fitted_slope([2, 4], [1.0, 0.25])
    assert slope == pytest.approx(-2) and isnan(error)
    assert fitted_slope([1, None, 2, 4, 3, 9], [1.0, 5.0, 0.5, 0.25, nan, 0.0])[0] == pytest.approx(-1)
    for x, y in (([], []), ([3], [1.0]), ([5, 5, 5], [1.0, 0.5, 0.1]), ([1, 2], [nan, 1.0])):
        assert all(map(isnan, fitted_slope(x, y)[:2]))


def test_scaling_against_parameters_and_grid():
    levels = [{"parameters": 10 * g, "grid": g, "l2": 7.0 * g**-3, "loss": 1.0} for g in (4, 8, 16)]
    panels = scaling_figure(levels).axes
    assert [axes.get_xlabel() for axes in panels] == ["parameters", "grid (cells per input)"]
    for axes in panels:
        points, fit = axes.get_lines()
        assert "slope -3.00 ± 0.00" in axes.get_legend().get_texts()[1].get_text()
        np.testing.assert_allclose(fit.get_ydata(), points.get_ydata()[[0, -1]])


SCHEDULE = [  # (grid, relative L2 error, end): 4 cells by two phases, the last phase's weights discarded
    (4, 5.0, "STEPS_DONE"),
    (4, 4.0**-3, "STEPS_DONE"),
    (8, 8.0**-3, "STAGNATED"),
    (16, 16.0**-3, "STEPS_DONE"),
    (16, 9.0, "OVERFITTED"),
    (32, 7.0, "DIVERGED"),
]


def test_a_slope_is_fitted_to_the_last_kept_level_of_every_size():
    levels = [{"parameters": 10 * g, "grid": g, "l2": e, "loss": 1.0, "end": end} for g, e, end in SCHEDULE]
    assert last_of_each_size(levels, "grid").tolist() == last_of_each_size(levels, "parameters").tolist() == [1, 2, 3]
    for axes in scaling_figure(levels).axes:
        points, fit, others = axes.get_lines()
        assert "slope -3.00 ± 0.00" in fit.get_label()
        assert points.get_ydata().tolist() == [g**-3.0 for g in (4, 8, 16)]
        np.testing.assert_allclose(fit.get_ydata(), points.get_ydata()[[0, -1]])
        assert others.get_ydata().tolist() == [5.0, 9.0, 7.0]


def test_groups_have_constants_of_their_own():
    x, constant = np.tile([1.0, 2.0, 4.0], 3), np.repeat([1.0, 100.0, 1e4], 3)
    shift = np.repeat([0.1, 0.0, -0.1], 3)
    slope, error, freedom = fitted_slope(x, constant * x ** (-2 + shift), np.repeat([0, 1, 2], 3))
    assert slope == pytest.approx(-2) and freedom == 2
    assert error == pytest.approx(0.1 / 3**0.5)


def test_scaling_without_grid_exact_or_a_second_size():
    level = {"parameters": 50, "grid": None, "loss": 4.0}
    assert level_errors([level])[0] == "√loss" and level_errors([level])[1] == [2.0]
    (axes,) = scaling_figure([level, {**level, "grid": nan, "loss": 1.0}]).axes
    assert [line.get_ydata().tolist() for line in axes.get_lines()] == [[1.0], [2.0]], "one size has no fit"
    assert axes.get_ylabel() == "√loss"


# network -------------------------------------------------------------------------------------------------------------
def edges_of(figure):
    """(curves, their opacities) by layer."""
    collections = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    return [(c.get_segments(), c.get_colors()[:, 3]) for c in collections[1::2]]


def test_every_edge_is_drawn_with_the_opacity_of_its_strength():
    solution = quick(load_problem("poisson")(), KAN([3, 2], degree=4, grid=2), [Phase(LM(), steps=1)])
    model = solution.model
    layers = edges_of(network_figure(solution))
    values = model.inputs(solution.problem.domain.test_points("cpu", torch.float64)[::5])
    for layer, (curves, alphas) in zip(model.layers, layers, strict=True):
        reached = layer.edges(values).detach()
        strength = reached.std(dim=0).flatten()
        np.testing.assert_allclose(alphas, (strength / strength.max()).clamp_min(0.06), rtol=0.05)
        assert len(curves) == strength.numel()
        values = reached.sum(dim=1)


def test_curves_have_the_shapes_of_the_edge_functions(poisson):
    first = poisson.model.layers[0]
    curves, _ = edges_of(network_figure(poisson))[0]
    x = torch.linspace(-1, 1, 100, dtype=torch.float64)[:, None].expand(-1, 2)
    expected = first.edges(x).detach().flatten(1).T.numpy()
    for curve, values in zip(curves, expected, strict=True):
        assert np.corrcoef(curve[:, 1], values)[0, 1] > 1 - 1e-9


def test_multiplying_nodes_have_a_cross_and_lines_to_their_factors():
    model = KAN([[1, 2]], degree=4, grid=2, mult_arity=3)
    figure = network_figure(quick(load_problem("poisson")(), model, [Phase(LM(), steps=1)]))
    first, last = edges_of(figure)
    assert (len(first[0]), len(last[0])) == (2 * (1 + 3 * 2), 1 + 2)
    assert [t.get_text() for t in figure.axes[0].texts].count("×") == 2
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"]
    assert len(lines) == 1 + 3 * 2


def test_nodes_have_the_names_of_coordinates_and_unknowns():
    domain = Box(x=(0.0, 1.0), t=(0.0, 1.0), periodic=["x"])
    conditions = {"pde": Condition(domain.interior, lambda u, v: (diff(u, "t"), diff(v, "t") - u))}
    solution = quick(Problem(domain, conditions, ("u", "v")), phases=[Phase(LM(), steps=1)])
    texts = [t.get_text() for t in network_figure(solution).axes[0].texts]
    assert texts[:-1] == ["sin ωx", "cos ωx", "t", "u", "v"]


def test_large_networks_show_their_strongest_nodes_and_say_so():
    width = MOST_NODES + 5
    solution = quick(load_problem("poisson")(), KAN([width], degree=4, grid=2), [Phase(LM(), steps=1)])
    figure = network_figure(solution)
    first, last = edges_of(figure)
    assert (len(first[0]), len(last[0])) == (2 * MOST_NODES, MOST_NODES)
    values = solution.model.inputs(solution.problem.domain.test_points("cpu", torch.float64)[::5])
    strength = solution.model.layers[1].edges(solution.model.layers[0](values)).detach().std(dim=0)[:, 0]
    strongest = np.sort((strength / strength.max()).topk(MOST_NODES).values)
    np.testing.assert_allclose(np.sort(last[1]), strongest.clip(0.06), rtol=0.05)
    assert f"{3 * 5} of {3 * width} edges are not shown" in figure.axes[0].texts[-1].get_text()
