"""The residual vector, its gradient and its Jacobian against brute force, for every model and condition kind."""

from math import inf, nan, pi

import pytest
import torch
from torch import nn

from kanpde import (
    KAN,
    MLP,
    Ansatz,
    Box,
    Condition,
    InputError,
    Problem,
    diff,
    dirichlet,
    initial,
    laplacian,
    neumann,
    periodic,
    robin,
)
from kanpde.models.separate import Separate
from kanpde.models.shiftrelu import ShiftReLU
from kanpde.models.spikan import SPIKAN
from kanpde.models.splinemlp import SplineMLP
from kanpde.residuals.automatic_weights import automatic_weights
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import sites_of

BOX = Box(x=(-1.0, 1.0), y=(0.0, 1.0))
TIME = Box(x=(0.0, 1.0), t=(0.0, 0.5))
PROBLEMS = {
    "dirichlet": Problem(
        BOX, {"pde": Condition(BOX.interior, lambda u: laplacian(u) + u**3), "b": dirichlet(BOX.boundary, 2.0)}
    ),
    "neumann": Problem(
        BOX, {"pde": Condition(BOX.interior, laplacian), "b": neumann(BOX.boundary, lambda x, y: x * y)}
    ),
    "robin": Problem(
        BOX, {"pde": Condition(BOX.interior, lambda u: diff(u, "x", "y")), "b": robin(BOX.face("y", 1), 2.0, 3.0)}
    ),
    "periodic": Problem(BOX, {"pde": Condition(BOX.interior, lambda u: laplacian(u) - u), "b": periodic(BOX, "x")}),
    "initial": Problem(
        TIME,
        {
            "pde": Condition(TIME.interior, lambda u: diff(u, "t", "t") - laplacian(u)),
            "start": initial(TIME.at(t=0.0), lambda x, t: torch.sin(pi * x)),
            "rate": initial(TIME.at(t=0.0), 1.0, order=1),
        },
    ),
    "system": Problem(
        BOX,
        {
            "pde": Condition(BOX.interior, lambda u, v: (laplacian(u) * v, diff(v, "x") - u * u)),
            "b": dirichlet(BOX.boundary, 1.0, unknown="v"),
            "p": periodic(BOX, "x", unknown="v"),
        },
        unknowns=("u", "v"),
    ),
    "inverse": Problem(
        BOX,
        {
            "pde": Condition(BOX.interior, lambda u, p: p["k"] * laplacian(u) + p["c"] ** 2),
            "b": dirichlet(BOX.boundary),
        },
        parameters={"k": 0.7, "c": 1.5},
    ),
    "ansatz": Problem(
        BOX,
        {"pde": Condition(BOX.interior, laplacian), "b": dirichlet(BOX.boundary)},
        ansatz=Ansatz(lambda c, n: (1 - c[0] ** 2) * c[1] * (1 - c[1]) * n, ("b",)),
    ),
    "torus": Problem(
        Box(x=(-1.0, 1.0), y=(0.0, 1.0), periodic=["x"]), {"pde": Condition(BOX.interior, lambda u: laplacian(u) - u)}
    ),
}


def separate(ranges, outputs, **options):
    """A network for every output, by turns a KAN and an MLP."""
    names = [str(i) for i in range(outputs)]
    made = {name: (KAN([2], degree=4, grid=3), MLP([3]))[int(name) % 2] for name in reversed(names)}
    return Separate(made).for_unknowns(names)(ranges, outputs, **options)


MODELS = {
    "kan": KAN([3], degree=4, grid=3),
    "separate": separate,
    "kan-deep": KAN([2, 3], degree=3, grid=2),
    "kan-products": KAN([[1, 2]], degree=3, grid=2, mult_arity=3),
    "splinemlp": SplineMLP([3], degree=3, grid=2),
    "shiftrelu": ShiftReLU([3], copies=3, power=3),
    "spikan": SPIKAN(2, degree=3, grid=2),
    "mlp": MLP([4, 3]),
    "mlp-fourier": MLP([3], fourier=2),
    "mlp-sine": MLP([4], activation="sine"),
}


def objective(problem, model, derivatives="jets"):
    problem = PROBLEMS[problem]
    network = MODELS[model](
        problem.domain.ranges,
        len(problem.unknowns),
        periodic=problem.domain.periodic,
        generator=torch.Generator().manual_seed(4),
    )
    points = {name: c.region.sample("gauss", 9) for name, c in problem.conditions.items()}
    start = list(problem.parameters.values())
    coefficients = nn.Parameter(torch.tensor(start, dtype=torch.float64)) if start else None
    weights = {name: 1.0 + i for i, name in enumerate(problem.trained)}
    return Objective(problem, network, points, weights, coefficients, derivatives)


def brute_force(o):
    """r row by row and its Jacobian by one autograd call each, on the reference derivatives."""
    r = torch.cat([o.residuals(site) for site in o.sites])
    rows = []
    for value in r:
        parts = torch.autograd.grad(value, o.parameters, retain_graph=True, allow_unused=True)
        filled = [torch.zeros_like(p) if g is None else g for p, g in zip(o.parameters, parts, strict=True)]
        rows.append(torch.cat([g.reshape(-1) for g in filled]))
    return r.detach(), torch.stack(rows)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("model", MODELS)
def test_jacobian_equals_brute_force(problem, model):
    r, jacobian = objective(problem, model).linearize()
    wanted_r, wanted = brute_force(objective(problem, model, "autograd"))
    assert float((r - wanted_r).abs().max() / wanted_r.abs().max()) <= 1e-10
    assert float((jacobian - wanted).abs().max() / wanted.abs().max()) <= 1e-10


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("derivatives", ["jets", "autograd"])
def test_loss_and_gradient_agree_with_the_jacobian(problem, derivatives):
    r, jacobian = objective(problem, "kan").linearize()
    loss, gradient = objective(problem, "kan", derivatives).gradient()
    assert float(loss) == pytest.approx(float(r @ r), rel=1e-10)
    assert torch.allclose(gradient, 2 * jacobian.T @ r, rtol=1e-8, atol=1e-8 * float(gradient.abs().max()))


def test_loss_is_the_weighted_mean_square():
    o = objective("dirichlet", "mlp")
    site = o.sites[1]
    x = o.points["b"].x
    gap = o.model(x)[:, 0].detach() - 2.0
    assert float(o.losses()["b"].detach()) == pytest.approx(2.0 * float((o.points["b"].weight * gap**2).sum()))
    assert site.name == "b"


def test_assign_restores_a_vector():
    o = objective("inverse", "kan")
    vector = o.vector()
    before = float(o.loss())
    o.assign(vector + 0.1)
    assert float(o.loss()) != before
    o.assign(vector)
    assert float(o.loss()) == before
    assert o.vector().tolist()[-2:] == [0.7, 1.5]


def test_automatic_weights_follow_the_operator():
    """For Δu on [-1, 1]² the gain of a wave is 2 κ² inside and 1 on the boundary, whatever the equation's scale."""
    box = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))

    def problem(scale):
        pde = Condition(box.interior, lambda u: scale * laplacian(u))
        return Problem(box, {"pde": pde, "b": dirichlet(box.boundary), "n": neumann(box.boundary)})

    found = []
    for scale in (1.0, 100.0):
        p = problem(scale)
        network = MLP([4])(box.ranges)
        points = {name: c.region.sample("gauss", 400) for name, c in p.conditions.items()}
        found.append(automatic_weights(network, sites_of(p, points)))
    assert found[0]["pde"] == 1.0
    assert found[0]["b"] == pytest.approx((2 * 4.0**2) ** 2, rel=1e-6)
    assert found[0]["n"] == pytest.approx((2 * 4.0**2) ** 2 / 4.0**2, rel=1e-6)
    assert found[1]["b"] == pytest.approx(found[0]["b"] * 100.0**2, rel=1e-6)


def test_automatic_weights_see_every_unknown_by_itself():
    """u - v = 0 does not answer to the same wave in both, and has the weight of a value all the same."""
    box = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))
    conditions = {
        "pde": Condition(box.interior, lambda u, v: laplacian(u)),
        "tie": Condition(box.interior, lambda u, v: u - v),
    }
    p = Problem(box, conditions, unknowns=("u", "v"))
    points = {name: c.region.sample("gauss", 100) for name, c in p.conditions.items()}
    found = automatic_weights(MLP([4])(box.ranges, 2), sites_of(p, points))
    assert found["tie"] == pytest.approx((2 * 4.0**2) ** 2 / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("residual", "message"),
    [
        (lambda u: torch.stack([u.value] * 2, 1), r"shape \(16, 2\); expected a field or a tensor of shape \(16,\)"),
        (lambda u: None, "type NoneType"),
        (lambda u: u.value.sum(), r"shape \(\)"),
        (lambda u: (u, 3.0), "type float"),
    ],
)
def test_wrong_residuals_are_named(residual, message):
    p = Problem(BOX, {"pde": Condition(BOX.interior, residual)})
    with pytest.raises(InputError, match='Condition "pde".*' + message):
        Objective(p, MLP([3])(BOX.ranges), {"pde": BOX.interior.sample("gauss", 16)})


@pytest.mark.parametrize("model", ["kan", "mlp"])
def test_with_jets_second_derivatives_are_refused(model):
    """Their backward passes would leave parts of the Hessian out; autograd's Hessian is that of differences."""
    o, reference = objective("dirichlet", model), objective("dirichlet", model, "autograd")
    for value in (o.loss, lambda: o.losses()["pde"], lambda: o.residuals(o.sites[0]).sum()):
        torch.autograd.grad(value(), o.parameters)
        with pytest.raises(InputError, match=r'once only.* Write derivatives="autograd"'):
            torch.autograd.grad(value(), o.parameters, create_graph=True)
    way = torch.linspace(-1, 1, len(o.vector()), dtype=torch.float64)
    slopes = torch.autograd.grad(reference.loss(), reference.parameters, create_graph=True)
    products = torch.autograd.grad(torch.cat([s.flatten() for s in slopes]) @ way, reference.parameters)
    start, found = o.vector(), []
    for sign in (1, -1):
        o.assign(start + sign * 1e-5 * way)
        found.append(o.gradient()[1])
    torch.testing.assert_close(
        torch.cat([p.flatten() for p in products]), (found[0] - found[1]) / 2e-5, rtol=1e-5, atol=1e-4
    )


def test_unknown_weights_and_engines_are_refused():
    o = objective("dirichlet", "mlp")
    with pytest.raises(InputError, match='Did you mean "pde"'):
        Objective(o.problem, o.model, o.points, {"pd": 2.0})
    for weight in (0.0, -1.0, inf, nan):
        with pytest.raises(InputError, match=rf'positive and finite, got {weight} for "b"\. Write b=1\.0 in `weights`'):
            Objective(o.problem, o.model, o.points, {"b": weight})
    with pytest.raises(InputError, match="derivatives"):
        Objective(PROBLEMS["neumann"], o.model, o.points, derivatives="jet")
    with pytest.raises(InputError, match='Write derivatives="autograd"'):
        Objective(PROBLEMS["dirichlet"], nn.Linear(2, 1), o.points)
    with pytest.raises(InputError, match='Write derivatives="jets"'):
        objective("dirichlet", "mlp", "autograd").linearize()


def test_ansatz_must_name_real_conditions():
    with pytest.raises(InputError, match='"wall"'):
        Problem(BOX, {"b": dirichlet(BOX.boundary)}, ansatz=Ansatz(lambda c, n: n, ("wall",)))
