"""The exception for invalid input, the warning about a result, and suggestions of similar names for their messages."""

import json
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

Fix = tuple[str, Mapping[str, Any]]  # the path of an object, and arguments of it with values


class Code(str):
    """A Python expression as a value to write, such as ``Code("[Phase(LBFGS())]")``."""


class Advice(Exception):
    """A message with arguments to write, stored as facts; ``str`` words them in Python.

    `kanpde.configure.typed` words them for the command line.
    """

    message: str
    advice: str = ""

    @property
    def fixes(self) -> Sequence[Fix]:
        """The arguments to write, each group of them an alternative."""
        return ()

    def __str__(self) -> str:
        return self.worded(_in_python)

    def worded(self, assigned: Callable[[str, Mapping[str, Any]], str]) -> str:
        """Return the message with the fix; ``assigned`` formats the arguments of an object, given its path."""
        fixes = [assigned(of, values) for of, values in self.fixes if values]
        fix = f"Write {', or '.join(fixes)}." if fixes else ""
        return " ".join(filter(None, (self.message, fix, self.advice)))


class InputError(Advice, ValueError):
    """Invalid input of the user.

    The error stores facts. ``str`` gives the text for Python; `kanpde.configure.typed` gives that for the command line.

    Args:
        message: what was expected, what was given and the likely cause, in sentences that suit both texts.
        write: arguments with valid values.
        of: the object to which the arguments belong, as a path from the function that the user called, such as "model"
            or "phases.0.optimizer"; "" for arguments of the function itself.
        instead: arguments of the function itself that are an alternative.
        advice: further sentences, which suit both texts.
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

    @property
    def fixes(self) -> Sequence[Fix]:
        return (self.of, self.write), ("", self.instead)

    def about(self, what: str) -> "InputError":
        """Return the same error with a message that begins with what it is about."""
        error = copy(self)
        error.message = f"{what}: {self.message}"
        return error

    def inside(self, where: str) -> "InputError":
        """Return the same error with ``where`` prepended to the path of the object."""
        error = copy(self)
        error.of = ".".join(filter(None, (where, self.of)))
        return error


class ResultWarning(Advice, UserWarning):
    """A doubt about a result, with what can be done.

    Args:
        message: what was found and what it means, in sentences that suit Python and the command line.
        fixes: alternatives, each the path of an object and its arguments, as ``of`` and ``write`` of `InputError`.
        advice: further sentences, which suit both texts.
    """

    def __init__(self, message: str, fixes: Sequence[Fix] = (), advice: str = ""):
        super().__init__(message)
        self.message, self.advice = message, advice
        self._fixes = [(of, dict(values)) for of, values in fixes]

    @property
    def fixes(self) -> Sequence[Fix]:
        return self._fixes

    def facts(self) -> dict[str, Any]:
        """Return the arguments of the constructor as plain values."""
        return {"message": self.message, "fixes": [list(fix) for fix in self._fixes], "advice": self.advice}

    def emit(self) -> None:
        """Issue the warning of Python at the nearest caller outside this package."""
        level, frame = 2, sys._getframe(1)
        while frame is not None and Path(frame.f_code.co_filename).is_relative_to(Path(__file__).parent):
            level, frame = level + 1, frame.f_back
        warnings.warn(self, stacklevel=level)


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
    near = get_close_matches(str(name), choices, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"Choices: {', '.join(choices) or 'none'}."
