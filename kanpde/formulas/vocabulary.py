# pyright: reportArgumentType=false
# the types that sympy declares are too wide
"""The functions that formulas may have: all that are known, without some, or with those of users."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from time import perf_counter

import numpy as np
import sympy
import torch

from kanpde.errors import InputError, suggest
from kanpde.formulas.evaluate import FUNCTIONS, evaluated
from kanpde.formulas.families import FAMILIES, Family, Function
from kanpde.formulas.maps import INNER, OUTER, Inner, Outer

X = sympy.Dummy("x", real=True)


@dataclass(frozen=True)
class Vocabulary:
    """The families of functions of one variable, and the maps around and inside of them.

    ``ends`` is the time of `time.perf_counter` at which a search with them ends.
    """

    families: tuple[Family, ...] = FAMILIES
    outer: tuple[Outer, ...] = OUTER
    inner: tuple[Inner, ...] = INNER
    ends: float = inf

    @property
    def is_late(self) -> bool:
        """Whether the search must end."""
        return perf_counter() > self.ends

    def without(self, forbid: Sequence[str]) -> "Vocabulary":
        """Return the vocabulary without families or maps of some names, and without functions of these names.

        Raises:
            InputError: a name is not known.
        """
        known = {*(each.name for each in (*self.families, *self.outer, *self.inner)), *map(_name, FUNCTIONS)}
        for name in forbid:
            if name not in known:
                raise InputError(f'There is no function "{name}" to forbid. {suggest(name, sorted(known))}')
        left = set(forbid)
        return Vocabulary(
            tuple(f for f in self.families if not left & {f.name, *_functions(*f.terms(X, (1.0, 1.0)))}),
            tuple(m for m in self.outer if not left & {m.name, *_functions(m.symbolic(X, X))}),
            tuple(m for m in self.inner if not left & {m.name, *_functions(m.symbolic(X))}),
        )

    def with_functions(self, functions: Sequence[Function]) -> "Vocabulary":
        """Return the vocabulary with functions that users add.

        Raises:
            InputError: a function has a name that exists, a cost below 1, or cannot be evaluated as an expression.
        """
        names = [each.name for each in (*self.families, *self.outer)]
        for each in functions:
            if each.name in names:
                raise InputError(f'There is already a function "{each.name}". Give yours another name.')
            if each.cost < 1:
                raise InputError(f'The cost of "{each.name}" must be at least 1, got {each.cost}.', write={"cost": 3})
            _check(each)
            names.append(each.name)
        return replace(self, families=(*self.families, *(each.family() for each in functions)))


def _name(function) -> str:
    return function.__name__


def _functions(*expressions: sympy.Expr) -> set[str]:
    """Return the names of the functions in expressions."""
    return {_name(each.func) for expression in expressions for each in sympy.sympify(expression).atoms(sympy.Function)}


def _check(function: Function) -> None:
    """Refuse a function whose expression has other values than its numeric form, or none."""
    at = np.array([0.1, 0.3, 0.7])
    wanted = np.asarray(function.numeric(at), dtype=np.float64)
    found = evaluated(function.symbolic(X), {X: torch.as_tensor(at)}).numpy()
    if not np.allclose(wanted, found, rtol=1e-9, atol=1e-12):
        raise InputError(
            f'The numeric and symbolic forms of "{function.name}" differ: at {at.tolist()} they are {wanted.tolist()} '
            f"and {found.tolist()}."
        )


ALL = Vocabulary()
