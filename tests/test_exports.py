"""Exports agree with the solution: functions of NumPy, also alone in a process, programs of torch.export, ONNX."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from math import pi

import numpy as np
import pytest
import torch
from conftest import load_problem

import kanpde.exports.onnx_model
from kanpde import KAN, LM, MLP, Ansatz, Box, Condition, InputError, Phase, Problem, Sampling, diff, dirichlet, solve
from kanpde.exports import to_numpy, to_onnx, to_torch, write_numpy
from kanpde.exports.description import FAMILIES
from kanpde.models.kan import KANLayer
from kanpde.models.spikan import SPIKAN
from kanpde.models.splinemlp import SplineMLP
from kanpde.models.windows import Windows

pytestmark = pytest.mark.usefixtures("unchecked")
RUNTIME = pytest.mark.skipif(
    any(find_spec(name) is None for name in kanpde.exports.onnx_model.PACKAGES), reason="needs the extra onnx"
)


def untrained(problem, model, **options):
    return solve(problem, model, [Phase(LM(), steps=1)], sampling=Sampling("gauss", 60, 20), device="cpu", **options)


def poisson(model, **options):
    return untrained(load_problem("poisson")(), model, **options)


def laplace(exact=lambda x, y: torch.exp(x) * torch.cos(y), periodic=()):
    domain = Box(x=(0.0, 2.0), y=(-1.0, 1.0), periodic=periodic)
    conditions = {
        "pde": Condition(domain.interior, lambda u: diff(u, "x", "x") + diff(u, "y", "y")),
        "boundary": dirichlet(domain.face("y", 0) if periodic else domain.boundary, exact),
    }
    return Problem(domain, conditions)


def values():
    domain = Box(x=(0.0, 2.0), y=(-1.0, 1.0))
    return Problem(domain, {"data": dirichlet(domain.interior, lambda x, y: torch.exp(x) * torch.cos(y))})


def two_unknowns():
    domain = Box(x=(2.0, 5.0), t=(0.0, 10.0), periodic=["x"])
    conditions = {
        "pde": Condition(domain.interior, lambda u, v: (diff(u, "t") - v, diff(v, "x") - u)),
        "start": Condition(domain.at(t=0.0), lambda u, v: (u - 1, v)),
    }
    return untrained(Problem(domain, conditions, ("u", "v")), KAN([2], degree=4, grid=2))


def moved():
    """Cells of unequal widths, which are searched in another way."""
    solution = poisson(KAN([2], degree=4, grid=3))
    points = torch.rand(50, 2, dtype=torch.float64).square()
    solution.model.update_grid(points, 5, uniform_share=0.2)
    assert isinstance(solution.model.layers[1], KANLayer) and not solution.model.layers[1].basis.uniform
    return solution


def with_own_ansatz():
    problem = load_problem("poisson")()
    ansatz = Ansatz(lambda coords, n: n * (1 - coords[0] ** 2) * torch.sin(1.3 * coords[1]), ())
    return untrained(replace(problem, ansatz=ansatz), KAN([2], degree=4, grid=2))


CASES = {
    **{name: lambda name=name: poisson(KAN([2], basis=name, degree=5, grid=3)) for name in FAMILIES},
    "unequal cells": moved,
    "products": lambda: poisson(KAN([[1, 2]], degree=9, grid=4, mult_arity=3)),
    "one input": lambda: untrained(load_problem("poisson")(dim=1), KAN([2], degree=4, grid=2)),
    "two unknowns": two_unknowns,
    **{name: lambda name=name: poisson(MLP([3, 2], activation=name)) for name in ("tanh", "sine", "silu", "gelu")},
    "relu": lambda: untrained(values(), MLP([3], activation="relu")),
    "fourier features": lambda: poisson(MLP([3], fourier=4)),
    "splinemlp": lambda: poisson(SplineMLP([3], degree=4)),
    "spikan": lambda: poisson(SPIKAN(2, degree=4)),
    "built-in values": lambda: untrained(laplace(), KAN([2], degree=4, grid=2), constraints="hard"),
    "built-in periodic values": lambda: untrained(
        laplace(lambda x, y: torch.sin(pi * x) + 0 * y, ["x"]), KAN([2], degree=4, grid=2), constraints="hard"
    ),
    "built-in numbers": lambda: untrained(laplace(0.0), KAN([2], degree=4, grid=2), constraints="hard"),
}


def coords_of(solution, count=30):
    """Points of the domain, and one outside."""
    x = solution.problem.domain.test_points(torch.device("cpu"), solution.like.dtype)[7 : 7 + count].clone()
    x[-1] += 0.3 * x[-1].abs() + 0.1
    return x


def values_of(solution, x):
    found = solution(*x.T, extrapolate=True)
    return torch.stack(list(found) if isinstance(found, tuple) else [found], dim=1).numpy()


def assert_agrees(found, wanted, bound=1e-13):
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= bound * max(1.0, np.abs(wanted).max())


# numpy ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", CASES)
def test_functions_of_numpy_agree(name):
    solution = CASES[name]()
    x = coords_of(solution)
    found = to_numpy(solution)(*x.T.numpy())
    found = np.stack(found if isinstance(found, tuple) else [found], axis=1)
    assert np.abs(values_of(solution, x)).max() > 1e-3
    assert_agrees(found, values_of(solution, x))


@pytest.mark.parametrize("order", [1, 2])
def test_windows_of_time_agree(order):
    domain = Box(x=(-1.0, 1.0), t=(0.0, 2.0))
    generator = torch.Generator().manual_seed(3)

    def networks(outputs):
        return [KAN([2], degree=4, grid=2)(domain.ranges, outputs, generator=generator) for _ in range(2)]

    model = Windows(order, 0, (0.0, 0.7, 1.5), networks(order), networks(1))
    solution = replace(poisson(KAN([1], degree=4, grid=2)), problem=Problem(domain, {}), model=model)
    t = np.array([0.0, 0.2, 0.7, 0.71, 1.2, 1.5, 1.6])
    found, wanted = to_numpy(solution)(0.3, t), solution(0.3, t)
    assert np.isnan(found[-1]) and np.isnan(wanted[-1]) and not np.isnan(wanted[:-1]).any()
    assert_agrees(found[:-1], wanted[:-1])
    with pytest.raises(InputError, match="windows of time"):
        to_torch(solution)


def test_separable_layers_agree():
    from kanpde.models.separable import separable

    ends = torch.tensor([0.0, 0.5, 0.8, 2.0], dtype=torch.float64)
    for axis, wraps in ((0, False), (1, True), (0, True)):
        ranges = [(0.0, 2.0), (1.0, 3.0)] if axis == 0 else [(1.0, 3.0), (0.0, 2.0)]
        network = separable(ranges, axis, 1, ends, 4, 3, wraps)
        torch.nn.init.normal_(network.layers[0].weight, generator=torch.Generator().manual_seed(1))
        problem = Problem(Box(x=ranges[0], t=ranges[1]), {})
        solution = replace(poisson(KAN([1], degree=4, grid=2)), problem=problem, model=network)
        x = coords_of(solution)
        assert_agrees(to_numpy(solution)(*x.T.numpy())[:, None], values_of(solution, x))


def test_arguments_are_broadcast_and_counted():
    function = to_numpy(poisson(KAN([1], degree=4, grid=2)))
    assert function(np.zeros((3, 1)), np.zeros(4)).shape == (3, 4)
    assert function(0.5, 0.5).shape == ()
    with pytest.raises(TypeError, match=r"expected 2 coordinates \(x, y\), got 1"):
        function(0.5)


@pytest.mark.parametrize("name", ["bspline", "two unknowns", "built-in values"])
def test_written_files_need_numpy_only(name, tmp_path):
    solution = CASES[name]()
    path = write_numpy(solution, tmp_path / "new" / "model.py")
    x = coords_of(solution)
    np.save(path.with_name("x.npy"), x.numpy())
    program = (
        "import sys; import numpy as np; import model\n"
        "found = model.solution(*np.load('x.npy').T)\n"
        "np.save('found.npy', np.stack(found if isinstance(found, tuple) else [found], axis=1))\n"
        "assert not {'torch', 'kanpde', 'scipy'} & set(sys.modules)\n"
        f"assert model.NAMES == {list(solution.problem.domain.names)}\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=path.parent, check=True, env={})
    assert_agrees(np.load(path.with_name("found.npy")), values_of(solution, x))


def test_what_cannot_be_exported_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"ansatz.*to_torch"):
        to_numpy(with_own_ansatz())
    line = load_problem("poisson")(dim=1)
    own = replace(poisson(KAN([1], degree=4, grid=2)), problem=line, model=torch.nn.Linear(1, 1))
    with pytest.raises(InputError, match="The model is a Linear"):
        write_numpy(own, tmp_path / "model.py")
    for write, name in ((write_numpy, "model.npy"), (to_torch, "model.pt"), (to_onnx, "model.onx")):
        if write is not to_onnx or not RUNTIME.args[0]:
            with pytest.raises(InputError, match="must have a name that ends with"):
                write(own, tmp_path / name)
    assert not list(tmp_path.iterdir())


# torch ---------------------------------------------------------------------------------------------------------------
PROGRAMS = {**CASES, "own ansatz": with_own_ansatz, "single precision": lambda: poisson(KAN([2]), dtype="float32")}
QUICK = ("tanh",)


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in PROGRAMS])
def test_programs_agree_for_any_number_of_points_and_can_be_differentiated(name, tmp_path):
    solution = PROGRAMS[name]()
    to_torch(solution, tmp_path / "new" / "model.pt2")
    program = torch.export.load(tmp_path / "new" / "model.pt2").module()
    x, bound = coords_of(solution), 1e-13 if solution.like.dtype == torch.float64 else 1e-5
    for count in (1, 2, 30):
        assert_agrees(program(x[:count]).numpy(), values_of(solution, x[:count]), bound)
    z = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(program(z)[:, 0].sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(slope[:, 0].sum(), z)
    name = solution.problem.domain.names[0]
    for found, names in ((slope, [name]), (second, [name, name])):
        wanted = solution.diff(*names)(*x.T, extrapolate=True)
        wanted = wanted[0] if isinstance(wanted, tuple) else wanted
        assert_agrees(found[:, 0].detach().numpy(), wanted.numpy(), 1e3 * bound)


# onnx ----------------------------------------------------------------------------------------------------------------
def test_missing_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(kanpde.exports.onnx_model, "PACKAGES", ("numpy", "no_such_package"))
    with pytest.raises(InputError, match=r"ONNX needs no_such_package.*pip install 'kanpde\[onnx\]'"):
        to_onnx(poisson(KAN([1], degree=4, grid=2)), tmp_path / "model.onnx")


@RUNTIME
@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in PROGRAMS if n != "gelu"])
def test_onnx_models_agree(name, tmp_path):
    import onnxruntime

    solution = PROGRAMS[name]()
    session = onnxruntime.InferenceSession(to_onnx(solution, tmp_path / "new" / "model.onnx"))
    x, bound = coords_of(solution), 1e-12 if solution.like.dtype == torch.float64 else 1e-5
    for count in (1, 2, 30):
        (found,) = session.run(None, {"points": x[:count].numpy()})
        assert_agrees(found, values_of(solution, x[:count]), bound)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["model.onnx"]  # no parts are left


@RUNTIME
@pytest.mark.slow
def test_values_that_vanish_on_the_boundary_are_compared_inside_too(tmp_path):
    solution = untrained(load_problem("poisson")(), KAN([2], degree=4, grid=2), constraints="hard")
    assert to_onnx(solution, tmp_path / "model.onnx").is_file()


@RUNTIME
@pytest.mark.slow
def test_onnx_models_that_the_runtime_cannot_evaluate_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"onnxruntime cannot evaluate.*Erf"):
        to_onnx(poisson(MLP([2], activation="gelu")), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
