"""The kinds of domains in this package, found by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kanpde.domains
from kanpde.errors import InputError, suggest
from kanpde.factories import offering


def kinds() -> dict[str, type]:
    """Return the classes in ``kanpde.domains`` that can be made from a description, by name."""
    return offering(kanpde.domains, "from_description")


def domain_from(
    description: Mapping[str, Any],
) -> Any:  # a `Domain`; protocols with properties cannot be checked in tests
    """Return the domain of a description by `Domain.describe`, for the kinds in this package.

    A description cannot cause an import.

    Raises:
        InputError: the kind is not in this package, or the rest of the description is invalid.
    """
    known, kind = kinds(), str(description.get("kind"))
    if kind not in known:
        raise InputError(f'There is no domain "{kind}" in kanpde.domains. {suggest(kind, known)}')
    try:
        return known[kind].from_description(description)  # pyright: ignore[reportAttributeAccessIssue]
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"The description of a {kind} is incomplete or of another form ({type(error).__name__}: {error}). Give "
            "what `describe` returned."
        ) from None
