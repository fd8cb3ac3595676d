"""Formulas: functions of one variable, structures, constants, proofs, files, and what is not a formula."""

from math import exp, pi

import numpy as np
import pytest
import sympy
import torch
from conftest import load_problem
from scipy.special import j0

from kanpde import (
    KAN,
    LM,
    Box,
    Condition,
    InputError,
    Phase,
    Problem,
    diff,
    dirichlet,
    fit,
    fit_problem,
    laplacian,
    solve,
)
from kanpde.formulas import Function, Status, formula, read_formula
from kanpde.formulas.accuracy import formula_components
from kanpde.formulas.constants import normal, recognised_sum
from kanpde.formulas.constants import recognised as constant_recognised
from kanpde.formulas.parse import parsed
from kanpde.formulas.polish import waves
from kanpde.formulas.proof import Verdict, is_proved, verdict
from kanpde.formulas.record import identifier
from kanpde.formulas.structure import candidates
from kanpde.formulas.target import Target
from kanpde.formulas.univariate import S, chebyshev, recognised, values
from kanpde.formulas.vocabulary import ALL, Vocabulary
from kanpde.solution import Evaluable

pytestmark = pytest.mark.usefixtures("unchecked")
NOISE = 1e-9
PHASES = [Phase(LM(), steps=10)]
x, y, t = (sympy.Symbol(name, real=True) for name in "xyt")


# one variable --------------------------------------------------------------------------------------------------------
ONE = {
    "sin": (sympy.sin(sympy.pi * S), -1, 1),
    "phase": (2 * sympy.sin(3 * S + 1) - 4, -1, 2),
    "inner square": (sympy.sin(sympy.pi * S**2), -1, 1),
    "exp": (sympy.exp(-3 * S), 0, 2),
    "log": (sympy.log(S + 2), -1, 3),
    "log left": (sympy.log(5 - S), -1, 3),
    "root": (2 * sympy.sqrt(S), 0.5, 2),
    "pole": (1 / (S + 3), -1, 4),
    "gauss": (sympy.exp(-(S**2) / 2), -2, 3),
    "tanh": (sympy.tanh(3 * S - 1), -1, 1),
    "soliton": (sympy.cosh(S / 2 - 1) ** -2 / 2, -10, 10),
    "tiny": (sympy.sin(S / 300) / 10**6, -1000, 1000),
    "outer": (sympy.exp(sympy.sin(sympy.pi * S)), -1, 1),
}


@pytest.mark.parametrize("name", ONE)
def test_a_function_of_one_variable_is_recognised(name):
    """Its best candidate agrees with it outside of the points, and far below the noise of the others."""
    expression, a, b = ONE[name]
    s = chebyshev(a, b)
    clean = values(expression, s)
    noise = NOISE * clean.std()
    found = recognised(s, clean + noise * np.random.default_rng(0).standard_normal(len(s)), noise, ALL)
    fresh = np.linspace(a, b, 301)
    gap = values(found[0].expression, fresh) - values(expression, fresh)
    assert np.sqrt(np.mean(gap**2)) < 3 * noise


def test_what_is_no_simple_function_is_not_recognised():
    s = chebyshev(-1, 1)
    strange = np.sin(3 * s) * np.exp(-(s**2)) + np.cos(s**3) + 0.1 * np.abs(s) ** 2.5
    assert recognised(s, strange, 1e-9, ALL, most_cost=4) == []


def test_functions_are_told_apart_by_accurate_values_only():
    """On [0.1, 0.6] a Gaussian agrees with a sine to 1 - R² = 1e-8."""
    s = chebyshev(0.1, 0.6)
    sine = np.sin(pi * s)
    gauss = Vocabulary(tuple(family for family in ALL.families if family.name == "gauss"))
    assert recognised(s, sine, 1e-3 * sine.std(), gauss)
    assert not recognised(s, sine, 1e-7 * sine.std(), gauss)


# several variables ---------------------------------------------------------------------------------------------------
a, b, c, d = sympy.symbols("a b c d", real=True)
SEVERAL = {
    "sum": a**2 + sympy.sin(3 * b) + c,
    "product": sympy.sin(sympy.pi * a) * sympy.exp(b),
    "product and constant": 1 + (a - 2) * sympy.cos(b),
    "affine": 1 + a + 2 * sympy.sqrt(a) * sympy.cos(b),
    "linear group": sympy.tanh(2 * a - 3 * b),
    "product group": sympy.sin(a * b),
    "outer map": sympy.sqrt(1 + a**2 + b**2),
    "idle": sympy.exp(2 * a) + 0 * b,
    "nested": a / ((b - 1) ** 2 + (c - d) ** 2 + 1),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_a_function_of_several_variables_is_split(name):
    expression = SEVERAL[name]
    symbols = (a, b) if not expression.has(c) else (a, b, c) if not expression.has(d) else (a, b, c, d)
    function = sympy.lambdify(symbols, expression, "numpy")
    target = Target(
        lambda at: function(*at.T) + 0 * at[:, 0],
        symbols,
        ((0.5, 1.5),) * len(symbols),
        lambda at: np.full(len(at), NOISE),
    )
    found = next(candidates(target, ALL))
    at = target.random(50)
    assert np.abs(sympy.lambdify(symbols, found, "numpy")(*at.T) - function(*at.T)).max() < 1e-6


def test_a_function_without_structure_has_no_candidate():
    target = Target(
        lambda at: np.sin(at[:, 0] + at[:, 1] ** 2 * at[:, 0]) + np.cos(at[:, 1] * at[:, 0] ** 3),
        (a, b),
        ((-1.0, 1.0), (-1.0, 1.0)),
        lambda at: np.full(len(at), NOISE),
    )
    assert next(candidates(target, ALL, most_cost=3, depth=0), None) is None


# constants -----------------------------------------------------------------------------------------------------------
def test_constants_are_recognised_inside_their_error_bars_only():
    assert constant_recognised(3.14159265358979, 1e-12) == sympy.pi
    assert constant_recognised(0.7071067811865476, 1e-13) == sympy.sqrt(2) / 2
    assert constant_recognised(1e-15, 1e-14) == 0
    assert (
        constant_recognised(3.1416, 1e-12) == sympy.Rational(3927, 1250) or constant_recognised(3.1416, 1e-12) is None
    )
    assert constant_recognised(0.123456789, 1e-3) is None  # too many simple numbers are as near
    assert recognised_sum(1 - 17 * pi**2, 1e-11) == 1 - 17 * sympy.pi**2


def test_numbers_that_others_can_replace_are_taken_out():
    two, three = sympy.Float(2.0), sympy.Float(3.0)
    assert len(normal((two * x + three * y) * (three * x - two) ** 2).atoms(sympy.Float)) == 3
    assert len(normal(sympy.exp(two * x + three) * three).atoms(sympy.Float)) == 2
    expression = two * sympy.sin(x) + three * sympy.cos(x)
    assert len(waves(expression).atoms(sympy.sin, sympy.cos)) == 1
    assert abs(float((waves(expression) - expression).subs(x, 0.3))) < 1e-14


# files ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "expression",
    [sympy.exp(-(sympy.pi**2) * t / 10) * sympy.sin(sympy.pi * x), sympy.Float(0.1) * x ** sympy.Rational(1, 3) - 2],
)
def test_stored_expressions_are_parsed(expression):
    assert parsed(sympy.srepr(expression)) == expression


@pytest.mark.long
def test_names_of_stored_formulas_are_no_code(tmp_path):
    problem = load_problem("heat")()
    path = formula(Known(problem, problem.exact, 0.0), at={"t": 0.5}).save(tmp_path)
    path.write_text(path.read_text().replace('"x"', '"x=print(1)"'))
    with pytest.raises(InputError, match="coordinates"):
        read_formula(tmp_path)
    assert (identifier("y [m]"), identifier("lambda"), identifier("x1")) == ("y__m_", "_lambda", "x1")


@pytest.mark.parametrize(
    "text",
    [
        "Pow(Integer(10), Integer(3000000))",
        "Rational('1e3000000')",
        "Rational(1, 0)",
        "Integer('1.5')",
        "sin()",
        "__import__('os').system('true')",
        "Symbol('x', real=True).subs",
        "Integer(__import__)",
        "x",
        "Add(",
        "open('f')",
        "Symbol('lambda')",
    ],
)
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="stored formula"):
        parsed(text)


# solutions -----------------------------------------------------------------------------------------------------------
class Known(Evaluable):
    """A function of the coordinates with a smooth error, in place of a trained network."""

    def __init__(self, problem, function, error=1e-9):
        self.problem = problem

        def with_error(*coords):
            wave = torch.sin(sum(3.1 * each for each in coords) + 0.7)
            return function(*coords) + error * wave

        self._components = formula_components(problem, with_error)

    @property
    def components(self):
        return self._components

    @property
    def like(self):
        return torch.zeros(1, dtype=torch.float64)


@pytest.mark.long
def test_the_formula_of_a_solution_is_proved_and_stored(tmp_path):
    problem = load_problem("poisson")(solution="paper")
    found = formula(Known(problem, problem.exact))
    assert found.status is Status.PROVED
    assert found.expression == sympy.sin(sympy.pi * x) * sympy.sin(sympy.pi * y**2)
    assert max(found.residuals.values()) < 1e-13 and found.latex.startswith("u = ")
    found.save(tmp_path)
    again = read_formula(tmp_path)
    assert (again.expressions, again.status, again.front) == (found.expressions, found.status, found.front)
    space: dict = {}
    exec((tmp_path / "formula.py").read_text(), space)
    assert abs(space["u"](0.3, 0.4) - np.sin(pi * 0.3) * np.sin(pi * 0.16)) < 1e-15


def shifted_poisson(wrong=0.0, strength=0.7312):
    """Δu = f with u = strength sin πx sin πy + wrong."""
    domain = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))

    def exact(x, y):
        return strength * torch.sin(pi * x) * torch.sin(pi * y)

    def residual(u):
        x, y = u.coords
        return laplacian(u) + 2 * pi**2 * exact(x, y) * (1 + wrong)

    return Problem(
        domain, {"pde": Condition(domain.interior, residual), "boundary": dirichlet(domain.boundary, 0.0)}, exact=exact
    )


def test_a_constant_that_is_none_of_the_known_is_verified_or_proved():
    problem = shifted_poisson(strength=exp(0.3))
    found = formula(Known(problem, problem.exact))
    assert found.status is Status.VERIFIED and found.expression.atoms(sympy.Float)


@pytest.mark.long
def test_a_formula_that_violates_the_equation_is_not_accepted():
    """The function is simple, and it is what the network says, but it is no solution."""
    problem = shifted_poisson(wrong=1e-6)
    found = formula(Known(problem, problem.exact, 1e-8), time_limit=20)
    wrong = 1e-6 * 0.7312
    assert found.status is not Status.NONE
    assert abs(float(found.expression.subs({x: 0.5, y: 0.5})) - (0.7312 + wrong)) < 1e-12
    problem = load_problem("poisson")()
    assert not is_proved(problem, [sympy.sin(sympy.pi * x) * sympy.sin(sympy.pi * y) * 2], (x, y))


def test_no_formula_is_found_where_there_is_none():
    domain = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))

    def strange(x, y):
        return torch.sin(x + y**2 * x) + torch.cos(y * x**3)

    problem = Problem(domain, {"data": dirichlet(domain.interior, lambda x, y: strange(x, y))}, exact=strange)
    found = formula(Known(problem, strange), complexity=2, time_limit=5)
    assert found.status is Status.NONE and "no formula found" in str(found)
    with pytest.raises(InputError, match="No formula was found"):
        _ = found.expression


@pytest.mark.long
def test_coordinates_can_be_held_fixed():
    problem = load_problem("heat")()
    found = formula(Known(problem, problem.exact, 0.0), at={"t": 0.5})
    assert found.symbols == (x,) and found.status is Status.CONSISTENT
    assert abs(float(found.expression.subs(x, 0.5)) - np.exp(-(pi**2) * 0.05)) < 1e-10
    near = formula(Known(problem, problem.exact, 1e-9), at={"t": 0.5})
    assert near.status is Status.CONSISTENT and near.expression.has(sympy.sin)
    assert formula(Known(problem, problem.exact, 1e-4), at={"t": 0.5}).status is Status.NONE
    with pytest.raises(InputError, match='no coordinate "z"'):
        formula(Known(problem, problem.exact), at={"z": 0.5})
    with pytest.raises(InputError, match="from 0 to 1"):
        formula(Known(problem, problem.exact), at={"t": 2.0})


def test_functions_can_be_added_and_forbidden():
    from scipy.special import erf

    domain = Box(x=(-2.0, 2.0))

    def exact(x):
        return torch.erf(1.5 * x)

    problem = Problem(domain, {"data": dirichlet(domain.interior, exact)}, exact=exact)
    assert formula(Known(problem, exact), time_limit=5, complexity=3).status is Status.NONE
    found = formula(Known(problem, exact), functions=[Function("erf", erf, sympy.erf)])
    assert found.expression == sympy.erf(sympy.Rational(3, 2) * x)
    with pytest.raises(InputError, match="besselj is not known"):
        formula(Known(problem, exact), functions=[Function("j0", j0, lambda z: sympy.besselj(0, z))])
    with pytest.raises(InputError, match="differ"):
        formula(Known(problem, exact), functions=[Function("erf", j0, sympy.erf)])
    with pytest.raises(InputError, match="no function"):
        formula(Known(problem, exact), forbid=["sine"])


@pytest.mark.long
@pytest.mark.parametrize(("word", "function"), [("tanh", torch.tanh), ("exp", torch.exp), ("log", torch.log)])
def test_what_is_forbidden_occurs_in_no_formula(word, function):
    domain = Box(x=(0.5, 2.0))
    problem = Problem(domain, {"data": dirichlet(domain.interior, function)}, exact=function)
    assert formula(Known(problem, function, 1e-10)).expression.has(getattr(sympy, word))
    found = formula(Known(problem, function, 1e-10), forbid=[word], time_limit=3, complexity=3)
    assert not found.found or not found.expression.has(getattr(sympy, word))


def test_coordinates_may_have_the_names_of_constants():
    at = np.random.default_rng(0).uniform(-1, 1, 300)
    problem = fit_problem({"c0": at, "c1": 3 * np.sin(2 * at)})
    found = formula(solve(problem, KAN([], degree=5, grid=8), phases=PHASES))
    assert found.status is Status.RECOVERED and found.expression == 3 * sympy.sin(2 * sympy.Symbol("c0", real=True))


@pytest.mark.long
def test_smooth_errors_of_a_poor_network_are_no_noise():
    """400 exact rows of a Bessel function, which is not among the known functions, fitted by straight pieces."""
    at = np.random.default_rng(0).uniform(0, 3, 400)
    solution = fit(at, j0(at), KAN([], degree=1, grid=8), phases=PHASES)
    assert 1e-3 < solution.errors["u"]["l2"] < 0.05
    assert formula(solution, complexity=3).status is Status.NONE


@pytest.mark.long
def test_rows_with_standard_errors_have_formulas():
    rng = np.random.default_rng(0)
    at = rng.uniform(-1, 1, 400)
    rows = np.stack([np.sin(3 * at), np.exp(at)], axis=1)
    solution = fit(at, rows + 0.01 * rng.standard_normal(rows.shape), KAN([], degree=5), errors=0.01, phases=PHASES)
    found = formula(solution)
    assert found.status is Status.CONSISTENT
    assert found.expressions[0].has(sympy.sin) and found.expressions[1].has(sympy.exp)


@pytest.mark.parametrize(
    "residual",
    [
        lambda u: (u.value - 3).data,
        lambda u: torch.zeros_like(u.value).add_(u.value - 3),
        lambda u: torch.where(u.value > 0, u.value * 0, u.value),
        lambda u: u.value * 0.123456789,
        lambda u: u - u.coords[0] + 1e-9,
        lambda u: diff(u, "x") - 1.0000001,
    ],
)
def test_no_proof_of_what_is_not_zero_or_cannot_be_told(residual):
    domain = Box(x=(0.0, 1.0))
    problem = Problem(domain, {"pde": Condition(domain.interior, residual)})
    assert not is_proved(problem, [x], (x,))
    right = Problem(domain, {"pde": Condition(domain.interior, lambda u: diff(u, "x") - 1.0)})
    assert is_proved(right, [x], (x,))


def test_a_source_between_all_points_is_not_overlooked_by_the_proof():
    """The residual vanishes at all points but for the tail of the peak, exp(-1e8) or less."""
    domain = Box(x=(-1.0, 1.0))

    def residual(u):
        (x,) = u.coords
        return diff(u, "x", "x") + pi**2 * torch.sin(pi * x) - 1000 * torch.exp(-(10.0**10) * (x - 0.375) ** 2)

    wave = sympy.sin(sympy.pi * x)
    problem = Problem(
        domain, {"pde": Condition(domain.interior, residual), "boundary": dirichlet(domain.boundary, 0.0)}
    )
    assert verdict(problem, [wave], (x,)) is Verdict.REFUTED
    assert formula(Known(problem, lambda x: torch.sin(pi * x))).status is Status.NONE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forbid": "sin"}, "list of names"),
        ({"at": {"t": "half"}}, "number for each"),
        ({"at": {"t": float("nan")}}, "number for each"),
        ({"functions": ["erf"]}, "kanpde.formulas.Function"),
        ({"complexity": -1}, "positive whole"),
        ({"time_limit": -3}, "positive"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    problem = load_problem("heat")()
    with pytest.raises(InputError, match=message):
        formula(Known(problem, problem.exact), **options)
    with pytest.raises(InputError, match="read off a solution"):
        formula(3)


def test_a_periodic_coordinate_is_part_of_the_proof():
    domain = Box(x=(0.0, 1.0), periodic=["x"])
    problem = Problem(domain, {"pde": Condition(domain.interior, laplacian)})
    assert not is_proved(problem, [x], (x,)) and is_proved(problem, [sympy.Integer(2)], (x,))


@pytest.mark.long
def test_noisy_rows_that_do_not_separate_candidates_are_refused():
    """On a short interval many functions agree with a sine up to the noise."""
    rng = np.random.default_rng(0)
    at = rng.uniform(0.1, 0.3, 400)
    rows = np.sin(pi * at)
    solution = fit(at, rows + 0.02 * rows.std() * rng.standard_normal(400), KAN([], degree=3), phases=PHASES)
    with pytest.raises(InputError, match="not accurate enough to decide"):
        formula(solution, forbid=[f"polynomial {n}" for n in (1, 2, 3, 4)])
