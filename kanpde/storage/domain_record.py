"""How a result file holds the problem's domain: its description, and a table of its coordinates."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kanpde.domains import Domain
from kanpde.errors import InputError


def described(domain: Domain) -> dict[str, Any]:
    """A domain's description as it comes back from a file.

    Raises:
        InputError: JSON cannot hold it, or it lacks the kind.
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
    """The rows of the table "domain": name, range and periodicity of every coordinate."""
    return [
        {"name": name, "lower": lower, "upper": upper, "periodic": int(i in domain.periodic)}
        for i, (name, (lower, upper)) in enumerate(zip(domain.names, domain.ranges, strict=True))
    ]


def outline(kind: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the table "domain" says, for files written before descriptions were stored; of a box it is all there is."""
    return {
        "kind": kind,
        "names": [row["name"] for row in rows],
        "ranges": [[row["lower"], row["upper"]] for row in rows],
        "periodic": [row["name"] for row in rows if row["periodic"]],
    }
