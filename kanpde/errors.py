"""The exception for invalid input, and suggestions of similar names for its message."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Invalid input; the message says what was expected, what was given and what to write instead."""


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return a sentence that names the choice nearest to ``name``, or lists all choices."""
    choices = sorted(choices)
    near = get_close_matches(name, choices, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"Choices: {', '.join(choices) or 'none'}."
