"""The weights of the conditions that a user gives."""

from collections.abc import Mapping, Sequence
from math import inf
from numbers import Real

from kanpde.errors import InputError, suggest


def all_weights(names: Sequence[str], given: Mapping[str, float]) -> dict[str, float]:
    """Return the weight of every condition: the given one, else 1.

    Raises:
        InputError: a weight is not positive and finite, or its condition is not trained.
    """
    weights = dict.fromkeys(names, 1.0)
    for name, weight in given.items():
        if name not in weights:
            raise InputError(f'weights has "{name}", which is not a trained condition. {suggest(name, weights)}')
        if not (isinstance(weight, Real) and 0 < weight < inf):
            raise InputError(
                f'Weights must be positive and finite, got {weight!r} for "{name}".',
                write={name: 1.0},
                of="weights",
                advice="A condition without weight is left out of the problem.",
            )
        weights[name] = float(weight)
    return weights
