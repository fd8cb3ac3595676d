"""Tensors that carry expressions: the operations of a residual, applied to them, give its expression.

A `Symbolic` is a tensor of one point with an expression beside it. Torch functions and arithmetic act on the
expression; an operation that has no symbolic meaning here raises `NotSymbolic`. So residuals, which are programs in
torch, are evaluated symbolically without knowing about it.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any

import sympy
import torch
from torch import Tensor

from kanpde.formulas.constants import recognised, recognised_sum

ROUNDING = 1e-14  # relative; numbers of a program, such as 9.8696..., that agree so far with a constant are read as it


class NotSymbolic(Exception):
    """An operation has no symbolic meaning here."""


class Symbolic(Tensor):
    """A tensor of one point with the expression ``expression``."""

    expression: sympy.Expr

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in ATTRIBUTES:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        written = getattr(func, "__name__", "")
        name = written.strip("_")
        if written.startswith("__i") or (written.endswith("_") and not written.endswith("__")):
            raise NotSymbolic(f"{written}, which changes a tensor in place")
        if name in LIKE:
            return symbolic(LIKE[name](*args[1:]))
        if name not in OPERATIONS or (kwargs and set(kwargs) - {"value", "alpha"}) or (kwargs and "alpha" in kwargs):
            raise NotSymbolic(f"torch.{name}")
        given = [expression_of(a) for a in args]
        extra = {k: expression_of(v) for k, v in (kwargs or {}).items()}
        return symbolic(OPERATIONS[name](*given, **extra))


def symbolic(expression: sympy.Expr) -> Symbolic:
    """Return an expression as a tensor of one point."""
    found = torch.zeros(1, dtype=torch.float64).as_subclass(Symbolic)
    found.expression = sympy.sympify(expression)
    return found


def expression_of(value: Any) -> sympy.Expr:
    """Return the expression of a symbolic tensor or of a number; numbers are read as simple exact constants.

    Raises:
        NotSymbolic: it is neither, or no such constant.
    """
    if isinstance(value, Symbolic):
        return value.expression
    if isinstance(value, Tensor) and value.numel() >= 1 and bool((value == value.reshape(-1)[0]).all()):
        value = float(value.reshape(-1)[0])
    if isinstance(value, int):
        return sympy.Integer(value)
    if isinstance(value, float) and isfinite(value):
        found = recognised(value, ROUNDING * abs(value))
        if found is None:
            found = recognised_sum(value, ROUNDING * abs(value))
        if found is not None:
            return found
    raise NotSymbolic(f"the number {value}")


def _sigmoid(x: sympy.Expr) -> sympy.Expr:
    return 1 / (1 + sympy.exp(-x))


# what may be asked of a tensor besides operations
ATTRIBUTES = {getattr(Tensor, name).__get__ for name in ("shape", "ndim", "dtype", "device", "requires_grad")} | {
    Tensor.dim,
    Tensor.size,
}

OPERATIONS: dict[str, Callable[..., sympy.Expr]] = {
    **dict.fromkeys(("add", "radd"), lambda a, b: a + b),
    **dict.fromkeys(("sub", "subtract"), lambda a, b: a - b),
    "rsub": lambda a, b: b - a,
    **dict.fromkeys(("mul", "rmul", "multiply"), lambda a, b: a * b),
    **dict.fromkeys(("div", "truediv", "divide", "true_divide"), lambda a, b: a / b),
    **dict.fromkeys(("rdiv", "rtruediv"), lambda a, b: b / a),
    "pow": lambda a, b: a**b,
    "rpow": lambda a, b: b**a,
    **dict.fromkeys(("neg", "negative"), lambda a: -a),
    "square": lambda a: a**2,
    "reciprocal": lambda a: 1 / a,
    "sqrt": sympy.sqrt,
    "exp": sympy.exp,
    "log": sympy.log,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "asin": sympy.asin,
    "acos": sympy.acos,
    "atan": sympy.atan,
    "arctan": sympy.atan,
    "sigmoid": _sigmoid,
    "addcmul": lambda a, b, c, value=sympy.Integer(1): a + value * b * c,
    "detach": lambda a: a,
    "clone": lambda a: a,
}
LIKE: dict[str, Callable[..., sympy.Expr]] = {
    "zeros_like": lambda: sympy.Integer(0),
    "ones_like": lambda: sympy.Integer(1),
    "full_like": expression_of,
}
