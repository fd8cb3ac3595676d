"""The domain of the problem in a result file: its description, and a table of its coordinates."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kanpde.domains import Domain
from kanpde.errors import InputError


def described(domain: Domain) -> dict[str, Any]:
    """Return a domain's description after a round trip through JSON.

    Raises:
        InputError: JSON cannot represent it, or "kind" is missing.
    """
    description = domain.describe()
    try:
        found = json.loads(json.dumps(description, allow_nan=False))
        found["kind"].encode()
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"describe() of a domain returns a dictionary of texts, finite numbers, lists and dictionaries, with its "
            f'class\'s name under "kind"; that of {type(domain).__name__} returned {description!r} ({error}). Write '
            f'return {{"kind": "{type(domain).__name__}", "radius": 1.0}}, for example.'
        ) from None
    return found


def coordinates(domain: Domain) -> list[dict[str, Any]]:
    """Return the rows of the table "domain": name, range and periodicity of every coordinate."""
    return [
        {"name": name, "lower": lower, "upper": upper, "periodic": int(i in domain.periodic)}
        for i, (name, (lower, upper)) in enumerate(zip(domain.names, domain.ranges, strict=True))
    ]


def outline(kind: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the description that the table "domain" gives, for older files without one; for a box it is complete."""
    return {
        "kind": kind,
        "names": [row["name"] for row in rows],
        "ranges": [[row["lower"], row["upper"]] for row in rows],
        "periodic": [row["name"] for row in rows if row["periodic"]],
    }
