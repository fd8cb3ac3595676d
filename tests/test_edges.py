"""Pictures of the edges of a network: every function at its values, with its range, its mean and its strength."""

import re

import numpy as np
import pytest
import torch
from conftest import load_problem

from kanpde import KAN, LM, MLP, Box, Condition, InputError, Phase, Problem, Sampling, diff, solve
from kanpde.models.spikan import SPIKAN
from kanpde.plots.edge_functions import edge_functions
from kanpde.plots.edges import MOST_PAGES, edges_figures
from kanpde.plots.network import network_figure

pytestmark = pytest.mark.usefixtures("unchecked")


def quick(problem, model):
    return solve(problem, model, [Phase(LM(), steps=1)], sampling=Sampling("gauss", 60, 20), device="cpu")


@pytest.fixture(scope="module")
def poisson():
    return quick(load_problem("poisson")(), KAN([[1, 1]], degree=4, grid=2))


def test_every_edge_has_axes_with_its_values_without_their_mean(poisson):
    (figure,) = edges_figures(poisson)
    titles = [axes.get_title() for axes in figure.axes]
    assert sorted(titles) == sorted(
        [
            *(f"{x} → {h} (layer 1)" for x in "xy" for h in ("h1", "h2 factor 1", "h2 factor 2")),
            "h1 → u (layer 2)",
            "h2 → u (layer 2)",
        ]
    )
    axes = figure.axes[titles.index("y → h2 factor 2 (layer 1)")]
    x, y = axes.lines[0].get_data()
    inputs = torch.zeros(len(x), 2, dtype=torch.float64)
    inputs[:, 1] = torch.as_tensor(x)
    expected = poisson.model.layers[0].edges(inputs)[:, 1, 2].detach().numpy()
    np.testing.assert_allclose(y, expected - expected.mean(), atol=1e-12)
    assert axes.get_xlim() == (x[0], x[-1])
    mean = re.match(r"mean (\S+), ", axes.texts[0].get_text()).group(1)
    assert float(mean) == pytest.approx(expected.mean(), rel=1e-2)


def test_the_strongest_edges_of_each_layer_come_first(poisson):
    (figure,) = edges_figures(poisson)
    layers = [int(axes.get_title()[-2]) for axes in figure.axes]
    strengths = [float(axes.texts[0].get_text().split()[-1]) for axes in figure.axes]
    assert layers == sorted(layers)
    for layer in set(layers):
        of_layer = [s for s, k in zip(strengths, layers, strict=True) if k == layer]
        assert of_layer == sorted(of_layer, reverse=True) and of_layer[0] == 1


def test_ranges_are_those_of_the_coordinates():
    domain = Box(x=(2.0, 5.0), t=(0.0, 10.0), periodic=["x"])
    conditions = {"pde": Condition(domain.interior, lambda u, v: (diff(u, "t"), diff(v, "t") - u))}
    solution = quick(Problem(domain, conditions, ("u", "v")), KAN([1], degree=4, grid=2))
    _, (first, last) = edge_functions(solution)
    assert first.inputs == ["sin ωx", "cos ωx", "t"] and last.outputs == ["u", "v"]
    assert first.x[0, 2] == pytest.approx(0, abs=0.1) and first.x[-1, 2] == pytest.approx(10, abs=0.1)
    assert first.x[0, 0] == pytest.approx(-1, abs=0.01) and first.x[-1, 1] == pytest.approx(1, abs=0.01)
    assert len(edges_figures(solution)[0].axes) == 3 + 2


def test_one_input_and_products_of_coordinates():
    line = quick(load_problem("poisson")(dim=1), KAN([2], degree=4, grid=2))
    assert len(edges_figures(line)[0].axes) == 4
    separable = quick(load_problem("poisson")(), SPIKAN(products=3, degree=4, grid=2))
    assert len(edges_figures(separable)[0].axes) == 2 * 3 + 3  # each factor has one coordinate
    assert "not shown" not in network_figure(separable).axes[0].texts[-1].get_text()


def test_large_networks_show_their_strongest_edges_and_say_so(monkeypatch):
    monkeypatch.setattr("kanpde.plots.edges.PER_PAGE", 2)
    solution = quick(load_problem("poisson")(), KAN([4], degree=4, grid=2))
    pages = edges_figures(solution)
    assert [len(page.axes) for page in pages] == [2] * MOST_PAGES
    assert all(f"The {12 - 2 * MOST_PAGES} weakest of 12 are not drawn" in page.texts[0].get_text() for page in pages)


def test_labels_are_written_at_their_edges(poisson):
    labels = {(0, 1, 2): "sin", (1, 0, 0): "a long formula of x"}
    (figure,) = edges_figures(poisson, labels)
    (drawn,) = [axes for axes in figure.axes if axes.get_title() == "y → h2 factor 2 (layer 1)"]
    assert drawn.texts[0].get_text().startswith("sin\nmean ")
    axes = network_figure(poisson, labels).axes[0]
    texts = {text.get_text(): text.get_position() for text in axes.texts}
    assert "a long formul…" in texts
    places = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert texts["sin"][1] < texts["a long formul…"][1] and places["sin"] > places["y"]


@pytest.mark.parametrize("key", [(2, 0, 0), (0, 0, 3), (0, -1, 0), (0, 0), "x"])
def test_labels_of_no_edge_are_refused(poisson, key):
    with pytest.raises(InputError, match=r"not an edge.*labels=\{\(0, 0, 0\): 'sin'\}"):
        network_figure(poisson, {key: "sin"})


def test_networks_without_edges_are_refused():
    with pytest.raises(InputError, match=r"Network.*a KAN, SplineMLP or SPIKAN"):
        edges_figures(quick(load_problem("poisson")(), MLP([2])))
