"""The page of a network: it is well formed and complete, has every edge once with its values, and loads nothing."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from conftest import load_problem

from kanpde import KAN, LM, MLP, InputError, Phase, Sampling, page, solve
from kanpde.models.spikan import SPIKAN
from kanpde.plots.edge_functions import edge_functions
from kanpde.plots.page import MOST_NODES

pytestmark = pytest.mark.usefixtures("unchecked")
EMPTY = {"meta"}


class Reader(HTMLParser):
    """Collects elements and the text of scripts, and asserts that every element is closed."""

    def __init__(self, path):
        super().__init__()
        self.open, self.elements, self.texts = [], [], {}
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open.append((tag, dict(attrs).get("id")))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def edges(self):
        return json.loads("".join(self.texts["script", "data"]))["edges"]

    def ids(self):
        return [a["id"] for tag, a in self.elements if tag == "g" and a.get("class") == "edge"]


def quick(problem, model):
    return solve(problem, model, [Phase(LM(), steps=1)], sampling=Sampling("gauss", 60, 20), device="cpu")


@pytest.fixture(scope="module")
def poisson():
    return quick(load_problem("poisson")(), KAN([[1, 1], 2], degree=4, grid=2))


def test_the_folder_is_created_and_what_cannot_be_written_is_refused(poisson, tmp_path):
    assert page(poisson, tmp_path / "new" / "folder" / "network.html").is_file()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "network.html", tmp_path / "new"):
        with pytest.raises(InputError, match=r'cannot be written.*path="outputs/'):
            page(poisson, path)


def test_every_edge_is_drawn_once_and_has_its_values(poisson, tmp_path):
    found = Reader(page(poisson, tmp_path / "network.html"))
    edges, (_, layers) = found.edges(), edge_functions(poisson)
    assert found.ids() == [f"edge-{e['layer']}-{e['input']}-{e['output']}" for e in edges]
    assert len(set(found.ids())) == len(found.ids()) == 2 * 3 + 2 * 2 + 2
    values = poisson.model.inputs(torch.rand(5, 2, dtype=torch.float64))
    assert layers[0].y.shape[1:] == tuple(poisson.model.layers[0].edges(values).shape[1:])
    for edge in edges:
        layer, i, o = layers[edge["layer"]], edge["input"], edge["output"]
        np.testing.assert_allclose(edge["y"], layer.y[:, i, o], rtol=1e-7)
        np.testing.assert_allclose(edge["range"], layer.x[[0, -1], i], rtol=1e-7)
        assert edge["share"] == pytest.approx(layer.strength[i, o] / layer.strength.max(), rel=1e-7)
    assert edges[0]["title"] == "x → h1.1 (layer 1)" and edges[-1]["title"] == "h2.2 → u (layer 3)"


def test_edges_name_nodes_that_are_drawn(poisson, tmp_path):
    found = Reader(page(poisson, tmp_path / "network.html"))
    nodes = [n for _, a in found.elements if "data-node" in a for n in a["data-node"].split()]
    assert len(set(nodes)) == len(nodes) == 2 + 3 + 2 + 2 + 2 + 1
    assert {edge[end] for edge in found.edges() for end in ("below", "above")} == set(nodes)


def test_the_page_loads_nothing_and_can_be_reached_by_keys(poisson, tmp_path):
    path = page(poisson, tmp_path / "network.html")
    text, found = path.read_text(encoding="utf-8"), Reader(path)
    assert not re.search(r"http|\bsrc=|\bhref=|url\(|@import|//[a-z]", text)
    assert not re.search(r"@[A-Z]+@", text)
    orders = [a["tabindex"] for _, a in found.elements if a.get("class") == "edge"]
    assert orders.count("0") == 1 and set(orders) == {"0", "-1"}
    assert all("score" in a["aria-label"] for _, a in found.elements if a.get("class") == "edge")


def test_formulas_are_text(poisson, tmp_path):
    formula = "</script><b>x²</b> & 'y'"
    found = Reader(page(poisson, tmp_path / "network.html", {(0, 1, 0): formula}))
    assert [e["formula"] for e in found.edges() if e["formula"]] == [formula]
    assert not any(tag == "b" for tag, _ in found.elements)


def test_products_have_a_cross_and_edges_that_do_not_exist_are_left_out(tmp_path):
    solution = quick(load_problem("poisson")(), SPIKAN(products=2, degree=4, grid=2))
    path = page(solution, tmp_path / "network.html")
    assert len(Reader(path).edges()) == 2 * 2 + 2
    assert path.read_text(encoding="utf-8").count(">×<") == 2


def test_large_networks_show_their_strongest_nodes_and_say_so(tmp_path):
    solution = quick(load_problem("poisson")(), KAN([MOST_NODES + 2], degree=4, grid=2))
    path = page(solution, tmp_path / "network.html")
    assert len(Reader(path).edges()) == 3 * MOST_NODES
    assert f"{3 * 2} of {3 * (MOST_NODES + 2)} edges are not shown" in path.read_text(encoding="utf-8")


def test_values_that_are_not_finite_are_null(poisson, tmp_path):
    solution = quick(load_problem("poisson")(), KAN([1], degree=4, grid=2))
    with torch.no_grad():
        solution.model.layers[1].weight.fill_(torch.nan)
    edges = Reader(page(solution, tmp_path / "network.html")).edges()
    assert edges[-1]["y"] == [None] * 100 and None not in edges[0]["y"]


def test_networks_without_edges_are_refused(poisson, tmp_path):
    with pytest.raises(InputError, match="a KAN, SplineMLP or SPIKAN"):
        page(quick(load_problem("poisson")(), MLP([2])), tmp_path / "network.html")
    with pytest.raises(InputError, match="not an edge of the network"):
        page(poisson, tmp_path / "network.html", {(5, 0, 0): "x"})
    assert not list(tmp_path.iterdir())


def test_every_edge_has_its_wires_in_the_same_order(poisson, tmp_path):
    path = page(poisson, tmp_path / "network.html")
    found, text = Reader(path), path.read_text(encoding="utf-8")
    kinds = [a.get("class") for tag, a in found.elements if tag == "g"]
    assert kinds == ["wires"] * 12 + ["edge"] * 12  # wires lie below all boxes
    ends = re.findall(r'<g class="wires".*?d="M([\d.]+),([\d.]+)L.*?L([\d.]+),([\d.]+)"/>\n</g>', text, re.DOTALL)
    dots = {name: (a["cx"], a["cy"]) for _, a in found.elements if "data-node" in a for name in a["data-node"].split()}
    for (x0, y0, x1, y1), edge in zip(ends, found.edges(), strict=True):
        assert (dots[edge["below"]], dots[edge["above"]]) == ((x0, y0), (x1, y1))
