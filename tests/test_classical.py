"""Classical solvers on the same problem files: what they reach and refuse, at which order; references, estimates."""

import csv
from dataclasses import replace
from math import isnan, pi

import numpy as np
import pytest
import torch
from conftest import load_problem
from torch import cos, exp, sin

from kanpde import (
    KAN,
    LM,
    MLP,
    Ansatz,
    Box,
    Condition,
    InputError,
    Phase,
    Problem,
    Sampling,
    diff,
    dirichlet,
    divergence,
    gradient,
    initial,
    laplacian,
    neumann,
    periodic,
    robin,
    solve,
)
from kanpde.classical import collocation
from kanpde.classical import rows as rows_module
from kanpde.classical.collocation import collocate
from kanpde.classical.elements import finite_elements
from kanpde.classical.estimate import estimate_error
from kanpde.classical.reference import reference, reference_error
from kanpde.classical.rows import COLUMNS, at_equal_error, at_equal_time, classical_rows, read_rows, write_rows

pytestmark = pytest.mark.usefixtures("unchecked")
SQUARE = Box(x=(0.0, 1.0), y=(0.0, 1.0))


def wave_and_growth(x, y):
    return exp(x) * sin(y)


def reaction(strength=1.0):
    """The README's equation, nonlinear unless strength is 0, with a variable coefficient."""

    def residual(u):
        x, y = u.coords
        source = wave_and_growth(x, y) - strength * wave_and_growth(x, y) ** 3
        return divergence((1 + x) * gradient(u)) - strength * u**3 - source

    conditions = {"pde": Condition(SQUARE.interior, residual), "boundary": dirichlet(SQUARE.boundary, wave_and_growth)}
    return Problem(SQUARE, conditions, exact=wave_and_growth)


def mixed_conditions():
    """Transport and reaction, and values, slopes and both on the faces."""

    def residual(u):
        x, y = u.coords
        source = exp(x) * (3 * sin(y) - cos(y))
        return divergence((1 + x) * gradient(u)) - diff(u, "y") + 2 * u - source

    return Problem(
        SQUARE,
        {
            "pde": Condition(SQUARE.interior, residual),
            "left": dirichlet(SQUARE.face("x", 0), wave_and_growth),
            "right": neumann(SQUARE.face("x", 1), wave_and_growth),
            "below": dirichlet(SQUARE.face("y", 0), wave_and_growth),
            "above": robin(SQUARE.face("y", 1), 2.0, 3.0, lambda x, y: exp(x) * (2 * sin(y) + 3 * cos(y))),
        },
        exact=wave_and_growth,
    )


def system():
    """Two unknowns that see each other."""

    def exact(x, y):
        return sin(x + y), exp(x) * cos(y)

    def residual(u, v):
        x, y = u.coords
        return laplacian(u) + v + 2 * sin(x + y) - exp(x) * cos(y), laplacian(v) - u + sin(x + y)

    return Problem(
        SQUARE,
        {
            "pde": Condition(SQUARE.interior, residual),
            "u": dirichlet(SQUARE.boundary, lambda x, y: sin(x + y)),
            "v": dirichlet(SQUARE.boundary, lambda x, y: exp(x) * cos(y), "v"),
        },
        unknowns=("u", "v"),
        exact=exact,
    )


def string():
    """The wave equation, with two conditions at the beginning."""
    domain = Box(x=(0.0, 1.0), t=(0.0, 1.0))

    def exact(x, t):
        return sin(pi * x) * cos(pi * t)

    return Problem(
        domain,
        {
            "pde": Condition(domain.interior, lambda u: diff(u, "t", "t") - diff(u, "x", "x")),
            "place": initial(domain.at(t=0.0), exact),
            "speed": initial(domain.at(t=0.0), 0.0, order=1),
            "ends": dirichlet(domain.boundary, 0.0),
        },
        exact=exact,
    )


def transport(by_basis):
    """Periodic in x, by the domain or by a condition."""
    domain = Box(x=(0.0, 1.0), t=(0.0, 1.0), periodic=["x"] if by_basis else [])

    def exact(x, t):
        return sin(2 * pi * (x - t))

    conditions = {
        "pde": Condition(domain.interior, lambda u: diff(u, "t") + diff(u, "x")),
        "initial": initial(domain.at(t=0.0), exact),
    }
    return Problem(domain, conditions if by_basis else {**conditions, "loop": periodic(domain, "x")}, exact=exact)


def hard():
    """Poisson's equation, whose boundary values an ansatz gives."""
    domain = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))
    return replace(
        load_problem("poisson")(),
        ansatz=Ansatz(lambda c, n: (1 - c[0] ** 2) * (1 - c[1] ** 2) * n, ("boundary",)),
        domain=domain,
    )


def packaged(name, **arguments):
    return load_problem(name)(**arguments)


def worst(solution):
    return max(e["l2"] for e in solution.errors().values())


SOLVED = {
    "poisson": (lambda: packaged("poisson"), 18),
    "poisson in 1-D": (lambda: packaged("poisson", dim=1), 18),
    "poisson in 3-D": (lambda: packaged("poisson", dim=3), 16),
    "poisson, mixed": (lambda: packaged("poisson", solution="mixed"), 26),
    "heat": (lambda: packaged("heat"), 14),
    "heat in 2-D": (lambda: packaged("heat", dim=2), 14),
    "helmholtz": (lambda: packaged("helmholtz"), 34),
    "variable coefficient": (lambda: reaction(0.0), 12),
    "Newton": (reaction, 12),
    "faces": (mixed_conditions, 12),
    "system": (system, 12),
    "wave": (string, 16),
    "periodic basis": (lambda: transport(True), 24),
    "periodic condition": (lambda: transport(False), 18),
    "ansatz": (hard, 18),
}


@pytest.mark.parametrize("name", SOLVED)
def test_collocation_solves_every_kind_of_problem(name):
    make, degree = SOLVED[name]
    solution = collocate(make(), degree)
    assert worst(solution) < 1e-10
    assert solution.unknowns > 0 and solution.seconds > 0


@pytest.mark.parametrize("name", ["poisson", "heat"])
def test_least_squares_and_diagonalisation_agree(name, monkeypatch):
    problem = packaged(name)
    assert "diagonalisation" in collocate(problem, 14).note
    monkeypatch.setattr(collocation, "solve_separable", lambda *_: None)
    solution = collocate(problem, 16)
    assert solution.note == "least squares" and worst(solution) < 1e-9


def test_a_solution_is_called_and_differentiated():
    solution = collocate(packaged("poisson"), 18)
    x, y = np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 5))
    assert np.allclose(solution(x, y), np.sin(pi * x) * np.sin(pi * y), atol=1e-9)
    assert np.allclose(solution.diff("x", "y")(x, y), pi**2 * np.cos(pi * x) * np.cos(pi * y), atol=1e-7)
    assert isinstance(solution(torch.tensor(0.1), 0.2), torch.Tensor)


def test_what_cannot_be_solved_is_refused():
    inverse = replace(packaged("poisson"), parameters={"k": 1.0})
    for act in (lambda: collocate(inverse, 8), lambda: finite_elements(inverse, 2, 4)):
        with pytest.raises(InputError, match="inverse problem with the parameters k"):
            act()
    with pytest.raises(InputError, match="up to 3 coordinates, got 5"):
        collocate(packaged("poisson", dim=5), 4)
    nowhere = Problem(SQUARE, {"pde": Condition(SQUARE.interior, lambda u: torch.log(u - 2) + laplacian(u))})
    with pytest.raises(InputError, match="finite neither"):
        collocate(nowhere, 4)


# finite elements ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [lambda: packaged("poisson"), lambda: reaction(0.0), mixed_conditions])
@pytest.mark.parametrize(("order", "cells"), [(2, (8, 16, 24)), (4, (4, 6, 10))])
def test_orders_of_finite_elements(make, order, cells):
    """p + 1 in L2 and p in H1, by regression; the coefficient is variable in two of the three problems."""
    found = [finite_elements(make(), order, n).errors()["u"] for n in cells]
    for kind, expected in (("l2", order + 1), ("h1", order)):
        slope = np.polyfit(np.log(cells), np.log([e[kind] for e in found]), 1)[0]
        assert -slope == pytest.approx(expected, abs=0.25), kind


@pytest.mark.parametrize(("order", "cells"), [(2, (8, 16, 32)), (4, (4, 8, 16))])
def test_heat_in_space_time(order, cells):
    """Of order p in L2 only, one less than for elliptic problems, as even orders see the first derivative in time."""
    found = [worst(finite_elements(packaged("heat"), order, n)) for n in cells]
    assert -np.polyfit(np.log(cells), np.log(found), 1)[0] > order - 0.1
    assert found[-1] < {2: 1e-4, 4: 1e-7}[order]


def test_finite_elements_in_one_and_three_dimensions():
    line = [worst(finite_elements(packaged("poisson", dim=1), order, 32)) for order in (2, 4)]
    assert line[0] < 1e-4 and line[1] < 1e-8
    assert worst(finite_elements(packaged("poisson", dim=3), 2, 8)) < 0.03
    with pytest.raises(InputError, match="no tetrahedra"):
        finite_elements(packaged("poisson", dim=3), 4, 2)


@pytest.mark.parametrize(("dim", "order"), [(1, 4), (2, 4), (3, 2)])
def test_finite_elements_are_evaluated_where_they_are(dim, order):
    """Against scikit-fem's own search, which is slower, at points inside the elements."""
    solution = finite_elements(packaged("poisson", dim=dim), order, 3)
    x = 2 * torch.rand(200, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
    interpolation = solution.components.__self__
    wanted = interpolation.basis.probes(x.T.numpy()) @ interpolation.u
    assert np.allclose(solution(*x.T).numpy(), wanted, atol=1e-12)


def test_mixed_derivatives():
    """u_xx + u_xy + u_yy, whose middle term belongs half to either mixed derivative."""

    def residual(u):
        x, y = u.coords
        return diff(u, "x", "x") + diff(u, "x", "y") + diff(u, "y", "y") - exp(x) * cos(y)

    conditions = {"pde": Condition(SQUARE.interior, residual), "edge": dirichlet(SQUARE.boundary, wave_and_growth)}
    problem = Problem(SQUARE, conditions, exact=wave_and_growth)
    assert worst(finite_elements(problem, 4, 8)) < 1e-8
    assert worst(collocate(problem, 12)) < 1e-12


def test_an_ansatz_is_not_needed():
    assert worst(finite_elements(hard(), 4, 8)) == pytest.approx(worst(finite_elements(packaged("poisson"), 4, 8)))


REFUSED = {
    "not linear": (reaction, "not linear in the unknown"),
    "system": (system, "a system of 2 unknowns"),
    "two initial conditions": (string, '"place" and "speed" are both on the face t = 0'),
    "periodic": (lambda: transport(True), "periodic"),
    "periodic condition": (lambda: transport(False), "periodic"),
    "free face": (
        lambda: Problem(SQUARE, {"pde": Condition(SQUARE.interior, laplacian), "a": dirichlet(SQUARE.face("x", 0))}),
        "no condition on the face x = 1",
    ),
    "oblique": (
        lambda: Problem(
            SQUARE,
            {
                "pde": Condition(SQUARE.interior, laplacian),
                "a": Condition(SQUARE.boundary, lambda u: diff(u, "x") + diff(u, "y")),
            },
        ),
        "another derivative than the flux",
    ),
    "fourth order": (
        lambda: Problem(
            SQUARE,
            {"pde": Condition(SQUARE.interior, lambda u: laplacian(laplacian(u))), "a": dirichlet(SQUARE.boundary)},
        ),
        "derivatives up to order 2",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_finite_elements_refuse(name):
    make, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        finite_elements(make(), 2, 4)


# rows ---------------------------------------------------------------------------------------------------------------
def test_rows_answer_at_equal_error_and_at_equal_time(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "REPEATS", 2)
    rows = classical_rows(packaged("heat"), target_error=1e-3, seconds=0.01)
    assert {row["method"] for row in rows} == {"Chebyshev collocation", "scikit-fem P2", "scikit-fem P4"}
    for row in at_equal_error(rows, 1e-3):
        assert row["l2"] <= 1e-3
        quicker = [r for r in rows if r["method"] == row["method"] and r["seconds"] < row["seconds"]]
        assert all(r["l2"] > 1e-3 for r in quicker)
    assert len(at_equal_error(rows, 1e-3)) == 3
    limit = 1.5 * min(row["seconds"] for row in rows if row["method"] == "scikit-fem P4")
    assert all(row["seconds"] <= limit for row in at_equal_time(rows, limit)) and at_equal_time(rows, limit)
    path = tmp_path / "classical.csv"
    write_rows(rows, path)
    with open(path, newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == list(COLUMNS)
    assert read_rows(path) == rows


def test_rows_stop_at_the_target_and_say_why_a_solver_has_none(tmp_path):
    rows = classical_rows(reaction(), target_error=1e-6)
    chebyshev = [row for row in rows if row["method"] == "Chebyshev collocation"]
    assert chebyshev[-1]["l2"] <= 1e-6 and all(row["l2"] > 1e-6 for row in chebyshev[:-1])
    assert chebyshev[-1]["note"].endswith("target reached")
    others = rows[len(chebyshev) :]
    assert len(others) == 2 and all(isnan(row["l2"]) and "not linear" in row["note"] for row in others)
    write_rows(rows, tmp_path / "c.csv")
    assert str(read_rows(tmp_path / "c.csv")) == str(rows)


def test_rows_without_an_exact_solution(monkeypatch):
    """They agree with the true errors until the reference is no longer ten times as accurate, and end there."""
    blind = replace(packaged("heat"), exact=None)
    with pytest.raises(InputError, match="reference"):
        classical_rows(blind, target_error=1e-3)
    monkeypatch.setattr(rows_module, "REPEATS", 1)
    monkeypatch.setattr(rows_module, "solvers", lambda: {"Chebyshev collocation": (collocate, 0)})
    found = classical_rows(blind, target_error=1e-12, reference=reference(blind, 1e-3, method="fem"))
    known = classical_rows(packaged("heat"), target_error=1e-12)
    assert "not reliable" in found[-1]["note"] and len(found) < len(known)
    for row, true in zip(found[:-1], known, strict=False):
        assert "not reliable" not in row["note"]
        assert row["l2"] == pytest.approx(true["l2"], rel=0.1)


# references and estimates -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [lambda: packaged("poisson"), lambda: packaged("heat"), mixed_conditions, reaction])
@pytest.mark.parametrize("method", ["fem", "collocation"])
def test_a_reference_bounds_its_own_error(make, method):
    problem = make()
    if make is reaction and method == "fem":
        pytest.skip("not linear")
    found = reference(replace(problem, exact=None), 1e-4, method=method)
    true = replace(found.solution, problem=problem).errors()["u"]
    for kind, error in true.items():
        assert error <= found.own["u"][kind] <= 1e-4
        assert method == "collocation" or found.own["u"][kind] <= 3 * error, "and not by far"
    assert found.order == pytest.approx(5, abs=1) if method == "fem" else found.order > 100


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "kind"), [("poisson", "mlp"), *(pytest.param(n, "kan", marks=SLOW) for n in ("heat", "helmholtz"))]
)
def test_errors_of_runs_without_an_exact_solution(name, kind):
    """Against the reference the errors are the true ones to a tenth; the estimate is within a factor of two."""
    model = KAN(hidden=[4], degree=5) if kind == "kan" else MLP(hidden=[8, 8])
    run = solve(
        packaged(name),
        model,
        [Phase(LM(), 12, grid=4 if kind == "kan" else None)],
        sampling=Sampling(interior=400),
        seed=0,
    )
    blind = replace(run.problem, exact=None)
    compared = reference_error(run, reference(blind, 0.05 * min(run.errors["u"].values())))
    assert compared.reliable and "10 times smaller" in compared.text
    estimate = estimate_error(replace(run, problem=blind)).errors["u"]
    for kind, true in run.errors["u"].items():
        assert compared.errors["u"][kind] == pytest.approx(true, rel=0.1)
        assert 0.5 < estimate[kind] / true < 2, kind


def test_a_coarse_reference_is_not_relied_on():
    coarse = reference(replace(packaged("heat"), exact=None), 1.0, method="fem")
    compared = reference_error(collocate(packaged("heat"), 12), coarse)
    assert not compared.reliable and "not reliable" in compared.text
