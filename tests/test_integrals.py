"""Conditions on integrals: their values, their rows of the Jacobian, their place in training."""

from dataclasses import replace
from math import e, inf, nan, pi

import pytest
import torch
from torch import nn

from kanpde import (
    KAN,
    LM,
    MLP,
    Ball,
    Box,
    Condition,
    Disk,
    InputError,
    Mesh,
    Parts,
    Phase,
    Points,
    Problem,
    Rectangle,
    Region,
    diff,
    dirichlet,
    gradient,
    initial,
    integral,
    laplacian,
    neumann,
    solve,
)
from kanpde.models.parts import PartNetworks
from kanpde.residuals import site as site_module
from kanpde.residuals.automatic_weights import automatic_weights
from kanpde.residuals.evaluation import formula_fields, residuals_of
from kanpde.residuals.misfit import misfit_of
from kanpde.residuals.objective import Objective
from kanpde.residuals.site import IntegralSite, sites_of
from kanpde.training.evolution import evolution_of

BOX = Box(x=(-1.0, 1.0), y=(0.0, 1.0))
DISK, BALL = Disk(radius=2.0), Ball()
PARTS = Parts(inner=Disk(), outer=Rectangle((-2.0, 2.0), (-2.0, 2.0)) - Disk())
MESH = Mesh([[0, 0], [2, 0], [2, 1], [0, 1]], {"triangle": [[0, 1, 2], [0, 2, 3]]})
HEATED, ROD = Disk().over(t=(0.0, 3.0)), Box(x=(0.0, 2.0), t=(0.0, 3.0))


def gap_of(domain, region, integrand, value, exact):
    """The residual of a function of the coordinates in ``integral(region, integrand, value)``."""
    condition = integral(region, integrand, value)
    problem = Problem(domain, {"total": condition}, exact=exact)
    points = condition.region.sample("gauss", 100)
    (gap,) = residuals_of(problem, "total", lambda context, _: formula_fields(problem, exact, context), points)
    assert gap.shape == (1,)
    return float(gap)


CASES = {
    "box": (BOX, BOX.interior, lambda x, y: torch.exp(x) * y, (e - 1 / e) / 2),
    "faces": (BOX, BOX.boundary, lambda x, y: 1 + 0 * x, 6.0),
    "face": (BOX, BOX.face("x", 1), lambda x, y: x * y**2, 1 / 3),
    "disk": (DISK, DISK.interior, lambda x, y: x**2 + 0 * y, 4 * pi),
    "circle": (DISK, DISK.boundary, lambda x, y: x**2 + 0 * y, 8 * pi),
    "ball": (BALL, BALL.interior, lambda x, y, z: z**2 + 0 * x, 4 * pi / 15),
    "sphere": (BALL, BALL.boundary, lambda x, y, z: z**2 + 0 * x, 4 * pi / 3),
    "mesh": (MESH, MESH.interior, lambda x, y: x * y, 1.0),
    "outline": (MESH, MESH.boundary, lambda x, y: 1 + 0 * x, 6.0),
    "parts": (PARTS, PARTS.interior, lambda x, y: x**2 + 0 * y, 64 / 3),
    "space and time": (HEATED, HEATED.interior, lambda x, y, t: t + 0 * x, 4.5 * pi),
    "walls in time": (HEATED, HEATED.boundary, lambda x, y, t: t + 0 * x, 9 * pi),
    "slice": (HEATED, HEATED.at(t=2.0), lambda x, y, t: t + 0 * x, 2 * pi),
    "slice of a box": (ROD, ROD.at(t=0.5), lambda x, t: x * t, 1.0),
}


@pytest.mark.parametrize("name", CASES)
def test_integrals_are_exact(name):
    domain, region, exact, value = CASES[name]
    assert abs(gap_of(domain, region, "u", value, exact)) <= 1e-9 * abs(value)
    assert gap_of(domain, region, lambda u: 3 * u, value, exact) == pytest.approx(2 * value, rel=1e-8)


def test_the_integral_of_a_flux_is_that_of_the_divergence():
    disk = Disk((0.5, 0.0), 0.5)

    def exact(x, y):
        return x**3 + x * y

    inside = gap_of(disk, disk.interior, laplacian, 0.0, exact)
    through = gap_of(disk, disk.boundary, lambda u: gradient(u).dot(u.normal), 0.0, exact)
    assert inside == pytest.approx(6 * 0.5 * pi / 4, rel=1e-9)
    assert through == pytest.approx(inside, rel=1e-8)


def test_random_points_are_replaced_by_other_gauss_points():
    region = integral(BOX.interior, "u").region
    trained, fresh = region.sample("sobol", 100), region.sample_fresh(100, torch.Generator().manual_seed(0))
    assert len(trained.x) == 900
    assert not torch.isin(trained.x[:, 0], fresh.x[:, 0]).any()
    for points in (trained, fresh):
        assert float(points.weight @ torch.exp(points.x[:, 0])) == pytest.approx((e - 1 / e) / 2, rel=1e-12)


# the objective -------------------------------------------------------------------------------------------------------
def conditions(domain):
    return {
        "pde": Condition(domain.interior, lambda u, v, p: laplacian(u) * v - p["k"] * u),
        "mean": integral(domain.interior, "v", 0.3),
        "size": integral(domain.interior, lambda u, v, p: p["k"] * u * u + diff(v, "x", "y"), 1.0),
        "flux": integral(domain.boundary, lambda u, v, p: gradient(u).dot(u.normal), -0.5),
        "nothing": integral(domain.interior, lambda u, v, p: 0.0 * u + 2.0, 4.0),
    }


MODELS = {"kan": KAN([3], degree=4, grid=3), "mlp": MLP([4, 3])}


def objective(domain, model, derivatives="jets", points=25):
    problem = Problem(domain, conditions(domain), unknowns=("u", "v"), parameters={"k": 0.7})
    generator = torch.Generator().manual_seed(4)
    if isinstance(domain, Parts):
        network = PartNetworks(
            [MODELS[model](part.ranges, 2, generator=generator) for part in domain.each], domain.part_of
        )
    else:
        network = MODELS[model](domain.ranges, 2, generator=generator)
    points = {name: c.region.sample("gauss", points) for name, c in problem.conditions.items()}
    weights = {name: 1.0 + i for i, name in enumerate(problem.trained)}
    k = nn.Parameter(torch.tensor([0.7], dtype=torch.float64))
    return Objective(problem, network, points, weights, k, derivatives)


def brute_force(o):
    r = torch.cat([o.residuals(site) for site in o.sites])
    rows = []
    for value in r:
        parts = torch.autograd.grad(value, o.parameters, retain_graph=True, allow_unused=True)
        filled = [torch.zeros_like(p) if g is None else g for p, g in zip(o.parameters, parts, strict=True)]
        rows.append(torch.cat([g.reshape(-1) for g in filled]))
    return r.detach(), torch.stack(rows)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("domain", [BOX, PARTS], ids=["box", "parts"])
def test_the_jacobian_equals_brute_force(model, domain):
    o = objective(domain, model)
    r, jacobian = o.linearize()
    r, jacobian = r.clone(), jacobian.clone()
    assert sum(site.rows for site in o.sites if isinstance(site, IntegralSite)) == 4
    reference = objective(domain, model, "autograd")
    reference.sites = reference.sites[-4:]
    wanted_r, wanted = brute_force(reference)
    torch.testing.assert_close(r[-4:], wanted_r, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(jacobian[-4:], wanted, rtol=1e-9, atol=1e-10)
    assert (jacobian[-4:].abs().amax(dim=1) > 1e-3).tolist() == [True, True, True, False]
    w = torch.linspace(-1, 1, len(r), dtype=torch.float64)
    torch.testing.assert_close(o.pull_back(w), jacobian.T @ w, rtol=1e-9, atol=1e-10)
    loss, slope = o.gradient()
    assert float(loss) == pytest.approx(float(r @ r), rel=1e-12)
    torch.testing.assert_close(slope, 2 * jacobian.T @ r, rtol=1e-9, atol=1e-9)
    covered = torch.zeros_like(jacobian, dtype=torch.bool)
    for rows, columns in o.parts_of_jacobian():
        covered[rows, columns] = True
    assert not jacobian[~covered].any()


def test_the_entry_is_the_weighted_difference():
    o = objective(BOX, "kan")
    points = o.points["mean"]
    wanted = 2.0**0.5 * (2.0 * float(points.weight @ o.model(points.x)[:, 1].detach()) - 0.3)
    assert float(o.values()[-4]) == pytest.approx(wanted, rel=1e-12)
    assert float(o.losses()["mean"].detach()) == pytest.approx(wanted**2, rel=1e-12)


def test_pieces_make_no_difference(monkeypatch):
    whole = objective(BOX, "kan")
    r, jacobian = whole.linearize()
    monkeypatch.setitem(site_module.PIECE, "cpu", 100)
    parts = objective(BOX, "kan")
    assert [len(site.pieces) for site in parts.sites[-4:]] == [9, 9, 2, 9]
    assert len(whole.sites[-1].pieces) == 1
    again, other = parts.linearize()
    torch.testing.assert_close(again, r, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(other, jacobian, rtol=1e-11, atol=1e-13)


def test_the_last_layer_alone_has_its_columns():
    o = objective(BOX, "mlp")
    _, jacobian = o.linearize()
    last = o.model.layers[-1].weight.numel()
    row = torch.full((1, last), nan, dtype=torch.float64)
    o.linearize_site(o.sites[-2], row, slice(-1, None))
    torch.testing.assert_close(row, jacobian[-2:-1, -1 - last : -1], rtol=1e-12, atol=1e-14)


# what else knows conditions ------------------------------------------------------------------------------------------
def test_the_relative_residual_compares_with_value_and_integrand():
    def exact(x, y):
        return 2.0 + x * y

    for value, wanted in ((4.0, 0.0), (5.0, 0.2), (0.0, 1.0)):  # ∫ (2 + x y) = 4
        problem = Problem(BOX, {"total": integral(BOX.interior, "u", value)}, exact=exact)
        condition = problem.conditions["total"]

        def components(x, space, side=None):
            return [(2.0 + x[:, :1] * x[:, 1:])] * len(space.keys)

        found = misfit_of(problem, "total", components, condition.region.sample("gauss", 900), {})
        assert found.relative == pytest.approx(wanted, abs=0.03)
        assert found.square == pytest.approx((value - 4.0) ** 2, rel=1e-9, abs=1e-20)


def test_automatic_weights_make_a_mean_as_sensitive_as_the_equation_is_to_long_waves():
    domain = Box(x=(0.0, 4.0), y=(0.0, 4.0))  # ξ = (x - 2) / 2
    problem = Problem(
        domain,
        {
            "pde": Condition(domain.interior, lambda u: 10 * laplacian(u)),
            "values": dirichlet(domain.boundary),
            "mean": integral(domain.interior, "u"),
        },
    )
    network = KAN([2])(domain.ranges, 1)
    points = {name: c.region.sample("gauss", 900) for name, c in problem.conditions.items()}
    weights = automatic_weights(network, sites_of(problem, points))
    assert weights["mean"] == pytest.approx((10 * 2 * 0.5**2) ** 2 / 16**2, rel=1e-3)
    assert weights["values"] == pytest.approx((10 * 2 * 2.0**2) ** 2, rel=0.2)


def test_a_problem_with_an_integral_is_not_solved_in_windows_of_time():
    conditions = {
        "pde": Condition(ROD.interior, lambda u: diff(u, "t") - laplacian(u)),
        "walls": dirichlet(ROD.boundary),
        "start": initial(ROD.at(t=0.0), lambda x, t: torch.sin(pi * x)),
    }
    assert evolution_of(Problem(ROD, conditions)) is not None
    assert evolution_of(Problem(ROD, {**conditions, "total": integral(ROD.interior, "u", 1.0)})) is None


def test_bad_input_is_refused():
    for value in (nan, inf):
        with pytest.raises(InputError, match="finite number"):
            integral(BOX.interior, "u", value)
    with pytest.raises(InputError, match="no unknown"):
        residuals_of(
            Problem(BOX, {"total": integral(BOX.interior, "w")}),
            "total",
            lambda c, s: [],
            BOX.interior.sample("gauss", 9),
        )
    with pytest.raises(InputError, match="returned 2 values"):
        sites_of(
            Problem(BOX, {"total": integral(BOX.interior, lambda u: (u, u))}),
            {"total": BOX.interior.sample("gauss", 9)},
        )
    measured = replace(BOX.interior, rows=3)
    with pytest.raises(InputError, match="measured points"):
        integral(measured, "u")
    own = Region("mine", BOX.names, BOX.space, True, ({},), lambda *a: Points(torch.zeros(1, 2), torch.ones(1)))
    with pytest.raises(InputError, match="extent=lambda"):
        integral(own, "u")


# training ------------------------------------------------------------------------------------------------------------
def neumann_poisson(mean=1.0):
    r"""$\Delta u = f$ on [-1, 1] x [0, 1] with its flux, which determine u = cos πx cos πy + c up to c."""
    domain = BOX

    def residual(u):
        x, y = u.coords
        return laplacian(u) + 2 * pi**2 * torch.cos(pi * x) * torch.cos(pi * y)

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, residual),
            "flux": neumann(domain.boundary),
            "mean": integral(domain.interior, "u", 2.0 * mean),
        },
        exact=lambda x, y: torch.cos(pi * x) * torch.cos(pi * y) + mean,
    )


@pytest.mark.long
def test_a_mean_determines_what_fluxes_leave_free():
    solution = solve(neumann_poisson(), MLP([12]), [Phase(LM(), steps=60)])
    assert solution.errors["u"]["l2"] < 1e-3
    assert "relative_mean" in solution.levels[-1]
    assert solution.settings["looseness"] < 1e4
    assert not solution.warnings


@pytest.mark.slow
def test_a_tolerance_is_reached_with_a_mean():
    solution = solve(neumann_poisson(), tolerance=1e-6)
    assert solution.reason.startswith("tolerance reached")
    assert solution.errors["u"]["l2"] < 1e-6
    assert solution.errors["u"]["l2"] < 3 * solution.settings["estimate"]
