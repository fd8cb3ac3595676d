"""KANs of degree 1 as ReLU perceptrons and back, against brute force."""

import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn

from kanpde import KAN, MLP, InputError, kan_of, relu_mlp_of, without_silu
from kanpde.bases.bspline import BSpline
from kanpde.domains import Points
from kanpde.models.architecture import network_from
from kanpde.models.kan import KANLayer
from kanpde.models.network import Network
from kanpde.models.shiftrelu import ShiftReLU
from kanpde.thinning.removal import Edge, without

pytestmark = pytest.mark.usefixtures("unchecked")
SQUARE = [(-1.0, 1.0), (0.0, 2.0)]


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def kan(hidden, grid, outputs=1, periodic=(), start=None):
    factory = KAN(hidden, degree=1, grid=start or grid)
    network = without_silu(factory(SQUARE, outputs, generator=random(), periodic=periodic))
    network.refine(grid)
    return network


def inside(n=500):
    return torch.rand(n, 2, generator=random(1), dtype=torch.float64) * 2 - torch.tensor([1.0, 0.0])


def outside(n=500):
    return (inside(n) - torch.tensor([0.0, 1.0])) * 3 + torch.tensor([0.0, 1.0])


@torch.no_grad()
def relative(a, b, x):
    return float((a(x) - b(x)).abs().max() / b(x).abs().max())


@pytest.mark.parametrize("hidden", [[], [5], [4, 3]])
@pytest.mark.parametrize(("start", "grid"), [(1, 1), (1, 2), (1, 3), (1, 4), (4, 64)])
def test_a_kan_is_a_relu_perceptron_and_a_kan_again(hidden, start, grid):
    network = kan(hidden, grid, outputs=2, start=start)
    mlp = relu_mlp_of(network)
    again = kan_of(mlp)
    units = max(grid, 2)
    widths = [layer.weight.shape[1] for layer in mlp.layers]
    assert widths == [n * units for n in [2, *hidden]] + [2] == [layer.weight.shape[1] for layer in again.layers]
    for x in (inside(), outside()):
        assert relative(mlp, network, x) < 1e-13 and relative(again, network, x) < 1e-13


@pytest.mark.parametrize("hidden", [[], [5], [4, 3]])
def test_random_values_at_64_knots_lose_what_one_rounding_of_the_coordinates_loses(hidden):
    network = kan(hidden, 64)
    mlp, x = relu_mlp_of(network), inside()
    one_rounding = relative(lambda x: network(x * (1 + 2.3e-16)), network, x)
    assert relative(mlp, network, x) < 10 * one_rounding and relative(kan_of(mlp), network, x) < 20 * one_rounding


def test_the_perceptron_is_a_plain_stack_of_torch_layers():
    network = kan([3], 5)
    mlp = relu_mlp_of(network)
    stack = []
    for layer in mlp.layers:
        linear = nn.Linear(*(layer.weight.shape[0] - 1, layer.weight.shape[1]), dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(layer.weight[:-1].T)
            linear.bias.copy_(layer.weight[-1])
        stack += [linear, nn.ReLU()]
    plain = nn.Sequential(*stack[:-1])
    assert relative(lambda x: plain(network.inputs(x)), network, outside()) < 1e-14


def test_knots_need_not_be_equal_nor_coordinates_aperiodic():
    ends = torch.tensor([[-1.0, -0.9, 0.1, 0.15, 1.0], [-1.0, 0.0, 0.3, 0.9, 1.0]], dtype=torch.float64)
    basis = BSpline.over(-torch.ones(2).double(), torch.ones(2).double(), 4, 1).on(ends)
    weight = torch.randn(2, 6, 3, generator=random(), dtype=torch.float64)
    weight[:, -1] = 0.0
    network = Network(kan([], 1).inputs, [KANLayer(basis, weight.flatten(0, 1))])
    x = outside()
    y = network.inputs(x)
    by_hand = sum(  # np.interp, with the lines of the end cells outside
        torch.stack([line(y[:, i], ends[i], weight[i, :-1, o]) for o in range(3)], dim=1) for i in range(2)
    )
    assert relative(lambda _: by_hand, network, x) < 1e-14
    for made in (relu_mlp_of(network), kan_of(relu_mlp_of(network))):
        assert relative(made, network, x) < 1e-14
    torus = kan([3], 4, periodic=[0])
    assert relative(kan_of(relu_mlp_of(torus)), torus, outside()) < 1e-14


def line(x, ends, values):
    """Linear interpolation, continued beyond the ends."""
    cell = torch.searchsorted(ends[1:-1].contiguous(), x.contiguous())
    share = (x - ends[cell]) / (ends[cell + 1] - ends[cell])
    return values[cell] + share * (values[cell + 1] - values[cell])


@pytest.mark.parametrize("hidden", [[], [6], [7, 5]])
def test_a_relu_perceptron_is_a_kan_of_the_same_widths(hidden):
    mlp = MLP(hidden, activation="relu")(SQUARE, 2, generator=random())
    for layer in mlp.layers:
        layer.weight.data[-1].normal_(generator=random(2))
    network = kan_of(mlp)
    assert [layer.weight.shape[1] for layer in network.layers] == [*hidden, 2]
    assert [layer.grid for layer in network.layers] == [1, *[2 for _ in hidden]]
    assert relative(network, mlp, inside()) < 1e-14 and relative(network, mlp, outside()) < 1e-14


def test_conversions_leave_the_network_alone_and_can_be_stored():
    network = kan([2], 4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for made in (relu_mlp_of(network), kan_of(relu_mlp_of(network))):
        other = network_from(made.architecture())
        other.load_state_dict(made.state_dict())
        assert torch.equal(other(inside()), made(inside()))
        made.layers[0].weight.data.zero_()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_silu_is_replaced_by_lines_between_the_knots():
    network = KAN([], degree=1, grid=8)(SQUARE, 1, generator=random())
    network.refine(32)
    lines = without_silu(network)
    assert not bool(lines.layers[0].coefficients[:, -1].any())
    at_knots = torch.stack([network.layers[0].breakpoints[0], network.layers[0].breakpoints[1] + 1.0], dim=1)
    assert relative(lines, network, at_knots) < 1e-14
    bound = float(network.layers[0].coefficients[:, -1].detach().abs().sum()) * (2 / 32) ** 2 / 16
    difference = float((lines(inside()) - network(inside())).detach().abs().max())
    assert 0.1 * bound < difference <= bound


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: relu_mlp_of(KAN([2], degree=1)(SQUARE)), r"have silu .*network=without_silu\(network\)"),
        (lambda: relu_mlp_of(kan([2, [1, 1]], 2)), "1 nodes that multiply"),
        (lambda: relu_mlp_of(KAN([2], degree=3)(SQUARE)), r"BSpline of degree 3\. Write network=KAN"),
        (lambda: without_silu(KAN([2], basis="legendre", degree=1)(SQUARE)), "got Legendre of degree 1"),
        (
            lambda: relu_mlp_of(MLP([2])(SQUARE)),
            r"A KAN is needed, got the layers MLPLayer \(linear\), MLPLayer \(tanh",
        ),
        (lambda: relu_mlp_of(KAN([2])), "got a KAN"),
        (lambda: kan_of(MLP([2])(SQUARE)), r"MLPLayer \(tanh\).*Write mlp=MLP"),
        (lambda: kan_of(MLP([2], activation="relu", fourier=2)(SQUARE)), "FourierLayer"),
        (lambda: kan_of(kan([2], 2)), "KANLayer"),
        (lambda: kan_of("mlp"), "got a str"),
    ],
)
def test_what_cannot_be_converted_is_refused_with_the_reason(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert re.search(message, str(error.value))


# shifted ReLUs -------------------------------------------------------------------------------------------------------
def test_shifted_relus_are_the_construction_of_the_article():
    layer = ShiftReLU([], copies=5)(SQUARE, 3, generator=random()).layers[0]
    x = torch.randn(50, 2, generator=random(), dtype=torch.float64)
    columns = []
    for i in range(2):
        for j in range(5):
            shifted = x[:, i] - 1 + 0.5 * j
            columns.append(shifted if j == 0 else shifted.clamp(min=0))
    wanted = torch.stack(columns, dim=1) @ layer.weight[:-1] + layer.weight[-1]
    assert torch.allclose(layer(x), wanted, rtol=0, atol=1e-14)
    assert layer.weight.numel() == 2 * 5 * 3 + 3


def test_shifted_relus_start_with_the_asked_deviation():
    x = torch.linspace(-1, 1, 301, dtype=torch.float64)[:, None].expand(-1, 3)
    for power in (1, 4):
        layer = ShiftReLU([], copies=6, power=power, gain=0.7)([(-1.0, 1.0)] * 3, 4000, generator=random()).layers[0]
        assert abs(float(layer(x).square().mean().sqrt()) - 0.7) < 0.03


def test_widening_shifted_relus_keeps_the_function():
    network = ShiftReLU([3], copies=4)(SQUARE, 1, generator=random())
    before = network(inside())
    network.widen(2, random(3))
    assert torch.allclose(network(inside()), before, atol=1e-14) and network.layers[0].weight.shape[1] == 5


# condition numbers ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("degree", [1, 3])
def test_condition_numbers_grow_like_a_power_of_the_grid(degree, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from conditions import matrices, three_networks

    found = []
    for cells in (16, 32):
        change, by_splines, by_powers = matrices(cells, degree)
        assert np.abs(by_powers @ change - by_splines).max() < 1e-13 * np.abs(change).max(), "the same functions"
        found.append([np.linalg.cond(matrix) for matrix in (change, by_splines, by_powers)])
    growth = np.log2(np.divide(*found[::-1]))
    assert growth == pytest.approx([degree + 1, 0, degree + 1], abs=0.35)
    x = torch.linspace(-1.5, 1.5, 99, dtype=torch.float64)[:, None]
    hats, fixed, free = three_networks(8, 0).values()
    assert relative(fixed, hats, x) < 1e-14 and relative(free, hats, x) < 1e-14


def test_a_network_with_removed_edges_is_converted():
    network = KAN([3], degree=1, grid=4)(SQUARE, generator=random())
    points = Points(inside(), torch.full((500,), 1 / 500, dtype=torch.float64))
    fewer = without_silu(without(network, [Edge(0, 1, 2)], points))
    assert not fewer.layers[0].coefficients[:, -1].any()
    assert relative(relu_mlp_of(fewer), fewer, inside()) < 1e-13
