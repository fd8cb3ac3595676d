"""Every tensor is born on the device it is used on: shown without a GPU by fake CUDA tensors, which refuse to mix."""

import pytest
import torch
from conftest import load_problem, problem_cases
from torch._subclasses.fake_tensor import FakeTensorMode

from kanpde import KAN, MLP
from kanpde.jet import LAPLACIAN, JetSpace
from kanpde.objective import Objective, autograd
from kanpde.weights import _wave

CUDA = torch.device("cuda")


def fake_objective(name, arguments, model, rule="gauss"):
    problem = load_problem(name)(**arguments)
    network = model(problem.domain.ranges, 1, periodic=problem.domain.periodic, device=CUDA)
    generator = torch.Generator().manual_seed(0)
    points = {n: c.region.sample(rule, 30, generator, CUDA) for n, c in problem.conditions.items()}
    return Objective(problem, network, points)


@pytest.mark.parametrize(("name", "arguments"), problem_cases())
@pytest.mark.parametrize("model", [KAN([3], degree=4), MLP([4], activation="sine")], ids=["kan", "mlp"])
def test_loss_gradient_and_jacobian_stay_on_the_device(name, arguments, model):
    with FakeTensorMode(allow_non_fake_inputs=False):
        o = fake_objective(name, arguments, model)
        loss, gradient = o.gradient()
        r, jacobian = o.linearize()
        assert {t.device.type for t in (loss, gradient, r, jacobian, o.vector())} == {"cuda"}
        o.assign(o.vector())


@pytest.mark.parametrize("rule", ["gauss", "chebyshev", "uniform"])
def test_points_are_on_the_device(rule):
    with FakeTensorMode():
        o = fake_objective("heat", {"dim": 2}, KAN([2]), rule)
        for points in o.points.values():
            assert points.x.device.type == points.weight.device.type == "cuda"
        site = o.sites[0]
        assert _wave(o, site.contexts[0], LAPLACIAN, 0.0).device.type == "cuda"


def test_reference_derivatives_and_refinement_stay_on_the_device():
    with FakeTensorMode():
        network = KAN([3], degree=4)([(-1.0, 1.0)] * 2, device=CUDA)
        x = torch.rand(7, 2, device=CUDA, dtype=torch.float64)
        space = JetSpace.spanned([LAPLACIAN, (0, 1)], 2, (0, 1))
        assert {r.device.type for r in autograd(network, x, space)} == {"cuda"}


def test_fake_tensors_would_catch_a_stray_one():
    """The check itself: a CPU tensor among CUDA ones is refused."""
    with FakeTensorMode(), pytest.raises(Exception, match="device"):
        torch.ones(3, device=CUDA) + torch.ones(3)
