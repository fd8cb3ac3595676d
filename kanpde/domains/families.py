"""Families of problems: coordinates that are parameters, such as a viscosity.

A domain of a family has the attribute ``family``, the positions of its parameters, and the methods ``holding(names)``,
which returns the domain of the other coordinates, and ``region_holding(region, names)``, which returns a region there.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from math import isfinite
from numbers import Real
from typing import Any

from kanpde.errors import InputError, suggest

_EXAMPLE = {"nu": (0.01, 0.1), "family": ["nu"]}
_OF = "output"  # the object that has lists of members


def family_of(domain: Any) -> tuple[int, ...]:
    """Return the positions of the parameters among the coordinates of a `Domain`; () if it is not of a family."""
    return tuple(getattr(domain, "family", ()))


def check_family(family: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """Return the positions of the parameters among the coordinates.

    Raises:
        InputError: a parameter has no range, is time or is named twice, or there is no other coordinate.
    """
    if isinstance(family, str) or not isinstance(family, Sequence):
        raise InputError(f"family must be a list of names, got {family!r}.", write={"family": [str(family)]})
    for name in family:
        if name == "t":
            raise InputError(
                "t is time, which is no parameter of a family. Give the parameter another name.", write=_EXAMPLE
            )
        if name not in names:
            raise InputError(
                f'family has "{name}", which has no range. {suggest(str(name), names)}', write={str(name): (0.01, 0.1)}
            )
    if len(set(family)) < len(family):
        raise InputError(f"family names a parameter twice: {', '.join(family)}.", write={"family": sorted(set(family))})
    if len(family) == len(names):
        raise InputError(
            f"All coordinates, {', '.join(names)}, are parameters of the family; expected others besides.",
            write={"x": (0.0, 1.0)},
        )
    return tuple(names.index(name) for name in family)


def check_values(domain: Any, values: Mapping[str, Any]) -> dict[int, float]:
    """Return values of parameters by position.

    Raises:
        InputError: the domain is not of a family, a name is not one of its parameters, or a value is outside its range.
    """
    parameters = [domain.names[i] for i in family_of(domain)]
    if not parameters:
        raise InputError(f"The domain is not of a family, and has no parameters: {domain}.", write=_EXAMPLE, of="Box")
    if not values:
        raise InputError("Expected a value of a parameter of the family.", write=_middle(domain, parameters))
    for name, value in values.items():
        _check_value(domain, name, value, _middle(domain, parameters))
    return {domain.names.index(name): float(value) for name, value in values.items()}


def _check_value(domain: Any, name: str, value: Any, write: Mapping[str, Any], of: str = "") -> None:
    """Check a value of a parameter; ``write`` are values that work, arguments of the object ``of``."""
    parameters = [domain.names[i] for i in family_of(domain)]
    if name not in parameters:
        raise InputError(f'The family has no parameter "{name}". {suggest(name, parameters)}', write=write, of=of)
    lower, upper = domain.ranges[domain.names.index(name)]
    if not isinstance(value, Real) or not isfinite(value) or not lower <= value <= upper:
        came = f"{value:g}" if isinstance(value, Real) else repr(value)
        raise InputError(
            f"{name} must be from {lower:g} to {upper:g}, the range of the family, got {came}.", write=write, of=of
        )


def _middle(domain: Any, names: Sequence[str]) -> dict[str, float]:
    return {name: sum(domain.ranges[domain.names.index(name)]) / 2 for name in names}


def middle_of(domain: Any) -> dict[str, float]:
    """Return the middle of the range of every parameter of a domain; {} if it is not of a family."""
    return _middle(domain, [domain.names[i] for i in family_of(domain)])


def members_of(domain: Any, lists: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """Return the members of a family that are shown, each as the values of all parameters by name.

    Args:
        domain: a `Domain`; without parameters there are no members.
        lists: values of some parameters; all combinations of them, with the other parameters in the middle of their
            ranges. Without lists the members are at the lower ends, the middles and the upper ends of all ranges.

    Raises:
        InputError: a name is not a parameter, or a value is outside its range.
    """
    middle = middle_of(domain)
    if lists and not middle:
        raise InputError(f"The domain is not of a family, and has no members: {domain}.", write={"members": {}}, of=_OF)
    write = {"members": {name: [value] for name, value in middle.items()}}
    for name, values in lists.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise InputError(f"{name} needs a list of values, got {values!r}.", write=write, of=_OF)
        for value in values:
            _check_value(domain, name, value, write, _OF)
    if lists:
        return [middle | dict(zip(lists, map(float, each), strict=True)) for each in product(*lists.values())]
    ends = [{name: domain.ranges[domain.names.index(name)][k] for name in middle} for k in (0, 1)]
    return [ends[0], middle, ends[1]] if middle else []


def label_of(values: Mapping[str, float]) -> str:
    """Return the values as a text, such as "nu=0.05, k=2"."""
    return ", ".join(f"{name}={_shortest(value)}" for name, value in values.items())


def _shortest(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)
