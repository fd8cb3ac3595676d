"""Errors of Hydra, OmegaConf and YAML as one line with the correction."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from textwrap import fill

from hydra.errors import MissingConfigException, OverrideParseException
from yaml import YAMLError

from kanpde.configure.typed import on_command_line
from kanpde.errors import InputError, suggest
from kanpde.paths import packaged

WIDTH = 118  # of the help
SEE_HELP = "`python -m kanpde --help` lists what there is."
SWEEP_OPTIONS = ("isolate", "retry_failed")  # options of the whole sweep; they are removed from the config of every run


@contextmanager
def wrapped_output() -> Iterator[None]:
    """Break the lines that are printed inside where they are too long."""
    text = StringIO()
    try:
        with redirect_stdout(text):
            yield
    finally:
        for line in text.getvalue().rstrip().splitlines():
            print(fill(line, WIDTH, subsequent_indent="  ") if len(line) > WIDTH else line)


def in_words(error: Exception) -> str:
    """Return one or two sentences on an error of Hydra or of this package."""
    if isinstance(error, InputError):
        return on_command_line(error)
    first = str(error).strip().split("\n")[0]
    if isinstance(error, YAMLError):
        return f"A yaml file cannot be read: {' '.join(str(error).split())}."
    if isinstance(error, OverrideParseException):
        return f'"{error.override}" is not of the form name=value. Write for example problem=poisson.'
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        hint = ""
        if group == "problem" and any(Path(folder, f"{choice}.py").is_file() for folder in (".", "problems")):
            hint = f" {choice}.py is here, but not conf/problem/{choice}.yaml; it needs the line `name: {choice}`."
        return f'Unknown {group} "{choice}". {suggest(choice, error.options)}{hint}'
    if unknown := re.match(r"Could not override '(.+?)'", first):
        from kanpde.configure.job import OPTIONS

        own = Path("conf/config.yaml").is_file() and Path("conf").resolve() != packaged("conf").resolve()
        hint = " This folder has a conf/config.yaml, which is read instead of the packaged one." if own else ""
        return (
            f'Unknown option "{unknown[1]}". {suggest(unknown[1].partition(".")[0], (*OPTIONS, *SWEEP_OPTIONS))}{hint}'
        )
    cause = str(error.__cause__).split("\n")[0] if error.__cause__ else ""
    return f"{first.rstrip('.')}{': ' if cause else ''}{cause}. {SEE_HELP}"
