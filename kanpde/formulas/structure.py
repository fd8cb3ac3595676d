"""Formulas for functions of several variables: split into functions of one variable, which are then recognised."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import sympy

from kanpde.formulas.groups import groups
from kanpde.formulas.maps import Outer
from kanpde.formulas.splits import Split, remainder, splits
from kanpde.formulas.target import Target
from kanpde.formulas.univariate import POINTS, S, chebyshev, recognised
from kanpde.formulas.vocabulary import Vocabulary

MOST = 3  # candidates for each part
DEPTH = 2  # outer maps around structures
SHRUNK = 0.15  # share of a range that is left out at both ends where an outer map has singularities
UNEVEN = 300.0  # largest error of values over their median error


def candidates(target: Target, vocabulary: Vocabulary, most_cost: int = 8, depth: int = DEPTH) -> Iterator[sympy.Expr]:
    """Yield expressions that agree with a function up to its noise; first those that are found first.

    Args:
        target: the function.
        vocabulary: the functions that may occur.
        most_cost: largest complexity of a function of one variable.
        depth: number of outer maps.
    """
    if vocabulary.is_late:
        return
    target = target.essential()
    if len(target.symbols) == 1:
        yield from _of_one(target, vocabulary, most_cost)
        return
    is_found = False
    for split in splits(target):
        for expression in islice(_joined(split, vocabulary, most_cost, depth), MOST):
            is_found = True
            yield expression
        if is_found:
            return
    for group in groups(target):
        for expression in islice(candidates(group.target, vocabulary, most_cost, depth), MOST):
            is_found = True
            yield expression.subs(group.symbol, group.expression)
        if is_found:
            return
    if depth:
        yield from _outside(target, vocabulary, most_cost, depth)


def _of_one(target: Target, vocabulary: Vocabulary, most_cost: int) -> Iterator[sympy.Expr]:
    s = chebyshev(*target.ranges[0], POINTS)
    y = target.at(s[:, None])
    if np.isfinite(y).all():
        for reading in recognised(s, y, target.noise(s[:, None]), vocabulary, most_cost):
            yield reading.expression.subs(S, target.symbols[0])


def _joined(split: Split, vocabulary: Vocabulary, most_cost: int, depth: int) -> Iterator[sympy.Expr]:
    """Yield expressions of a structure."""
    for first in islice(candidates(split.first, vocabulary, most_cost, depth), MOST):
        if split.second is not None:
            for second in islice(candidates(split.second, vocabulary, most_cost, depth), MOST):
                yield first + second if split.kind == "sum" else sympy.Float(split.c) + first * second
            continue
        assert split.slope is not None
        beta, scaled = first.as_coeff_Add()
        for slope in islice(candidates(split.slope, vocabulary, most_cost, depth), MOST):
            for rest in islice(candidates(remainder(split, float(beta)), vocabulary, most_cost, depth), MOST):
                yield rest + slope * scaled


def _outside(target: Target, vocabulary: Vocabulary, most_cost: int, depth: int) -> Iterator[sympy.Expr]:
    """Yield expressions F(w), with a map F and a structure of w."""
    for outer in vocabulary.outer[1:]:
        if not outer.is_plain or (inside := _inverted(target, outer)) is None:
            continue
        if next(splits(inside), None) is None and next(groups(inside), None) is None:
            continue
        for expression in islice(candidates(inside, vocabulary, most_cost, depth - 1), MOST):
            yield outer.symbolic(expression, expression)


def _inverted(target: Target, outer: Outer) -> Target | None:
    """Return the inverse of an outer map applied to a function, on the box or on a smaller one, or None.

    Where the inverse has a singularity, errors near there are so large that nothing could be told.
    """
    for box in (target, target.shrunk(SHRUNK)):
        x = box.random()
        inside = box.transformed(lambda y: outer.invert(y, y))
        sizes = inside.errors(x)
        if np.isfinite(inside.at(x)).all() and np.isfinite(sizes).all() and sizes.max() <= UNEVEN * np.median(sizes):
            return inside
    return None
