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
_SAID = [  # patterns of messages of Hydra and OmegaConf, and what they mean to a user
    (
        r"Config group override must be a string or a list\. Got (\w+)",
        "A group override must be a string, the name of one of the group's files, such as problem=poisson, model=kan "
        "or schedule=refine, got a value of the type {}. Single options have a point: model.grid=5.",
    ),
    (
        r"Error merging override (\S+?):? list index out of range",
        '"{}" is about an entry that its list does not have. The entries are numbered from 0; `--cfg job` shows them.',
    ),
    (
        r"Error merging override ([\w.]+)=.*Cannot merge DictConfig with ListConfig",
        "{0} is a group of options with names, got a list. Write {0}.NAME=value, such as weights.boundary=10.",
    ),
    (
        r"Could not append to config\. An item is already at '(\S+?)'",
        "{0} exists already. Leave the + out: {0}=value.",
    ),
]
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
    for pattern, said in _SAID:
        if found := re.search(pattern, first if error.__cause__ is None else f"{first} {error.__cause__}"):
            return said.format(*found.groups())
    cause = str(error.__cause__).split("\n")[0] if error.__cause__ else ""
    return f"{first.rstrip('.')}{': ' if cause else ''}{cause}. {SEE_HELP}"
