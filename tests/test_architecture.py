"""A network described, built again and given its weights is the same network, bit for bit."""

import json

import pytest
import torch
from conftest import BASES

from kanpde import KAN, LM, MLP, Box, Condition, InputError, Problem, dirichlet, laplacian
from kanpde.bases import Basis
from kanpde.calculus.jet import LAPLACIAN, JetSpace
from kanpde.models.architecture import network_from
from kanpde.models.mlp import ACTIVATIONS
from kanpde.models.polynomials import polynomials
from kanpde.models.separate import Separate
from kanpde.models.shiftrelu import ShiftReLU
from kanpde.models.spikan import SPIKAN
from kanpde.models.splinemlp import SplineMLP
from kanpde.residuals.objective import Objective

pytestmark = pytest.mark.usefixtures("unchecked")
BOX = Box(x=(-1.0, 1.0), y=(0.1, 2.3))
SPACE = JetSpace.spanned([LAPLACIAN, (0, 1)], (0, 1))
PROBLEM = Problem(BOX, {"pde": Condition(BOX.interior, laplacian), "b": dirichlet(BOX.boundary, 1.0)})
FAMILIES = sorted(name for name, family in BASES.items() if family is not Basis)


def refined(network):
    network.refine(network.grid + 2)


def moved(network):
    network.update_grid(torch.rand(300, 2, generator=torch.Generator().manual_seed(3)).to(weight(network)), 5, 0.3)


def halved(network):
    x = torch.rand(50, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    network.refine_where(x.to(weight(network)), x[:, 0].to(weight(network)) ** 8, network.grid + 3)


def weight(network):
    return network.layers[0].weight


CASES = [(KAN([3], basis=name, degree=3, grid=2), [refined, moved], {}) for name in FAMILIES]
CASES += [(MLP([4, 3], activation=name), [], {}) for name in ACTIVATIONS]
CASES += [
    (KAN([[4, 2], 3], degree=4, grid=2, mult_arity=3), [moved], {"outputs": 2}),
    (KAN([3]), [], {"periodic": [0]}),
    (KAN([], degree=3), [refined], {}),
    (MLP([5], fourier=3, scale=2.0), [], {"periodic": [1]}),
    (SplineMLP([4], degree=3, grid=2), [moved, refined], {}),
    (ShiftReLU([3], copies=4, power=3), [], {"periodic": [0]}),
    (lambda *a, dtype, **k: polynomials(a[0], 2, 20, "cpu", dtype), [], {}),
    (SPIKAN(3, degree=4, grid=2), [refined, halved], {"outputs": 2}),
    (
        Separate({"v": MLP([4]), "u,w": KAN([3], grid=2)}).for_unknowns(["u", "v", "w"]),
        [refined, moved],
        {"outputs": 3},
    ),
]


def built(factory, changes, arguments, dtype):
    network = factory(BOX.ranges, generator=torch.Generator().manual_seed(0), dtype=dtype, **arguments)
    for change in changes:
        change(network)
    return network


def again(network):
    """The network built from the text of its description and from its weights."""
    other = network_from(json.loads(json.dumps(network.architecture())), dtype=weight(network).dtype)
    other.load_state_dict(network.state_dict())
    return other


def trained(network):
    """The weights after one step of Levenberg-Marquardt."""
    dtype = weight(network).dtype
    points = {name: c.region.sample("gauss", 36, dtype=dtype) for name, c in PROBLEM.conditions.items()}
    objective = Objective(PROBLEM, network, points)
    LM()(objective).step()
    return objective.vector()


@pytest.mark.parametrize(("factory", "changes", "arguments"), CASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_described_network_is_the_same_bit_for_bit(factory, changes, arguments, dtype):
    network = built(factory, changes, arguments, dtype)
    other = again(network)
    assert other.architecture() == network.architecture() and type(other) is type(network)
    assert list(other.state_dict()) == list(network.state_dict())
    assert all(
        torch.equal(a, b) for a, b in zip(other.state_dict().values(), network.state_dict().values(), strict=True)
    )
    x = torch.rand(50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype) * 2
    with torch.no_grad():
        assert torch.equal(other(x), network(x))
        assert torch.equal(other.jet(x, SPACE), network.jet(x, SPACE))
    if network(x).shape[1] == 1:
        assert torch.equal(trained(other), trained(network))


def test_building_draws_no_random_numbers():
    network = built(KAN([[2, 1]]), [], {}, torch.float64)
    before = torch.get_rng_state()
    other = network_from(network.architecture())
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(bool(p.any()) for p in other.parameters()), "weights of zero until others are loaded"


@pytest.mark.parametrize("where", ["network", "layer", "basis"])
def test_an_unknown_kind_is_refused_with_the_nearest(where):
    architecture = KAN([2])(BOX.ranges).architecture()
    layer = architecture["layers"][0]
    part = {"network": architecture, "layer": layer, "basis": layer["basis"]}[where]
    part["kind"] += "s"
    with pytest.raises(InputError, match=f'Unknown .*"{part["kind"]}".*"{part["kind"][:-1]}"'):
        network_from(architecture)
