# pyright: reportArgumentType=false
# the types that sympy declares are too wide
r"""Constants in formulas: taken out for a fit, freed of those that others can replace, and recognised.

A number is recognised as p/q times 1, π, √2, ... and a power of 1000 only inside its error bar, and only if a random
number in its place would hardly have had such a simple neighbour there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import isfinite, log2

import mpmath
import sympy

BASES: tuple[sympy.Expr, ...] = (
    sympy.Integer(1),
    sympy.pi,
    sympy.pi**2,
    1 / sympy.pi,
    sympy.sqrt(2),
    sympy.sqrt(3),
    sympy.sqrt(5),
    sympy.sqrt(6),
    sympy.sqrt(7),
    sympy.sqrt(10),
    sympy.E,
    sympy.exp(-1),
    sympy.sqrt(sympy.pi),
    1 / sympy.sqrt(sympy.pi),
    1 / sympy.sqrt(2 * sympy.pi),
    sympy.log(2),
    sympy.sqrt(2) * sympy.pi,
)
CHANCE = 0.03  # largest expected number of coincidences
DENOMINATOR = 1000
POWERS = (0, 3, 6, 9, -3, -6, -9)  # of ten, of units such as millimetres


@dataclass(frozen=True)
class Template:
    """An expression whose numbers are symbols, with their values."""

    expression: sympy.Expr
    symbols: tuple[sympy.Symbol, ...]
    values: tuple[float, ...]

    def with_values(self, values: Sequence[float | sympy.Expr]) -> sympy.Expr:
        """Return the expression with numbers (as floats) or exact constants."""
        exact = [v if isinstance(v, sympy.Expr) else sympy.Float(float(v)) for v in values]
        return self.expression.subs(dict(zip(self.symbols, exact, strict=True)))


@cache
def placeholder(k: int) -> sympy.Symbol:
    """Return the symbol of number k; it differs from every coordinate, whatever its name."""
    return sympy.Dummy(f"c{k}", real=True)


def template_of(expressions: Sequence[sympy.Expr]) -> list[Template]:
    """Return expressions with all floating-point numbers as symbols c0, c1, ..., in one numbering."""
    found, count = [], 0
    for expression in expressions:
        numbers = sorted(expression.atoms(sympy.Float), key=str)
        symbols = [placeholder(count + k) for k in range(len(numbers))]
        count += len(numbers)
        replaced = expression.xreplace(dict(zip(numbers, symbols, strict=True)))
        found.append(Template(replaced, tuple(symbols), tuple(float(n) for n in numbers)))
    return found


def normal(expression: sympy.Expr) -> sympy.Expr:
    """Return an expression without numbers that others can replace, such as the 2 in 3 (2 x + 2 y)^2."""
    if not expression.args:
        return expression
    args = [normal(a) for a in expression.args]
    if isinstance(expression, sympy.Pow) and isinstance(args[0], sympy.Add):
        factor, rest = _leading(args[0])
        if args[1].is_Integer or (args[1].is_number and factor > 0):
            return _number(factor, args[1]) * rest ** args[1]
    if isinstance(expression, sympy.Mul):
        total = sympy.Integer(1)
        for a in args:
            if isinstance(a, sympy.Add):
                factor, a = _leading(a)
                total *= factor
            total *= a
        return total
    if isinstance(expression, sympy.exp) and isinstance(args[0], sympy.Add):
        number, rest = args[0].as_coeff_Add()
        return (
            sympy.Float(float(sympy.exp(number))) * sympy.exp(rest) if number.has(sympy.Float) else sympy.exp(args[0])
        )
    if isinstance(expression, sympy.log):
        factor, rest = _leading(args[0]) if isinstance(args[0], sympy.Add) else args[0].as_coeff_Mul()
        if factor.has(sympy.Float) and factor > 0:
            return sympy.Float(float(sympy.log(factor))) + sympy.log(rest)
    return expression.func(*args)


def _number(factor: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    return sympy.Float(float(factor) ** float(exponent)) if factor.has(sympy.Float) else factor**exponent


def _leading(total: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """Return the largest floating-point factor of a sum's terms that are not constant, and the sum over it."""
    parts = [term.as_coeff_Mul() for term in sympy.Add.make_args(total)]
    numbers = [number for number, rest in parts if rest != 1 and number.has(sympy.Float)]
    if not numbers:
        return sympy.Integer(1), total
    factor = max(numbers, key=abs)
    return factor, sympy.Add(*(_over(number, factor) * rest for number, rest in parts))


def _over(number: sympy.Expr, factor: sympy.Expr) -> sympy.Expr:
    return sympy.Integer(1) if number == factor else sympy.Float(float(number) / float(factor))


def recognised(value: float, error: float) -> sympy.Expr | None:
    """Return the exact constant that a number is within its error, or None.

    Args:
        value: the number.
        error: half of the width of its error bar.
    """
    if not isfinite(value) or not isfinite(error):
        return None
    if abs(value) <= error:
        return sympy.Integer(0)
    found = [
        (score, exact * sympy.Integer(10) ** -power)
        for power in POWERS
        if (best := _best(value * 10.0**power, error * 10.0**power, len(POWERS) if power else 1)) is not None
        for score, exact in [best]
    ]
    return min(found, key=lambda each: each[0])[1] if found else None


def _best(value: float, error: float, trials: int) -> tuple[float, sympy.Expr] | None:
    """Return the complexity in bits of the simplest constant within the error of a number, and the constant."""
    best: tuple[float, sympy.Expr] | None = None
    for base in BASES:
        share = value / float(base)
        fraction = _simplest(share, error / abs(float(base)))
        if fraction is None or fraction == 0:
            continue
        weight = (abs(fraction.numerator) + 1) * fraction.denominator * (1 if base == 1 else len(BASES)) * trials
        if weight * 2 * error / abs(value) > CHANCE:
            continue
        score = log2(weight)
        if best is None or score < best[0]:
            best = score, sympy.Rational(fraction.numerator, fraction.denominator) * base
    return best


def _simplest(value: float, error: float) -> Fraction | None:
    """Return the fraction with the least denominator in [value - error, value + error], if it is at most 1000."""
    for denominator in range(1, DENOMINATOR + 1):
        numerator = round(value * denominator)
        if abs(numerator / denominator - value) <= error:
            return Fraction(numerator, denominator)
    return None


def recognised_sum(value: float, error: float) -> sympy.Expr | None:
    """Return p + q b with rationals p, q and one of π, π², √2, ..., e within the error of a number, or None.

    The integer relation is found by PSLQ (H. Ferguson, D. Bailey, S. Arno, Analysis of PSLQ, an integer relation
    finding algorithm, 1999). Its coefficients are at most 300, so that a random number has one within a relative error
    of 1e-14 with a probability of about 1e-6.
    """
    for base in BASES[1:]:
        with mpmath.workdps(16):
            found = mpmath.pslq([mpmath.mpf(value), 1, mpmath.mpf(float(base))], tol=mpmath.mpf(error), maxcoeff=300)
        if found and found[0]:
            a, b, c = (sympy.Integer(int(k)) for k in found)
            total = -(b + c * base) / a
            if abs(float(total) - value) <= error:
                return total
    return None
