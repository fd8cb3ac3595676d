"""The exception for invalid input, and suggestions of similar names for its message."""

import json
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from difflib import get_close_matches
from typing import Any


class Code(str):
    """A Python expression as a value to write, such as ``Code("[Phase(LBFGS())]")``."""


class InputError(ValueError):
    """The user's input cannot work.

    The error holds facts. Its text is the form for Python; `kanpde.configure.typed` gives the one for the command line.

    Args:
        message: what was expected, what came and the likely cause, in sentences that hold for both.
        write: arguments with values that would work.
        of: the object whose arguments they are, as a path from the function that the user called, such as "model" or
            "phases.0.optimizer"; "" for arguments of the function itself.
        instead: arguments of the function itself that would work as well.
        advice: further sentences, which hold for both.
    """

    def __init__(
        self,
        message: str,
        *,
        write: Mapping[str, Any] | None = None,
        of: str = "",
        instead: Mapping[str, Any] | None = None,
        advice: str = "",
    ):
        super().__init__(message)
        self.message, self.of, self.advice = message, of, advice
        self.write, self.instead = dict(write or {}), dict(instead or {})

    def __str__(self) -> str:
        return self.worded(_in_python)

    def worded(self, assigned: Callable[[str, Mapping[str, Any]], str]) -> str:
        """The message with the fix; ``assigned`` writes the arguments of an object, given its path."""
        fixes = [assigned(of, values) for of, values in ((self.of, self.write), ("", self.instead)) if values]
        fix = f"Write {', or '.join(fixes)}." if fixes else ""
        return " ".join(filter(None, (self.message, fix, self.advice)))

    def inside(self, where: str) -> "InputError":
        """The same error, seen by a caller for whom the object is at ``where``."""
        error = copy(self)
        error.of = ".".join(filter(None, (where, self.of)))
        return error


def _in_python(of: str, values: Mapping[str, Any]) -> str:
    first, *others = of.split(".")
    place = "".join([first, *(f"[{part}]" if part.isdigit() else f".{part}" for part in others)])
    return ", ".join(f"{name}={_value(v)}" for name, v in values.items()) + (f" in `{place}`" if place else "")


def _value(value: Any) -> str:
    if isinstance(value, str) and not isinstance(value, Code):
        return json.dumps(value, ensure_ascii=False)  # with double quotes, as in all examples
    return str(value)


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return a sentence that names the choice nearest to ``name``, or lists all choices."""
    choices = sorted(choices)
    near = get_close_matches(name, choices, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"Choices: {', '.join(choices) or 'none'}."
