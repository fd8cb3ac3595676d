"""Eigenvalues and eigenfunctions against exact ones; what is no eigenvalue problem is refused."""

import warnings
from dataclasses import replace
from math import pi

import numpy as np
import pytest
import torch
from conftest import load_problem
from scipy.special import jn_zeros, jv

from kanpde import (
    KAN,
    MLP,
    Box,
    Condition,
    Disk,
    InputError,
    Problem,
    diff,
    dirichlet,
    eigen,
    gradient,
    integral,
    laplacian,
    load,
    neumann,
    save,
    solve,
)
from kanpde.calculus.coefficients import Coefficient
from kanpde.errors import ResultWarning
from kanpde.training.subspace import Shifted
from kanpde.training.widening import end_of, pencil_of

LINE = Box(x=(0.0, 1.0))
QUICK = MLP([20, 20])
SMALL = KAN([6], basis="chebyshev", grid=5, degree=7)


def on_line(residual, ends=None, parameters=("lam",), **others):
    ends = dirichlet(LINE.boundary) if ends is None else ends
    conditions = {"pde": Condition(LINE.interior, residual), "ends": ends, **others}
    return Problem(LINE, conditions, parameters=dict.fromkeys(parameters, 0.0))


def string(u, p):
    return diff(u, "x", "x") + p["lam"] * u


# the subspace --------------------------------------------------------------------------------------------------------
def dependent(values, rows=60, seed=0):
    """A pencil with these eigenvalues whose columns are nearly dependent: A = -V D V⁻¹ E and B = E on some columns."""
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.standard_normal((rows, rows)))[0][:, : len(values)]
    mixed = rng.standard_normal((len(values), 2 * len(values)))  # twice as many columns as functions
    return -(vectors * values) @ mixed, vectors @ mixed


def test_nearest_eigenvalues_of_dependent_columns_with_their_multiplicity():
    values = np.array([1.0, 2.5, 2.5, 7.0, 11.0, -3.0, 40.0, 90.0, 200.0, 500.0])
    a, b = dependent(values)
    found = Shifted(a, b, -0.2).nearest(4, 0.0, extra=3)
    np.testing.assert_allclose(found.values, [-3.0, 1.0, 2.5, 2.5], rtol=1e-10)
    np.testing.assert_allclose(a @ found.coefficients, -(b @ found.coefficients) * found.values, atol=1e-9)
    np.testing.assert_allclose(Shifted(a, b, 9.7).nearest(2, 10.0, extra=3).values, [7.0, 11.0], rtol=1e-10)
    assert found.residuals.max() < 1e-8
    assert not found.is_complex


def test_complex_eigenvalues_are_noticed_and_those_of_other_operators_are_not_made_symmetric():
    rng = np.random.default_rng(1)
    for block, is_complex in (([[1.0, 4.0], [0.0, 3.0]], False), ([[1.0, 2.0], [-2.0, 1.0]], True)):
        matrix = np.diag(np.arange(1.0, 9.0) * 20)
        matrix[:2, :2] = block
        b = np.linalg.qr(rng.standard_normal((30, 8)))[0]
        found = Shifted(-b @ matrix, b, -0.5).nearest(2, 0.0, extra=3)
        np.testing.assert_allclose(found.values, [1.0, 1.0] if is_complex else [1.0, 3.0], rtol=1e-9)
        assert found.is_complex == is_complex


def test_values_without_an_eigenfunction_are_no_end_of_the_spectrum():
    """Columns of A and B that are not related have values of the pencil, with residuals as large as these."""
    rng, values = np.random.default_rng(3), np.array([-7.0, 1.0, 4.0, 9.0])
    a, b = dependent(values)
    extra_a, extra_b = rng.standard_normal((2, 60, 6))
    shifted = Shifted(np.hstack([a, 40 * extra_a]), np.hstack([b, extra_b]), -0.3)
    found, residuals = shifted.spectrum()
    assert found.real.min() < -10 or np.abs(found.imag).max() > 10, "there are such values"
    assert np.sort(found.real[residuals < 1e-8]) == pytest.approx(values)
    assert end_of(shifted, 1) == pytest.approx(-7.0)
    assert end_of(Shifted(-a, b, 0.3), -1) == pytest.approx(7.0)
    assert end_of(Shifted(*dependent(values[1:]), -0.3), 1) == 0.0


# problems ------------------------------------------------------------------------------------------------------------
def test_the_drum_has_the_zeros_of_bessel_functions_and_a_double_eigenvalue():
    problem = load_problem("drum")()  # whose normalization is left out
    found = eigen(problem, count=3)
    exact = np.array([jn_zeros(0, 1)[0], jn_zeros(1, 1)[0], jn_zeros(1, 1)[0]]) ** 2
    gaps = np.abs(np.array(found.values) - exact)
    assert found.reached
    assert (gaps / exact).max() < 1e-9
    assert all(gap <= bound for gap, bound in zip(gaps, found.bounds, strict=True))
    assert found.groups == ((0,), (1, 2)) and found.complete == 3
    points = problem.domain.interior.sample("gauss", 2000)
    x, y = points.x.unbind(1)
    r, angle, zero = torch.hypot(x, y).numpy(), torch.atan2(y, x), jn_zeros(1, 1)[0]
    weight = pi * points.weight
    u = torch.stack([torch.as_tensor(s(x, y)) for s in found.solutions], dim=1)
    gram = u.T @ (weight[:, None] * u)
    torch.testing.assert_close(gram, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-6)
    pair = torch.stack([torch.as_tensor(jv(1, zero * r)) * f(angle) for f in (torch.cos, torch.sin)], dim=1)
    pair = pair / (pair.square() * weight[:, None]).sum(dim=0).sqrt()
    one, two = (torch.linalg.qr(weight.sqrt()[:, None] * basis)[0] for basis in (u[:, 1:], pair))
    assert (
        float(torch.linalg.matrix_norm(two - one @ (one.T @ two), 2)) < 1e-6
    )  # |P - P'| for spaces of equal dimension
    assert [s.coefficients["lam"] for s in found.solutions] == list(found.values)
    assert float(u[:, 0].min()) > -1e-8
    assert "one of 2" in str(found)
    assert found.solutions[1].problem.exact is None  # that of the problem is another eigenfunction


@pytest.mark.long
def test_strings_with_free_ends_have_the_eigenvalue_zero(tmp_path):
    problem = on_line(string, neumann(LINE.boundary))
    found = eigen(problem, SMALL, 3)
    np.testing.assert_allclose(found.values, [0.0, pi**2, 4 * pi**2], atol=1e-7)
    constant = found.solutions[0](np.linspace(0, 1, 5))
    np.testing.assert_allclose(constant, 1.0, atol=1e-6)
    save(found.solutions[2], tmp_path)
    stored = load(tmp_path, problem=problem)
    assert stored.coefficients["lam"] == found.values[2]
    assert stored(0.3) == pytest.approx(float(found.solutions[2](0.3)), rel=1e-12)


@pytest.mark.long
def test_an_integral_condition_takes_an_eigenfunction_out():
    free = neumann(LINE.boundary)
    found = eigen(on_line(string, free, mean=integral(LINE.interior, "u")), SMALL, 2)
    np.testing.assert_allclose(found.values, [pi**2, 4 * pi**2], atol=1e-7)


@pytest.mark.long
def test_eigenvalues_near_a_number_and_of_an_operator_that_is_not_self_adjoint():
    np.testing.assert_allclose(eigen(on_line(string), SMALL, 2, near=100.0).values, [9 * pi**2, 16 * pi**2], rtol=1e-8)
    found = eigen(on_line(lambda u, p: 6 * diff(u, "x") - diff(u, "x", "x") - p["lam"] * u), SMALL, 2)
    np.testing.assert_allclose(found.values, [pi**2 + 9, 4 * pi**2 + 9], rtol=1e-8)


def of_sign(sign, *, potential=0.0):
    """sign (u'' + potential u) = -λ u"""
    return on_line(lambda u, p: sign * (diff(u, "x", "x") + potential * u) + p["lam"] * u)


@pytest.mark.long
def test_negative_values_are_the_smallest_and_an_operator_without_a_smallest_value_has_a_largest():
    exact = np.arange(1, 6) ** 2 * pi**2 - 200
    options = {"count": 2, "model": QUICK, "tolerance": 1e-3}
    np.testing.assert_allclose(eigen(of_sign(1, potential=200.0), **options).values, exact[:2], rtol=1e-6)
    np.testing.assert_allclose(eigen(of_sign(-1, potential=200.0), **options).values, -exact[1::-1], rtol=1e-6)
    near_0 = sorted(sorted(exact, key=abs)[:2])
    np.testing.assert_allclose(eigen(of_sign(1, potential=200.0), near=0.0, **options).values, near_0, rtol=1e-3)


def test_the_end_of_the_spectrum_does_not_depend_on_the_shift(monkeypatch):
    """A value of no eigenfunction, -171, is taken at first if larger residuals count, and not found at its shift."""
    monkeypatch.setattr("kanpde.training.widening.RESOLVED", 0.6)
    monkeypatch.setattr("kanpde.training.widening.MOST_FUNCTIONS", 100)
    disk = Disk()
    pde = Condition(disk.interior, lambda u, p: laplacian(u) + 30 * u + p["lam"] * u)
    problem = Problem(disk, {"pde": pde, "b": dirichlet(disk.boundary)}, parameters={"lam": 0.0})
    with pytest.warns(ResultWarning):  # of one network there is no estimate
        found = eigen(problem, MLP([20, 70]), 1, seed=1)
    assert found.values[0] == pytest.approx(jn_zeros(0, 1)[0] ** 2 - 30, rel=1e-7)


@pytest.mark.parametrize(
    ("residual", "unknowns", "side"),
    [
        (string, "u", 1),
        (lambda u, p: diff(u, "x", "x") + 1e4 * u - p["lam"] * u, "u", -1),
        (lambda u, p: diff(u, "x", "x", "x", "x") + p["lam"] * diff(u, "x", "x"), "u", 1),
        (lambda u, v, p: (diff(u, "x") - v, diff(v, "x") + p["lam"] * u), "uv", 0),
    ],
)
def test_short_waves_tell_at_which_side_the_spectrum_ends(residual, unknowns, side):
    ends = dirichlet(LINE.boundary, unknown="u")
    problem = Problem(
        LINE, {"pde": Condition(LINE.interior, residual), "ends": ends}, tuple(unknowns), parameters={"lam": 0.0}
    )
    assert pencil_of(problem, MLP([4, 8]), 0).side == side


@pytest.mark.long
def test_a_multiple_eigenvalue_that_the_count_cuts_is_told():
    ring = Box(x=(0.0, 1.0), periodic=["x"])
    for sign, values in ((1.0, [0.0, 4 * pi**2]), (-1.0, [-4 * pi**2, 0.0])):
        problem = Problem(
            ring,
            {"pde": Condition(ring.interior, lambda u, p, s=sign: diff(u, "x", "x") + s * p["lam"] * u)},
            parameters={"lam": 0.0},
        )
        with pytest.warns(ResultWarning, match=r"a part of its eigenspace only. Write count=3"):
            found = eigen(problem, QUICK, 2, tolerance=1e-3)
        np.testing.assert_allclose(found.values, values, atol=1e-6)
        assert found.complete == 3 and "a part of its eigenspace" in str(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = eigen(problem, QUICK, 3, tolerance=1e-3)
    assert found.complete == 3 and "eigenspace" not in str(found)


def test_the_first_value_is_the_number_to_which_the_eigenvalues_are_nearest():
    problem = replace(on_line(string), parameters={"lam": 100.0})
    found = eigen(problem, QUICK, 1, tolerance=1e-3)
    np.testing.assert_allclose(found.values, 9 * pi**2, rtol=1e-6)
    assert found.values == eigen(on_line(string), QUICK, 1, near=100.0, tolerance=1e-3).values
    bounded = replace(problem, parameters={"lam": Coefficient(100.0, lower=50.0)})
    with pytest.raises(InputError, match=r'"lam" has the bounds 50 and inf. .* Write near=100'):
        eigen(bounded, count=1)


def test_complex_eigenvalues_are_refused():
    """u'' + 3 u' = -λ u on a circle: λ = k² - 3 i k."""
    ring = Box(x=(0.0, 2 * pi), periodic=["x"])
    residual = Condition(ring.interior, lambda u, p: diff(u, "x", "x") + 3 * diff(u, "x") + p["lam"] * u)
    problem = Problem(ring, {"pde": residual}, parameters={"lam": 0.0})
    with pytest.raises(InputError, match="are complex, such as"):
        eigen(problem, QUICK, 3)


def test_wider_networks_follow_until_the_tolerance_is_met(monkeypatch):
    rough, fine = (eigen(on_line(string), QUICK, 3, tolerance=t) for t in (1e-1, 1e-8))
    sizes = [found.solutions[0].levels[0]["parameters"] for found in (rough, fine)]
    assert sizes[0] < sizes[1]
    for found, tolerance in ((rough, 1e-1), (fine, 1e-8)):
        assert found.reached and max(found.estimates) <= tolerance * max(found.values)
    monkeypatch.setattr("kanpde.training.widening.MOST_FUNCTIONS", 30)
    with pytest.warns(ResultWarning, match="not below the tolerance"):
        assert not eigen(on_line(string), MLP([8, 10]), 1, tolerance=1e-14).reached


def test_bounds_are_taken_at_other_points_than_the_matrices():
    pencil = pencil_of(on_line(string), MLP([4, 8]), 0)
    one, value = pencil.with_weights(torch.linspace(-1.0, 1.0, pencil.functions, dtype=torch.float64)), 3.0

    def ratio(points):
        x = points["pde"].x.clone().requires_grad_()
        u = one.network(x)[:, 0]
        slope = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        bend = torch.autograd.grad(slope.sum(), x)[0][:, 0]
        weight = points["pde"].weight.sqrt()
        return float(((weight * (bend + value * u)).norm() / (weight * u).norm()).detach())

    assert one.bound(value) == pytest.approx(ratio(pencil.fresh), rel=1e-9)
    assert one.bound(value) != pytest.approx(ratio(pencil.points), rel=1e-3)


def test_the_eigenvalue_may_be_in_a_boundary_condition():
    disk = Disk()
    wall = Condition(disk.boundary, lambda u, p: gradient(u).dot(u.normal) - p["lam"] * u)
    problem = Problem(
        disk, {"pde": Condition(disk.interior, lambda u, p: laplacian(u)), "b": wall}, parameters={"lam": 0.0}
    )
    np.testing.assert_allclose(eigen(problem, count=3, tolerance=1e-6).values, [0.0, 1.0, 1.0], atol=1e-6)


def test_smaller_values_are_told_if_it_is_not_clear_that_there_is_a_smallest():
    """u'' = 0 and ∂u/∂n = (λ + 2) u at the ends of (0, 1): λ = -2 and 0."""
    ends = Condition(LINE.boundary, lambda u, p: gradient(u).dot(u.normal) - (p["lam"] + 2) * u)
    problem = on_line(lambda u, p: diff(u, "x", "x"), ends)
    with pytest.warns(ResultWarning, match=r"nearest to 0, and others smaller. Write near=-2") as caught:
        found = eigen(problem, QUICK, 1, tolerance=1e-6)
    assert len(caught) == 1 and found.reached, "that all values are 0 is no reason for doubt"
    np.testing.assert_allclose(found.values, [0.0], atol=1e-9)
    assert eigen(problem, QUICK, 2, tolerance=1e-6).left_out is None
    with pytest.raises(InputError, match=r"there are no 3 eigenvalues. Write count=2"):
        eigen(problem, QUICK, 3)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (on_line(lambda u, p: diff(u, "x", "x") + p["lam"] * u * u), 'those of "pde" are not'),
        (on_line(lambda u, p: diff(u, "x", "x") + p["lam"] ** 2 * u), 'those of "pde" are not'),
        (on_line(string, dirichlet(LINE.boundary, 1.0)), 'those of "ends" are not'),
        (on_line(lambda u, p: diff(u, "x", "x")), "in none of the residuals"),
        (on_line(string, parameters=("lam", "k")), "one parameter"),
    ],
)
def test_what_is_no_eigenvalue_problem_is_refused(problem, message):
    with pytest.raises(InputError, match=message):
        eigen(problem, count=2)


def test_bad_arguments_are_refused():
    for options, message in (
        ({"count": 0}, "count must be"),
        ({"tolerance": 0.0}, "tolerance must be"),
        ({"near": float("nan")}, "near must be a finite number"),
        ({"model": torch.nn.Linear(1, 1)}, "factory of networks"),
    ):
        with pytest.raises(InputError, match=message):
            eigen(on_line(string), **options)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [1, 3])
def test_training_finds_the_eigenvalue_as_a_coefficient(mode):
    """The default recipe; the conditions on integrals exclude u = 0 and the other function of the pair."""
    solution = solve(load_problem("drum")(mode))
    assert solution.coefficients["lam"] == pytest.approx(float(jn_zeros(mode // 2, 1)[0]) ** 2, rel=1e-9)
    assert solution.errors["u"]["l2"] < 1e-8


def test_families_are_refused_and_small_networks_widened():
    line = Box(x=(0.0, 1.0))
    conditions = {
        "pde": Condition(line.interior, lambda u, p: diff(u, "x", "x") + p["lam"] * u),
        "ends": dirichlet(line.boundary),
    }
    found = eigen(Problem(line, conditions, parameters={"lam": 0.0}), MLP([20, 8]), 6, tolerance=1e-3)
    assert found.values == pytest.approx([(k * np.pi) ** 2 for k in range(1, 7)], rel=1e-2)
    family = Box(x=(0.0, 1.0), k=(1.0, 2.0), family=["k"])
    with pytest.raises(InputError, match="this is a family"):
        eigen(Problem(family, {"pde": Condition(family.interior, lambda u, p: u)}, parameters={"lam": 0.0}))
