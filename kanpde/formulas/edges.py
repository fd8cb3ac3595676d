# pyright: reportArgumentType=false
# the types that sympy declares are too wide
"""The functions on the edges of a KAN, recognised one by one: what a picture of the network is labelled with."""

import numpy as np
import sympy
import torch

from kanpde.errors import InputError
from kanpde.formulas.constants import normal
from kanpde.formulas.evidence import evidence_of
from kanpde.formulas.polish import waves
from kanpde.formulas.univariate import S, chebyshev, recognised
from kanpde.formulas.vocabulary import ALL
from kanpde.models.network import Network
from kanpde.solution import Solution

MOST_COST = 4  # complexity of an edge's function
FLAT = 1e-3  # share of an edge in the largest deviation of its layer, below which it has no label
Edge = tuple[int, int, int]  # layer, input, output


@torch.no_grad()
def edge_formulas(solution: Solution) -> dict[Edge, sympy.Expr]:
    """Return the functions that the edges of a KAN agree with, on the ranges that their inputs reach.

    Edges of the first layer are functions of their coordinate, others, and those of periodic coordinates, of s.

    An edge alone does not determine a formula: another network can have other edges for the same solution. For formulas
    of the solution see `kanpde.formulas.formula`.

    Raises:
        InputError: the model has no edges with functions.
    """
    model = solution.model
    if not isinstance(model, Network) or not model.has_edges:
        raise InputError(
            f"Edges have functions in KANs only, got a {type(model).__name__}. `formula(solution)` reads any solution.",
            write={"model": "KAN()"},
        )
    error = evidence_of(solution, {}).error
    like = next(model.parameters())
    values = model.inputs(solution.problem.domain.interior.sample("sobol", 1024, None, like.device, like.dtype).x)
    found: dict[Edge, sympy.Expr] = {}
    for k, layer in enumerate(model.layers):
        low, high = values.min(dim=0).values, values.max(dim=0).values
        share = torch.as_tensor(chebyshev(0.0, 1.0), device=like.device, dtype=like.dtype)[:, None]
        s = low + share * (high - low)
        curves = layer.edges(s).double().cpu().numpy()
        sizes = curves.std(axis=0)
        for i, o in np.argwhere(sizes > FLAT * sizes.max()).tolist():
            y = curves[:, i, o]
            readings = recognised(s[:, i].double().cpu().numpy(), y, error * float(sizes[i, o]), ALL, MOST_COST, 1)
            if readings:
                found[k, i, o] = waves(normal(readings[0].expression.subs(S, of_input(solution, k, i))))
        values = layer(values)
        if k < len(model.nodes):
            values = model.nodes[k].values(values)
    return found


def edge_texts(solution: Solution) -> tuple[dict[Edge, str], dict[Edge, str]]:
    """Return short names, such as sin, and texts, such as sin(3.14*s), of the edges that are recognised.

    Both are empty for models without edges.
    """
    model = solution.model
    if not isinstance(model, Network) or not model.has_edges:
        return {}, {}
    found = edge_formulas(solution)
    return {edge: name(each) for edge, each in found.items()}, {edge: label(each) for edge, each in found.items()}


def name(expression: sympy.Expr) -> str:
    """Return the functions in an expression, or its highest power: sin, exp(x^2), x^2."""
    functions = sorted({str(each.func) for each in expression.atoms(sympy.Function)})
    variable = next(iter(expression.free_symbols), S)
    found = {each.exp for each in _rounded(expression, 3).atoms(sympy.Pow) if each.base.has(variable)}
    powers = sorted(found, key=lambda exponent: -abs(float(exponent)))
    variable = "s" if variable == S else str(variable)
    inner = f"{variable}^{powers[0]}" if powers else variable
    return " ".join(functions) + (f"({inner})" if powers else "") if functions else inner


def of_input(solution: Solution, layer: int, i: int) -> sympy.Expr:
    """Return the input of an edge: of the first layer as an affine function of its coordinate, else `S`."""
    model = solution.model
    assert isinstance(model, Network)
    if layer or model.inputs.periodic or i >= len(solution.problem.domain.names):
        return S
    low, high = float(model.inputs.lower[i]), float(model.inputs.upper[i])
    coordinate = sympy.Symbol(solution.problem.domain.names[i], real=True)
    return sympy.Float(2 / (high - low)) * coordinate - sympy.Float((high + low) / (high - low))


def label(expression: sympy.Expr, digits: int = 3) -> str:
    """Return a short text for an edge's function: few digits, and no terms that these do not show."""
    return str(_rounded(expression, digits)).replace(str(S), "s")


def _rounded(expression: sympy.Expr, digits: int) -> sympy.Expr:
    if isinstance(expression, sympy.Float):
        return sympy.Float(float(expression), digits)
    if isinstance(expression, sympy.Add):
        sizes = [abs(float(term.as_coeff_Mul()[0])) for term in expression.args]
        kept = [t for t, size in zip(expression.args, sizes, strict=True) if size >= 10.0**-digits * max(sizes)]
        return sympy.Add(*(_rounded(term, digits) for term in kept))
    return expression.func(*(_rounded(a, digits) for a in expression.args)) if expression.args else expression
