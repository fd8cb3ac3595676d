"""Expressions read from sympy's ``srepr`` without evaluating text: only known names and numbers are accepted."""

import ast

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


def parsed(text: str) -> sympy.Expr:
    """Return the expression that ``sympy.srepr`` wrote.

    Raises:
        InputError: the text has anything else.
    """
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"A stored formula cannot be read: {error}.") from error
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise InputError(f"A stored formula has more than {MOST_NODES} parts.")
    return _built(tree.body, 0)


def _built(node: ast.expr, depth: int) -> sympy.Expr:
    if depth > MOST_DEPTH:
        raise InputError(f"A stored formula is nested more than {MOST_DEPTH} times.")
    if isinstance(node, ast.Name) and node.id in ("pi", "E"):
        return NAMES[node.id]
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in NAMES:
        raise InputError(f"A stored formula has `{ast.unparse(node)}`, which is not an expression of known functions.")
    name = node.func.id
    if name in NUMBERS:
        return NAMES[name](
            *(_number(a) for a in node.args), **{k.arg: _number(k.value) for k in node.keywords if k.arg}
        )
    if name == "Symbol":
        label = _constant(node.args[0]) if len(node.args) == 1 else None
        assumptions = {k.arg: _constant(k.value) for k in node.keywords if k.arg}
        known = set(assumptions) <= {"real", "positive"} and all(v is True for v in assumptions.values())
        if not isinstance(label, str) or not label.isidentifier() or not known:
            raise InputError(f"A stored formula has the symbol `{ast.unparse(node)}`, which is not a coordinate.")
        return sympy.Symbol(label, **{str(k): True for k in assumptions})
    if node.keywords:
        raise InputError(f"A stored formula has `{ast.unparse(node)}` with keywords.")
    return NAMES[name](*(_built(a, depth + 1) for a in node.args))


def _constant(node: ast.expr):
    return node.value if isinstance(node, ast.Constant) else None


def _number(node: ast.expr):
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1
    value = _constant(node)
    if isinstance(value, str) and len(value) < 100 and set(value) <= set("0123456789.+-e"):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300:
        return sign * value
    raise InputError(f"A stored formula has `{ast.unparse(node)}` where a number is expected.")
