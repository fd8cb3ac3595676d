"""The one exception that means "the input is wrong", and near-miss suggestions for its message."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """What the user gave cannot work; the message says what was expected, what came and what to write instead."""


def suggest(name: str, choices: Iterable[str]) -> str:
    """A sentence that names the nearest choice to ``name``, or lists all of them."""
    choices = sorted(choices)
    near = get_close_matches(name, choices, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"Choices: {', '.join(choices) or 'none'}."
