"""Expressions read from sympy's ``srepr`` without evaluating text: only known names and numbers are accepted."""

import ast
import re
from keyword import iskeyword

import sympy

from kanpde.errors import InputError
from kanpde.formulas.evaluate import FUNCTIONS

NAMES = {
    "Add": sympy.Add,
    "Mul": sympy.Mul,
    "Pow": sympy.Pow,
    "Integer": sympy.Integer,
    "Rational": sympy.Rational,
    "Float": sympy.Float,
    "Symbol": sympy.Symbol,
    "pi": sympy.pi,
    "E": sympy.E,
    **{function.__name__: function for function in FUNCTIONS},
}
NUMBERS = ("Integer", "Rational", "Float")
MOST_NODES, MOST_DEPTH = 20_000, 100
LARGEST, LARGEST_EXPONENT = 10**30, 1000
FLOAT = re.compile(r"-?\d{0,60}\.?\d{0,60}(e[+-]?\d{1,3})?")


def parsed(text: str) -> sympy.Expr:
    """Return the expression that ``sympy.srepr`` wrote.

    Raises:
        InputError: the text has anything else.
    """
    try:
        tree = ast.parse(text, mode="eval")
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
            raise InputError(f"A stored formula has more than {MOST_NODES} parts.")
        found = _built(tree.body, 0)
    except InputError:
        raise
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise InputError(f"A stored formula cannot be read: {error}.") from error
    if found.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        raise InputError("A stored formula is not finite.")
    return found


def _built(node: ast.expr, depth: int) -> sympy.Expr:
    if depth > MOST_DEPTH:
        raise InputError(f"A stored formula is nested more than {MOST_DEPTH} times.")
    if isinstance(node, ast.Name) and node.id in ("pi", "E"):
        return NAMES[node.id]
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in NAMES:
        raise InputError(f"A stored formula has `{ast.unparse(node)}`, which is not an expression of known functions.")
    name = node.func.id
    if name in NUMBERS:
        precision = {k.arg: _number(k.value, 999) for k in node.keywords if k.arg in ("precision", "dps")}
        most = LARGEST if name != "Float" else None
        return NAMES[name](*(_number(a, most) for a in node.args), **precision)
    if name == "Symbol":
        return _symbol(node)
    if node.keywords:
        raise InputError(f"A stored formula has `{ast.unparse(node)}` with keywords.")
    args = [_built(a, depth + 1) for a in node.args]
    if name == "Pow" and any(a.is_number and abs(a) > LARGEST_EXPONENT for a in args[1:]):
        raise InputError(f"A stored formula has an exponent above {LARGEST_EXPONENT}.")
    return NAMES[name](*args)


def _symbol(node: ast.Call) -> sympy.Symbol:
    label = _constant(node.args[0]) if len(node.args) == 1 else None
    assumptions = {str(k.arg): _constant(k.value) for k in node.keywords}
    known = set(assumptions) <= {"real", "positive"} and all(v is True for v in assumptions.values())
    if not is_name(label) or not known:
        raise InputError(f"A stored formula has the symbol `{ast.unparse(node)}`, which is not a coordinate.")
    return sympy.Symbol(label, **dict.fromkeys(assumptions, True))


def is_name(text: object) -> bool:
    """Return whether something is a name that can be a coordinate, and an argument in Python."""
    return isinstance(text, str) and text.isidentifier() and not iskeyword(text)


def _constant(node: ast.expr):
    return node.value if isinstance(node, ast.Constant) else None


def _number(node: ast.expr, most: int | None):
    """Return a number; whole and at most ``most``, or for None the digits of a floating-point number."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1
    value = _constant(node)
    if most is None and isinstance(value, str) and FLOAT.fullmatch(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and most is not None and value <= most:
        return sign * value
    raise InputError(f"A stored formula has `{ast.unparse(node)}` where a number is expected.")
