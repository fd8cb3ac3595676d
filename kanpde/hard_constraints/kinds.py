"""The kinds of built-in values in this package, found by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import kanpde.hard_constraints
from kanpde.errors import InputError, suggest
from kanpde.factories import offering
from kanpde.hard_constraints.built_in import WithValues
from kanpde.hard_constraints.softmax import Softmax
from kanpde.problem import Ansatz


def ansatz_from(descriptions: Sequence[Mapping[str, Any] | None]) -> Ansatz:
    """Return the ansatz of `kanpde.hard_constraints.built_in.describe`; it satisfies no condition of a problem.

    A description cannot cause an import.

    Raises:
        InputError: a kind is not in this package.
    """
    if list(descriptions) == Softmax().describe():
        return Ansatz(Softmax(), ())
    known = offering(kanpde.hard_constraints, "from_description")
    parts = []
    for each in descriptions:
        if each is not None and each["kind"] not in known:
            raise InputError(f'There is no kind "{each["kind"]}" of built-in values. {suggest(each["kind"], known)}')
        parts.append(each and known[each["kind"]].from_description(each))  # pyright: ignore[reportAttributeAccessIssue]
    return Ansatz(WithValues(tuple(parts)), ())
