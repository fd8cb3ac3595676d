"""What every optimizer in the package offers: its state, from which another one goes on bit for bit."""

import io

import pytest
import torch
from conftest import brief, optimizer_cases
from torch import nn

from kanpde import KAN, MLP, Adam, Box, Condition, Problem, dirichlet, laplacian
from kanpde.residuals.objective import Objective

pytestmark = pytest.mark.usefixtures("unchecked")
BOX = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))
PROBLEM = Problem(
    BOX,
    {
        "pde": Condition(BOX.interior, lambda u, p: p["k"] * laplacian(u) + torch.sin(3 * u.coords[0])),
        "boundary": dirichlet(BOX.boundary, lambda x, y: x * y),
    },
    parameters={"k": 1.2},
)
POINTS = {name: c.region.sample("gauss", 64) for name, c in PROBLEM.conditions.items()}
MODELS = {"kan": KAN([3], degree=4, grid=3), "mlp": MLP([6])}
CASES = [("kan", torch.float64), ("mlp", torch.float64), ("kan", torch.float32)]


def new_objective(model, dtype, weights=None):
    """At the same points every time; ``weights`` are a network's and the coefficients."""
    network = MODELS[model](BOX.ranges, 1, generator=torch.Generator().manual_seed(1 if weights is None else 2))
    coefficients = nn.Parameter(torch.tensor([1.2], dtype=dtype))
    network.to(dtype)
    if weights is not None:
        network.load_state_dict(weights[0])
        coefficients = nn.Parameter(weights[1].clone())
    points = {name: type(p)(p.x.to(dtype), p.weight.to(dtype), p.normal) for name, p in POINTS.items()}
    return Objective(PROBLEM, network, points, {"boundary": 30.0}, coefficients)


def weights_of(objective):
    return dict(objective.model.state_dict()), objective.parameters[-1].detach()


def stored(value):
    """What comes back from a file that may hold nothing but tensors and plain values."""
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("name", optimizer_cases())
@pytest.mark.parametrize(("model", "dtype"), CASES)
def test_a_restored_optimizer_goes_on_bit_for_bit(name, model, dtype):
    """Six steps against three, a file, everything new, and three more."""
    factory = brief(name)
    whole = new_objective(model, dtype)
    optimizer = factory(whole)
    losses = [optimizer.step().loss for _ in range(3)]
    halfway = optimizer.state()
    state, weights = stored(halfway), stored(weights_of(whole))
    losses += [optimizer.step().loss for _ in range(3)]
    assert losses[5] < losses[3], "the steps must move"

    for given in (state, halfway):  # the second one shows that later steps leave a state as it was
        other = new_objective(model, dtype, weights)
        restored = factory(other)
        restored.restore(given)
        assert [restored.step().loss for _ in range(3)] == losses[3:]
        assert torch.equal(other.vector(), whole.vector())


@pytest.mark.parametrize("name", optimizer_cases())
def test_without_its_state_an_optimizer_does_not_go_on(name):
    """So that the test above has something to find."""
    factory = brief(name)
    whole = new_objective("kan", torch.float64)
    optimizer = factory(whole)
    for _ in range(3):
        optimizer.step()
    other = new_objective("kan", torch.float64, stored(weights_of(whole)))
    fresh = factory(other)
    for _ in range(3):
        optimizer.step()
        fresh.step()
    assert not torch.equal(other.vector(), whole.vector())


def test_the_learning_rate_goes_on():
    optimizer = Adam(lr=0.1, half_life=2)(new_objective("mlp", torch.float64))
    for _ in range(4):
        optimizer.step()
    restored = Adam(lr=0.1, half_life=2)(new_objective("mlp", torch.float64))
    restored.restore(stored(optimizer.state()))
    for each in (optimizer, restored):
        each.step()
    rates = [each.state()["optimizer"]["param_groups"][0]["lr"] for each in (optimizer, restored)]
    assert rates[0] == rates[1] == pytest.approx(0.1 * 0.5**2.5)
