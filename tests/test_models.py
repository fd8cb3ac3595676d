"""Networks: sizes, starts, refinement, moved knots, periodicity."""

import pytest
import torch

from kanpde import KAN, MLP, InputError
from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.models.network import grid_of
from kanpde.models.splinemlp import SplineMLP

SQUARE = [(-1.0, 1.0), (0.0, 2.0)]


def count(network):
    return sum(p.numel() for p in network.parameters())


def points(n=200, seed=0, spread=1.0):
    unit = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.tensor([0.0, 1.0]) + (2 * unit - 1) * spread


def test_parameter_counts_are_exact():
    assert count(KAN([4, 3], degree=5, grid=6)(SQUARE, 2)) == (6 + 5 + 1) * (2 * 4 + 4 * 3 + 3 * 2)
    assert count(MLP([8, 5])(SQUARE, 1)) == 3 * 8 + 9 * 5 + 6
    assert count(MLP([8])(SQUARE, 1, periodic=[0])) == 4 * 8 + 9, "a periodic coordinate gives two inputs"


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("degree", [3, 7])
def test_start_passes_its_spread_on(depth, degree):
    """What leaves every layer has a standard deviation near 1 at the start, at all depths."""
    x = points(500)
    for seed in range(3):
        network = KAN([8] * depth, degree=degree, gain=1.0)(SQUARE, 1, generator=torch.Generator().manual_seed(seed))
        y = network.inputs(x)
        for layer in network.layers[:-1]:
            y = layer(y).detach()
            assert 0.15 < float(y.std()) < 4.0


def test_edge_functions_are_the_layer():
    network = KAN([3], degree=3)(SQUARE, 1, generator=torch.Generator().manual_seed(0))
    layer = network.layers[0]
    x = network.inputs(points())
    assert torch.allclose(layer.edges(x).sum(1), layer(x), atol=1e-13)


def test_fourier_features_are_waves_of_the_chosen_scale_and_are_not_trained():
    network = MLP([3], fourier=2000, scale=2.0)(SQUARE, 1, generator=torch.Generator().manual_seed(0))
    layer = network.layers[0]
    assert 0.95 < float(layer.frequencies.std()) / (2 * torch.pi) < 1.05
    assert all(p is not layer.frequencies for p in network.parameters())
    x = network.inputs(points())
    waves = torch.cat([torch.sin(x @ layer.frequencies), torch.cos(x @ layer.frequencies)], dim=1)
    assert torch.allclose(layer(x), waves @ layer.weight[:-1] + layer.weight[-1], atol=1e-12)
    plain = MLP([3])(SQUARE, 1, generator=torch.Generator().manual_seed(0)).layers[0].weight
    assert plain.shape == (3, 3), "no waves unless asked for"


def test_a_splinemlp_is_a_sum_of_functions_of_one_direction_each():
    network = SplineMLP([5], degree=4, grid=3)(SQUARE, 1, generator=torch.Generator().manual_seed(0))
    x = points()
    y = network.layers[0](network.inputs(x))
    assert torch.allclose(y, network.inputs(x) @ network.layers[0].weight[:-1], atol=1e-14)
    assert torch.allclose(network.layers[1].edges(y).sum(1), network(x), atol=1e-13)
    assert count(network) == 3 * 5 + (3 + 4 + 1) * 5
    before = network(x)
    network.refine(6)
    assert network.grid == 6 and network.size_at(12) == count(network) + 6 * 5
    assert torch.allclose(network(x), before, atol=1e-11)
    network.update_grid(x, 6)
    assert bool((network.layers[1].basis.breakpoints[:, 0] < y.min(0).values).all())
    with pytest.raises(InputError, match="one hidden layer"):
        SplineMLP([4, 4])


def test_products_multiply_sums_of_edges():
    network = KAN([[2, 1]], degree=3, mult_arity=3)(SQUARE, 1, generator=torch.Generator().manual_seed(0))
    x = points()
    y = network.layers[0](network.inputs(x))
    assert y.shape[1] == 2 + 3
    nodes = torch.stack([y[:, 0], y[:, 1], y[:, 2] * y[:, 3] * y[:, 4]], dim=1)
    assert torch.allclose(network(x), network.layers[1](nodes), atol=1e-13)
    assert count(network) == (4 + 3 + 1) * (2 * 5 + 3 * 1)


def test_products_start_with_the_spread_of_sums():
    network = KAN([[4, 4]], mult_arity=4)(SQUARE, 1, generator=torch.Generator().manual_seed(0))
    y = network.nodes[0].values(network.layers[0](network.inputs(points(2000)))).detach()
    assert 0.2 < float(y[:, 4:].std() / y[:, :4].std()) < 2


@pytest.mark.parametrize("hidden", [[3], [3, 4], [[1, 2], [0, 2]]])
@pytest.mark.parametrize("degree", [3, 5, 7])
def test_nested_refinement_changes_nothing(hidden, degree):
    """Values and Laplacians, also where values leave the grids."""
    network = KAN(hidden, degree=degree, grid=3)(SQUARE, 1, generator=torch.Generator().manual_seed(1))
    x = points(spread=1.1)
    space = JetSpace.spanned([LAPLACIAN], (0, 1))
    with torch.no_grad():
        before = network.jet(x, space)
        size = count(network)
        network.refine(6)
        network.refine(12)
        after = network.jet(x, space)
    assert count(network) > size and network.grid == 12
    assert float((after[0] - before[0]).abs().max() / before[0].abs().max()) <= 1e-12
    assert torch.allclose(after, before, rtol=1e-9, atol=1e-9 * float(before.abs().max()))


def test_moved_knots_follow_the_samples():
    network = KAN([3], degree=3, grid=8, gain=1.0)(SQUARE, 1, generator=torch.Generator().manual_seed(1))
    x = points(2000)
    before = network(x).detach()
    hidden = network.layers[0](network.inputs(x)).detach()
    network.update_grid(x, uniform_share=0.2, min_gap=0.3, margin=0.0)
    basis = network.layers[1].basis
    assert not basis.uniform
    steps = basis.breakpoints.diff(dim=1)
    equal = (basis.breakpoints[:, -1] - basis.breakpoints[:, 0]) / 8
    assert bool((steps >= 0.3 * equal[:, None] * (1 - 1e-9)).all()), "no cell is narrower than the minimum gap"
    assert torch.allclose(basis.breakpoints[:, 0], hidden.min(0).values, atol=1e-9)
    assert torch.allclose(basis.breakpoints[:, -1], hidden.max(0).values, atol=1e-9)
    assert float((network(x).detach() - before).abs().max()) < 0.1 * float(before.abs().max())


def test_moved_cells_cover_the_values_with_a_margin():
    network = KAN([3], degree=3, grid=4, gain=3.0)(SQUARE, 1, generator=torch.Generator().manual_seed(1))
    x = points(2000)
    network.update_grid(x, grid=8)
    hidden = network.layers[0](network.inputs(x)).detach()
    basis = network.layers[1].basis
    assert network.grid == 8 and basis.uniform
    low, high = hidden.min(0).values, hidden.max(0).values
    assert torch.allclose(basis.breakpoints[:, 0], low - 0.05 * (high - low), atol=1e-9)
    assert torch.allclose(basis.breakpoints[:, -1], high + 0.05 * (high - low), atol=1e-9)


def test_moved_knots_survive_equal_samples():
    network = KAN([2], degree=3, grid=4)(SQUARE, 1, generator=torch.Generator().manual_seed(1))
    network.update_grid(torch.zeros(50, 2, dtype=torch.float64))
    assert bool(network(points()).isfinite().all())


@pytest.mark.parametrize("factory", [KAN([3]), MLP([5])])
def test_periodic_coordinates_are_exactly_periodic(factory):
    network = factory(SQUARE, 1, periodic=[0], generator=torch.Generator().manual_seed(0))
    x = points()
    shifted = x + torch.tensor([2.0, 0.0])
    space = JetSpace.spanned([(0, 0), (0, 1)], (0, 1))
    assert torch.allclose(network.jet(x, space), network.jet(shifted, space), atol=1e-11)


@pytest.mark.parametrize("factory", [KAN([3]), MLP([5])])
def test_generator_decides_everything(factory):
    a, b, c = (factory(SQUARE, 1, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(a.layers[0].weight, b.layers[0].weight)
    assert not torch.equal(a.layers[0].weight, c.layers[0].weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KAN([0]), "hidden"),
        (lambda: KAN([[0, 0]]), "hidden"),
        (lambda: KAN([[4, 2, 1]]), r"such as \[4, 2\], got \[4, 2, 1\]. Write hidden=\[8\]"),
        (lambda: KAN([[4, 2]], mult_arity=1), "mult_arity=2"),
        (lambda: KAN(grid=0), "grid must be a whole number of at least 1"),
        (lambda: KAN(degree=0), "degree"),
        (lambda: KAN(gain=-1.0), "gain"),
        (lambda: MLP(activation="relu6"), "activation"),
        (lambda: MLP(activation="tan"), 'Did you mean "tanh"'),
    ],
)
def test_bad_sizes_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_network_without_a_grid_keeps_its_size():
    network = MLP([5])(SQUARE, 1, generator=torch.Generator().manual_seed(0))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert network.grid is None and grid_of(network) is None and grid_of(torch.nn.Linear(2, 1)) is None
    network.refine(8)
    network.update_grid(points())
    assert network.size_at(8) == count(network)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_edges_are_offered_where_all_layers_have_them():
    made = [factory(SQUARE, 1) for factory in (KAN([3]), SplineMLP([3]), MLP([3]))]
    assert [network.has_edges for network in made] == [True, True, False], "an MLP has no learned functions"
    assert grid_of(made[0]) == 4
    with pytest.raises(NotImplementedError):
        MLP([3], fourier=2)(SQUARE, 1).layers[0].edges(points())


def test_a_silu_that_the_splines_cancel_is_replaced_by_them():
    """Its rounding errors, 1e6 times those of the sum, would bound the accuracy on all finer grids."""
    layer = KAN([], degree=5, grid=50)([(-1.0, 1.0)], 1, generator=torch.Generator().manual_seed(0)).layers[0]
    x = torch.linspace(-1, 1, 500, dtype=torch.float64)[:, None]
    silu = torch.nn.functional.silu(x)
    with torch.no_grad():
        layer.weight[:-1] -= 1e6 * torch.linalg.lstsq(layer.basis.dense(x)[:, 0], silu, driver="gelsd").solution
        layer.weight[-1] = 1e6
    before = layer(x).detach()
    layer.refine(100)
    assert float(layer.weight[-1].detach().abs()) < 1e-3
    assert float((layer(x) - before).detach().abs().max()) < 1e-8, "the rounding errors that it had"


@pytest.mark.parametrize(("degree", "size"), [(5, 1.0), (2, 1e6)])
def test_a_silu_stays_where_it_is_not_large_or_not_reproduced(degree, size):
    layer = KAN([], degree=degree, grid=50)([(-1.0, 1.0)], 1, generator=torch.Generator().manual_seed(0)).layers[0]
    with torch.no_grad():
        layer.weight[-1] = size
        if degree == 2:  # cancelled as far as the splines can
            x = torch.linspace(-1, 1, 500, dtype=torch.float64)[:, None]
            silu = torch.nn.functional.silu(x)
            layer.weight[:-1] -= size * torch.linalg.lstsq(layer.basis.dense(x)[:, 0], silu, driver="gelsd").solution
    layer.refine(100)
    assert float(layer.weight[-1].detach()) == size
