r"""Fields: lazy expressions in the unknowns at a set of points, written like formulas.

A field computes a component (its value, or a derivative given by coordinate positions) on demand, by the Leibniz rule,
Faà di Bruno's formula and linearity, down to the leaves: coordinates, and unknowns with the jets of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor

from kanpde.calculus.context import Context
from kanpde.calculus.functions import TABLES, Table, by_autograd, elementwise, power
from kanpde.calculus.jet import LAPLACIAN, Key
from kanpde.calculus.rules import choice, composition, linear, product
from kanpde.calculus.vector import Vector
from kanpde.errors import InputError


class Field:
    """An expression at points. Combine fields with arithmetic and torch functions; differentiate with `diff`."""

    def __init__(self, context: Context, rule: Callable[[Key], Tensor | float], name: str | None = None, parts=()):
        self.context = context
        self.name, self.parts = name, parts  # of the unknown, for leaves; (factor, field) of a sum
        self._rule = rule
        self._known: dict[Key, Tensor | float] = {}

    def component(self, key: Key) -> Tensor | float:
        """Return the derivative ``key`` (``()`` for the value): a tensor (points,), or a number if constant."""
        if key == LAPLACIAN and len(self.context.space) == 1:
            key = self.context.space * 2
        if key not in self._known:
            self._known[key] = self._rule(key)
        return self._known[key]

    @property
    def value(self) -> Tensor:
        """The value as a tensor of shape (points,)."""
        value = self.component(())
        x = self.context.x
        if isinstance(value, Tensor) and value.ndim == 1:
            return value
        return torch.as_tensor(value, dtype=x.dtype, device=x.device).expand(x.shape[0])

    @property
    def coords(self) -> tuple[Field, ...]:
        """The coordinates as fields, in the order of the domain; for one coordinate write ``(x,) = u.coords``."""
        return tuple(coordinate(self.context, i) for i in range(len(self.context.names)))

    @property
    def normal(self) -> Vector:
        """The outward unit normal on a boundary, over the spatial coordinates."""
        normal = self.context.normal
        if normal is None:
            raise InputError(
                "`u.normal` exists on a boundary only. Use it in a condition on `domain.boundary` or on a face."
            )
        return Vector(_data(self.context, normal[:, i], "normal") for i in self.context.space)

    # arithmetic -----------------------------------------------------------------------------------------------------
    def __add__(self, other):
        return _linear(self, _as_field(other, self.context), 1.0, 1.0)

    def __sub__(self, other):
        return _linear(self, _as_field(other, self.context), 1.0, -1.0)

    def __rsub__(self, other):
        return _linear(_as_field(other, self.context), self, 1.0, -1.0)

    def __neg__(self):
        return _linear(self, _as_field(0.0, self.context), -1.0, 0.0)

    def __pos__(self):
        return self

    def __mul__(self, other):
        if isinstance(other, Vector):
            return NotImplemented
        if isinstance(other, Real):
            return _linear(self, _as_field(0.0, self.context), float(other), 0.0)
        return _product(self, _as_field(other, self.context))

    def __truediv__(self, other):
        if isinstance(other, Real):
            return self * (1.0 / float(other))
        return self * compose(TABLES["reciprocal"], _as_field(other, self.context))

    def __rtruediv__(self, other):
        return compose(TABLES["reciprocal"], self) * other

    def __pow__(self, exponent):
        if isinstance(exponent, Real):
            return self * self if exponent == 2 else compose(power(float(exponent)), self)
        return compose(TABLES["exp"], compose(TABLES["log"], self) * exponent)

    def __rpow__(self, base):
        return compose(TABLES["exp"], compose(TABLES["log"], _as_field(base, self.context)) * self)

    __radd__, __rmul__ = __add__, __mul__

    def __abs__(self):
        return compose(by_autograd(torch.abs), self)

    def __eq__(self, other):  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.value == _value(other)

    def __ne__(self, other):  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.value != _value(other)

    __hash__ = object.__hash__

    def __lt__(self, other):
        return self.value < _value(other)

    def __le__(self, other):
        return self.value <= _value(other)

    def __gt__(self, other):
        return self.value > _value(other)

    def __ge__(self, other):
        return self.value >= _value(other)

    def __float__(self):
        raise InputError(
            "A field is not a single number. Use functions of torch in residuals, such as torch.sin, not math.sin."
        )

    def __bool__(self):
        raise InputError("A field has no truth value. Use torch.where(condition, a, b) instead of if.")

    # torch.sin(u), numpy.sin(u), torch.where(x > 0, u, v), tensor * u ...
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        name = function.__name__.strip("_")
        context = next((a.context for a in args if isinstance(a, Field)), None)
        if context is None:
            raise InputError(f"torch.{name} does not take lists of fields. Combine them with + - * / or torch.where.")
        if name in _BINARY and len(args) == 2 and not kwargs:
            a, b = (_as_field(a, context) for a in args)
            return _BINARY[name](a, b)
        if name == "where" and len(args) == 3:
            return _where(args[0], _as_field(args[1], context), _as_field(args[2], context))
        if len(args) == 1 and isinstance(args[0], Field):
            if name in TABLES:
                return compose(TABLES[name], args[0])
            if name in ("neg", "negative"):
                return -args[0]
            return compose(elementwise(function, name, kwargs or {}), args[0])
        raise InputError(
            f"torch.{name} is not defined for these fields. Elementwise functions of one field are, and arithmetic and "
            "torch.where. Combine the fields with + - * / first."
        )

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        name = str(ufunc.__name__)
        function = getattr(torch, {"power": "pow", "absolute": "abs"}.get(name, name), None)
        if method != "__call__" or kwargs or function is None:
            return NotImplemented
        return Field.__torch_function__(function, (Field,), tuple(inputs))


_BINARY = {
    "add": Field.__add__,
    "radd": lambda a, b: b + a,
    "sub": Field.__sub__,
    "subtract": Field.__sub__,
    "rsub": lambda a, b: b - a,
    "mul": Field.__mul__,
    "multiply": Field.__mul__,
    "rmul": lambda a, b: b * a,
    "div": Field.__truediv__,
    "divide": Field.__truediv__,
    "truediv": Field.__truediv__,
    "true_divide": Field.__truediv__,
    "rtruediv": lambda a, b: b / a,
    "rdiv": lambda a, b: b / a,
    "pow": Field.__pow__,
    "rpow": lambda a, b: b**a,
    "gt": Field.__gt__,
    "ge": Field.__ge__,
    "lt": Field.__lt__,
    "le": Field.__le__,
}


# leaves -------------------------------------------------------------------------------------------------------------


def coordinate(context: Context, position: int) -> Field:
    """Return coordinate number ``position`` as a field: its derivative is 1 along itself, else 0."""
    return Field(context, lambda key: context.x[:, position] if key == () else float(key == (position,)))


def constant(context: Context, value: Tensor | float) -> Field:
    """Return a field that does not depend on the coordinates; ``value`` is a number, or that number at every point."""
    return Field(context, lambda key: value if key == () else 0.0)


def _data(context: Context, values: Tensor, what: str) -> Field:
    """Return a field of given values at the points, whose derivatives are unknown."""

    def rule(key: Key) -> Tensor:
        if key != ():
            raise InputError(
                f"A plain tensor ({what}) cannot be differentiated. Write it in terms of `u.coords`, or move it out of "
                "the derivative."
            )
        return values

    return Field(context, rule)


def _as_field(a, context: Context) -> Field:
    if isinstance(a, Field):
        return a
    if isinstance(a, Tensor) and a.ndim > 0:
        if a.shape != context.x.shape[:1]:
            raise InputError(
                f"A tensor that is combined with a field needs shape ({len(context.x)},), one number per point, got "
                f"{tuple(a.shape)}. Select one column, for example `a[:, 0]`."
            )
        return _data(context, a, "of one value per point")
    if isinstance(a, Tensor):
        return constant(context, a)
    if isinstance(a, Real):
        return constant(context, float(a))
    raise InputError(f"A field can be combined with numbers, tensors and fields, got a {type(a).__name__}.")


def _value(a: Field | Tensor | float) -> Tensor | float:
    return a.value if isinstance(a, Field) else a


# rules --------------------------------------------------------------------------------------------------------------
def _linear(f: Field, g: Field, a: float, b: float) -> Field:
    """Return a f + b g."""
    return Field(f.context, linear(f, g, a, b), parts=((a, f), (b, g)))


def _product(f: Field, g: Field) -> Field:
    """Return f g."""
    return Field(f.context, product(f, g))


def compose(table: Table, g: Field) -> Field:
    """Return φ(g) for an elementwise function φ given by its table of derivatives."""
    return Field(g.context, composition(table, g))


def _where(condition, f: Field, g: Field) -> Field:
    return Field(f.context, choice(lambda: _value(condition), f, g))
