# pyright: reportAssignmentType=false
# the types that sympy declares are too wide
"""Proofs of formulas: the residuals of all conditions are computed symbolically and reduced to 0.

The numbers of the problem are read as exact constants where they agree with simple ones to 14 digits
(`kanpde.formulas.symbolic`): 9.869604401089358 as π², 0.1 as 1/10. What is proved is the problem with these constants.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

import mpmath
import numpy as np
import sympy
import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.field import Field
from kanpde.calculus.jet import LAPLACIAN, Key
from kanpde.calculus.unknowns import unknown
from kanpde.domains.box import Box
from kanpde.errors import InputError
from kanpde.formulas.symbolic import NotSymbolic, expression_of, symbolic
from kanpde.problem import Problem
from kanpde.residuals.site import results_of

MOST_OPERATIONS = 400  # of a residual that is simplified
POINTS, DIGITS = 5, 60
Expressions = Sequence[sympy.Expr]


class Verdict(Enum):
    """What the symbolic residuals say."""

    PROVED = "all residuals reduce to 0"
    REFUTED = "a residual is not 0"
    OPEN = "they cannot be told"


def verdict(problem: Problem, expressions: Expressions, symbols: Sequence[sympy.Symbol]) -> Verdict:
    """Return whether the residuals of all conditions are 0 symbolically for a formula.

    It stays open if a constant is not exact, if a condition is not on a part of a box, if a residual has operations
    without a symbolic meaning here, or if the reduction does not succeed.

    Args:
        problem: without an ansatz.
        expressions: one for each unknown.
        symbols: of the coordinates.
    """
    if not isinstance(problem.domain, Box) or any(each.has(sympy.Float) for each in expressions):
        return Verdict.OPEN
    try:
        left = [each for each in symbolic_residuals(problem, expressions, symbols) if not is_zero(each)]
        if not left:
            return Verdict.PROVED
        return Verdict.REFUTED if any(differs(each, problem.domain, symbols) for each in left) else Verdict.OPEN
    except (NotSymbolic, InputError, TypeError, ValueError, NotImplementedError, AttributeError, ArithmeticError):
        return Verdict.OPEN


def is_proved(problem: Problem, expressions: Expressions, symbols: Sequence[sympy.Symbol]) -> bool:
    """Return whether the residuals of all conditions reduce to 0 symbolically for a formula."""
    return verdict(problem, expressions, symbols) is Verdict.PROVED


def differs(residual: sympy.Expr, domain: Box, symbols: Sequence[sympy.Symbol]) -> bool:
    """Return whether an expanded residual is certainly not 0 at random points, however small it is there.

    With 60 digits the sum of its terms is compared with the largest of them: a sum that is not 0 is of their order, and
    one that is 0 has rounding errors only. So the tail of a narrow peak, such as exp(-1e10), is told from 0.
    """
    terms = sympy.Add.make_args(sympy.expand(residual))
    functions = [sympy.lambdify(symbols, term, "mpmath") for term in terms]
    lower, upper = np.array(domain.ranges).T
    points = lower + (upper - lower) * np.random.default_rng(0).uniform(size=(POINTS, len(lower)))
    with mpmath.workdps(DIGITS):
        for point in points.tolist():
            values = [mpmath.mpf(f(*map(mpmath.mpf, point))) for f in functions]
            if abs(mpmath.fsum(values)) > mpmath.mpf(10) ** (20 - DIGITS) * max(abs(value) for value in values):
                return True
    return False


def symbolic_residuals(
    problem: Problem, expressions: Expressions, symbols: Sequence[sympy.Symbol]
) -> Iterator[sympy.Expr]:
    """Yield the residuals of every condition on every piece of its region as expressions.

    Raises:
        NotSymbolic: an operation, a number or a condition has no symbolic meaning here.
    """
    for i in getattr(problem.domain, "periodic", ()):
        low, high = (expression_of(float(end)) for end in problem.domain.ranges[i])
        yield from (each.subs(symbols[i], symbols[i] + high - low) - each for each in expressions)
    for name, condition in problem.conditions.items():
        region = condition.region
        if condition.maps or problem.parameters or region.is_measured or condition.integral is not None:
            raise NotSymbolic(f'the condition "{name}"')
        for fixed in region.fixed:
            held = {symbols[i]: expression_of(float(value)) for i, value in fixed.items()}
            context = SymbolicContext(problem, symbols, held, fixed)
            fields = [
                unknown(context, label, _reader(expression, symbols, held, problem.domain.space))
                for label, expression in zip(problem.unknowns, expressions, strict=True)
            ]
            for result in results_of(condition, fields, {}):
                yield expression_of(result.component(()) if isinstance(result, Field) else result)


class SymbolicContext(Context):
    """The context of fields whose coordinates are symbols, or constants where they are held."""

    def __init__(self, problem: Problem, symbols: Sequence[sympy.Symbol], held: dict, fixed):
        coordinates = Columns([symbolic(held.get(s, s)) for s in symbols])
        normal = None
        if len(fixed) == 1:
            ((i, value),) = fixed.items()
            side = 1 if value == problem.domain.ranges[i][1] else -1
            normal = Columns([symbolic(sympy.Integer(side if k == i else 0)) for k in range(len(symbols))])
        super().__init__(problem.domain.names, problem.domain.space, coordinates, normal)  # pyright: ignore


@dataclass(frozen=True)
class Columns:
    """The columns of points, each a tensor; ``x[:, i]`` selects one."""

    columns: list[Tensor]
    dtype: torch.dtype = torch.float64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    shape: tuple[int, ...] = (1, 0)

    def __getitem__(self, place: tuple[slice, int]) -> Tensor:
        return self.columns[place[1]]

    def __len__(self) -> int:
        return 1


def _reader(expression: sympy.Expr, symbols: Sequence[sympy.Symbol], held: dict, space: Sequence[int]):
    """Return the function that gives derivatives of an expression."""

    def read(key: Key) -> Tensor:
        if key == LAPLACIAN:
            found = sympy.Add(*(sympy.diff(expression, symbols[i], 2) for i in space))
        else:
            found = expression
            for i in key:
                found = sympy.diff(found, symbols[i])
        return symbolic(found.subs(held))

    return read


def is_zero(expression: sympy.Expr) -> bool:
    """Return whether an expression reduces to 0."""
    if expression == 0:
        return True
    for reduce in (sympy.expand, sympy.trigsimp, sympy.simplify):
        if sympy.count_ops(expression) > MOST_OPERATIONS:
            return False
        expression = reduce(expression)
        if expression == 0:
            return True
    return False
