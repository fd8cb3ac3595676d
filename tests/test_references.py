"""Numerical exact solutions: against closed forms, finer computations and each other."""

from functools import cache
from math import pi

import mpmath
import numpy as np
import pytest
import torch
from conftest import load_problem
from scipy.stats import linregress

from kanpde import InputError, etdrk4
from kanpde.calculus.context import Context
from kanpde.calculus.operators import diff
from kanpde.residuals.evaluation import exact_fields

# problem: (arguments, half the resolution, the reference's own, a finer one, stated relative L2 error)
RESOLUTIONS = {
    "allen_cahn": ({}, (1024, 125), (2048, 250), (4096, 500), 2e-8),
    "kdv": ({"case": "cosine"}, (256, 2000), (384, 4000), (512, 8000), 8e-9),
    "kuramoto_sivashinsky": ({}, (64, 1000), (96, 2000), (128, 4000), 2e-9),
}


def points_of(problem, per_axis=41):
    return problem.domain.test_points("cpu", torch.float64, per_axis)


def reference_of(name):
    return load_problem(name).__globals__["reference"]


def exact_at(problem, x):
    (field,) = exact_fields(problem, Context(problem.domain.names, problem.domain.space, x))
    return field


def distance(name, other):
    """Relative L2 distance between the exact solution and the one of another resolution."""
    arguments, _, own, *_ = RESOLUTIONS[name]
    problem, reference = load_problem(name)(**arguments), reference_of(name)
    x = points_of(problem)
    wanted = problem.exact(*x.unbind(1))
    # what exact adds to the series does not depend on the resolution
    gap = reference(*other)(*x.unbind(1)) - reference(*own)(*x.unbind(1))
    return float(gap.norm() / wanted.norm())


# etdrk4 --------------------------------------------------------------------------------------------------------------
def heat(**resolution):
    """u_t = u_xx with u = 1 + cos 3x + sin x."""
    return etdrk4(
        lambda x: 1 + np.cos(3 * x) + np.sin(x),
        lambda k: -(k**2),
        lambda k: 0.0,
        lambda x, t, u: u,
        interval=(-pi, pi),
        end=1.0,
        **resolution,
    )


def test_linear_equations_are_solved_exactly():
    solution = heat(points=16, steps=200)
    x, t = torch.rand(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    t[:2] = torch.tensor([0.0, 1.0])
    wanted = 1 + torch.exp(-9 * t) * torch.cos(3 * x) + torch.exp(-t) * torch.sin(x)
    assert torch.allclose(solution(x, t), wanted, rtol=0, atol=1e-12)


def test_the_solution_is_differentiable():
    """Derivatives by torch are those of the formula; the polynomials in t lose some digits."""
    solution = heat(points=16, steps=200)
    x, t = torch.rand(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_().unbind(0)
    value = solution(x, t)
    slope, rate = torch.autograd.grad(value.sum(), (x, t), create_graph=True)
    bend, mixed = torch.autograd.grad(slope.sum(), (x, t))
    third, first = 3 * torch.exp(-9 * t), torch.exp(-t)
    assert torch.allclose(slope, -third * torch.sin(3 * x) + first * torch.cos(x), rtol=0, atol=1e-11)
    assert torch.allclose(rate, -3 * third * torch.cos(3 * x) - first * torch.sin(x), rtol=0, atol=1e-8)
    assert torch.allclose(bend, -3 * third * torch.cos(3 * x) - first * torch.sin(x), rtol=0, atol=1e-10)
    assert torch.allclose(mixed, 9 * third * torch.sin(3 * x) - first * torch.cos(x), rtol=0, atol=1e-8)


def burgers_by_series(nu, steps, points=128):
    return etdrk4(
        lambda x: -np.sin(pi * x),
        lambda k: -nu * k**2,
        lambda k: -0.5j * k,
        lambda x, t, u: u**2,
        interval=(-1.0, 1.0),
        end=1.0,
        points=points,
        steps=steps,
    )


def test_order_four_and_agreement_with_cole_hopf():
    """Burgers' equation by two methods that have nothing in common."""
    problem = load_problem("burgers")(nu=0.05)
    x = points_of(problem)
    wanted = problem.exact(*x.unbind(1))
    steps = [50, 100, 200, 400]
    errors = [float((burgers_by_series(0.05, n)(*x.unbind(1)) - wanted).norm() / wanted.norm()) for n in steps]
    order = -linregress(np.log(steps), np.log(errors)).slope
    assert order == pytest.approx(4.0, abs=0.3)
    assert errors[-1] < 1e-9


@pytest.mark.parametrize("name", [*RESOLUTIONS, "burgers"])
def test_single_precision_loses_nothing_but_digits(name):
    problem = load_problem(name)(**RESOLUTIONS.get(name, ({},))[0])
    x = points_of(problem, 21).float()
    for names in ((), ("x",)):
        got, wanted = (diff(exact_at(problem, at), *names).value for at in (x, x.double()))
        assert got.dtype == torch.float32
        assert float((got - wanted).norm() / wanted.norm()) < 1e-6


# Burgers -------------------------------------------------------------------------------------------------------------
NU = 0.01 / pi
DIGITS = 60


@cache
def bessel(n):
    """(-1)^n I_n(1 / 2πν), a coefficient of exp(-cos(πx) / 2πν)."""
    with mpmath.workdps(DIGITS):
        return (-1) ** n * mpmath.besseli(n, 1 / (2 * mpmath.pi * mpmath.mpf(NU)))


def fourier_bessel(x, t):
    """Cole-Hopf by the heat kernel's Fourier series, whose cancellation needs many digits (E. R. Benton, 1966)."""
    with mpmath.workdps(DIGITS):
        nu, phase, top, bottom = mpmath.mpf(NU), mpmath.pi * mpmath.mpf(x), mpmath.mpf(0), bessel(0)
        for n in range(1, 120):
            term = 2 * bessel(n) * mpmath.exp(-nu * (n * mpmath.pi) ** 2 * mpmath.mpf(t))
            bottom += term * mpmath.cos(n * phase)
            top += n * term * mpmath.sin(n * phase)
        return float(2 * nu * mpmath.pi * top / bottom)


def test_burgers_against_a_series_of_many_digits():
    places = [(1e-4, 0.5), (0.003, 0.51), (-0.01, 0.6), (0.03, 1.0), (0.5, 0.3), (0.97, 0.9), (0.002, 1.0), (0.4, 1e-3)]
    x, t = torch.tensor(places, dtype=torch.float64).unbind(1)
    wanted = torch.tensor([fourier_bessel(*place) for place in places], dtype=torch.float64)
    assert float((load_problem("burgers")().exact(x, t) - wanted).abs().max()) < 1e-12


def test_burgers_steepest_slope():
    """max |u_x(0, t)| = 152.00516 at t = 1.6037/π (C. Basdevant et al., 1986)."""
    problem = load_problem("burgers")()
    t = torch.linspace(0.50, 0.52, 201, dtype=torch.float64)
    slope = diff(exact_at(problem, torch.stack([0 * t, t], 1)), "x").value
    assert float(slope.abs().max()) == pytest.approx(152.00516, abs=1e-5)
    assert float(t[slope.abs().argmax()]) * pi == pytest.approx(1.6037, abs=4e-4)


def test_burgers_nodes_suffice(monkeypatch):
    """Half the spacing changes nothing."""
    problem = load_problem("burgers")()
    x = points_of(problem, 31)
    before = problem.exact(*x.unbind(1))
    monkeypatch.setitem(load_problem("burgers").__globals__, "SPACING", 0.05)
    assert float((problem.exact(*x.unbind(1)) - before).norm() / before.norm()) < 1e-12


# Fourier references --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", RESOLUTIONS)
def test_half_the_resolution_is_close(name):
    """So close that fourth order (second at Allen-Cahn's corners) leaves the stated error."""
    half, stated = RESOLUTIONS[name][1], RESOLUTIONS[name][4]
    assert stated < distance(name, half) < 32 * stated


@pytest.mark.slow
@pytest.mark.parametrize("name", RESOLUTIONS)
def test_stated_errors(name):
    """The distance to the solution with twice the resolution, whose own error is smaller by four times or more."""
    assert distance(name, RESOLUTIONS[name][3]) <= RESOLUTIONS[name][4]


@pytest.mark.parametrize("name", RESOLUTIONS)
def test_references_are_computed_when_they_are_needed(name):
    fresh = load_problem.__wrapped__(name)
    problem = fresh(**RESOLUTIONS[name][0])
    assert fresh.__globals__["reference"].cache_info().currsize == 0
    assert RESOLUTIONS[name][2] == fresh.__globals__["reference"].__wrapped__.__defaults__
    assert problem.exact is not None


def test_allen_cahn_starts_with_its_kink():
    """The initial values are exact at the ends, where their periodic continuation has a kink, and u_x is 0 there."""
    problem = load_problem("allen_cahn")()
    x = torch.cat([torch.linspace(-1, 1, 401, dtype=torch.float64), 1 - torch.logspace(-9, -2, 30).double()])
    gap = problem.exact(x, 0 * x) - x**2 * torch.cos(pi * x)
    assert float(gap.abs().max()) < 1e-9
    ends = torch.tensor([[1.0, 1e-6], [-1.0, 1e-3], [1.0, 1.0]], dtype=torch.float64)
    assert float(diff(exact_at(problem, ends), "x").value.abs().max()) < 1e-8


def test_a_resolution_that_cannot_be_used_is_refused():
    with pytest.raises(InputError, match="got 15 and 200"):
        heat(points=15, steps=200)
    with pytest.raises(InputError, match="7 steps, got 16 and 6"):
        heat(points=16, steps=6)
