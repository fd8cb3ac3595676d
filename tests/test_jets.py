"""Jets against autograd, for every model, activation, degree and order in use."""

import pytest
import torch
from conftest import all_keys

from kanpde import KAN, MLP
from kanpde.calculus.functions import TABLES, by_autograd, power
from kanpde.calculus.jet import LAPLACIAN, JetSpace, bell_terms
from kanpde.models.mlp import ACTIVATIONS
from kanpde.models.separate import Separate
from kanpde.models.shiftrelu import ShiftReLU
from kanpde.models.spikan import SPIKAN
from kanpde.models.splinemlp import SplineMLP
from kanpde.residuals.engines import autograd, jets

RANGES = [(-1.0, 1.0), (0.0, 2.0)]
MODELS = {
    **{f"kan{degree}": KAN([3], degree=degree, grid=5) for degree in (2, 3, 5, 7)},
    "kan-deep": KAN([3, 2, 3], degree=6, grid=3),
    "kan-products": KAN([[2, 2], [0, 1]], degree=6, grid=3, mult_arity=3),
    "splinemlp": SplineMLP([4], degree=6, grid=3),
    **{f"shiftrelu{power}": ShiftReLU([4, 3], copies=4, power=power) for power in (1, 2, 5)},
    "spikan": SPIKAN(3, degree=6, grid=2),
    "separate": Separate({"1": MLP([4, 3]), "0": KAN([3], degree=6, grid=3)}).for_unknowns(["0", "1"]),
    "mlp-fourier": MLP([5], fourier=4),
    **{f"mlp-{a}": MLP([5, 4], activation=a) for a in ACTIVATIONS},
}


def relative(got, wanted):
    got, wanted = got.detach(), wanted.detach()
    scale = max(float(wanted.abs().max()), 1e-300)
    return float((got - wanted).abs().max()) / scale


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("order", [5])
def test_tables_are_derivatives(name, order):
    x = torch.linspace(0.2, 1.9, 23, dtype=torch.float64)
    functions = {"gelu": torch.nn.functional.gelu, "silu": torch.nn.functional.silu}
    reference = by_autograd(functions.get(name) or getattr(torch, name))(x, order)
    for got, wanted in zip(TABLES[name](x, order), reference, strict=True):
        assert relative(got, wanted) < 1e-11


def test_integer_powers_vanish_beyond_their_degree():
    x = torch.tensor([0.0, 2.0], dtype=torch.float64)
    assert torch.stack(power(3)(x, 4)).tolist() == [[0, 8], [0, 12], [0, 12], [6, 6], [0, 0]]


def test_faa_di_bruno_counts_set_partitions():
    bell_numbers = [1, 2, 5, 15]
    for order, total in enumerate(bell_numbers, start=1):
        assert sum(count for _, (_, count) in bell_terms((0,) * order, (0,))) == total


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("periodic", [(), (1,)])
def test_jets_equal_autograd(model, order, periodic, generator):
    if model == "kan2" and order > 2:
        pytest.skip("degree 2 has no continuous third derivative to speak of")
    network = MODELS[model](RANGES, 2, periodic=periodic, generator=generator)
    x = torch.rand(40, 2, generator=generator, dtype=torch.float64) * 2.4 - 0.7  # also outside the grid
    space = JetSpace.spanned([*all_keys(2, order), *([LAPLACIAN] if order > 1 else [])], (0, 1))
    with torch.no_grad():
        got = jets(network, x, space)
    wanted = autograd(network, x, space)
    for key, a, b in zip(space.keys, got, wanted, strict=True):
        assert relative(a, b) < 1e-10, key


@pytest.mark.parametrize("model", ["kan5", "kan-deep", "kan-products", "splinemlp", "spikan", "mlp-tanh", "mlp-gelu"])
@pytest.mark.parametrize("moved", [False, True])
def test_gradients_of_jets_equal_autograd(model, moved, generator):
    network = MODELS[model](RANGES, 1, generator=generator)
    x = torch.rand(30, 2, generator=generator, dtype=torch.float64) * 2 - 0.5
    if moved and not model.startswith("mlp"):
        network.update_grid(x)
    elif moved:
        pytest.skip("an MLP has no grid to move")
    space = JetSpace.spanned([(0, 0, 1), LAPLACIAN], (0, 1))
    mix = torch.randn(len(space.keys), 30, generator=generator, dtype=torch.float64)
    gradients = []
    for engine in (jets, autograd):
        loss = sum((m * r[:, 0] ** 2).sum() for m, r in zip(mix, engine(network, x, space), strict=True))
        gradients.append(torch.autograd.grad(loss, [layer.weight for layer in network.layers]))
    for got, wanted in zip(*gradients, strict=True):
        assert relative(got, wanted) < 1e-10


def test_space_carries_only_what_is_asked():
    assert JetSpace.spanned([()], (0, 1)).keys == ((),)
    assert JetSpace.spanned([LAPLACIAN], (0, 2)).keys == ((), (0,), (2,), LAPLACIAN)
    assert JetSpace.spanned([(0, 1, 1)], (0, 1)).keys == ((), (0,), (1,), (0, 1), (1, 1), (0, 1, 1))


def test_collapsed_laplacian_is_the_sum_of_second_derivatives(generator):
    network = KAN([4], degree=5)([(-1.0, 1.0)] * 3, generator=generator)
    x = torch.rand(20, 3, generator=generator, dtype=torch.float64) * 2 - 1
    collapsed = JetSpace.spanned([LAPLACIAN], (0, 2))
    full = JetSpace.spanned([(0, 0), (2, 2)], (0, 2))
    a = network.jet(x, collapsed)[collapsed.row[LAPLACIAN]]
    jet = network.jet(x, full)
    assert relative(a, jet[full.row[0, 0]] + jet[full.row[2, 2]]) < 1e-12
