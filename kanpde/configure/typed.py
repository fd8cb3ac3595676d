"""Values and errors as they are typed on the command line."""

from collections.abc import Mapping, Sequence
from typing import Any

from kanpde.errors import Advice, Code, InputError

# arguments of `solve` and `save` whose option has a different name
OPTIONS = {"phases": "schedule.phases", "starts": "schedule.starts"}
FOLDERS = "hydra.run.dir={0}, or hydra.sweep.dir={0} for several runs"
# values in Python that are choices on the command line
CHOICES = {
    "[Phase(Adam())]": "schedule=adam",
    "[Phase(LBFGS())]": "schedule=lbfgs",
    "[Phase(LM())]": "schedule=refine",
    "KAN()": "model=kan",
}


def on_command_line(error: Advice) -> str:
    """Return the text of an error or a warning for the command line, with options instead of arguments."""
    worded = error.worded(_as_options)
    if isinstance(error, InputError) and error.of and not error.write:
        return f"{_path(error.of)}: {worded}"
    return worded


def _as_options(of: str, values: Mapping[str, Any]) -> str:
    return " ".join(_as_option(of, name, value) for name, value in values.items())


def _as_option(of: str, name: str, value: Any) -> str:
    if isinstance(value, Code):
        return CHOICES.get(value, f"{name}={value}")
    if not of and name == "folder":
        return FOLDERS.format(value)
    return f"{_path(f'{of}.{name}' if of else name)}={text(value)}"


def _path(of: str) -> str:
    first, dot, others = of.partition(".")
    return f"{OPTIONS.get(first, first)}{dot}{others}"


def text(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(map(text, value))}]"
    return str(value) or '""'
