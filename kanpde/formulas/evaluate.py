# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# the types that sympy declares are too wide
"""Values of sympy expressions on fields, tensors and arrays, without evaluating text."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add, mul
from typing import Any

import sympy
import torch

from kanpde.errors import InputError

FUNCTIONS: dict[Any, Callable[[Any], Any]] = {
    sympy.sin: torch.sin,
    sympy.cos: torch.cos,
    sympy.tan: torch.tan,
    sympy.exp: torch.exp,
    sympy.log: torch.log,
    sympy.sinh: torch.sinh,
    sympy.cosh: torch.cosh,
    sympy.tanh: torch.tanh,
    sympy.asin: torch.asin,
    sympy.acos: torch.acos,
    sympy.atan: torch.atan,
    sympy.asinh: torch.asinh,
    sympy.acosh: torch.acosh,
    sympy.atanh: torch.atanh,
    sympy.erf: torch.erf,
    sympy.Abs: torch.abs,
    sympy.sign: torch.sign,
}


def evaluated(expression: sympy.Expr, values: Mapping[sympy.Symbol, Any]) -> Any:
    """Return an expression of fields or tensors.

    Args:
        expression: of the symbols.
        values: of the symbols: fields, tensors or numbers.

    Raises:
        InputError: a function is not known.
    """
    if isinstance(expression, sympy.Symbol):
        return values[expression]
    if expression.is_number:
        return float(expression)
    if isinstance(expression, (sympy.Add, sympy.Mul)):
        return reduce(
            add if isinstance(expression, sympy.Add) else mul, (evaluated(a, values) for a in expression.args)
        )
    if isinstance(expression, sympy.Pow):
        base, exponent = expression.args
        if exponent.is_number:
            inside = evaluated(base, values)
            whole = int(exponent) if exponent.is_Integer else None
            if whole is not None and 1 < whole <= 4:
                return reduce(mul, [inside] * whole)
            return 1 / inside if whole == -1 else inside ** float(exponent)
        return evaluated(base, values) ** evaluated(exponent, values)
    if expression.func in FUNCTIONS and len(expression.args) == 1:
        inside = evaluated(expression.args[0], values)
        return FUNCTIONS[expression.func](inside if not isinstance(inside, float) else torch.tensor(inside).double())
    raise InputError(
        f"{expression.func} is not known here. Known are {', '.join(sorted(each.__name__ for each in FUNCTIONS))}, "
        "sums, products and powers."
    )


def as_function(expressions: Sequence[sympy.Expr], symbols: Sequence[sympy.Symbol]) -> Callable[..., Any]:
    """Return expressions as a function of the coordinates, like ``Problem.exact``."""

    def function(*coords: Any) -> Any:
        found = tuple(evaluated(each, dict(zip(symbols, coords, strict=True))) for each in expressions)
        return found if len(found) > 1 else found[0]

    return function
