# pyright: reportArgumentType=false
# the types that sympy declares are too wide
"""Rough expressions made exact: constants refined, dropped where they vanish, and recognised."""

from collections.abc import Sequence
from math import inf, isfinite, sqrt

import sympy

from kanpde.formulas.accuracy import Evidence
from kanpde.formulas.constants import Template, normal, recognised, template_of
from kanpde.formulas.record import Candidate
from kanpde.formulas.refine import Fitted, fitted

ERROR_BARS = 10.0  # half widths of the error bars in standard errors, for constants at rounding errors,
ERROR_BARS_OF_DATA = 3.0  # and for those of noisy data
EXACT = 1e-13  # relative residuals below it are rounding errors
ROUNDS = 3
ROUNDING = 2e-15

Expressions = tuple[sympy.Expr, ...]


def polished(expressions: Expressions, symbols: Sequence[sympy.Symbol], evidence: Evidence) -> Candidate | None:
    """Return expressions with refined, recognised constants and their residual; None if they are not finite."""
    for _ in range(ROUNDS):  # what vanishes makes other numbers redundant
        before = expressions
        refined = _refined(expressions, symbols, evidence)
        if refined is None:
            return None
        expressions = without_small(*refined, symbols, evidence)
        expressions = tuple(normal(waves(normal(each))) for each in expressions)
        if _shape(before) == _shape(expressions):
            break
    refined = _refined(expressions, symbols, evidence)
    if refined is None:
        return None
    expressions, fit = refined
    exact = with_recognised(expressions, fit, symbols, evidence)
    residual = max(evidence.residuals(exact, symbols).values(), default=0.0)
    if not isfinite(residual):
        return None
    free = sum(len(each.atoms(sympy.Float)) for each in exact)
    return Candidate(exact, int(sum(sympy.count_ops(each) for each in exact)) + free, residual)


def _shape(expressions: Expressions) -> tuple:
    return tuple(each.expression for each in template_of(expressions))


def _refined(
    expressions: Expressions, symbols: Sequence[sympy.Symbol], evidence: Evidence
) -> tuple[Expressions, Fitted] | None:
    """Return the expressions with the best constants, and the fit."""
    templates = template_of(expressions)
    fit = fitted(templates, symbols, evidence.equations)
    if fit is None:
        return None
    left, found = list(fit.values), []
    for template in templates:
        count = len(template.symbols)
        found.append(template.with_values(left[:count]))
        left = left[count:]
    return tuple(found), fit


def _residual(expressions: Expressions, symbols: Sequence[sympy.Symbol], evidence: Evidence) -> float:
    fit = fitted([_frozen(each) for each in expressions], symbols, evidence.equations)
    return inf if fit is None else fit.residual


def _frozen(expression: sympy.Expr) -> Template:
    """Return an expression as a template without free constants."""
    return Template(expression, (), ())


def without_small(
    expressions: Expressions, fit: Fitted, symbols: Sequence[sympy.Symbol], evidence: Evidence
) -> Expressions:
    """Return the expressions without the numbers whose removal hardly changes the residual.

    With noisy data the other numbers are fitted again, because errors of constants depend on each other.
    """
    count = sum(len(points.x) for points in evidence.equations.points.values())
    is_exact = fit.residual <= 100 * EXACT
    allowed = max(10 * fit.residual, EXACT) if is_exact else fit.residual * sqrt(1 + 9 / count)
    numbers = sorted({n for each in expressions for n in each.atoms(sympy.Float)}, key=lambda n: abs(float(n)))
    for number in numbers:
        trial = tuple(_finite(each.xreplace({number: sympy.Integer(0)}), each) for each in expressions)
        if trial == expressions:
            continue
        if is_exact:
            residual = _residual(trial, symbols, evidence)
        else:
            refined = _refined(trial, symbols, evidence)
            residual = inf if refined is None else refined[1].residual
        if residual <= allowed:
            expressions = trial
    return expressions


def _finite(trial: sympy.Expr, before: sympy.Expr) -> sympy.Expr:
    return before if trial.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I) else trial


def with_recognised(
    expressions: Expressions, fit: Fitted, symbols: Sequence[sympy.Symbol], evidence: Evidence
) -> Expressions:
    """Return the expressions with exact constants in place of the numbers that are recognised."""
    templates, start = template_of(expressions), 0
    bars = ERROR_BARS if fit.residual <= EXACT * 100 else ERROR_BARS_OF_DATA
    found: list[sympy.Expr] = []
    for template in templates:
        exact = []
        for k in range(len(template.symbols)):
            value, error = fit.values[start + k], fit.errors[start + k]
            near = recognised(value, bars * error + ROUNDING * abs(value))
            exact.append(sympy.Float(value) if near is None else near)
        start += len(template.symbols)
        found.append(template.with_values(exact))
    trial = tuple(_finite(a, b) for a, b in zip(found, expressions, strict=True))
    is_as_good = _residual(trial, symbols, evidence) <= max(1.05 * fit.residual, 10 * EXACT)
    return trial if is_as_good else expressions


def waves(expression: sympy.Expr) -> sympy.Expr:
    r"""Return an expression with $a \sin w + b \cos w$ as one sine with a phase, $c \sin(w + \varphi)$."""
    if not expression.args:
        return expression
    expression = expression.func(*(waves(a) for a in expression.args))
    if not isinstance(expression, sympy.Add):
        return expression
    sines: dict[sympy.Tuple, list[tuple[sympy.Expr, sympy.Expr, sympy.Expr]]] = {}
    for term in expression.args:
        number, rest = term.as_coeff_Mul()
        for factor in sympy.Mul.make_args(rest):
            if isinstance(factor, (sympy.sin, sympy.cos)) and number.has(sympy.Float):
                key = sympy.Tuple(factor.args[0], rest / factor)
                sines.setdefault(key, []).append((term, number, factor))
    for key, found in sines.items():
        if len(found) == 2 and {type(f) for _, _, f in found} == {sympy.sin, sympy.cos}:
            a = next(float(n) for _, n, f in found if isinstance(f, sympy.sin))
            b = next(float(n) for _, n, f in found if isinstance(f, sympy.cos))
            size, phase = sympy.Float((a * a + b * b) ** 0.5), sympy.Float(float(sympy.atan2(b, a)))
            others = [t for t in expression.args if t not in (found[0][0], found[1][0])]
            return sympy.Add(*others, size * sympy.sin(key[0] + phase) * key[1])
    return expression
