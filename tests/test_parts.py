"""Domains of several parts: geometry, interface conditions against rows computed by hand, Jacobians, bad input."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
import torch
from disk import OwnDisk
from torch import nn
from two_parts import Holed, bar, two_materials

from kanpde import (
    KAN,
    LM,
    MLP,
    Box,
    Condition,
    InputError,
    Parts,
    Phase,
    Points,
    Problem,
    Sampling,
    VariableProjection,
    dirichlet,
    flux_jump,
    gradient,
    jump,
    laplacian,
    neumann,
    solve,
)
from kanpde.calculus.context import Context
from kanpde.domains.touching import extent
from kanpde.models.parts import PartNetworks
from kanpde.optimizers.damped import gram
from kanpde.residuals.automatic_weights import automatic_weights
from kanpde.residuals.evaluation import exact_fields, residuals_of
from kanpde.residuals.objective import Objective
from kanpde.residuals.part_scales import amplitudes
from kanpde.residuals.site import sites_of

pytestmark = pytest.mark.usefixtures("unchecked")
DISK, OUTER = OwnDisk(radius=0.5), Holed()
PARTS = Parts(inner=DISK, outer=OUTER)
SQUARES = Parts(left=Box(x=(-1.0, 0.0), y=(0.0, 1.0)), right=Box(x=(0.0, 2.0), y=(-1.0, 2.0)))


# the domain ----------------------------------------------------------------------------------------------------------
def test_every_point_belongs_to_its_part():
    x = torch.tensor([[0.0, 0.1], [0.7, 0.7], [0.5, 0.0], [3.0, 0.0]], dtype=torch.float64)
    assert PARTS.part_of(x).tolist() == [0, 1, 0, 1] and PARTS.contains(x).tolist() == [True, True, True, False]
    assert PARTS.measure == pytest.approx(4.0) and PARTS.ranges == ((-1.0, 1.0), (-1.0, 1.0))


def test_lengths_of_boundaries_follow_from_the_divergence_theorem():
    assert extent(DISK) == pytest.approx(pi, rel=1e-12) and extent(OUTER) == pytest.approx(8 + pi, rel=1e-12)
    assert extent(Box(x=(0.0, 2.0), y=(0.0, 3.0), z=(-1.0, 1.0), t=(0.0, 5.0))) == pytest.approx(32.0)


def test_the_boundary_is_without_the_interface():
    """The rest of both boundaries, with their lengths as weights: 3 of 4 on the left, 9 of 10 on the right."""
    points = SQUARES.boundary.sample("gauss", 4000)
    is_left = points.x[:, 0] < 0
    assert float(points.weight[is_left].sum()) == pytest.approx(3 / 12, rel=1e-2)
    assert not bool(((points.x[:, 0] == 0) & (points.x[:, 1] > 0) & (points.x[:, 1] < 1)).any())
    assert bool(((points.x[:, 0] == 0) & (points.x[:, 1] > 1)).any())
    circle = PARTS.boundary.sample("gauss", 400)
    assert bool((circle.x.abs().amax(dim=1) == 1.0).all())


@pytest.mark.parametrize(("one", "other", "sign"), [("inner", "outer", 1.0), ("outer", "inner", -1.0)])
def test_normals_of_an_interface_point_from_the_first_to_the_second_part(one, other, sign):
    for region in (None, OUTER.hole, DISK.boundary):
        interface = PARTS.interface(one, other, region)
        points = interface.sample("gauss", 60)
        torch.testing.assert_close(points.normal, sign * points.x / 0.5)
        assert interface.sides == (("inner", "outer").index(one), ("inner", "outer").index(other))
        assert float(points.weight.sum()) == pytest.approx(1.0) and 40 <= len(points.x) <= 90


def test_a_part_of_a_side_is_an_interface():
    points = SQUARES.interface("right", "left").sample("gauss", 50)
    assert bool((points.x[:, 0] == 0).all()) and float(points.x[:, 1].min()) > 0 and float(points.x[:, 1].max()) < 1
    assert float(points.weight @ points.x[:, 1]) == pytest.approx(0.5, abs=0.02) and 20 <= len(points.x) <= 80


def test_a_region_on_an_interface_is_of_the_part_that_is_named():
    region = PARTS.on("outer", DISK.boundary)
    points = region.sample("gauss", 20)
    assert region.sides == (1,)
    torch.testing.assert_close(points.normal, -points.x / 0.5)


def test_the_mesh_has_points_of_both_parts_on_the_interface():
    mesh = PARTS.mesh(20)
    part = mesh.point_data["part"]
    on = np.isclose(np.hypot(*mesh.points[:, :2].T), 0.5)
    assert mesh.cells[0].type == "triangle" and (part[on] == 0).sum() > 20 and (part[on] == 1).sum() > 20
    mixed = Parts(side=Box(x=(1.0, 2.0), y=(-1.0, 1.0)), holed=OUTER)
    corners = mixed.mesh(12).points[mixed.mesh(12).cells[0].data]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    assert corners.shape[1] == 3 and (area > 0).all() and area.sum() == pytest.approx(mixed.measure, rel=0.03)


# conditions ----------------------------------------------------------------------------------------------------------
def quadratic(domain=PARTS):
    return domain.piecewise(inner=lambda x, y: x**2 + 2 * y, outer=lambda x, y: 3 * x + y**2)


def rows(condition, exact, x):
    """A condition's residuals for a given solution at points of a circle of radius 1/2 around 0."""
    problem = Problem(PARTS, {"c": condition}, exact=exact)
    points = Points(x, torch.full((len(x),), 1 / len(x)).double(), 2 * x)
    return residuals_of(problem, "c", lambda context, space: exact_fields(problem, context), points)


X = 0.5 * torch.tensor([[1.0, 0.0], [0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64)


def test_jumps_equal_those_computed_by_hand():
    interface = PARTS.interface("inner", "outer")
    (found,) = rows(jump(interface, lambda x, y: x), quadratic(), X)
    # at (0.5, 0): 1.5 - 0.25 - 0.5; at (0.3, 0.4): 0.9 + 0.16 - 0.09 - 0.8 - 0.3; at (-0.4, 0.3): ...
    torch.testing.assert_close(found, torch.tensor([0.75, -0.13, -1.2 + 0.09 - 0.16 - 0.6 + 0.4]).double())
    (back,) = rows(jump(PARTS.interface("outer", "inner")), quadratic(), X)
    torch.testing.assert_close(back, torch.tensor([-1.25, -0.17, 1.2 - 0.09 + 0.16 + 0.6]).double())


def test_jumps_of_the_flux_equal_those_computed_by_hand():
    """k₂ (3, 2y) · n - k₁ (2x, 2) · n with k₁ = 2, k₂ = 5 + x, by numbers and by a piecewise function."""
    interface = PARTS.interface("inner", "outer")
    wanted = torch.tensor([5.5 * 3 - 2, 5.3 * 2.44 - 2 * 1.96, 4.6 * (-2.4 + 0.36) - 2 * (0.64 + 1.2)]).double() - 7
    k = PARTS.piecewise(inner=2.0, outer=lambda x, y: 5 + x)
    for coefficients in ((2.0, lambda x, y: 5 + x), k):
        (found,) = rows(flux_jump(interface, coefficients, 7.0), quadratic(), X)
        torch.testing.assert_close(found, wanted)
    (back,) = rows(flux_jump(PARTS.interface("outer", "inner"), k, -7.0), quadratic(), -X)
    again = rows(flux_jump(interface, k, 7.0), quadratic(), -X)[0]
    assert not torch.allclose(back, again)  # the normals given are those of the first


@pytest.mark.parametrize("problem", [two_materials(), two_materials((1e-3, 1.0)), bar(), bar(t=(0.0, 1.0))])
def test_exact_solutions_fulfil_their_conditions(problem):
    for name, condition in problem.conditions.items():
        points = condition.region.sample("uniform", 200)
        largest = 1000.0 if name in ("flux", "pde inner") else 1.0
        for residual in residuals_of(problem, name, lambda context, space: exact_fields(problem, context), points):
            assert float(residual.abs().max()) <= 1e-10 * largest


@pytest.mark.parametrize("wrong", ["sign", "order", "coefficient"])
def test_a_wrong_flux_is_noticed_by_the_exact_solution(wrong):
    right = two_materials((3.0, 1.0))
    domain, interface = right.domain, right.conditions["flux"].region

    def residual(one, two):
        k = (-3.0, 1.0) if wrong == "sign" else (1.0, 3.0)
        return k[1] * gradient(two).dot(two.normal) - k[0] * gradient(one).dot(one.normal)

    flux = Condition(interface, residual)
    if wrong == "order":
        flux = flux_jump(domain.interface("outer", "inner"), (3.0, 1.0))
    wrongly = replace(two_materials((3.0, 1.0), is_harmonic=True), conditions={"flux": flux})
    points = interface.sample("gauss", 50)
    (found,) = residuals_of(wrongly, "flux", lambda context, space: exact_fields(wrongly, context), points)
    assert float(found.abs().max()) > 0.1


def test_conditions_take_the_part_of_their_region():
    problem = two_materials()
    sides = {name: condition.region.sides for name, condition in problem.conditions.items()}
    assert sides == {"pde inner": (0,), "pde outer": (1,), "jump": (0, 1), "flux": (0, 1), "wall": (1,)}
    assert [c.region.sides for c in bar().conditions.values()] == [(0,), (1,), (0, 1), (0, 1), ()]
    assert list(bar().conditions)[:2] == ["pde left", "pde right"]


def test_a_piecewise_function_is_one_sided_on_an_interface():
    f, x = PARTS.piecewise(inner=1.0, outer=lambda x, y: x), torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    from kanpde.calculus.field import coordinate

    for side, value, slope in ((0, 1.0, 0.0), (1, 0.5, 1.0)):
        context = Context(("x", "y"), (0, 1), x, side=side)
        field = coordinate(context, 0) * 0.0 + f(coordinate(context, 0), coordinate(context, 1))
        assert float(field.value) == value and float(field.component((0,))) == slope
    y = torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(f(torch.tensor([0.2, 0.7, -0.8]).double(), y), torch.tensor([1.0, 0.7, -0.8]).double())


# networks ------------------------------------------------------------------------------------------------------------
def networks(problem, factory, seed=4):
    generator = torch.Generator().manual_seed(seed)
    made = [factory(part.ranges, len(problem.unknowns), generator=generator) for part in problem.domain.each]
    return PartNetworks(made).bound_to(problem.domain)


def inverse():
    """Unknown k in the disk, two unknowns, and a condition on all parts."""
    interface = PARTS.interface("outer", "inner")
    conditions = {
        "pde": Condition(PARTS.interior, lambda u, v, p: (p["k"] * laplacian(u) + v, laplacian(v) * u)),
        "jump": jump(interface, 1.0, unknown="v"),
        "flux": Condition(interface, lambda u, v, u2, v2, p: gradient(u2).dot(u2.normal) * p["k"] - u * v2),
        "wall": neumann(PARTS.boundary, unknown="v"),
        "inside": dirichlet(PARTS.on("inner", DISK.boundary), 2.0),
    }
    return Problem(PARTS, conditions, unknowns=("u", "v"), parameters={"k": 0.7})


def objective(problem, factory, derivatives="jets"):
    points = {name: c.region.sample("gauss", 12) for name, c in problem.conditions.items()}
    start = list(problem.parameters.values())
    coefficients = nn.Parameter(torch.tensor(start, dtype=torch.float64)) if start else None
    weights = {name: 1.0 + i for i, name in enumerate(problem.trained)}
    return Objective(problem, networks(problem, factory), points, weights, coefficients, derivatives)


def brute_force(o):
    r = torch.cat([o.residuals(site) for site in o.sites])
    found = []
    for value in r:
        parts = torch.autograd.grad(value, o.parameters, retain_graph=True, allow_unused=True)
        filled = [torch.zeros_like(p) if g is None else g for p, g in zip(o.parameters, parts, strict=True)]
        found.append(torch.cat([g.reshape(-1) for g in filled]))
    return r.detach(), torch.stack(found)


@pytest.mark.long
@pytest.mark.parametrize("make", [lambda: two_materials((3.0, 1.0)), inverse, bar], ids=["disk", "inverse", "bar"])
@pytest.mark.parametrize("factory", [KAN([2], degree=4, grid=2), MLP([3, 2])], ids=["kan", "mlp"])
@pytest.mark.usefixtures("checked")
def test_the_jacobian_equals_brute_force_and_has_a_block_for_each_network(make, factory):
    o = objective(make(), factory)
    r, jacobian = o.linearize()
    wanted_r, wanted = brute_force(objective(make(), factory, "autograd"))
    assert float((r - wanted_r).abs().max() / wanted_r.abs().max()) <= 1e-10
    assert float((jacobian - wanted).abs().max() / wanted.abs().max()) <= 1e-10
    torch.testing.assert_close(gram(jacobian, o.parts_of_jacobian()), jacobian.T @ jacobian, rtol=1e-10, atol=1e-12)
    first = sum(layer.weight.numel() for layer in o.model.networks[0].layers)
    row = 0
    for site in o.sites:
        block, row = jacobian[row : row + site.rows], row + site.rows
        sides = {context.side for context in site.contexts}
        own = [block[:, :first], block[:, first : first + o.size[1] - len(o.problem.parameters) - first]]
        assert [bool(part.any()) for part in own] == [0 in sides, 1 in sides] or site.name in ("jump", "flux")


def test_only_interfaces_evaluate_both_networks(monkeypatch):
    o, seen = objective(two_materials(), KAN([2], degree=4, grid=2)), []
    for side, network in enumerate(o.model.networks):
        monkeypatch.setattr(
            network, "jet", lambda *a, side=side, jet=network.jet, **k: (seen.append(side), jet(*a, **k))[1]
        )
    found = {}
    for site in o.sites:
        seen.clear()
        o.residuals(site)
        found[site.name] = sorted(seen)
    assert found == {"pde inner": [0], "pde outer": [1], "jump": [0, 1], "flux": [0, 1], "wall": [1]}


def test_each_point_has_the_network_of_its_part():
    problem = two_materials()
    model = networks(problem, KAN([2], degree=4, grid=2))
    x = torch.tensor([[0.1, 0.2], [0.8, -0.7], [0.0, 0.0], [-0.9, 0.1]], dtype=torch.float64)
    values = model(x)[:, 0]
    for k, side in enumerate((0, 1, 0, 1)):
        assert float(values[k]) == float(model.networks[side](x[k : k + 1]))
    assert float((model.networks[0](x) - model.networks[1](x)).abs().min()) > 1e-3
    assert model.networks[0].inputs.lower.tolist() == [-0.5, -0.5]  # an affine map of its own
    other = networks(problem, KAN([2], degree=4, grid=2), seed=5)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


def test_grids_and_hidden_knots_are_those_of_each_network():
    problem = two_materials()
    model = networks(problem, KAN([2], degree=4, grid=2))
    x = problem.domain.test_points("cpu", torch.float64)
    where = problem.domain.part_of(x)
    hidden = [network.layers[0](network.inputs(x[where == k])) for k, network in enumerate(model.networks)]
    before = model(x)
    model.update_grid(x, 4)
    assert model.grid == 4 and float((model(x) - before).abs().max()) < 1e-2 * float(before.abs().max())
    for network, values in zip(model.networks, hidden, strict=True):
        ends = network.layers[1].breakpoints[:, [0, -1]]
        assert bool((ends[:, 0] <= values.amin(dim=0)).all() and (ends[:, 1] >= values.amax(dim=0)).all())
        assert bool((ends[:, 1] - ends[:, 0] < 1.5 * (values.amax(dim=0) - values.amin(dim=0))).all())
    assert not torch.allclose(model.networks[0].layers[1].breakpoints, model.networks[1].layers[1].breakpoints)


@pytest.mark.parametrize(("k", "amplitude"), [((1000.0, 1.0), 5e-4), ((0.5, 100.0), 1.0)])
def test_automatic_weights_of_an_interface(k, amplitude):
    """The squared gain of a wave in one part is that of an equation, 1 of a jump and (κ k / half)² of a flux.

    In the disk, whose constant only the flux determines, the wave's amplitude is the ratio of the gains of the flux.
    """
    problem = two_materials(k)
    points = {name: c.region.sample("gauss", 900) for name, c in problem.conditions.items()}
    found = automatic_weights(networks(problem, KAN([2], degree=4, grid=2)), sites_of(problem, points))
    inner, outer = (amplitude * 2 * 16 * k[0] / 0.25) ** 2, (2 * 16 * k[1]) ** 2
    flux = (amplitude * 4 * k[0] / 0.5) ** 2 + (4 * k[1]) ** 2  # the mean over a circle of (cos + sin)² is 1
    gains = {"pde inner": inner, "pde outer": outer, "jump": 1 + amplitude**2, "flux": flux, "wall": 1.0}
    assert found == pytest.approx({name: max(gains.values()) / gain for name, gain in gains.items()}, rel=0.02)


def test_amplitudes_pass_from_neighbour_to_neighbour():
    """Three materials, 1e4 in 1e2 in 1: a value is given on the last one only, then on the first one too."""
    waves = {
        "0|1": {0: 1e8, 1: 1e4},
        "1|2": {1: 1e4, 2: 1.0},
        "jump": {0: 1.0, 1: 1.0},
        "pde": {0: 1e10, 1: 1e6, 2: 1e2},
        "wall": {2: 2.0},
    }
    constants = {"0|1": {0: 0.0, 1: 0.0}, "1|2": {1: 0.0, 2: 0.0}, "jump": {0: 1.0, 1: 1.0}, "wall": {2: 2.0}}
    constants["pde"] = dict.fromkeys(range(3), 0.0)
    interfaces = {"0|1", "1|2", "jump"}
    assert amplitudes(waves, constants, interfaces) == pytest.approx({0: 1e-4, 1: 1e-2, 2: 1.0})
    reaction = constants | {"pde": {0: 0.0, 1: 2.5e5, 2: 0.0}}
    assert amplitudes(waves, reaction, interfaces) == pytest.approx({0: 5e-3, 1: 0.5, 2: 1.0})
    given = constants | {"wall": {2: 2.0, 0: 1.0}}, waves | {"wall": {2: 2.0, 0: 1.0}}
    assert amplitudes(given[1], given[0], interfaces) == pytest.approx({0: 1.0, 1: 1.0, 2: 1.0})
    nowhere = constants | {"wall": {2: 0.0}}
    assert amplitudes(waves, nowhere, interfaces) == {0: 1.0, 1: 1.0, 2: 1.0}


# training ------------------------------------------------------------------------------------------------------------
@pytest.mark.long
@pytest.mark.parametrize("k", [(1.0, 1000.0), (1000.0, 1.0)])
def test_a_bar_of_two_materials_is_solved(k):
    """Its one equation has a weight for each part; with one weight for both the error stays above 0.2."""
    phases, sampling = [Phase(LM(), steps=25), Phase(LM(), steps=5, refine=2, move_knots=True)], Sampling(interior=60)
    found = solve(bar(k), KAN([2], degree=4, grid=2), phases, sampling=sampling)
    assert found.errors["u"]["l2"] < 1e-4 and found.errors["u"]["h1"] < 1e-3
    assert [level["grid"] for level in found.levels] == [2, 4]


# what is refused -----------------------------------------------------------------------------------------------------
SMALLER, LARGER, FAR = OwnDisk(radius=0.4), OwnDisk(radius=0.501), OwnDisk(radius=0.2, centre=(5.0, 5.0))
INTERFACE = PARTS.interface("inner", "outer")


def two(**conditions):
    return Problem(PARTS, {"pde": Condition(PARTS.interior, laplacian), **conditions})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Parts(inner=DISK), "at least two parts"),
        (lambda: Parts(inner=LARGER, outer=OUTER), r"inner and outer overlap, as at x = .*outer - inner"),
        (lambda: Parts(inner=DISK, outer=Box(x=(-1.0, 1.0), y=(-1.0, 1.0))), "inner and outer overlap"),
        (lambda: Parts(inner=OwnDisk(radius=0.49995), outer=OUTER), "gap between the parts inner and outer"),
        (lambda: Parts(inner=SMALLER, outer=OUTER), "inner meets none of outer.*gap"),
        (lambda: Parts(inner=DISK, outer=OUTER, far=FAR), "far meets none of inner, outer"),
        (lambda: Parts(a=DISK, b=Box(x=(0.0, 1.0))), "same coordinates"),
        (lambda: Parts(interior=DISK, b=OUTER), 'cannot be called "interior"'),
        (lambda: Parts(a=DISK, b=Box(x=(0.0, 1.0), y=(0.0, 1.0), periodic=["x"])), "cannot be periodic"),
        (lambda: PARTS.interface("iner", "outer"), 'no part "iner". Did you mean "inner"'),
        (lambda: PARTS.interface("inner", "inner"), "two parts"),
        (lambda: PARTS.interface("inner", "outer", SMALLER.boundary), '"boundary" does not lie in the part outer: x ='),
        (lambda: PARTS.on("outr", DISK.boundary), 'Did you mean "outer"'),
        (lambda: PARTS.on("outer", SMALLER.boundary), "does not lie in the part outer"),
        (lambda: PARTS.piecewise(inner=1.0), '"outer" has no formula'),
        (lambda: PARTS.piecewise(inner=1.0, otter=1.0), 'Did you mean "outer"'),
        (lambda: PARTS.at(y=0.0), "only t can be held fixed"),
        (lambda: jump(PARTS.boundary), 'jump needs an interface.*"boundary"'),
        (lambda: flux_jump(INTERFACE, (1.0, 0.0)), "must be positive, got 0"),
        (lambda: flux_jump(INTERFACE, (1.0, lambda x, y: x)), r"must be positive, got -0\.4"),
        (lambda: flux_jump(INTERFACE, [1.0, 2.0, 3.0]), "two coefficients"),
        (lambda: flux_jump(INTERFACE, (1.0, "2")), "prescribed value is a finite number"),
        (lambda: jump(INTERFACE, None), "prescribed value is a finite number.*Got None"),
        (lambda: two(rim=dirichlet(DISK.boundary)), '"rim" has points where inner and outer meet.*on\\("inner"'),
        (lambda: two(**{"pde inner": dirichlet(PARTS.boundary)}), 'becomes "pde inner" in one of them'),
        (lambda: two(far=dirichlet(FAR.boundary)), '"far" has points in none of the parts'),
        (lambda: solve(Problem(PARTS, {"p": Condition(DISK.interior, laplacian)})), '"outer" has no equation'),
        (lambda: solve(two_materials(), tolerance=1e-3), "tolerance.*each of inner, outer.*tolerance=None"),
        (lambda: solve(two_materials(), phases=[Phase(VariableProjection())]), "one network"),
        (
            lambda: solve(two_materials(), KAN()(((-1.0, 1.0),) * 2), starts=1),
            "needs a network for each.*got a Network",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_parts_that_nothing_couples_are_named():
    lines = []
    conditions = {"pde": Condition(PARTS.interior, laplacian), "wall": dirichlet(PARTS.boundary)}
    solve(Problem(PARTS, conditions), KAN([1], degree=4, grid=1), [Phase(LM(), steps=1)], starts=1, log=lines.append)
    assert any("no condition couples inner and outer" in line for line in lines)
