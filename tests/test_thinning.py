"""Scores, the gauge, removal of nodes and edges, and pruning."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from conftest import optimizer_cases, optimizer_factories

import kanpde
from kanpde import KAN, LM, MLP, Box, Condition, InputError, Phase, Problem, Sampling, dirichlet, laplacian
from kanpde.models.architecture import network_from
from kanpde.models.network import trained_size
from kanpde.models.spikan import SPIKAN
from kanpde.models.splinemlp import SplineMLP
from kanpde.residuals.objective import Objective
from kanpde.thinning.gauge import gauged
from kanpde.thinning.removal import Edge, Node, by_edge, edges_of, kan_layers, sizes_of, without
from kanpde.thinning.scores import input_scores, scores, scores_of

pytestmark = pytest.mark.usefixtures("unchecked")
BOX = Box(x=(-1.0, 1.0), y=(0.0, 2.0))
POINTS = BOX.interior.sample("gauss", 400)
PROBLEM = Problem(BOX, {"pde": Condition(BOX.interior, laplacian), "b": dirichlet(BOX.boundary, 1.0)})
LINE = torch.tensor([-2.0, 0.0, 2.0], dtype=torch.float64)  # coefficients of x at degree 2 on one cell
BASES = ["bspline", "chebyshev", "legendre", "fourier", "wavelet", "gaussian", "relupower"]


def network(hidden=([3, 2],), outputs=1, silu=True, **options):
    found = KAN(hidden, **{"degree": 4, "grid": 3, **options})(
        BOX.ranges, outputs, generator=torch.Generator().manual_seed(1)
    )
    if not silu:
        for layer in found.layers:
            by_edge(layer)[:, -1] = 0.0
    return found


def objective(of, problem=PROBLEM):
    points = {name: c.region.sample("gauss", 49) for name, c in problem.conditions.items()}
    return Objective(problem, of, points)


@torch.no_grad()
def change(one, other):
    """The largest difference of two networks on the domain, relative to the values."""
    u, v = one(POINTS.x), other(POINTS.x)
    return float((u - v).abs().max() / u.abs().max())


# scores --------------------------------------------------------------------------------------------------------------
def test_the_score_of_an_edge_is_its_share_in_the_standard_deviation():
    """u = x + 3 y on [-1, 1]²: the variances are 1/3 and 3, of u 10/3."""
    found = KAN([], degree=2, grid=1)(BOX.ranges)
    with torch.no_grad():
        by_edge(found.layers[0])[:, -1] = 0.0
        for i, slope in enumerate((1.0, 3.0)):
            by_edge(found.layers[0])[i, :-1, 0] = slope * LINE
    of = scores(found, POINTS)
    assert torch.allclose(of.edges[0][:, 0].detach() * 10**0.5, torch.tensor([1.0, 3.0], dtype=torch.float64))
    assert torch.allclose(of.nodes[0].detach(), of.edges[0][:, 0].detach())


def test_the_factor_of_a_product_scores_by_what_is_lost_with_it():
    """Of p = f g with f = 2 + ε(x), the factor f hardly matters, and g matters as p does."""
    found = network([[0, 1]], silu=False, degree=2, grid=1)
    with torch.no_grad():
        weight = by_edge(found.layers[0])
        weight[:] = 0.0
        weight[0, :-1, 0] = 2.0 + 1e-3 * LINE
        weight[1, :-1, 1] = LINE
        of = scores(found, POINTS)
    assert float(of.sums[0][1]) == pytest.approx(float(of.nodes[1][0]), rel=1e-5)
    assert float(of.sums[0][0]) == pytest.approx(5e-4 * float(of.nodes[1][0]) / 3**0.5, rel=1e-2)


def test_idle_inputs_have_no_score():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 3))
    phases = [Phase(LM(), steps=8)]
    fitted = kanpde.fit(x, np.sin(3 * x[:, 1]), KAN([2], degree=3, grid=3), phases=phases, starts=1)
    found = input_scores(fitted)
    assert next(iter(found)) == "x2" and found["x2"] > 0.9 and max(found["x1"], found["x3"]) < 0.05


@pytest.mark.parametrize("factory", [SPIKAN(2, degree=3, grid=2), SplineMLP([3], degree=3, grid=2)])
def test_other_networks_with_edges_have_scores(factory):
    of = scores(factory(BOX.ranges, generator=torch.Generator().manual_seed(0)), POINTS)
    assert all(bool(each.isfinite().all()) for each in (*of.edges, *of.nodes))


# gauge ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("hidden", [[3], [[2, 2], 3]])
def test_the_normal_form_is_the_same_function_with_the_same_scores(basis, hidden):
    for silu in (True, False):
        old = network(hidden, 2, silu, basis=basis, grid=5)
        new = gauged(old, POINTS)
        assert change(old, new) < 1e-13
        for a, b in zip(scores(old, POINTS).edges, scores(new, POINTS).edges, strict=True):
            assert torch.allclose(a, b, rtol=1e-9, atol=1e-13)


def test_the_normal_form_has_centred_edges_and_sums_of_variance_one():
    new = gauged(network([[2, 2], 3], silu=False), POINTS)
    y = new.inputs(POINTS.x)
    for k, layer in enumerate(kan_layers(new)[:-1]):
        means = torch.einsum("n,nio->io", POINTS.weight, layer.edges(y)).detach()
        y = layer(y).detach()
        sums = new.nodes[k].sums
        assert float(means[:, :sums].abs().max()) < 1e-13
        assert torch.allclose(POINTS.weight @ (y - POINTS.weight @ y) ** 2, torch.ones(y.shape[1], dtype=y.dtype))
        y = new.nodes[k].values(y)


# removal -------------------------------------------------------------------------------------------------------------
def test_a_node_takes_its_weights_and_an_edge_leaves_a_mark():
    old = network()
    one = without(old, [Node(0, 1), Node(0, 4)], POINTS)
    assert sizes_of(one) == "[2, [2, 1], 1]" and all(layer.mask is None for layer in one.layers)
    assert trained_size(one) == (2 * 4 + 3) * 8 == sum(p.numel() for p in one.parameters())
    other = without(old, [Edge(0, 0, 2)], POINTS)
    assert edges_of(other) == 18 and trained_size(other) == 18 * 8
    assert trained_size(other) == objective(other).size[1] == other.size_at(3)
    assert edges_of(old) == 19, "the given network is unchanged"
    with torch.no_grad():
        assert not other.layers[0].edges(POINTS.x)[:, 0, 2].any()
    assert sizes_of(without(old, [Edge(1, 2, 0)], POINTS)) == "[2, [2, 2], 1]", "a node without edges after it"


def test_what_is_removed_is_replaced_by_its_mean():
    old = network([3])
    for part in (Node(0, 1), Edge(1, 2, 0)):
        gap = POINTS.weight @ (without(old, [part], POINTS)(POINTS.x) - old(POINTS.x)).detach()
        assert abs(float(gap)) < 1e-14


def masked():
    return without(network([[3, 1], 2], outputs=2), [Edge(0, 0, 1), Edge(1, 2, 1), Edge(2, 0, 0)], POINTS)


def test_jacobian_and_gradient_leave_out_removed_edges():
    of = objective(masked())
    r, jacobian = of.linearize()
    start, direction = of.vector(), torch.randn(of.size[1], generator=torch.Generator().manual_seed(0)).double()
    ahead = []
    for h in (1e-5, -1e-5):
        of.assign(start + h * direction)
        ahead.append(of.values())
    assert torch.allclose((ahead[0] - ahead[1]) / 2e-5, jacobian @ direction, atol=1e-6)
    of.assign(start)
    assert torch.allclose(of.gradient()[1], 2 * jacobian.T @ r) and torch.allclose(of.pull_back(r), jacobian.T @ r)


@pytest.mark.parametrize("name", optimizer_cases())
def test_no_optimizer_trains_a_removed_edge(name):
    network = masked()
    edges = edges_of(network)
    problem = Problem(BOX, {"b": dirichlet(BOX.boundary, 1.0)})
    of = objective(without(network, [], POINTS), problem)
    before, optimizer = of.vector(), optimizer_factories()[name]()(of)
    for _ in range(2):
        optimizer.step()
    assert not torch.equal(before, of.vector())
    assert edges_of(of.model) == edges
    with torch.no_grad():
        assert not of.model.layers[0].edges(POINTS.x)[:, 0, 1].any()


def test_refinement_files_and_copies_keep_removed_edges():
    old = masked()
    for change_of in (
        lambda n: n.refine(6),
        lambda n: n.update_grid(POINTS.x, 5),
        lambda n: n.refine_where(POINTS.x, POINTS.x[:, 0] ** 2, 5),
        lambda n: n.widen(2, torch.Generator().manual_seed(0)),
    ):
        new = deepcopy(old)
        change_of(new)
        again = network_from(new.architecture())
        again.load_state_dict(new.state_dict())
        for each in (new, again):
            assert [bool(layer.existing.all()) for layer in each.layers] == [False] * 3
            assert not each.layers[0].edges(POINTS.x)[:, 0, 1].any()
        assert torch.equal(new(POINTS.x), again(POINTS.x)) and trained_size(new) == trained_size(again)
    assert change(old, deepcopy(old)) == 0


def test_a_network_without_a_mask_can_receive_one_and_lose_it():
    plain, old = network([[3, 1], 2], outputs=2), masked()
    state = plain.state_dict()
    assert not any("mask" in key for key in state), "files of unpruned networks are as before"
    old_again = deepcopy(plain)
    old_again.load_state_dict(old.state_dict())
    assert torch.equal(old_again(POINTS.x), old(POINTS.x))
    old_again.load_state_dict(state)
    assert torch.equal(old_again(POINTS.x), plain(POINTS.x)) and old_again.layers[0].mask is None


# pruning -------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def fitted():
    """A fit of sin 3x² on two inputs, one of which is idle, by more nodes than it needs."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 2))
    phases = [Phase(LM(), steps=25)]
    return kanpde.fit(x, np.sin(3 * x[:, 0] ** 2), KAN([3], degree=3, grid=3), phases=phases, starts=1)


def test_pruning_finds_a_smaller_network_and_leaves_the_given_one(fitted):
    before, weights = fitted.model.architecture(), [p.clone() for p in fitted.model.parameters()]
    lines = []
    found = kanpde.prune(fitted, steps=25, log=lines.append)
    assert sizes_of(found.model) == "[2, 1, 1]" and edges_of(found.model) == 2
    assert list(input_scores(found).values())[1] < 1e-9, "the idle input has lost its edges"
    assert found.settings["fresh"] <= 2 * fitted.levels[-1]["fresh"]
    assert found.levels[-1]["parameters"] == trained_size(found.model) < fitted.levels[-1]["parameters"]
    rows = found.settings["pruned"]
    assert [row["parameters"] for row in rows] == sorted((row["parameters"] for row in rows), reverse=True)
    assert len(lines) >= len(rows) + 2 and "[2, 1, 1]" in lines[-1]
    assert fitted.model.architecture() == before and "pruned" not in fitted.settings
    assert all(torch.equal(a, b) for a, b in zip(fitted.model.parameters(), weights, strict=True))


def test_a_removal_that_costs_too_much_is_undone():
    """Both inputs matter, so neither is removed from the smallest network that fits the rows."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 2))
    phases = [Phase(LM(), steps=10)]
    small = kanpde.fit(x, x[:, 0] + x[:, 1] ** 3, KAN([], degree=3, grid=3), phases=phases, starts=1)
    found = kanpde.prune(small, steps=5)
    assert found.settings["pruned"] == [] and edges_of(found.model) == 2


def test_a_pruned_solution_is_stored_and_loaded(fitted, tmp_path):
    found = kanpde.prune(fitted, steps=4)
    kanpde.save(found, tmp_path)
    again = kanpde.load(tmp_path)
    x = np.linspace(-0.9, 0.9, 5)
    assert np.array_equal(again(x, x), found(x, x)) and again.settings["pruned"] == found.settings["pruned"]
    with pytest.raises(InputError, match="load\\(folder, problem\\)"):
        kanpde.prune(again)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([Node(0, k) for k in range(5)], "hidden layer 1 without nodes"),
        ([Edge(1, k, 0) for k in range(5)], "without"),
        ([Node(1, 0)], "no Node"),
        ([Edge(0, 2, 0)], "no Edge"),
    ],
)
def test_removals_that_cannot_be_are_refused(parts, said):
    with pytest.raises(InputError, match=said):
        without(network(), parts, POINTS)


@pytest.mark.parametrize("model", [MLP([3]), SPIKAN(2, degree=3, grid=2), SplineMLP([3], degree=3, grid=2)])
def test_models_without_edges_of_a_kan_are_refused_by_name(model):
    made = model(BOX.ranges)
    with pytest.raises(InputError, match=type(made.layers[0]).__name__):
        without(made, [], POINTS)
    with pytest.raises(InputError, match=type(made.layers[0]).__name__):
        gauged(made, POINTS)


def test_bad_arguments_of_pruning_are_refused(fitted):
    for factor in (0.5, float("nan"), float("inf")):
        with pytest.raises(InputError, match="factor"):
            kanpde.prune(fitted, factor)
    with pytest.raises(InputError, match="time_limit"):
        kanpde.prune(fitted, time_limit=0)
    mlp = kanpde.solve(PROBLEM, MLP([2]), [Phase(LM(), steps=1)], sampling=Sampling("uniform", 40, 40))
    for action in (kanpde.prune, scores_of, input_scores):
        with pytest.raises(InputError, match="MLPLayer"):
            action(mlp)
